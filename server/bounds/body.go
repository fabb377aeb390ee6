package bounds

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"strings"
	"time"
)

// hangUpIn is how long the rest of a refused body may still come in, so that its sender gets to read the answer.
const hangUpIn = 500 * time.Millisecond

// BodyLimits bound the reading of one body.
type BodyLimits struct {
	// Max is the most bytes of a body, both as it was received and inflated.
	Max int64
	// Ratio is how many bytes one byte of gzip may inflate to. It counts only for bodies that inflate to more than 1 MiB, and
	// for each moment from there on: what comes later cannot make up for it. Zero means no limit.
	Ratio int
	// Budget is where the bytes are reserved; nil means nowhere.
	Budget *Budget
	// Pace is how fast a body must come.
	Pace Pace
}

// Pace is how fast a body must come: each byte within Grace after the one before, its n-th within Grace + n/Rate, and all of it
// Within. A stall is a stall: having sent much buys no time to send nothing. Only the time spent on waiting for the sender counts.
// The zero value of a field means no bound.
type Pace struct {
	Grace  time.Duration
	Rate   int64 // bytes per second
	Within time.Duration
}

// DefaultPace lets a webhook of 6.5 KB take 11 seconds, four times what the slowest phone network needs for it. A sender who holds
// a connection for the whole minute has to send 55 KiB.
var DefaultPace = Pace{Grace: 5 * time.Second, Rate: 1 << 10, Within: time.Minute}

// due returns how long the next byte of a body may still take.
func (p Pace) due(size int64, spent time.Duration) time.Duration {
	due := p.allows(size) - spent
	if p.Grace > 0 {
		due = min(due, p.Grace)
	}
	return due
}

// allows returns how long the first bytes of a body may take until the next one comes.
func (p Pace) allows(size int64) time.Duration {
	allowed := time.Duration(math.MaxInt64)
	if p.Within > 0 {
		allowed = p.Within
	}
	if p.Rate > 0 {
		if slowest := float64(p.Grace) + float64(size)/float64(p.Rate)*float64(time.Second); slowest < float64(allowed) {
			return time.Duration(slowest)
		}
	}
	return allowed
}

func (p Pace) bounded() bool { return p.Grace > 0 || p.Rate > 0 || p.Within > 0 }

// Body is what a request brought. Its bytes stay reserved until Release.
type Body struct {
	// Wire is the body exactly as it was received, Content what is in it: the same slice unless Content-Encoding says otherwise.
	Wire, Content []byte

	claim *claim
}

// Release gives the reservation back; the bytes must not be used afterwards. Only the first call counts.
func (b Body) Release() {
	if b.claim != nil {
		b.claim.release()
	}
}

// Read reads the body of a request that is being served. Content-Encoding and Content-Length are judged first, before a sender who
// asks is told to go on. Gzip is inflated while it arrives, and no further than the limits go; several members in a row are one
// body. A body that is not returned as a whole is not returned at all; its reservation is given back, and an HTTP/1 connection is
// closed after the answer, unless everything has been read from it.
//
// Errors are ErrTooLarge, ErrEncoding, ErrCorrupt, ErrUnreadable, ErrTooSlow, ErrOverloaded, or the one of the request's context.
//
// The pace is kept, and slow bodies are thrown out of a full Budget, by the connection's read deadline, which needs a ResponseWriter
// that http.ResponseController can use; with another one a sender who stops is not noticed before the next byte, and keeps its room.
// Afterwards there is no read deadline until the next request.
func Read(w http.ResponseWriter, r *http.Request, limits BodyLimits) (Body, error) {
	in := newReading(w, r, limits)
	body, err := in.body(r.Header)
	if err != nil {
		in.claim.release()
		in.hangUp(r.ProtoMajor)
		return Body{}, err
	}
	return body, nil
}

// reading is a body that is being read. As an io.Reader it hands on what has been received, and keeps it.
type reading struct {
	ctx      context.Context
	source   io.Reader
	declared int64 // or negative
	limits   BodyLimits
	claim    *claim

	control *http.ResponseController
	header  http.Header   // of the answer
	spent   time.Duration // on waiting for the sender

	wire    pieces
	content pieces
	piece   int   // of the wire, the first that has not been handed on as a whole
	at      int   // in that piece
	handed  int64 // of the wire, to Read
	err     error // that ended the wire
}

