package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/callnorm/callnorm/cmd/callnorm/archive"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"golang.org/x/sync/semaphore"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

type importCommand struct {
	connection

	Source   string        `required:"" placeholder:"NAME" help:"Source that takes the webhooks in."`
	File     []string      `arg:"" placeholder:"FILE" help:"Files, directories, or - for standard input."`
	Format   string        `enum:"auto,lines" default:"auto" placeholder:"auto|lines" help:"What is in the files: told by their names, or a webhook in each line (${default})."`
	Parallel int           `default:"16" placeholder:"N" help:"Deliveries on their way at a time (${default})."`
	RetryFor time.Duration `name:"retry-for" default:"2m" placeholder:"TIME" help:"How long to try on while the server takes nothing (${default})."`
	Progress string        `placeholder:"FILE" help:"Where to remember how far it went. The first FILE with .import at its end; nowhere for standard input."`
	Quiet    bool          `help:"Do not show how far it is."`
}

// Help shows examples.
func (importCommand) Help() string {
	return `Hands archived webhooks to a running server, which verifies, keeps and normalizes them as if they had come in at the time
at which they were received first. What the server has already is a duplicate and changes nothing. Interrupted, it goes on where
it was when the same command is given again. Exits with 1 when something was not taken in, and names file and line of it.

A file is one webhook, the body as it was posted, received when the file was last modified; or, with a name in .jsonl or .ndjson,
a webhook in each line. Names may end in .gz. A line is an object with these keys; the first and one of the bodies are needed:

  receive_time  when it was received first, such as "2026-11-21T14:02:00.25Z"
  body          the body as a text, or as an object or array, whose bytes are taken as they stand there
  body_base64   the body in base64
  headers       an object with a text or an array of texts for each name: signatures are verified
  query, event, content_type

It may also be a line of callnorm quarantine show --json.

Examples:

  callnorm import --source sales-calls archive/
  callnorm import --source sales-calls 2024.jsonl.gz 2025.jsonl.gz
  zstdcat 2024.jsonl.zst | callnorm import --source sales-calls --progress 2024.import -`
}

const (
	// onTheWay bounds the bytes that are on their way.
	onTheWay = 32 << 20
	// rememberEvery is how often progress is written down. What is lost of it is handed over again.
	rememberEvery = time.Second
	// answerWithin is how long the server has for one delivery. It wants to be done in 4 seconds.
	answerWithin = 30 * time.Second
)

