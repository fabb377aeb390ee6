package e2e_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/address"
	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// library is a service that has taken the providers' pages, and bodies of Voxia beside them: calls that were told by several
// deliveries, and contacts who want no more calls.
func library(t *testing.T) (s *service, outcomes map[string]*callnormv1.CallOutcome) {
	t.Helper()
	s = serve(t, "--data-dir", t.TempDir())
	list := samples(t)
	for _, pattern := range []string{"v07_one_call_*.json", "v14_do_not_call_*.json"} {
		files, err := filepath.Glob(filepath.Join(folders, "voxia", "testdata", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, sample{filepath.Base(file), "voxia", adapters.Delivery{Body: body}})
		}
	}
	outcomes = make(map[string]*callnormv1.CallOutcome)
	for _, sample := range list {
		for _, told := range s.take(t, sample).GetOutcomes() {
			outcomes[told.GetName()] = nil
		}
	}
	for name := range outcomes {
		outcomes[name] = s.get(t, name)
	}
	return s, outcomes
}

// story is the call that v07 tells in four deliveries.
const story = "66f2a9c1e4b0a35d7c9e000e"

// page is one page over gRPC.
func (s *service) page(t *testing.T, request *callnormv1.ListOutcomesRequest) *callnormv1.ListOutcomesResponse {
	t.Helper()
	page, err := s.client.ListOutcomes(t.Context(), request)
	if err != nil {
		t.Fatalf("%v: %v", request, err)
	}
	return page
}

// query writes a request as the query of a URL.
func query(t *testing.T, request proto.Message) string {
	t.Helper()
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	values := url.Values{}
	flatten("", fields, values)
	return values.Encode()
}

func flatten(name string, value any, into url.Values) {
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			flatten(strings.TrimPrefix(name+"."+key, "."), below, into)
		}
	case []any:
		for _, element := range value {
			flatten(name, element, into)
		}
	default:
		into.Add(name, fmt.Sprint(value))
	}
}

// when is the time by which a call is listed.
func when(o *callnormv1.CallOutcome) time.Time {
	return cmp.Or(o.GetStartTime(), o.GetDialTime(), o.GetRingTime(), o.GetAnswerTime(), o.GetCreateTime(), o.GetQueueTime(),
		o.GetEndTime(), o.GetEventTime(), o.GetProvenance().GetDeliveries()[0].GetReceiveTime()).AsTime()
}

func namesOf(outcomes []*callnormv1.CallOutcome) []string {
	names := []string{}
	for _, outcome := range outcomes {
		names = append(names, outcome.GetName())
	}
	return names
}

