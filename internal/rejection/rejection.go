// Package rejection remembers what was refused at the webhook door and why, so that an operator can see since when a source
// has been refused, and for what; and, where the operator asked for it, it holds the refused requests themselves, to be
// verified again after a fix.
//
// What is promised. Nothing of this was ever acknowledged to a sender, so a crash may lose it: of a process that is killed, at
// most what was told since the last write, which is about a second ago, or longer where writing takes long; of a power cut, also what
// the operating system had not yet written home (WAL with synchronous=NORMAL: no fsync but that of a checkpoint). Then a held request that was released may
// come back as well, and its second verification finds a duplicate. What is lost is the newest; what is left is consistent, a
// summary with its records. Close and Flush write all that was told. A database that cannot be read is moved aside and a new one
// is begun, with a line in the log.
//
// What somebody can do who sends what is refused, at any rate: raise the counts, push older records and older held requests of
// that source out (Summary.Evicted counts), and make records be lost while more come than can be written (Summary.Dropped and
// Summary.Unheld count). What he cannot do: slow an honest delivery, since Accept takes no lock and touches no disk, and Reject
// puts into a bounded queue or gives up; grow memory, since that queue is bounded in records and in bytes; grow the disk beyond
// the limits of each source; occupy it, since one goroutine writes, about once a second, for at most a fifth of the time; fill
// the queue for other sources, since one has at most three quarters of it; or make entries under names of his own, as long as
// Reject is told of sources that exist.
//
// Held requests may be personal. They are sealed with AES-256-GCM under keys derived from Settings.Key, and rows that are deleted
// are overwritten in the file; its journal may keep them, sealed, until it is used again or Close empties it. Free pages are used
// again, and what is free beyond 4 MiB goes back to the file system, some with each write. Records and summaries hold nothing of a
// request but sizes, a cause and the class of an address.
package rejection

import (
	"errors"
	"net/http"
	"time"
)

// Errors that callers may ask for with errors.Is.
var (
	// ErrLocked says that another Book, perhaps of another process, has the directory.
	ErrLocked = errors.New("rejections are locked by another process")
	// ErrClosed says that the Book was closed.
	ErrClosed = errors.New("rejections are closed")
	// ErrID says that a text is no id of a rejection.
	ErrID = errors.New("not the id of a rejection")
	// ErrNotFound says that no request is held under an id.
	ErrNotFound = errors.New("no such held request")
	// ErrKey says that a held request cannot be decrypted: it was held under another key, or was altered.
	ErrKey = errors.New("held request cannot be decrypted with this key")
)

// Bounds of what is held of one source where the operator asks for holding and sets none.
const (
	DefaultRequests = 1000
	DefaultBytes    = 64 << 20
)

// maxRejections is how many records of one source are kept.
const maxRejections = 1000

// Rejection is the record of one refused request.
type Rejection struct {
	// ID names it; later ones have greater numbers. Reject ignores it and gives one.
	ID string
	// Source is the name of a source that exists.
	Source string
	// Cause is of a closed list. It holds nothing of the request.
	Cause string
	// Time is when the request was received; when zero, the time of Reject.
	Time    time.Time
	Address Address
	// Forwarded tells that the address was told by a trusted proxy.
	Forwarded   bool
	BodyBytes   int64
	HeaderBytes int64
	// Held is the id of the held request, or "" when none is held, or no longer. Reject ignores it.
	Held string
}

// Request is a refused request as it came over the wire.
type Request struct {
	Method string
	// Path is the escaped path, Query the raw query without the question mark.
	Path, Query string
	Header      http.Header
	// Body is as it was sent: before inflation.
	Body        []byte
	ReceiveTime time.Time
}

// size is what a request counts against limits in bytes.
func (r *Request) size() int64 {
	n := len(r.Method) + len(r.Path) + len(r.Query) + len(r.Body)
	for name, values := range r.Header {
		for _, value := range values {
			n += len(name) + len(value)
		}
	}
	return int64(n)
}

// Limits bound what is held of one source: the oldest make room for the newest. Bytes are those of the requests; they are
// stored compressed. A limit of zero holds nothing.
type Limits struct {
	Requests int
	Bytes    int64
}

// HeldRequest is a refused request that was held.
type HeldRequest struct {
	ID, Source, Cause string
	// Time is the rejection's.
	Time time.Time
	// Request is what was refused, or nil when Err says why it cannot be shown.
	Request *Request
	// Err is ErrKey as a rule.
	Err error
}

// Fingerprint recognises a secret without telling it. Empty means none.
type Fingerprint string

// Summary is what is known of a source. A zero time means never.
type Summary struct {
	// Accepted and Refused count since the database was begun.
	Accepted, Refused               int64
	LastAcceptTime, LastRefusalTime time.Time
	// RefusedSinceAccept, FirstRefusalSinceAccept and ByCause tell of the refusals since the last accepted request.
	RefusedSinceAccept      int64
	FirstRefusalSinceAccept time.Time
	ByCause                 map[string]int64
	// MatchTimes tells when each secret last matched.
	MatchTimes map[Fingerprint]time.Time
	// HeldRequests and HeldBytes are what is held now, as far as it is written.
	HeldRequests, HeldBytes int64
	// Dropped counts refusals of which no record could be kept: they came faster than they are written, or the disk is full.
	Dropped int64
	// Unheld counts requests that were to be held and are not: for the same reasons, without a key, or larger than the limit.
	Unheld int64
	// Evicted counts held requests that made room for newer ones.
	Evicted int64
}
