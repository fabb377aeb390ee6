package server_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// teller is an adapter whose deliveries are outcomes already, as JSON.
type teller struct{}

func (teller) Name() string        { return "teller" }
func (teller) Version() string     { return "1" }
func (teller) Providers() []string { return []string{"teller", "other"} }
func (teller) Example() string     { return "" }
func (teller) Scenarios() fs.FS    { return nil }

func (teller) Normalize(d adapters.Delivery) (adapters.Result, error) {
	call := &callnormv1.CallOutcome{}
	if err := protojson.Unmarshal(d.Body, call); err != nil {
		return adapters.Result{}, &adapters.Error{Reason: callnormv1.FaultReason_FAULT_REASON_MALFORMED, Detail: "no outcome"}
	}
	return adapters.Result{Outcomes: []adapters.Outcome{{Family: adapters.FamilyCall, CallID: call.GetProviderCallId(), Call: call}}}, nil
}

// telling is a system with two sources of tellers, each of another provider.
func telling(t *testing.T) *system {
	t.Helper()
	return setup{adapters: []adapters.Adapter{teller{}}, sources: []intake.Source{
		{Name: "tales", Adapter: teller{}, Provider: "teller", MaxBody: 2 << 20},
		{Name: "others", Adapter: teller{}, Provider: "other", MaxBody: 2 << 20},
	}}.start(t, t.TempDir())
}

// tell delivers an outcome to a source and returns its name.
func (s *system) tell(t *testing.T, source string, call *callnormv1.CallOutcome) string {
	t.Helper()
	body, err := protojson.Marshal(call)
	if err != nil {
		t.Fatal(err)
	}
	return s.deliver(t, source, body).GetOutcomes()[0].GetName()
}

// list returns the call ids of a page.
func (s *system) list(t *testing.T, request *callnormv1.ListOutcomesRequest) (ids []string, token string) {
	t.Helper()
	page, err := s.outcomes.ListOutcomes(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	return callIDs(page), page.GetNextPageToken()
}

func callIDs(page *callnormv1.ListOutcomesResponse) []string {
	ids := []string{}
	for _, outcome := range page.GetOutcomes() {
		ids = append(ids, outcome.GetProviderCallId())
	}
	return ids
}

// at is a time on a day in 2026, by the hour.
func at(hour int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC))
}

