package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

type subscriptionCommand struct {
	List   subscriptionListCommand   `cmd:"" help:"List the subscriptions."`
	Show   subscriptionShowCommand   `cmd:"" help:"Show one subscription as JSON."`
	Reset  subscriptionResetCommand  `cmd:"" help:"Move a subscription to another place."`
	Delete subscriptionDeleteCommand `cmd:"" help:"Delete a subscription."`
}

// subscriptions calls a method of a running server.
func subscriptions(c connection, call func(callnormv1.SubscriptionServiceClient) error) error {
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return call(callnormv1.NewSubscriptionServiceClient(conn))
}

// subscriptionName returns the name of a subscription that may be given by its id.
func subscriptionName(text string) string {
	const prefix = "subscriptions/"
	return prefix + strings.TrimPrefix(text, prefix)
}

type subscriptionListCommand struct {
	connection

	JSON bool `name:"json" help:"Print each subscription as one line of JSON."`
}

// Help shows examples.
func (subscriptionListCommand) Help() string {
	return `Lists your subscriptions, or all if you may operate: whose they are, how many revisions they are behind and for how long, and
whether somebody streams them.

Examples:

  callnorm subscription list
  callnorm subscription list --json | jq 'select(.expired)'`
}

// Run lists.
func (c subscriptionListCommand) Run(ctx context.Context, streams streams) error {
	return subscriptions(c.connection, func(client callnormv1.SubscriptionServiceClient) error {
		response, err := client.ListSubscriptions(ctx, &callnormv1.ListSubscriptionsRequest{})
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(streams.out, 0, 0, 2, ' ', 0)
		for _, subscription := range response.GetSubscriptions() {
			if c.JSON {
				err = printJSON(streams.out, subscription)
			} else {
				err = printSubscription(table, subscription)
			}
			if err != nil {
				return err
			}
		}
		return table.Flush()
	})
}

func printSubscription(out io.Writer, s *callnormv1.Subscription) error {
	state := "nobody streams it"
	switch {
	case s.GetExpired():
		state = "retention has passed it by: reset it"
	case s.GetActive():
		state = "streaming"
	}
	behind := "caught up"
	if s.GetLagCount() > 0 {
		behind = fmt.Sprintf("%d behind, for %s", s.GetLagCount(), s.GetLag().AsDuration().Round(time.Second))
	}
	_, err := fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", s.GetName(), s.GetReader(), behind, state)
	return err
}

type subscriptionShowCommand struct {
	connection

	Subscription string `arg:"" placeholder:"SUBSCRIPTION" help:"Name of the subscription."`
}

// Help shows an example.
func (subscriptionShowCommand) Help() string {
	return `Prints a subscription with its filter and how far it has come, as JSON.

Example:

  callnorm subscription show crm`
}

// Run shows.
func (c subscriptionShowCommand) Run(ctx context.Context, streams streams) error {
	return subscriptions(c.connection, func(client callnormv1.SubscriptionServiceClient) error {
		response, err := client.GetSubscription(ctx, &callnormv1.GetSubscriptionRequest{Name: subscriptionName(c.Subscription)})
		if err != nil {
			return err
		}
		return printJSON(streams.out, response.GetSubscription())
	})
}

type subscriptionResetCommand struct {
	connection

	Subscription string `arg:"" placeholder:"SUBSCRIPTION" help:"Name of the subscription."`
	After        string `placeholder:"CURSOR" help:"Go on after this cursor." xor:"start" required:""`
	From         string `placeholder:"beginning|now|TIME" help:"Go on at one end of the log, or at a time." xor:"start" required:""`
}

// Help shows examples.
func (subscriptionResetCommand) Help() string {
	return `Moves a subscription back or ahead. Whoever streams it is told to begin again, and what he has not acknowledged yet counts no more.

Examples:

  callnorm subscription reset crm --from beginning
  callnorm subscription reset crm --from 2026-01-31T08:00:00Z
  callnorm subscription reset crm --after AQ3Z...`
}

// Run resets.
func (c subscriptionResetCommand) Run(ctx context.Context, streams streams) error {
	request := &callnormv1.ResetSubscriptionRequest{Name: subscriptionName(c.Subscription)}
	switch c.From {
	case "":
		request.Start = &callnormv1.ResetSubscriptionRequest_After{After: c.After}
	case fromBeginning:
		request.Start = &callnormv1.ResetSubscriptionRequest_StartAt{StartAt: callnormv1.StreamStart_STREAM_START_BEGINNING}
	case fromNow:
		request.Start = &callnormv1.ResetSubscriptionRequest_StartAt{StartAt: callnormv1.StreamStart_STREAM_START_NOW}
	default:
		at, err := time.Parse(time.RFC3339, c.From)
		if err != nil {
			return usagef("--from takes beginning, now or a time such as 2026-01-31T08:00:00Z, not %q", c.From)
		}
		request.Start = &callnormv1.ResetSubscriptionRequest_StartTime{StartTime: timestamppb.New(at)}
	}
	return subscriptions(c.connection, func(client callnormv1.SubscriptionServiceClient) error {
		response, err := client.ResetSubscription(ctx, request)
		if err != nil {
			return err
		}
		return printSubscription(streams.out, response.GetSubscription())
	})
}

type subscriptionDeleteCommand struct {
	connection

	Subscription string `arg:"" placeholder:"SUBSCRIPTION" help:"Name of the subscription."`
}

// Help shows an example.
func (subscriptionDeleteCommand) Help() string {
	return `Deletes a subscription. Its place in the log is lost; the outcomes stay.

Example:

  callnorm subscription delete crm`
}

// Run deletes.
func (c subscriptionDeleteCommand) Run(ctx context.Context, _ streams) error {
	return subscriptions(c.connection, func(client callnormv1.SubscriptionServiceClient) error {
		_, err := client.DeleteSubscription(ctx, &callnormv1.DeleteSubscriptionRequest{Name: subscriptionName(c.Subscription)})
		return err
	})
}
