// Package e2e runs the shipped binary the way its users do: over sockets, on the providers' own sample bodies, with kill -9.
package e2e_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/catalog"
	"github.com/callnorm/callnorm/adapters/scenario"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

const folders = "../../adapters"

// sample is a body of a provider's documentation page, and the door it goes to.
type sample struct {
	name, provider string
	delivery       adapters.Delivery
}

// samples finds the fixtures that stand for whole documentation pages.
func samples(t *testing.T) []sample {
	t.Helper()
	set, err := catalog.Set()
	if err != nil {
		t.Fatal(err)
	}
	var list []sample
	for _, adapter := range set.All() {
		scenarios, err := scenario.Of(adapter)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range scenarios {
			result, err := adapters.Normalize(adapter, one.Delivery)
			if err == nil && len(result.Outcomes) > 0 && strings.Contains(one.Name, "_page") {
				list = append(list, sample{name: one.Name, provider: one.Delivery.Provider, delivery: one.Delivery})
			}
		}
	}
	if len(list) < 4 {
		t.Fatalf("only %d samples were found", len(list))
	}
	return list
}

// take posts a sample, which must be kept.
func (s *service) take(t *testing.T, sample sample) *callnormv1.IngestDeliveryResponse {
	t.Helper()
	address := s.url + "/v1/webhooks/" + sample.provider
	if sample.delivery.Event != "" {
		address += "/" + sample.delivery.Event
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader(sample.delivery.Body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = sample.delivery.Header.Clone()
	code, text := do(t, http.DefaultClient, request)
	answer := &callnormv1.IngestDeliveryResponse{}
	if err := protojson.Unmarshal(text, answer); code != http.StatusOK || err != nil {
		t.Fatalf("%s: %d %s", sample.name, code, text)
	}
	return answer
}

func TestNothingIsLostOverKillMinus9(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, "--data-dir", dir)
	live, beginning := s.follow(t, now())
	list := samples(t)
	var names []string
	states := make(map[string]*callnormv1.CallOutcome)
	for _, sample := range list {
		answer := s.take(t, sample)
		if answer.GetDuplicate() || len(answer.GetOutcomes()) == 0 {
			t.Errorf("%s: %v", sample.name, answer)
		}
		for _, outcome := range answer.GetOutcomes() {
			names = append(names, outcome.GetName())
			states[outcome.GetName()] = s.get(t, outcome.GetName())
		}
	}
	seen, last := read(t, live, len(names))
	if !slices.Equal(seen, names) {
		t.Errorf("a client that was connected before saw\n%v, want\n%v", seen, names)
	}

	s.kill(t)
	s = serve(t, "--data-dir", dir)

	again, _ := s.follow(t, after(beginning))
	if seen, _ := read(t, again, len(names)); !slices.Equal(seen, names) {
		t.Errorf("a client with an older cursor saw\n%v, want\n%v", seen, names)
	}
	later, _ := s.follow(t, after(last))
	for _, sample := range list {
		answer := s.take(t, sample)
		if !answer.GetDuplicate() {
			t.Errorf("%s is no duplicate any more: %v", sample.name, answer)
		}
	}
	for name, before := range states {
		if after := s.get(t, name); after.GetRevision() < before.GetRevision() {
			t.Errorf("%s went from revision %d to %d", name, before.GetRevision(), after.GetRevision())
		}
	}
	marker := s.post(t, "synthflow", []byte(call("marker"))).GetOutcomes()[0].GetName()
	if seen, _ := read(t, later, 1); seen[0] != marker {
		t.Errorf("the repeated deliveries were streamed: %v", seen)
	}
}

func TestASecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	serve(t, "--data-dir", dir)
	run(t, "serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0", "--data-dir", dir).
		expect(t, 4, "in use by another process")
}

func TestSIGTERMStopsTheService(t *testing.T) {
	s := serve(t, "--data-dir", t.TempDir())
	stream, _ := s.follow(t, &callnormv1.StreamOutcomesRequest{})
	s.signal(t, syscall.SIGTERM)
	if farewell, err := stream.Recv(); err != nil || farewell.GetCursor() == "" {
		t.Errorf("%v, %v", farewell, err)
	}
	if <-s.ended; s.exit != nil {
		t.Errorf("exit: %v", s.exit)
	}
}
