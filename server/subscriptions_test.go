package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/synthflow"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/server/access"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

// subscribe creates a subscription to all there is.
func (s *system) subscribe(t *testing.T, id string) *callnormv1.Subscription {
	t.Helper()
	created, err := s.subs.CreateSubscription(t.Context(), &callnormv1.CreateSubscriptionRequest{SubscriptionId: id})
	if err != nil {
		t.Fatal(err)
	}
	return created.GetSubscription()
}

type subscriptionStream = grpc.ServerStreamingClient[callnormv1.StreamSubscriptionResponse]

// streamSubscription opens a stream and reads its first message, which tells where it begins.
func (s *system) streamSubscription(t *testing.T, id string) subscriptionStream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	stream, err := s.subs.StreamSubscription(ctx, &callnormv1.StreamSubscriptionRequest{Name: "subscriptions/" + id})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil || first.GetOutcome() != nil || first.GetAckId() == "" {
		t.Fatalf("the first message tells where the stream begins, got %v, %v", first, err)
	}
	return stream
}

// take reads n outcomes and returns their call ids, and what acknowledges them.
func take(t *testing.T, stream subscriptionStream, n int) (list, acks []string) {
	t.Helper()
	for len(list) < n {
		message, err := stream.Recv()
		if err != nil {
			t.Fatalf("after %v: %v", list, err)
		}
		if message.GetOutcome() != nil {
			list, acks = append(list, message.GetOutcome().GetProviderCallId()), append(acks, message.GetAckId())
		}
	}
	return list, acks
}

func (s *system) acknowledge(t *testing.T, id, ack string) (*callnormv1.Subscription, error) {
	t.Helper()
	answer, err := s.subs.AcknowledgeSubscription(t.Context(), &callnormv1.AcknowledgeSubscriptionRequest{Name: "subscriptions/" + id, AckId: ack})
	return answer.GetSubscription(), err
}

// ending reads a stream to its end.
func ending(stream subscriptionStream) error {
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
}

// expect fails the test unless an error has a code and a reason.
func expect(t *testing.T, what string, err error, code codes.Code, why string) {
	t.Helper()
	if status.Code(err) != code || reason(t, err) != why {
		t.Errorf("%s: %v, want %v %s", what, err, code, why)
	}
}

func TestWhatIsNotAcknowledgedComesAgain(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	for i := range 5 {
		s.deliver(t, "synthflow", call(fmt.Sprint("c", i), "completed"))
	}
	created := s.subscribe(t, "crm")
	if created.GetName() != "subscriptions/crm" || created.GetReader() != "everyone" || created.GetLagCount() != 5 || created.GetLag() == nil || created.GetActive() {
		t.Errorf("created: %v", created)
	}
	stream := s.streamSubscription(t, "crm")
	got, acks := take(t, stream, 4)
	if diff := cmp.Diff([]string{"c0", "c1", "c2", "c3"}, got); diff != "" {
		t.Errorf("the first stream (-want +got):\n%s", diff)
	}
	after, err := s.acknowledge(t, "crm", acks[1])
	if err != nil || after.GetLagCount() != 3 || !after.GetActive() {
		t.Errorf("acknowledged: %v, %v", after, err)
	}
	if older, err := s.acknowledge(t, "crm", acks[0]); err != nil || older.GetCursor() != after.GetCursor() {
		t.Errorf("an older acknowledgement: %v, %v", older, err)
	}
	cursor, _ := s.stream(t, &callnormv1.StreamOutcomesRequest{Start: &callnormv1.StreamOutcomesRequest_After{After: after.GetCursor()}})
	if got, _ := ids(t, cursor, 1); got[0] != "c2" {
		t.Errorf("its cursor leads to %v", got)
	}

	second := s.streamSubscription(t, "crm")
	expect(t, "the first stream", ending(stream), codes.Aborted, "SUBSCRIPTION_TAKEN_OVER")
	if got, _ := take(t, second, 3); fmt.Sprint(got) != "[c2 c3 c4]" {
		t.Errorf("the second stream: %v", got)
	}

	s.stop()
	end := ending(second)
	expect(t, "the server goes away", end, codes.Unavailable, "SHUTTING_DOWN")
	s = start(t, dir)
	third := s.streamSubscription(t, "crm")
	got, acks = take(t, third, 3)
	if fmt.Sprint(got) != "[c2 c3 c4]" {
		t.Errorf("after a restart: %v", got)
	}
	if done, err := s.acknowledge(t, "crm", acks[2]); err != nil || done.GetLagCount() != 0 || done.GetLag() != nil {
		t.Errorf("all acknowledged: %v, %v", done, err)
	}
	s.deliver(t, "synthflow", call("c5", "completed"))
	if got, _ := take(t, third, 1); got[0] != "c5" {
		t.Errorf("what is new: %v", got)
	}
}

