package server

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"

	"buf.build/go/protovalidate"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/server/bounds"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// errorDomain is the domain of our ErrorInfo.
const errorDomain = "callnorm.dev"

// Errors of the server itself.
var (
	errShuttingDown = errors.New("the server is shutting down; come back with the last cursor")
	errOverloaded   = errors.New("too many requests at a time; try again")
	errRequest      = errors.New("the request is not valid")
	errRoute        = errors.New("nothing is served at this path")
	errMethod       = errors.New("the path takes other methods")
)

// ambiguousError says that an id stands for several outcomes.
type ambiguousError struct{ names []string }

func (e *ambiguousError) Error() string {
	return "the id stands for several outcomes: " + strings.Join(e.names, ", ") + "; ask for one by its name, or narrow the search by provider or source"
}

// mappings is the one place where errors become codes; the first that fits counts. Retry advice is part of choosing one:
// UNAVAILABLE says again, INVALID_ARGUMENT says never. Our own failure is never the caller's fault.
var mappings = []struct {
	err    error
	code   codes.Code
	reason callnormv1.ErrorReason
	// message is shown instead of the error's text, where that may hold paths or addresses of the machine.
	message string
}{
	{
		intake.ErrNotKept, codes.Unavailable, callnormv1.ErrorReason_ERROR_REASON_STORE_UNAVAILABLE,
		"the delivery may not have been kept; send it again (a repeated delivery does no harm)",
	},
	{
		bounds.ErrUnreadable, codes.Unavailable, callnormv1.ErrorReason_ERROR_REASON_BODY_UNREADABLE,
		"the body did not arrive as a whole; send it again",
	},
	{
		bounds.ErrTooSlow, codes.Unavailable, callnormv1.ErrorReason_ERROR_REASON_BODY_UNREADABLE,
		"the body came too slowly; send it again",
	},
	{bounds.ErrOverloaded, codes.Unavailable, callnormv1.ErrorReason_ERROR_REASON_OVERLOADED, ""},
	{bounds.ErrTooLarge, codes.InvalidArgument, callnormv1.ErrorReason_ERROR_REASON_BODY_TOO_LARGE, ""},
	{bounds.ErrEncoding, codes.InvalidArgument, callnormv1.ErrorReason_ERROR_REASON_ENCODING_UNSUPPORTED, ""},
	{bounds.ErrCorrupt, codes.InvalidArgument, callnormv1.ErrorReason_ERROR_REASON_INVALID_REQUEST, ""},
	{
		store.ErrUnavailable, codes.Unavailable, callnormv1.ErrorReason_ERROR_REASON_STORE_UNAVAILABLE,
		"the store is not available at the moment; try again",
	},
	{
		store.ErrCorrupt, codes.DataLoss, callnormv1.ErrorReason_ERROR_REASON_STORED_DATA_DAMAGED,
		"what is kept is not what was written, and is not served; the log names it, callnorm doctor --deep names all that is damaged",
	},
	{intake.ErrSourceNotFound, codes.NotFound, callnormv1.ErrorReason_ERROR_REASON_SOURCE_NOT_FOUND, ""},
	{intake.ErrSourceDisabled, codes.NotFound, callnormv1.ErrorReason_ERROR_REASON_SOURCE_DISABLED, ""},
	{intake.ErrAdapterNotFound, codes.NotFound, callnormv1.ErrorReason_ERROR_REASON_ADAPTER_NOT_FOUND, ""},
	{intake.ErrNoAdapter, codes.InvalidArgument, callnormv1.ErrorReason_ERROR_REASON_INVALID_REQUEST, ""},
	{intake.ErrBodyTooLarge, codes.InvalidArgument, callnormv1.ErrorReason_ERROR_REASON_BODY_TOO_LARGE, ""},
	{errRequest, codes.InvalidArgument, callnormv1.ErrorReason_ERROR_REASON_INVALID_REQUEST, ""},
	{errRoute, codes.NotFound, callnormv1.ErrorReason_ERROR_REASON_ROUTE_NOT_FOUND, ""},
	{errMethod, codes.Unimplemented, callnormv1.ErrorReason_ERROR_REASON_METHOD_NOT_ALLOWED, ""},
	{errOverloaded, codes.Unavailable, callnormv1.ErrorReason_ERROR_REASON_OVERLOADED, ""},
	{errShuttingDown, codes.Unavailable, callnormv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN, ""},
	{store.ErrClosed, codes.Unavailable, callnormv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN, ""},
	{store.ErrCursorMalformed, codes.InvalidArgument, callnormv1.ErrorReason_ERROR_REASON_CURSOR_MALFORMED, ""},
	{store.ErrCursorForeign, codes.FailedPrecondition, callnormv1.ErrorReason_ERROR_REASON_CURSOR_FOREIGN, ""},
	{store.ErrTracesLeft, codes.Unavailable, callnormv1.ErrorReason_ERROR_REASON_TRACES_LEFT, ""},
	{store.ErrOutdated, codes.FailedPrecondition, callnormv1.ErrorReason_ERROR_REASON_ACKNOWLEDGEMENT_OUTDATED, ""},
	{store.ErrTooMany, codes.ResourceExhausted, callnormv1.ErrorReason_ERROR_REASON_TOO_MANY_SUBSCRIPTIONS, ""},
	{errNoSubscription, codes.NotFound, callnormv1.ErrorReason_ERROR_REASON_SUBSCRIPTION_NOT_FOUND, ""},
	{errSubscriptionExists, codes.AlreadyExists, callnormv1.ErrorReason_ERROR_REASON_SUBSCRIPTION_EXISTS, ""},
	{errOthersSubscription, codes.PermissionDenied, callnormv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED, ""},
	{errTakenOver, codes.Aborted, callnormv1.ErrorReason_ERROR_REASON_SUBSCRIPTION_TAKEN_OVER, ""},
	{errAcknowledgement, codes.InvalidArgument, callnormv1.ErrorReason_ERROR_REASON_ACKNOWLEDGEMENT_MALFORMED, ""},
	{errConditionNotCurrent, codes.FailedPrecondition, callnormv1.ErrorReason_ERROR_REASON_CONDITION_INVALID, ""},
	{intake.ErrSourceGone, codes.FailedPrecondition, callnormv1.ErrorReason_ERROR_REASON_NOT_RENORMALIZED, ""},
	{intake.ErrFailsNow, codes.FailedPrecondition, callnormv1.ErrorReason_ERROR_REASON_NOT_RENORMALIZED, ""},
	{rejection.ErrClosed, codes.Unavailable, callnormv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN, ""},
	{errPageToken, codes.InvalidArgument, callnormv1.ErrorReason_ERROR_REASON_PAGE_TOKEN_MALFORMED, ""},
	{rejection.ErrID, codes.InvalidArgument, callnormv1.ErrorReason_ERROR_REASON_PAGE_TOKEN_MALFORMED, errPageToken.Error()},
	{errNoDelivery, codes.NotFound, callnormv1.ErrorReason_ERROR_REASON_DELIVERY_NOT_FOUND, ""},
	{errNoRevision, codes.NotFound, callnormv1.ErrorReason_ERROR_REASON_REVISION_NOT_FOUND, ""},
	{store.ErrNotFound, codes.NotFound, callnormv1.ErrorReason_ERROR_REASON_OUTCOME_NOT_FOUND, ""},
	{context.Canceled, codes.Canceled, callnormv1.ErrorReason_ERROR_REASON_CANCELED, "the caller went away"},
	{context.DeadlineExceeded, codes.DeadlineExceeded, callnormv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED, "the deadline passed"},
}

