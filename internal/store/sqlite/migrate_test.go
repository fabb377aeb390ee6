package sqlite

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

// newVersion1 writes a database as version 1 did, in its own formulas: a delivery of each state from 1 to 5, the one of state 2
// with a contribution to an outcome without a revision.
func newVersion1(t *testing.T, file string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(schema1)
	exec("PRAGMA user_version = 1")
	key := []byte("0123456789abcdef0123456789abcdef")
	for name, value := range map[string][]byte{"delivery_id_key": key, "log_id": []byte("the log!")} {
		exec("INSERT INTO meta VALUES (?, ?, ?)", name, value, int64(newChecksum("meta").text(name).bytes(value)))
	}
	exec("INSERT INTO head VALUES (1, 0, 0, 0, 5, 1, ?)",
		int64(newChecksum("head").number(0).number(0).number(0).number(5).number(1)))
	ids := &Store{key: key}
	header, report, body := []byte("\x01A\x011"), []byte("report"), []byte("body")
	for seq := range int64(6) {
		if seq == 0 {
			continue
		}
		dKey := version1Key(seq)
		id := ids.DeliveryID(dKey)
		first, n := int64(1), int64(0)
		if seq == 2 {
			n = 1
		}
		sum := newChecksum("deliveries").bytes(id[:]).bytes(dKey[:]).number(1000 + seq).number(seq).number(plain).
			text("door").text("format").text("provider").text("event").text("POST").text("/path").text("a=b").
			bytes(header).bytes(report).bytes(body).number(seq).number(first).number(n)
		exec("INSERT INTO delivery_ids VALUES (?, ?)", id[:], seq)
		exec("INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", seq, id[:], dKey[:], first, n,
			1000+seq, seq, plain, int64(sum), "door", "format", "provider", "event", "POST", "/path", "a=b", header, report, body)
	}
	id, o := ids.DeliveryID(version1Key(2)), outcome("version 1")
	exec("INSERT INTO contributions VALUES (1, ?, ?, 0, 0, ?, ?, ?)", id[:], o[:], plain,
		int64(newChecksum("contributions").bytes(id[:]).bytes(o[:]).number(0).number(plain).bytes(body).number(1).number(0)), body)
	exec("INSERT INTO outcomes VALUES (?, 0, 0, 0, 1, ?, '', x'')", o[:],
		int64(newChecksum("outcomes").bytes(o[:]).number(0).number(0).number(0).number(1).text("").bytes(nil)))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func version1Key(seq int64) store.DeliveryKey {
	return store.NewDeliveryKey("version 1", "", "", strings.Repeat("x", int(seq)), nil)
}

// checkVersion1 checks that all of it is there. Those that were quarantined wait, but for the corrupt one.
func checkVersion1(t *testing.T, s *Store, corrupt int64) {
	t.Helper()
	waiting := 0
	for seq := int64(1); seq <= 5; seq++ {
		d, err := s.Delivery(t.Context(), s.DeliveryID(version1Key(seq)))
		if seq == corrupt {
			if !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("corrupt delivery %d: %v", seq, err)
			}
			continue
		}
		want := store.Delivery{
			Key: version1Key(seq), Source: "door", Adapter: "format", Provider: "provider", Event: "event", Method: "POST",
			Path: "/path", Query: "a=b", Header: []store.HeaderLine{{Name: "A", Value: "1"}}, Body: []byte("body"),
			ReceiveTime: time.UnixMicro(1000 + seq).UTC(), State: int32(seq), Report: []byte("report"),
			Waiting: seq == 3 || seq == 4,
		}
		if want.Waiting {
			waiting++
		}
		if err != nil || !reflect.DeepEqual(d, want) {
			t.Errorf("delivery %d is %+v, %v, want %+v", seq, d, err, want)
		}
	}
	counts, err := s.CountWaiting(t.Context())
	if err != nil || counts["door"] != waiting {
		t.Errorf("%v wait, want %d: %v", counts, waiting, err)
	}
	kept, err := s.Contributions(t.Context(), outcome("version 1"))
	if err != nil || len(kept) == 0 || string(kept[0].Body) != "body" {
		t.Errorf("contributions are %+v: %v", kept, err)
	}
}

func TestVersion1(t *testing.T) {
	t.Parallel()
	for name, corrupt := range map[string]int64{"sound": 0, "a corrupt row": 4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			newVersion1(t, filepath.Join(dir, databaseFile))
			if corrupt != 0 {
				alter(t, dir, "UPDATE deliveries SET body = 'ydob' WHERE seq = ?", corrupt)
			}
			checked, err := Check(t.Context(), dir, nil)
			if errors.Is(err, store.ErrCorrupt) != (corrupt != 0) || corrupt == 0 && err != nil || checked.Deliveries != 5 {
				t.Errorf("Check has looked at %+v: %v", checked, err)
			}
			for range 2 {
				s := mustOpen(t, dir, Settings{})
				checkVersion1(t, s, corrupt)
				mustKeep(t, s, "version 1")
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestVersion1Backup restores what version 1 has left.
func TestVersion1Backup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, copied := filepath.Join(dir, databaseFile), filepath.Join(dir, "backup")
	newVersion1(t, file)
	if err := Backup(t.Context(), dir, copied); err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{"backup": copied, "the file itself": file} {
		restored := filepath.Join(t.TempDir(), name)
		if err := Restore(t.Context(), from, restored); err != nil {
			t.Fatal(err)
		}
		checkVersion1(t, mustOpen(t, restored, Settings{}), 0)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

// TestWaitingNeedsNoScan asks SQLite how it finds what waits.
func TestWaitingNeedsNoScan(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir(), Settings{})
	for _, query := range []string{
		"SELECT seq, state, source, adapter FROM deliveries WHERE seq > 1 AND waiting = 1 ORDER BY seq LIMIT 10",
		"SELECT source, COUNT(*) FROM deliveries WHERE waiting = 1 GROUP BY source",
	} {
		var id, parent, unused int
		var plan string
		if err := s.readers.QueryRowContext(t.Context(), "EXPLAIN QUERY PLAN "+query).Scan(&id, &parent, &unused, &plan); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, "INDEX deliveries_waiting") {
			t.Errorf("%s: %s", query, plan)
		}
	}
}
