package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Lines of one kind in a log: whoever can make us write one must not be able to fill a disk with them.
const (
	linesPerSecond = 1
	linesAtOnce    = 20
)

// calm is a log that says the same only so often, and how often it did not. Messages are our own, so there are few of them.
type calm struct {
	slog.Handler

	*kinds
}

// kinds are the kinds of lines, by their messages.
type kinds struct {
	now    func() time.Time
	mutex  sync.Mutex
	bucket map[string]*kind
}

type kind struct {
	limiter *rate.Limiter
	unsaid  int
}

func newCalm(log *slog.Logger, now func() time.Time) *slog.Logger {
	return slog.New(&calm{log.Handler(), &kinds{now: now, bucket: make(map[string]*kind)}})
}

// Handle writes the record, or counts it.
func (c *calm) Handle(ctx context.Context, record slog.Record) error {
	unsaid, ok := c.allow(record.Message)
	if !ok {
		return nil
	}
	if unsaid > 0 {
		record = record.Clone()
		record.AddAttrs(slog.Int("unsaid", unsaid))
	}
	return c.Handler.Handle(ctx, record)
}

// WithAttrs returns a log with attributes, which is as calm.
func (c *calm) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &calm{c.Handler.WithAttrs(attrs), c.kinds}
}

// WithGroup returns a log with a group, which is as calm.
func (c *calm) WithGroup(name string) slog.Handler { return &calm{c.Handler.WithGroup(name), c.kinds} }

func (k *kinds) allow(message string) (unsaid int, ok bool) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	of := k.bucket[message]
	if of == nil {
		of = &kind{limiter: rate.NewLimiter(linesPerSecond, linesAtOnce)}
		k.bucket[message] = of
	}
	if !of.limiter.AllowN(k.now(), 1) {
		of.unsaid++
		return 0, false
	}
	unsaid, of.unsaid = of.unsaid, 0
	return unsaid, true
}