func TestEachFilterOfAListChoosesAmongRealCalls(t *testing.T) {
	s, outcomes := library(t)
	chosen := func(filter *callnormv1.OutcomeFilter) *callnormv1.ListOutcomesRequest {
		return &callnormv1.ListOutcomesRequest{Filter: filter}
	}
	// Each filter asks for what one of the outcomes says, unless that says nothing to ask for. What it should find is worked out here.
	filters := map[string]struct {
		ask   func(like *callnormv1.CallOutcome) *callnormv1.ListOutcomesRequest
		alike func(like, other *callnormv1.CallOutcome) bool
	}{
		"provider": {
			func(like *callnormv1.CallOutcome) *callnormv1.ListOutcomesRequest {
				return chosen(&callnormv1.OutcomeFilter{Providers: []string{like.GetProvider(), "nobody"}})
			},
			func(like, other *callnormv1.CallOutcome) bool { return like.GetProvider() == other.GetProvider() },
		},
		"source": {
			func(like *callnormv1.CallOutcome) *callnormv1.ListOutcomesRequest {
				return chosen(&callnormv1.OutcomeFilter{Sources: []string{like.GetSource()}})
			},
			func(like, other *callnormv1.CallOutcome) bool { return like.GetSource() == other.GetSource() },
		},
		"status": {
			func(like *callnormv1.CallOutcome) *callnormv1.ListOutcomesRequest {
				return chosen(&callnormv1.OutcomeFilter{Statuses: []callnormv1.CallStatus{like.GetStatus()}})
			},
			func(like, other *callnormv1.CallOutcome) bool { return like.GetStatus() == other.GetStatus() },
		},
		"completeness": {
			func(like *callnormv1.CallOutcome) *callnormv1.ListOutcomesRequest {
				return chosen(&callnormv1.OutcomeFilter{Completenesses: []callnormv1.Completeness{like.GetCompleteness()}})
			},
			func(like, other *callnormv1.CallOutcome) bool {
				return like.GetCompleteness() == other.GetCompleteness()
			},
		},
		"disposition": {
			func(like *callnormv1.CallOutcome) *callnormv1.ListOutcomesRequest {
				return chosen(&callnormv1.OutcomeFilter{Dispositions: []callnormv1.ContactDisposition{like.GetDisposition().GetValue()}})
			},
			func(like, other *callnormv1.CallOutcome) bool {
				return like.GetDisposition().GetValue() == other.GetDisposition().GetValue()
			},
		},
		"do not call": {
			func(like *callnormv1.CallOutcome) *callnormv1.ListOutcomesRequest {
				return chosen(&callnormv1.OutcomeFilter{DoNotCall: new(like.GetDisposition().GetDoNotCall())})
			},
			func(like, other *callnormv1.CallOutcome) bool {
				return like.GetDisposition().GetDoNotCall() == other.GetDisposition().GetDoNotCall()
			},
		},
		"name": {
			func(like *callnormv1.CallOutcome) *callnormv1.ListOutcomesRequest {
				return chosen(&callnormv1.OutcomeFilter{Names: []string{like.GetName()}})
			},
			func(like, other *callnormv1.CallOutcome) bool { return like.GetName() == other.GetName() },
		},
		"condition": {
			func(like *callnormv1.CallOutcome) *callnormv1.ListOutcomesRequest {
				return chosen(&callnormv1.OutcomeFilter{Condition: fmt.Sprintf("outcome.status_raw == %q && outcome.event_raw == %q", like.GetStatusRaw(), like.GetEventRaw())})
			},
			func(like, other *callnormv1.CallOutcome) bool {
				return like.GetStatusRaw() == other.GetStatusRaw() && like.GetEventRaw() == other.GetEventRaw()
			},
		},
		"begin time": {
			func(like *callnormv1.CallOutcome) *callnormv1.ListOutcomesRequest {
				return &callnormv1.ListOutcomesRequest{BeginTime: timestamppb.New(when(like))}
			},
			func(like, other *callnormv1.CallOutcome) bool { return !when(other).Before(when(like)) },
		},
		"end time": {
			func(like *callnormv1.CallOutcome) *callnormv1.ListOutcomesRequest {
				return &callnormv1.ListOutcomesRequest{EndTime: timestamppb.New(when(like))}
			},
			func(like, other *callnormv1.CallOutcome) bool { return when(other).Before(when(like)) },
		},
		"telephone number": {
			func(like *callnormv1.CallOutcome) *callnormv1.ListOutcomesRequest { return speaksOf(like, true) },
			func(like, other *callnormv1.CallOutcome) bool {
				return slices.Contains(address.Of(other), speaksOf(like, true).GetAddress())
			},
		},
		"e-mail address": {
			func(like *callnormv1.CallOutcome) *callnormv1.ListOutcomesRequest { return speaksOf(like, false) },
			func(like, other *callnormv1.CallOutcome) bool {
				return slices.Contains(address.Of(other), speaksOf(like, false).GetAddress())
			},
		},
		"provider's id": {
			func(like *callnormv1.CallOutcome) *callnormv1.ListOutcomesRequest {
				if like.GetProviderCallId() == "" {
					return nil
				}
				return &callnormv1.ListOutcomesRequest{ProviderCallId: like.GetProviderCallId()}
			},
			func(like, other *callnormv1.CallOutcome) bool {
				return like.GetProviderCallId() == other.GetProviderCallId()
			},
		},
		"another's id": {
			func(like *callnormv1.CallOutcome) *callnormv1.ListOutcomesRequest {
				if len(like.GetExternalIds()) == 0 {
					return nil
				}
				return &callnormv1.ListOutcomesRequest{ExternalId: like.GetExternalIds()[0]}
			},
			func(like, other *callnormv1.CallOutcome) bool {
				return slices.ContainsFunc(other.GetExternalIds(), func(id *callnormv1.ExternalId) bool { return proto.Equal(id, like.GetExternalIds()[0]) })
			},
		},
	}
	for title, filter := range filters {
		t.Run(title, func(t *testing.T) {
			chooses := false
			for _, like := range outcomes {
				request := filter.ask(like)
				if request == nil {
					continue
				}
				want := []string{}
				for name, other := range outcomes {
					if filter.alike(like, other) {
						want = append(want, name)
					}
				}
				slices.Sort(want)
				chooses = chooses || len(want) > 0 && len(want) < len(outcomes)
				overREST := &callnormv1.ListOutcomesResponse{}
				s.request(t, http.MethodGet, "/v1/outcomes?"+query(t, request), nil, overREST)
				page := s.page(t, request)
				if diff := gocmp.Diff(page, overREST, protocmp.Transform()); diff != "" {
					t.Errorf("%v: gRPC and REST differ: %s", request, diff)
				}
				got := namesOf(page.GetOutcomes())
				if !slices.IsSortedFunc(page.GetOutcomes(), func(a, b *callnormv1.CallOutcome) int { return when(b).Compare(when(a)) }) {
					t.Errorf("%v: not the newest call first: %v", request, got)
				}
				slices.Sort(got)
				if diff := gocmp.Diff(want, got); diff != "" || page.GetNextPageToken() != "" {
					t.Errorf("%v: token %q, -want +got:\n%s", request, page.GetNextPageToken(), diff)
				}
			}
			if !chooses {
				t.Error("no sample puts this filter to the test")
			}
		})
	}
}

