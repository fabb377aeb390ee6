package sqlite_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/internal/store/sqlite"
)

func TestABodyIsNotWrittenOverByThoseReadAfterIt(t *testing.T) {
	t.Parallel()
	s, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	const many = 50
	told := func(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%04d", i), 2000) }
	for i := range many {
		outcome := store.NewOutcomeID("call", fmt.Sprint(i))
		_, err := s.Append(context.WithoutCancel(t.Context()), store.Delivery{Key: store.NewDeliveryKey("s", "POST", "/", "", told(i)), Source: "s", Body: told(i)},
			[]store.Contribution{{Outcome: outcome, Body: told(i)}},
			func(store.Call) (store.Revision, error) { return store.Revision{Body: told(i)}, nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	begin, err := s.Beginning(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	page, err := s.Read(t.Context(), begin, store.Filter{}, many)
	if err != nil || len(page.Entries) != many {
		t.Fatal(len(page.Entries), err)
	}
	if _, err := s.Read(t.Context(), begin, store.Filter{}, many); err != nil { // on the same connection, most likely
		t.Fatal(err)
	}
	for i, entry := range page.Entries {
		if !bytes.Equal(entry.Body, told(i)) {
			t.Errorf("the body of entry %d is another one: %.20s", i, entry.Body)
		}
	}
}
