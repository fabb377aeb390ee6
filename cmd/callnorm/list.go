package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxPage is the largest page that the server takes.
const maxPage = 1000

type listCommand struct {
	connection

	choice
	Disposition    []string `placeholder:"WORD" help:"Only these dispositions, such as callback-requested."`
	DoNotCall      *bool    `name:"do-not-call" negatable:"" help:"Only contacts who asked never to be called again, or only all others."`
	Begin          moment   `placeholder:"TIME" help:"Only calls that began then or later: a date, or a time as in 2026-11-21T14:02:00Z."`
	End            moment   `placeholder:"TIME" help:"Only calls that began before."`
	Address        string   `placeholder:"ADDRESS" xor:"key" help:"Only calls that speak of this telephone number (as in +442079460123) or e-mail address."`
	ProviderCallID string   `name:"provider-call-id" placeholder:"ID" xor:"key" help:"Only calls with the provider's id."`
	ExternalID     string   `name:"external-id" placeholder:"SYSTEM=ID" xor:"key" help:"Only calls with another system's id."`
	JSON           bool     `name:"json" help:"Print each outcome as one line of JSON."`
	Max            int      `default:"100" placeholder:"N" help:"Stop after N outcomes (${default}); 0 for all."`
}

// Help shows examples.
func (listCommand) Help() string {
	return `Prints one line for each outcome, the newest call first, with the time of the call.

Examples:

  callnorm list
  callnorm list --disposition interested --begin 2026-11-01
  callnorm list --address +442079460123 --json | jq .status
  callnorm list --condition "outcome.talk_duration > duration('60s')" --max 0`
}

// Run lists.
func (c listCommand) Run(ctx context.Context, streams streams) error {
	request, err := c.request()
	if err != nil {
		return err
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	client := callnormv1.NewOutcomeServiceClient(conn)
	for printed := 0; ; {
		request.PageSize = maxPage
		if c.Max > 0 {
			request.PageSize = int32(min(maxPage, c.Max-printed))
		}
		page, err := client.ListOutcomes(ctx, request)
		if err != nil {
			return err
		}
		for _, outcome := range page.GetOutcomes() {
			if err := c.print(streams, outcome); err != nil {
				return err
			}
		}
		printed += len(page.GetOutcomes())
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			return nil
		}
		if printed == c.Max {
			_, _ = fmt.Fprintf(streams.err, "there may be more: --max %d\n", 10*c.Max)
			return nil
		}
	}
}

func (c listCommand) print(streams streams, outcome *callnormv1.CallOutcome) error {
	if c.JSON {
		return printJSON(streams.out, outcome)
	}
	return printOutcome(streams.out, intake.CallTime(outcome), outcome)
}

func (c listCommand) request() (*callnormv1.ListOutcomesRequest, error) {
	if c.Max < 0 {
		return nil, usagef("--max takes 0 or more")
	}
	filter, err := c.filter()
	if err != nil {
		return nil, err
	}
	filter.DoNotCall = c.DoNotCall
	if filter.Dispositions, err = values[callnormv1.ContactDisposition](
		"--disposition", "CONTACT_DISPOSITION_", callnormv1.ContactDisposition_value, c.Disposition,
	); err != nil {
		return nil, err
	}
	request := &callnormv1.ListOutcomesRequest{
		Filter: filter, BeginTime: c.Begin.timestamp(), EndTime: c.End.timestamp(), Address: c.Address, ProviderCallId: c.ProviderCallID,
	}
	request.ExternalId, err = externalID(c.ExternalID)
	return request, err
}

// externalID reads a flag; it is nil when the flag is not given.
func externalID(text string) (*callnormv1.ExternalId, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // Not giving one is no error.
	}
	system, id, ok := strings.Cut(text, "=")
	if !ok || system == "" || id == "" {
		return nil, usagef("--external-id takes SYSTEM=ID, as in twilio.call_sid=CA123")
	}
	return &callnormv1.ExternalId{System: system, Id: id}, nil
}

// moment is a time as a flag: a date, which begins in UTC, or a time with its zone.
type moment struct{ time.Time }

// UnmarshalText reads it.
func (m *moment) UnmarshalText(text []byte) error {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, string(text)); err == nil {
			m.Time = at
			return nil
		}
	}
	return fmt.Errorf("%q is neither a date, as in 2026-11-21, nor a time, as in 2026-11-21T14:02:00Z", text)
}

func (m moment) timestamp() *timestamppb.Timestamp {
	if m.IsZero() {
		return nil
	}
	return timestamppb.New(m.Time)
}
