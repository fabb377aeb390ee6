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
	// usage is by how many bytes more, or less, is kept of sources.
	usage map[string]int64
	// trimmed and oldest are what a trim has moved.
	trimmed map[string]horizon
	oldest  int64
	// fresh are the deliveries that can be found by their ids from now on, or with the number gone no longer, and calls the outcomes that
	// can be by their call ids. indexed tells that nothing is fresh any more.
	fresh   map[store.DeliveryID]int64
	calls   []freshCall
	indexed bool
	// after is done when the transaction is committed. Its error is the request's.
	after func(context.Context) error
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
	for source, bytes := range t.usage {
		if err := t.exec(ctx, t.addUsage, source, bytes); err != nil {
			return fmt.Errorf("write usage: %w", err)
		}
	}
	h := t.head
	return t.exec(ctx, t.updateHead, h.position, int64(h.entry), h.time, h.delivery, h.contribution, int64(h.checksum()))
}

// use counts bytes that are kept, or with a minus no longer.
func (t *transaction) use(source string, bytes int64) {
	if bytes == 0 {
		return
	}
	if t.usage == nil {
		t.usage = map[string]int64{}
	}
	t.usage[source] += bytes
}

// keep keeps a delivery and what it says.
func (t *transaction) keep(ctx context.Context, row deliveryRow, said *saying) (store.Receipt, error) {
	switch kept, err := t.readDelivery(ctx, row.id); {
	case err == nil:
		receipt, err := t.repeat(ctx, kept)
		return receipt, ownReadError(err)
	case errors.Is(err, errGone):
		return store.Receipt{Delivery: row.id, Duplicate: true, Gone: true}, nil
	case !errors.Is(err, sql.ErrNoRows):
		return store.Receipt{}, ownReadError(err)
	}
	changes, err := t.foldAll(ctx, said, said.outcomes)
	if err != nil {
		return store.Receipt{}, ownReadError(err)
	}
	return t.write(ctx, row, said, changes)
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
	row   outcomeRow // as it was, zero but for the id when the outcome is new
	known bool
	// gone tells that the outcome was deleted: what is said about it is dropped.
	gone      bool
	revision  store.Revision
	addresses []byte
}

// foldAll folds outcomes that a delivery contributes to, or has contributed to.
func (t *transaction) foldAll(ctx context.Context, said *saying, outcomes []*contributed) ([]change, error) {
	changes := make([]change, len(outcomes))
	for i, o := range outcomes {
		c, err := t.fold(ctx, said, o)
		if err != nil {
			return nil, err
		}
		changes[i] = c
	}
	return changes, nil
}

