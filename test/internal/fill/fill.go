package fill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/synthflow"
	"github.com/callnorm/callnorm/adapters/voxia"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/internal/store/sqlite"
	"github.com/callnorm/callnorm/test/internal/report"
)

const (
	// writers is how many calls are on their way at a time while a directory is filled, and share commits.
	writers = 64
	// bytesOfCall is how much room a call takes, and spare what the journal takes besides.
	bytesOfCall, spare = 15 << 10, 256 << 20
	// sampled is how many calls are known by name afterwards.
	sampled = 5_000
	// tellEvery is how often progress is told.
	tellEvery = 10 * time.Second
)

// DataDir is what the service is started on, in a filled directory.
const DataDir = "data"

const (
	databaseFile = "callnorm.db"
	sampleFile   = "sample.json"
)

const outcomePrefix = "outcomes/"

// sample is what is known of a filled directory. It is written when all is there.
type sample struct {
	Calls int       `json:"calls"`
	End   time.Time `json:"end"`
	// Names are those of some calls.
	Names []string `json:"names"`
}

func readSample(dir string) (s sample, err error) {
	text, err := os.ReadFile(filepath.Join(dir, sampleFile))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s)
}

func (s sample) write(dir string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, sampleFile), text, 0o600)
}

// Directory has all calls of a set.
type Directory struct {
	// Path is the directory. The service is started on DataDir in it.
	Path string
	Set  Set
	// Names are those of some outcomes.
	Names []string
}

