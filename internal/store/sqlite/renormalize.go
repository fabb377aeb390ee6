package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/callnorm/callnorm/internal/store"
)

// renormalize replaces what a kept delivery says.
func (t *transaction) renormalize(ctx context.Context, said *saying, u store.Understanding) (store.Receipt, error) {
	kept, err := t.readDelivery(ctx, said.delivery)
	switch {
	case errors.Is(err, sql.ErrNoRows), errors.Is(err, errGone):
		return store.Receipt{}, requestError{store.ErrNotFound}
	case err != nil:
		return store.Receipt{}, ownReadError(err)
	}
	before, err := t.readContributionsOf(ctx, kept)
	if err != nil {
		return store.Receipt{}, ownReadError(err)
	}
	switch same, err := t.saysAlready(kept, before, said, u); {
	case err != nil:
		return store.Receipt{}, ownReadError(err)
	case same:
		receipt, err := t.repeat(ctx, kept)
		return receipt, ownReadError(err)
	}
	outcomes := slices.Clone(said.outcomes)
	for _, id := range outcomesOf(before) {
		if !slices.ContainsFunc(outcomes, func(o *contributed) bool { return o.id == id }) {
			outcomes = append(outcomes, &contributed{id: id})
		}
	}
	changes, err := t.foldAll(ctx, said, outcomes)
	if err != nil {
		return store.Receipt{}, ownReadError(err)
	}
	for _, c := range changes[len(said.outcomes):] {
		if !c.known {
			return store.Receipt{}, ownReadError(corrupt("outcomes", c.row.id, "row is missing"))
		}
	}
	return t.rewrite(ctx, said, u, kept, before, changes)
}

// saysAlready tells whether a kept delivery says what it is to say.
func (t *transaction) saysAlready(kept deliveryRow, before []contributionRow, said *saying, u store.Understanding) (bool, error) {
	d := kept.delivery
	if d.Adapter != u.Adapter || d.Provider != u.Provider || d.Event != u.Event || d.State != u.State ||
		d.Waiting != u.Waiting || !bytes.Equal(d.Report, u.Report) || len(before) != len(said.rows) {
		return false, nil
	}
	for i := range before {
		// Unpacked, because another release may pack the same body otherwise.
		was, err := before[i].open(t.packer)
		if err != nil {
			return false, err
		}
		is, err := said.rows[i].open(t.packer)
		if err != nil {
			return false, err
		}
		if was.Outcome != is.Outcome || was.Item != is.Item || !bytes.Equal(was.Body, is.Body) ||
			!bytes.Equal(before[i].addresses, said.rows[i].addresses) {
			return false, nil
		}
	}
	return true, nil
}

// rewrite writes what a kept delivery says now. An error here fails the whole transaction.
func (t *transaction) rewrite(
	ctx context.Context, said *saying, u store.Understanding, kept deliveryRow, before []contributionRow, changes []change,
) (store.Receipt, error) {
	for _, row := range before {
		t.use(row.source, -int64(len(row.body)))
		row.encoding, row.body, row.addresses = superseded, []byte{}, []byte{}
		row.fixed = row.fixedChecksum()
		if err := t.exec(ctx, t.supersede, row.encoding, int64(row.checksum()), row.body, row.addresses, row.id); err != nil {
			return store.Receipt{}, fmt.Errorf("supersede contribution: %w", err)
		}
	}
	rows := telling(said.rows, changes)
	for i := range rows {
		rows[i].source = kept.delivery.Source
	}
	t.use(kept.delivery.Source, -kept.size())
	d := &kept.delivery
	d.Adapter, d.Provider, d.Event, d.State, d.Waiting, d.Report = u.Adapter, u.Provider, u.Event, u.State, u.Waiting, present(u.Report)
	t.use(kept.delivery.Source, kept.size())
	kept.firstContribution, kept.contributions = t.head.contribution+1, int64(len(rows))
	kept.fixed = kept.fixedChecksum()
	if err := t.exec(ctx, t.updateDelivery, kept.firstContribution, kept.contributions, d.State, int64(kept.checksum()),
		d.Adapter, d.Provider, d.Event, d.Report, bit(d.Waiting), kept.seq); err != nil {
		return store.Receipt{}, fmt.Errorf("write delivery: %w", err)
	}
	outcomes, err := t.contribute(ctx, rows, changes)
	if err != nil {
		return store.Receipt{}, err
	}
	if slices.ContainsFunc(changes, func(c change) bool { return c.gone }) {
		// It speaks of a call that was deleted, as nobody knew then.
		if _, err := t.forget(ctx, kept.seq, kept.id); err != nil {
			return store.Receipt{}, err
		}
		return store.Receipt{Delivery: kept.id, Gone: true, Outcomes: outcomes}, nil
	}
	return store.Receipt{Delivery: kept.id, State: d.State, Report: d.Report, Outcomes: outcomes}, nil
}
