package sqlite_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/internal/store/sqlite"
	"github.com/callnorm/callnorm/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, dir string) store.Store {
		t.Helper()
		s, err := sqlite.Open(t.Context(), dir, sqlite.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
