package main

import (
	"context"
	"fmt"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// truth is the log as one reader gets it who begins at the beginning and is not disturbed.
type truth struct {
	log []revision
	// passes says of each which choices it passes, one bit each.
	passes  []uint8
	deleted map[int32]bool // calls whose last revision says so
}

// read reads the log to its end.
func read(ctx context.Context, s *service, known *names) (t *truth, err error) {
	l, err := newGRPCLine(s.grpc)
	if err != nil {
		return nil, err
	}
	defer l.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next, err := l.outcomes(ctx, &callnormv1.StreamOutcomesRequest{})
	if err != nil {
		return nil, err
	}
	t = &truth{deleted: make(map[int32]bool)}
	for {
		m, err := next()
		if err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		if o := m.outcome; o != nil {
			t.add(revision{known.number(o.GetName()), o.GetRevision()}, passing(o), isDeleted(o))
		}
		if m.caughtUp {
			return t, nil
		}
	}
}

func (t *truth) add(r revision, passes uint8, deleted bool) {
	t.log = append(t.log, r)
	t.passes = append(t.passes, passes)
	if deleted {
		t.deleted[r.call] = true
	}
}

// passing returns which choices an outcome passes.
func passing(o *callnormv1.CallOutcome) (passes uint8) {
	for i := range choices {
		if choices[i].passes(o) {
			passes |= 1 << i
		}
	}
	return passes
}
