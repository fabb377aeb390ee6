// Package vfs is a file system for SQLite that hands what a transaction writes to the journal over to the system's in one piece.
//
// SQLite writes each page to its journal by itself, and its header before it: two system calls for each of 16 to some hundred pages,
// before it syncs them once. Nobody else reads them before that, since SQLite tells its other connections of a transaction after its
// sync. So they are gathered until then. All other files, and everything else, are the system's.
//
// What SQLite asks of a file system: https://sqlite.org/c3ref/io_methods.html, and of a journal: https://sqlite.org/walformat.html.
package vfs

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite "modernc.org/sqlite/lib"
)

// Name is how a connection asks for it, in the parameter "vfs" of its address, once Register was called. It has to be the only one that
// writes, and to sync each of its transactions (synchronous=FULL): otherwise nothing says when one ends. With cache_spill=OFF nothing is
// gathered before a commit, so that nothing is left of what is rolled back.
const Name = "gathering"

const (
	// mostGathered is how many bytes are gathered: a transaction that writes more does so in several pieces.
	mostGathered = 1 << 20
	// mostWritten is how many bytes are written at once. SQLite takes lengths modulo 128 KiB.
	mostWritten = 1 << 16
)

var errMemory = errors.New("no memory for a file system")

// Register makes the file system known to SQLite. Only the first call does something; all return what it returned.
var Register = sync.OnceValue(register)

func register() error {
	tls := libc.NewTLS()
	defer tls.Close()
	found := sqlite.Xsqlite3_vfs_find(tls, 0)
	if found == 0 {
		return errors.New("SQLite has no file system")
	}
	system = *at[sqlite.Tsqlite3_vfs](found)
	name, err := libc.CString(Name)
	if err != nil {
		return err
	}
	own, ok := copied(tls, system)
	if !ok {
		return errMemory
	}
	v := at[sqlite.Tsqlite3_vfs](own)
	v.FzName, v.FpNext, v.FxOpen = name, 0, address(open)
	if code := sqlite.Xsqlite3_vfs_register(tls, own, 0); code != sqlite.SQLITE_OK {
		return fmt.Errorf("SQLite does not take a file system: code %d", code)
	}
	return nil
}

// system is the file system that SQLite has by itself.
var system sqlite.Tsqlite3_vfs

// journal is a journal that is open.
type journal struct {
	// system has the methods of the system's file.
	system *sqlite.Tsqlite3_io_methods
	// gathered is to be written at offset.
	gathered []byte
	offset   int64
}

// journals are those that are open, by SQLite's addresses of them, and our methods, by those of the system's.
var journals = struct {
	sync.RWMutex

	open    map[uintptr]*journal
	methods map[uintptr]uintptr
}{open: map[uintptr]*journal{}, methods: map[uintptr]uintptr{}}

// open opens a file as the system does, and takes it over when it is a journal.
func open(tls *libc.TLS, vfs, name, file uintptr, flags int32, granted uintptr) int32 {
	code := function[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](system.FxOpen)(tls, vfs, name, file, flags, granted)
	if code != sqlite.SQLITE_OK || flags&sqlite.SQLITE_OPEN_WAL == 0 {
		return code
	}
	journals.Lock()
	defer journals.Unlock()
	f := at[sqlite.Tsqlite3_file](file)
	own, ok := journals.methods[f.FpMethods]
	if !ok {
		if own, ok = copied(tls, *at[sqlite.Tsqlite3_io_methods](f.FpMethods)); !ok {
			return sqlite.SQLITE_OK // and the system writes it
		}
		m := at[sqlite.Tsqlite3_io_methods](own)
		m.FxRead, m.FxWrite, m.FxSync = address(read), address(write), address(syncAll)
		m.FxTruncate, m.FxFileSize, m.FxClose = address(truncate), address(size), address(closeFile)
		journals.methods[f.FpMethods] = own
	}
	journals.open[file] = &journal{system: at[sqlite.Tsqlite3_io_methods](f.FpMethods)}
	f.FpMethods = own
	return sqlite.SQLITE_OK
}

func opened(file uintptr) *journal {
	journals.RLock()
	defer journals.RUnlock()
	return journals.open[file]
}