func newReading(w http.ResponseWriter, r *http.Request, limits BodyLimits) *reading {
	claim := &claim{budget: limits.Budget}
	in := &reading{
		ctx: r.Context(), declared: r.ContentLength, limits: limits, claim: claim, header: w.Header(),
		control: http.NewResponseController(w), wire: pieces{claim: claim}, content: pieces{claim: claim},
	}
	if r.Body == nil || r.Body == http.NoBody {
		in.err = io.EOF
	} else {
		in.source = http.MaxBytesReader(w, r.Body, limits.Max)
	}
	return in
}

func (in *reading) body(header http.Header) (Body, error) {
	encoded, err := gzipped(header)
	if err != nil {
		return Body{}, err
	}
	if in.declared > in.limits.Max {
		return Body{}, ErrTooLarge
	}
	if !encoded {
		if err := in.fetchUpTo(math.MaxInt64); !errors.Is(err, io.EOF) {
			return Body{}, err
		}
		wire, err := in.wire.join(in.ctx)
		return Body{Wire: wire, Content: wire, claim: in.claim}, err
	}
	if err := in.inflate(); err != nil {
		return Body{}, err
	}
	wire, err := in.wire.join(in.ctx)
	if err != nil {
		return Body{}, err
	}
	content, err := in.content.join(in.ctx)
	return Body{Wire: wire, Content: content, claim: in.claim}, err
}

// gzipped tells whether a body is gzip, or plain.
func gzipped(header http.Header) (bool, error) {
	values := header.Values("Content-Encoding")
	switch {
	case len(values) == 0:
		return false, nil
	case len(values) > 1:
		return false, ErrEncoding
	}
	switch strings.ToLower(strings.Trim(values[0], " \t")) {
	case "", "identity":
		return false, nil
	case "gzip", "x-gzip":
		return true, nil
	}
	return false, ErrEncoding
}

// fetchUpTo receives until there are more bytes than that or the wire has ended, and returns why it has.
func (in *reading) fetchUpTo(size int64) error {
	for in.err == nil && in.wire.size <= size {
		in.fetch()
	}
	return in.err
}

// fetch receives once.
func (in *reading) fetch() {
	expected := int64(-1)
	if in.declared >= 0 {
		expected = in.declared - in.wire.size + 1 // and the end
	}
	room, err := in.wire.room(in.ctx, expected)
	if err != nil {
		in.err = err
		return
	}
	if in.limits.Pace.bounded() {
		due := in.limits.Pace.due(in.wire.size, in.spent)
		if due <= 0 {
			in.err = ErrTooSlow
			return
		}
		_ = in.control.SetReadDeadline(time.Now().Add(due)) // see Read
	}
	start := time.Now()
	in.claim.listen(in.spent, in.interrupt)
	n, err := in.source.Read(room)
	thrown := in.claim.heard(err != nil)
	in.spent += time.Since(start)
	if thrown { // even if the last bytes came in that moment: the connection's deadline is over
		in.err = ErrOverloaded
		return
	}
	if in.err = in.wire.add(in.ctx, n); in.err == nil {
		in.err = cause(err)
	}
	if errors.Is(in.err, io.EOF) {
		// The server goes on reading, to notice when the sender leaves. A deadline would look like that.
		_ = in.control.SetReadDeadline(time.Time{})
	}
}

// interrupt ends the read that is going on.
func (in *reading) interrupt() error { return in.control.SetReadDeadline(time.Unix(1, 0)) }

// cause returns which of our errors an error of the source is. Its text is left out: it may tell addresses, or a line of a trailer.
func cause(err error) error {
	tooLarge := (*http.MaxBytesError)(nil)
	switch {
	case err == nil || err == io.EOF: //nolint:errorlint // a wrapped end is none
		return err
	case errors.As(err, &tooLarge):
		return ErrTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrTooSlow
	}
	return ErrUnreadable
}

// Read hands on what has been received.
func (in *reading) Read(p []byte) (int, error) {
	for {
		for in.piece < len(in.wire.list) {
			piece := in.wire.list[in.piece]
			if in.at < len(piece) {
				n := copy(p, piece[in.at:])
				in.at += n
				in.handed += int64(n)
				return n, nil
			}
			if len(piece) < cap(piece) {
				break // more will come into this one
			}
			in.piece, in.at = in.piece+1, 0
		}
		if in.err != nil {
			return 0, in.err
		}
		in.fetch()
	}
}

// hangUp gives up on what has not been received yet.
func (in *reading) hangUp(major int) {
	if errors.Is(in.err, io.EOF) {
		return
	}
	_ = in.control.SetReadDeadline(time.Now().Add(hangUpIn))
	if major == 1 { // HTTP/2 ends the stream by itself; there, the header would end the connection
		in.header.Set("Connection", "close")
	}
}
