package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/test/internal/tool"
	"google.golang.org/protobuf/encoding/protojson"
)

// The webhooks about one call, as the adapter's fixtures have them, and the id of the call in them. They are small, so that many of
// them can be kept.
var chapters = [...]string{"v07_one_call_1_dialing.json", "v07_one_call_2_connected.json"}

const callID = "66f2a9c1e4b0a35d7c9e000e"

// load is who sends webhooks. What was not answered with 2xx is sent again, as providers do, also over restarts.
type load struct {
	service *service
	bodies  [len(chapters)][]byte
	seed    uint64
	ledger  ledger
	client  *http.Client
	senders []*sender
	calls   atomic.Uint64

	refused atomic.Int64 // answers of 503
	broken  atomic.Int64 // requests whose connection was lost
	// slowest and refusal are the times of the slowest answer, and of the slowest one of 503.
	slowest, refusal atomic.Int64
	// watch is told each answer, if it is not nil.
	watch func(code int)
}

// sender has one connection, and tells of one call at a time.
type sender struct {
	call    uint64
	chapter int // the next
}

func (o *options) newLoad(s *service, senders int) (*load, error) {
	l := &load{service: s, seed: o.seed, client: &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{MaxIdleConnsPerHost: senders, MaxConnsPerHost: senders, DisableCompression: true},
	}}
	for i, name := range chapters {
		body, err := os.ReadFile(filepath.Join(o.fixtures, "voxia", "testdata", name))
		if err != nil {
			return nil, fmt.Errorf("%w: start at the root of the repository, or set -fixtures", err)
		}
		if !bytes.Contains(body, []byte(callID)) {
			return nil, fmt.Errorf("%s does not name call %s", name, callID)
		}
		l.bodies[i] = body
	}
	for range senders {
		l.senders = append(l.senders, &sender{call: l.calls.Add(1)})
	}
	return l, nil
}

// run sends until ctx ends. The error is an answer that nobody should get.
func (l *load) run(ctx context.Context) error {
	defer l.client.CloseIdleConnections()
	errs := make([]error, len(l.senders))
	var group sync.WaitGroup
	for i, one := range l.senders {
		group.Go(func() {
			for ctx.Err() == nil && errs[i] == nil {
				errs[i] = l.send(ctx, one)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// pause is how long to wait before a webhook is sent again.
const pause = 20 * time.Millisecond

// send sends the next webhook of a sender once. When it is kept, the sender goes on to the next one.
func (l *load) send(ctx context.Context, one *sender) error {
	var number [12]byte
	binary.BigEndian.PutUint32(number[:], uint32(l.seed))
	binary.BigEndian.PutUint64(number[4:], one.call)
	body := bytes.ReplaceAll(l.bodies[one.chapter], []byte(callID), hex.AppendEncode(nil, number[:]))
	begun := time.Now()
	code, text, err := l.post(ctx, body)
	took := time.Since(begun)
	if err == nil {
		raise(&l.slowest, took)
		if l.watch != nil {
			l.watch(code)
		}
	}
	switch {
	case err != nil:
		if ctx.Err() == nil {
			l.broken.Add(1)
		}
		_ = tool.Wait(ctx, pause)
		return nil
	case code == http.StatusServiceUnavailable:
		l.refused.Add(1)
		raise(&l.refusal, took)
		_ = tool.Wait(ctx, pause)
		return nil
	case code != http.StatusOK && l.service.dark.Load():
		return nil
	case code != http.StatusOK:
		return fmt.Errorf("a webhook was answered %d: %.200s", code, text)
	}
	answer := &callnormv1.IngestDeliveryResponse{}
	if err := protojson.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("the answer to a webhook: %w: %.200s", err, text)
	}
	kept, err := readReceipt(answer)
	if err != nil {
		return err
	}
	l.ledger.add(kept)
	if one.chapter++; one.chapter == len(l.bodies) {
		one.call, one.chapter = l.calls.Add(1), 0
	}
	return nil
}

// raise keeps the greatest time.
func raise(most *atomic.Int64, took time.Duration) {
	for {
		before := most.Load()
		if int64(took) <= before || most.CompareAndSwap(before, int64(took)) {
			return
		}
	}
}

func (l *load) post(ctx context.Context, body []byte) (code int, text []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+l.service.rest+"/v1/webhooks/voxia", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := l.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	text, err = io.ReadAll(response.Body)
	return response.StatusCode, text, errors.Join(err, response.Body.Close())
}

// reach returns when so many webhooks were acknowledged since the run began, or ctx ends.
func (l *load) reach(ctx context.Context, many int) error {
	for l.ledger.count() < many {
		if err := tool.Wait(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}