const internalMessage = "the server failed; the cause is in its log"

// statusOf maps an error to a status with exactly one ErrorInfo.
func statusOf(err error) *status.Status {
	if err == nil {
		return nil
	}
	if s, ok := status.FromError(err); ok {
		return informed(s)
	}
	ambiguous := (*ambiguousError)(nil)
	violations := (*protovalidate.ValidationError)(nil)
	unverified := (*intake.NotVerifiedError)(nil)
	busy := (*intake.BusyError)(nil)
	condition := (*conditionError)(nil)
	expired := (*store.ExpiredError)(nil)
	switch {
	case errors.As(err, &condition):
		return condition.status()
	case errors.As(err, &expired):
		return with(codes.OutOfRange, callnormv1.ErrorReason_ERROR_REASON_CURSOR_EXPIRED, err.Error(),
			map[string]string{"oldest_cursor": expired.Oldest.String()})
	case errors.As(err, &unverified):
		return with(codes.Unauthenticated, callnormv1.ErrorReason_ERROR_REASON_NOT_VERIFIED, unverified.Error(),
			map[string]string{"cause": strings.TrimPrefix(unverified.Cause.String(), "REJECTION_CAUSE_")})
	case errors.As(err, &busy):
		return with(codes.Unavailable, callnormv1.ErrorReason_ERROR_REASON_OVERLOADED, busy.Error(), nil,
			&errdetails.RetryInfo{RetryDelay: durationpb.New(busy.RetryAfter)})
	case errors.As(err, &violations):
		return invalid(violations)
	case errors.As(err, &ambiguous):
		return with(codes.FailedPrecondition, callnormv1.ErrorReason_ERROR_REASON_AMBIGUOUS, err.Error(),
			map[string]string{"outcomes": strings.Join(ambiguous.names, ",")})
	}
	for _, m := range mappings {
		if !errors.Is(err, m.err) {
			continue
		}
		if m.message == "" {
			m.message = err.Error()
		}
		return with(m.code, m.reason, m.message, nil)
	}
	return with(codes.Internal, callnormv1.ErrorReason_ERROR_REASON_INTERNAL, internalMessage, nil)
}

