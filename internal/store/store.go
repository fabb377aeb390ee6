// Package store is the contract of what callnorm remembers: deliveries byte for byte, what each of their items says about a
// call, and the log of what is known about every call. sqlite implements it; storetest proves an implementation.
//
// The store knows nothing about providers, adapters or the contents of an outcome: bodies are opaque bytes beside the few
// keys by which they are found. Nothing here imports grpc.
package store

import (
	"context"
	"errors"
	"time"
)

// Store keeps deliveries and the log of revisions. All methods may be called at the same time from several goroutines.
//
// The log is a list of revisions at positions 1, 2, 3, ... without a gap, in the order in which they were committed. A reader
// who has seen position n has seen all that will ever be at positions up to n.
type Store interface {
	// Append keeps a delivery, its contributions and the revisions that they cause, in one durable step: when it returns
	// without an error, all of it survives a crash and a power cut; when it returns an error, the caller must assume that
	// it may or may not have been kept, and the same delivery may be appended again.
	//
	// A delivery whose key was kept before changes nothing; its receipt says so and tells what became of the first one.
	// Concurrent appends of one delivery keep it once.
	//
	// For each outcome among the contributions, Append reads all contributions to it that were kept before, adds the new
	// ones in the order of their items, and calls fold. What fold returns becomes the next revision of the outcome. Calls of
	// fold for one outcome never overlap. When fold fails or panics, nothing is kept and the error wraps ErrFold.
	//
	// When ctx ends before the commit is known, Append returns the context's error, and a commit that has begun goes on. So
	// nothing that was handed over may be changed afterwards, and fold may run after Append has returned.
	Append(ctx context.Context, delivery Delivery, contributions []Contribution, fold Fold) (Receipt, error)

	// Renormalize replaces what a kept delivery was understood to say: its names, its state, its report and its contributions,
	// in one durable step that survives and fails as Append does. It returns ErrNotFound when no such delivery is kept.
	//
	// The contributions that it made before count no more, wherever they were; the new ones come last, as if they had been
	// kept now. fold is called for each outcome that the delivery contributes to now, in the order of the receipt, and for each
	// that it contributed to before. It gets what all deliveries contribute, which is nothing at all when no other delivery
	// does and this one speaks of another call now. A failing fold leaves everything as it was.
	//
	// When nothing differs, byte for byte, fold is not called and nothing is written; the receipt then says Duplicate. A
	// repeated Append of the delivery is answered with the newest state, report and outcomes.
	Renormalize(ctx context.Context, id DeliveryID, understanding Understanding, fold Fold) (Receipt, error)

	// DeliveryID returns the id that a delivery with this key has here: a keyed hash, so that the id tells nothing about
	// the delivery to those who do not hold the store.
	DeliveryID(key DeliveryKey) DeliveryID
	// Delivery returns a kept delivery, or ErrNotFound.
	Delivery(ctx context.Context, id DeliveryID) (Delivery, error)
	// Deliveries returns the deliveries after a sequence number that pass the filter, in the order in which they were first
	// kept. It looks at a bounded number of them, of those that wait when the filter asks for these alone, and returns at most
	// limit (1 or more); DeliveryPage.Next says how far it looked. A delivery that Renormalize changes keeps its place, so
	// that one may begin to wait behind a reader who has passed it.
	Deliveries(ctx context.Context, filter DeliveryFilter, after int64, limit int) (DeliveryPage, error)
	// CountWaiting returns how many deliveries wait, by their sources; a source without any is not listed. It takes time in
	// proportion to those that wait, not to those that are kept.
	CountWaiting(ctx context.Context) (map[string]int, error)

	// Outcome returns the newest revision of an outcome, or ErrNotFound.
	Outcome(ctx context.Context, id OutcomeID) (Entry, error)
	// Lookup returns the newest revisions of the outcomes that a query finds, at most limit (1 or more), in the order of their
	// first revisions. Finding none is no error.
	Lookup(ctx context.Context, query Query, limit int) ([]Entry, error)
	// Contributions returns all contributions to an outcome that count, in the order in which they were kept. None is no error.
	Contributions(ctx context.Context, id OutcomeID) ([]KeptContribution, error)

	// Read returns the entries after a position that pass the filter, oldest first. It looks at a bounded number of
	// positions and returns at most limit (1 or more) entries; Page.Next says how far it looked. At the end of the log it
	// returns an empty page at once. It returns ErrCursorForeign after a position that was never reached, and
	// ErrCursorExpired before the oldest entry that is kept.
	Read(ctx context.Context, after Position, filter Filter, limit int) (Page, error)
	// Wait returns nil when the log has an entry after the position, and the context's error when that ends first. It
	// returns ErrClosed when the store is closed.
	Wait(ctx context.Context, after Position) error
	// Head returns a cursor at the end of the log.
	Head(ctx context.Context) (Cursor, error)
	// CursorAt returns a cursor before the first entry whose time is not before t.
	CursorAt(ctx context.Context, t time.Time) (Cursor, error)
	// Beginning returns a cursor before the oldest entry that is kept.
	Beginning(ctx context.Context) (Cursor, error)
	// Resume checks a cursor that a reader brought back and returns its position. It returns ErrCursorForeign for a cursor of
	// another log, of a position that this log has not reached, or of an entry that is not the one the reader saw; and
	// ErrCursorExpired for one before the oldest entry that is kept.
	Resume(ctx context.Context, cursor Cursor) (Position, error)

	// Err returns why the store cannot keep anything at the moment, or nil. It recovers by itself when a later commit
	// succeeds, unless its text says that it never will.
	Err() error
	// Close waits for what is being committed, ends all waits and releases the files. Closing again does nothing.
	Close() error
}

