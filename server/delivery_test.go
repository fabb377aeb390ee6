package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/synthflow"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/server"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
)

// parsed reads an answer as far as it is one.
func parsed(text []byte) *callnormv1.IngestDeliveryResponse {
	answer := &callnormv1.IngestDeliveryResponse{}
	_ = protojson.Unmarshal(text, answer)
	return answer
}

// rejections returns all rejections of a source, newest first.
func rejections(t *testing.T, s *system, source string) (list []*callnormv1.Rejection) {
	t.Helper()
	for token := ""; ; {
		page, err := s.sources.ListRejections(t.Context(), &callnormv1.ListRejectionsRequest{Source: source, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, page.GetRejections()...)
		if token = page.GetNextPageToken(); token == "" {
			return list
		}
	}
}

// learner is an adapter that can be corrected while it is used.
type learner struct{ knows *atomic.Pointer[lesson] }

type lesson struct {
	version string
	read    func(body string) (adapters.Result, error)
}

// newLearner returns an adapter in its version 1.
func newLearner(read func(string) (adapters.Result, error)) learner {
	l := learner{&atomic.Pointer[lesson]{}}
	l.learn("1", read)
	return l
}

func (l learner) learn(version string, read func(string) (adapters.Result, error)) {
	l.knows.Store(&lesson{version, read})
}

func (learner) Name() string        { return "learner" }
func (learner) Providers() []string { return []string{"learner"} }
func (learner) Example() string     { return "" }
func (learner) Scenarios() fs.FS    { return nil }
func (l learner) Version() string   { return l.knows.Load().version }

func (l learner) Normalize(d adapters.Delivery) (adapters.Result, error) {
	return l.knows.Load().read(string(d.Body))
}

// says reads a body of "id status" as a call of that id.
func says(body string) (adapters.Result, error) {
	id, said, _ := strings.Cut(body, " ")
	return adapters.Result{Outcomes: []adapters.Outcome{{
		Family: adapters.FamilyCall, CallID: id,
		Call: &callnormv1.CallOutcome{ProviderCallId: id, StatusRaw: said, Status: callnormv1.CallStatus_CALL_STATUS_COMPLETED},
	}}}, nil
}

// knowsNothing can read nothing.
func knowsNothing(string) (adapters.Result, error) {
	return adapters.Result{}, &adapters.Error{Reason: callnormv1.FaultReason_FAULT_REASON_UNKNOWN_EVENT, Detail: "it is not known yet"}
}

// school is a system with a learner and with Synthflow's adapter.
func school(t *testing.T, learner learner) *system {
	t.Helper()
	return setup{adapters: []adapters.Adapter{learner, synthflow.New()}, sources: []intake.Source{
		{Name: "lessons", Adapter: learner, Provider: "learner", MaxBody: 1 << 20},
		{Name: "synthflow", Adapter: synthflow.New(), Provider: "synthflow", MaxBody: 1 << 20},
	}}.start(t, t.TempDir())
}

func (s *system) outcome(t *testing.T, name string) *callnormv1.CallOutcome {
	t.Helper()
	got, err := s.outcomes.GetOutcome(t.Context(), &callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_Name{Name: name}})
	if err != nil {
		t.Fatal(err)
	}
	return got.GetOutcome()
}

