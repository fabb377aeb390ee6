// Package sqlite is the store of one machine: an SQLite database in a directory of its own, without cgo, readable with any
// SQLite tool.
//
// Sync mode: WAL with synchronous=FULL, so a commit returns after its fsync. Durability: what Append has acknowledged
// survives a crash and a power cut as far as the device keeps what it has synced; every row carries a checksum that is
// verified whenever it is read, since SQLite notices no flipped byte.
//
// One committer: a single goroutine writes, because SQLite has one writer anyway; it takes all that is waiting into one
// transaction, so that many share an fsync, and makes positions gapless and folds of one outcome exclusive for nothing.
//
// A slow follower meets no limit and holds nobody up: it reads the log from the disk at its own pace, nothing is buffered
// for it, and no entry is dropped. A full disk: Append returns ErrUnavailable, nothing is half kept, what is kept stays
// readable, and a small probe each second finds out when there is room again; one at Open finds out when there is none.
//
// A database that is deleted, moved or replaced while it is open is noticed before the next commit is acknowledged, and within
// a second when there is none: the store then keeps nothing more until it is opened again. So it is once the device has failed a write
// or a sync, also one that no commit waits for.
package sqlite

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/gofrs/flock"
	_ "modernc.org/sqlite" // The driver.

	"github.com/callnorm/callnorm/internal/store"
)

// Files of a store within its directory. SQLite adds its own beside the database.
const (
	databaseFile = "callnorm.db"
	lockFile     = "callnorm.lock"
	probeFile    = "callnorm.probe"
)

// Settings is what a program may set. The zero value is ready to use.
type Settings struct {
	// Now tells the time; time.Now when nil.
	Now func() time.Time
	// Describe tells the keys and addresses of the outcome in a body. It is needed once, when a store of a release before addresses is
	// opened; without it, its outcomes are found by none, and listed by the time of their last revision.
	Describe func(body []byte) (store.Keys, []string, error)
	// OnCommit is called after every transaction that has written or has failed, by the goroutine that commits: it must be
	// quick, and must not call the store.
	OnCommit func(Commit)
	// OnFailure is called at most once, by the goroutine that commits, when the device has failed a write or a sync. The error is
	// ErrDevice: the store keeps nothing more, and a new process has to open it.
	OnFailure func(error)
}

// Commit tells of one transaction.
type Commit struct {
	// Deliveries and Revisions count what it has kept; a probe of a store that could not write keeps nothing.
	Deliveries, Revisions int
	// Duration is the time from its beginning to its end, by Settings.Now.
	Duration time.Duration
	// Err is why it failed, or nil.
	Err error
}

// Store implements store.Store.
type Store struct {
	settings Settings
	lock     *flock.Flock
	packer   *packer
	key      []byte // of DeliveryID

	addressKey []byte // of addresses
	log        [8]byte
	former     map[[8]byte]store.Position // up to where the cursors of former logs are good

	// lost is what was missing at Open, marker tells the next one how far the log has come.
	lost   *LossError
	marker marker

	fresh   fresh
	readers *sql.DB
	read    *queries
	commits *committer

	// closing is closed by Close. reading is held by each read, and by Close from when no read may start any more.
	closing  chan struct{}
	reading  sync.RWMutex
	closed   sync.Once
	closeErr error

	// removing is held by those who remove something, from before their transaction to its end, and shared by those who read:
	// so no reader sees the rows without what was trimmed, and not yet that it was.
	removing sync.RWMutex
	scrubs   scrubs

	mutex    sync.Mutex
	horizons map[string]horizon // by source
	trims    uint64             // how often something was trimmed
	oldest   store.Position     // the oldest entry that is kept, or the next one when none is
	head     store.Cursor
	grown    chan struct{} // closed and replaced when head moves
	failure  error
}

var _ store.Store = (*Store)(nil)

// Open opens the store in a directory, and creates both when they are not there. One directory has one open store:
// another gets ErrLocked, whichever process has it.
func Open(ctx context.Context, dir string, settings Settings) (_ *Store, err error) {
	if settings.Now == nil {
		settings.Now = time.Now
	}
	s := &Store{
		settings: settings,
		closing:  make(chan struct{}),
		grown:    make(chan struct{}),
		horizons: map[string]horizon{},
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open store in %s: %w", dir, err), s.release(ctx))
		}
	}()
	lock, path, err := lockDirectory(dir)
	if err != nil {
		return nil, err
	}
	s.lock = lock
	if s.packer, err = newPacker(); err != nil {
		return nil, err
	}
	file := filepath.Join(path, databaseFile)
	if err := create(file); err != nil {
		return nil, err
	}
	if err := renew(file + journalSuffix); err != nil {
		return nil, fmt.Errorf("write the journal once more: %w", err)
	}
	if s.lost, err = noticeLoss(ctx, path); err != nil {
		return nil, explain(err)
	}
	if s.commits, err = openCommitter(ctx, file, s); err != nil {
		return nil, explain(err)
	}
	if err := s.openReaders(ctx, file); err != nil {
		return nil, explain(err)
	}
	if s.marker, err = openMarker(path); err != nil {
		return nil, err
	}
	s.marker.write(s.head)
	s.failure = probeRoom(filepath.Join(path, probeFile))
	go s.commits.run()
	return s, nil
}