// Errors that callers may ask for with errors.Is.
var (
	// ErrNotFound says that nothing is kept under this id.
	ErrNotFound = errors.New("not found")
	// ErrFold says that the fold of a call failed. The store itself is well.
	ErrFold = errors.New("fold failed")
	// ErrUnavailable says that the store could not keep or read something for a reason of its own: a full disk, a failing
	// device. The same call may succeed later.
	ErrUnavailable = errors.New("store unavailable")
	// ErrCorrupt says that a row is not what was written. It is never served.
	ErrCorrupt = errors.New("stored row is corrupt")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrLocked says that another process uses the same directory.
	ErrLocked = errors.New("directory is in use by another process")
	// ErrCursorMalformed says that a text is no cursor.
	ErrCursorMalformed = errors.New("malformed cursor")
	// ErrCursorForeign says that a cursor does not belong to this log.
	ErrCursorForeign = errors.New("cursor of another log")
	// ErrCursorExpired says that a cursor is older than what is kept.
	ErrCursorExpired = errors.New("cursor is older than what is kept")
)

// Position is a place in the log. 0 is before the first entry.
type Position int64

// Delivery is one HTTP request of a provider.
type Delivery struct {
	// Key tells whether two deliveries are the same.
	Key DeliveryKey
	// Source, Adapter, Provider and Event are the names by which it was understood.
	Source, Adapter, Provider, Event string
	// Method, Path and Query are the request line's.
	Method, Path, Query string
	// Header holds the header as received, one entry a line, in the order of the names.
	Header []HeaderLine
	// Body holds the body byte for byte.
	Body []byte
	// ReceiveTime is when it arrived.
	ReceiveTime time.Time
	// VerifiedBy names the signature scheme that proved its origin. It is empty when nothing did.
	VerifiedBy string
	// Signed lists what the signature covers, in words that are opaque here.
	Signed []string
	// State is a number of callnorm.v1.DeliveryState.
	State int32
	// Waiting tells that somebody has to do something about it, and is to find it for that reason.
	Waiting bool
	// Report is what the receiver wants to be told again when the delivery is repeated. Opaque.
	Report []byte
}

// Understanding is what a delivery was understood to say. Its fields are those of Delivery, and its contributions.
type Understanding struct {
	Adapter, Provider, Event string
	State                    int32
	Waiting                  bool
	Report                   []byte
	Contributions            []Contribution
}

