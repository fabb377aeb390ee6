package vfs

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite"
	sqlite "modernc.org/sqlite/lib"
)

// openDB opens a database with one connection, as its only writer or to read.
func openDB(t *testing.T, file, query string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?"+query)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// openWriter opens one whose transactions are gathered, with little memory for pages, so that large ones go to the journal in parts.
func openWriter(t *testing.T, file string) *sql.DB {
	t.Helper()
	if err := Register(); err != nil {
		t.Fatal(err)
	}
	db := openDB(t, file, "vfs="+Name+"&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(0)&_pragma=cache_size(20)")
	exec(t, db, "CREATE TABLE kept (id INTEGER PRIMARY KEY, body BLOB NOT NULL, random BLOB NOT NULL UNIQUE)")
	return db
}

// insertRows takes how many, and the size of their bodies.
const insertRows = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?) " +
	"INSERT INTO kept (body, random) SELECT zeroblob(?), randomblob(16) FROM n"

type querier interface {
	Exec(query string, args ...any) (sql.Result, error)
	QueryRow(query string, args ...any) *sql.Row
}

func exec(t *testing.T, on querier, query string, args ...any) {
	t.Helper()
	if _, err := on.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// sums says what is in a database.
func sums(t *testing.T, db querier) (text string) {
	t.Helper()
	var check string
	var rows, ids, bytes int64
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
		t.Fatalf("integrity: %s, %v", check, err)
	}
	if err := db.QueryRow("SELECT COUNT(*), COALESCE(SUM(id), 0), COALESCE(SUM(length(body) + unicode(hex(random))), 0) FROM kept").Scan(&rows, &ids, &bytes); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(rows, ids, bytes)
}

// TestHistory lets transactions of all sizes come, some of them rolled back, and the journal begin anew. After each of them, another
// connection and one to a copy of the files, as a crash would leave them, find what the writer finds.
func TestHistory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "db")
	writer := openWriter(t, file)
	reader := openDB(t, file, "mode=ro")
	random := rand.New(rand.NewPCG(uint64(os.Getpid()), 1))
	for turn := range 60 {
		tx, err := writer.Begin()
		if err != nil {
			t.Fatal(err)
		}
		for range 1 << random.IntN(9) {
			body := make([]byte, random.IntN(1<<(4+random.IntN(12))))
			exec(t, tx, "INSERT INTO kept (body, random) VALUES (?, randomblob(16))", body)
		}
		exec(t, tx, "DELETE FROM kept WHERE id % 7 = ?", random.IntN(7))
		sums(t, tx)
		end := tx.Commit
		if random.IntN(4) == 0 {
			end = tx.Rollback
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		want := sums(t, writer)
		if got := sums(t, reader); got != want {
			t.Fatalf("turn %d: a reader finds %s, not %s", turn, got, want)
		}
		copied := filepath.Join(t.TempDir(), "db")
		for _, suffix := range []string{"", "-wal"} {
			copyFile(t, file+suffix, copied+suffix)
		}
		if got := sums(t, openDB(t, copied, "mode=rw")); got != want {
			t.Fatalf("turn %d: after a crash there is %s, not %s", turn, got, want)
		}
		if random.IntN(5) == 0 {
			exec(t, writer, []string{"PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA wal_checkpoint(TRUNCATE)"}[random.IntN(2)])
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The system's way to write, which these count and refuse.
var (
	writes atomic.Int64
	full   atomic.Bool
	plain  uintptr
)

func countingWrite(tls *libc.TLS, file, from uintptr, n int32, offset int64) int32 {
	writes.Add(1)
	if full.Load() && n > 100 {
		return sqlite.SQLITE_FULL
	}
	return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](plain)(tls, file, from, n, offset)
}

// count lets the journals that are open now be written by countingWrite.
func count() {
	journals.Lock()
	defer journals.Unlock()
	for _, j := range journals.open {
		counting := *j.system
		plain, counting.FxWrite = counting.FxWrite, address(countingWrite)
		j.system = &counting
	}
}

// TestWrites counts the writes of transactions, and fails some: what they belong to is rolled back, and told.
func TestWrites(t *testing.T) { //nolint:tparallel // it changes what all journals that are opened meanwhile write with
	db := openWriter(t, filepath.Join(t.TempDir(), "db"))
	count()
	insert := func(rows int) error {
		_, err := db.Exec(insertRows, rows, 5000)
		return err
	}
	for _, test := range []struct{ rows, most int64 }{{1, 1}, {5, 2}} { // of at most 64 KiB each
		before := writes.Load()
		if err := insert(int(test.rows)); err != nil {
			t.Fatal(err)
		}
		if n := writes.Load() - before; n < 1 || n > test.most {
			t.Errorf("%d writes for %d rows", n, test.rows)
		}
	}
	before := sums(t, db)
	full.Store(true)
	for _, rows := range []int{1, 100} {
		failure, ok := insert(rows).(*sqlite3.Error) //nolint:errorlint // it is no other
		if !ok || failure.Code() != sqlite.SQLITE_FULL {
			t.Errorf("%d rows on a full disk: %v", rows, failure)
		}
	}
	full.Store(false)
	if after := sums(t, db); after != before {
		t.Errorf("after a full disk there is %s, not %s", after, before)
	}
	if err := insert(3); err != nil {
		t.Error(err)
	}
	if after := sums(t, db); after == before {
		t.Error("nothing is written any more")
	}
}

// TestFullInTheMidst fills the disk while pages of earlier statements of a transaction have not been written yet: all of it is rolled back.
func TestFullInTheMidst(t *testing.T) { //nolint:tparallel // it changes what all journals that are opened meanwhile write with
	file := filepath.Join(t.TempDir(), "db")
	db := openWriter(t, file)
	count()
	exec(t, db, insertRows, 60, 3000)
	before := sums(t, db)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	do := func(query string, args ...any) error {
		_, err := conn.ExecContext(t.Context(), query, args...)
		return err
	}
	if err := do("BEGIN"); err != nil {
		t.Fatal(err)
	}
	if err := do(insertRows, 60, 3000); err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	err = do("UPDATE kept SET random = randomblob(16) WHERE id > 1")
	full.Store(false)
	if err == nil {
		t.Error("nothing tells of the full disk")
	}
	if err := do("COMMIT"); err == nil {
		t.Error("what has lost pages is committed")
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if after := sums(t, db); after != before {
		t.Errorf("there is %s, not %s", after, before)
	}
}

// TestOpen looks that only the journal of who asks for it is taken over, and that closing forgets it.
func TestOpen(t *testing.T) { //nolint:tparallel // it counts the journals that are open
	file := filepath.Join(t.TempDir(), "db")
	opened := func() int {
		journals.RLock()
		defer journals.RUnlock()
		return len(journals.open)
	}
	before := opened()
	db := openWriter(t, file)
	sums(t, openDB(t, file, "mode=ro"))
	if n := opened() - before; n != 1 {
		t.Errorf("%d journals are open", n)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if n := opened() - before; n != 0 {
		t.Errorf("%d journals are open after the end", n)
	}
}
