package main

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
)

const (
	// writers is how many calls are on their way at a time while a directory is filled, and share commits.
	writers = 64
	// bytesOfCall is how much room a call takes, and spare what the journal takes besides.
	bytesOfCall, spare = 14 << 10, 256 << 20
	// sampled is how many calls are known by name afterwards.
	sampled = 5_000
	// tellEvery is how often progress is told.
	tellEvery = 10 * time.Second
)

// Files and folders of a filled directory.
const (
	dataDir      = "data"
	databaseFile = "callnorm.db"
	sampleFile   = "sample.json"
)

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

// filled is a directory with all calls of a set.
type filled struct {
	dir    string
	set    set
	sample sample
}

// kept is a store with the intake before it.
type kept struct {
	store   *sqlite.Store
	refused *rejection.Book
	intake  *intake.Intake
}

func openKept(ctx context.Context, dir string) (k *kept, err error) {
	formats, err := adapters.NewSet(synthflow.New(), voxia.New())
	if err != nil {
		return nil, err
	}
	k = &kept{}
	if k.store, err = sqlite.Open(ctx, filepath.Join(dir, dataDir), sqlite.Settings{Describe: intake.Describe}); err != nil {
		return nil, err
	}
	if k.refused, err = rejection.Open(ctx, filepath.Join(dir, dataDir), rejection.Settings{}); err != nil {
		return nil, errors.Join(err, k.store.Close())
	}
	const maxBody = 1 << 20
	k.intake = intake.New(intake.Settings{
		Adapters: formats, Store: k.store, Rejections: k.refused, Observer: nobody{}, Now: time.Now,
	}, []intake.Source{
		{Name: sourceSynthflow, Adapter: synthflow.New(), Provider: sourceSynthflow, MaxBody: maxBody},
		{Name: sourceVoxia, Adapter: voxia.New(), Provider: sourceVoxia, MaxBody: maxBody},
	})
	return k, nil
}

func (k *kept) close() error { return errors.Join(k.refused.Close(), k.store.Close()) }

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

// deliver hands a webhook in, and returns the name of its outcome.
func (k *kept) deliver(ctx context.Context, w webhook) (string, error) {
	response, err := k.intake.Deliver(ctx, intake.Request{
		Source: w.source, Path: "/v1/webhooks/" + w.source, Method: http.MethodPost, Body: w.body, ReceiveTime: time.Now(),
		Header:  http.Header{"Content-Type": {"application/json"}, "User-Agent": {"scale"}, "Content-Length": {strconv.Itoa(len(w.body))}},
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

// fill makes a directory that has all calls of a set, unless it is there.
func fill(ctx context.Context, dir string, s set, progress io.Writer) (*filled, error) {
	known, err := readSample(dir)
	switch {
	case err == nil && known.Calls == s.calls:
		_, _ = fmt.Fprintln(progress, "  they are there already")
		s.end = known.End
		return &filled{dir, s, known}, nil
	case err == nil:
		return nil, fmt.Errorf("%w: %s has %d calls and not %d: remove it, or name another one", errOther, dir, known.Calls, s.calls)
	case !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := enoughRoom(dir, int64(s.calls)*bytesOfCall+spare); err != nil {
		return nil, err
	}
	k, err := openKept(ctx, dir)
	if err != nil {
		return nil, err
	}
	made, err := k.fill(ctx, s, progress)
	if err = errors.Join(err, k.close()); err != nil {
		return nil, err
	}
	return &filled{dir, s, made}, made.write(dir)
}

func (k *kept) fill(ctx context.Context, s set, progress io.Writer) (sample, error) {
	made := sample{Calls: s.calls, End: s.end}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, done atomic.Int64
	var mutex sync.Mutex
	begin := time.Now()
	step := s.calls/sampled | 1 // odd, so that it meets calls of every kind
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for n := int(next.Add(1)) - 1; n < s.calls && ctx.Err() == nil; n = int(next.Add(1)) - 1 {
				name := ""
				for _, w := range s.webhooks(s.call(n)) {
					var err error
					if name, err = k.deliver(ctx, w); err != nil {
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
		for n := int64(0); n < int64(s.calls) && ctx.Err() == nil; {
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
			n = done.Load()
			_, _ = fmt.Fprintf(progress, "  %s of %s calls, %.0f a second\n", grouped(n), grouped(s.calls), float64(n)/time.Since(begin).Seconds())
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
		return fmt.Errorf("%w in %s: %d GB are free, %d GB are needed; -dir names another place, -large fewer calls", errNoRoom, dir, free>>30, size>>30)
	}
	return nil
}
