package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/synthflow"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/store/sqlite"
	"github.com/callnorm/callnorm/server"
	"github.com/callnorm/callnorm/server/access"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// keptForStreams is how many outcomes a stream is measured over.
const keptForStreams = 20_000

// BenchmarkStream measures how fast outcomes of webhooks of 6.5 KB get from the disk to a subscriber who decodes them, both on this
// machine and over a socket.
func BenchmarkStream(b *testing.B) {
	address := keeping(b)
	run := func(name string, subscribers int, read func(ctx context.Context, conn *grpc.ClientConn) error) {
		b.Run(name, func(b *testing.B) {
			before := burnt()
			for b.Loop() {
				var readers sync.WaitGroup
				for range subscribers {
					readers.Go(func() {
						// As clients/go: what is on its way while the subscriber decodes.
						conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
							grpc.WithInitialWindowSize(1<<20), grpc.WithInitialConnWindowSize(1<<20), grpc.WithReadBufferSize(128<<10))
						if err == nil {
							err = read(b.Context(), conn)
							_ = conn.Close()
						}
						if err != nil {
							b.Error(err)
						}
					})
				}
				readers.Wait()
			}
			b.ReportMetric(float64((burnt()-before).Microseconds())/float64(b.N*subscribers*keptForStreams), "cpu-µs/outcome")
			b.ReportMetric(float64(b.N)*float64(subscribers)*keptForStreams/b.Elapsed().Seconds(), "outcomes/s")
		})
	}
	follow := func(filter *callnormv1.OutcomeFilter) func(context.Context, *grpc.ClientConn) error {
		return func(ctx context.Context, conn *grpc.ClientConn) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			stream, err := callnormv1.NewOutcomeServiceClient(conn).StreamOutcomes(ctx, &callnormv1.StreamOutcomesRequest{Filter: filter})
			if err != nil {
				return err
			}
			_, err = count(stream.Recv)
			return err
		}
	}
	run("unfiltered", 1, follow(nil))
	// What the server gives: a subscriber that hands on what it gets, and decodes nothing of it but where one message ends.
	run("undecoded", 1, func(ctx context.Context, conn *grpc.ClientConn) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, callnormv1.OutcomeService_StreamOutcomes_FullMethodName,
			grpc.ForceCodecV2(undecoded{encoding.GetCodecV2("proto")}))
		if err != nil {
			return err
		}
		if err := stream.SendMsg(&callnormv1.StreamOutcomesRequest{}); err != nil {
			return err
		}
		_, err = count(func() (*envelope, error) {
			message := &envelope{}
			return message, stream.RecvMsg(message)
		})
		return err
	})
	run("condition", 1, follow(&callnormv1.OutcomeFilter{
		Condition: "outcome.status == CALL_STATUS_COMPLETED && !outcome.disposition.do_not_call && outcome.transcript.turns.exists(t, t.text != '')",
	}))
	names := atomic.Int64{}
	run("subscription", 1, func(ctx context.Context, conn *grpc.ClientConn) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		client, id := callnormv1.NewSubscriptionServiceClient(conn), fmt.Sprint("s", names.Add(1))
		created, err := client.CreateSubscription(ctx, &callnormv1.CreateSubscriptionRequest{SubscriptionId: id})
		if err != nil {
			return err
		}
		name := created.GetSubscription().GetName()
		stream, err := client.StreamSubscription(ctx, &callnormv1.StreamSubscriptionRequest{Name: name})
		if err != nil {
			return err
		}
		last, err := count(stream.Recv)
		if err != nil {
			return err
		}
		if _, err := client.AcknowledgeSubscription(ctx, &callnormv1.AcknowledgeSubscriptionRequest{Name: name, AckId: last.GetAckId()}); err != nil {
			return err
		}
		_, err = client.DeleteSubscription(ctx, &callnormv1.DeleteSubscriptionRequest{Name: name})
		return err
	})
	run("subscribers=16", 16, follow(nil))
}

// envelope is a message of which nothing is read but what is in it.
type envelope struct{ outcome, caughtUp bool }

