package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

type quarantineCommand struct {
	List  quarantineListCommand  `cmd:"" help:"List the deliveries that wait."`
	Show  quarantineShowCommand  `cmd:"" help:"Show one delivery as it was received."`
	Retry quarantineRetryCommand `cmd:"" help:"Normalize waiting deliveries again: one, or all."`
}

type quarantineListCommand struct {
	connection

	Source []string `placeholder:"NAME" help:"Only these sources."`
	JSON   bool     `name:"json" help:"Print each delivery as one line of JSON."`
}

// Help shows examples.
func (quarantineListCommand) Help() string {
	return `Lists the deliveries of which something could not be normalized, oldest first, with the reason.

Examples:

  callnorm quarantine list
  callnorm quarantine list --source sales-calls --json | jq .faults`
}

// Run lists.
func (c quarantineListCommand) Run(ctx context.Context, streams streams) error {
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	client := callnormv1.NewDeliveryServiceClient(conn)
	table := tabwriter.NewWriter(streams.out, 0, 0, 2, ' ', 0)
	request := &callnormv1.ListDeliveriesRequest{Filter: &callnormv1.DeliveryFilter{Quarantined: true, Sources: c.Source}}
	for {
		page, err := client.ListDeliveries(ctx, request)
		if err != nil {
			return err
		}
		for _, delivery := range page.GetDeliveries() {
			if c.JSON {
				if err := printJSON(streams.out, delivery); err != nil {
					return err
				}
				continue
			}
			reason := "?"
			if faults := delivery.GetFaults(); len(faults) > 0 {
				reason = faultText(faults[0])
				if more := len(faults) - 1 + int(delivery.GetUnlistedCount()); more > 0 {
					reason += fmt.Sprintf(" (and %d more)", more)
				}
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d bytes\t%s\n", delivery.GetName(),
				delivery.GetReceiveTime().AsTime().Format(time.RFC3339), delivery.GetSource(), delivery.GetBodyBytes(), reason)
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			return table.Flush()
		}
	}
}

type quarantineShowCommand struct {
	connection

	Delivery string `arg:"" placeholder:"DELIVERY" help:"Name of the delivery: deliveries/..."`
	JSON     bool   `name:"json" help:"Print it as JSON instead of an HTTP request."`
}

// Help shows examples.
func (quarantineShowCommand) Help() string {
	return `Prints the delivery as the HTTP request that it was, and on standard error what became of it. It holds all that the
provider knew of the call. Headers that carried a secret are not kept, and neither is the content encoding: a signature over the
compressed body does not fit what is printed.

Examples:

  callnorm quarantine show deliveries/pvw643rgdegs6j7yre23bdpwhy
  callnorm quarantine show deliveries/pvw643rgdegs6j7yre23bdpwhy --json | jq -r .body | base64 -d`
}

// Run shows.
func (c quarantineShowCommand) Run(ctx context.Context, streams streams) error {
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	response, err := callnormv1.NewDeliveryServiceClient(conn).GetDelivery(ctx, &callnormv1.GetDeliveryRequest{Name: deliveryName(c.Delivery)})
	if err != nil {
		return err
	}
	delivery := response.GetDelivery()
	if c.JSON {
		return printJSON(streams.out, delivery)
	}
	_, _ = fmt.Fprintf(streams.err, "%s of source %s, adapter %s, received %s: %s\n", delivery.GetName(), delivery.GetSource(),
		delivery.GetAdapter(), delivery.GetReceiveTime().AsTime().Format(time.RFC3339), word(delivery.GetState(), "DELIVERY_STATE_"))
	for _, fault := range delivery.GetFaults() {
		_, _ = fmt.Fprintln(streams.err, faultText(fault))
	}
	return printRequest(streams.out, delivery)
}

// printRequest prints a delivery as an HTTP request. It is kept without its content encoding.
func printRequest(out io.Writer, delivery *callnormv1.Delivery) error {
	headers := slices.DeleteFunc(slices.Clone(delivery.GetHeaders()), func(line *callnormv1.HttpHeader) bool {
		name := http.CanonicalHeaderKey(line.GetName())
		return name == "Content-Encoding" || name == "Content-Length"
	})
	_, err := out.Write(httpText(delivery.GetMethod(), delivery.GetPath(), delivery.GetQuery(), headers, delivery.GetBody()))
	return err
}

