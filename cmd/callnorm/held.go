package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// held has the server verify what it refused and held, or show it, or drop it.
func (c verifyCommand) held(ctx context.Context, streams streams) error {
	if c.Save != "" && c.Discard {
		return usagef("take --save or --discard")
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	client := callnormv1.NewSourceServiceClient(conn)
	switch {
	case c.Save != "":
		return c.save(ctx, client, streams)
	case c.Discard:
		response, err := client.DiscardHeldRequests(ctx, &callnormv1.DiscardHeldRequestsRequest{Source: c.Source})
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(streams.out, "dropped: %d\n", response.GetDiscardedCount())
		return nil
	}
	return c.again(ctx, client, streams)
}

// again has them verified again.
func (c verifyCommand) again(ctx context.Context, client callnormv1.SourceServiceClient, streams streams) error {
	var accepted, duplicates, unreadable int64
	refused := make(map[callnormv1.RejectionCause]int64)
	request := &callnormv1.VerifyHeldRequestsRequest{Source: c.Source}
	for {
		response, err := client.VerifyHeldRequests(ctx, request)
		if err != nil {
			return err
		}
		accepted += response.GetAcceptedCount()
		duplicates += response.GetDuplicateCount()
		unreadable += response.GetUnreadableCount()
		for _, still := range response.GetRejections() {
			refused[still.GetCause()] += still.GetCount()
		}
		if request.PageToken = response.GetNextPageToken(); request.GetPageToken() == "" {
			break
		}
	}
	_, _ = fmt.Fprintf(streams.out, "taken in: %d, of them kept before: %d\n", accepted, duplicates)
	for number := range int32(len(callnormv1.RejectionCause_name)) {
		if cause := callnormv1.RejectionCause(number); refused[cause] > 0 {
			_, _ = fmt.Fprintf(streams.out, "still refused, %s: %d\n", word(cause, "REJECTION_CAUSE_"), refused[cause])
		}
	}
	if unreadable > 0 {
		_, _ = fmt.Fprintf(streams.out, "not decrypted, since the hold key is another: %d\n", unreadable)
	}
	if len(refused) > 0 || unreadable > 0 {
		return &incompleteError{}
	}
	return nil
}

// save writes each request into a file of its own, which nobody else may read.
func (c verifyCommand) save(ctx context.Context, client callnormv1.SourceServiceClient, streams streams) error {
	if err := os.MkdirAll(c.Save, 0o700); err != nil {
		return &usageError{err}
	}
	request := &callnormv1.ListHeldRequestsRequest{Source: c.Source}
	for saved := 0; ; {
		page, err := client.ListHeldRequests(ctx, request)
		if err != nil {
			return err
		}
		for _, held := range page.GetRequests() {
			if held.GetUnreadable() {
				_, _ = fmt.Fprintln(streams.err, "one cannot be decrypted: the hold key is another")
				continue
			}
			saved++
			at := held.GetReceiveTime().AsTime().UTC().Format("20060102T150405.000000Z")
			name := filepath.Join(c.Save, fmt.Sprintf("%s-%s-%d.http", c.Source, at, saved))
			if err := os.WriteFile(name, httpText(held.GetMethod(), held.GetPath(), held.GetQuery(), held.GetHeaders(), held.GetBody()), 0o600); err != nil {
				return err
			}
			_, _ = fmt.Fprintf(streams.out, "%s: %s\n", name, word(held.GetCause(), "REJECTION_CAUSE_"))
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			return nil
		}
	}
}