// GetOutcome returns something where the message has an outcome.
func (e *envelope) GetOutcome() *callnormv1.CallOutcome {
	if !e.outcome {
		return nil
	}
	return &callnormv1.CallOutcome{}
}

// GetCaughtUp tells whether the message says so.
func (e *envelope) GetCaughtUp() bool { return e.caughtUp }

// undecoded decodes envelopes.
type undecoded struct{ encoding.CodecV2 }

// Unmarshal looks for the fields of a message, and at none of them.
func (undecoded) Unmarshal(data mem.BufferSlice, message any) error {
	e, ok := message.(*envelope)
	if !ok {
		return errors.New("no envelope")
	}
	for text := data.Materialize(); len(text) > 0; {
		number, _, size := protowire.ConsumeField(text)
		if size < 0 {
			return protowire.ParseError(size)
		}
		e.outcome, e.caughtUp = e.outcome || number == 1, e.caughtUp || number == 3
		text = text[size:]
	}
	return nil
}

// burnt is the time that all threads of this process have worked. It is the same on a busy machine as on an idle one.
func burnt() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // It fails for arguments that are wrong.
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// count receives messages until it has seen all outcomes, and returns the last one.
func count[M interface {
	GetOutcome() *callnormv1.CallOutcome
	GetCaughtUp() bool
}](receive func() (M, error),
) (M, error) {
	seen := 0
	for {
		message, err := receive()
		if err != nil {
			return message, err
		}
		if message.GetOutcome() != nil {
			seen++
		}
		if message.GetCaughtUp() {
			if seen != keptForStreams {
				return message, fmt.Errorf("%d outcomes came", seen)
			}
			return message, nil
		}
	}
}

// keeping serves a store that keeps outcomes of the sample, and returns the address for gRPC.
func keeping(b *testing.B) string {
	b.Helper()
	kept, err := sqlite.Open(b.Context(), b.TempDir(), sqlite.Settings{})
	if err != nil {
		b.Fatal(err)
	}
	set, err := adapters.NewSet(synthflow.New())
	if err != nil {
		b.Fatal(err)
	}
	metrics, log := server.NewMetrics(), slog.New(slog.DiscardHandler)
	refused, err := rejection.Open(b.Context(), b.TempDir(), rejection.Settings{Now: time.Now, Log: log})
	if err != nil {
		b.Fatal(err)
	}
	in := intake.New(intake.Settings{Adapters: set, Store: kept, Rejections: refused, Observer: metrics, Now: time.Now},
		[]intake.Source{{Name: "synthflow", Adapter: set.All()[0], Provider: "synthflow", MaxBody: 10 << 20}})
	sampleOutcomes(b, in)
	s, err := server.New(server.Settings{
		Intake: in, Store: kept, Rejections: refused, Metrics: metrics, Log: log, Now: time.Now, Gate: access.New(server.Policy(true)),
	})
	if err != nil {
		b.Fatal(err)
	}
	on := server.Listeners{}
	for _, listener := range []*net.Listener{&on.GRPC, &on.HTTP} {
		if *listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			b.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Serve(ctx, on, time.Second) }()
	b.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			b.Error(err)
		}
		_, _ = kept.Close(), refused.Close()
	})
	return on.GRPC.Addr().String()
}

// sampleOutcomes has distinct webhooks taken in.
func sampleOutcomes(b *testing.B, in *intake.Intake) {
	b.Helper()
	body, err := os.ReadFile("../adapters/synthflow/testdata/s00_synthflow_page_2025_10.json")
	if err != nil {
		b.Fatal(err)
	}
	var senders sync.WaitGroup
	next := atomic.Int64{}
	for range 64 {
		senders.Go(func() {
			for n := next.Add(1); n <= keptForStreams; n = next.Add(1) {
				distinct := bytes.Replace(body, []byte("[UUID]"), fmt.Appendf(nil, "%036d", n), 2)
				if _, err := in.Deliver(b.Context(), intake.Request{Source: "synthflow", Method: "POST", Path: "/v1/webhooks/synthflow", Body: distinct}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	senders.Wait()
}
