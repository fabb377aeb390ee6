package server

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	defaultHeartbeat = 15 * time.Second
	// pageSize bounds what a stream holds in memory for its reader. The store bounds it in bytes.
	pageSize = 128
	// maxOpenStreams bounds how many readers follow at a time, over gRPC and REST together.
	maxOpenStreams = 2000
)

// logReader is what following needs of the store.
type logReader interface {
	Read(ctx context.Context, after store.Cursor, filter store.Filter, limit int) (store.Page, error)
	Wait(ctx context.Context, after store.Position) error
	Head(ctx context.Context) (store.Cursor, error)
	CursorAt(ctx context.Context, t time.Time) (store.Cursor, error)
	Beginning(ctx context.Context) (store.Cursor, error)
	Resume(ctx context.Context, cursor store.Cursor, filter store.Filter) (store.Cursor, error)
}

// gauge counts what is going on.
type gauge interface {
	Inc()
	Dec()
}

// followers are all who follow the log at the moment.
type followers struct {
	log      logReader
	draining context.Context // ends when the server begins to shut down
	streams  gauge
	open     atomic.Int64
}

// enter lets one more reader in, until the function that it returns is called.
func (f *followers) enter() (leave func(), err error) {
	if f.open.Add(1) > maxOpenStreams {
		f.open.Add(-1)
		return nil, errOverloaded
	}
	f.streams.Inc()
	return func() {
		f.streams.Dec()
		f.open.Add(-1)
	}, nil
}

// starter is a request that says where in the log to start.
type starter interface {
	proto.Message
	GetAfter() string
	GetStartAt() callnormv1.StreamStart
	GetStartTime() *timestamppb.Timestamp
}

// start returns the cursor that a request starts with, for what the filter passes.
func start(ctx context.Context, log logReader, r starter, filter store.Filter) (store.Cursor, error) {
	message := r.ProtoReflect()
	chosen := message.WhichOneof(message.Descriptor().Oneofs().ByName("start"))
	switch {
	case chosen != nil && chosen.Name() == "after": // It may be there and empty.
		cursor, err := store.ParseCursor(r.GetAfter())
		if err != nil {
			return store.Cursor{}, err
		}
		return log.Resume(ctx, cursor, filter)
	case r.GetStartTime() != nil:
		if err := r.GetStartTime().CheckValid(); err != nil {
			return store.Cursor{}, fmt.Errorf("%w: start_time: %w", errRequest, err)
		}
		return log.CursorAt(ctx, r.GetStartTime().AsTime())
	case r.GetStartAt() == callnormv1.StreamStart_STREAM_START_NOW:
		return log.Head(ctx)
	default:
		return log.Beginning(ctx)
	}
}

// following is one reader's way through the log. It pulls at the reader's pace: one who stalls holds a page in memory and delays
// nobody.
type following struct {
	*followers

	stream    grpc.ServerStream
	chosen    selection
	heartbeat time.Duration
	// mark writes a position as the reader is to bring it back.
	mark func(store.Cursor) string

	cursor   store.Cursor // after what was read and, as far as it passes, sent
	said     time.Time    // when the last message was sent
	caughtUp bool         // whether that said so
}

// heartbeatOf returns how long a stream may be quiet.
func heartbeatOf(asked *durationpb.Duration) time.Duration {
	if asked == nil {
		return defaultHeartbeat
	}
	return asked.AsDuration()
}

// follow sends what comes after the cursor until ctx ends, and returns why it has ended.
func (f *following) follow(ctx context.Context) error {
	err := f.sendAll(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (f *following) sendAll(ctx context.Context) error {
	for first := true; ; first = false {
		page, err := f.read(ctx)
		if err != nil {
			return err
		}
		if first {
			// Where the stream begins: a reader who leaves before the first outcome can come back all the same.
			if err := f.tell(page.End && len(page.Entries) == 0); err != nil {
				return err
			}
		}
		if err := f.sendPage(ctx, page); err != nil {
			return err
		}
		if quiet := time.Since(f.said) >= f.heartbeat; page.End && !f.caughtUp || !page.End && quiet {
			if err := f.tell(page.End); err != nil {
				return err
			}
		}
		if page.End {
			if err := f.wait(ctx); err != nil {
				return err
			}
		}
	}
}

// read returns the next page, with the entries that pass.
func (f *following) read(ctx context.Context) (store.Page, error) {
	page, err := f.log.Read(ctx, f.cursor, f.chosen.store, pageSize)
	if err != nil || f.chosen.whole() {
		return page, err
	}
	passing := page.Entries[:0]
	for _, entry := range page.Entries {
		passes, err := f.chosen.passes(entry)
		if err != nil {
			return store.Page{}, err
		}
		if passes {
			passing = append(passing, entry)
		}
	}
	page.Entries = passing
	return page, nil
}

// sendPage sends the entries of a page.
func (f *following) sendPage(ctx context.Context, page store.Page) error {
	for i := range page.Entries {
		if err := f.over(ctx); err != nil {
			return err
		}
		entry := &page.Entries[i]
		f.cursor = entry.Cursor
		if err := f.send(entry.Body, page.End && i == len(page.Entries)-1); err != nil {
			return err
		}
		entry.Body = nil // It may take its reader long to take the rest.
	}
	f.cursor = page.Next
	return f.over(ctx)
}

// wait waits for something to read, and says where the reader is whenever it has been quiet for long.
func (f *following) wait(ctx context.Context) error {
	for {
		waiting, cancel := context.WithTimeout(ctx, f.heartbeat)
		stop := context.AfterFunc(f.draining, cancel)
		err := f.log.Wait(waiting, f.cursor.Position)
		quiet := waiting.Err() != nil
		stop()
		cancel()
		if over := f.over(ctx); over != nil {
			return over
		}
		if err == nil || !quiet {
			return err
		}
		if err := f.tell(true); err != nil {
			return err
		}
	}
}

// over returns why the stream has to end, if it has. When the server goes away, its last message tells how far it has come.
func (f *following) over(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case f.draining.Err() == nil:
		return nil
	}
	if err := f.tell(false); err != nil {
		return err
	}
	return errShuttingDown
}

// tell sends a position without an outcome.
func (f *following) tell(caughtUp bool) error { return f.send(nil, caughtUp) }

func (f *following) send(outcome []byte, caughtUp bool) error {
	f.said, f.caughtUp = time.Now(), caughtUp
	return f.stream.SendMsg(&wired{outcome: outcome, mark: f.mark(f.cursor), caughtUp: caughtUp})
}