func TestSubscriptionsAreCreatedOnce(t *testing.T) {
	s := start(t, t.TempDir())
	s.deliver(t, "synthflow", call("c0", "completed"))
	filter := &callnormv1.OutcomeFilter{Providers: []string{"anunzi"}, Condition: "outcome.status == CALL_STATUS_BUSY"}
	first, err := s.subs.CreateSubscription(t.Context(), &callnormv1.CreateSubscriptionRequest{
		SubscriptionId: "crm", Filter: filter, Start: &callnormv1.CreateSubscriptionRequest_StartAt{StartAt: callnormv1.StreamStart_STREAM_START_NOW},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(filter, first.GetSubscription().GetFilter(), protocmp.Transform()); diff != "" || first.GetSubscription().GetLagCount() != 0 {
		t.Errorf("%v, its filter (-want +got):\n%s", first, diff)
	}
	s.deliver(t, "synthflow", call("c1", "completed"))
	tests := map[string]struct {
		request *callnormv1.CreateSubscriptionRequest
		code    codes.Code
		reason  string
	}{
		"the same":                 {&callnormv1.CreateSubscriptionRequest{SubscriptionId: "crm", Filter: filter}, codes.OK, ""},
		"the same with a start":    {&callnormv1.CreateSubscriptionRequest{SubscriptionId: "crm", Filter: filter, Start: &callnormv1.CreateSubscriptionRequest_After{After: "long gone"}}, codes.OK, ""},
		"without a filter":         {&callnormv1.CreateSubscriptionRequest{SubscriptionId: "crm"}, codes.AlreadyExists, "SUBSCRIPTION_EXISTS"},
		"with a bad condition":     {&callnormv1.CreateSubscriptionRequest{SubscriptionId: "new", Filter: &callnormv1.OutcomeFilter{Condition: "outcome.nothing"}}, codes.InvalidArgument, "CONDITION_INVALID"},
		"with a bad cursor":        {&callnormv1.CreateSubscriptionRequest{SubscriptionId: "new", Start: &callnormv1.CreateSubscriptionRequest_After{}}, codes.InvalidArgument, "CURSOR_MALFORMED"},
		"with a name that is none": {&callnormv1.CreateSubscriptionRequest{SubscriptionId: "-"}, codes.InvalidArgument, "INVALID_REQUEST"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			again, err := s.subs.CreateSubscription(t.Context(), test.request)
			expect(t, "creating it", err, test.code, test.reason)
			if err == nil && (again.GetSubscription().GetCursor() != first.GetSubscription().GetCursor() || again.GetSubscription().GetLagCount() != 1) {
				t.Errorf("%v is not %v, one behind", again, first)
			}
		})
	}
}

func TestResetAndDelete(t *testing.T) {
	s := start(t, t.TempDir())
	for i := range 3 {
		s.deliver(t, "synthflow", call(fmt.Sprint("c", i), "completed"))
	}
	s.subscribe(t, "crm")
	s.subscribe(t, "other")
	stream := s.streamSubscription(t, "crm")
	_, acks := take(t, stream, 3)
	other := s.streamSubscription(t, "other")
	_, others := take(t, other, 1)
	for what, ack := range map[string]string{"one that is none": "x", "another subscription's": others[0]} {
		_, err := s.acknowledge(t, "crm", ack)
		expect(t, what, err, codes.InvalidArgument, "ACKNOWLEDGEMENT_MALFORMED")
	}
	if _, err := s.acknowledge(t, "crm", acks[2]); err != nil {
		t.Fatal(err)
	}
	reset, err := s.subs.ResetSubscription(t.Context(), &callnormv1.ResetSubscriptionRequest{
		Name: "subscriptions/crm", Start: &callnormv1.ResetSubscriptionRequest_StartAt{StartAt: callnormv1.StreamStart_STREAM_START_BEGINNING},
	})
	if err != nil || reset.GetSubscription().GetLagCount() != 3 || reset.GetSubscription().GetActive() {
		t.Errorf("reset: %v, %v", reset, err)
	}
	expect(t, "the stream that was reset", ending(stream), codes.Aborted, "SUBSCRIPTION_TAKEN_OVER")
	_, err = s.acknowledge(t, "crm", acks[2])
	expect(t, "an acknowledgement from before", err, codes.FailedPrecondition, "ACKNOWLEDGEMENT_OUTDATED")
	again := s.streamSubscription(t, "crm")
	if got, _ := take(t, again, 3); got[0] != "c0" {
		t.Errorf("after the reset: %v", got)
	}
	_, err = s.subs.ResetSubscription(t.Context(), &callnormv1.ResetSubscriptionRequest{
		Name: "subscriptions/crm", Start: &callnormv1.ResetSubscriptionRequest_After{After: "x"},
	})
	expect(t, "a reset to nowhere", err, codes.InvalidArgument, "CURSOR_MALFORMED")

	if _, err := s.subs.DeleteSubscription(t.Context(), &callnormv1.DeleteSubscriptionRequest{Name: "subscriptions/crm"}); err != nil {
		t.Fatal(err)
	}
	expect(t, "the stream that was deleted", ending(again), codes.Aborted, "SUBSCRIPTION_TAKEN_OVER")
	_, err = s.subs.GetSubscription(t.Context(), &callnormv1.GetSubscriptionRequest{Name: "subscriptions/crm"})
	expect(t, "what was deleted", err, codes.NotFound, "SUBSCRIPTION_NOT_FOUND")
	s.subscribe(t, "crm")
	_, err = s.acknowledge(t, "crm", acks[2])
	expect(t, "an acknowledgement of what was deleted", err, codes.FailedPrecondition, "ACKNOWLEDGEMENT_OUTDATED")
	if got, _ := take(t, s.streamSubscription(t, "other"), 3); len(got) != 3 {
		t.Errorf("the other one: %v", got)
	}
}

func TestRetentionPassesReadersBy(t *testing.T) {
	s := start(t, t.TempDir())
	s.subscribe(t, "late")
	var cursors []string
	stream, beginning := s.stream(t, &callnormv1.StreamOutcomesRequest{})
	for i := range 3 {
		s.deliver(t, "synthflow", call(fmt.Sprint("c", i), "completed"))
	}
	_, cursors = ids(t, stream, 3)
	_, acks := take(t, s.streamSubscription(t, "late"), 3)
	removed, err := s.kept.Trim(t.Context(), "synthflow", store.Retention{Before: time.Now().Add(time.Hour)})
	if err != nil || removed.Outcomes != 3 {
		t.Fatalf("%+v, %v", removed, err)
	}
	s.deliver(t, "synthflow", call("c3", "completed"))
	if got, _ := ids(t, stream, 1); got[0] != "c3" {
		t.Errorf("who has seen it all goes on: %v", got)
	}
	refused, err := s.outcomes.StreamOutcomes(t.Context(), &callnormv1.StreamOutcomesRequest{Start: &callnormv1.StreamOutcomesRequest_After{After: beginning}})
	if err == nil {
		_, err = refused.Recv()
	}
	expect(t, "who has not", err, codes.OutOfRange, "CURSOR_EXPIRED")
	oldest := metadataOf(err)["oldest_cursor"]
	from, _ := s.stream(t, &callnormv1.StreamOutcomesRequest{Start: &callnormv1.StreamOutcomesRequest_After{After: oldest}})
	if got, _ := ids(t, from, 1); got[0] != "c3" {
		t.Errorf("the oldest cursor leads to %v", got)
	}
	s.stream(t, &callnormv1.StreamOutcomesRequest{Start: &callnormv1.StreamOutcomesRequest_After{After: cursors[2]}})
	s.stream(t, &callnormv1.StreamOutcomesRequest{
		Start: &callnormv1.StreamOutcomesRequest_After{After: beginning}, Filter: &callnormv1.OutcomeFilter{Sources: []string{"second"}},
	})

	behind, err := s.subs.GetSubscription(t.Context(), &callnormv1.GetSubscriptionRequest{Name: "subscriptions/late"})
	if err != nil || !behind.GetSubscription().GetExpired() || behind.GetSubscription().GetLag() == nil {
		t.Errorf("the subscription: %v, %v", behind, err)
	}
	passed, err := s.subs.StreamSubscription(t.Context(), &callnormv1.StreamSubscriptionRequest{Name: "subscriptions/late"})
	if err != nil {
		t.Fatal(err)
	}
	err = ending(passed)
	expect(t, "its stream", err, codes.OutOfRange, "CURSOR_EXPIRED")
	if metadataOf(err)["oldest_cursor"] == "" {
		t.Errorf("no oldest cursor: %v", err)
	}
	// What came before retention did is done, and nothing else is missed.
	if done, err := s.acknowledge(t, "late", acks[2]); err != nil || done.GetExpired() || done.GetLagCount() != 1 {
		t.Errorf("acknowledged late: %v, %v", done, err)
	}
	if got, _ := take(t, s.streamSubscription(t, "late"), 1); got[0] != "c3" {
		t.Errorf("it goes on with %v", got)
	}
}

// metadataOf returns what the ErrorInfo of an error says beside its reason.
func metadataOf(err error) map[string]string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetMetadata()
		}
	}
	return nil
}

