package main

import (
	"io"
	"testing"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/store"
)

// What a set is made of is what the tool says: every call is final and found by everything it is measured by.
func TestFill(t *testing.T) {
	t.Parallel()
	texts, err := readBodies("../../adapters")
	if err != nil {
		t.Fatal(err)
	}
	s := set{calls: 300, end: time.Now().Truncate(time.Second), bodies: texts}
	dir := t.TempDir()
	made, err := fill(t.Context(), dir, s, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(made.sample.Names) != s.calls {
		t.Errorf("%d names are known, want %d", len(made.sample.Names), s.calls)
	}
	k, err := openKept(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.close(); err != nil {
			t.Error(err)
		}
	})
	asked := true
	for name, test := range map[string]struct {
		filter store.ListFilter
		want   int
	}{
		"all":                       {want: 300},
		"one provider":              {store.ListFilter{Filter: store.Filter{Sources: []string{"voxia"}}}, 30},
		"asked not to be called":    {store.ListFilter{DoNotCall: &asked}, 10},
		"final":                     {store.ListFilter{Filter: store.Filter{Completeness: []int32{int32(callnormv1.Completeness_COMPLETENESS_FINAL)}}}, 300},
		"busy":                      {store.ListFilter{Filter: store.Filter{Statuses: []int32{int32(callnormv1.CallStatus_CALL_STATUS_BUSY)}}}, 40},
		"the number of all":         {store.ListFilter{Address: ownNumber}, 300},
		"the provider's id":         {store.ListFilter{ProviderCallID: s.call(17).id}, 1},
		"within the year":           {store.ListFilter{Begin: s.end.Add(-year - late), End: s.end}, 300},
		"in its first half, around": {store.ListFilter{Begin: s.end.Add(-year - late), End: s.call(150).begun}, 150},
	} {
		got := 0
		for page := (store.ListPage{}); !page.End; got += len(page.Entries) {
			if page, err = k.store.List(t.Context(), test.filter, page.Next, 1000); err != nil {
				t.Fatal(err)
			}
		}
		if got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}
