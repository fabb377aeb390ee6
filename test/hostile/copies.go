package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/test/internal/report"
	"google.golang.org/protobuf/encoding/protojson"
)

// restarts is how often the process is started again in the midst of copies.
const restarts = 3

// sendCopies sends copies of one delivery at once. Then, three times, it kills the process while the copies of another delivery are
// under way, starts it again, and sends the first one's copies once more.
func (o *options) sendCopies(ctx context.Context, s *service, g *generator, _ io.Writer) (*report.Report, error) {
	d := g.doors["synthflow"][0]
	r := &report.Report{Title: fmt.Sprintf("%s copies of one delivery at once, over %d restarts", report.Grouped(o.copies), restarts)}
	first := newCopies(o.copies, d, 0)
	first.send(ctx, s, nil)
	first.report(r, "answers to the first one's copies")
	for i := 1; i <= restarts; i++ {
		under := newCopies(o.copies, d, i)
		var startErr error
		under.send(ctx, s, func() { // a third has been answered
			s.Kill()
			startErr = s.start(ctx)
		})
		if startErr != nil {
			return nil, startErr
		}
		under.report(r, fmt.Sprintf("to another one's, kill -9 in the midst, restart %d", i))
		first.send(ctx, s, nil)
		first.report(r, fmt.Sprintf("to the first one's again, after restart %d", i))
	}
	total := 0
	if err := listDeliveries(ctx, s, func(*callnormv1.Delivery) error { total++; return nil }); err != nil {
		return nil, err
	}
	r.Checkf(total == 1+restarts, "deliveries in the store", strconv.Itoa(1+restarts), "%d", total)
	revisions, err := s.revisions(ctx)
	if err != nil {
		return nil, err
	}
	r.Checkf(revisions == 1+restarts, "revisions in the stream", strconv.Itoa(1+restarts), "%d", revisions)
	return r, nil
}

// copies are requests that are the same.
type copies struct {
	count int
	what  shot

	mu        sync.Mutex
	answers   int
	revisions map[string]bool // delivery, outcome and revision, over all answers
	repeated  int
	problem   string
}

func newCopies(count int, d *door, n int) *copies {
	body := fmt.Appendf(nil, `{"status":"completed","call":{"call_id":"copied-%d","status":"completed","end_call_reason":"agent_goodbye","duration":7}}`, n)
	header, err := d.sign(d.honest, body)
	if err != nil {
		panic(err) // it has the id that is signed
	}
	return &copies{count: count, revisions: make(map[string]bool), what: shot{door: d, header: header, body: body, want: http.StatusOK}}
}

// send sends all copies at once, and calls amid when a third of them has been answered. It returns when all have been.
func (c *copies) send(ctx context.Context, s *service, amid func()) {
	c.answers, c.repeated = 0, 0
	client := client(c.count)
	defer client.CloseIdleConnections()
	begin, third := make(chan struct{}), make(chan struct{})
	var answered atomic.Int64
	var sending sync.WaitGroup
	url := s.url(c.what.door, "")
	for range c.count {
		sending.Go(func() {
			<-begin
			t := tally{}
			status, text := t.send(ctx, client, url, c.what)
			if answered.Add(1) == int64(max(1, c.count/3)) {
				close(third)
			}
			c.take(status, text, t.repeated)
		})
	}
	close(begin)
	if amid != nil {
		<-third
		amid()
	}
	sending.Wait()
}

// take looks at an answer.
func (c *copies) take(status int, text []byte, repeated int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.repeated += repeated
	response := &callnormv1.IngestDeliveryResponse{}
	if err := protojson.Unmarshal(text, response); err != nil || status != http.StatusOK {
		c.problem = fmt.Sprintf("%d: %.200s", status, text)
		return
	}
	c.answers++
	for _, outcome := range response.GetOutcomes() {
		c.revisions[fmt.Sprint(response.GetDelivery(), outcome.GetName(), outcome.GetRevision())] = true
		if outcome.GetRevision() != 1 {
			c.problem = fmt.Sprintf("revision %d", outcome.GetRevision())
		}
	}
}

func (c *copies) report(r *report.Report, what string) {
	r.Checkf(c.answers == c.count && len(c.revisions) == 1, what, report.Grouped(c.count)+" of 200, 1 revision",
		"%s of 200, %d revision", report.Grouped(c.answers), len(c.revisions))
	if c.repeated > 0 {
		r.Note("  sent again after a lost connection", report.Grouped(c.repeated))
	}
	if c.problem != "" {
		r.Examplef("%s: %s", what, c.problem)
	}
}

// revisions counts what a new subscriber gets.
func (s *service) revisions(ctx context.Context) (count int, err error) {
	conn, err := s.dial()
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithCancel(s.operator(ctx))
	defer cancel()
	client := callnormv1.NewOutcomeServiceClient(conn)
	stream, err := client.StreamOutcomes(ctx, &callnormv1.StreamOutcomesRequest{})
	if err != nil {
		return 0, err
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			return 0, fmt.Errorf("stream: %w", err)
		}
		if message.GetOutcome() != nil {
			count++
		}
		if message.GetCaughtUp() {
			return count, nil
		}
	}
}
