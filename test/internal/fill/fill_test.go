package fill

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
	texts, err := ReadBodies("../../../adapters")
	if err != nil {
		t.Fatal(err)
	}
	s := Set{Calls: 300, End: time.Now().Truncate(time.Second), Bodies: texts}
	dir := t.TempDir()
	made, err := Fill(t.Context(), dir, s, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(made.Names) != s.Calls {
		t.Errorf("%d names are known, want %d", len(made.Names), s.Calls)
	}
	k, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
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
		"the number of all":         {store.ListFilter{Address: OwnNumber}, 300},
		"the provider's id":         {store.ListFilter{ProviderCallID: s.Call(17).ID}, 1},
		"within the year":           {store.ListFilter{Begin: s.End.Add(-Year - late), End: s.End}, 300},
		"in its first half, around": {store.ListFilter{Begin: s.End.Add(-Year - late), End: s.Call(150).Begun}, 150},
	} {
		got := 0
		for page := (store.ListPage{}); !page.End; got += len(page.Entries) {
			if page, err = k.Store.List(t.Context(), test.filter, page.Next, 1000); err != nil {
				t.Fatal(err)
			}
		}
		if got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}
