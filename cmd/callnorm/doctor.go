package main

import (
	"context"
	"fmt"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

type doctorCommand struct {
	connection

	JSON bool `name:"json" help:"Print each finding as one line of JSON."`
}

// Help shows examples.
func (doctorCommand) Help() string {
	return `Asks a running server what is wrong, and prints it with what to do about it, the gravest first.
Exits with 0 when there is nothing worse than a note, with 1 otherwise.

Examples:

  callnorm doctor
  callnorm doctor --json | jq 'select(.severity == "SEVERITY_ERROR")'`
}

// Run asks and prints.
func (c doctorCommand) Run(ctx context.Context, streams streams) error {
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
		if c.JSON {
			if err := printJSON(streams.out, finding); err != nil {
				return err
			}
			continue
		}
		_, _ = fmt.Fprintf(streams.out, "%-8s %s\n         %s\n", word(finding.GetSeverity(), "SEVERITY_"), finding.GetMessage(), finding.GetAdvice())
	}
	if len(response.GetFindings()) == 0 && !c.JSON {
		_, _ = fmt.Fprintln(streams.out, "all is well")
	}
	if grave {
		return &incompleteError{}
	}
	return nil
}
