package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/callnorm/callnorm/test/internal/process"
	"github.com/callnorm/callnorm/test/internal/raw"
	"google.golang.org/grpc"
)

// standIn is a server that does the least of what the service does. It is this tool itself, started once more as a process of its own.
type standIn struct {
	kind   string
	answer int
	dir    string
}

// Kinds of stand-ins.
const (
	// bare reads the body, and answers as much as the service does.
	bare = "bare"
	// appending also appends the body to a file, and answers when it is synced: what is physically possible.
	appending = "appending"
	// echo answers over gRPC as much as Normalize does, whatever it is asked.
	echo = "echo"
)

// echoMethod is where the echo is.
const echoMethod = "/load.Echo/Echo"

func (s *standIn) flags(flags *flag.FlagSet) {
	flags.StringVar(&s.kind, "stand-in", "", "used by the tool itself: serve as one of those that the service is measured beside")
	flags.IntVar(&s.answer, "stand-in-answer", 0, "used by the tool itself: the size of the answers")
	flags.StringVar(&s.dir, "stand-in-dir", "", "used by the tool itself: where the file is")
}

// startStandIn starts one, and returns its address.
func startStandIn(ctx context.Context, s standIn) (*process.Process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	p, err := process.New(self, s.kind)
	if err != nil {
		return nil, "", err
	}
	// It is ended by who has started it, and not by a limit of its own.
	found, err := p.Start(ctx, 1, "-within", "24h", "-stand-in", s.kind, "-stand-in-answer", strconv.Itoa(s.answer), "-stand-in-dir", p.Dir)
	if err != nil {
		return nil, "", errors.Join(err, p.Remove())
	}
	return p, found[0], nil
}

var errKind = errors.New("there is no such stand-in")

// serve serves until ctx ends.
func (s *standIn) serve(ctx context.Context, out io.Writer) (err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	answer := bytes.Repeat([]byte("."), s.answer)
	var handle http.HandlerFunc
	switch s.kind {
	case bare:
		handle = answering(answer, func([]byte) error { return nil })
	case appending:
		file, err := os.Create(filepath.Join(s.dir, "bodies"))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		a := &appender{file: file, entries: make(chan entry, 1024)}
		go a.run()
		handle = answering(answer, a.append)
	case echo:
		return s.serveEcho(ctx, out, listener, answer)
	default:
		return fmt.Errorf("%w: %q", errKind, s.kind)
	}
	server := &http.Server{Handler: handle, ReadHeaderTimeout: late}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if _, err := fmt.Fprintln(out, listener.Addr()); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func answering(answer []byte, keep func(body []byte) error) http.HandlerFunc {
	length := strconv.Itoa(len(answer))
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = keep(body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", length)
		_, _ = w.Write(answer) // Who is gone has no use for it.
	}
}

// appender appends bodies to one file; those who wait share an fsync.
type appender struct {
	file    *os.File
	entries chan entry
}

type entry struct {
	body []byte
	done chan error
}

func (a *appender) append(body []byte) error {
	e := entry{body: body, done: make(chan error, 1)}
	a.entries <- e
	return <-e.done
}

func (a *appender) run() {
	for first := range a.entries {
		group := a.waiting(first)
		var errs []error
		for _, e := range group {
			_, err := a.file.Write(e.body)
			errs = append(errs, err)
		}
		err := errors.Join(append(errs, a.file.Sync())...)
		for _, e := range group {
			e.done <- err
		}
	}
}

func (a *appender) waiting(first entry) []entry {
	group := []entry{first}
	for {
		select {
		case next := <-a.entries:
			group = append(group, next)
		default:
			return group
		}
	}
}

func (s *standIn) serveEcho(ctx context.Context, out io.Writer, listener net.Listener, answer []byte) error {
	server := grpc.NewServer(grpc.ForceServerCodec(raw.Answers{}))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "load.Echo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Echo",
			Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				var request []byte
				return answer, decode(&request)
			},
		}},
	}, nil)
	context.AfterFunc(ctx, server.Stop)
	if _, err := fmt.Fprintln(out, listener.Addr()); err != nil {
		return err
	}
	return server.Serve(listener)
}

// syncing appends to a file and syncs it, alone, as often as there is time: what one fsync takes.
func syncing(p *process.Process, body []byte, span time.Duration) (t turn, err error) {
	file, err := os.Create(filepath.Join(p.Dir, "alone"))
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return clocked(p, func() (count int, took []time.Duration, err error) {
		for begin := time.Now(); time.Since(begin) < span; count++ {
			start := time.Now()
			if _, err := file.Write(body); err != nil {
				return count, took, err
			}
			if err := file.Sync(); err != nil {
				return count, took, err
			}
			took = append(took, time.Since(start))
		}
		return count, took, nil
	})
}
