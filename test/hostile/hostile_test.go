package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/catalog"
	"github.com/callnorm/callnorm/adapters/scenario"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/signature"
	"github.com/google/go-cmp/cmp"
)

// some is how many requests show what the generator makes.
const some = 1_000

func generate(t *testing.T, doors map[string][2]*door, seed uint64) *generator {
	t.Helper()
	g, err := newGenerator(formats(t), doors, seed)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func formats(t *testing.T) *adapters.Set {
	t.Helper()
	set, err := catalog.Set()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func openDoors(t *testing.T) map[string][2]*door {
	t.Helper()
	doors, err := newDoors(formats(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range doors {
		for _, d := range pair {
			d.now = func() time.Time { return at }
		}
	}
	return doors
}

// at is when all requests are signed.
var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fingerprint is what a request looks like on the wire, short.
func fingerprint(t *testing.T, s shot) [sha256.Size]byte {
	t.Helper()
	text, err := json.Marshal([]any{s.door.name, s.path, s.header, s.body, s.want, s.made})
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(text)
}

func TestTheSameSeedMakesTheSameRequests(t *testing.T) {
	doors := openDoors(t)
	first, again, other := generate(t, doors, 7), generate(t, doors, 7), generate(t, doors, 8)
	same := 0
	for n := some - 1; n >= 0; n-- { // in another order than the first did
		one := fingerprint(t, first.shot(some-1-n))
		if one != fingerprint(t, again.shot(some-1-n)) {
			t.Fatalf("request %d differs", some-1-n)
		}
		if one == fingerprint(t, other.shot(some-1-n)) {
			same++
		}
	}
	if same > some/10 {
		t.Errorf("%d of %d requests are the same with another seed", same, some)
	}
}

func TestEveryFixtureIsSent(t *testing.T) {
	missing := make(map[string]bool)
	for _, adapter := range formats(t).All() {
		scenarios, err := scenario.Of(adapter)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range scenarios {
			missing[adapter.Name()+"/"+one.Name] = true
		}
	}
	if len(missing) < 200 {
		t.Errorf("only %d fixtures were found", len(missing))
	}
	g := generate(t, openDoors(t), 1)
	sources := make(map[string]int)
	for n := range some {
		s := g.shot(n)
		sources[s.door.name]++
		name, _, _ := strings.Cut(s.made, ",")
		delete(missing, name)
	}
	if len(missing) > 0 {
		t.Errorf("never sent: %v", slices.Sorted(maps.Keys(missing)))
	}
	if len(sources) != 2*len(formats(t).All()) {
		t.Errorf("sources: %v", sources)
	}
}

func TestEveryMutationAndAnswerOccurs(t *testing.T) {
	g := generate(t, openDoors(t), 1)
	made, wanted := make(map[string]int), make(map[int]int)
	for n := range 3 * some {
		s := g.shot(n)
		wanted[s.want]++
		for how := range strings.SplitSeq(s.made, ", ") {
			made[how]++
		}
	}
	for _, m := range mutations {
		if made[m.name] == 0 {
			t.Errorf("no body was made %q", m.name)
		}
	}
	for _, status := range []int{http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusUnsupportedMediaType} {
		if wanted[status] == 0 {
			t.Errorf("nothing calls for %d", status)
		}
	}
}

// TestRequestsAreSignedAsTheyAreWanted asks the verifiers themselves.
func TestRequestsAreSignedAsTheyAreWanted(t *testing.T) {
	verifiers := make(map[*door]*signature.Verifier)
	doors := openDoors(t)
	for _, pair := range doors {
		for _, d := range pair {
			var err error
			if verifiers[d], err = signature.New(d.settings, []signature.Secret{signature.Secret(d.secret)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	g := generate(t, doors, 1)
	for n := range some {
		s := g.shot(n)
		if s.want != http.StatusOK && s.want != http.StatusUnauthorized {
			continue
		}
		content := s.body
		if strings.Contains(s.made, ", gzip") {
			r, err := gzip.NewReader(bytes.NewReader(s.body))
			if err != nil {
				t.Fatalf("request %d (%s): %v", n, s.made, err)
			}
			if content, err = io.ReadAll(r); err != nil {
				t.Fatalf("request %d (%s): %v", n, s.made, err)
			}
		}
		_, err := verifiers[s.door].Verify(signature.Request{Method: http.MethodPost, Header: s.header, Body: content, Time: at})
		if (err == nil) != (s.want == http.StatusOK) {
			t.Errorf("request %d (%s): %v, and %d is wanted", n, s.made, err, s.want)
		}
	}
}

func TestTheCountFails(t *testing.T) {
	a, b, stranger := name{1}, name{2}, name{3}
	tests := map[string]struct {
		answers tally
		have    []name
		want    []string // that are broken
	}{
		"not when all is there": {answers: tally{named: []name{b, a, a}}, have: []name{a, b}},
		"when one is missing, as with the control": {
			answers: tally{named: []name{b, a}}, have: []name{b}, want: []string{"of these in the store"},
		},
		"when one is there that was not acknowledged": {
			answers: tally{named: []name{a}}, have: []name{a, stranger}, want: []string{"in the store without an answer of 200"},
		},
		"when a signed body was refused": {
			answers: tally{genuine: 2, taken: 1, named: []name{a}}, have: []name{a}, want: []string{"signed and readable bodies answered 200"},
		},
		"when a forged one was taken": {
			answers: tally{forged: 1, named: []name{a}}, have: []name{a}, want: []string{"forged ones answered 401"},
		},
		"when the server failed": {
			answers: tally{answers: map[int]int{500: 1}}, want: []string{"answers of 500 and the like"},
		},
	}
	for what, test := range tests {
		t.Run(what, func(t *testing.T) {
			book := newLedger(test.answers.named)
			have := newKept()
			for _, n := range test.have {
				if err := have.take(book, &callnormv1.Delivery{Name: n.String()}); err != nil {
					t.Fatal(err)
				}
			}
			broken := test.answers.report(book, have).Broken()
			if diff := cmp.Diff(test.want, broken); diff != "" {
				t.Errorf("broken (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAPanicOfAnAdapterCounts(t *testing.T) {
	book, have := newLedger([]name{{1}}), newKept()
	failed := &callnormv1.Delivery{Name: name{1}.String(), Faults: []*callnormv1.Fault{{Reason: callnormv1.FaultReason_FAULT_REASON_ADAPTER_FAILED}}}
	if err := have.take(book, failed); err != nil {
		t.Fatal(err)
	}
	if (&tally{}).report(book, have).Kept() {
		t.Error("it does not")
	}
}

func TestABombIsGzip(t *testing.T) {
	const blocks = 7
	wire, err := bomb(blocks)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(wire))
	if err != nil {
		t.Fatal(err)
	}
	size, err := io.Copy(io.Discard, r)
	if size != blocks*block || err != nil {
		t.Errorf("it inflates to %d bytes: %v", size, err)
	}
	if ratio := int(size) / len(wire); ratio < 900 {
		t.Errorf("its ratio is %d", ratio)
	}
}

func TestNamesSurvive(t *testing.T) {
	tests := map[string]struct {
		answer string
		want   string
	}{
		"an answer":              {`{"delivery":"deliveries/pvw643rgdegs6j7yre23bdpwhy","duplicate":false}`, "deliveries/pvw643rgdegs6j7yre23bdpwhy"},
		"an answer without name": {`{"duplicate":false}`, ""},
		"a name that is none":    {`{"delivery":"deliveries/short"}`, ""},
		"an answer that is none": {`<html>`, ""},
	}
	for what, test := range tests {
		t.Run(what, func(t *testing.T) {
			n, err := nameIn([]byte(test.answer))
			if (err == nil) != (test.want != "") || err == nil && n.String() != test.want {
				t.Errorf("%s, %v", n, err)
			}
		})
	}
}