// speaksOf asks for the first number, or the first e-mail address, of an outcome. It returns nil when there is none.
func speaksOf(like *callnormv1.CallOutcome, number bool) *callnormv1.ListOutcomesRequest {
	for _, found := range address.Of(like) {
		if strings.HasPrefix(found, "+") == number {
			return &callnormv1.ListOutcomesRequest{Address: found}
		}
	}
	return nil
}

func TestPagesOfAListAreStableOverRestartsAndNewCalls(t *testing.T) {
	s, outcomes := library(t)
	whole := namesOf(s.page(t, &callnormv1.ListOutcomesRequest{}).GetOutcomes())
	if len(whole) != len(outcomes) {
		t.Fatalf("%d of %d outcomes are listed", len(whole), len(outcomes))
	}
	var got []string
	request := &callnormv1.ListOutcomesRequest{PageSize: 3}
	for pages := 1; ; pages++ {
		page := &callnormv1.ListOutcomesResponse{}
		s.request(t, http.MethodGet, "/v1/outcomes?"+query(t, request), nil, page)
		got = append(got, namesOf(page.GetOutcomes())...)
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			break
		}
		s.post(t, "synthflow", []byte(call(fmt.Sprintf("meanwhile-%d", pages))))
	}
	if diff := gocmp.Diff(whole, got); diff != "" {
		t.Errorf("in pages, -want +got:\n%s", diff)
	}
}

