package sqlite_test

import (
	"context"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/internal/store/sqlite"
	"github.com/callnorm/callnorm/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	t.Parallel()
	var seen sync.Map
	storetest.Run(t, func(t *testing.T, dir string) store.Store {
		t.Helper()
		if _, again := seen.LoadOrStore(dir, true); !again {
			// Whatever a test does, it leaves nothing that Check takes for broken.
			t.Cleanup(func() {
				if _, err := sqlite.Check(context.Background(), dir, func(err error) { t.Error(err) }); err != nil {
					t.Errorf("Check: %v", err)
				}
			})
		}
		s, err := sqlite.Open(t.Context(), dir, sqlite.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
