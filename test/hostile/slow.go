package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/callnorm/callnorm/test/internal/report"
	"github.com/callnorm/callnorm/test/internal/tool"
)

const (
	// honest is how many senders are measured, and pace how many webhooks they send in a second, all together.
	honest = 4
	pace   = 200
	// webhook is how large theirs are, in bytes.
	webhook = 6_500
	// burst is how much a slow sender of a large body sends at once, and declared how much it says that there is. Together they claim
	// more than the service has room for, and throw each other out. They come back no sooner than others, so as not to be a flood.
	burst, declared = 258 << 10, 10_000_000
	// addresses is how many there are that slow senders come from: 127.0.0.2 and on.
	addresses = 19
	// gather is how long slow senders take to connect before a round is measured. It is as long as the shortest time after which
	// they are thrown out, so that they come back one after the other, as a flood of connections is another attack.
	gather = 5 * time.Second
	// back is how soon a slow sender comes back when it was thrown out.
	back = 100 * time.Millisecond
	// slowdown is how many times the quiet p99 the crowded one may be.
	slowdown = 2
	// spare is how many files are needed beside one for each slow sender.
	spare = 256
)

// sendSlowly measures honest senders alone and beside slow ones, by turns.
func (o *options) sendSlowly(ctx context.Context, s *service, g *generator, progress io.Writer) (*report.Report, error) {
	if err := enoughFiles(o.slow + spare); err != nil {
		return nil, err
	}
	ctx, cancel := s.While(ctx)
	defer cancel()
	d := g.doors["synthflow"][0]
	m := &meter{service: s, door: d, client: client(honest)}
	if _, err := m.measure(ctx, o.span); err != nil { // what the first requests take is not measured
		return nil, err
	}
	m.refused.Store(0)
	var rounds [2][]quantiles // without and with slow senders
	fewest := o.slow
	for i := range 2 * o.rounds {
		crowded := i%2 == 1
		var c *crowd
		if crowded {
			c = newCrowd(ctx, s.public, o.slow, d)
			if err := tool.Wait(ctx, gather+back); err != nil {
				return nil, err
			}
			c.level()
		}
		q, err := m.measure(ctx, o.span)
		if crowded {
			fewest = min(fewest, c.leave())
		}
		if err != nil {
			return nil, err
		}
		_, _ = fmt.Fprintf(progress, "round %d, slow senders %v: p50 %s, p99 %s of %d\n", i/2+1, crowded, milliseconds(q.p50), milliseconds(q.p99), q.count)
		rounds[i%2] = append(rounds[i%2], q)
	}
	quiet, crowded := median(rounds[0]), median(rounds[1])
	ratio := float64(crowded.p99) / float64(quiet.p99)
	r := &report.Report{Title: fmt.Sprintf("%d honest senders, %d webhooks of %.1f KB a second, beside %s slow senders from %d other addresses; medians of %d rounds",
		honest, pace, webhook/1e3, report.Grouped(o.slow), addresses, o.rounds)}
	r.Note("p50 without slow senders", milliseconds(quiet.p50))
	r.Note("p50 beside them", milliseconds(crowded.p50))
	r.Note("p99 without slow senders", milliseconds(quiet.p99))
	r.Note("p99 beside them", milliseconds(crowded.p99))
	r.Checkf(ratio <= slowdown, "ratio of the p99", "at most 2", "%.2f", ratio)
	r.Checkf(m.refused.Load() == 0, "honest requests that were not answered 200", "0", "%d of %s", m.refused.Load(), report.Grouped(m.sent.Load()))
	r.Note("fewest slow senders connected at a time", report.Grouped(fewest))
	for _, text := range m.problems {
		r.Examplef("%s", text)
	}
	return r, nil
}

var errFiles = errors.New("too few open files are permitted: raise the hard limit, as with ulimit -Hn")

// enoughFiles checks the limit that Go has raised as far as it may; so it will be for the process that is attacked.
func enoughFiles(needed int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Max < uint64(needed) {
		return fmt.Errorf("%w: %d of %d", errFiles, limit.Max, needed)
	}
	return nil
}

// quantiles are of the time that honest requests took.
type quantiles struct {
	p50, p99 time.Duration
	count    int
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1e3) }

// median returns the median of each quantile.
func median(rounds []quantiles) quantiles {
	of := func(get func(quantiles) time.Duration) time.Duration {
		var list []time.Duration
		for _, q := range rounds {
			list = append(list, get(q))
		}
		slices.Sort(list)
		return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
	}
	return quantiles{p50: of(func(q quantiles) time.Duration { return q.p50 }), p99: of(func(q quantiles) time.Duration { return q.p99 })}
}

// meter is the honest senders.
type meter struct {
	service *service
	door    *door
	client  *http.Client
	calls   atomic.Int64

	sent, refused atomic.Int64
	mu            sync.Mutex
	problems      []string
}

// measure sends webhooks at an even pace. A request that waited for the one before counts from when it was due.
func (m *meter) measure(ctx context.Context, span time.Duration) (quantiles, error) {
	took := make([][]time.Duration, honest)
	begin := time.Now()
	var sending sync.WaitGroup
	for i := range honest {
		sending.Go(func() {
			const every = honest * time.Second / pace
			due := begin.Add(time.Duration(i) * every / honest)
			for ; due.Sub(begin) < span; due = due.Add(every) {
				start := due
				if early := time.Until(due); early > 0 {
					if tool.Wait(ctx, early) != nil {
						return
					}
					start = time.Now() // a timer's lateness is ours
				}
				if m.send(ctx) {
					took[i] = append(took[i], time.Since(start))
				}
			}
		})
	}
	sending.Wait()
	all := slices.Concat(took...)
	if ctx.Err() != nil {
		return quantiles{}, context.Cause(ctx)
	}
	if len(all) == 0 {
		return quantiles{}, fmt.Errorf("no honest request was answered: %s", strings.Join(m.problems, "; "))
	}
	slices.Sort(all)
	return quantiles{p50: all[len(all)/2], p99: all[len(all)*99/100], count: len(all)}, nil
}

