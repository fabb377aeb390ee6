package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/test/internal/tool"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
)

// acknowledged is a revision that an answer of 2xx has told of.
type acknowledged struct {
	revision revision
	// sent is when its webhook was sent, as time since the run began. It is 0 when that has not made the revision.
	sent time.Duration
}

// book is what writers have been told.
type book struct {
	answers      int
	repeated     int // webhooks that were sent again after 503 or a lost connection
	acknowledged []acknowledged
	deleted      []int32 // calls
	traces       int     // deletions that left traces in the journal for the time being
	refused      []string
}

// writers send webhooks and delete calls.
type writers struct {
	service *service
	teller  *teller
	names   *names
	began   time.Time
	events  int
	seed    uint64

	call atomic.Uint64
	sent atomic.Int64
	done progress
}

// open is how many calls a writer tells of by turns.
const open = 4

// write sends webhooks until all writers together have sent enough, and deletes the calls that are doomed.
func (w *writers) write(ctx context.Context, which int) (*book, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 1, DisableCompression: true}
	defer transport.CloseIdleConnections()
	conn, err := grpc.NewClient("passthrough:///"+w.service.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: pause, Multiplier: 1, MaxDelay: pause}}))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	one := &writer{
		writers: w, client: &http.Client{Transport: transport, Timeout: patience}, privacy: callnormv1.NewPrivacyServiceClient(conn),
		random: rand.New(rand.NewPCG(w.seed, uint64(which)|writerStream)), //nolint:gosec // it has to be repeatable, not secret
	}
	return &one.book, one.run(ctx)
}

// What the random generators of one seed are told apart by.
const (
	writerStream = 1 << 62
	readerStream = 1 << 63
)

type writer struct {
	*writers

	client  *http.Client
	privacy callnormv1.PrivacyServiceClient
	random  *rand.Rand
	told    [open]*telling
	doomed  []string
	book    book
}

func (w *writer) run(ctx context.Context) error {
	for w.sent.Add(1) <= int64(w.events) {
		at := w.random.IntN(open)
		if w.told[at] == nil {
			w.told[at] = w.teller.call(w.call.Add(1))
		}
		if err := w.tell(ctx, w.told[at]); err != nil {
			return err
		}
		if len(w.told[at].left) == 0 {
			w.told[at] = nil
		}
		w.done.add()
		if len(w.doomed) > 0 && w.random.IntN(open) == 0 {
			if err := w.delete(ctx); err != nil {
				return err
			}
		}
	}
	for len(w.doomed) > 0 {
		if err := w.delete(ctx); err != nil {
			return err
		}
	}
	return nil
}

// tell sends the next webhook about a call until it is answered.
func (w *writer) tell(ctx context.Context, call *telling) error {
	next := call.left[0]
	call.left = call.left[1:]
	sent := time.Since(w.began)
	answer, err := w.post(ctx, next)
	if err != nil {
		return err
	}
	w.book.answers++
	for _, outcome := range answer.GetOutcomes() {
		told := acknowledged{revision: revision{w.names.number(outcome.GetName()), outcome.GetRevision()}}
		if !outcome.GetDuplicate() {
			told.sent = sent
		}
		w.book.acknowledged = append(w.book.acknowledged, told)
		if call.doomed && call.deleteAt == len(call.left) {
			w.doomed = append(w.doomed, outcome.GetName())
		}
	}
	return nil
}

const (
	// attempts is how often a request is sent at most.
	attempts = 200
	// pause is how long to wait before it is sent again.
	pause = 50 * time.Millisecond
)

func (w *writer) post(ctx context.Context, what delivery) (*callnormv1.IngestDeliveryResponse, error) {
	url := "http://" + w.service.rest + "/v1/webhooks/" + what.source
	if what.event != "" {
		url += "/" + what.event
	}
	var last error
	for range attempts {
		if err := w.service.await(ctx); err != nil {
			return nil, err
		}
		answer, err := w.postOnce(ctx, url, what.body)
		if err == nil {
			return answer, nil
		}
		if !errors.Is(err, errAgain) {
			return nil, err
		}
		last = err
		w.book.repeated++
		if err := tool.Wait(ctx, pause); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("a webhook was sent %d times: %w", attempts, last)
}

var errAgain = errors.New("not taken")

func (w *writer) postOnce(ctx context.Context, url string, body []byte) (*callnormv1.IngestDeliveryResponse, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := w.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAgain, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errAgain, err)
	case response.StatusCode == http.StatusServiceUnavailable:
		return nil, fmt.Errorf("%w: %.200s", errAgain, text)
	case response.StatusCode/100 != 2:
		return nil, fmt.Errorf("a webhook was answered %d: %.200s", response.StatusCode, text)
	}
	answer := &callnormv1.IngestDeliveryResponse{}
	if err := protojson.Unmarshal(text, answer); err != nil {
		return nil, fmt.Errorf("the answer to a webhook: %w: %.200s", err, text)
	}
	return answer, nil
}

// delete deletes one of the doomed calls, until the service says that it did.
func (w *writer) delete(ctx context.Context) error {
	at := w.random.IntN(len(w.doomed))
	name := w.doomed[at]
	w.doomed[at] = w.doomed[len(w.doomed)-1]
	w.doomed = w.doomed[:len(w.doomed)-1]
	for range attempts {
		_, err := w.privacy.DeleteCall(ctx, &callnormv1.DeleteCallRequest{Key: &callnormv1.DeleteCallRequest_Name{Name: name}}, grpc.WaitForReady(true))
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case leftTraces(err):
			w.book.traces++
		case status.Code(err) == codes.Unavailable: // killed
			if err := tool.Wait(ctx, pause); err != nil {
				return err
			}
			continue
		case err != nil:
			w.book.refused = append(w.book.refused, fmt.Sprintf("delete %s: %v", name, err))
			return nil
		}
		w.book.deleted = append(w.book.deleted, w.names.number(name))
		return nil
	}
	return fmt.Errorf("%s could not be deleted in %d attempts", name, attempts)
}

// leftTraces tells whether a deletion has deleted all the same: only the journal could not be overwritten yet.
func leftTraces(err error) bool {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetReason() == callnormv1.ErrorReason_ERROR_REASON_TRACES_LEFT.String() {
			return true
		}
	}
	return false
}

// progress is how much of something is done.
type progress struct {
	mu      sync.Mutex
	done    int
	waiting map[int]chan struct{}
}

func (p *progress) add() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if reached := p.waiting[p.done]; reached != nil {
		close(reached)
		delete(p.waiting, p.done)
	}
}

// reach returns when so much is done.
func (p *progress) reach(ctx context.Context, much int) error {
	p.mu.Lock()
	if p.done >= much {
		p.mu.Unlock()
		return nil
	}
	if p.waiting == nil {
		p.waiting = make(map[int]chan struct{})
	}
	reached := p.waiting[much]
	if reached == nil {
		reached = make(chan struct{})
		p.waiting[much] = reached
	}
	p.mu.Unlock()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-reached:
		return nil
	}
}
