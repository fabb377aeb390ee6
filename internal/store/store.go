// Package store is the contract of what callnorm remembers: deliveries byte for byte, what each of their items says about a
// call, and the log of what is known about every call. sqlite implements it; storetest proves an implementation.
//
// The store knows nothing about providers, adapters or the contents of an outcome: bodies are opaque bytes beside the few
// keys by which they are found. Nothing here imports grpc.
//
// What is removed, by Delete or by Trim, leaves no gap: positions are never given twice, and a reader passes over what is gone.
// Whether he may is decided by his cursor: it tells what had been trimmed when he got it, and where something that he would still
// have seen was trimmed since, he is refused.
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
	// A contribution to an outcome that was deleted is dropped, and its delivery with it: only the contributions to other
	// outcomes are kept, and the receipt says Gone.
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

	// Due returns the outcomes whose newest revision has a Due that is not after now, at most limit (1 or more), the longest due
	// first.
	Due(ctx context.Context, now time.Time, limit int) ([]Deadline, error)
	// Fire adds a contribution that no delivery makes, because a deadline has passed, and folds. It does so once: when the
	// outcome's Due is not the deadline's any more, it changes nothing and returns false. It is durable and fails as Append.
	Fire(ctx context.Context, deadline Deadline, body []byte, fold Fold) (changed bool, err error)

	// Delete removes an outcome with all its revisions and contributions, the deliveries that made these, and what it is found
	// by. fold makes the revision that says so, the outcome's last; it gets no contributions. An outcome that is deleted
	// already is left alone, one that is not kept is ErrNotFound. It is durable and fails as Append.
	//
	// The keyed hash of each delivery stays, so that a repetition is a duplicate, whose receipt says Gone. So does the id of the
	// outcome: what later deliveries say about it is dropped.
	Delete(ctx context.Context, id OutcomeID, fold Fold) (Removed, error)
	// Forget removes deliveries that are kept, but not what they contributed. Those that are not kept are passed over.
	Forget(ctx context.Context, ids ...DeliveryID) (Removed, error)
	// Trim removes what a source's retention has passed by, the oldest first, a bounded amount at a time: Removed.More tells
	// whether there is more. It leaves no revision that says so; readers who would have seen it are refused.
	Trim(ctx context.Context, source string, retention Retention) (Removed, error)
	// Scrub overwrites what was removed before it was called in all files, where that is not done yet. It returns ErrTracesLeft
	// when somebody who reads keeps it from that.
	Scrub(ctx context.Context) error
	// Usage returns how many bytes are kept of each source, as they are stored. A source without any may not be listed.
	Usage(ctx context.Context) (map[string]int64, error)

	// DeliveryID returns the id that a delivery with this key has here: a keyed hash, so that the id tells nothing about
	// the delivery to those who do not hold the store.
	DeliveryID(key DeliveryKey) DeliveryID
	// Delivery returns a kept delivery, or ErrNotFound. One that was removed is not kept.
	Delivery(ctx context.Context, id DeliveryID) (Delivery, error)
	// Deliveries returns the deliveries after a sequence number that pass the filter, in the order in which they were first
	// kept. It looks at a bounded number of them, of those that wait when the filter asks for these alone, and returns at most
	// limit (1 or more); DeliveryPage.Next says how far it looked. A delivery that Renormalize changes keeps its place, so
	// that one may begin to wait behind a reader who has passed it.
	Deliveries(ctx context.Context, filter DeliveryFilter, after int64, limit int) (DeliveryPage, error)
	// CountWaiting returns how many deliveries wait, by their sources; a source without any is not listed. It takes time in
	// proportion to those that wait, not to those that are kept.
	CountWaiting(ctx context.Context) (map[string]int, error)

	// Outcome returns the newest revision of an outcome, or ErrNotFound. A deleted one has the revision that says so, until that is
	// trimmed.
	Outcome(ctx context.Context, id OutcomeID) (Entry, error)
	// Revisions returns the revisions of an outcome that are kept, the newest first, at most limit (1 or more) of those before a
	// revision, or of all when before is 0. It returns ErrNotFound when the outcome is not kept.
	Revisions(ctx context.Context, id OutcomeID, before int32, limit int) ([]Entry, error)
	// List returns the newest revisions of outcomes that pass the filter, by Keys.Time and then by their first revisions, newest
	// first, beginning behind a place; the zero Place is before the first. Deleted outcomes are left out. It looks at a bounded
	// number of outcomes and returns at most limit (1 or more); ListPage.Next says how far it looked.
	List(ctx context.Context, filter ListFilter, after Place, limit int) (ListPage, error)
	// Lookup returns the newest revisions of the outcomes that a query finds, at most limit (1 or more), in the order of their
	// first revisions. Finding none is no error.
	Lookup(ctx context.Context, query Query, limit int) ([]Entry, error)
	// Contributions returns all contributions to an outcome that count, in the order in which they were kept. None is no error.
	Contributions(ctx context.Context, id OutcomeID) ([]KeptContribution, error)

	// Read returns the entries after a cursor that pass the filter, oldest first. It looks at a bounded number of positions and
	// returns at most limit (1 or more) entries; Page.Next says how far it looked. At the end of the log it returns an empty
	// page at once. It returns ErrCursorForeign after a position that was never reached, and an *ExpiredError when something
	// behind the cursor that its reader would have seen was trimmed since he got it. The check value of the cursor is Resume's.
	Read(ctx context.Context, after Cursor, filter Filter, limit int) (Page, error)
	// Wait returns nil when the log has an entry after the position, and the context's error when that ends first. It
	// returns ErrClosed when the store is closed.
	Wait(ctx context.Context, after Position) error
	// Head returns a cursor at the end of the log.
	Head(ctx context.Context) (Cursor, error)
	// CursorAt returns a cursor before the first entry whose time is not before t.
	CursorAt(ctx context.Context, t time.Time) (Cursor, error)
	// Beginning returns a cursor before the oldest entry that is kept.
	Beginning(ctx context.Context) (Cursor, error)
	// Resume checks a cursor that a reader brought back, for what the filter passes, and returns one to read on from. It returns
	// ErrCursorForeign for a cursor of another log, of a position that this log has not reached, or of an entry that is not the
	// one the reader saw; and an *ExpiredError as Read.
	Resume(ctx context.Context, cursor Cursor, filter Filter) (Cursor, error)

	// CreateSubscription keeps a subscription, and returns it as it is kept. When there is one of that name, it changes nothing and
	// returns that one, with false. It returns ErrTooMany when there are limit of them.
	CreateSubscription(ctx context.Context, subscription Subscription, limit int) (Subscription, bool, error)
	// Subscription returns a subscription, or ErrNotFound.
	Subscription(ctx context.Context, name string) (Subscription, error)
	// Subscriptions returns all subscriptions by name.
	Subscriptions(ctx context.Context) ([]Subscription, error)
	// Advance moves a subscription ahead to a cursor, and returns it as it is then; one that is ahead already stays. It returns
	// ErrNotFound, and ErrOutdated when its generation is another.
	Advance(ctx context.Context, name string, generation int64, cursor Cursor) (Subscription, error)
	// Reset moves a subscription to a cursor, back or ahead, into the next generation. It returns ErrNotFound when there is none.
	Reset(ctx context.Context, name string, cursor Cursor) (Subscription, error)
	// DeleteSubscription deletes a subscription, or returns ErrNotFound.
	DeleteSubscription(ctx context.Context, name string) error

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
	// ErrDevice says that the device has failed a write or a sync. It comes with ErrUnavailable, for every call that would keep
	// something, until the store is opened by a new process: what is on the disk is not known before.
	ErrDevice = errors.New("the disk has failed a write or a sync")
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
	// ErrCursorExpired says that something behind a cursor is kept no more. The error is an *ExpiredError.
	ErrCursorExpired = errors.New("retention has passed by the cursor")
	// ErrTracesLeft says that what was removed could not be overwritten yet in the journal, because somebody reads.
	ErrTracesLeft = errors.New("traces of what was deleted are left in the journal while something reads it")
	// ErrOutdated says that a subscription was reset meanwhile.
	ErrOutdated = errors.New("the subscription was reset")
	// ErrTooMany says that there are as many subscriptions as there may be.
	ErrTooMany = errors.New("there are as many subscriptions as there may be")
)

