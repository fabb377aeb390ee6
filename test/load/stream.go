package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/test/internal/raw"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// many is how many subscribers there are when there are many.
const many = 16

// Bars of streams, in outcomes a second.
const (
	minUndecoded = 30_000
	minChosen    = 10_000
)

// condition is one in CEL that every outcome of the sample meets, and that looks at all of it.
const condition = "outcome.status == CALL_STATUS_COMPLETED && !outcome.disposition.do_not_call && outcome.transcript.turns.exists(t, t.text != '')"

// message is what a subscriber looks at in what it gets.
type message struct {
	call     []byte // the provider's id of the call; nil without an outcome
	outcome  bool
	caughtUp bool
}

// Numbers of fields: of a message of the stream, and of an outcome.
const (
	fieldOutcome, fieldCaughtUp = 1, 3
	fieldProviderCallID         = 4
)

// read looks for where the fields of a message are, and decodes none of them.
func (m *message) read(text []byte) error {
	*m = message{}
	return fields(text, func(number protowire.Number, kind protowire.Type, value []byte) error {
		switch {
		case number == fieldOutcome && kind == protowire.BytesType:
			m.outcome = true
			outcome, _ := protowire.ConsumeBytes(value)
			return fields(outcome, func(number protowire.Number, kind protowire.Type, value []byte) error {
				if number == fieldProviderCallID && kind == protowire.BytesType {
					m.call, _ = protowire.ConsumeBytes(value)
				}
				return nil
			})
		case number == fieldCaughtUp:
			m.caughtUp = true // it is not written where it is false
		}
		return nil
	})
}

func fields(text []byte, field func(number protowire.Number, kind protowire.Type, value []byte) error) error {
	for len(text) > 0 {
		number, kind, tag := protowire.ConsumeTag(text)
		if tag < 0 {
			return protowire.ParseError(tag)
		}
		size := protowire.ConsumeFieldValue(number, kind, text[tag:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		if err := field(number, kind, text[tag:tag+size]); err != nil {
			return err
		}
		text = text[tag+size:]
	}
	return nil
}

// subscriber follows outcomes over a connection of its own.
type subscriber struct {
	connection *grpc.ClientConn
	stream     grpc.ClientStream
	decodes    bool
	cancel     context.CancelFunc
	text       []byte
}

func subscribe(ctx context.Context, address string, request *callnormv1.StreamOutcomesRequest, decodes bool) (s *subscriber, err error) {
	ctx, cancel := context.WithCancel(ctx)
	s = &subscriber{cancel: cancel, decodes: decodes}
	if s.connection, err = dialGRPC(address); err != nil {
		cancel()
		return nil, err
	}
	s.stream, err = s.connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true},
		callnormv1.OutcomeService_StreamOutcomes_FullMethodName, grpc.ForceCodec(raw.Answers{}))
	if err == nil {
		err = s.stream.SendMsg(request)
	}
	if err == nil {
		err = s.stream.CloseSend()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *subscriber) close() {
	s.cancel()
	_ = s.connection.Close() // Nothing is left to be said.
}

// next reads a message, and decodes all of it where the subscriber is one who does.
func (s *subscriber) next(m *message) error {
	if err := s.stream.RecvMsg(&s.text); err != nil {
		return err
	}
	if s.decodes {
		if err := proto.Unmarshal(s.text, &callnormv1.StreamOutcomesResponse{}); err != nil {
			return err
		}
	}
	return m.read(s.text)
}

// manner is how subscribers follow.
type manner struct {
	name        string
	subscribers int
	filter      *callnormv1.OutcomeFilter
	decodes     bool
	most        int
}

var errNoOutcomes = errors.New("the stream had no outcomes")

// followFromBeginning has subscribers read the log at once, each up to a number of outcomes.
func (s *service) followFromBeginning(ctx context.Context, m manner) (turn, error) {
	return clocked(s.Process, func() (int, []time.Duration, error) {
		counts, errs := make([]int, m.subscribers), make([]error, m.subscribers)
		var reading sync.WaitGroup
		for i := range m.subscribers {
			reading.Go(func() { counts[i], errs[i] = s.readFromBeginning(ctx, m) })
		}
		reading.Wait()
		sum := 0
		for _, n := range counts {
			sum += n
		}
		return sum, nil, errors.Join(errs...)
	})
}

func (s *service) readFromBeginning(ctx context.Context, m manner) (count int, err error) {
	reader, err := subscribe(ctx, s.grpc, &callnormv1.StreamOutcomesRequest{Filter: m.filter}, m.decodes)
	if err != nil {
		return 0, err
	}
	defer reader.close()
	for seen := (message{}); count < m.most && !seen.caughtUp; {
		if err := reader.next(&seen); err != nil {
			return count, err
		}
		if seen.outcome {
			count++
		}
	}
	if count == 0 {
		return 0, errNoOutcomes
	}
	return count, nil
}

// measureFromBeginning follows the outcomes of all webhooks before it.
func measureFromBeginning(ctx context.Context, o *options, s *service, r *results) error {
	if err := s.haveKept(ctx, o.outcomes); err != nil {
		return err
	}
	chosen := &callnormv1.OutcomeFilter{Condition: condition}
	manners := []manner{
		{"1 subscriber, undecoded", 1, nil, false, o.outcomes},
		{"1 subscriber who decodes", 1, nil, true, o.outcomes},
		{"1 subscriber with a CEL condition, undecoded", 1, chosen, false, o.outcomes},
		{"1 subscriber with a CEL condition who decodes", 1, chosen, true, o.outcomes},
		{"16 subscribers, undecoded", many, nil, false, o.outcomes / 4},
		{"16 subscribers who decode", many, nil, true, o.outcomes / 4},
	}
	var candidates []candidate
	for _, m := range manners {
		candidates = append(candidates, candidate{m.name, func(ctx context.Context) (turn, error) { return s.followFromBeginning(ctx, m) }})
	}
	list, err := byTurns(ctx, min(o.rounds, 3), candidates, r.progress)
	if err != nil {
		return err
	}
	table := r.table(fmt.Sprintf("Following %d outcomes from the beginning (16 subscribers: a quarter of them each)", o.outcomes),
		"", "outcomes, all together", "to each", "processor of the server", "of the tool", "of the first row")
	for i, m := range list {
		table.row(m.name, m.rate(), fmt.Sprintf("%.0f/s", m.median(turn.perSecond)/float64(manners[i].subscribers)),
			m.cost(ofServer), m.cost(ofTool), times(m.ratio(list[0], turn.perSecond)))
	}
	undecoded, condition := list[0].median(turn.perSecond), list[2].median(turn.perSecond)
	r.bars.Checkf(undecoded >= minUndecoded, "following from the beginning, one subscriber, undecoded", "at least 30,000/s", "%.0f/s", undecoded)
	r.bars.Checkf(condition >= minChosen, "the same with a CEL condition", "at least 10,000/s", "%.0f/s", condition)
	return nil
}

// haveKept posts until there are so many outcomes.
func (s *service) haveKept(ctx context.Context, outcomes int) error {
	kept, err := s.metric(ctx, "callnorm_deliveries_total")
	if err != nil {
		return err
	}
	if missing := outcomes - int(kept); missing > 0 {
		_, err = s.post(ctx, load{body: s.generator.plain, connections: crowd, span: time.Minute, most: missing/crowd + 1})
	}
	return err
}