// DeliveryFilter chooses deliveries by what they are now. Empty lists pass everything.
type DeliveryFilter struct {
	// Waiting passes only those that wait. They are found without looking at the others.
	Waiting           bool
	Sources, Adapters []string
	States            []int32
}

// KeptDelivery is a delivery as it is listed: without its header and body.
type KeptDelivery struct {
	ID DeliveryID
	// Seq is its place among all deliveries, from 1.
	Seq int64
	Delivery
	// BodySize is the size of the body, in bytes.
	BodySize int
}

// DeliveryPage is a piece of the list of deliveries.
type DeliveryPage struct {
	Deliveries []KeptDelivery
	// Next is the sequence number of the last delivery that was looked at.
	Next int64
	// End tells that there was nothing to look at behind Next when it was read.
	End bool
}

// HeaderLine is one line of an HTTP header.
type HeaderLine struct{ Name, Value string }

// Contribution is what one item of one delivery says about one outcome.
type Contribution struct {
	Outcome OutcomeID
	// Item is the place in the delivery, from 0. (Outcome, Item) is unique within a delivery.
	Item int
	// Body is opaque.
	Body []byte
}

// KeptContribution is a contribution together with the delivery that made it.
type KeptContribution struct {
	Delivery DeliveryID
	Contribution
}

// Fold turns all contributions to a call into its next revision. It must be quick and pure: it runs inside the commit, and runs
// again when that is tried again.
type Fold func(call Call) (Revision, error)

// Call is what Fold is given.
type Call struct {
	Outcome OutcomeID
	// Contributions lists all that count, in the order in which they were kept; the new ones come last.
	Contributions []KeptContribution
	// Current is the newest revision so far, or nil.
	Current *Entry
	// Time is the time of the commit. It never goes back within a log.
	Time time.Time
}

// Revision is what Fold returns. A Revision with a nil Body means that nothing changes: no entry is written.
type Revision struct {
	// Body is opaque.
	Body []byte
	Keys
}

// Keys are the fields by which outcomes are found and filtered.
type Keys struct {
	Provider, Source, ProviderCallID string
	ExternalIDs                      []ExternalID
	// Status and Completeness are numbers of callnorm.v1.CallStatus and callnorm.v1.Completeness.
	Status, Completeness int32
}

// ExternalID is an id that another system gave to a call.
type ExternalID struct{ System, ID string }

// Receipt tells what became of a delivery.
type Receipt struct {
	Delivery DeliveryID
	// Duplicate tells that it was kept before, and that nothing was written. State and Report are then the kept one's.
	Duplicate bool
	State     int32
	Report    []byte
	// Outcomes lists the outcomes it contributes to, by the first item that does, with their newest revisions. Renormalize
	// adds those that it contributed to before and no longer does.
	Outcomes []ReceiptOutcome
}

// ReceiptOutcome is one outcome of a receipt.
type ReceiptOutcome struct {
	Outcome  OutcomeID
	Revision int32
	// Changed tells that this delivery made the revision.
	Changed bool
}

// Entry is one revision in the log.
type Entry struct {
	Position Position
	Outcome  OutcomeID
	// Revision counts the revisions of the outcome from 1.
	Revision int32
	Time     time.Time
	Body     []byte
	// Cursor is the position after this entry.
	Cursor Cursor
}

// Query finds outcomes by an id. Exactly one of ProviderCallID and ExternalID is set; Provider and Source narrow the search.
type Query struct {
	ProviderCallID   string
	ExternalID       ExternalID
	Provider, Source string
}

// Filter chooses entries by their keys as they were at that revision. Empty lists pass everything.
type Filter struct {
	Providers, Sources     []string
	Statuses, Completeness []int32
}

// Page is a piece of the log.
type Page struct {
	Entries []Entry
	// Next is a cursor after the last position that was looked at.
	Next Cursor
	// End tells that there was nothing behind Next when it was read.
	End bool
}