// Run imports.
func (c importCommand) Run(ctx context.Context, streams streams) error {
	if c.Parallel < 1 {
		return usagef("--parallel takes 1 or more")
	}
	var names []string
	for _, name := range c.File {
		if name != archive.Stdin {
			name = filepath.Clean(name)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	file := c.Progress
	if file == "" && names[0] != archive.Stdin {
		file = names[0] + archive.ProgressSuffix
	}
	so, err := c.soFar(file)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	input, output := io.Pipe() // so that waiting for standard input can end
	defer context.AfterFunc(ctx, func() { _ = output.CloseWithError(ctx.Err()) })()
	if slices.Contains(names, archive.Stdin) {
		go func() {
			_, err := io.Copy(output, streams.in)
			_ = output.CloseWithError(err)
		}()
	}
	archives := make([]*archive.Archive, len(names))
	var total int64
	for i, name := range names {
		if archives[i], err = archive.Open(name, c.Format == "lines", input); err != nil {
			return &usageError{err}
		}
		if size := archives[i].Size(); size < 0 || total < 0 {
			total = -1
		} else {
			total += size
		}
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	meter := newMeter(streams.err, c.Quiet, total, so.Tally, time.Now())
	importer := importer{
		client: callnormv1.NewNormalizationServiceClient(conn), source: c.Source, retryFor: c.RetryFor,
		slots: semaphore.NewWeighted(int64(c.Parallel)), room: semaphore.NewWeighted(onTheWay),
		queue: make(chan *handed, c.Parallel), progress: so, file: file, meter: meter,
	}
	hide := meter.run()
	err = importer.run(ctx, stop, names, archives)
	hide()
	importer.progress.Tally.summarize(streams.out, time.Since(meter.start))
	if err != nil {
		return err
	}
	if importer.progress.Tally.Refused > 0 {
		return &incompleteError{}
	}
	return nil
}

// progress is what an import remembers.
type progress struct {
	Addr   string `json:"addr"`
	Source string `json:"source"`
	// Done is how far each of the command's files was taken in.
	Done  map[string]archive.Mark `json:"done"`
	Tally tally                   `json:"tally"`
}

// soFar reads what an earlier import of the same remembers.
func (c importCommand) soFar(file string) (progress, error) {
	text, err := os.ReadFile(file)
	switch {
	case file == "" || errors.Is(err, fs.ErrNotExist):
		return progress{Addr: c.Addr, Source: c.Source, Done: make(map[string]archive.Mark)}, nil
	case err != nil:
		return progress{}, &usageError{err}
	}
	var so progress
	if err := json.Unmarshal(text, &so); err != nil || so.Done == nil {
		return so, usagef("%s does not hold the progress of an import: name another by --progress, or delete it to begin anew", file)
	}
	if so.Addr != c.Addr || so.Source != c.Source {
		return so, usagef("%s holds the progress of an import to source %q at %s: name another by --progress, or delete it to begin anew",
			file, so.Source, so.Addr)
	}
	return so, nil
}

// save writes progress down, all of it or nothing.
func (p progress) save(file string) error {
	if file == "" {
		return nil
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), ".*"+archive.ProgressSuffix)
	if err != nil {
		return usagef("progress cannot be remembered beside the file; name another by --progress: %w", err)
	}
	_, err = temporary.Write(append(text, '\n'))
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
		return fmt.Errorf("progress: %w", err)
	}
	return nil
}

// importer hands deliveries over in their order, several at a time, and settles them in the same order: what progress says is
// done lies before everything that is not.
type importer struct {
	client   callnormv1.NormalizationServiceClient
	source   string
	retryFor time.Duration
	slots    *semaphore.Weighted // deliveries on their way
	room     *semaphore.Weighted // bytes on their way
	queue    chan *handed
	progress progress
	file     string // that remembers progress
	meter    *meter

	answered atomic.Int64 // when the server took the last one, in nanoseconds
	trouble  atomic.Bool  // since then it took none
}

// handed is one item on its way.
type handed struct {
	archive  string
	item     archive.Item
	received time.Time
	done     chan struct{} // closed when the fields below are set
	answer   *callnormv1.IngestDeliveryResponse
	err      error
}

// stopped says what ended a context: the user, or what went wrong elsewhere.
func stopped(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return errors.New("interrupted")
}

// run imports until everything is done, or something stops it.
func (i *importer) run(ctx context.Context, stop context.CancelCauseFunc, names []string, archives []*archive.Archive) error {
	if err := i.progress.save(i.file); err != nil {
		return err
	}
	from := maps.Clone(i.progress.Done)
	var unread error
	go func() {
		defer close(i.queue)
		for n, name := range names {
			if unread = i.read(ctx, stop, name, archives[n], from[name]); unread != nil || ctx.Err() != nil {
				return
			}
		}
	}()
	err := i.settle(stop)
	switch {
	case err != nil:
	case ctx.Err() != nil:
		err = stopped(ctx)
	case unread != nil:
		err = unread
	case i.file != "":
		return os.Remove(i.file)
	default:
		return nil
	}
	goOn := "the same command goes on here"
	if i.file == "" {
		goOn = "the same command begins anew, and what was taken in will be duplicates"
	}
	if saved := i.progress.save(i.file); saved != nil {
		err = errors.Join(err, saved)
	}
	return fmt.Errorf("%w\nnot everything was taken in: %s", err, goOn)
}

// read reads an archive and hands over what is in it.
func (i *importer) read(ctx context.Context, stop context.CancelCauseFunc, name string, of *archive.Archive, from archive.Mark) error {
	for item, err := range of.Items(ctx, from) {
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		request := item.Request
		h := &handed{archive: name, item: item, received: request.GetReceiveTime().AsTime(), done: make(chan struct{})}
		h.item.Request = nil // it goes as soon as it is answered
		if request == nil {
			close(h.done)
			i.queue <- h
			continue
		}
		size := int64(proto.Size(request))
		if i.slots.Acquire(ctx, 1) != nil || i.room.Acquire(ctx, size) != nil {
			return nil
		}
		request.Source = i.source
		i.queue <- h
		go func() {
			defer i.slots.Release(1)
			defer i.room.Release(size)
			defer close(h.done)
			if h.answer, h.err = i.deliver(ctx, request); h.err != nil && !refused(h.err) {
				stop(h.err) // before the next one takes its slot
			}
		}()
	}
	return nil
}

// settle settles one item after the other, until there are no more, or one that is not done. The first that is not stops all.
func (i *importer) settle(stop context.CancelCauseFunc) (err error) {
	remembered := time.Now()
	for h := range i.queue {
		<-h.done
		if err != nil {
			continue // those before it are not all done
		}
		if h.err != nil && !refused(h.err) {
			err = h.err
			continue
		}
		i.count(h)
		if time.Since(remembered) < rememberEvery {
			continue
		}
		if err = i.progress.save(i.file); err != nil {
			stop(err)
		}
		remembered = time.Now()
	}
	return err
}

// count takes down what became of an item that is done.
func (i *importer) count(h *handed) {
	tally := &i.progress.Tally
	problem := h.item.Problem
	switch {
	case h.err != nil:
		problem = errors.New(status.Convert(h.err).Message())
	case h.answer != nil:
		tally.count(h.answer, h.received)
	}
	if problem != nil {
		tally.Refused++
		i.meter.note(h.item.Place() + ": " + problem.Error())
	}
	if h.item.Note != "" {
		i.meter.note(h.item.Note)
	}
	i.progress.Done[h.archive] = h.item.Next
	i.meter.advance(*tally, h.item.Bytes, h.item.Skipped)
}

// deliver hands one over, and tries again as long as that makes sense. What is on its way is not called back when ctx ends.
func (i *importer) deliver(ctx context.Context, request *callnormv1.IngestDeliveryRequest) (*callnormv1.IngestDeliveryResponse, error) {
	const shortest, longest = 100 * time.Millisecond, 5 * time.Second
	begun := time.Now()
	for wait := shortest; ; wait = min(2*wait, longest) {
		try, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
		answer, err := i.client.IngestDelivery(try, request)
		cancel()
		if code := status.Code(err); code != codes.Unavailable && code != codes.DeadlineExceeded {
			i.answered.Store(time.Now().UnixNano())
			i.trouble.Store(false)
			return answer, err
		}
		last := time.Unix(0, max(begun.UnixNano(), i.answered.Load()))
		left := i.retryFor - time.Since(last)
		if left <= 0 {
			return nil, fmt.Errorf("the server has taken nothing for %s: %s", i.retryFor, status.Convert(err).Message())
		}
		if !i.trouble.Swap(true) {
			i.meter.note(fmt.Sprintf("%s; trying on for %s", status.Convert(err).Message(), i.retryFor))
		}
		pause := min(left, max(wait/2+rand.N(wait), wanted(err))) //nolint:gosec // Chance keeps them apart, nothing more.
		select {
		case <-ctx.Done():
			return nil, stopped(ctx)
		case <-time.After(pause):
		}
	}
}

// wanted is when the server wants to be asked again.
func wanted(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// refused tells whether an error is about one delivery. All others stop an import: there is no such source, or no permission.
func refused(err error) bool {
	s, ok := status.FromError(err)
	if !ok {
		return false
	}
	switch s.Code() {
	case codes.InvalidArgument, codes.ResourceExhausted, codes.Internal, codes.DataLoss:
		return true
	case codes.Unauthenticated:
		for _, detail := range s.Details() {
			if info, ok := detail.(*errdetails.ErrorInfo); ok {
				return "ERROR_REASON_"+info.GetReason() == callnormv1.ErrorReason_ERROR_REASON_NOT_VERIFIED.String()
			}
		}
	}
	return false
}
