package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/address"
	"github.com/mattn/go-isatty"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type deleteCommand struct {
	Call    deleteCallCommand    `cmd:"" help:"Delete one call: its outcome in all revisions, and its deliveries."`
	Contact deleteContactCommand `cmd:"" help:"Delete every call that speaks of a telephone number or an e-mail address."`
}

// consent is how a command that deletes is told to go on.
type consent struct {
	DryRun bool `name:"dry-run" help:"Tell what would be deleted, and delete nothing."`
	Yes    bool `help:"Delete without asking."`
}

var errNotDeleted = errors.New("nothing was deleted")

// over asks whether to delete what look counts, and deletes it.
func (c consent) over(streams streams, look, do func() (string, error)) error {
	if !c.DryRun && !c.Yes && !isTerminal(streams.in) {
		return usagef("there is no terminal to ask at: say --dry-run to see what would be deleted, or --yes to delete it")
	}
	if c.DryRun || !c.Yes {
		text, err := look()
		if err != nil {
			return err
		}
		if c.DryRun {
			_, err := fmt.Fprintln(streams.out, "would be deleted:", text)
			return err
		}
		if !agreed(streams, text) {
			return errNotDeleted
		}
	}
	text, err := do()
	switch status.Code(err) {
	case codes.OK:
		_, err := fmt.Fprintln(streams.out, "deleted:", text)
		return err
	case codes.Unavailable, codes.DeadlineExceeded:
		return fmt.Errorf("not all of it may be deleted; the same command goes on where it was: %w", err)
	default:
		return err
	}
}

// agreed asks. Whatever is not yes is no.
func agreed(streams streams, text string) bool {
	_, _ = fmt.Fprintf(streams.err, "This deletes %s, for ever.\nGo on? [y/N] ", text)
	answer, _ := bufio.NewReader(streams.in).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true
	default:
		return false
	}
}

func isTerminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

type deleteCallCommand struct {
	connection
	outcomeKey
	consent
}

// Help shows examples.
func (deleteCallCommand) Help() string {
	return `Deletes what is known of one call. Streams tell of it by a last revision with cause DELETED, and a late repetition of a delivery
brings nothing back. A delivery that speaks of several calls goes as a whole; what it said of the others stays in their outcomes.

Examples:

  callnorm delete call outcomes/66iatsrfwrsutodugdfc52oxzy --dry-run
  callnorm delete call --provider-call-id 1711646262471x768387119913843100 --provider anunzi`
}

// Run deletes.
func (c deleteCallCommand) Run(ctx context.Context, streams streams) error {
	request, err := c.toDelete()
	if err != nil {
		return err
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	client := callnormv1.NewPrivacyServiceClient(conn)
	remove := func(validateOnly bool) func() (string, error) {
		return func() (string, error) {
			request.ValidateOnly = validateOnly
			response, err := client.DeleteCall(ctx, request)
			if err != nil {
				return "", err
			}
			// What the user has seen is what is deleted.
			request.Key = &callnormv1.DeleteCallRequest_Name{Name: response.GetName()}
			return fmt.Sprintf("%s, revisions: %d, deliveries: %d", response.GetName(), response.GetRevisionCount(), response.GetDeliveryCount()), nil
		}
	}
	return c.over(streams, remove(true), remove(false))
}

func (c deleteCallCommand) toDelete() (*callnormv1.DeleteCallRequest, error) {
	named, err := c.request()
	if err != nil {
		return nil, err
	}
	request := &callnormv1.DeleteCallRequest{Provider: named.GetProvider(), Source: named.GetSource()}
	switch key := named.GetKey().(type) {
	case *callnormv1.GetOutcomeRequest_Name:
		request.Key = &callnormv1.DeleteCallRequest_Name{Name: key.Name}
	case *callnormv1.GetOutcomeRequest_ProviderCallId:
		request.Key = &callnormv1.DeleteCallRequest_ProviderCallId{ProviderCallId: key.ProviderCallId}
	case *callnormv1.GetOutcomeRequest_ExternalId:
		request.Key = &callnormv1.DeleteCallRequest_ExternalId{ExternalId: key.ExternalId}
	}
	return request, nil
}

type deleteContactCommand struct {
	connection
	consent

	// Address is a list, since kong would repeat a second one in its error.
	Address []string `arg:"" placeholder:"ADDRESS" help:"Telephone number, as in +442079460123, or e-mail address."`
}

// Help shows examples.
func (deleteContactCommand) Help() string {
	return `Deletes every call that speaks of an address, in whatever part, and the deliveries that mention it. A number of your own, from which
many calls are made, is no contact's: see with --dry-run how much would go.

Examples:

  callnorm delete contact +442079460123 --dry-run
  callnorm delete contact jo@example.com --yes`
}

// Run deletes. The address is not printed anywhere.
func (c deleteContactCommand) Run(ctx context.Context, streams streams) error {
	if len(c.Address) != 1 {
		return usagef("name one address; one with blanks takes quotes")
	}
	contact, err := address.Parse(c.Address[0])
	if err != nil {
		return usagef("the address is %w", err)
	}
	request := &callnormv1.DeleteContactRequest{Contact: &callnormv1.DeleteContactRequest_Email{Email: contact}}
	if strings.HasPrefix(contact, "+") {
		request.Contact = &callnormv1.DeleteContactRequest_PhoneNumber{PhoneNumber: contact}
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	client := callnormv1.NewPrivacyServiceClient(conn)
	remove := func(validateOnly bool) func() (string, error) {
		return func() (string, error) {
			request.ValidateOnly = validateOnly
			response, err := client.DeleteContact(ctx, request)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("calls: %d, revisions: %d, deliveries: %d",
				response.GetOutcomeCount(), response.GetRevisionCount(), response.GetDeliveryCount()), nil
		}
	}
	return c.over(streams, remove(true), remove(false))
}
