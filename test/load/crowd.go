package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/callnorm/callnorm/test/internal/process"
)

// crowd is how many connections there are when there are many.
const crowd = 64

// late is how long an answer may take, at most.
const late = 30 * time.Second

// connection speaks as much HTTP as costs little: it writes requests that are ready, and looks at what ends an answer.
type connection struct {
	net.Conn

	answers *bufio.Reader
}

func dial(ctx context.Context, address string) (*connection, error) {
	opened, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{opened, bufio.NewReader(opened)}, nil
}

var (
	errAnswer = errors.New("the service has refused a webhook")
	errLength = errors.New("an answer does not tell its length")

	okLine     = []byte("HTTP/1.1 200 ")
	lengthLine = []byte("Content-Length: ")
)

// post sends a request, and returns how large the answer was.
func (c *connection) post(request []byte) (int, error) {
	if _, err := c.Write(request); err != nil {
		return 0, err
	}
	line, err := c.answers.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	refused := ""
	if !bytes.HasPrefix(line, okLine) {
		refused = string(bytes.TrimSpace(line))
	}
	length := -1
	for len(bytes.TrimSpace(line)) > 0 {
		if line, err = c.answers.ReadSlice('\n'); err != nil {
			return 0, err
		}
		if text, ok := bytes.CutPrefix(line, lengthLine); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(text))); err != nil {
				return 0, err
			}
		}
	}
	if refused != "" {
		text, _ := c.answers.Peek(min(max(length, 0), c.answers.Size()))
		return 0, fmt.Errorf("%w: %s: %s", errAnswer, refused, text)
	}
	if length < 0 {
		return 0, errLength
	}
	_, err = io.CopyN(io.Discard, c.answers, int64(length))
	return length, err
}

// turn is what was measured of one candidate in one round.
type turn struct {
	took []time.Duration
	// count is how much was done, and elapsed the time of all of it.
	count   int
	elapsed time.Duration
	// server and tool are what the processes have worked.
	server, tool time.Duration
	// commits are those of the store, for each webhook.
	commits float64
}

func (t turn) perSecond() float64 { return float64(t.count) / t.elapsed.Seconds() }

// mean is what each took, one after the other.
func (t turn) mean() float64 { return float64(t.elapsed) / float64(t.count) }

// worked is what this process has worked.
func worked() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // It fails for arguments that are wrong.
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// clocked measures what a function does with a process.
func clocked(p *process.Process, do func() (count int, took []time.Duration, err error)) (t turn, err error) {
	server, err := p.CPU()
	if err != nil {
		return t, err
	}
	tool, begin := worked(), time.Now()
	if t.count, t.took, err = do(); err != nil {
		return t, err
	}
	t.elapsed, t.tool = time.Since(begin), worked()-tool
	after, err := p.CPU()
	t.server = after - server
	return t, err
}

// load is what a crowd posts.
type load struct {
	body        []byte
	connections int
	span        time.Duration
	// most bounds the webhooks of each connection, and rate those of all together in a second; 0 is no bound.
	most, rate int
	// sent is told of each webhook, by its number, where somebody asks.
	sent func(n int64, at, answered time.Time)
}

// post has many connections post to a process for a while, each its next webhook when the last is answered.
func (g *generator) post(ctx context.Context, p *process.Process, address string, l load) (t turn, err error) {
	connections := make([]*connection, l.connections)
	for i := range connections {
		if connections[i], err = dial(ctx, address); err != nil {
			return t, err
		}
		defer func() { _ = connections[i].Close() }()
		if err := connections[i].SetDeadline(time.Now().Add(l.span + late)); err != nil {
			return t, err
		}
	}
	return clocked(p, func() (count int, all []time.Duration, err error) {
		took, errs := make([][]time.Duration, l.connections), make([]error, l.connections)
		begin := time.Now()
		var posting sync.WaitGroup
		for i, c := range connections {
			posting.Go(func() { took[i], errs[i] = g.postOn(ctx, c, l, begin, i) })
		}
		posting.Wait()
		for _, list := range took {
			all = append(all, list...)
		}
		return len(all), all, errors.Join(errs...)
	})
}

// postOn posts on the i-th connection.
func (g *generator) postOn(ctx context.Context, c *connection, l load, begin time.Time, i int) (took []time.Duration, err error) {
	w := g.webhook(l.body, c.RemoteAddr().String())
	for k := 0; (k == 0 || time.Since(begin) < l.span) && (l.most == 0 || k < l.most) && ctx.Err() == nil; k++ {
		if l.rate > 0 {
			// The connections take turns, evenly.
			at := begin.Add(time.Second * time.Duration(k*l.connections+i) / time.Duration(l.rate))
			select {
			case <-time.After(time.Until(at)):
			case <-ctx.Done():
			}
		}
		n := g.next.Add(1)
		w.number(n)
		start := time.Now()
		if _, err := c.post(w.text); err != nil {
			return took, err
		}
		end := time.Now()
		took = append(took, end.Sub(start))
		if l.sent != nil {
			l.sent(n, start, end)
		}
	}
	return took, ctx.Err()
}
