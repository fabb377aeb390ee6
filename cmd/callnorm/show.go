package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// outcomeKey is how a command names an outcome.
type outcomeKey struct {
	Name           string `arg:"" optional:"" placeholder:"NAME" help:"Name of the outcome: outcomes/..."`
	ProviderCallID string `name:"provider-call-id" placeholder:"ID" help:"The provider's id of the call instead of a name."`
	ExternalID     string `name:"external-id" placeholder:"SYSTEM=ID" help:"Another system's id instead of a name."`
	Provider       string `placeholder:"NAME" help:"Narrow the search by an id to a provider."`
	Source         string `placeholder:"NAME" help:"Narrow the search by an id to a source."`
}

// request asks for the outcome.
func (k outcomeKey) request() (*callnormv1.GetOutcomeRequest, error) {
	request := &callnormv1.GetOutcomeRequest{Provider: k.Provider, Source: k.Source}
	external, err := externalID(k.ExternalID)
	if err != nil {
		return nil, err
	}
	given := 0
	if k.Name != "" {
		given++
		request.Key = &callnormv1.GetOutcomeRequest_Name{Name: "outcomes/" + strings.TrimPrefix(k.Name, "outcomes/")}
	}
	if k.ProviderCallID != "" {
		given++
		request.Key = &callnormv1.GetOutcomeRequest_ProviderCallId{ProviderCallId: k.ProviderCallID}
	}
	if external != nil {
		given++
		request.Key = &callnormv1.GetOutcomeRequest_ExternalId{ExternalId: external}
	}
	if given != 1 {
		return nil, usagef("name the call by one of NAME, --provider-call-id and --external-id")
	}
	return request, nil
}

type showCommand struct {
	connection
	outcomeKey

	History bool `help:"Print the revisions that are kept, newest first, with what each changed."`
	JSON    bool `name:"json" help:"Print each outcome or revision as one line of JSON."`
}

// Help shows examples.
func (showCommand) Help() string {
	return `Prints an outcome as JSON, or with --history its revisions, each with what it changed: + for what came, - for what went,
~ for what became something else. Which delivery each field was taken from is told by --json alone.

Examples:

  callnorm show outcomes/66iatsrfwrsutodugdfc52oxzy
  callnorm show outcomes/66iatsrfwrsutodugdfc52oxzy --history
  callnorm show --provider-call-id 1711646262471x768387119913843100 --provider anunzi --json | jq .status`
}

// Run shows.
func (c showCommand) Run(ctx context.Context, streams streams) error {
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
	response, err := client.GetOutcome(ctx, request)
	if err != nil {
		return err
	}
	outcome := response.GetOutcome()
	switch {
	case c.History:
		return c.history(ctx, client, streams, outcome.GetName())
	case c.JSON:
		return printJSON(streams.out, outcome)
	}
	text, err := protojson.Marshal(outcome)
	if err != nil {
		return err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, text, "", "  "); err != nil {
		return err
	}
	_, err = fmt.Fprintf(streams.out, "%s\n", indented.Bytes())
	return err
}

func (c showCommand) history(ctx context.Context, client callnormv1.OutcomeServiceClient, streams streams, name string) error {
	request := &callnormv1.ListOutcomeRevisionsRequest{Name: name}
	for {
		page, err := client.ListOutcomeRevisions(ctx, request)
		if err != nil {
			return err
		}
		for _, revision := range page.GetRevisions() {
			if c.JSON {
				err = printJSON(streams.out, revision)
			} else {
				err = printRevision(streams.out, revision)
			}
			if err != nil {
				return err
			}
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			return nil
		}
	}
}

func printRevision(out io.Writer, revision *callnormv1.OutcomeRevision) error {
	o := revision.GetOutcome()
	if _, err := fmt.Fprintf(out, "r%-3d %s  %-12s %-9s %s\n", o.GetRevision(), o.GetRevisionTime().AsTime().Format(time.RFC3339),
		word(o.GetRevisionCause(), "REVISION_CAUSE_"), word(o.GetCompleteness(), "COMPLETENESS_"), word(o.GetStatus(), "CALL_STATUS_")); err != nil {
		return err
	}
	for _, change := range revision.GetChanges() {
		if strings.HasPrefix(change.GetPath(), "provenance.field_sources[") {
			continue // Nearly every field has another delivery to thank than before.
		}
		before, after := short(change.GetBeforeJson()), short(change.GetAfterJson())
		text := "~ " + change.GetPath() + ": " + before + " -> " + after
		switch {
		case before == "":
			text = "+ " + change.GetPath() + ": " + after
		case after == "":
			text = "- " + change.GetPath() + ": " + before
		}
		if _, err := fmt.Fprintln(out, "    ", text); err != nil {
			return err
		}
	}
	return nil
}

// short cuts a text that would fill the screen. --json prints it as a whole.
func short(text string) string {
	const most = 80
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "..."
}
