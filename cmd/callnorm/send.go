package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/scenario"
	"github.com/callnorm/callnorm/cmd/callnorm/config"
	"github.com/callnorm/callnorm/internal/signature"
)

type sendCommand struct {
	Provider string   `placeholder:"NAME" help:"Provider to send as."`
	Scenario []string `placeholder:"NAME" help:"What to send, in this order. Without it, lists what there is."`
	URL      *url.URL `name:"url" default:"http://${http_addr}" placeholder:"URL" help:"Server to send to (${default})."`
	Source   string   `placeholder:"NAME" help:"Source to send to; the provider's name without it."`
	Key      string   `placeholder:"FILE" help:"Sign with the secret, or the private key in PEM, in this file. It is made if there is none."`
	Config   string   `env:"CALLNORM_CONFIG" placeholder:"FILE" help:"Sign as this configuration of the server demands of the source."`
	IDs      string   `name:"run" placeholder:"TEXT" help:"Makes the ids that this run has: the same ones for the same text. A random one without it."`
}

// Help shows examples.
func (sendCommand) Help() string {
	return `Posts samples of what a provider sends to a running server, signed by the provider's own scheme, with new ids in each run: so every
provider can be seen at work without an account. The samples are the cases that the adapter is tested with, oddities included.

A source that demands proof needs to know the key: --key makes one, and prints what to put into the configuration; --config takes
the secret of a source that is configured already. Without either the key is a throw-away one, which will do for sources that are
unverified, such as those of a server without a configuration. Exits with 1 when the server did not take everything.

Examples:

  callnorm send --provider voxia
  callnorm send --provider voxia --scenario v07_one_call_1_dialing --scenario v07_one_call_2_connected
  callnorm send --provider voxia --scenario v00_v2_page --source sales-calls --key voxia.pem
  callnorm send --provider synthflow --scenario s00_synthflow_page_2025_10 --source sales --config callnorm.yaml`
}

// Run sends, or lists what there is.
func (c sendCommand) Run(ctx context.Context, set *adapters.Set, streams streams) error {
	address := c.URL.String()
	if web := strings.HasPrefix(address, "http://") || strings.HasPrefix(address, "https://"); !web || c.URL.Host == "" || strings.ContainsAny(address, "?#") {
		return usagef("--url takes an address such as http://127.0.0.1:8080, without a query")
	}
	adapter, ok := set.ByProvider(c.Provider)
	if !ok {
		return usagef("--provider takes one of %s", strings.Join(providers(set), ", "))
	}
	list, err := scenario.Of(adapter)
	if err != nil {
		return err
	}
	if len(c.Scenario) == 0 {
		return printScenarios(streams.out, adapter, list)
	}
	var chosen []scenario.Scenario
	for _, name := range c.Scenario {
		at := slices.IndexFunc(list, func(s scenario.Scenario) bool { return s.Name == name })
		if at < 0 {
			return usagef("%s has no scenario %q; callnorm send --provider %s lists what there is", c.Provider, name, c.Provider)
		}
		chosen = append(chosen, list[at])
	}
	c.Source = cmp.Or(c.Source, c.Provider)
	sign, err := c.signer(adapter, set, streams.err)
	if err != nil {
		return err
	}
	run := cmp.Or(c.IDs, rand.Text())
	taken := true
	for _, one := range chosen {
		d := scenario.Fresh(adapter, one.Delivery, run)
		ok, err := c.send(ctx, sign, d, streams)
		switch unsigned := (*unsignedError)(nil); {
		case errors.As(err, &unsigned):
			_, _ = fmt.Fprintf(streams.err, "%s: %v\n", one.Name, err)
		case err != nil:
			return fmt.Errorf("%s: %w", one.Name, err)
		}
		taken = taken && ok
	}
	if !taken {
		return &incompleteError{}
	}
	return nil
}

// unsignedError says that a scenario cannot be signed, such as a body without the id that the provider signs.
type unsignedError struct{ err error }

func (e *unsignedError) Error() string { return "it cannot be signed: " + e.err.Error() }
func (e *unsignedError) Unwrap() error { return e.err }

func providers(set *adapters.Set) []string {
	var list []string
	for _, adapter := range set.All() {
		list = append(list, adapter.Providers()...)
	}
	return list
}

// printScenarios lists what an adapter has, and what each amounts to.
func printScenarios(out io.Writer, adapter adapters.Adapter, list []scenario.Scenario) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, one := range list {
		result, err := adapters.Normalize(adapter, one.Delivery)
		var what string
		switch known := (*adapters.Error)(nil); {
		case errors.As(err, &known):
			what = "quarantine: " + word(known.Reason, "FAULT_REASON_")
		case len(result.Outcomes) > 0:
			call := result.Outcomes[0].Call
			what = word(call.GetEvent(), "EVENT_KIND_") + ", " + word(call.GetStatus(), "CALL_STATUS_")
			if more := len(result.Outcomes) - 1; more > 0 {
				what += fmt.Sprintf(", and %d more", more)
			}
		case len(result.Notices) > 0:
			what = "no outcome: " + result.Notices[0].GetDetail()
		default:
			what = "quarantine: " + word(result.Faults[0].GetReason(), "FAULT_REASON_")
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\n", one.Name, what)
	}
	return table.Flush()
}

