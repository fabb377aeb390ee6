//go:build !race

package drift

import (
	"sync/atomic"
	"testing"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// statements counts what SQLite has begun to run, on all connections, by whatever way it was asked.
var statements atomic.Int64

// TestMain has SQLite call back for each statement: on every connection, from when it is opened.
func TestMain(m *testing.M) {
	if code := sqlite3.Xsqlite3_auto_extension(libc.NewTLS(), pointer(onOpen)); code != sqlite3.SQLITE_OK {
		panic(code)
	}
	m.Run()
}

func onOpen(tls *libc.TLS, db, _, _ uintptr) int32 {
	return sqlite3.Xsqlite3_trace_v2(tls, db, sqlite3.SQLITE_TRACE_STMT, pointer(onStatement), 0)
}

func onStatement(*libc.TLS, uint32, uintptr, uintptr, uintptr) int32 {
	statements.Add(1)
	return sqlite3.SQLITE_OK
}

// pointer returns a function, one that is declared, as C has it: so does the driver with its own.
func pointer[T any](f T) uintptr { return *(*uintptr)(unsafe.Pointer(&struct{ f T }{f})) }
