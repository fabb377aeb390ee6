package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/internal/condition"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/server/bounds"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestStatusOf(t *testing.T) {
	t.Parallel()
	secret := errors.New("/var/lib/callnorm: no space left")
	tests := map[string]struct {
		err    error
		code   codes.Code
		reason string
	}{
		"unknown source":      {fmt.Errorf("door: %w", intake.ErrSourceNotFound), codes.NotFound, "SOURCE_NOT_FOUND"},
		"disabled source":     {intake.ErrSourceDisabled, codes.NotFound, "SOURCE_DISABLED"},
		"unknown adapter":     {intake.ErrAdapterNotFound, codes.NotFound, "ADAPTER_NOT_FOUND"},
		"no adapter":          {intake.ErrNoAdapter, codes.InvalidArgument, "INVALID_REQUEST"},
		"too large":           {intake.ErrBodyTooLarge, codes.InvalidArgument, "BODY_TOO_LARGE"},
		"unreadable body":     {fmt.Errorf("%w: %w", bounds.ErrUnreadable, secret), codes.Unavailable, "BODY_UNREADABLE"},
		"invalid request":     {errRequest, codes.InvalidArgument, "INVALID_REQUEST"},
		"no such route":       {errRoute, codes.NotFound, "ROUTE_NOT_FOUND"},
		"another method":      {errMethod, codes.Unimplemented, "METHOD_NOT_ALLOWED"},
		"the gateway's":       {status.Error(codes.InvalidArgument, "x"), codes.InvalidArgument, "INVALID_REQUEST"},
		"not kept":            {fmt.Errorf("%w: %w", intake.ErrNotKept, secret), codes.Unavailable, "STORE_UNAVAILABLE"},
		"not kept in time":    {fmt.Errorf("%w: %w", intake.ErrNotKept, context.DeadlineExceeded), codes.Unavailable, "STORE_UNAVAILABLE"},
		"store unavailable":   {fmt.Errorf("%w: %w", store.ErrUnavailable, secret), codes.Unavailable, "STORE_UNAVAILABLE"},
		"closed store":        {store.ErrClosed, codes.Unavailable, "SHUTTING_DOWN"},
		"shutting down":       {errShuttingDown, codes.Unavailable, "SHUTTING_DOWN"},
		"overloaded":          {errOverloaded, codes.Unavailable, "OVERLOADED"},
		"malformed cursor":    {store.ErrCursorMalformed, codes.InvalidArgument, "CURSOR_MALFORMED"},
		"foreign cursor":      {store.ErrCursorForeign, codes.FailedPrecondition, "CURSOR_FOREIGN"},
		"expired cursor":      {fmt.Errorf("read: %w", &store.ExpiredError{}), codes.OutOfRange, "CURSOR_EXPIRED"},
		"outdated ack":        {store.ErrOutdated, codes.FailedPrecondition, "ACKNOWLEDGEMENT_OUTDATED"},
		"malformed ack":       {errAcknowledgement, codes.InvalidArgument, "ACKNOWLEDGEMENT_MALFORMED"},
		"no subscription":     {errNoSubscription, codes.NotFound, "SUBSCRIPTION_NOT_FOUND"},
		"one too many":        {store.ErrTooMany, codes.ResourceExhausted, "TOO_MANY_SUBSCRIPTIONS"},
		"another's":           {errOthersSubscription, codes.PermissionDenied, "PERMISSION_DENIED"},
		"a name taken":        {fmt.Errorf("%w: x", errSubscriptionExists), codes.AlreadyExists, "SUBSCRIPTION_EXISTS"},
		"taken over":          {fmt.Errorf("%w: x", errTakenOver), codes.Aborted, "SUBSCRIPTION_TAKEN_OVER"},
		"a bad condition":     {fmt.Errorf("x: %w", &conditionError{&condition.SyntaxError{}}), codes.InvalidArgument, "CONDITION_INVALID"},
		"an old condition":    {fmt.Errorf("%w: x", errConditionNotCurrent), codes.FailedPrecondition, "CONDITION_INVALID"},
		"nothing there":       {store.ErrNotFound, codes.NotFound, "OUTCOME_NOT_FOUND"},
		"several":             {&ambiguousError{names: []string{"outcomes/a", "outcomes/b"}}, codes.FailedPrecondition, "AMBIGUOUS"},
		"a corrupt row":       {fmt.Errorf("%w: %w", store.ErrCorrupt, secret), codes.DataLoss, "STORED_DATA_DAMAGED"},
		"anything else":       {secret, codes.Internal, "INTERNAL"},
		"the caller went":     {context.Canceled, codes.Canceled, "CANCELED"},
		"the caller's time":   {context.DeadlineExceeded, codes.DeadlineExceeded, "DEADLINE_EXCEEDED"},
		"a status stays":      {status.Error(codes.Aborted, "x"), codes.Aborted, ""},
		"nothing is no error": {nil, codes.OK, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := statusOf(test.err)
			reason := ""
			for _, detail := range got.Details() {
				if info, ok := detail.(*errdetails.ErrorInfo); ok {
					reason = info.GetReason()
				}
			}
			if got.Code() != test.code || reason != test.reason {
				t.Errorf("%s %q, want %s %q", got.Code(), reason, test.code, test.reason)
			}
			if strings.Contains(got.Message(), secret.Error()) {
				t.Errorf("the message shows what only the log may hold: %s", got.Message())
			}
		})
	}
}
