package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../../adapters"

func tell(t *testing.T, seed uint64) *teller {
	t.Helper()
	told, err := newTeller(root, seed)
	if err != nil {
		t.Fatal(err)
	}
	return told
}

func TestTheSameSeedMakesTheSameCalls(t *testing.T) {
	t.Parallel()
	first, again, other := tell(t, 7), tell(t, 7), tell(t, 8)
	for n := range uint64(200) {
		if diff := cmp.Diff(first.call(n), again.call(n), cmp.AllowUnexported(telling{}, delivery{})); diff != "" {
			t.Fatalf("call %d (-first +again):\n%s", n, diff)
		}
		if string(first.call(n).left[0].body) == string(other.call(n).left[0].body) {
			t.Errorf("call %d is the same with another seed", n)
		}
	}
}

func TestCallsHaveIdsOfTheirOwn(t *testing.T) {
	t.Parallel()
	told := tell(t, 1)
	whose := make(map[string]uint64)
	several, doomed := 0, 0
	for n := range uint64(500) {
		call := told.call(n)
		if call.doomed {
			doomed++
		}
		if len(call.left) > 1 {
			several++
		}
		for _, d := range call.left {
			for _, id := range ids.FindAllString(string(d.body), -1) {
				if before, ok := whose[id]; ok && before != n {
					t.Fatalf("calls %d and %d share %s", before, n, id)
				}
				whose[id] = n
			}
		}
	}
	if several == 0 || doomed == 0 || doomed == 500 {
		t.Errorf("%d calls with several deliveries, %d doomed", several, doomed)
	}
}