func TestListOutcomesChooses(t *testing.T) {
	s := telling(t)
	first := s.tell(t, "tales", &callnormv1.CallOutcome{
		ProviderCallId: "a", StartTime: at(1), Status: callnormv1.CallStatus_CALL_STATUS_COMPLETED,
		Completeness: callnormv1.Completeness_COMPLETENESS_FINAL, TalkDuration: durationpb.New(time.Minute),
		Disposition: &callnormv1.Disposition{Value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_INTERESTED},
		Contact:     &callnormv1.Contact{Phones: []*callnormv1.PhoneNumber{{AsReceived: "0202 555 0143", E164: "+12025550143"}}},
		ExternalIds: []*callnormv1.ExternalId{{System: "twilio.call_sid", Id: "CA1"}},
	})
	s.tell(t, "others", &callnormv1.CallOutcome{
		ProviderCallId: "b", StartTime: at(2), Status: callnormv1.CallStatus_CALL_STATUS_BUSY,
		Completeness: callnormv1.Completeness_COMPLETENESS_FINAL,
		Contact:      &callnormv1.Contact{Emails: []string{"Jo@Example.com"}},
	})
	s.tell(t, "tales", &callnormv1.CallOutcome{
		ProviderCallId: "c", StartTime: at(3), Status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS,
		Completeness: callnormv1.Completeness_COMPLETENESS_PARTIAL,
		Disposition:  &callnormv1.Disposition{DoNotCall: new(true)},
	})
	tests := map[string]struct {
		request *callnormv1.ListOutcomesRequest
		query   string
		want    []string
	}{
		"all, the newest call first": {&callnormv1.ListOutcomesRequest{}, "", []string{"c", "b", "a"}},
		"a provider": {
			&callnormv1.ListOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Providers: []string{"teller"}}}, "filter.providers=teller", []string{"c", "a"},
		},
		"two providers": {
			&callnormv1.ListOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Providers: []string{"teller", "other"}}},
			"filter.providers=teller&filter.providers=other", []string{"c", "b", "a"},
		},
		"a source": {
			&callnormv1.ListOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Sources: []string{"others"}}}, "filter.sources=others", []string{"b"},
		},
		"a source and another's provider": {
			&callnormv1.ListOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Sources: []string{"others"}, Providers: []string{"teller"}}},
			"filter.sources=others&filter.providers=teller", []string{},
		},
		"statuses": {
			&callnormv1.ListOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Statuses: []callnormv1.CallStatus{
				callnormv1.CallStatus_CALL_STATUS_BUSY, callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			}}}, "filter.statuses=CALL_STATUS_BUSY&filter.statuses=CALL_STATUS_COMPLETED", []string{"b", "a"},
		},
		"a completeness": {
			&callnormv1.ListOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Completenesses: []callnormv1.Completeness{
				callnormv1.Completeness_COMPLETENESS_FINAL,
			}}}, "filter.completenesses=COMPLETENESS_FINAL", []string{"b", "a"},
		},
		"a disposition": {
			&callnormv1.ListOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Dispositions: []callnormv1.ContactDisposition{
				callnormv1.ContactDisposition_CONTACT_DISPOSITION_INTERESTED,
			}}}, "filter.dispositions=CONTACT_DISPOSITION_INTERESTED", []string{"a"},
		},
		"a disposition that is not told": {
			&callnormv1.ListOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Dispositions: []callnormv1.ContactDisposition{
				callnormv1.ContactDisposition_CONTACT_DISPOSITION_UNSPECIFIED,
			}}}, "filter.dispositions=CONTACT_DISPOSITION_UNSPECIFIED", []string{"c", "b"},
		},
		"those never to be called again": {
			&callnormv1.ListOutcomesRequest{Filter: &callnormv1.OutcomeFilter{DoNotCall: new(true)}}, "filter.do_not_call=true", []string{"c"},
		},
		"those who may be called": {
			&callnormv1.ListOutcomesRequest{Filter: &callnormv1.OutcomeFilter{DoNotCall: new(false)}}, "filter.do_not_call=false", []string{"b", "a"},
		},
		"a name": {
			&callnormv1.ListOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Names: []string{first}}}, "filter.names=" + first, []string{"a"},
		},
		"a condition": {
			&callnormv1.ListOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Condition: `outcome.talk_duration >= duration("60s")`}},
			"filter.condition=" + url.QueryEscape(`outcome.talk_duration >= duration("60s")`), []string{"a"},
		},
		"a condition beside a status": {
			&callnormv1.ListOutcomesRequest{Filter: &callnormv1.OutcomeFilter{
				Condition: `outcome.provider_call_id != "a"`, Completenesses: []callnormv1.Completeness{callnormv1.Completeness_COMPLETENESS_FINAL},
			}},
			"filter.completenesses=COMPLETENESS_FINAL&filter.condition=" + url.QueryEscape(`outcome.provider_call_id != "a"`), []string{"b"},
		},
		"from a time": {&callnormv1.ListOutcomesRequest{BeginTime: at(2)}, "begin_time=2026-03-01T02:00:00Z", []string{"c", "b"}},
		"to a time":   {&callnormv1.ListOutcomesRequest{EndTime: at(2)}, "end_time=2026-03-01T02:00:00Z", []string{"a"}},
		"between two times": {
			&callnormv1.ListOutcomesRequest{BeginTime: at(2), EndTime: at(3)}, "begin_time=2026-03-01T02:00:00Z&end_time=2026-03-01T03:00:00Z", []string{"b"},
		},
		"a telephone number": {&callnormv1.ListOutcomesRequest{Address: "+1 202 555 0143"}, "address=%2B1+202+555+0143", []string{"a"}},
		"an e-mail address":  {&callnormv1.ListOutcomesRequest{Address: "jo@example.COM"}, "address=jo@example.COM", []string{"b"}},
		"a stranger":         {&callnormv1.ListOutcomesRequest{Address: "+12025550199"}, "address=%2B12025550199", []string{}},
		"a provider's id":    {&callnormv1.ListOutcomesRequest{ProviderCallId: "b"}, "provider_call_id=b", []string{"b"}},
		"another's id": {
			&callnormv1.ListOutcomesRequest{ExternalId: &callnormv1.ExternalId{System: "twilio.call_sid", Id: "CA1"}},
			"external_id.system=twilio.call_sid&external_id.id=CA1", []string{"a"},
		},
		"an id beside a status that it has not": {
			&callnormv1.ListOutcomesRequest{
				ProviderCallId: "b", Filter: &callnormv1.OutcomeFilter{Statuses: []callnormv1.CallStatus{callnormv1.CallStatus_CALL_STATUS_COMPLETED}},
			}, "provider_call_id=b&filter.statuses=CALL_STATUS_COMPLETED", []string{},
		},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			got, token := s.list(t, test.request)
			if diff := cmp.Diff(test.want, got); diff != "" || token != "" {
				t.Errorf("token %q, -want +got:\n%s", token, diff)
			}
			code, text := s.request(t, http.MethodGet, "/v1/outcomes?"+test.query, nil)
			page := &callnormv1.ListOutcomesResponse{}
			if err := protojson.Unmarshal(text, page); code != http.StatusOK || err != nil {
				t.Fatalf("%d %v: %s", code, err, text)
			}
			if diff := cmp.Diff(test.want, callIDs(page)); diff != "" {
				t.Errorf("over REST, -want +got:\n%s", diff)
			}
		})
	}
}

