package bounds

import (
	"bufio"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
)

const (
	ratioFloor   = 1 << 20  // below, a body of repeated text may compress as well as it likes
	inflateFrom  = 64 << 10 // bytes received before an inflater is taken for a body that is still coming
	inflaterCost = 64 << 10
	inflaterRead = 4 << 10
)

// inflater is what inflating takes; it is used again.
type inflater struct {
	buffered *bufio.Reader // in front of the inflater, which reads bytewise
	gzip     gzip.Reader
}

var inflaters = sync.Pool{New: func() any { return &inflater{buffered: bufio.NewReaderSize(nil, inflaterRead)} }}

// inflate receives the wire and inflates it. An inflater costs as much as inflateFrom bytes: who has not sent that much gets none
// before all is here.
func (in *reading) inflate() error {
	if err := in.fetchUpTo(inflateFrom); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := in.claim.grow(in.ctx, inflaterCost); err != nil {
		return err
	}
	defer in.claim.shrink(inflaterCost)
	with := inflaters.Get().(*inflater) //nolint:forcetypeassert // the pool holds nothing else
	defer func() {
		with.buffered.Reset(nil)
		inflaters.Put(with)
	}()
	with.buffered.Reset(in)
	if err := with.gzip.Reset(with.buffered); err != nil {
		return in.fault()
	}
	for {
		left := in.limits.Max - in.content.size + 1
		room, err := in.content.room(in.ctx, left)
		if err != nil {
			return err
		}
		n, err := with.gzip.Read(room[:min(int64(len(room)), left)])
		if err := in.content.add(in.ctx, n); err != nil {
			return err
		}
		if in.content.size > in.limits.Max || in.bomb() {
			return ErrTooLarge
		}
		if errors.Is(err, io.EOF) { // of the wire as well: behind a member comes another one, or nothing
			return nil
		}
		if err != nil {
			return in.fault()
		}
	}
}

// bomb tells whether a body has inflated to more than its ratio allows.
func (in *reading) bomb() bool {
	return in.limits.Ratio > 0 && in.content.size > ratioFloor && in.content.size/int64(in.limits.Ratio) > in.handed
}

// fault returns why inflating failed: because of the wire, or of what came over it.
func (in *reading) fault() error {
	if in.err != nil && !errors.Is(in.err, io.EOF) {
		return in.err
	}
	return ErrCorrupt
}
