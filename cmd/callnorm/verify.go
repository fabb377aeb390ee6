package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/cmd/callnorm/config"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/server"
	"github.com/callnorm/callnorm/server/bounds"
)

type verifyCommand struct {
	connection

	Config  string    `env:"CALLNORM_CONFIG" placeholder:"FILE" help:"Configuration file in YAML, with the source."`
	Source  string    `required:"" placeholder:"NAME" help:"Name of the source."`
	Request string    `placeholder:"FILE" help:"A saved HTTP request, or - for standard input." xor:"what" required:""`
	At      time.Time `placeholder:"TIME" help:"When the request was received, as 2026-11-21T14:02:00Z (now)."`
	Held    bool      `help:"Have the server verify the requests of this source again that it refused and held." xor:"what" required:""`
	Save    string    `placeholder:"DIR" help:"With --held: only write them into files there, one each, for --request."`
	Discard bool      `help:"With --held: drop them."`
}

// Help shows examples.
func (verifyCommand) Help() string {
	return `With --request, explains without a server whether a saved request is genuine: what was signed, what signature each secret
makes of that, and what probably is wrong. What it prints holds the body and valid signatures: keep it to yourself.
The file holds the request line, the header, an empty line and the body as it is; callnorm quarantine show and most proxies
write one. Exits with 0 when the request is genuine, with 1 otherwise.

With --held, a running server verifies refused requests again, with its secrets of now, and takes in those that pass. What it
holds can also be saved, to be explained, or be dropped. Beyond loopback this takes the token of a reader who may operate.

Examples:

  callnorm verify --config callnorm.yaml --source sales-calls --request saved.http
  callnorm verify --config callnorm.yaml --source sales-calls --request saved.http --at 2026-11-21T14:02:00Z
  callnorm verify --held --source sales-calls
  callnorm verify --held --source sales-calls --save refused`
}

// Run explains, or verifies again.
func (c verifyCommand) Run(ctx context.Context, set *adapters.Set, streams streams) error {
	switch {
	case c.Held:
		return c.held(ctx, streams)
	case c.Save != "" || c.Discard:
		return usagef("--save and --discard belong to --held")
	}
	source, found, err := config.LoadSource(c.Config, c.Source, os.LookupEnv, set)
	switch {
	case err != nil:
		return usagef("the configuration has problems:\n%w", err)
	case !found:
		return usagef("there is no source %q in the configuration", c.Source)
	case source.Verifier == nil:
		return usagef("source %q has no verification: it takes deliveries from anybody", c.Source)
	}
	request, err := c.saved(ctx, source.Source, streams.in)
	if err != nil {
		return &usageError{err}
	}
	explained := intake.Explain(source.Source, request)
	if _, err := fmt.Fprintln(streams.out, strings.TrimRight(explained.String(), "\n")); err != nil {
		return err
	}
	if explained.Cause != "" {
		return &incompleteError{}
	}
	return nil
}

// saved reads a saved request.
func (c verifyCommand) saved(ctx context.Context, source intake.Source, stdin io.Reader) (intake.Request, error) {
	var text []byte
	var err error
	if c.Request == "-" {
		text, err = io.ReadAll(stdin)
	} else {
		text, err = os.ReadFile(c.Request)
	}
	if err != nil {
		return intake.Request{}, err
	}
	reader := bufio.NewReader(bytes.NewReader(text))
	head := textproto.NewReader(reader)
	line, err := head.ReadLine()
	if err != nil {
		return intake.Request{}, fmt.Errorf("%s is empty", c.Request)
	}
	method, rest, _ := strings.Cut(line, " ")
	target, _, _ := strings.Cut(rest, " ")
	address, err := url.ParseRequestURI(target)
	if err != nil || method == "" {
		return intake.Request{}, fmt.Errorf("%s does not begin with a request line, such as POST /v1/webhooks/%s HTTP/1.1", c.Request, source.Name)
	}
	header, err := head.ReadMIMEHeader()
	if err != nil {
		return intake.Request{}, fmt.Errorf("%s has no header that ends with an empty line: %w", c.Request, err)
	}
	body, err := io.ReadAll(reader)
	if err != nil {
		return intake.Request{}, err
	}
	request, err := server.RequestAt(source, method, address.EscapedPath(), address.RawQuery, http.Header(header))
	if err != nil {
		return intake.Request{}, err
	}
	request.Body, request.ReceiveTime = body, c.At
	if c.At.IsZero() {
		request.ReceiveTime = time.Now()
	}
	if request.Encoded() {
		request.Wire = body
		if request.Body, err = bounds.Inflate(ctx, body, request.Header, bounds.BodyLimits{Max: source.MaxBody}); err != nil {
			return intake.Request{}, err
		}
	}
	return request, nil
}