func TestListOutcomesRefuses(t *testing.T) {
	s := telling(t)
	for i := range 3 {
		s.tell(t, "tales", &callnormv1.CallOutcome{ProviderCallId: fmt.Sprint(i), StartTime: at(i)})
	}
	_, token := s.list(t, &callnormv1.ListOutcomesRequest{PageSize: 1})
	_, revisions := s.list(t, &callnormv1.ListOutcomesRequest{PageSize: 1, Filter: &callnormv1.OutcomeFilter{Sources: []string{"tales"}}})
	const private = "555-0143-of-john"
	external := &callnormv1.ExternalId{System: "twilio.call_sid", Id: "CA1"}
	tests := map[string]struct {
		request *callnormv1.ListOutcomesRequest
		reason  string
		says    string
	}{
		"a token that is none":              {&callnormv1.ListOutcomesRequest{PageToken: "nonsense"}, "PAGE_TOKEN_MALFORMED", "not one of ours"},
		"a token that was cut":              {&callnormv1.ListOutcomesRequest{PageToken: token[:len(token)-2]}, "PAGE_TOKEN_MALFORMED", "not one of ours"},
		"a token of another filter":         {&callnormv1.ListOutcomesRequest{PageToken: revisions}, "PAGE_TOKEN_MALFORMED", "has to be the same"},
		"a token with a time that is new":   {&callnormv1.ListOutcomesRequest{PageToken: token, BeginTime: at(0)}, "PAGE_TOKEN_MALFORMED", "has to be the same"},
		"a token with an address that is":   {&callnormv1.ListOutcomesRequest{PageToken: token, Address: "+12025550143"}, "PAGE_TOKEN_MALFORMED", "has to be the same"},
		"an address that is none":           {&callnormv1.ListOutcomesRequest{Address: private}, "INVALID_REQUEST", "E.164"},
		"an address and a call id":          {&callnormv1.ListOutcomesRequest{Address: "+12025550143", ProviderCallId: "1"}, "INVALID_REQUEST", "one of"},
		"an address and an external id":     {&callnormv1.ListOutcomesRequest{Address: "+12025550143", ExternalId: external}, "INVALID_REQUEST", "one of"},
		"a call id and an external id":      {&callnormv1.ListOutcomesRequest{ProviderCallId: "1", ExternalId: external}, "INVALID_REQUEST", "one of"},
		"an external id without its system": {&callnormv1.ListOutcomesRequest{ExternalId: &callnormv1.ExternalId{Id: "CA1"}}, "INVALID_REQUEST", "system"},
		"a range that ends before":          {&callnormv1.ListOutcomesRequest{BeginTime: at(2), EndTime: at(1)}, "INVALID_REQUEST", "before"},
		"a time that is none":               {&callnormv1.ListOutcomesRequest{EndTime: &timestamppb.Timestamp{Nanos: -1}}, "INVALID_REQUEST", "end_time"},
		"a page that is too large":          {&callnormv1.ListOutcomesRequest{PageSize: 1001}, "INVALID_REQUEST", "page_size"},
		"a condition that is none": {
			&callnormv1.ListOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Condition: "outcome.("}}, "CONDITION_INVALID", "line 1",
		},
		"a name that is none": {
			&callnormv1.ListOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Names: []string{"outcomes/x"}}}, "INVALID_REQUEST", "names[0]",
		},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			_, err := s.outcomes.ListOutcomes(t.Context(), test.request)
			if status.Code(err) != codes.InvalidArgument || reason(t, err) != test.reason || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v", err)
			}
			if strings.Contains(err.Error(), private) || strings.Contains(err.Error(), "5550143") {
				t.Errorf("the error repeats an address: %v", err)
			}
		})
	}
	for _, query := range []string{"provider=teller", "filter.provider=teller", "filter.status=CALL_STATUS_BUSY", "external_id.name=x"} {
		if code, text := s.request(t, http.MethodGet, "/v1/outcomes?"+query, nil); code != http.StatusBadRequest || !strings.Contains(string(text), "there are:") {
			t.Errorf("%s is misspelled, and would let everything pass: %d %s", query, code, text)
		}
	}
	if strings.Contains(s.log.String(), private) {
		t.Error("the log repeats an address")
	}
}