// fold reads an outcome and turns it into its next revision.
func (t *transaction) fold(ctx context.Context, said *saying, o *contributed) (change, error) {
	c := change{row: outcomeRow{id: o.id}, addresses: o.addresses}
	call := store.Call{Outcome: o.id}
	switch row, err := t.readOutcome(ctx, o.id); {
	case err == nil && row.deleted:
		c.row, c.known, c.gone = row, true, true
		return c, nil
	case err == nil:
		c.row, c.known = row, true
		chain, err := t.readChain(ctx, o.id, row.contribution)
		if err != nil {
			return change{}, err
		}
		others := slices.DeleteFunc(counting(chain), func(r contributionRow) bool { return said.anew && r.delivery == said.delivery })
		for _, other := range others {
			c.addresses = uniteAddresses(c.addresses, other.addresses)
		}
		if call.Contributions, err = openAll(t.packer, others); err != nil {
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
	call.Contributions = append(call.Contributions, o.contributions...)
	revision, err := t.guard(said.fold, call)
	if err != nil {
		return change{}, err
	}
	if revision.Redundant && revision.Body == nil {
		c.addresses = c.row.addresses
	}
	c.revision = revision
	return c, nil
}

// guard calls fold. Its error is the request's.
func (t *transaction) guard(fold store.Fold, call store.Call) (store.Revision, error) {
	call.Time = time.UnixMicro(t.head.time).UTC()
	revision, err := guard(fold, call)
	if err != nil {
		return store.Revision{}, requestError{fmt.Errorf("%w: outcome %s: %w", store.ErrFold, call.Outcome, err)}
	}
	return revision, nil
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
func (t *transaction) write(ctx context.Context, d deliveryRow, said *saying, changes []change) (store.Receipt, error) {
	t.deliveries++
	rows := telling(said.rows, changes)
	if slices.ContainsFunc(changes, func(c change) bool { return c.gone }) {
		if err := t.keepID(ctx, d.id); err != nil {
			return store.Receipt{}, err
		}
		outcomes, err := t.contribute(ctx, rows, changes)
		return store.Receipt{Delivery: d.id, Gone: true, Outcomes: outcomes}, err
	}
	t.head.delivery++
	d.seq, d.firstContribution, d.contributions = t.head.delivery, t.head.contribution+1, int64(len(rows))
	if err := t.exec(ctx, t.insertDelivery, d.values()...); err != nil {
		return store.Receipt{}, fmt.Errorf("write delivery: %w", err)
	}
	t.remember(d.id, d.seq)
	t.use(d.delivery.Source, d.size())
	outcomes, err := t.contribute(ctx, rows, changes)
	if err != nil {
		return store.Receipt{}, err
	}
	return store.Receipt{Delivery: d.id, State: d.delivery.State, Report: d.delivery.Report, Outcomes: outcomes}, nil
}

// telling returns the contributions that are to be kept: those that add something to an outcome that is there.
func telling(rows []contributionRow, changes []change) []contributionRow {
	dropped := make(map[store.OutcomeID]bool)
	for _, c := range changes {
		if c.gone || c.revision.Redundant && c.revision.Body == nil {
			dropped[c.row.id] = true
		}
	}
	if len(dropped) == 0 {
		return rows
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r contributionRow) bool { return dropped[r.outcome] })
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
		row.fixed = row.fixedChecksum()
		last[row.outcome] = row.id
		if err := t.exec(ctx, t.insertContribution, row.values()...); err != nil {
			return nil, fmt.Errorf("write contribution: %w", err)
		}
		t.use(row.source, int64(len(row.body)))
	}
	outcomes := make([]store.ReceiptOutcome, 0, len(changes))
	for _, c := range changes {
		if c.gone {
			continue
		}
		row := c.row
		row.contribution = last[row.id]
		row.addresses = c.addresses
		if c.revision.Body != nil {
			if err := t.revise(ctx, &row, c.revision, revised); err != nil {
				return nil, err
			}
		}
		if err := t.putOutcome(ctx, c.known, &c.row, &row); err != nil {
			return nil, err
		}
		outcomes = append(outcomes, store.ReceiptOutcome{
			Outcome: row.id, Revision: row.revision, Changed: c.revision.Body != nil,
		})
	}
	return outcomes, nil
}

// putOutcome writes the row of an outcome, and brings what it is found by up to it.
func (t *transaction) putOutcome(ctx context.Context, known bool, was, is *outcomeRow) error {
	if err := t.replaceExternalIDs(ctx, was, is); err != nil {
		return err
	}
	if err := t.replaceAddresses(ctx, was, is); err != nil {
		return err
	}
	if is.providerCallID != "" && is.providerCallID != was.providerCallID {
		t.calls = append(t.calls, freshCall{is.providerCallID, is.id})
	}
	statement := t.insertOutcome
	if known {
		statement = t.updateOutcome
	}
	if err := t.exec(ctx, statement, is.values()...); err != nil {
		return fmt.Errorf("write outcome: %w", err)
	}
	return nil
}

// revise writes a revision at the end of the log, and changes the outcome's row.
func (t *transaction) revise(ctx context.Context, row *outcomeRow, revision store.Revision, kind int64) error {
	t.head.position++
	t.revisions++
	entry := entryRow{
		position:     t.head.position,
		outcome:      row.id,
		revision:     row.revision + 1,
		time:         t.head.time,
		status:       revision.Status,
		completeness: revision.Completeness,
		provider:     revision.Provider,
		source:       revision.Source,
		body:         revision.Body,
		previous:     row.position,
		kind:         kind,
	}
	row.revision, row.position = entry.revision, entry.position
	if row.firstPosition == 0 {
		row.firstPosition = row.position
	}
	row.providerCallID = revision.ProviderCallID
	row.externalIDs = packExternalIDs(revision.ExternalIDs)
	row.listed = listing{
		time: t.head.time, provider: revision.Provider, source: revision.Source, status: revision.Status,
		completeness: revision.Completeness, disposition: revision.Disposition, doNotCall: revision.DoNotCall,
	}
	if !revision.Time.IsZero() {
		row.listed.time = revision.Time.UnixMicro()
	}
	row.due = 0
	if !revision.Due.IsZero() {
		row.due = revision.Due.UnixMicro()
	}
	t.head.entry = entry.checksum()
	if err := t.exec(ctx, t.insertEntry, entry.values(t.head.entry)...); err != nil {
		return fmt.Errorf("write entry: %w", err)
	}
	t.use(entry.source, int64(len(entry.body)))
	return nil
}

// replaceExternalIDs brings the index of external ids from what an outcome's row was to what it is. It touches only what differs:
// most revisions have the ids of the one before.
func (t *transaction) replaceExternalIDs(ctx context.Context, was, is *outcomeRow) error {
	moved := was.firstPosition != is.firstPosition
	if !moved && slices.Equal(was.externalIDs, is.externalIDs) {
		return nil
	}
	before, err := was.unpackExternalIDs()
	if err != nil {
		return err
	}
	now, err := is.unpackExternalIDs()
	if err != nil {
		return err
	}
	for _, id := range before {
		if moved || !slices.Contains(now, id) {
			if err := t.exec(ctx, t.deleteExternalID, id.System, id.ID, was.firstPosition); err != nil {
				return fmt.Errorf("delete external id: %w", err)
			}
		}
	}
	for _, id := range now {
		if moved || !slices.Contains(before, id) {
			if err := t.exec(ctx, t.insertExternalID, id.System, id.ID, is.firstPosition, is.id[:]); err != nil {
				return fmt.Errorf("write external id: %w", err)
			}
		}
	}
	return nil
}
