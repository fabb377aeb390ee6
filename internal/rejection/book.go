package rejection

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
)

// Files of a Book within its directory. SQLite adds its own beside the database.
const (
	databaseFile = "rejections.db"
	lockFile     = "rejections.lock"
)

// maxPageBytes bounds what one call of Held returns. The last request of a page may exceed it.
const maxPageBytes = 16 << 20

// Settings is what a program may set. The zero value is ready to use, and holds no request.
type Settings struct {
	// Now tells the time; time.Now when nil.
	Now func() time.Time
	// Key is what held requests are sealed under: random, of 32 bytes or more. Without it nothing can be held.
	Key []byte
	// Log is told when rejections cannot be read or written; nothing when nil.
	Log *slog.Logger
}

// Book is what is remembered of all sources. Its methods may be called at the same time.
type Book struct {
	settings     Settings
	lock         *flock.Flock
	vault        *vault // nil without a key
	fingerprints []byte

	tallies  sync.Map // source to *tally
	tracking sync.Mutex
	tracked  atomic.Int64 // sources; changes under tracking
	full     sync.Once

	// dirty says that the writer was woken, or is about to look.
	dirty       atomic.Bool
	wake        chan struct{}
	queue       chan record
	queuedBytes atomic.Int64
	// asks has no room: the writer answers all that it has taken.
	asks chan func(*writer)

	closing  chan struct{}
	closed   sync.Once
	done     chan struct{}
	closeErr error
}

// Open opens the Book of a directory, and creates both when they are not there. A database that cannot be read does not stop
// it. Its errors are ErrLocked, a key that is too short, and a directory in which no file can be written.
func Open(ctx context.Context, dir string, settings Settings) (_ *Book, err error) {
	if settings.Now == nil {
		settings.Now = time.Now
	}
	if settings.Log == nil {
		settings.Log = slog.New(slog.DiscardHandler)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("open rejections in %s: %w", dir, err)
		}
	}()
	b := &Book{
		settings: settings,
		wake:     make(chan struct{}, 1),
		queue:    make(chan record, maxQueue),
		asks:     make(chan func(*writer)),
		closing:  make(chan struct{}),
		done:     make(chan struct{}),
	}
	if b.vault, err = newVault(settings.Key); err != nil {
		return nil, err
	}
	b.settings.Key = nil
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	b.lock = flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))
	switch locked, err := b.lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("lock: %w", err)
	case !locked:
		return nil, ErrLocked
	}
	db, err := openDatabase(ctx, filepath.Join(dir, databaseFile), nil, settings.Now(), settings.Log)
	if err != nil {
		return nil, errors.Join(err, b.lock.Unlock())
	}
	b.fingerprints = db.fingerprints
	for _, t := range db.tallies {
		b.tallies.Store(t.source, t)
	}
	b.tracked.Store(int64(len(db.tallies)))
	w := &writer{book: b, db: db}
	go w.run(context.WithoutCancel(ctx))
	return b, nil
}

// tally returns the tally of a source, or nil when there are too many.
func (b *Book) tally(source string) *tally {
	if t, ok := b.tallies.Load(source); ok {
		return t.(*tally) //nolint:forcetypeassert // nothing else is put in
	}
	if b.tracked.Load() < maxSources {
		b.tracking.Lock()
		defer b.tracking.Unlock()
		if t, ok := b.tallies.Load(source); ok {
			return t.(*tally) //nolint:forcetypeassert // nothing else is put in
		}
		if b.tracked.Load() < maxSources {
			t := newTally(source)
			b.tallies.Store(t.source, t)
			b.tracked.Add(1)
			return t
		}
	}
	b.full.Do(func() {
		b.settings.Log.Error("rejections of further sources are not remembered", "sources", maxSources)
	})
	return nil
}

