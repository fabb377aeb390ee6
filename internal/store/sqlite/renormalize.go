package sqlite

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/callnorm/callnorm/internal/store"
)

// renormalize replaces what a kept delivery says. As in keep, all reading and folding comes before the first write.
func (t *transaction) renormalize(ctx context.Context, r *request, kept deliveryRow) (store.Receipt, error) {
	before, err := t.readContributionsOf(ctx, kept)
	if err != nil {
		return store.Receipt{}, ownReadError(err)
	}
	switch same, err := t.saysAlready(kept, before, r); {
	case err != nil:
		return store.Receipt{}, ownReadError(err)
	case same:
		receipt, err := t.repeat(ctx, kept)
		return receipt, ownReadError(err)
	}
	outcomes := slices.Clone(r.outcomes)
	for _, id := range outcomesOf(before) {
		if !slices.ContainsFunc(outcomes, func(o *contributed) bool { return o.id == id }) {
			outcomes = append(outcomes, &contributed{id: id})
		}
	}
	changes, err := t.foldAll(ctx, r, outcomes)
	if err != nil {
		return store.Receipt{}, ownReadError(err)
	}
	for _, c := range changes[len(r.outcomes):] {
		if !c.known {
			return store.Receipt{}, ownReadError(corrupt("outcomes", c.row.id, "row is missing"))
		}
	}
	return t.rewrite(ctx, r, kept, before, changes)
}

// saysAlready tells whether a kept delivery says what it is to say.
func (t *transaction) saysAlready(kept deliveryRow, before []contributionRow, r *request) (bool, error) {
	d, u := kept.delivery, r.understanding
	if d.Adapter != u.Adapter || d.Provider != u.Provider || d.Event != u.Event || d.State != u.State ||
		d.Waiting != u.Waiting || !bytes.Equal(d.Report, u.Report) || len(before) != len(r.rows) {
		return false, nil
	}
	for i := range before {
		// Unpacked, because another release may pack the same body otherwise.
		was, err := before[i].open(t.packer)
		if err != nil {
			return false, err
		}
		is, err := r.rows[i].open(t.packer)
		if err != nil {
			return false, err
		}
		if was.Outcome != is.Outcome || was.Item != is.Item || !bytes.Equal(was.Body, is.Body) {
			return false, nil
		}
	}
	return true, nil
}

// rewrite writes what a kept delivery says now. An error here fails the whole transaction.
func (t *transaction) rewrite(
	ctx context.Context, r *request, kept deliveryRow, before []contributionRow, changes []change,
) (store.Receipt, error) {
	for _, row := range before {
		row.encoding, row.body = superseded, []byte{}
		row.fixed = row.fixedChecksum()
		if err := t.exec(ctx, t.supersede, row.encoding, int64(row.checksum()), row.body, row.id); err != nil {
			return store.Receipt{}, fmt.Errorf("supersede contribution: %w", err)
		}
	}
	u, d := r.understanding, &kept.delivery
	d.Adapter, d.Provider, d.Event, d.State, d.Waiting, d.Report = u.Adapter, u.Provider, u.Event, u.State, u.Waiting, present(u.Report)
	kept.firstContribution, kept.contributions = t.head.contribution+1, int64(len(r.rows))
	kept.fixed = kept.fixedChecksum()
	if err := t.exec(ctx, t.updateDelivery, kept.firstContribution, kept.contributions, d.State, int64(kept.checksum()),
		d.Adapter, d.Provider, d.Event, d.Report, bit(d.Waiting), kept.seq); err != nil {
		return store.Receipt{}, fmt.Errorf("write delivery: %w", err)
	}
	outcomes, err := t.contribute(ctx, r.rows, changes)
	if err != nil {
		return store.Receipt{}, err
	}
	return store.Receipt{Delivery: kept.id, State: d.State, Report: d.Report, Outcomes: outcomes}, nil
}