// ExpiredError says that something behind a cursor is kept no more. It is ErrCursorExpired.
type ExpiredError struct {
	// Oldest is where what is kept begins.
	Oldest Cursor
}

// Error says what to do.
func (e *ExpiredError) Error() string {
	return ErrCursorExpired.Error() + ": what is kept begins at " + e.Oldest.String()
}

// Unwrap returns ErrCursorExpired.
func (e *ExpiredError) Unwrap() error { return ErrCursorExpired }

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
	Waiting bool
	// Silent passes only those that contribute nothing, and those that wait. They are found without looking at the others.
	Silent            bool
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
	// Addresses are texts by which the outcome is to be found: List and Lookup take them. Only a keyed hash of each is kept,
	// so they come back from nowhere.
	Addresses []string
}

// KeptContribution is a contribution together with the delivery that made it, which is zero for a deadline.
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
	// Redundant says, beside a nil Body, that the new contributions add nothing: they are not kept either.
	Redundant bool
}

// Keys are the fields by which outcomes are found and filtered.
type Keys struct {
	Provider, Source, ProviderCallID string
	ExternalIDs                      []ExternalID
	// Status, Completeness and Disposition are numbers of callnorm.v1.CallStatus, Completeness and ContactDisposition.
	Status, Completeness, Disposition int32
	// DoNotCall tells that the contact asked never to be called again.
	DoNotCall bool
	// Time is the time by which the outcome is listed, to the microsecond; that of the revision when it is zero.
	Time time.Time
	// Due is when Fire is to be called, to the microsecond. Zero is never.
	Due time.Time
}

