package server

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// script is a log whose reads are written down beforehand. Waiting at its end goes on until the context ends.
type script struct {
	logReader

	reads []read
	ends  func() // is called by who waits
}

type read struct {
	page store.Page
	err  error
}

func (s *script) Read(context.Context, store.Cursor, store.Filter, int) (store.Page, error) {
	next := s.reads[0]
	s.reads = s.reads[1:]
	return next.page, next.err
}

func (s *script) Wait(ctx context.Context, _ store.Position) error {
	if len(s.reads) > 0 {
		return nil
	}
	s.ends()
	<-ctx.Done()
	return ctx.Err()
}

// page is a page of the entries at some positions; those that end in 7 asked never to be called again.
func page(t *testing.T, end bool, next store.Position, positions ...store.Position) read {
	t.Helper()
	made := store.Page{End: end, Next: store.Cursor{Position: next}}
	for _, position := range positions {
		body, err := proto.Marshal(&callnormv1.CallOutcome{Disposition: &callnormv1.Disposition{DoNotCall: new(position%10 == 7)}})
		if err != nil {
			t.Fatal(err)
		}
		made.Entries = append(made.Entries, store.Entry{Position: position, Body: body, Cursor: store.Cursor{Position: position}, Deleted: position%10 == 9})
	}
	return read{page: made}
}

// sink is a stream that writes down what is sent.
type sink struct {
	grpc.ServerStream

	sent []string
	then func(n int) // is called after the n-th message
}

func (s *sink) SendMsg(message any) error {
	m := message.(*wired) //nolint:forcetypeassert // nothing else is sent
	text := m.mark
	if len(m.outcome) > 0 {
		text = "outcome " + text
	}
	if m.caughtUp {
		text += " caught up"
	}
	if s.sent = append(s.sent, text); s.then != nil {
		s.then(len(s.sent))
	}
	return nil
}

func TestFollowing(t *testing.T) {
	t.Parallel()
	taken := errors.New("taken over")
	expired := &store.ExpiredError{Oldest: store.Cursor{Position: 50}}
	doNotCall := selection{doNotCall: new(true)}
	tests := map[string]struct {
		reads     []read
		chosen    selection
		heartbeat time.Duration
		drainAt   int // the number of the message after which the server drains; -1: when all was read
		takenAt   int // the same for another stream that takes over
		want      []string
		err       error
	}{
		"everything": {
			reads: []read{page(t, false, 2, 1, 2), page(t, true, 3, 3)}, takenAt: -1,
			want: []string{"0", "outcome 1", "outcome 2", "outcome 3 caught up"}, err: taken,
		},
		"nothing": {reads: []read{page(t, true, 0)}, takenAt: -1, want: []string{"0 caught up"}, err: taken},
		"the last of a page does not pass": {
			reads: []read{page(t, true, 8, 6, 7, 8)}, chosen: doNotCall, takenAt: -1, want: []string{"0", "outcome 7 caught up"}, err: taken,
		},
		"nothing of the last page passes": {
			reads: []read{page(t, false, 8, 7, 8), page(t, true, 12, 10, 11, 12)}, chosen: doNotCall, takenAt: -1,
			want: []string{"0", "outcome 7", "12 caught up"}, err: taken,
		},
		"who has seen all hears nothing of what does not pass": {
			reads: []read{page(t, true, 7, 7), page(t, true, 8, 8)}, chosen: doNotCall, takenAt: -1, want: []string{"0", "outcome 7 caught up"}, err: taken,
		},
		"what was deleted passes": {
			reads: []read{page(t, true, 10, 8, 9, 10)}, chosen: doNotCall, takenAt: -1, want: []string{"0", "outcome 9 caught up"}, err: taken,
		},
		"much that does not pass": {
			reads: []read{page(t, false, 2, 1, 2), page(t, false, 4, 3, 4), page(t, true, 7, 7)}, chosen: doNotCall, heartbeat: 1, takenAt: 4,
			want: []string{"0", "2", "4", "outcome 7 caught up"}, err: taken,
		},
		"retention passes a slow reader by": {
			reads: []read{page(t, false, 2, 1, 2), {err: fmt.Errorf("read: %w", expired)}}, want: []string{"0", "outcome 1", "outcome 2"}, err: store.ErrCursorExpired,
		},
		"the server goes away in a page": {
			reads: []read{page(t, false, 3, 1, 2, 3)}, drainAt: 2, want: []string{"0", "outcome 1", "1"}, err: errShuttingDown,
		},
		"the server goes away at the end": {
			reads: []read{page(t, true, 4, 1)}, drainAt: -1, want: []string{"0", "outcome 1 caught up", "4"}, err: errShuttingDown,
		},
		"another stream takes over in a page": {
			reads: []read{page(t, false, 3, 1, 2, 3)}, takenAt: 2, want: []string{"0", "outcome 1"}, err: taken,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, take := context.WithCancelCause(t.Context())
			draining, drain := context.WithCancel(context.Background())
			defer drain()
			happen := func(n int) {
				if n == test.drainAt {
					drain()
				}
				if n == test.takenAt {
					take(taken)
				}
			}
			sent := &sink{then: happen}
			if test.heartbeat == 0 {
				test.heartbeat = time.Hour
			}
			following := following{
				followers: &followers{log: &script{reads: test.reads, ends: func() { happen(-1) }}, draining: draining}, stream: sent,
				chosen: test.chosen, heartbeat: test.heartbeat, mark: func(c store.Cursor) string { return fmt.Sprint(c.Position) },
			}
			if err := following.follow(ctx); !errors.Is(err, test.err) {
				t.Errorf("ended with %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, sent.sent); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	followers := &followers{streams: prometheus.NewGauge(prometheus.GaugeOpts{})}
	var leaves []func()
	for range maxOpenStreams {
		leave, err := followers.enter()
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	if _, err := followers.enter(); !errors.Is(err, errOverloaded) {
		t.Errorf("one more: %v", err)
	}
	leaves[0]()
	if _, err := followers.enter(); err != nil {
		t.Errorf("after one has left: %v", err)
	}
}
