package scenario_test

import (
	"bytes"
	"path"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/catalog"
	"github.com/callnorm/callnorm/adapters/scenario"
	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	list, err := scenario.Read(fstest.MapFS{
		"testdata/b.json":             {Data: []byte(`{"b":1}`)},
		"testdata/b.json.golden":      {Data: []byte(`{}`)},
		"testdata/a.form":             {Data: []byte(`A=1`)},
		"testdata/a.form.delivery":    {Data: []byte(`{"provider":"brand","event":"e","query":"q=1","header":{"X-A":["1"]}}`)},
		"testdata/c.md":               {Data: []byte(`no JSON`)},
		"testdata/c.md.error":         {Data: []byte(`reason`)},
		"testdata/left_out.txt":       {Data: []byte(`a`)},
		"testdata/words/reasons.tsv":  {Data: []byte(`a`)},
		"testdata/fuzz/FuzzX/0123456": {Data: []byte(`a`)},
	}, "provider")
	if err != nil {
		t.Fatal(err)
	}
	want := []scenario.Scenario{
		{Name: "a", File: "testdata/a.form", Delivery: adapters.Delivery{
			Provider: "brand", Event: "e", Query: "q=1", Body: []byte("A=1"),
			Header: map[string][]string{"Content-Type": {"application/x-www-form-urlencoded"}, "X-A": {"1"}},
		}},
		{Name: "b", File: "testdata/b.json", Delivery: adapters.Delivery{
			Provider: "provider", Body: []byte(`{"b":1}`), Header: map[string][]string{"Content-Type": {"application/json"}},
		}},
		{Name: "c", File: "testdata/c.md", Delivery: adapters.Delivery{
			Provider: "provider", Body: []byte(`no JSON`), Header: map[string][]string{"Content-Type": {"application/json"}},
		}},
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
	for name, described := range map[string]string{"an unknown key": `{"evnt":"e"}`, "no JSON": `x`} {
		if _, err := scenario.Read(fstest.MapFS{
			"testdata/a.json": {}, "testdata/a.json.delivery": {Data: []byte(described)},
		}, "provider"); err == nil {
			t.Errorf("%s is not refused", name)
		}
	}
}

// TestEveryScenarioCanBeMadeFresh takes all adapters: a scenario that is sent again is no repeat, means the same, and speaks of
// another call, which is the same one in another scenario of the same run. A form that tells of no call stays as it is.
func TestEveryScenarioCanBeMadeFresh(t *testing.T) {
	set, err := catalog.Set()
	if err != nil {
		t.Fatal(err)
	}
	for _, adapter := range set.All() {
		scenarios, err := scenario.Of(adapter)
		if err != nil {
			t.Fatal(err)
		}
		renamed := make(map[string]string)
		for _, one := range scenarios {
			fresh, other := scenario.Fresh(adapter, one.Delivery, "run"), scenario.Fresh(adapter, one.Delivery, "another run")
			before, errBefore := adapters.Normalize(adapter, one.Delivery)
			if path.Ext(one.File) != ".form" || slices.ContainsFunc(before.Outcomes, func(o adapters.Outcome) bool { return o.CallID != "" }) {
				if bytes.Equal(fresh.Body, one.Delivery.Body) && fresh.Query == one.Delivery.Query {
					t.Errorf("%s %s is sent as it was", adapter.Name(), one.Name)
				}
				if bytes.Equal(fresh.Body, other.Body) && fresh.Query == other.Query {
					t.Errorf("%s %s is the same in every run", adapter.Name(), one.Name)
				}
			}
			after, errAfter := adapters.Normalize(adapter, fresh)
			if (errBefore == nil) != (errAfter == nil) || len(before.Outcomes) != len(after.Outcomes) {
				t.Errorf("%s %s means something else: %v", adapter.Name(), one.Name, errAfter)
				continue
			}
			for i, outcome := range before.Outcomes {
				id := after.Outcomes[i].CallID
				if outcome.CallID == "" {
					continue
				}
				if known := renamed[outcome.CallID]; id == outcome.CallID || known != "" && known != id {
					t.Errorf("%s %s: a call becomes %q in one scenario and %q in another", adapter.Name(), one.Name, known, id)
				}
				renamed[outcome.CallID] = id
				if got, want := after.Outcomes[i].Call.GetStatus(), outcome.Call.GetStatus(); got != want {
					t.Errorf("%s %s: the status is %v instead of %v", adapter.Name(), one.Name, got, want)
				}
			}
		}
	}
}
