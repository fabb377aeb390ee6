package adaptertest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/scenario"
	gocmp "github.com/google/go-cmp/cmp"
)

// order compares two names by their places.
type order func(names []string, i, j int) int

// orders are those in which the members of an object, or the pairs of a form, may come as well.
var orders = map[string]order{
	"backwards": func(_ []string, i, j int) int { return cmp.Compare(j, i) },
	"by name":   func(names []string, i, j int) int { return strings.Compare(names[i], names[j]) },
	"by length": func(names []string, i, j int) int { // as PostgreSQL's jsonb has them
		return cmp.Or(cmp.Compare(len(names[i]), len(names[j])), strings.Compare(names[i], names[j]))
	},
	"by chance": func(names []string, i, j int) int {
		return cmp.Compare(crc32.ChecksumIEEE([]byte(names[i])), crc32.ChecksumIEEE([]byte(names[j])))
	},
}

func asTheyCome(_ []string, i, j int) int { return cmp.Compare(i, j) }

// checkOrder checks that the order of members, which means nothing, decides nothing.
func checkOrder(t *testing.T, adapter adapters.Adapter, cases []scenario.Scenario) {
	for _, c := range cases {
		d := documentOf(c.Delivery)
		want := orderless(t, adapter, d.ordered(asTheyCome)) // written anew as well, so that escapes are the same
		for name, order := range orders {
			if diff := gocmp.Diff(want, orderless(t, adapter, d.ordered(order))); diff != "" {
				t.Errorf("%s means something else when its members come %s (-want +got):\n%s", c.Name, name, diff)
			}
		}
	}
}

// ordered returns the places of names in another order. Where one is there twice, they keep theirs.
func ordered(names []string, order order) []int {
	places := make([]int, len(names))
	for i := range places {
		places[i] = i
	}
	if len(slices.Compact(slices.Sorted(slices.Values(names)))) == len(names) {
		slices.SortFunc(places, func(i, j int) int { return order(names, i, j) })
	}
	return places
}

// orderless returns what a delivery means, without the order of lists that hold what an object held, and without what is left unmapped: of
// two places that say the same, it may be either.
func orderless(t *testing.T, adapter adapters.Adapter, d adapters.Delivery) any {
	t.Helper()
	result, err := adapters.Normalize(adapter, d)
	if err != nil {
		return "refused"
	}
	for _, outcome := range result.Outcomes {
		from := outcome.Call.GetProvenance()
		from.Unmapped, from.UnmappedCount = nil, 0
	}
	var value any
	if err := json.Unmarshal(Golden(t, Response(result)), &value); err != nil {
		t.Fatal(err)
	}
	return sorted(value, "")
}

// sorted returns a value in which only those lists have an order in which one was told. JSON within it is read.
func sorted(value any, name string) any {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			v[name] = sorted(member, name)
		}
	case []any:
		for i := range v {
			v[i] = sorted(v[i], "")
		}
		switch name {
		case "turns", "words", "transfers", "keyPresses", "messages", "legs", "nodePath":
		default:
			slices.SortFunc(v, func(a, b any) int { return bytes.Compare(text(a), text(b)) })
		}
	case string:
		var inner any
		if strings.HasPrefix(v, "{") && json.Unmarshal([]byte(v), &inner) == nil {
			return inner
		}
	}
	return value
}

func text(value any) []byte {
	b, _ := json.Marshal(value) //nolint:errchkjson // it was JSON
	return b
}