func TestConditions(t *testing.T) {
	s := start(t, t.TempDir())
	for i := range 4 {
		s.deliver(t, "synthflow", call(fmt.Sprint("c", i), []string{"completed", "busy"}[i%2]))
	}
	busy := &callnormv1.OutcomeFilter{Condition: "outcome.status == CALL_STATUS_BUSY"}
	stream, _ := s.stream(t, &callnormv1.StreamOutcomesRequest{Filter: busy})
	if got, _ := ids(t, stream, 2); fmt.Sprint(got) != "[c1 c3]" {
		t.Errorf("got %v", got)
	}
	refused, err := s.outcomes.StreamOutcomes(t.Context(), &callnormv1.StreamOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Condition: "true &&\n  outcome.sttus == 1"}})
	if err == nil {
		_, err = refused.Recv()
	}
	expect(t, "a bad condition", err, codes.InvalidArgument, "CONDITION_INVALID")
	found := false
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			found = bad.GetFieldViolations()[0].GetField() == "filter.condition"
		}
	}
	if !found || !strings.Contains(err.Error(), "line 2, column") {
		t.Errorf("it tells neither the field nor the place: %v", err)
	}

	// Another release may have taken what this one does not.
	filter, err := proto.Marshal(&callnormv1.OutcomeFilter{Condition: "of(another) release"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.kept.CreateSubscription(t.Context(), store.Subscription{Name: "old", Owner: "everyone", Filter: filter, Cursor: s.beginning(t)}, 10); err != nil {
		t.Fatal(err)
	}
	if list, err := s.subs.ListSubscriptions(t.Context(), &callnormv1.ListSubscriptionsRequest{}); err != nil || len(list.GetSubscriptions()) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	old, err := s.subs.StreamSubscription(t.Context(), &callnormv1.StreamSubscriptionRequest{Name: "subscriptions/old"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "an old condition", ending(old), codes.FailedPrecondition, "CONDITION_INVALID")
}

func (s *system) beginning(t *testing.T) store.Cursor {
	t.Helper()
	cursor, err := s.kept.Beginning(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return cursor
}

// TestSubscriptionsBelongToReaders asks over gRPC and over REST, where the caller is another connection's.
func TestSubscriptionsBelongToReaders(t *testing.T) {
	with := setup{adapters: []adapters.Adapter{synthflow.New()}}
	tokens := map[string]signature.Secret{"mine": "mine-token-0123456789", "others": "others-token-0123456789", "operator": operatorToken}
	for name, token := range tokens {
		role := access.RoleRead
		if name == "operator" {
			role = access.RoleOperate
		}
		with.readers = append(with.readers, access.Reader{Name: name, Roles: []access.Role{role}, Tokens: []signature.Secret{token}})
	}
	s := with.start(t, t.TempDir())
	// rest asks over REST, with a header that nobody should believe.
	rest := func(t *testing.T, who, method, path, body string) (codes.Code, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = http.Header{
			"Authorization": {"Bearer " + string(tokens[who])}, "Grpc-Metadata-Callnorm-Reader-Bin": {"b3BlcmF0b3I"}, "Grpc-Metadata-Callnorm-Role": {"operate"},
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		text, _ := bufio.NewReader(response.Body).ReadString('\n')
		var failed struct {
			Code  codes.Code `json:"code"`
			Error struct {
				Code codes.Code `json:"code"`
			} `json:"error"`
		}
		if err := json.Unmarshal([]byte(text), &failed); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return max(failed.Code, failed.Error.Code), text
	}
	as := func(who string) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+string(tokens[who]))
	}
	if _, err := s.subs.CreateSubscription(as("mine"), &callnormv1.CreateSubscriptionRequest{SubscriptionId: "grpc"}); err != nil {
		t.Fatal(err)
	}
	if code, text := rest(t, "mine", http.MethodPost, "/v1/subscriptions", `{"subscriptionId":"rest"}`); code != codes.OK || !strings.Contains(text, `"reader":"mine"`) {
		t.Fatalf("%v: %s", code, text)
	}
	for who, want := range map[string]codes.Code{"mine": codes.OK, "others": codes.PermissionDenied, "operator": codes.OK} {
		t.Run(who, func(t *testing.T) {
			for _, name := range []string{"subscriptions/grpc", "subscriptions/rest"} {
				_, err := s.subs.GetSubscription(as(who), &callnormv1.GetSubscriptionRequest{Name: name})
				if status.Code(err) != want {
					t.Errorf("get %s: %v", name, err)
				}
				ctx, cancel := context.WithCancel(as(who))
				stream, err := s.subs.StreamSubscription(ctx, &callnormv1.StreamSubscriptionRequest{Name: name})
				if err == nil {
					_, err = stream.Recv()
				}
				cancel()
				if status.Code(err) != want {
					t.Errorf("stream %s: %v", name, err)
				}
				for _, path := range []string{"", ":stream"} {
					if code, text := rest(t, who, http.MethodGet, "/v1/"+name+path, ""); code != want {
						t.Errorf("GET %s%s: %v %s", name, path, code, text)
					}
				}
			}
			list, err := s.subs.ListSubscriptions(as(who), &callnormv1.ListSubscriptionsRequest{})
			over := &callnormv1.ListSubscriptionsResponse{}
			_, text := rest(t, who, http.MethodGet, "/v1/subscriptions", "")
			if err := protojson.Unmarshal([]byte(text), over); err != nil {
				t.Fatal(err)
			}
			seen := map[codes.Code]int{codes.OK: 2}[want]
			if err != nil || len(list.GetSubscriptions()) != seen || len(over.GetSubscriptions()) != seen {
				t.Errorf("list: %v, %v; over REST %s", list, err, text)
			}
		})
	}
	_, err := s.subs.CreateSubscription(as("others"), &callnormv1.CreateSubscriptionRequest{SubscriptionId: "grpc"})
	expect(t, "another's name", err, codes.AlreadyExists, "SUBSCRIPTION_EXISTS")
	_, err = s.subs.DeleteSubscription(as("others"), &callnormv1.DeleteSubscriptionRequest{Name: "subscriptions/grpc"})
	expect(t, "deleting another's", err, codes.PermissionDenied, "PERMISSION_DENIED")
	if code, text := rest(t, "operator", http.MethodDelete, "/v1/subscriptions/grpc", ""); code != codes.OK {
		t.Errorf("deleting as one who may operate: %v %s", code, text)
	}
}

func TestSubscriptionsOverREST(t *testing.T) {
	s := start(t, t.TempDir())
	for i := range 3 {
		s.deliver(t, "synthflow", call(fmt.Sprint("c", i), "completed"))
	}
	if code, text := s.request(t, http.MethodPost, "/v1/subscriptions", []byte(`{"subscriptionId":"crm","filter":{"condition":"outcome.provider_call_id != 'c1'"}}`)); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/subscriptions/crm:stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	var got []string
	ack := ""
	for len(got) < 2 && lines.Scan() {
		var line struct {
			Result json.RawMessage `json:"result"`
		}
		message := &callnormv1.StreamSubscriptionResponse{}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if err := protojson.Unmarshal(line.Result, message); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		if outcome := message.GetOutcome(); outcome != nil {
			got, ack = append(got, outcome.GetProviderCallId()), message.GetAckId()
			kept, err := s.outcomes.GetOutcome(t.Context(), &callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_Name{Name: outcome.GetName()}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(kept.GetOutcome(), outcome, protocmp.Transform()); diff != "" {
				t.Errorf("what is kept, and what was streamed (-kept +streamed):\n%s", diff)
			}
		}
	}
	if fmt.Sprint(got) != "[c0 c2]" {
		t.Errorf("streamed %v", got)
	}
	body, err := json.Marshal(map[string]string{"ackId": ack})
	if err != nil {
		t.Fatal(err)
	}
	if code, text := s.request(t, http.MethodPost, "/v1/subscriptions/crm:acknowledge", body); code != http.StatusOK || !strings.Contains(string(text), `"cursor"`) || strings.Contains(string(text), "lag") {
		t.Errorf("acknowledged: %d %s", code, text)
	}
	if code, text := s.request(t, http.MethodPost, "/v1/subscriptions/crm:reset", []byte(`{"startAt":"STREAM_START_BEGINNING"}`)); code != http.StatusOK || !strings.Contains(string(text), `"lagCount":"3"`) {
		t.Errorf("reset: %d %s", code, text)
	}
	for lines.Scan() {
		got = append(got, lines.Text())
	}
	if last := got[len(got)-1]; !strings.Contains(last, "SUBSCRIPTION_TAKEN_OVER") {
		t.Errorf("the stream ends with %s", last)
	}
	for _, path := range []string{"/v1/outcomes:stream?filter.providrs=x", "/v1/outcomes:stream?after.x=y"} {
		if code, text := s.request(t, http.MethodGet, path, nil); code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
}

// TestReadersWhoStallDelayNobody has readers of whom half never receive, over connections that they share with the others.
func TestReadersWhoStallDelayNobody(t *testing.T) {
	const connections, each, window = 10, 10, 64 << 10 // of both kinds
	outcomes := 1000 / slowness
	with := setup{adapters: []adapters.Adapter{synthflow.New()}, reads: &atomic.Int64{}}
	with.sources = []intake.Source{{Name: "synthflow", Adapter: with.adapters[0], Provider: "synthflow", MaxBody: 1 << 20}}
	s := with.start(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var following sync.WaitGroup
	var clients []callnormv1.OutcomeServiceClient
	for range connections {
		// Windows of a fixed size: left to itself, the library widens those of all streams when some are read quickly.
		conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		clients = append(clients, callnormv1.NewOutcomeServiceClient(conn))
	}
	open := func(client callnormv1.OutcomeServiceClient) grpc.ServerStreamingClient[callnormv1.StreamOutcomesResponse] {
		stream, err := client.StreamOutcomes(ctx, &callnormv1.StreamOutcomesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	padding := strings.Repeat("All work and no play. ", 200)
	long := func(i int) []byte {
		return fmt.Appendf(nil, `{"status":"completed","call":{"call_id":"c%d","status":"completed","transcript":"bot: %s"}}`, i, padding)
	}
	for _, client := range clients {
		for range each {
			open(client) // and never receive
			stream := open(client)
			following.Go(func() {
				for next := 0; next < outcomes; {
					message, err := stream.Recv()
					switch {
					case err != nil:
						t.Errorf("after %d outcomes: %v", next, err)
						return
					case message.GetOutcome() == nil:
					case message.GetOutcome().GetProviderCallId() != fmt.Sprint("c", next):
						t.Errorf("%s came instead of c%d", message.GetOutcome().GetProviderCallId(), next)
						return
					default:
						next++
					}
				}
			})
		}
	}
	for i := range outcomes {
		s.deliver(t, "synthflow", long(i))
	}
	following.Wait() // Nobody waits for those who stall.
	// Of each who stalls, the server has read what fits between him and us, and a page.
	const between, page = window + (64+32)<<10, 128
	perStalled := int64(between/len(padding) + page)
	if read, most := with.reads.Load(), int64(connections*each)*(int64(outcomes)+perStalled); read > most {
		t.Errorf("%d entries were read, more than %d", read, most)
	}
}