// lockDirectory creates a directory when it is not there, and locks it for this process. It returns the absolute path.
func lockDirectory(dir string) (*flock.Flock, string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", err
	}
	lock := flock.New(filepath.Join(dir, lockFile))
	switch locked, err := lock.TryLock(); {
	case err != nil:
		return nil, "", fmt.Errorf("lock: %w", err)
	case !locked:
		return nil, "", fmt.Errorf("%w: %s is locked", store.ErrLocked, lock.Path())
	}
	return lock, dir, nil
}

// create creates an empty file that only its owner may read; SQLite gives the same permissions to the files beside it. The
// directories are synced, so that a power cut leaves no acknowledged row in a file that has no name.
func create(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	dir := filepath.Dir(file)
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := syncDirectory(d); err != nil {
			return err
		}
	}
	return nil
}

// probeRoom finds out whether the disk has room, before the first delivery has to: with a file of its own, since the database
// may have free pages that tell nothing about the disk.
func probeRoom(file string) error {
	err := os.WriteFile(file, make([]byte, probeSize), 0o600)
	if err == nil {
		err = syncFile(file)
	}
	if err = errors.Join(err, os.Remove(file)); err != nil {
		return fmt.Errorf("%w: probe: %w", store.ErrUnavailable, err)
	}
	return nil
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// openReaders opens the connections that cannot write, and finds out where the log begins and ends.
func (s *Store) openReaders(ctx context.Context, file string) (err error) {
	if s.readers, err = sql.Open("sqlite", dsn(file, access("ro", "query_only(1)", "cache_size(-4096)"))); err != nil {
		return fmt.Errorf("open for reading: %w", err)
	}
	connections := max(4, runtime.GOMAXPROCS(0))
	s.readers.SetMaxOpenConns(connections)
	s.readers.SetMaxIdleConns(connections)
	if s.read, err = prepareQueries(ctx, s.readers, s.packer, s.log, &s.fresh); err != nil {
		return err
	}
	head, err := s.read.readHead(ctx)
	if err != nil {
		return err
	}
	var oldest, newest sql.NullInt64
	if err := s.readers.QueryRowContext(ctx, "SELECT MIN(position) FROM log").Scan(&oldest); err != nil {
		return fmt.Errorf("oldest entry: %w", err)
	}
	if err := s.readers.QueryRowContext(ctx, "SELECT MAX(position) FROM log").Scan(&newest); err != nil {
		return fmt.Errorf("newest entry: %w", err)
	}
	if !oldest.Valid {
		oldest.Int64, newest.Int64 = head.position+1, head.position
	}
	if newest.Int64 != head.position {
		return corrupt("head", 1, fmt.Sprintf("the log ends at %d and not at %d", newest.Int64, head.position))
	}
	s.oldest = store.Position(oldest.Int64)
	if err := s.loadHorizons(ctx); err != nil {
		return err
	}
	if begin := s.horizons[noSource].position + 1; oldest.Int64 != begin {
		return corrupt("log", begin, fmt.Sprintf("%d rows from it on are missing", oldest.Int64-begin))
	}
	s.head = s.cursor(head)
	return nil
}

func (s *Store) cursor(h headRow) store.Cursor {
	return store.Cursor{Log: s.log, Position: store.Position(h.position), Check: uint32(h.entry), Trims: s.trims}
}

// access returns how a file is to be opened: to be read (ro), written (rw) or created as well (rwc).
func access(mode string, pragmas ...string) url.Values {
	return url.Values{"mode": {mode}, "_pragma": append([]string{"busy_timeout(10000)"}, pragmas...)}
}

// dsn names a file so that no character of its path is taken for something else.
func dsn(file string, query url.Values) string {
	return (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(file), RawQuery: query.Encode()}).String()
}

// DeliveryID implements store.Store.
func (s *Store) DeliveryID(key store.DeliveryKey) store.DeliveryID {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(key[:])
	return store.DeliveryID(mac.Sum(nil)[:16])
}

// Err implements store.Store.
func (s *Store) Err() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.failure
}

// Close implements store.Store. Only the first call does something; all return what it returned.
func (s *Store) Close() error {
	s.closed.Do(func() {
		close(s.closing)
		<-s.commits.done
		s.reading.Lock()
		defer s.reading.Unlock()
		s.closeErr = s.release(context.Background())
	})
	return s.closeErr
}

// release gives back what Open has taken, as far as it came. The lock comes last.
func (s *Store) release(ctx context.Context) error {
	var errs []error
	// The last connection that is closed writes the journal home and deletes it, if it may write. Where the device has failed, it may not.
	failed := s.commits != nil && s.commits.gone != nil
	if failed {
		errs = append(errs, s.commits.close(ctx))
	}
	if s.read != nil {
		errs = append(errs, s.read.close())
	}
	if s.readers != nil {
		errs = append(errs, s.readers.Close())
	}
	if s.commits != nil && !failed {
		errs = append(errs, s.commits.close(ctx))
	}
	if s.packer != nil {
		s.packer.close()
	}
	errs = append(errs, s.marker.close())
	if s.lock != nil {
		errs = append(errs, s.lock.Unlock())
	}
	return errors.Join(errs...)
}
