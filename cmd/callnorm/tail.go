package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type tailCommand struct {
	connection

	After string `placeholder:"CURSOR" help:"Go on after this cursor." xor:"start"`
	From  string `placeholder:"beginning|now" help:"Where to begin (now)." xor:"start"`
	choice
	JSON bool `name:"json" help:"Print each revision with its cursor as one line of JSON."`
	Max  int  `placeholder:"N" help:"Stop after N revisions."`
}

// Help shows examples.
func (tailCommand) Help() string {
	return `Prints one line for each new revision of an outcome. When the server goes away, it waits and goes on where it was. At the
end it prints the cursor to go on with.

Examples:

  callnorm tail
  callnorm tail --from beginning --provider voxia
  callnorm tail --completeness final --status busy --status no-answer
  callnorm tail --condition "outcome.talk_duration > duration('60s')"
  callnorm tail --json | jq .outcome.disposition
  callnorm tail --after AQ3Z...`
}

// Run follows the outcomes until ctx ends.
func (c tailCommand) Run(ctx context.Context, streams streams) error {
	if c.From != "" && c.From != fromBeginning && c.From != fromNow {
		return usagef("--from takes beginning or now, not %q", c.From)
	}
	filter, err := c.filter()
	if err != nil {
		return err
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	follower := follower{
		client: callnormv1.NewOutcomeServiceClient(conn), streams: streams, json: c.JSON, left: c.Max,
		request: &callnormv1.StreamOutcomesRequest{Filter: filter},
	}
	switch {
	case c.After != "":
		follower.resume(c.After)
	case c.From == fromBeginning:
		follower.request.Start = &callnormv1.StreamOutcomesRequest_StartAt{StartAt: callnormv1.StreamStart_STREAM_START_BEGINNING}
	default:
		follower.request.Start = &callnormv1.StreamOutcomesRequest_StartAt{StartAt: callnormv1.StreamStart_STREAM_START_NOW}
	}
	err = follower.follow(ctx)
	if follower.cursor != "" {
		_, _ = fmt.Fprintln(streams.err, "go on with: callnorm tail --after", follower.cursor)
	}
	return err
}

// follower follows a stream over its interruptions.
type follower struct {
	client  callnormv1.OutcomeServiceClient
	streams streams
	request *callnormv1.StreamOutcomesRequest
	json    bool
	cursor  string
	left    int // revisions until the end; 0 for no end
}

var errEnough = errors.New("enough")

func (f *follower) resume(cursor string) {
	f.cursor = cursor
	f.request.Start = &callnormv1.StreamOutcomesRequest_After{After: cursor}
}

func (f *follower) follow(ctx context.Context) error {
	const shortest, longest = 200 * time.Millisecond, 2 * time.Second
	wait := shortest
	for {
		before := f.cursor
		err := f.stream(ctx)
		if errors.Is(err, errEnough) || ctx.Err() != nil {
			return nil //nolint:nilerr // Both ends are what the user asked for.
		}
		switch {
		case status.Code(err) != codes.Unavailable:
			return err
		case f.cursor != before:
			wait = shortest
		}
		_, _ = fmt.Fprintf(f.streams.err, "%s; trying again in %s\n", status.Convert(err).Message(), wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, longest)
	}
}

func (f *follower) stream(ctx context.Context) error {
	stream, err := f.client.StreamOutcomes(ctx, f.request)
	if err != nil {
		return err
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		if message.GetOutcome() != nil {
			if err := f.print(message); err != nil {
				return err
			}
		}
		f.resume(message.GetCursor())
		if message.GetOutcome() != nil && f.left > 0 {
			if f.left--; f.left == 0 {
				return errEnough
			}
		}
	}
}

func (f *follower) print(message *callnormv1.StreamOutcomesResponse) error {
	if f.json {
		return printJSON(f.streams.out, message)
	}
	return printOutcome(f.streams.out, message.GetOutcome().GetRevisionTime().AsTime(), message.GetOutcome())
}

// printOutcome prints an outcome as one line.
func printOutcome(out io.Writer, at time.Time, o *callnormv1.CallOutcome) error {
	_, err := fmt.Fprintf(out, "%s  %-14s %-16s %-9s %s%s%s%s r%d\n",
		at.Format(time.RFC3339), o.GetProvider(), word(o.GetEvent(), "EVENT_KIND_"),
		word(o.GetCompleteness(), "COMPLETENESS_"), word(o.GetStatus(), "CALL_STATUS_"),
		detail("end", o.GetEnd().GetReason() != 0, word(o.GetEnd().GetReason(), "END_REASON_")),
		detail("answered by", o.GetAnsweredBy().GetValue() != 0, word(o.GetAnsweredBy().GetValue(), "ANSWERED_BY_KIND_")),
		detail("disposition", o.GetDisposition().GetValue() != 0, word(o.GetDisposition().GetValue(), "CONTACT_DISPOSITION_"))+"  "+o.GetName(),
		o.GetRevision())
	return err
}

func detail(name string, told bool, value string) string {
	if !told {
		return ""
	}
	return ", " + name + ": " + value
}