// ExternalID is an id that another system gave to a call.
type ExternalID struct{ System, ID string }

// Receipt tells what became of a delivery.
type Receipt struct {
	Delivery DeliveryID
	// Duplicate tells that it was kept before, and that nothing was written. State and Report are then the kept one's.
	Duplicate bool
	// Gone tells that nothing is kept of it but its id: it was removed since, or speaks of an outcome that was deleted. State and
	// Report are then empty.
	Gone   bool
	State  int32
	Report []byte
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
	// Deleted tells that it says that the outcome was deleted.
	Deleted bool
	// Cursor is the position after this entry.
	Cursor Cursor
}

// Deadline is when an outcome is due.
type Deadline struct {
	Outcome OutcomeID
	// Time is the Due of its newest revision, Source the source.
	Time   time.Time
	Source string
}

// Removed counts what was removed.
type Removed struct {
	Outcomes, Revisions, Deliveries int64
	// More tells that there is more to remove.
	More bool
}

// Add counts what else was removed. Whether there is more, the caller knows.
func (r *Removed) Add(other Removed) {
	r.Outcomes += other.Outcomes
	r.Revisions += other.Revisions
	r.Deliveries += other.Deliveries
}

// Retention says what is kept of a source. What is zero removes nothing.
type Retention struct {
	// Before removes the outcomes whose newest revision is older, with all that made them, and the deliveries without an outcome
	// that were received before.
	Before time.Time
	// Bytes removes what is oldest, as Before does, as long as more than that is kept of the source.
	Bytes int64
	// DeliveriesBefore removes deliveries that were received before; what they contributed stays.
	DeliveriesBefore time.Time
}

// Subscription is a reader's place in the log.
type Subscription struct {
	// Name identifies it.
	Name string
	// Owner and Filter are opaque.
	Owner  string
	Filter []byte
	Cursor Cursor
	// Generation counts the resets.
	Generation int64
	// CreateTime and MoveTime are set by the store: when it was created, and when it was moved last.
	CreateTime, MoveTime time.Time
}

// Query finds outcomes by an id. Exactly one of ProviderCallID and ExternalID is set; Provider and Source narrow the search.
type Query struct {
	ProviderCallID   string
	ExternalID       ExternalID
	Provider, Source string
}

// Filter chooses entries by their keys as they were at that revision. Empty lists pass everything. An entry that says that an
// outcome was deleted passes Statuses and Completeness in any case.
type Filter struct {
	Providers, Sources     []string
	Statuses, Completeness []int32
	Outcomes               []OutcomeID
}

// ListFilter chooses outcomes by their newest revisions. What is empty passes everything.
type ListFilter struct {
	Filter

	Dispositions []int32
	DoNotCall    *bool
	// Begin and End bound Keys.Time: not before Begin, and before End.
	Begin, End time.Time
	// At most one of these is set.
	Address        string
	ProviderCallID string
	ExternalID     ExternalID
}

// Place is where an outcome stands in lists.
type Place struct {
	// Time is in microseconds since 1970.
	Time  int64
	First Position
}

// ListPage is a piece of a list.
type ListPage struct {
	Entries []Entry
	// Next is the place of the last outcome that was looked at.
	Next Place
	// End tells that there was nothing behind Next when it was read.
	End bool
}

// Page is a piece of the log.
type Page struct {
	Entries []Entry
	// Next is a cursor after the last position that was looked at.
	Next Cursor
	// End tells that there was nothing behind Next when it was read.
	End bool
}
