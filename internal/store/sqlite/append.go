package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/callnorm/callnorm/internal/store"
)

// request is one call of Append or Renormalize on its way through the committer, with all work done that needs no transaction.
type request struct {
	// delivery is the row to be kept. Renormalize knows no more of it than its id.
	delivery deliveryRow
	// understanding is what Renormalize was given, nil in a call of Append.
	understanding *store.Understanding
	// outcomes lists the outcomes by the first item that contributes to them.
	outcomes []*contributed
	// rows lists the contributions in the order in which they are kept.
	rows []contributionRow
	fold store.Fold
	size int
	// answer takes the one answer; it has room for it, so that the committer never waits.
	answer chan answer
}

// contributed is an outcome with the new contributions to it.
type contributed struct {
	id            store.OutcomeID
	contributions []store.KeptContribution
}

type answer struct {
	receipt store.Receipt
	err     error
}

// Append implements store.Store. Contributions are kept in the order of their items.
func (s *Store) Append(ctx context.Context, delivery store.Delivery, contributions []store.Contribution, fold store.Fold) (store.Receipt, error) {
	r, err := newRequest(s.packer, s.DeliveryID(delivery.Key), contributions, fold)
	if err != nil {
		return store.Receipt{}, fmt.Errorf("append: %w", err)
	}
	if err := s.mayBegin(ctx); err != nil {
		return store.Receipt{}, err
	}
	r.delivery = newDeliveryRow(s.packer, r.delivery.id, delivery)
	r.size += len(r.delivery.header) + len(r.delivery.body) + len(delivery.Report)
	return s.submit(ctx, r)
}

// Renormalize implements store.Store.
func (s *Store) Renormalize(
	ctx context.Context, id store.DeliveryID, understanding store.Understanding, fold store.Fold,
) (store.Receipt, error) {
	if fold == nil {
		return store.Receipt{}, errors.New("renormalize: no fold")
	}
	r, err := newRequest(s.packer, id, understanding.Contributions, fold)
	if err != nil {
		return store.Receipt{}, fmt.Errorf("renormalize: %w", err)
	}
	if err := s.mayBegin(ctx); err != nil {
		return store.Receipt{}, err
	}
	r.understanding = &understanding
	r.size += len(understanding.Report)
	return s.submit(ctx, r)
}

// mayBegin keeps a request from being worked on that nobody waits for or takes.
func (s *Store) mayBegin(ctx context.Context) error {
	if s.isClosed() {
		return store.ErrClosed
	}
	return ctx.Err()
}

// submit hands a request to the committer and waits for the answer.
func (s *Store) submit(ctx context.Context, r *request) (store.Receipt, error) {
	select {
	case s.commits.requests <- r:
	case <-s.closing:
		return store.Receipt{}, store.ErrClosed
	case <-ctx.Done():
		return store.Receipt{}, ctx.Err()
	}
	// The committer answers everything that it took, also when the store is being closed.
	select {
	case a := <-r.answer:
		return a.receipt, a.err
	case <-ctx.Done():
		return store.Receipt{}, ctx.Err()
	}
}

// newRequest packs and sorts contributions of a delivery.
func newRequest(packer *packer, id store.DeliveryID, contributions []store.Contribution, fold store.Fold) (*request, error) {
	if fold == nil && len(contributions) > 0 {
		return nil, errors.New("contributions without a fold")
	}
	r := &request{
		delivery: deliveryRow{id: id},
		rows:     make([]contributionRow, 0, len(contributions)),
		fold:     fold,
		answer:   make(chan answer, 1),
	}
	byItem := slices.Clone(contributions)
	slices.SortStableFunc(byItem, func(a, b store.Contribution) int { return cmp.Compare(a.Item, b.Item) })
	outcomes := make(map[store.OutcomeID]*contributed, 1)
	for _, c := range byItem {
		o := outcomes[c.Outcome]
		if o == nil {
			o = &contributed{id: c.Outcome}
			outcomes[c.Outcome] = o
			r.outcomes = append(r.outcomes, o)
		} else if last := o.contributions[len(o.contributions)-1]; last.Item == c.Item {
			return nil, fmt.Errorf("item %d contributes twice to outcome %s", c.Item, c.Outcome)
		}
		o.contributions = append(o.contributions, store.KeptContribution{Delivery: id, Contribution: c})
		row := newContributionRow(packer, id, c)
		r.rows = append(r.rows, row)
		r.size += len(row.body)
	}
	return r, nil
}