// pages reads the pages of a list to the end, and does something after each.
func (s *system) pages(t *testing.T, request *callnormv1.ListOutcomesRequest, between func(page int)) (ids []string, sizes []int) {
	t.Helper()
	for {
		page, token := s.list(t, request)
		ids, sizes = append(ids, page...), append(sizes, len(page))
		if token == "" {
			return ids, sizes
		}
		between(len(sizes))
		request = proto.CloneOf(request)
		request.PageToken = token
	}
}

func TestPagesAreStableWhileOutcomesComeIn(t *testing.T) {
	s := telling(t)
	var want []string
	for i := range 20 {
		id := fmt.Sprintf("old-%02d", i)
		// Two calls share each time.
		s.tell(t, "tales", &callnormv1.CallOutcome{ProviderCallId: id, StartTime: at(1 + i/2)})
		want = append(want, id)
	}
	slices.Reverse(want)
	for _, size := range []int32{1, 3, 7} {
		t.Run(fmt.Sprintf("pages of %d", size), func(t *testing.T) {
			got, sizes := s.pages(t, &callnormv1.ListOutcomesRequest{PageSize: size}, func(page int) {
				// Newer ones come in all the time, some others late.
				s.tell(t, "others", &callnormv1.CallOutcome{ProviderCallId: fmt.Sprintf("new-%d-%d", size, page), StartTime: at(22)})
				if page < 4 {
					s.tell(t, "others", &callnormv1.CallOutcome{ProviderCallId: fmt.Sprintf("new-late-%d-%d", size, page), StartTime: at(page)})
				}
			})
			got = slices.DeleteFunc(got, func(id string) bool { return strings.HasPrefix(id, "new") })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if slices.Max(sizes) > int(size) {
				t.Errorf("pages of %v", sizes)
			}
		})
	}
	t.Run("another size goes on with the same token", func(t *testing.T) {
		first, token := s.list(t, &callnormv1.ListOutcomesRequest{PageSize: 2, Filter: &callnormv1.OutcomeFilter{Sources: []string{"tales"}}})
		second, _ := s.list(t, &callnormv1.ListOutcomesRequest{PageSize: 50, PageToken: token, Filter: &callnormv1.OutcomeFilter{Sources: []string{"tales"}}})
		if diff := cmp.Diff(want, append(first, second...)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
	t.Run("with a condition that few meet", func(t *testing.T) {
		got, sizes := s.pages(t, &callnormv1.ListOutcomesRequest{
			PageSize: 1, Filter: &callnormv1.OutcomeFilter{Condition: `outcome.provider_call_id in ["old-17", "old-16", "old-02"]`},
		}, func(int) {})
		if diff := cmp.Diff([]string{"old-17", "old-16", "old-02"}, got); diff != "" || slices.Max(sizes) > 1 {
			t.Errorf("pages of %v, -want +got:\n%s", sizes, diff)
		}
	})
}

func TestAPageOfLargeOutcomesFitsIntoAMessage(t *testing.T) {
	s := telling(t)
	var want []string
	for i := range 9 {
		id := fmt.Sprintf("large-%d", i)
		s.tell(t, "tales", &callnormv1.CallOutcome{
			ProviderCallId: id, StartTime: at(i), Transcript: &callnormv1.Transcript{Text: strings.Repeat("word ", 150_000)},
		})
		want = append(want, id)
	}
	slices.Reverse(want)
	for title, filter := range map[string]*callnormv1.OutcomeFilter{
		"of all": nil, "of those that meet a condition": {Condition: `outcome.source == "tales"`},
	} {
		t.Run(title, func(t *testing.T) {
			got, sizes := s.pages(t, &callnormv1.ListOutcomesRequest{Filter: filter}, func(int) {})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if len(sizes) != 2 {
				t.Errorf("pages of %v: five of these fit into one", sizes)
			}
		})
	}
}