// Warm reads the database, so that it is in memory as far as there is room: what the disk takes is no matter of the store's.
func (d *Directory) Warm() (err error) {
	file, err := os.Open(filepath.Join(d.Path, DataDir, databaseFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	const piece = 1 << 20
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{file}, make([]byte, piece))
	return err
}

// Kept is a store with the intake before it.
type Kept struct {
	Store *sqlite.Store

	refused *rejection.Book
	intake  *intake.Intake
}

// Open opens a directory within this process.
func Open(ctx context.Context, dir string) (k *Kept, err error) {
	formats, err := adapters.NewSet(synthflow.New(), voxia.New())
	if err != nil {
		return nil, err
	}
	k = &Kept{}
	if k.Store, err = sqlite.Open(ctx, filepath.Join(dir, DataDir), sqlite.Settings{Describe: intake.Describe}); err != nil {
		return nil, err
	}
	if k.refused, err = rejection.Open(ctx, filepath.Join(dir, DataDir), rejection.Settings{}); err != nil {
		return nil, errors.Join(err, k.Store.Close())
	}
	const maxBody = 1 << 20
	k.intake = intake.New(intake.Settings{
		Adapters: formats, Store: k.Store, Rejections: k.refused, Observer: nobody{}, Now: time.Now,
	}, []intake.Source{
		{Name: Synthflow, Adapter: synthflow.New(), Provider: Synthflow, MaxBody: maxBody},
		{Name: Voxia, Adapter: voxia.New(), Provider: Voxia, MaxBody: maxBody},
	})
	return k, nil
}

// Close closes it.
func (k *Kept) Close() error { return errors.Join(k.refused.Close(), k.Store.Close()) }

// nobody is told what happens.
type nobody struct{}

func (nobody) Delivered(string, callnormv1.DeliveryState, bool, int)    {}
func (nobody) Normalized(string, time.Duration, adapters.Result, error) {}
func (nobody) Rejected(string, callnormv1.RejectionCause)               {}
func (nobody) Settled(string)                                           {}
func (nobody) Trimmed(string, store.Removed)                            {}

var (
	errNotNormalized = errors.New("a sample body was not normalized")
	errNoRoom        = errors.New("not enough room")
	errOther         = errors.New("other calls")
)

// Deliver hands a webhook in, and returns the name of its outcome.
func (k *Kept) Deliver(ctx context.Context, w Webhook) (string, error) {
	response, err := k.intake.Deliver(ctx, intake.Request{
		Source: w.Source, Path: "/v1/webhooks/" + w.Source, Method: http.MethodPost, Body: w.Body, ReceiveTime: time.Now(),
		Header:  http.Header{"Content-Type": {"application/json"}, "User-Agent": {"fill"}, "Content-Length": {strconv.Itoa(len(w.Body))}},
		Address: netip.IPv6Loopback(),
	})
	if err != nil {
		return "", err
	}
	if len(response.GetOutcomes()) == 1 {
		return response.GetOutcomes()[0].GetName(), nil
	}
	// Where a machine has much else to do, an adapter may take longer than it may; the delivery then waits to be normalized again.
	id, err := store.ParseDeliveryID(strings.TrimPrefix(response.GetDelivery(), "deliveries/"))
	if err != nil {
		return "", err
	}
	receipt, err := k.intake.Renormalize(ctx, id)
	if err == nil && len(receipt.Outcomes) != 1 {
		err = fmt.Errorf("%w: %v", errNotNormalized, response.GetFaults())
	}
	if err != nil {
		return "", err
	}
	return outcomePrefix + receipt.Outcomes[0].Outcome.String(), nil
}

// Fill makes a directory that has all calls of a set, unless it is there.
func Fill(ctx context.Context, dir string, s Set, progress io.Writer) (*Directory, error) {
	_, _ = fmt.Fprintf(progress, "filling %s with %s calls: about %d MB of disk, and a millisecond or two of each processor for each\n",
		dir, report.Grouped(s.Calls), (int64(s.Calls)*bytesOfCall+spare)>>20)
	known, err := readSample(dir)
	switch {
	case err == nil && known.Calls == s.Calls:
		_, _ = fmt.Fprintln(progress, "  they are there already")
		s.End = known.End
		return &Directory{dir, s, known.Names}, nil
	case err == nil:
		return nil, fmt.Errorf("%w: %s has %d calls and not %d: remove it, or name another one", errOther, dir, known.Calls, s.Calls)
	case !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := enoughRoom(dir, int64(s.Calls)*bytesOfCall+spare); err != nil {
		return nil, err
	}
	k, err := Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	made, err := k.fill(ctx, s, progress)
	if err = errors.Join(err, k.Close()); err != nil {
		return nil, err
	}
	return &Directory{dir, s, made.Names}, made.write(dir)
}

func (k *Kept) fill(ctx context.Context, s Set, progress io.Writer) (sample, error) {
	made := sample{Calls: s.Calls, End: s.End}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, done atomic.Int64
	var mutex sync.Mutex
	begin := time.Now()
	step := s.Calls/sampled | 1 // odd, so that it meets calls of every kind
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for n := int(next.Add(1)) - 1; n < s.Calls && ctx.Err() == nil; n = int(next.Add(1)) - 1 {
				name := ""
				for _, w := range s.Webhooks(s.Call(n)) {
					var err error
					if name, err = k.Deliver(ctx, w); err != nil {
						cancel(err)
						return
					}
				}
				if done.Add(1); n%step == 0 {
					mutex.Lock()
					made.Names = append(made.Names, name)
					mutex.Unlock()
				}
			}
		})
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		tick := time.NewTicker(tellEvery)
		defer tick.Stop()
		for n := int64(0); n < int64(s.Calls) && ctx.Err() == nil; {
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
			n = done.Load()
			_, _ = fmt.Fprintf(progress, "  %s of %s calls, %.0f a second\n", report.Grouped(n), report.Grouped(s.Calls), float64(n)/time.Since(begin).Seconds())
		}
	}()
	group.Wait()
	err := context.Cause(ctx)
	cancel(nil)
	<-told
	return made, err
}

// enoughRoom looks whether a disk has room for so many bytes.
func enoughRoom(dir string, size int64) error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return err
	}
	if free := int64(disk.Bavail) * disk.Bsize; free < size {
		return fmt.Errorf("%w in %s: %d GB are free, %d GB are needed; name another place, or fewer calls", errNoRoom, dir, free>>30, size>>30)
	}
	return nil
}
