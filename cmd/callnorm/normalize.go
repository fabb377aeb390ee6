package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/cmd/callnorm/config"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/protobuf/encoding/protojson"
)

type normalizeCommand struct {
	Adapter  string `required:"" placeholder:"NAME" help:"Wire format of the payload: ${adapters}."`
	Provider string `placeholder:"NAME" help:"Provider to name in the outcomes; the adapter's first without it."`
	Event    string `placeholder:"NAME" help:"Event, for formats whose bodies do not name it."`
	File     string `arg:"" help:"File with the payload, or - for standard input."`
}

// Help shows examples.
func (normalizeCommand) Help() string {
	return `Prints a JSON array with one outcome for each item, and warnings and faults on standard error.
Exits with 0 when all items were normalized, 1 when some were not, 2 when the arguments are of no use.

Examples:

  callnorm normalize --adapter synthflow --provider anunzi payload.json
  curl -s https://example.com/payload | callnorm normalize --adapter voxia -
  callnorm normalize --adapter curious-thing --event SMSSent batch.json | jq '.[].messages'`
}

// Run normalizes the payload.
func (c normalizeCommand) Run(set *adapters.Set, streams streams) error {
	body, err := c.read(streams.in)
	if err != nil {
		return err
	}
	if c.Provider != "" && !config.IsName(c.Provider) {
		return usagef("--provider takes 1 to 63 characters of a-z, 0-9 and -")
	}
	in := intake.New(intake.Settings{Adapters: set, Observer: silent{}, Now: time.Now}, nil)
	response, err := in.Normalize(intake.Payload{Adapter: c.Adapter, Provider: c.Provider, Event: c.Event, Body: body})
	if err != nil {
		return usagef("%w", err)
	}
	array := make([]json.RawMessage, len(response.GetOutcomes()))
	for i, outcome := range response.GetOutcomes() {
		if array[i], err = protojson.Marshal(outcome); err != nil {
			return err
		}
		for _, warning := range outcome.GetProvenance().GetWarnings() {
			_, _ = fmt.Fprintf(streams.err, "outcome %d: %s at %s: %s\n", i,
				word(warning.GetKind(), "WARNING_KIND_"), cmp.Or(warning.GetPath(), "no field"), warning.GetMessage())
		}
	}
	text, err := json.MarshalIndent(array, "", "  ")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(streams.out, "%s\n", text); err != nil {
		return err
	}
	for _, notice := range response.GetNotices() {
		_, _ = fmt.Fprintf(streams.err, "item %d: no outcome: %s: %s\n", notice.GetItem(), notice.GetEventRaw(), notice.GetDetail())
	}
	for _, fault := range response.GetFaults() {
		_, _ = fmt.Fprintln(streams.err, faultText(fault))
	}
	if len(response.GetFaults()) > 0 {
		return &incompleteError{}
	}
	return nil
}

func (c normalizeCommand) read(stdin io.Reader) ([]byte, error) {
	if c.File == "-" {
		return io.ReadAll(stdin)
	}
	body, err := os.ReadFile(c.File)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return body, nil
}

func faultText(fault *callnormv1.Fault) string {
	where := "payload"
	if fault.Item != nil {
		where = fmt.Sprintf("item %d", fault.GetItem())
	}
	if fault.GetPath() != "" {
		where += " at " + fault.GetPath()
	}
	return fmt.Sprintf("%s: not normalized: %s: %s", where, word(fault.GetReason(), "FAULT_REASON_"), fault.GetDetail())
}

func word(value fmt.Stringer, prefix string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(value.String(), prefix), "_", " "))
}

// silent observes nothing.
type silent struct{}

func (silent) Delivered(string, callnormv1.DeliveryState, bool, int)    {}
func (silent) Normalized(string, time.Duration, adapters.Result, error) {}
func (silent) Rejected(string, callnormv1.RejectionCause)               {}
func (silent) Settled(string)                                           {}
func (silent) Trimmed(string, store.Removed)                            {}
