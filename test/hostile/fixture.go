package main

import (
	"regexp"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/scenario"
)

// fixture is a body that a provider sent, or an adapter's test has made up.
type fixture struct {
	name    string // adapter/scenario
	adapter string
	event   string // that the path named
	body    []byte
	ids     []span // values of ids
	values  []span // all values that are no objects and no lists
}

// span is a part of a body.
type span struct{ from, to int }

// readFixtures returns the fixtures of all adapters.
func readFixtures(set *adapters.Set) ([]*fixture, error) {
	var list []*fixture
	for _, adapter := range set.All() {
		scenarios, err := scenario.Of(adapter)
		if err != nil {
			return nil, err
		}
		for _, one := range scenarios {
			list = append(list, newFixture(adapter.Name(), one))
		}
	}
	return list, nil
}

func newFixture(adapter string, one scenario.Scenario) *fixture {
	f := &fixture{name: adapter + "/" + one.Name, adapter: adapter, event: one.Delivery.Event, body: one.Delivery.Body}
	for _, at := range ids.FindAllSubmatchIndex(f.body, -1) {
		f.ids = append(f.ids, span{at[2], at[3]})
	}
	for _, at := range values.FindAllSubmatchIndex(f.body, -1) {
		f.values = append(f.values, span{at[2], at[3]})
	}
	return f
}

// What to put something else in the place of. Fixtures that are no JSON are read as far as they look like it.
var (
	ids    = regexp.MustCompile(`"\w*[iI]d"\s*:\s*("(?:[^"\\]|\\.)*")`)
	values = regexp.MustCompile(`[:\[,]\s*("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null)\s*[,}\]]`)
	names  = regexp.MustCompile(`"((?:[^"\\]|\\.){1,60})"\s*:`)
)