func TestAHistoryTellsHowACallWasTold(t *testing.T) {
	s, outcomes := library(t)
	var name string
	for _, outcome := range outcomes {
		if outcome.GetProviderCallId() == story {
			name = outcome.GetName()
		}
	}
	history := &callnormv1.ListOutcomeRevisionsResponse{}
	s.request(t, http.MethodGet, "/v1/"+name+":listRevisions", nil, history)
	overGRPC, err := s.client.ListOutcomeRevisions(t.Context(), &callnormv1.ListOutcomeRevisionsRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(overGRPC, history, protocmp.Transform()); diff != "" {
		t.Errorf("gRPC and REST differ: %s", diff)
	}
	type step struct {
		status, before, after string
		revision              int32
	}
	var steps []step
	for _, revision := range history.GetRevisions() {
		now := step{status: revision.GetOutcome().GetStatusRaw(), revision: revision.GetOutcome().GetRevision()}
		for _, change := range revision.GetChanges() {
			if change.GetPath() == "status_raw" {
				now.before, now.after = change.GetBeforeJson(), change.GetAfterJson()
			}
		}
		steps = append(steps, now)
	}
	want := []step{
		{"COMPLETED", "", "", 4}, {"COMPLETED", `"IN_PROGRESS"`, `"COMPLETED"`, 3}, {"IN_PROGRESS", `"NEW"`, `"IN_PROGRESS"`, 2}, {"NEW", "", "", 1},
	}
	if diff := gocmp.Diff(want, steps, gocmp.AllowUnexported(step{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	compared := &callnormv1.CompareOutcomeRevisionsResponse{}
	s.request(t, http.MethodGet, "/v1/"+name+":compareRevisions?base_revision=1", nil, compared)
	if !slices.ContainsFunc(compared.GetChanges(), func(change *callnormv1.FieldChange) bool {
		return change.GetPath() == "status_raw" && change.GetBeforeJson() == `"NEW"` && change.GetAfterJson() == `"COMPLETED"`
	}) || compared.GetRevision() != 4 {
		t.Errorf("%v", compared)
	}
	s.run(t, "show", name, "--history").expect(t, 0, "r4 ", "r1 ", `~ status_raw: "IN_PROGRESS" -> "COMPLETED"`)
	s.run(t, "show", "--provider-call-id", story).expect(t, 0, `"name": "`+name+`"`, `"statusRaw": "COMPLETED"`)
}

func TestListAndDeleteOnTheCommandLine(t *testing.T) {
	s, outcomes := library(t)
	var like *callnormv1.CallOutcome
	for _, outcome := range outcomes {
		if outcome.GetProviderCallId() == story {
			like = outcome
		}
	}
	number := speaksOf(like, true).GetAddress()
	digits := strings.TrimPrefix(number, "+")
	said := ""
	run := func(code int, args []string, parts ...string) string {
		t.Helper()
		result := s.run(t, args...)
		result.expect(t, code, parts...)
		said += result.err
		if args[0] == "delete" {
			said += result.out
		}
		return result.out
	}
	if lines := run(0, []string{"list"}); strings.Count(lines, "\n") != len(outcomes) {
		t.Errorf("%d outcomes are listed as:\n%s", len(outcomes), lines)
	}
	run(0, []string{"list", "--provider-call-id", story}, like.GetName(), "completed", "voxia")
	run(0, []string{"list", "--address", number, "--json"}, `"name":"`+like.GetName()+`"`)
	run(0, []string{"list", "--disposition", "callback-requested", "--status", "completed", "--begin", "2020-01-01", "--no-do-not-call"}, like.GetName())
	if lines := run(0, []string{"list", "--max", "2"}, "there may be more"); strings.Count(lines, "\n") != 2 {
		t.Errorf("two outcomes are listed as:\n%s", lines)
	}
	run(2, []string{"list", "--status", "gone"}, "there are:", "no-answer")
	run(1, []string{"list", "--condition", "outcome.("}, "column")

	run(2, []string{"delete", "contact", number}, "--dry-run")
	run(2, []string{"delete", "contact", digits, "--yes"}, "E.164")
	run(0, []string{"delete", "call", "--provider-call-id", story, "--dry-run"}, "would be deleted: "+like.GetName(), "revisions: 4, deliveries: 4")
	run(0, []string{"delete", "contact", number, "--dry-run"}, "would be deleted: calls:")
	run(0, []string{"show", like.GetName()}, `"statusRaw": "COMPLETED"`)
	run(0, []string{"delete", "contact", number, "--yes"}, "deleted: calls:")
	run(0, []string{"delete", "contact", number, "--yes"}, "deleted: calls: 0, revisions: 0, deliveries: 0")
	run(0, []string{"show", like.GetName()}, "REVISION_CAUSE_DELETED")
	if lines := run(0, []string{"list", "--address", number}); lines != "" {
		t.Errorf("after the deletion:\n%s", lines)
	}
	left := run(0, []string{"list"})
	_, other, _ := strings.Cut(left, "outcomes/")
	other, _, _ = strings.Cut(other, " ")
	run(0, []string{"delete", "call", other, "--yes"}, "deleted: outcomes/"+other)
	run(1, []string{"delete", "call", "--provider-call-id", "nobody", "--yes"}, "not found")
	if all := said + s.log.String(); strings.Contains(all, digits) {
		t.Error("the address is printed or logged")
	}
}