// send sends the webhook of a new call once, and tells whether it was taken.
func (m *meter) send(ctx context.Context) bool {
	body := call(int(m.calls.Add(1)))
	header, err := m.door.sign(m.door.honest, body)
	if err != nil {
		panic(err) // it has the id that is signed
	}
	m.sent.Add(1)
	status, text := post(ctx, m.client, m.service.url(m.door, ""), header, bytes.NewReader(body))
	if status == http.StatusOK {
		return true
	}
	if ctx.Err() == nil {
		m.refused.Add(1)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.problems = append(m.problems, fmt.Sprintf("%d: %.200s", status, text))
	}
	return false
}

// call is a webhook about the n-th call.
func call(n int) []byte {
	line := "bot: Thank you for calling, how can I help you today?\\nhuman: I would like to change my appointment.\\n"
	head := fmt.Appendf(nil, `{"status":"completed","call":{"call_id":"honest-%d","status":"completed","end_call_reason":"agent_goodbye","duration":113,`+
		`"start_time":"2025-10-27T10:59:46+01:00","transcript":"`, n)
	tail := []byte(`"}}`)
	body := slices.Concat(head, bytes.Repeat([]byte(line), (webhook-len(head)-len(tail))/len(line)), tail)
	if !json.Valid(body) {
		panic("the honest webhook is no JSON")
	}
	return body
}

// crowd is the slow senders.
type crowd struct {
	addr string
	door *door
	end  context.CancelFunc
	gone sync.WaitGroup

	mu           sync.Mutex
	open, fewest int
}

// newCrowd has slow senders connect, and come back whenever they are thrown out.
func newCrowd(ctx context.Context, addr string, count int, d *door) *crowd {
	c := &crowd{addr: addr, door: d}
	ctx, c.end = context.WithCancel(ctx)
	for i := range count {
		c.gone.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 0)) //nolint:gosec // when it comes back is no secret
			for pause := gather; tool.Wait(ctx, time.Duration(r.Int64N(int64(pause)))) == nil; pause = back {
				c.linger(ctx, i)
			}
		})
	}
	return c
}

// count counts connections, and how few there are at a time.
func (c *crowd) count(change int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open += change
	c.fewest = min(c.fewest, c.open)
}

// level begins to count anew how few there are at a time.
func (c *crowd) level() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fewest = c.open
}

// leave ends all of them, and returns how few there were at a time.
func (c *crowd) leave() int {
	c.mu.Lock()
	fewest := c.fewest
	c.mu.Unlock()
	c.end()
	c.gone.Wait()
	return fewest
}

// linger opens one connection and holds it as long as it may.
func (c *crowd) linger(ctx context.Context, i int) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%addresses))}, Timeout: 10 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	c.count(1)
	defer func() {
		c.count(-1)
		stop()
		_ = conn.Close()
	}()
	manners[i%len(manners)](ctx, c, conn)
}

// manners are the ways in which a slow sender holds a connection. Each ends when the connection does.
var manners = []func(ctx context.Context, c *crowd, conn net.Conn){
	func(ctx context.Context, c *crowd, conn net.Conn) { // byte by byte from the first one
		trickle(ctx, conn, c.request(webhook))
	},
	func(_ context.Context, c *crowd, conn net.Conn) { // a header, and nothing else
		_, _ = io.WriteString(conn, c.request(webhook))
		gone(conn)
	},
	func(ctx context.Context, c *crowd, conn net.Conn) { // a header, and a body byte by byte
		_, _ = io.WriteString(conn, c.request(webhook))
		trickle(ctx, conn, strings.Repeat(" ", webhook))
	},
	func(_ context.Context, c *crowd, conn net.Conn) { // half a body
		_, _ = io.WriteString(conn, c.request(webhook)+strings.Repeat(" ", webhook/2))
		gone(conn)
	},
	func(ctx context.Context, c *crowd, conn net.Conn) { // the beginning of a large body at once, and nothing else
		start := time.Now()
		_, _ = io.WriteString(conn, c.request(declared)+strings.Repeat(" ", burst))
		gone(conn)
		_ = tool.Wait(ctx, gather-time.Since(start))
	},
	func(ctx context.Context, c *crowd, conn net.Conn) { // request after request, and an answer byte by byte
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(1)
		}
		letter := make([]byte, 1)
		for tool.Wait(ctx, time.Second) == nil {
			if _, err := io.WriteString(conn, c.request(2)+"{}"); err != nil {
				return
			}
			if _, err := conn.Read(letter); err != nil {
				return
			}
		}
	},
}

// request is the head of a request with a body of a size.
func (c *crowd) request(size int) string {
	return fmt.Sprintf("POST /v1/webhooks/%s HTTP/1.1\r\nHost: slow.invalid\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", c.door.name, size)
}

// trickle sends a byte each second.
func trickle(ctx context.Context, conn net.Conn, text string) {
	for i := range len(text) {
		if _, err := io.WriteString(conn, text[i:i+1]); err != nil || tool.Wait(ctx, time.Second) != nil {
			return
		}
	}
}

// gone waits until the other side hangs up.
func gone(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