// httpText writes an HTTP request as it stands in a file.
func httpText(method, path, query string, headers []*callnormv1.HttpHeader, body []byte) []byte {
	if query != "" {
		path += "?" + query
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\n", method, path)
	for _, line := range headers {
		fmt.Fprintf(&text, "%s: %s\r\n", line.GetName(), line.GetValue())
	}
	text.WriteString("\r\n")
	text.Write(body)
	return text.Bytes()
}

type quarantineRetryCommand struct {
	connection

	Delivery []string `arg:"" optional:"" placeholder:"DELIVERY" help:"Names of deliveries: deliveries/..."`
	All      bool     `help:"All that wait."`
	Source   []string `placeholder:"NAME" help:"With --all: only these sources."`
}

// Help shows examples.
func (quarantineRetryCommand) Help() string {
	return `Normalizes deliveries again, with the adapters that the server has now. Exits with 1 when something still waits.

Examples:

  callnorm quarantine retry deliveries/pvw643rgdegs6j7yre23bdpwhy
  callnorm quarantine retry --all --source sales-calls`
}

// Run retries.
func (c quarantineRetryCommand) Run(ctx context.Context, streams streams) error {
	if c.All == (len(c.Delivery) > 0) {
		return usagef("name deliveries, or say --all")
	}
	if c.All {
		return renormalizeAll(ctx, c.connection, streams, &callnormv1.DeliveryFilter{Quarantined: true, Sources: c.Source})
	}
	return renormalizeEach(ctx, c.connection, streams, c.Delivery)
}

type renormalizeCommand struct {
	connection

	Delivery []string `arg:"" optional:"" placeholder:"DELIVERY" help:"Names of deliveries: deliveries/..."`
	All      bool     `help:"All that are kept."`
	Source   []string `placeholder:"NAME" help:"With --all: only these sources."`
	Adapter  []string `placeholder:"NAME" help:"With --all: only what these adapters read."`
}

// Help shows examples.
func (renormalizeCommand) Help() string {
	return `Normalizes kept deliveries again, after an adapter was corrected. What changes becomes a new revision with cause
RENORMALIZED, and subscribers see it; what stays the same makes none.

Examples:

  callnorm renormalize --all --adapter synthflow
  callnorm renormalize deliveries/pvw643rgdegs6j7yre23bdpwhy`
}

// Run renormalizes.
func (c renormalizeCommand) Run(ctx context.Context, streams streams) error {
	if c.All == (len(c.Delivery) > 0) {
		return usagef("name deliveries, or say --all")
	}
	if c.All {
		return renormalizeAll(ctx, c.connection, streams, &callnormv1.DeliveryFilter{Sources: c.Source, Adapters: c.Adapter})
	}
	return renormalizeEach(ctx, c.connection, streams, c.Delivery)
}

// renormalizeEach normalizes single deliveries again.
func renormalizeEach(ctx context.Context, to connection, streams streams, names []string) error {
	conn, err := to.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	client := callnormv1.NewDeliveryServiceClient(conn)
	waiting := false
	for _, name := range names {
		response, err := client.RenormalizeDelivery(ctx, &callnormv1.RenormalizeDeliveryRequest{Name: deliveryName(name)})
		if err != nil {
			return err
		}
		delivery := response.GetDelivery()
		_, _ = fmt.Fprintf(streams.out, "%s: %s\n", delivery.GetName(), word(delivery.GetState(), "DELIVERY_STATE_"))
		for _, outcome := range response.GetOutcomes() {
			changed := "unchanged"
			if outcome.GetChanged() {
				changed = "new"
			}
			_, _ = fmt.Fprintf(streams.out, "  %s r%d (%s)\n", outcome.GetName(), outcome.GetRevision(), changed)
		}
		for _, fault := range delivery.GetFaults() {
			_, _ = fmt.Fprintln(streams.err, " ", faultText(fault))
			waiting = true
		}
	}
	if waiting {
		return &incompleteError{}
	}
	return nil
}

// renormalizeAll normalizes all that a filter passes again, and says how far it has come.
func renormalizeAll(ctx context.Context, to connection, streams streams, filter *callnormv1.DeliveryFilter) error {
	conn, err := to.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	stream, err := callnormv1.NewDeliveryServiceClient(conn).RenormalizeDeliveries(ctx, &callnormv1.RenormalizeDeliveriesRequest{Filter: filter})
	if err != nil {
		return err
	}
	so := &callnormv1.RenormalizeDeliveriesResponse{}
	for {
		next, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("after %d deliveries: %w", so.GetDeliveryCount(), err)
		}
		so = next
	}
	_, _ = fmt.Fprintf(streams.out, "deliveries normalized again: %d, new revisions: %d, still in quarantine: %d, failed: %d\n",
		so.GetDeliveryCount(), so.GetRevisionCount(), so.GetQuarantinedCount(), so.GetFailedCount())
	if so.GetQuarantinedCount() > 0 || so.GetFailedCount() > 0 {
		return &incompleteError{}
	}
	return nil
}

// deliveryName completes a name of which only the id was given.
func deliveryName(name string) string {
	if strings.HasPrefix(name, "deliveries/") {
		return name
	}
	return "deliveries/" + name
}
