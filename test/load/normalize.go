package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/synthflow"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/test/internal/process"
	"github.com/callnorm/callnorm/test/internal/raw"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// maxOfAny is how long normalizing may take, of what encoding/json needs to decode the same body into any.
const maxOfAny = 0.6

// finer is how many turns there are of what needs no process of its own, for one of others, and how much shorter they are: a turn then
// sees the same machine as the one beside it.
const finer = 20

// measureDecoding normalizes the sample within this process, by turns with decoding it.
func measureDecoding(ctx context.Context, o *options, s *service, r *results) error {
	adapter, d := synthflow.New(), adapters.Delivery{Body: s.generator.plain, ReceiveTime: time.Now()}
	repeat := func(do func() error) func(context.Context) (turn, error) {
		return func(context.Context) (turn, error) {
			return clocked(s.Process, func() (count int, took []time.Duration, err error) {
				for begin := time.Now(); time.Since(begin) < o.span/finer && err == nil; count++ {
					start := time.Now()
					err = do()
					took = append(took, time.Since(start))
				}
				return count, took, err
			})
		}
	}
	list, err := byTurns(ctx, o.rounds*finer, []candidate{
		{"encoding/json into any", repeat(func() error { var decoded any; return json.Unmarshal(d.Body, &decoded) })},
		{"normalize", repeat(func() error { _, err := adapters.Normalize(adapter, d); return err })},
	}, r.progress)
	if err != nil {
		return err
	}
	// By the mean: what is left for the garbage collector to do is part of both.
	table := r.table("Normalizing the sample of 6.5 KB, within one process", "", "mean", "p50", "p99", "mean, of encoding/json's")
	for _, m := range list {
		table.row(m.name, milliseconds(time.Duration(m.median(turn.mean))), milliseconds(m.quantile(0.5)), milliseconds(m.quantile(0.99)),
			times(m.ratio(list[0], turn.mean)))
	}
	ratio := list[1].ratio(list[0], turn.mean)
	r.bars.Checkf(ratio <= maxOfAny, "normalizing the sample, of encoding/json into any", fmt.Sprintf("at most %.1f", maxOfAny), "%.2f", ratio)
	return nil
}

// measureNormalize calls Normalize, by turns with an echo that takes and answers as much.
func measureNormalize(ctx context.Context, o *options, s *service, r *results) (err error) {
	request, err := proto.Marshal(&callnormv1.NormalizeRequest{
		Source: "synthflow", Body: &httpbody.HttpBody{ContentType: "application/json", Data: s.generator.plain},
	})
	if err != nil {
		return err
	}
	method := callnormv1.NormalizationService_Normalize_FullMethodName
	answer, err := callOnce(ctx, s.grpc, method, request)
	if err != nil {
		return err
	}
	other, at, err := startStandIn(ctx, standIn{kind: echo, answer: len(answer)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.Remove()) }()
	table := r.table(fmt.Sprintf("Normalize over gRPC: %d bytes there, %d back", len(request), len(answer)),
		"", "calls", "p50", "p99", "processor of the server", "of the tool", "calls, of the echo's", "p50, of the echo's", "p99, of the echo's")
	for _, callers := range []int{1, crowd} {
		list, err := byTurns(ctx, o.rounds, []candidate{
			{"echo", func(ctx context.Context) (turn, error) {
				return call(ctx, other, at, echoMethod, request, callers, o.span)
			}},
			{"callnorm", func(ctx context.Context) (turn, error) {
				return call(ctx, s.Process, s.grpc, method, request, callers, o.span)
			}},
		}, r.progress)
		if err != nil {
			return err
		}
		for _, m := range list {
			table.row(counted(callers, "caller")+", "+m.name, m.rate(), milliseconds(m.quantile(0.5)), milliseconds(m.quantile(0.99)),
				m.cost(ofServer), m.cost(ofTool), times(m.ratio(list[0], turn.perSecond)),
				times(m.ratio(list[0], atQuantile(0.5))), times(m.ratio(list[0], atQuantile(0.99))))
		}
	}
	return nil
}

func callOnce(ctx context.Context, address, method string, request []byte) (answer []byte, err error) {
	connection, err := dialGRPC(address)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, connection.Close()) }()
	return answer, connection.Invoke(ctx, method, request, &answer, grpc.ForceCodec(raw.Answers{}))
}

// call has callers call a method for a while, each over a connection of its own.
func call(ctx context.Context, p *process.Process, address, method string, request []byte, callers int, span time.Duration) (t turn, err error) {
	connections := make([]*grpc.ClientConn, callers)
	for i := range connections {
		if connections[i], err = dialGRPC(address); err != nil {
			return t, err
		}
		defer func() { err = errors.Join(err, connections[i].Close()) }()
		var answer []byte // once, so that it is open
		if err := connections[i].Invoke(ctx, method, request, &answer, grpc.ForceCodec(raw.Answers{})); err != nil {
			return t, err
		}
	}
	return clocked(p, func() (count int, all []time.Duration, err error) {
		took, errs := make([][]time.Duration, callers), make([]error, callers)
		begin := time.Now()
		var calling sync.WaitGroup
		for i, connection := range connections {
			calling.Go(func() {
				for time.Since(begin) < span && errs[i] == nil {
					start := time.Now()
					var answer []byte
					errs[i] = connection.Invoke(ctx, method, request, &answer, grpc.ForceCodec(raw.Answers{}))
					took[i] = append(took[i], time.Since(start))
				}
			})
		}
		calling.Wait()
		for _, list := range took {
			all = append(all, list...)
		}
		return len(all), all, errors.Join(errs...)
	})
}