func TestListDeliveries(t *testing.T) {
	s := school(t, newLearner(says))
	var names []string
	for i := range 7 {
		names = append(names, s.deliver(t, "lessons", []byte(fmt.Sprint("c", i, " done"))).GetDelivery())
		names = append(names, s.deliver(t, "synthflow/event", []byte(strings.Repeat("x", i+1))).GetDelivery()) // to quarantine
	}
	even, odd := []string{}, []string{}
	for i, name := range names {
		if i%2 == 0 {
			even = append(even, name)
		} else {
			odd = append(odd, name)
		}
	}
	tests := map[string]struct {
		filter *callnormv1.DeliveryFilter
		size   int32
		want   []string
	}{
		"all on one page":         {nil, 0, names},
		"all, one on a page":      {nil, 1, names},
		"all, three on a page":    {nil, 3, names},
		"as many as there are":    {nil, 14, names},
		"those in quarantine":     {&callnormv1.DeliveryFilter{Quarantined: true}, 2, odd},
		"those of a source":       {&callnormv1.DeliveryFilter{Sources: []string{"lessons"}}, 2, even},
		"those of both":           {&callnormv1.DeliveryFilter{Sources: []string{"lessons", "synthflow"}}, 5, names},
		"those of an adapter":     {&callnormv1.DeliveryFilter{Adapters: []string{"synthflow"}}, 2, odd},
		"of a source in no trap":  {&callnormv1.DeliveryFilter{Quarantined: true, Sources: []string{"lessons"}}, 2, []string{}},
		"of a source that is not": {&callnormv1.DeliveryFilter{Sources: []string{"nobody"}}, 2, []string{}},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			got := []string{}
			for token := ""; ; {
				page, err := s.deliveries.ListDeliveries(t.Context(), &callnormv1.ListDeliveriesRequest{Filter: test.filter, PageSize: test.size, PageToken: token})
				if err != nil {
					t.Fatal(err)
				}
				if test.size > 0 && len(page.GetDeliveries()) > int(test.size) {
					t.Errorf("%d on a page of %d", len(page.GetDeliveries()), test.size)
				}
				for _, delivery := range page.GetDeliveries() {
					got = append(got, delivery.GetName())
					if delivery.GetBody() != nil || delivery.GetHeaders() != nil || delivery.GetPath() != "" || delivery.GetQuery() != "" {
						t.Errorf("a list shows what only GetDelivery does: %v", delivery)
					}
					if delivery.GetSource() == "synthflow" && (len(delivery.GetFaults()) != 1 || delivery.GetEvent() != "event" ||
						delivery.GetState() != callnormv1.DeliveryState_DELIVERY_STATE_QUARANTINED) || delivery.GetBodyBytes() == 0 || delivery.GetReceiveTime() == nil {
						t.Errorf("%v", delivery)
					}
				}
				if token = page.GetNextPageToken(); token == "" {
					break
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	for _, token := range []string{"nonsense", "!", "AAAAAAAAAAA=", "__________8", strings.Repeat("A", 100)} {
		_, err := s.deliveries.ListDeliveries(t.Context(), &callnormv1.ListDeliveriesRequest{PageToken: token})
		if status.Code(err) != codes.InvalidArgument || reason(t, err) != "PAGE_TOKEN_MALFORMED" {
			t.Errorf("%q: %v", token, err)
		}
	}
	for _, size := range []int32{-1, 1001} {
		if _, err := s.deliveries.ListDeliveries(t.Context(), &callnormv1.ListDeliveriesRequest{PageSize: size}); reason(t, err) != "INVALID_REQUEST" {
			t.Errorf("a page of %d: %v", size, err)
		}
	}
	code, text := s.request(t, http.MethodGet, "/v1/deliveries?filter.quarantined=true&page_size=3", nil)
	if code != http.StatusOK || strings.Count(string(text), `"name"`) != 3 || !strings.Contains(string(text), `"nextPageToken"`) {
		t.Errorf("%d %s", code, text)
	}
}

func TestGetDelivery(t *testing.T) {
	s := school(t, newLearner(says))
	const secret = "somebody's-secret"
	header := http.Header{
		"Authorization": {"Bearer " + secret}, "Cookie": {"session=" + secret}, "Proxy-Authorization": {secret}, "X-Fine": {"1", "2"}, "Content-Type": {"text/plain"},
	}
	code, _, text := s.post(t, "/v1/webhooks/lessons/an%2Fevent?b=2&a=%20", header, []byte("c done"))
	name := taken(t, code, text).GetDelivery()
	kept := s.get(t, name)
	if kept.GetName() != name || kept.GetMethod() != http.MethodPost || kept.GetPath() != "/v1/webhooks/lessons/an%2Fevent" || kept.GetQuery() != "b=2&a=%20" ||
		kept.GetEvent() != "an/event" || string(kept.GetBody()) != "c done" || kept.GetBodyBytes() != 6 || kept.GetAdapter() != "learner" || kept.GetVerifiedBy() != "" {
		t.Errorf("%v", kept)
	}
	shown := map[string][]string{}
	for _, line := range kept.GetHeaders() {
		shown[line.GetName()] = append(shown[line.GetName()], line.GetValue())
	}
	for header, want := range map[string][]string{
		"Authorization": {"[redacted]"}, "Cookie": {"[redacted]"}, "Proxy-Authorization": {"[redacted]"}, "X-Fine": {"1", "2"}, "Content-Type": {"text/plain"},
	} {
		if !slices.Equal(shown[header], want) {
			t.Errorf("%s: %q, want %q", header, shown[header], want)
		}
	}
	if code, text := s.request(t, http.MethodGet, "/v1/"+name, nil); code != http.StatusOK || !bytes.Contains(text, []byte(`"body":"YyBkb25l"`)) {
		t.Errorf("%d %s", code, text)
	}
	for name, want := range map[string]string{
		"deliveries/aaaaaaaaaaaaaaaaaaaaaaaaaa": "DELIVERY_NOT_FOUND", "deliveries/short": "DELIVERY_NOT_FOUND", "deliveries/": "INVALID_REQUEST",
		"outcomes/aaaaaaaaaaaaaaaaaaaaaaaaaa": "INVALID_REQUEST", "": "INVALID_REQUEST",
	} {
		if _, err := s.deliveries.GetDelivery(t.Context(), &callnormv1.GetDeliveryRequest{Name: name}); reason(t, err) != want {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := s.deliveries.RenormalizeDelivery(t.Context(), &callnormv1.RenormalizeDeliveryRequest{Name: name}); reason(t, err) != want {
			t.Errorf("%q again: %v", name, err)
		}
	}
}

func TestADeliveryIsUnderstoodAfterItsAdapterHasLearned(t *testing.T) {
	learner := newLearner(knowsNothing)
	s := school(t, learner)
	first := s.deliver(t, "lessons", []byte("c done"))
	if first.GetState() != callnormv1.DeliveryState_DELIVERY_STATE_QUARANTINED || len(first.GetOutcomes()) > 0 {
		t.Fatalf("%v", first)
	}
	again := func() *callnormv1.RenormalizeDeliveryResponse {
		response, err := s.deliveries.RenormalizeDelivery(t.Context(), &callnormv1.RenormalizeDeliveryRequest{Name: first.GetDelivery()})
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
	if response := again(); len(response.GetOutcomes()) > 0 || response.GetDelivery().GetState() != callnormv1.DeliveryState_DELIVERY_STATE_QUARANTINED {
		t.Errorf("nothing was learned, and %v", response)
	}

	learner.learn("2", says)
	response := again()
	if len(response.GetOutcomes()) != 1 || !response.GetOutcomes()[0].GetChanged() || response.GetOutcomes()[0].GetRevision() != 1 ||
		response.GetDelivery().GetState() != callnormv1.DeliveryState_DELIVERY_STATE_NORMALIZED || len(response.GetDelivery().GetFaults()) > 0 ||
		response.GetDelivery().GetBody() != nil {
		t.Fatalf("%v", response)
	}
	name := response.GetOutcomes()[0].GetName()
	outcome := s.outcome(t, name)
	if refs := outcome.GetProvenance().GetDeliveries(); outcome.GetRevisionCause() != callnormv1.RevisionCause_REVISION_CAUSE_RENORMALIZED || outcome.GetStatusRaw() != "done" ||
		len(refs) != 1 || refs[0].GetAdapterVersion() != "2" || refs[0].GetDelivery() != first.GetDelivery() {
		t.Errorf("%v", outcome)
	}
	if duplicate := s.deliver(t, "lessons", []byte("c done")); !duplicate.GetDuplicate() || len(duplicate.GetOutcomes()) != 1 || duplicate.GetOutcomes()[0].GetRevision() != 1 {
		t.Errorf("the same delivery again: %v", duplicate)
	}

	if response := again(); response.GetOutcomes()[0].GetChanged() || response.GetOutcomes()[0].GetRevision() != 1 {
		t.Errorf("nothing was learned, and %v", response)
	}
	learner.learn("3", says)
	if response := again(); response.GetOutcomes()[0].GetChanged() {
		t.Errorf("a version that says the same is no news: %v", response)
	}

	s.deliver(t, "lessons", []byte("c later"))
	learner.learn("4", func(body string) (adapters.Result, error) { return says(strings.ToUpper(body)) })
	response = again() // It speaks of another call now: "C".
	if len(response.GetOutcomes()) != 2 {
		t.Fatalf("%v", response)
	}
	for _, changed := range response.GetOutcomes() {
		outcome := s.outcome(t, changed.GetName())
		refs := outcome.GetProvenance().GetDeliveries()
		if !changed.GetChanged() || outcome.GetRevision() != changed.GetRevision() || outcome.GetRevisionCause() != callnormv1.RevisionCause_REVISION_CAUSE_RENORMALIZED || len(refs) != 1 {
			t.Errorf("%v", outcome)
			continue
		}
		switch changed.GetName() {
		case name: // what the later delivery says is left
			if outcome.GetProviderCallId() != "c" || outcome.GetStatusRaw() != "later" || refs[0].GetAdapterVersion() != "3" {
				t.Errorf("%v", outcome)
			}
		default:
			if outcome.GetProviderCallId() != "C" || outcome.GetStatusRaw() != "DONE" || refs[0].GetAdapterVersion() != "4" || outcome.GetRevision() != 1 {
				t.Errorf("%v", outcome)
			}
		}
	}
}

func TestAnOutcomeThatNobodySpeaksOfIsLeftEmpty(t *testing.T) {
	learner := newLearner(says)
	s := school(t, learner)
	first := s.deliver(t, "lessons", []byte("c done"))
	name := first.GetOutcomes()[0].GetName()
	stream, _ := s.stream(t, &callnormv1.StreamOutcomesRequest{Start: from["now"]})
	learner.learn("2", func(body string) (adapters.Result, error) { return says("other-" + body) })
	response, err := s.deliveries.RenormalizeDelivery(t.Context(), &callnormv1.RenormalizeDeliveryRequest{Name: first.GetDelivery()})
	if err != nil || len(response.GetOutcomes()) != 2 {
		t.Fatalf("%v %v", response, err)
	}
	left := s.outcome(t, name)
	if left.GetRevision() != 2 || left.GetRevisionCause() != callnormv1.RevisionCause_REVISION_CAUSE_RENORMALIZED || left.GetProviderCallId() != "" || left.GetStatusRaw() != "" ||
		left.GetStatus() != 0 || len(left.GetProvenance().GetDeliveries()) > 0 || left.GetName() != name || left.GetProvider() != "learner" || left.GetSource() != "lessons" {
		t.Errorf("%v", left)
	}
	got, _ := ids(t, stream, 2)
	slices.Sort(got)
	if !slices.Equal(got, []string{"", "other-c"}) {
		t.Errorf("streamed are %v", got)
	}
	if _, err := s.outcomes.GetOutcome(t.Context(), &callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_ProviderCallId{ProviderCallId: "c"}}); status.Code(err) != codes.NotFound {
		t.Errorf("it is found by an id that it has no longer: %v", err)
	}
	learner.learn("3", knowsNothing)
	if _, err := s.deliveries.RenormalizeDelivery(t.Context(), &callnormv1.RenormalizeDeliveryRequest{Name: first.GetDelivery()}); err != nil {
		t.Fatal(err)
	}
	listed, err := s.deliveries.ListDeliveries(t.Context(), &callnormv1.ListDeliveriesRequest{Filter: &callnormv1.DeliveryFilter{Quarantined: true}})
	if err != nil || len(listed.GetDeliveries()) != 1 {
		t.Errorf("what is not understood any more waits in quarantine: %v %v", listed, err)
	}
}

func TestManyDeliveriesAreUnderstoodAgain(t *testing.T) {
	const many = 250 // more than two pages
	learner := newLearner(knowsNothing)
	s := school(t, learner)
	for i := range many {
		s.deliver(t, "lessons", []byte(fmt.Sprint("c", i, " done")))
	}
	s.deliver(t, "synthflow", []byte("nonsense"))
	learner.learn("2", func(body string) (adapters.Result, error) {
		if strings.HasPrefix(body, "c7") {
			return knowsNothing(body)
		}
		return says(body)
	})
	still := 0
	for i := range many {
		if strings.HasPrefix(fmt.Sprint("c", i), "c7") {
			still++
		}
	}
	all := &callnormv1.DeliveryFilter{Quarantined: true, Sources: []string{"lessons"}}
	follow := func(token string, most int) (last *callnormv1.RenormalizeDeliveriesResponse) {
		stream, err := s.deliveries.RenormalizeDeliveries(t.Context(), &callnormv1.RenormalizeDeliveriesRequest{Filter: all, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for range most {
			message, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if last != nil && (last.GetDone() || message.GetDeliveryCount() < last.GetDeliveryCount() || message.GetPageToken() == last.GetPageToken() && !message.GetDone()) {
				t.Errorf("%v, then %v", last, message)
			}
			last = message
		}
		return last
	}
	// The first call is broken off after its first message. Nothing keeps the server from going on for a moment.
	broken := follow("", 1)
	if broken.GetDone() || broken.GetPageToken() == "" || broken.GetDeliveryCount() == 0 || broken.GetDeliveryCount() >= many {
		t.Fatalf("%v", broken)
	}
	if rest := follow(broken.GetPageToken(), many); !rest.GetDone() || rest.GetDeliveryCount()+broken.GetDeliveryCount() > many || rest.GetFailedCount() != 0 {
		t.Errorf("%v, then %v", broken, rest)
	}
	if end := follow("", many); !end.GetDone() || end.GetDeliveryCount() != int64(still) || end.GetQuarantinedCount() != int64(still) || end.GetRevisionCount() != 0 {
		t.Errorf("left are %d: %v", still, end)
	}
	for i := range many {
		if strings.HasPrefix(fmt.Sprint("c", i), "c7") {
			continue
		}
		got, err := s.outcomes.GetOutcome(t.Context(), &callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_ProviderCallId{ProviderCallId: fmt.Sprint("c", i)}})
		if err != nil || got.GetOutcome().GetRevision() != 1 || got.GetOutcome().GetRevisionCause() != callnormv1.RevisionCause_REVISION_CAUSE_RENORMALIZED {
			t.Fatalf("c%d: %v %v", i, got, err)
		}
	}
	code, text := s.request(t, http.MethodPost, "/v1/deliveries:renormalize", []byte(`{"filter":{"quarantined":true}}`))
	if code != http.StatusOK || !strings.Contains(string(text), `"done":true`) || !strings.Contains(string(text), fmt.Sprintf(`"deliveryCount":"%d"`, still+1)) {
		t.Errorf("over REST: %d %s", code, text)
	}
	for name, request := range map[string]*callnormv1.RenormalizeDeliveriesRequest{
		"without a filter":   {},
		"with a wrong token": {Filter: all, PageToken: "nonsense"},
	} {
		stream, err := s.deliveries.RenormalizeDeliveries(t.Context(), request)
		if err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

const aSecret, anotherSecret, nobodysSecret = "a-secret-0123456789", "another-secret-0123456789", "nobodys-secret-0123456789"

// sieve is a system with sources in all conditions.
func sieve(t *testing.T) (*system, []intake.Source) {
	t.Helper()
	adapter := synthflow.New()
	source := func(name string, settings signature.Settings, secrets ...signature.Secret) intake.Source {
		return proved(t, intake.Source{
			Name: name, Adapter: adapter, Provider: "synthflow", MaxBody: 1 << 10, Hold: rejection.Limits{Requests: 100, Bytes: 1 << 20},
		}, settings, secrets...)
	}
	unheld := source("unheld", overBody, aSecret)
	unheld.Hold = rejection.Limits{}
	slow := source("slow", overBody, aSecret)
	slow.Rate = intake.Rate{PerSecond: 0.01, Burst: 2}
	with := setup{adapters: []adapters.Adapter{adapter}, key: bytes.Repeat([]byte("k"), 32), sources: []intake.Source{
		source("held", overBody, aSecret), unheld, slow,
		source("rotated", overBody, aSecret, anotherSecret),
		source("own", adapter.Signature(), aSecret),
		source("never", overBody, aSecret),
		{Name: "anybody", Adapter: adapter, Provider: "synthflow", MaxBody: 1 << 10},
		{Name: "closed", Adapter: adapter, Provider: "synthflow", MaxBody: 1 << 10, Disabled: true},
	}}
	return with.start(t, t.TempDir()), with.sources
}

// by returns the header of a body that is signed with a secret.
func by(t *testing.T, secret signature.Secret, body []byte) http.Header {
	t.Helper()
	return signed(t, proved(t, intake.Source{}, overBody, secret), body)
}

func TestDiagnose(t *testing.T) {
	s, _ := sieve(t)
	post := func(source string, secret signature.Secret, body []byte, want int) {
		t.Helper()
		header := http.Header{"X-Fine": {"1"}}
		if secret != "" {
			header = by(t, secret, body)
		}
		if code, _, text := s.post(t, "/v1/webhooks/"+source, header, body); code != want {
			t.Fatalf("%s: %d %s", source, code, text)
		}
	}
	for range 3 {
		post("held", nobodysSecret, call("c", "completed"), http.StatusUnauthorized)
	}
	post("held", "", call("c", "completed"), http.StatusUnauthorized)
	post("unheld", "", call("c", "completed"), http.StatusUnauthorized)
	post("rotated", anotherSecret, call("c", "completed"), http.StatusOK)
	post("anybody", "", []byte("nonsense"), http.StatusOK)
	rejections(t, s, "held") // waits until all is written
	got, err := s.sources.Diagnose(t.Context(), &callnormv1.DiagnoseRequest{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*callnormv1.Finding{}
	last := callnormv1.Severity_SEVERITY_ERROR
	for _, finding := range got.GetFindings() {
		found[finding.GetSource()+" "+strings.TrimPrefix(finding.GetKind().String(), "FINDING_KIND_")] = finding
		if finding.GetSeverity() > last {
			t.Error("the gravest does not come first")
		}
		last = finding.GetSeverity()
		if finding.GetMessage() == "" || finding.GetAdvice() == "" {
			t.Errorf("%v", finding)
		}
	}
	for key, word := range map[string]string{
		"held ALL_REFUSED":      "signature mismatch, signature missing, newest secret never matched",
		"held REQUESTS_HELD":    "held: 4",
		"unheld SOME_REFUSED":   "signature missing",
		"rotated SECRET_UNUSED": "the newest secret",
		"anybody QUARANTINE":    "in quarantine: 1",
		"anybody UNVERIFIED":    "anybody",
		"own BODY_NOT_SIGNED":   "call_id",
		"never NEVER_USED":      "never",
		"slow NEVER_USED":       "never",
		"own NEVER_USED":        "never",
	} {
		if found[key] == nil || !strings.Contains(found[key].GetMessage(), word) {
			t.Errorf("%s: %v", key, found[key])
		}
		delete(found, key)
	}
	if len(found) > 0 {
		t.Errorf("there is more: %v", found)
	}
	post("held", aSecret, call("c", "completed"), http.StatusOK)
	got, err = s.sources.Diagnose(t.Context(), &callnormv1.DiagnoseRequest{})
	if err != nil || slices.ContainsFunc(got.GetFindings(), func(f *callnormv1.Finding) bool {
		return f.GetKind() == callnormv1.FindingKind_FINDING_KIND_ALL_REFUSED
	}) {
		t.Errorf("%v %v", got, err)
	}
	s.served.Reloaded(errors.New("the secret is " + aSecret))
	got, err = s.sources.Diagnose(t.Context(), &callnormv1.DiagnoseRequest{})
	if err != nil || got.GetFindings()[0].GetKind() != callnormv1.FindingKind_FINDING_KIND_CONFIGURATION || strings.Contains(got.String(), aSecret) {
		t.Errorf("%v %v", got, err)
	}
}

func TestListSources(t *testing.T) {
	s, sources := sieve(t)
	good := call("c", "completed")
	for range 2 {
		s.post(t, "/v1/webhooks/rotated", by(t, anotherSecret, good), good)
		s.post(t, "/v1/webhooks/rotated", by(t, nobodysSecret, good), good)
	}
	s.post(t, "/v1/webhooks/rotated", by(t, aSecret, nil), bytes.Repeat([]byte("x"), 2<<10))
	s.post(t, "/v1/webhooks/rotated", by(t, aSecret, []byte("nonsense")), []byte("nonsense"))
	s.post(t, "/v1/webhooks/rotated", by(t, nobodysSecret, good), good)
	rejections(t, s, "rotated") // waits until all is written
	got, err := s.sources.ListSources(t.Context(), &callnormv1.ListSourcesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for i, source := range sources {
		if got.GetSources()[i].GetSource() != source.Name || got.GetSources()[i].GetEnabled() == source.Disabled || len(got.GetSources()[i].GetSecrets()) != len(source.Secrets) {
			t.Errorf("%d is %v", i, got.GetSources()[i])
		}
	}
	rotated := got.GetSources()[3]
	if rotated.GetAcceptedCount() != 3 || rotated.GetRejectedCount() != 4 || rotated.GetQuarantinedCount() != 1 || rotated.GetHeldCount() != 3 || rotated.GetHeldBytes() == 0 ||
		rotated.GetVerifiedBy() != "hmac-sha256" || !slices.Equal(rotated.GetSignedParts(), []string{"body"}) || rotated.GetAcceptTime() == nil || rotated.GetRejectTime() == nil ||
		len(rotated.GetRejectionsSinceAccept()) != 1 || rotated.GetRejectionsSinceAccept()[0].GetCount() != 1 || rotated.GetRefusingSinceTime() == nil ||
		rotated.GetSecrets()[0].GetMatchTime() == nil || rotated.GetSecrets()[1].GetMatchTime() == nil {
		t.Errorf("%v", rotated)
	}
	if never := got.GetSources()[5]; never.GetAcceptTime() != nil || never.GetRejectTime() != nil || never.GetSecrets()[0].GetMatchTime() != nil || never.GetRefusingSinceTime() != nil {
		t.Errorf("%v", never)
	}
	if strings.Contains(got.String(), aSecret) {
		t.Error("the secrets are shown")
	}
}

func TestListRejections(t *testing.T) {
	s, _ := sieve(t)
	for i := range 7 {
		body := bytes.Repeat([]byte("x"), i)
		if code, _, text := s.post(t, "/v1/webhooks/held", by(t, nobodysSecret, body), body); code != http.StatusUnauthorized {
			t.Fatalf("%d %s", code, text)
		}
	}
	s.post(t, "/v1/webhooks/held", by(t, aSecret, nil), bytes.Repeat([]byte("x"), 2<<10))
	s.post(t, "/v1/webhooks/held", http.Header{"Content-Encoding": {"br"}}, []byte("x"))
	want := []string{"ENCODING_UNSUPPORTED false", "BODY_TOO_LARGE false"}
	for range 7 {
		want = append(want, "SIGNATURE_MISMATCH true")
	}
	for _, size := range []int32{0, 1, 2, 9, 1000} {
		var got []string
		for token := ""; ; {
			page, err := s.sources.ListRejections(t.Context(), &callnormv1.ListRejectionsRequest{Source: "held", PageSize: size, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range page.GetRejections() {
				got = append(got, fmt.Sprint(strings.TrimPrefix(one.GetCause().String(), "REJECTION_CAUSE_"), " ", one.GetHeld()))
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: %v", size, got)
		}
	}
	if got := rejections(t, s, "held"); got[2].GetBodyBytes() != 6 || got[8].GetBodyBytes() != 0 || got[2].GetTime().AsTime().Before(got[8].GetTime().AsTime()) {
		t.Errorf("%v", got)
	}
	for _, name := range []string{"closed", "never"} {
		if got := rejections(t, s, name); len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
	for want, request := range map[string]*callnormv1.ListRejectionsRequest{
		"SOURCE_NOT_FOUND": {Source: "nobody"}, "PAGE_TOKEN_MALFORMED": {Source: "held", PageToken: "nonsense"}, "INVALID_REQUEST": {Source: "held", PageSize: 1001},
	} {
		if _, err := s.sources.ListRejections(t.Context(), request); reason(t, err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestVerifyHeldRequests(t *testing.T) {
	s, sources := sieve(t)
	refuse := func(path string, header http.Header, body []byte) {
		t.Helper()
		if code, _, text := s.post(t, path, header, body); code != http.StatusUnauthorized {
			t.Fatalf("%d %s", code, text)
		}
	}
	verify := func() *callnormv1.VerifyHeldRequestsResponse {
		t.Helper()
		got, err := s.sources.VerifyHeldRequests(t.Context(), &callnormv1.VerifyHeldRequestsRequest{Source: "held"})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	body := func(i int) []byte { return call(fmt.Sprint("held", i), "completed") }
	began := time.Now()
	for i := range 12 { // more than are in memory together
		refuse("/v1/webhooks/held/event?a="+strconv.Itoa(i), by(t, anotherSecret, body(i)), body(i))
	}
	refused := time.Now()
	zipped := zip(t, body(100))
	for i, header := range []http.Header{by(t, anotherSecret, zipped), by(t, anotherSecret, body(100))} {
		header.Set("Content-Encoding", "gzip")
		refuse("/v1/webhooks/held?zipped="+strconv.Itoa(i), header, zipped)
	}
	refuse("/v1/webhooks/held", by(t, nobodysSecret, body(200)), body(200))
	refuse("/v1/webhooks/held", http.Header{"X-Fine": {"1"}}, body(200))
	if got := verify(); got.GetAcceptedCount() != 0 || got.GetNextPageToken() != "" || len(got.GetRejections()) != 2 || got.GetRejections()[0].GetCount() != 15 ||
		got.GetRejections()[0].GetCause() != callnormv1.RejectionCause_REJECTION_CAUSE_SIGNATURE_MISMATCH {
		t.Errorf("before the fix: %v", got)
	}
	if n := len(rejections(t, s, "held")); n != 16 {
		t.Errorf("to verify again is no new refusal: there are %d", n)
	}

	fixed := slices.Clone(sources)
	fixed[0] = proved(t, sources[0], overBody, anotherSecret)
	fixed[0].Rate = intake.Rate{PerSecond: 0.001, Burst: 1} // It does not hold for what was held.
	s.intake.Reload(fixed)
	code, _, text := s.post(t, "/v1/webhooks/held/event?a=3", by(t, anotherSecret, body(3)), body(3))
	taken(t, code, text) // the provider has sent it again
	if got := verify(); got.GetAcceptedCount() != 14 || got.GetDuplicateCount() != 1 || got.GetNextPageToken() != "" || got.GetUnreadableCount() != 0 || len(got.GetRejections()) != 2 ||
		got.GetRejections()[0].GetCount() != 1 || got.GetRejections()[1].GetCount() != 1 {
		t.Errorf("after the fix: %v", got)
	}
	if got := verify(); got.GetAcceptedCount() != 0 || len(got.GetRejections()) != 2 {
		t.Errorf("once more: %v", got)
	}
	listed, err := s.deliveries.ListDeliveries(t.Context(), &callnormv1.ListDeliveriesRequest{})
	if err != nil || len(listed.GetDeliveries()) != 14 {
		t.Fatalf("%d deliveries, %v", len(listed.GetDeliveries()), err)
	}
	for _, delivery := range listed.GetDeliveries()[1:13] {
		if at := delivery.GetReceiveTime().AsTime(); at.After(refused) && len(delivery.GetEvent()) > 0 || at.Before(began) || delivery.GetVerifiedBy() != "hmac-sha256" {
			t.Errorf("%v", delivery)
		}
	}
	inflated := 0
	for _, delivery := range listed.GetDeliveries() {
		if kept := s.get(t, delivery.GetName()); bytes.Equal(kept.GetBody(), body(100)) {
			inflated++
		}
	}
	if inflated != 2 {
		t.Errorf("%d of 2 compressed bodies are kept as they are meant", inflated)
	}
	for source, want := range map[string]string{"nobody": "SOURCE_NOT_FOUND", "closed": "SOURCE_DISABLED"} {
		if _, err := s.sources.VerifyHeldRequests(t.Context(), &callnormv1.VerifyHeldRequestsRequest{Source: source}); reason(t, err) != want {
			t.Errorf("%s: %v", source, err)
		}
	}
	code, text = s.request(t, http.MethodPost, "/v1/sources/held/held:verify", []byte("{}"))
	if code != http.StatusOK || !bytes.Contains(text, []byte(`"count":"1"`)) {
		t.Errorf("over REST: %d %s", code, text)
	}
}

// TestTooMuchIsAnsweredWith503: some providers give up on any code from 400 to 499.
func TestTooMuchIsAnsweredWith503(t *testing.T) {
	s, _ := sieve(t)
	busy := 0
	for i := range 5 {
		body := call(fmt.Sprint(i), "completed")
		code, header, text := s.post(t, "/v1/webhooks/slow", by(t, aSecret, body), body)
		switch code {
		case http.StatusOK:
		case http.StatusServiceUnavailable:
			busy++
			if seconds, err := strconv.Atoi(header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 100 || refusal(t, text) != "OVERLOADED" {
				t.Errorf("%v %s", header, text)
			}
		default:
			t.Errorf("%d %s", code, text)
		}
	}
	if busy != 3 {
		t.Errorf("%d of 5 were too many", busy)
	}
	body := call("relayed", "completed")
	_, err := s.norm.IngestDelivery(t.Context(), &callnormv1.IngestDeliveryRequest{Source: "slow", Body: &httpbody.HttpBody{Data: body}, Headers: []*callnormv1.HttpHeader{
		{Name: "X-Signature", Value: by(t, aSecret, body).Get("X-Signature")},
	}})
	delay := time.Duration(0)
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			delay = info.GetRetryDelay().AsDuration()
		}
	}
	if status.Code(err) != codes.Unavailable || reason(t, err) != "OVERLOADED" || delay <= 0 {
		t.Errorf("%v", err)
	}
	if code, _, text := s.post(t, "/v1/webhooks/slow", by(t, nobodysSecret, body), body); code != http.StatusUnauthorized {
		t.Errorf("who proves nothing is not told how busy it is: %d %s", code, text)
	}
	found := rejections(t, s, "slow")
	if len(found) != 5 || found[1].GetCause() != callnormv1.RejectionCause_REJECTION_CAUSE_RATE || found[1].GetHeld() {
		t.Errorf("%v", found)
	}
}

func TestOneAddressAtItsRate(t *testing.T) {
	adapter := synthflow.New()
	limits := server.DefaultLimits()
	limits.AddressRate = intake.Rate{PerSecond: 0.01, Burst: 3}
	s := setup{adapters: []adapters.Adapter{adapter}, limits: limits, sources: []intake.Source{
		proved(t, intake.Source{Name: "door", Adapter: adapter, Provider: "synthflow", MaxBody: 1 << 10}, overBody, aSecret),
	}}.start(t, t.TempDir())
	for i, want := range []int{http.StatusOK, http.StatusUnauthorized, http.StatusNotFound, http.StatusServiceUnavailable, http.StatusServiceUnavailable} {
		path, header, body := "/v1/webhooks/door", http.Header{"X-Fine": {"1"}}, call(fmt.Sprint(i), "completed")
		switch want {
		case http.StatusNotFound:
			path = "/v1/webhooks/nobody"
		case http.StatusOK, http.StatusServiceUnavailable:
			header = by(t, aSecret, body)
		}
		code, answered, text := s.post(t, path, header, body)
		if code != want || code == http.StatusServiceUnavailable && (answered.Get("Retry-After") == "" || refusal(t, text) != "OVERLOADED") {
			t.Errorf("request %d: %d %v %s", i, code, answered, text)
		}
	}
	if code, text := s.request(t, http.MethodGet, "/v1/sources", nil); code != http.StatusOK {
		t.Errorf("it is for doors alone: %d %s", code, text)
	}
	if _, err := s.sources.ListSources(t.Context(), &callnormv1.ListSourcesRequest{}, grpc.WaitForReady(true)); err != nil {
		t.Error(err)
	}
}