// informed returns a status that somebody else made, such as the gateway, with an ErrorInfo.
func informed(s *status.Status) *status.Status {
	for _, detail := range s.Details() {
		if _, ok := detail.(*errdetails.ErrorInfo); ok {
			return s
		}
	}
	reason, ok := map[codes.Code]callnormv1.ErrorReason{
		codes.InvalidArgument:  callnormv1.ErrorReason_ERROR_REASON_INVALID_REQUEST,
		codes.NotFound:         callnormv1.ErrorReason_ERROR_REASON_ROUTE_NOT_FOUND,
		codes.Unimplemented:    callnormv1.ErrorReason_ERROR_REASON_METHOD_NOT_ALLOWED,
		codes.DeadlineExceeded: callnormv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED,
		codes.Canceled:         callnormv1.ErrorReason_ERROR_REASON_CANCELED,
		codes.Unauthenticated:  callnormv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED,
		codes.PermissionDenied: callnormv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED,
		codes.Unavailable:      callnormv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN,
	}[s.Code()]
	if !ok || len(s.Details()) > 0 {
		return s
	}
	return with(s.Code(), reason, s.Message(), nil)
}

func with(code codes.Code, reason callnormv1.ErrorReason, message string, metadata map[string]string, more ...protoadapt.MessageV1) *status.Status {
	plain := status.New(code, message)
	info := &errdetails.ErrorInfo{
		Reason: strings.TrimPrefix(reason.String(), "ERROR_REASON_"), Domain: errorDomain, Metadata: metadata,
	}
	full, err := plain.WithDetails(append([]protoadapt.MessageV1{info}, more...)...)
	if err != nil {
		return plain
	}
	return full
}

// invalid lists each broken rule of a request. The rules are ours, and their texts do not repeat values.
func invalid(violations *protovalidate.ValidationError) *status.Status {
	bad := &errdetails.BadRequest{}
	var texts []string
	// All of them might not fit into what a client takes for trailers.
	const most = 20
	for _, violation := range violations.Violations[:min(most, len(violations.Violations))] {
		field := protovalidate.FieldPathString(violation.Proto.GetField())
		if field == "" {
			field = violation.Proto.GetRuleId()
		}
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field: field, Description: violation.Proto.GetMessage(),
		})
		texts = append(texts, field+": "+violation.Proto.GetMessage())
	}
	return with(codes.InvalidArgument, callnormv1.ErrorReason_ERROR_REASON_INVALID_REQUEST,
		"the request is not valid: "+strings.Join(texts, "; "), nil, bad)
}

// fail returns the error as a status error, logs it once if it is our own, and counts it if it keeps a reader out.
func (s *Server) fail(ctx context.Context, operation string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	known := statusOf(err)
	switch known.Code() {
	case codes.Internal, codes.Unknown, codes.DataLoss:
		s.log.ErrorContext(ctx, "request failed", "operation", operation, "error", err)
	case codes.Unavailable:
		if errors.Is(err, errShuttingDown) {
			break // as it should
		}
		s.log.WarnContext(ctx, "request refused", "operation", operation, "error", err)
	case codes.Unauthenticated, codes.PermissionDenied:
		if unverified := (*intake.NotVerifiedError)(nil); !errors.As(err, &unverified) {
			s.metrics.denied.WithLabelValues(known.Code().String()).Inc()
		}
	}
	return known.Err()
}

// httpStatus is grpc-gateway's mapping, apart from what HTTP says more precisely.
func httpStatus(s *status.Status, fallback func(codes.Code) int) int {
	for _, detail := range s.Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		switch {
		case !ok:
		case info.GetReason() == "BODY_TOO_LARGE":
			return http.StatusRequestEntityTooLarge
		case info.GetReason() == "ENCODING_UNSUPPORTED":
			return http.StatusUnsupportedMediaType
		case info.GetReason() == "METHOD_NOT_ALLOWED":
			return http.StatusMethodNotAllowed
		}
	}
	return fallback(s.Code())
}

// retryAfter returns in how many seconds a refused request may come again.
func retryAfter(s *status.Status) string {
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return strconv.Itoa(max(1, int(math.Ceil(info.GetRetryDelay().AsDuration().Seconds()))))
		}
	}
	return "1"
}