// signer returns what signs for the source.
func (c sendCommand) signer(adapter adapters.Adapter, set *adapters.Set, hints io.Writer) (func(signature.Request) (signature.Request, error), error) {
	if c.Config != "" && c.Key == "" {
		source, found, err := config.LoadSource(c.Config, c.Source, os.LookupEnv, set)
		switch {
		case err != nil:
			return nil, usagef("the configuration has problems:\n%w", err)
		case !found:
			return nil, usagef("there is no source %q in the configuration", c.Source)
		case source.Verifier != nil:
			return source.Verifier.Sign, nil
		}
	}
	signed, ok := adapter.(adapters.Signed)
	if !ok {
		if c.Key != "" {
			return nil, usagef("%s does not sign; see --config", c.Provider)
		}
		return func(r signature.Request) (signature.Request, error) { return r, nil }, nil
	}
	settings := signed.Signature()
	settings.Keys = nil
	if settings.PublicURL == "" && settings.Scheme == signature.SchemeTwilio {
		settings.PublicURL = strings.TrimSuffix(c.URL.String(), "/")
	}
	key, err := c.key(settings)
	if err != nil {
		return nil, err
	}
	sender, err := settings.NewSender(key.text)
	if err != nil {
		return nil, usagef("%s: %w", cmp.Or(c.Key, "the key"), err)
	}
	if key.made && c.Key != "" {
		if err := c.trust(adapter.Name(), sender, settings, hints); err != nil {
			return nil, err
		}
	}
	return sender.Sign, nil
}

type sendKey struct {
	text signature.Secret
	made bool
}

// key reads the key, or makes one.
func (c sendCommand) key(settings signature.Settings) (sendKey, error) {
	if c.Key != "" {
		text, err := os.ReadFile(c.Key)
		if err == nil {
			return sendKey{text: signature.Secret(strings.TrimSpace(string(text)))}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return sendKey{}, err
		}
	}
	text, err := settings.MakeKey()
	if err == nil && c.Key != "" {
		err = os.WriteFile(c.Key, []byte(string(text)), 0o600)
	}
	return sendKey{text: text, made: true}, err
}

// trust says how a source comes to trust a new key.
func (c sendCommand) trust(adapter string, sender *signature.Sender, settings signature.Settings, hints io.Writer) error {
	place := "secret: {file: " + c.Key + "}"
	if settings.Scheme == signature.SchemeRSA || settings.Scheme == signature.SchemeEd25519 {
		file := c.Key + ".pub"
		if err := os.WriteFile(file, []byte(string(sender.Trusted())), 0o600); err != nil {
			return err
		}
		place = "keys: [{file: " + file + "}]"
	}
	address := ""
	if settings.PublicURL != "" {
		address = "public_url: " + settings.PublicURL + "\n"
	}
	_, err := fmt.Fprintf(hints, `made %s; a configuration of the server that trusts it:

%ssources:
  - name: %s
    adapter: %s
    provider: %s
    verification: {scheme: provider, %s}

`, c.Key, address, c.Source, adapter, c.Provider, place)
	return err
}

// most is how many bytes of an answer are shown.
const most = 64 << 10

// send posts one delivery, and tells whether the server took it.
func (c sendCommand) send(ctx context.Context, sign func(signature.Request) (signature.Request, error), d adapters.Delivery, streams streams) (bool, error) {
	method := http.MethodPost
	if len(d.Body) == 0 && d.Query != "" {
		method = http.MethodGet
	}
	source, event := "/v1/webhooks/"+url.PathEscape(c.Source), ""
	if d.Event != "" {
		event = "/" + url.PathEscape(d.Event)
	}
	sealed, err := sign(signature.Request{
		Method: method, Path: source + event, Query: d.Query, Header: d.Header.Clone(), Body: d.Body, Time: time.Now(),
	})
	if err != nil {
		if c.Key != "" || c.Config != "" {
			return false, &unsignedError{err}
		}
		sealed = signature.Request{Query: d.Query, Header: d.Header.Clone()} // a source that is unverified takes it
	}
	address := strings.TrimRight(c.URL.String(), "/") + source
	if sealed.Token != "" {
		address += "/" + url.PathEscape(sealed.Token)
	}
	if address += event; sealed.Query != "" {
		address += "?" + sealed.Query
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(d.Body))
	if err != nil {
		return false, err
	}
	request.Header = sealed.Header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return false, err
	}
	_, _ = fmt.Fprintf(streams.err, "%s %s%s with %d bytes: %s\n", method, source, event, len(d.Body), response.Status)
	if _, err := fmt.Fprintf(streams.out, "%s\n", bytes.TrimSpace(answer)); err != nil {
		return false, err
	}
	if response.StatusCode == http.StatusUnauthorized {
		_, _ = fmt.Fprintf(streams.err, "The source %s trusts another key: sign with that by --key or --config.\n", c.Source)
	}
	return response.StatusCode == http.StatusOK, nil
}
