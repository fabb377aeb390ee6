package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/callnorm/callnorm/internal/store"
)

// request is one call of Append on its way through the committer, with all work done that needs no transaction.
type request struct {
	delivery deliveryRow
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
	if s.isClosed() {
		return store.Receipt{}, store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return store.Receipt{}, err
	}
	r, err := s.newRequest(delivery, contributions, fold)
	if err != nil {
		return store.Receipt{}, err
	}
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

func (s *Store) newRequest(delivery store.Delivery, contributions []store.Contribution, fold store.Fold) (*request, error) {
	if fold == nil && len(contributions) > 0 {
		return nil, errors.New("append: contributions without a fold")
	}
	id := s.DeliveryID(delivery.Key)
	r := &request{
		delivery: newDeliveryRow(s.packer, id, delivery),
		rows:     make([]contributionRow, 0, len(contributions)),
		fold:     fold,
		answer:   make(chan answer, 1),
	}
	r.size = len(r.delivery.header) + len(r.delivery.body) + len(delivery.Report)
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
			return nil, fmt.Errorf("append: item %d contributes twice to outcome %s", c.Item, c.Outcome)
		}
		o.contributions = append(o.contributions, store.KeptContribution{Delivery: id, Contribution: c})
		row := newContributionRow(s.packer, id, c)
		r.rows = append(r.rows, row)
		r.size += len(row.body)
	}
	return r, nil
}
