package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/cmd/callnorm/config"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/internal/store/sqlite"
	"github.com/callnorm/callnorm/server"
)

// deep looks at a data directory itself.
func (c doctorCommand) deep(ctx context.Context, set *adapters.Set, streams streams) error {
	dir, err := c.path()
	if err != nil {
		return err
	}
	found := 0
	report := func(message, advice string) {
		found++
		_ = c.print(streams, &callnormv1.Finding{ // to a pipe that nobody reads
			Severity: callnormv1.Severity_SEVERITY_ERROR, Kind: callnormv1.FindingKind_FINDING_KIND_STORE_DAMAGED, Message: message, Advice: advice,
		})
	}
	if loss := sqlite.FindLoss(ctx, dir); loss != nil {
		report(loss.Error(), "look for the journal of the database, callnorm.db-wal, before anything is started on it; otherwise hand in again what came since, "+
			"with callnorm import or from the providers")
	}
	checked, err := sqlite.Check(ctx, dir, func(broken error) { report(broken.Error(), "") })
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !errors.Is(err, store.ErrCorrupt):
		report("the store cannot be read: "+err.Error(), "")
	case err != nil && checked.Broken == 0:
		report(err.Error(), "")
	}
	switch {
	case found == 0 && !c.JSON:
		_, _ = fmt.Fprintf(streams.out, "all is well: deliveries: %d, contributions: %d, outcomes: %d, revisions: %d\n",
			checked.Deliveries, checked.Contributions, checked.Outcomes, checked.Entries)
	case found > 0 && c.SalvageTo == "":
		_, _ = fmt.Fprintf(streams.err, "Nothing that is damaged is served. Restore a backup, or stop the server and save what is intact:\n"+
			"  callnorm doctor --deep --data-dir %s --salvage-to %s.new\n", dir, dir)
	}
	if c.SalvageTo != "" {
		lost, err := c.salvage(ctx, set, streams, dir)
		if err != nil {
			return err
		}
		found += lost
	}
	if found > 0 {
		return &incompleteError{}
	}
	return nil
}

// salvage makes a new data directory, and returns how much is lost.
func (c doctorCommand) salvage(ctx context.Context, set *adapters.Set, streams streams, dir string) (lost int, err error) {
	salvaging := sqlite.Salvaging{
		Now: time.Now, Describe: intake.Describe, Fold: intake.Renew,
		Report: func(what string) {
			lost++
			_, _ = fmt.Fprintln(streams.err, what)
		},
		Again: func(_ context.Context, _ *sqlite.Store, ids []store.DeliveryID) error {
			_, _ = fmt.Fprintln(streams.err, "without --config nobody knows how deliveries are to be normalized; when the new directory is served:")
			for _, id := range ids {
				_, _ = fmt.Fprintf(streams.err, "  callnorm renormalize deliveries/%s\n", id)
			}
			return nil
		},
	}
	if c.Config != "" {
		loaded, err := configuration{DataDir: c.DataDir, Config: c.Config}.load(set)
		if err != nil {
			return 0, err
		}
		for _, source := range loaded.Sources {
			salvaging.Sources = append(salvaging.Sources, source.Name)
		}
		salvaging.Again = func(ctx context.Context, made *sqlite.Store, ids []store.DeliveryID) error {
			return renormalizeIn(ctx, made, loaded, set, streams, ids)
		}
	}
	salvaged, err := sqlite.Salvage(ctx, dir, c.SalvageTo, salvaging)
	if err != nil {
		return 0, err
	}
	kept := salvaged.Kept
	_, _ = fmt.Fprintf(streams.out, "written: %s\nkept: deliveries: %d, contributions: %d, outcomes: %d, revisions: %d\n"+
		"lost: deliveries: %d, outcomes: %d, revisions: %d; outcomes with a new revision: %d, with an older one: %d; deliveries normalized again: %d\n",
		c.SalvageTo, kept.Deliveries, kept.Contributions, kept.Outcomes, kept.Entries,
		salvaged.Deliveries, salvaged.Outcomes, salvaged.Revisions, salvaged.Renewed, salvaged.Stale, salvaged.Again)
	return lost, nil
}

// renormalizeIn normalizes deliveries of a store that nobody serves.
func renormalizeIn(
	ctx context.Context, in *sqlite.Store, loaded *config.Config, set *adapters.Set, streams streams, ids []store.DeliveryID,
) (err error) {
	log := slog.New(slog.NewTextHandler(streams.err, nil))
	dir, err := os.MkdirTemp("", "callnorm-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// Nothing is refused here, but secrets are known by their fingerprints.
	book, err := rejection.Open(ctx, dir, rejection.Settings{Now: time.Now, Log: log})
	if err != nil {
		return err
	}
	defer closing(&err, "rejections", book)
	intake := intake.New(intake.Settings{
		Adapters: set, Store: in, Rejections: book, Observer: observer{server.NewMetrics(), log}, Now: time.Now,
	}, sourcesOf(loaded))
	for _, id := range ids {
		switch _, err := intake.Renormalize(ctx, id); {
		case ctx.Err() != nil, errors.Is(err, store.ErrUnavailable):
			return err
		case err != nil:
			_, _ = fmt.Fprintf(streams.err, "deliveries/%s is not normalized again: %v\n", id, err)
		}
	}
	return nil
}
