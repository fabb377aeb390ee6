package main

import (
	"context"
	"fmt"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

type doctorCommand struct {
	connection
	directory

	JSON      bool   `name:"json" help:"Print each finding as one line of JSON."`
	Deep      bool   `help:"Ask no server: read everything in the data directory, and name each row that is damaged."`
	SalvageTo string `name:"salvage-to" placeholder:"DIR" help:"With --deep: make a new data directory of everything that is intact. The server must be stopped."`
}

// Help shows examples.
func (doctorCommand) Help() string {
	return `Asks a running server what is wrong, and prints it with what to do about it, the gravest first.
Exits with 0 when there is nothing worse than a note, with 1 otherwise.

With --deep it asks no server and reads the data directory, which a server may be using: every row is held against its checksum and
what refers to it, and the end of the log against the mark beside it. It takes minutes for a million deliveries.

With --salvage-to it makes a new data directory, also of a database that no tool opens any more: it reads the pages of the files one by
one, and takes over every row that is intact. Nothing is changed in the damaged directory; move it away, and keep it.

  comes back       deliveries byte for byte, outcomes with their revisions at their places in the log, subscriptions, keys; of a
                   delivery that is lost, what it said; of an outcome that has lost its newest revision, a new one that is made of
                   what is left. Where a part of what a delivery said is lost, it is normalized again, if --config says how.
  stays deleted    what was deleted, or has gone by retention: a late repetition brings nothing back.
  does not         rows that are damaged: each is named. What was lost with its page is named by what refers to it. Requests that
                   were refused and held are in another file.
  readers          resume with their cursors, as long as nothing is lost behind them; otherwise they are told: OUT_OF_RANGE, or
                   FAILED_PRECONDITION for a place that the log does not have any more.

Examples:

  callnorm doctor
  callnorm doctor --json | jq 'select(.severity == "SEVERITY_ERROR")'
  callnorm doctor --deep --data-dir /var/lib/callnorm
  callnorm doctor --deep --config callnorm.yaml --salvage-to /var/lib/callnorm.new`
}

// Run asks and prints.
func (c doctorCommand) Run(ctx context.Context, set *adapters.Set, streams streams) error {
	if c.Deep {
		return c.deep(ctx, set, streams)
	}
	if c.SalvageTo != "" {
		return usagef("--salvage-to goes with --deep")
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	response, err := callnormv1.NewSourceServiceClient(conn).Diagnose(ctx, &callnormv1.DiagnoseRequest{})
	if err != nil {
		return err
	}
	grave := false
	for _, finding := range response.GetFindings() {
		grave = grave || finding.GetSeverity() >= callnormv1.Severity_SEVERITY_WARNING
		if err := c.print(streams, finding); err != nil {
			return err
		}
	}
	if len(response.GetFindings()) == 0 && !c.JSON {
		_, _ = fmt.Fprintln(streams.out, "all is well")
	}
	if grave {
		return &incompleteError{}
	}
	return nil
}

// print prints a finding.
func (c doctorCommand) print(streams streams, finding *callnormv1.Finding) error {
	if c.JSON {
		return printJSON(streams.out, finding)
	}
	_, _ = fmt.Fprintf(streams.out, "%-8s %s\n", word(finding.GetSeverity(), "SEVERITY_"), finding.GetMessage())
	if finding.GetAdvice() != "" {
		_, _ = fmt.Fprintf(streams.out, "         %s\n", finding.GetAdvice())
	}
	return nil
}