// write gathers what comes next to what was gathered.
func write(tls *libc.TLS, file, from uintptr, n int32, offset int64) int32 {
	j := opened(file)
	if offset != j.offset+int64(len(j.gathered)) || len(j.gathered)+int(n) > mostGathered {
		if code := j.flush(tls, file); code != sqlite.SQLITE_OK {
			return code
		}
		j.offset = offset
	}
	j.gathered = append(j.gathered, unsafe.Slice(at[byte](from), n)...) //nolint:gosec // as much as SQLite says
	return sqlite.SQLITE_OK
}

// flush writes what was gathered. What could not be written is forgotten: SQLite rolls back what it belongs to.
func (j *journal) flush(tls *libc.TLS, file uintptr) int32 {
	end := j.offset + int64(len(j.gathered))
	defer func() { j.gathered, j.offset = j.gathered[:0], end }()
	for rest := j.gathered; len(rest) > 0; {
		n := min(len(rest), mostWritten)
		if code := function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](j.system.FxWrite)(
			tls, file, uintptr(unsafe.Pointer(unsafe.SliceData(rest))), int32(n), end-int64(len(rest))); code != sqlite.SQLITE_OK { //nolint:gosec // j holds it
			return code
		}
		rest = rest[n:]
	}
	return sqlite.SQLITE_OK
}

// settle writes what was gathered before the file is looked at. SQLite would roll back one statement alone where a read tells of a full
// disk, and go on without the pages of those before it; after any other error it rolls back all.
func (j *journal) settle(tls *libc.TLS, file uintptr) int32 {
	code := j.flush(tls, file)
	if code == sqlite.SQLITE_FULL {
		return sqlite.SQLITE_IOERR
	}
	return code
}

// syncAll writes what was gathered, and syncs the file.
func syncAll(tls *libc.TLS, file uintptr, flags int32) int32 {
	j := opened(file)
	if code := j.flush(tls, file); code != sqlite.SQLITE_OK {
		return code
	}
	return function[func(*libc.TLS, uintptr, int32) int32](j.system.FxSync)(tls, file, flags)
}

func read(tls *libc.TLS, file, to uintptr, n int32, offset int64) int32 {
	j := opened(file)
	if code := j.settle(tls, file); code != sqlite.SQLITE_OK {
		return code
	}
	return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](j.system.FxRead)(tls, file, to, n, offset)
}

func truncate(tls *libc.TLS, file uintptr, size int64) int32 {
	j := opened(file)
	if code := j.settle(tls, file); code != sqlite.SQLITE_OK {
		return code
	}
	return function[func(*libc.TLS, uintptr, int64) int32](j.system.FxTruncate)(tls, file, size)
}

func size(tls *libc.TLS, file, to uintptr) int32 {
	j := opened(file)
	if code := j.settle(tls, file); code != sqlite.SQLITE_OK {
		return code
	}
	return function[func(*libc.TLS, uintptr, uintptr) int32](j.system.FxFileSize)(tls, file, to)
}

// closeFile gives the file back to the system, and closes it. What is still gathered belongs to a transaction that was not committed.
func closeFile(tls *libc.TLS, file uintptr) int32 {
	journals.Lock()
	j := journals.open[file]
	delete(journals.open, file)
	journals.Unlock()
	return function[func(*libc.TLS, uintptr) int32](j.system.FxClose)(tls, file)
}

// copied returns the address of a copy of a value in SQLite's memory, which stays there as long as the process lives.
func copied[T any](tls *libc.TLS, value T) (uintptr, bool) {
	p := libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(value)))
	if p != 0 {
		*at[T](p) = value
	}
	return p, p != 0
}

// at returns what is at an address in SQLite's memory, which Go does not move or collect.
func at[T any](p uintptr) *T {
	return (*T)(*(*unsafe.Pointer)(unsafe.Pointer(&p))) //nolint:gosec // that is where it is
}

// function returns the function that SQLite has an address of, and address that of a function, as the translation from C has them.
func function[F any](p uintptr) F {
	return *(*F)(unsafe.Pointer(&struct{ uintptr }{p})) //nolint:gosec // as modernc.org/libc does
}

func address[F any](f F) uintptr {
	return *(*uintptr)(unsafe.Pointer(&struct{ f F }{f})) //nolint:gosec // as modernc.org/libc does
}
