package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

// transaction is one transaction of the committer. head is where the store will end when it is committed.
type transaction struct {
	*committer
	now                   int64
	head                  headRow
	wrote                 bool
	deliveries, revisions int
}

// requestError is an error of one request, which has written nothing: the others of its group go on.
type requestError struct{ error }

func (e requestError) Unwrap() error { return e.error }

func (t *transaction) run(ctx context.Context, body func(context.Context, *transaction) error) error {
	if _, err := t.begin.ExecContext(ctx); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	// Read anew each time: after a failure nobody knows better than the database.
	head, err := t.readHead(ctx)
	if err != nil {
		return err
	}
	t.head = head
	t.head.time = max(head.time, t.now)
	if err := body(ctx, t); err != nil {
		return err
	}
	if _, err := t.commit.ExecContext(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (t *transaction) exec(ctx context.Context, statement *sql.Stmt, args ...any) error {
	t.wrote = true
	_, err := statement.ExecContext(ctx, args...)
	return err
}

func (t *transaction) writeHead(ctx context.Context) error {
	if !t.wrote {
		return nil
	}
	h := t.head
	return t.exec(ctx, t.updateHead, h.position, int64(h.entry), h.time, h.delivery, h.contribution, int64(h.checksum()))
}

// keep keeps one request. All reading and folding comes before the first write, so that a request that fails leaves
// nothing to undo.
func (t *transaction) keep(ctx context.Context, r *request) (store.Receipt, error) {
	switch kept, err := t.readDelivery(ctx, r.delivery.id); {
	case err == nil && r.understanding != nil:
		return t.renormalize(ctx, r, kept)
	case err == nil:
		receipt, err := t.repeat(ctx, kept)
		return receipt, ownReadError(err)
	case !errors.Is(err, sql.ErrNoRows):
		return store.Receipt{}, ownReadError(err)
	case r.understanding != nil:
		return store.Receipt{}, requestError{store.ErrNotFound}
	}
	changes, err := t.foldAll(ctx, r, r.outcomes)
	if err != nil {
		return store.Receipt{}, ownReadError(err)
	}
	return t.write(ctx, r, changes)
}

// ownReadError makes a corrupt row the error of the request that needs it. Any other failure to read concerns all.
func ownReadError(err error) error {
	if _, ok := errors.AsType[requestError](err); ok || err == nil {
		return err
	}
	if explained := explain(err); errors.Is(explained, store.ErrCorrupt) {
		return requestError{explained}
	}
	return err
}

// repeat returns the receipt of a delivery that was kept before.
func (t *transaction) repeat(ctx context.Context, kept deliveryRow) (store.Receipt, error) {
	receipt := store.Receipt{
		Delivery:  kept.id,
		Duplicate: true,
		State:     kept.delivery.State,
		Report:    kept.delivery.Report,
	}
	contributions, err := t.readContributionsOf(ctx, kept)
	if err != nil {
		return store.Receipt{}, err
	}
	for _, id := range outcomesOf(contributions) {
		row, err := t.readOutcome(ctx, id)
		if errors.Is(err, sql.ErrNoRows) {
			err = corrupt("outcomes", id, "row is missing")
		}
		if err != nil {
			return store.Receipt{}, err
		}
		receipt.Outcomes = append(receipt.Outcomes, store.ReceiptOutcome{Outcome: id, Revision: row.revision})
	}
	return receipt, nil
}

// readContributionsOf returns the contributions of a delivery that count, in the order of their items.
func (t *transaction) readContributionsOf(ctx context.Context, d deliveryRow) (contributions []contributionRow, err error) {
	rows, err := t.contributionsOf.QueryContext(ctx, d.firstContribution, d.firstContribution+d.contributions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		c, err := scanContribution(rows)
		if err != nil {
			return nil, err
		}
		if c.delivery != d.id || c.encoding == superseded {
			return nil, corrupt("contributions", c.id, "it is not what the delivery contributes")
		}
		contributions = append(contributions, c)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if int64(len(contributions)) != d.contributions {
		return nil, corrupt("deliveries", d.seq, "contributions are missing")
	}
	return contributions, nil
}

// outcomesOf returns the outcomes of a delivery by the first item that contributes to them.
func outcomesOf(contributions []contributionRow) (outcomes []store.OutcomeID) {
	for _, c := range contributions {
		if !slices.Contains(outcomes, c.outcome) {
			outcomes = append(outcomes, c.outcome)
		}
	}
	return outcomes
}

// change is what a request will do to one outcome.
type change struct {
	row      outcomeRow // as it was, zero but for the id when the outcome is new
	known    bool
	revision store.Revision
}

// foldAll folds outcomes that a request contributes to, or has contributed to.
func (t *transaction) foldAll(ctx context.Context, r *request, outcomes []*contributed) ([]change, error) {
	changes := make([]change, len(outcomes))
	for i, o := range outcomes {
		c, err := t.fold(ctx, r, o)
		if err != nil {
			return nil, err
		}
		changes[i] = c
	}
	return changes, nil
}

// fold reads an outcome and turns it into its next revision.
func (t *transaction) fold(ctx context.Context, r *request, o *contributed) (change, error) {
	c := change{row: outcomeRow{id: o.id, externalIDs: []byte{}}}
	call := store.Call{Outcome: o.id, Time: time.UnixMicro(t.head.time).UTC()}
	switch row, err := t.readOutcome(ctx, o.id); {
	case err == nil:
		c.row, c.known = row, true
		if call.Contributions, err = t.readContributions(ctx, o.id, row.contribution); err != nil {
			return change{}, err
		}
		if row.revision > 0 {
			current, err := t.readNewest(ctx, row)
			if err != nil {
				return change{}, err
			}
			call.Current = &current
		}
	case !errors.Is(err, sql.ErrNoRows):
		return change{}, err
	}
	if r.understanding != nil {
		call.Contributions = slices.DeleteFunc(call.Contributions, func(c store.KeptContribution) bool {
			return c.Delivery == r.delivery.id
		})
	}
	call.Contributions = append(call.Contributions, o.contributions...)
	revision, err := guard(r.fold, call)
	if err != nil {
		return change{}, requestError{fmt.Errorf("%w: outcome %s: %w", store.ErrFold, o.id, err)}
	}
	c.revision = revision
	return c, nil
}

// guard calls fold and turns a panic into an error. What was panicked with is told only when it comes from the runtime:
// anything else may quote a caller's data.
func guard(fold store.Fold, call store.Call) (_ store.Revision, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case runtime.Error:
			err = fmt.Errorf("panic: %w", p)
		default:
			err = fmt.Errorf("panic with a %T", p)
		}
	}()
	return fold(call)
}

// write writes a delivery, its contributions and its revisions. An error here fails the whole transaction.
func (t *transaction) write(ctx context.Context, r *request, changes []change) (store.Receipt, error) {
	d := &r.delivery
	t.head.delivery++
	t.deliveries++
	d.seq, d.firstContribution, d.contributions = t.head.delivery, t.head.contribution+1, int64(len(r.rows))
	if err := t.exec(ctx, t.insertDeliveryID, d.id[:], d.seq); err != nil {
		return store.Receipt{}, fmt.Errorf("write delivery id: %w", err)
	}
	if err := t.exec(ctx, t.insertDelivery, d.values()...); err != nil {
		return store.Receipt{}, fmt.Errorf("write delivery: %w", err)
	}
	outcomes, err := t.contribute(ctx, r.rows, changes)
	if err != nil {
		return store.Receipt{}, err
	}
	return store.Receipt{Delivery: d.id, State: d.delivery.State, Report: d.delivery.Report, Outcomes: outcomes}, nil
}

// contribute writes contributions and the revisions that they cause.
func (t *transaction) contribute(ctx context.Context, rows []contributionRow, changes []change) ([]store.ReceiptOutcome, error) {
	last := make(map[store.OutcomeID]int64, len(changes))
	for _, c := range changes {
		last[c.row.id] = c.row.contribution
	}
	for i := range rows {
		row := &rows[i]
		t.head.contribution++
		row.id, row.previous = t.head.contribution, last[row.outcome]
		last[row.outcome] = row.id
		if err := t.exec(ctx, t.insertContribution, row.values()...); err != nil {
			return nil, fmt.Errorf("write contribution: %w", err)
		}
	}
	outcomes := make([]store.ReceiptOutcome, 0, len(changes))
	for _, c := range changes {
		row := c.row
		row.contribution = last[row.id]
		if c.revision.Body != nil {
			if err := t.revise(ctx, &row, c.revision); err != nil {
				return nil, err
			}
		}
		statement := t.insertOutcome
		if c.known {
			statement = t.updateOutcome
		}
		if err := t.exec(ctx, statement, row.revision, row.position, row.firstPosition, row.contribution,
			int64(row.checksum()), row.providerCallID, row.externalIDs, row.id[:]); err != nil {
			return nil, fmt.Errorf("write outcome: %w", err)
		}
		outcomes = append(outcomes, store.ReceiptOutcome{
			Outcome: row.id, Revision: row.revision, Changed: c.revision.Body != nil,
		})
	}
	return outcomes, nil
}

// revise writes a revision at the end of the log, and brings the outcome's row and external ids up to it.
func (t *transaction) revise(ctx context.Context, row *outcomeRow, revision store.Revision) error {
	t.head.position++
	t.revisions++
	row.revision++
	row.position = t.head.position
	if row.firstPosition == 0 {
		row.firstPosition = row.position
	}
	row.providerCallID = revision.ProviderCallID
	if err := t.replaceExternalIDs(ctx, row, packExternalIDs(revision.ExternalIDs)); err != nil {
		return err
	}
	entry := entryRow{
		position:     row.position,
		outcome:      row.id,
		revision:     row.revision,
		time:         t.head.time,
		status:       revision.Status,
		completeness: revision.Completeness,
		provider:     revision.Provider,
		source:       revision.Source,
		body:         revision.Body,
	}
	t.head.entry = entry.checksum()
	if err := t.exec(ctx, t.insertEntry, entry.values(t.head.entry)...); err != nil {
		return fmt.Errorf("write entry: %w", err)
	}
	return nil
}

// replaceExternalIDs touches only what differs: most revisions have the ids of the one before.
func (t *transaction) replaceExternalIDs(ctx context.Context, row *outcomeRow, packed []byte) error {
	if slices.Equal(row.externalIDs, packed) {
		return nil
	}
	before, err := row.unpackExternalIDs()
	if err != nil {
		return err
	}
	row.externalIDs = packed
	now, err := row.unpackExternalIDs()
	if err != nil {
		return err
	}
	for _, id := range before {
		if !slices.Contains(now, id) {
			if err := t.exec(ctx, t.deleteExternalID, id.System, id.ID, row.firstPosition); err != nil {
				return fmt.Errorf("delete external id: %w", err)
			}
		}
	}
	for _, id := range now {
		if !slices.Contains(before, id) {
			if err := t.exec(ctx, t.insertExternalID, id.System, id.ID, row.firstPosition, row.id[:]); err != nil {
				return fmt.Errorf("write external id: %w", err)
			}
		}
	}
	return nil
}