// touch lets the writer know that a tally has changed. Only the first call since it wrote does more than two loads.
func (b *Book) touch(t *tally) {
	if !t.dirty.Load() {
		t.dirty.Store(true)
	}
	if !b.dirty.Load() && b.dirty.CompareAndSwap(false, true) {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}

// Reject counts a refusal, and remembers it as far as there is room. It never waits. The request, which may be nil, is held
// within the limits; it must not be changed any more.
func (b *Book) Reject(rejection Rejection, request *Request, limits Limits) {
	t := b.tally(rejection.Source)
	if t == nil {
		return
	}
	if rejection.Time.IsZero() {
		rejection.Time = b.settings.Now()
	}
	r := record{tally: t, rejection: rejection, time: rejection.Time.UnixMicro(), limits: limits}
	t.refuse(r.time, rejection.Cause)
	wanted := request != nil && limits.Requests > 0 && limits.Bytes > 0
	if wanted && b.vault != nil {
		if size := request.size(); size <= limits.Bytes && b.reserve(t, size) {
			r.request, r.bytes = request, size
		}
	}
	entered := b.enter(r)
	if !entered {
		b.unreserve(t, r.bytes)
		t.dropped.Add(1)
	}
	if wanted && (!entered || r.request == nil) {
		t.unheld.Add(1)
	}
	b.touch(t)
}

// reserve takes room for a request in the queue.
func (b *Book) reserve(t *tally, size int64) bool {
	own, all := t.queuedBytes.Add(size), b.queuedBytes.Add(size)
	if own <= share(maxQueueBytes) && all <= maxQueueBytes {
		return true
	}
	b.unreserve(t, size)
	return false
}

func (b *Book) unreserve(t *tally, size int64) {
	t.queuedBytes.Add(-size)
	b.queuedBytes.Add(-size)
}

func (b *Book) enter(r record) bool {
	if r.tally.queued.Add(1) <= share(maxQueue) {
		select {
		case b.queue <- r:
			return true
		default:
		}
	}
	r.tally.queued.Add(-1)
	return false
}

// leave gives back the room of a record that is written or lost.
func (b *Book) leave(r record) {
	r.tally.queued.Add(-1)
	b.unreserve(r.tally, r.bytes)
}

// Accept remembers that a source was believed, and which secret it was that matched, if any. It takes no lock and touches no
// disk, but for the first time that a source or a secret is seen.
func (b *Book) Accept(source string, secret Fingerprint) {
	if t := b.tally(source); t != nil {
		t.accept(b.settings.Now().UnixMicro(), secret)
		b.touch(t)
	}
}

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Fingerprint returns what recognises a secret, the same after a restart. It is keyed: who sees it alone learns nothing, and who
// has the database as well can do no more than test guesses.
func (b *Book) Fingerprint(secret []byte) Fingerprint {
	mac := hmac.New(sha256.New, b.fingerprints)
	mac.Write(secret)
	return Fingerprint(encoding.EncodeToString(mac.Sum(nil)[:10]))
}

// Summary returns what is known of a source; the zero value, with empty maps, when that is nothing.
func (b *Book) Summary(source string) Summary {
	if t, ok := b.tallies.Load(source); ok {
		return t.(*tally).summary() //nolint:forcetypeassert // nothing else is put in
	}
	return newTally(source).summary()
}

// ask lets the writer write what was told and then call a function, and returns what that has returned.
func ask[T any](ctx context.Context, b *Book, do func(w *writer, wrote error) (T, error)) (result T, err error) {
	type answer struct {
		result T
		err    error
	}
	answers := make(chan answer, 1)
	question := func(w *writer) {
		// Who gives up does not end the write, which is also others'.
		result, err := do(w, w.write(context.WithoutCancel(ctx)))
		w.heal(context.WithoutCancel(ctx), err)
		answers <- answer{result, err}
	}
	select {
	case b.asks <- question:
	case <-b.closing:
		return result, ErrClosed
	case <-ctx.Done():
		return result, ctx.Err()
	}
	select {
	case a := <-answers:
		return a.result, a.err
	case <-ctx.Done():
		return result, ctx.Err()
	}
}

// Flush returns when all that was told before is written, or why some of it was lost.
func (b *Book) Flush(ctx context.Context) error {
	_, err := ask(ctx, b, func(_ *writer, wrote error) (struct{}, error) { return struct{}{}, wrote })
	return err
}

// Rejections returns records of a source, the newest first, that came before the one of an id; "" is the end. The newest 1000
// are kept. An empty page is the last.
func (b *Book) Rejections(ctx context.Context, source, before string, limit int) ([]Rejection, error) {
	end, err := parseID(before, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, fmt.Errorf("rejections: limit is %d", limit)
	}
	return ask(ctx, b, func(w *writer, _ error) ([]Rejection, error) {
		var page []Rejection
		err := w.db.each(ctx, "SELECT seq, time, cause, address, forwarded, body_bytes, header_bytes, "+
			"EXISTS (SELECT 1 FROM held WHERE held.seq = rejections.seq) FROM rejections "+
			"WHERE source = ? AND seq < ? ORDER BY seq DESC LIMIT ?", func(scan func(...any) error) error {
			r := Rejection{Source: source}
			var seq, at int64
			var held bool
			if err := scan(&seq, &at, &r.Cause, &r.Address, &r.Forwarded, &r.BodyBytes, &r.HeaderBytes, &held); err != nil {
				return err
			}
			r.ID, r.Time = formatID(seq), timeOf(at)
			if held {
				r.Held = r.ID
			}
			page = append(page, r)
			return nil
		}, source, end, limit)
		return page, err
	})
}

// Held returns held requests of a source, the oldest first, that came after the one of an id; "" is the beginning. A page ends
// early when its requests become large; an empty page is the last. A request that cannot be decrypted is among them, with ErrKey.
func (b *Book) Held(ctx context.Context, source, after string, limit int) ([]HeldRequest, error) {
	begin, err := parseID(after, math.MinInt64)
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, fmt.Errorf("held requests: limit is %d", limit)
	}
	type row struct {
		label
		sealed []byte
	}
	rows, err := ask(ctx, b, func(w *writer, _ error) ([]row, error) {
		end, size := begin, int64(0)
		err := w.db.each(ctx, "SELECT seq, bytes FROM held WHERE source = ? AND seq > ? ORDER BY seq LIMIT ?",
			func(scan func(...any) error) error {
				var seq, bytes int64
				if err := scan(&seq, &bytes); err != nil {
					return err
				}
				if size < maxPageBytes {
					end = seq
				}
				size += bytes
				return nil
			}, source, begin, limit)
		if err != nil {
			return nil, err
		}
		var page []row
		err = w.db.each(ctx, "SELECT seq, time, cause, sealed FROM held WHERE source = ? AND seq > ? AND seq <= ? ORDER BY seq",
			func(scan func(...any) error) error {
				r := row{label: label{source: source}}
				if err := scan(&r.seq, &r.time, &r.cause, &r.sealed); err != nil {
					return err
				}
				page = append(page, r)
				return nil
			}, source, begin, end)
		return page, err
	})
	if err != nil {
		return nil, err
	}
	page := make([]HeldRequest, 0, len(rows))
	for _, row := range rows {
		request, err := b.vault.open(row.label, row.sealed)
		page = append(page, HeldRequest{
			ID: formatID(row.seq), Source: source, Cause: row.cause, Time: timeOf(row.time), Request: request, Err: err,
		})
	}
	return page, nil
}

// Release forgets a held request, after it was taken in. ErrNotFound says that none is held under the id.
func (b *Book) Release(ctx context.Context, id string) error {
	seq, err := parseID(id, 0)
	if err != nil {
		return err
	}
	_, err = ask(ctx, b, func(w *writer, _ error) (struct{}, error) { return struct{}{}, w.forget(ctx, seq) })
	return err
}

// Close writes what was told, and ends. Only the first call does something; all return what it returned.
func (b *Book) Close() error {
	b.closed.Do(func() {
		close(b.closing)
		<-b.done
		b.closeErr = errors.Join(b.closeErr, b.lock.Unlock())
	})
	return b.closeErr
}

func formatID(seq int64) string { return strconv.FormatInt(seq, 10) }

// parseID reads what formatID wrote. An empty text is the default.
func parseID(id string, none int64) (int64, error) {
	if id == "" {
		return none, nil
	}
	seq, err := strconv.ParseInt(id, 10, 64)
	if err != nil || formatID(seq) != id {
		return 0, ErrID
	}
	return seq, nil
}
