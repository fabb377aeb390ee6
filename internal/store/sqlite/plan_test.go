package sqlite

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

// A statement takes as long with many calls as with few when SQLite finds what it looks at in its order, and reads no other rows.
func TestPlans(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), t.TempDir(), Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	asked, place := true, store.Place{Time: 1, First: 1}
	for name, test := range map[string]struct {
		filter store.ListFilter
		plan   string
	}{
		"all":                    {plan: "COVERING INDEX outcomes_by_time (listed=? AND (time,first_position)<(?,?))"},
		"what columns tell":      {store.ListFilter{Filter: store.Filter{Sources: []string{"a", "b"}, Statuses: []int32{1}}}, "COVERING INDEX outcomes_by_time (listed=? AND (time,first_position)<(?,?))"},
		"a time":                 {store.ListFilter{Begin: time.Unix(1, 0), End: time.Unix(2, 0)}, "COVERING INDEX outcomes_by_time (listed=? AND time>? AND (time,first_position)<(?,?))"},
		"asked not to be called": {store.ListFilter{DoNotCall: &asked}, "INDEX outcomes_do_not_call"},
		"an address":             {store.ListFilter{Address: "jo@example.com", Dispositions: []int32{1}}, "SEARCH a USING PRIMARY KEY (address=?"},
		"an external id":         {store.ListFilter{ExternalID: store.ExternalID{System: "crm", ID: "1"}}, "SEARCH e USING PRIMARY KEY (system=? AND id=?"},
		"a call id":              {store.ListFilter{ProviderCallID: "1"}, "INDEX outcomes_by_provider_call_id (provider_call_id=?)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			query, args := s.query(test.filter, place, 100)
			plan := planOf(t, s, query, args...)
			if !strings.Contains(plan, test.plan) {
				t.Errorf("the plan does not have %q:\n%s", test.plan, plan)
			}
			// What has one id is sorted: it is a handful.
			sorts := test.filter.ProviderCallID != "" || test.filter.ExternalID != (store.ExternalID{})
			if strings.Contains(plan, "TEMP B-TREE") != sorts {
				t.Errorf("sorting is not as expected:\n%s", plan)
			}
		})
	}
}

func planOf(t *testing.T, s *Store, query string, args ...any) string {
	t.Helper()
	rows, err := s.readers.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Error(err)
		}
	}()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(step + "\n")
	}
	return plan.String()
}
