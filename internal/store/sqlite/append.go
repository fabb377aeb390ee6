package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/callnorm/callnorm/internal/store"
)

// request is a piece of work on its way through the committer.
type request struct {
	// do does it. It may be called again, when the transaction was not the last word. All reading and folding comes before its
	// first write, so that a request that fails leaves nothing to undo.
	do func(ctx context.Context, t *transaction) error
	// size is about how many bytes it writes.
	size int
	// answer takes the one answer; it has room for it, so that the committer never waits.
	answer chan error
}

// saying is what a delivery says on its way through the committer, with all work done that needs no transaction.
type saying struct {
	delivery store.DeliveryID
	// anew tells that the delivery is kept, and said something else before.
	anew bool
	// outcomes lists the outcomes by the first item that contributes to them.
	outcomes []*contributed
	// rows lists the contributions in the order in which they are kept.
	rows []contributionRow
	fold store.Fold
	size int
}

// contributed is an outcome with the new contributions to it.
type contributed struct {
	id            store.OutcomeID
	contributions []store.KeptContribution
	addresses     []byte // sorted hashes
}

// Append implements store.Store. Contributions are kept in the order of their items.
func (s *Store) Append(
	ctx context.Context, delivery store.Delivery, contributions []store.Contribution, fold store.Fold,
) (receipt store.Receipt, err error) {
	if err := s.mayBegin(ctx); err != nil {
		return store.Receipt{}, err
	}
	id := s.DeliveryID(delivery.Key)
	said, err := s.newSaying(id, delivery.Source, contributions, fold)
	if err != nil {
		return store.Receipt{}, fmt.Errorf("append: %w", err)
	}
	row := newDeliveryRow(s.packer, id, delivery)
	return submitFor(ctx, s, s.commits.requests, said.size+int(row.size()), func(ctx context.Context, t *transaction) (store.Receipt, error) {
		return t.keep(ctx, row, said)
	})
}

// Renormalize implements store.Store.
func (s *Store) Renormalize(
	ctx context.Context, id store.DeliveryID, understanding store.Understanding, fold store.Fold,
) (store.Receipt, error) {
	if fold == nil {
		return store.Receipt{}, errors.New("renormalize: no fold")
	}
	if err := s.mayBegin(ctx); err != nil {
		return store.Receipt{}, err
	}
	said, err := s.newSaying(id, "", understanding.Contributions, fold)
	if err != nil {
		return store.Receipt{}, fmt.Errorf("renormalize: %w", err)
	}
	said.anew = true
	return submitFor(ctx, s, s.commits.requests, said.size+len(understanding.Report), func(ctx context.Context, t *transaction) (store.Receipt, error) {
		return t.renormalize(ctx, said, understanding)
	})
}

// mayBegin keeps a request from being worked on that nobody waits for or takes.
func (s *Store) mayBegin(ctx context.Context) error {
	if s.isClosed() {
		return store.ErrClosed
	}
	return ctx.Err()
}

// submitFor hands work to the committer and waits for what comes out.
func submitFor[T any](
	ctx context.Context, s *Store, to chan<- *request, size int, do func(context.Context, *transaction) (T, error),
) (result T, err error) {
	var done T
	err = s.submit(ctx, to, &request{size: size, answer: make(chan error, 1), do: func(ctx context.Context, t *transaction) (err error) {
		done, err = do(ctx, t)
		return err
	}})
	if err != nil {
		return result, err
	}
	return done, nil
}

// submit hands a request to the committer and waits for the answer.
func (s *Store) submit(ctx context.Context, to chan<- *request, r *request) error {
	if err := s.mayBegin(ctx); err != nil {
		return err
	}
	select {
	case to <- r:
	case <-s.closing:
		return store.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	// The committer answers everything that it took, also when the store is being closed.
	select {
	case err := <-r.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newSaying packs and sorts contributions of a delivery.
func (s *Store) newSaying(id store.DeliveryID, source string, contributions []store.Contribution, fold store.Fold) (*saying, error) {
	if fold == nil && len(contributions) > 0 {
		return nil, errors.New("contributions without a fold")
	}
	said := &saying{delivery: id, rows: make([]contributionRow, 0, len(contributions)), fold: fold}
	byItem := slices.Clone(contributions)
	slices.SortStableFunc(byItem, func(a, b store.Contribution) int { return cmp.Compare(a.Item, b.Item) })
	outcomes := make(map[store.OutcomeID]*contributed, 1)
	for _, c := range byItem {
		o := outcomes[c.Outcome]
		if o == nil {
			o = &contributed{id: c.Outcome}
			outcomes[c.Outcome] = o
			said.outcomes = append(said.outcomes, o)
		} else if last := o.contributions[len(o.contributions)-1]; last.Item == c.Item {
			return nil, fmt.Errorf("item %d contributes twice to outcome %s", c.Item, c.Outcome)
		}
		addresses := s.hashAddresses(c.Addresses)
		o.addresses = uniteAddresses(o.addresses, addresses)
		row := newContributionRow(s.packer, id, source, c, addresses)
		c.Addresses = nil // as when it comes back
		o.contributions = append(o.contributions, store.KeptContribution{Delivery: id, Contribution: c})
		said.rows = append(said.rows, row)
		said.size += len(row.body)
	}
	return said, nil
}
