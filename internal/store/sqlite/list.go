package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/callnorm/callnorm/internal/store"
)

// maxListBytes bounds what is read from the disk for a page of deliveries. The last of them may exceed it.
const maxListBytes = 16 << 20

// Deliveries implements store.Store. It finds what passes by the narrow columns at the beginning of the rows, and then reads
// the rows whole, one after the other, to verify them.
func (s *Store) Deliveries(
	ctx context.Context, filter store.DeliveryFilter, after int64, limit int,
) (page store.DeliveryPage, err error) {
	if limit <= 0 {
		return store.DeliveryPage{}, fmt.Errorf("deliveries: limit is %d", limit)
	}
	err = s.reads(func() error {
		var found []int64
		if found, page.Next, page.End, err = s.findDeliveries(ctx, filter, after, limit); err != nil {
			return err
		}
		size := 0
		for i, seq := range found {
			if size >= maxListBytes {
				page.Next, page.End = found[i-1], false
				return nil
			}
			row, err := scanDelivery(s.read.delivery.QueryRowContext(ctx, seq))
			if errors.Is(err, sql.ErrNoRows) {
				continue // It was deleted in between.
			}
			if err != nil {
				return err
			}
			size += len(row.header) + len(row.delivery.Report) + len(row.body)
			// It may have been understood anew in between.
			if !passes(filter, row.delivery) {
				continue
			}
			kept, err := row.list(s.packer)
			if err != nil {
				return err
			}
			page.Deliveries = append(page.Deliveries, kept)
		}
		return nil
	})
	if err != nil {
		return store.DeliveryPage{}, err
	}
	return page, nil
}

// findDeliveries returns the numbers of at most limit deliveries that pass, that of the last one it has looked at, and
// whether that is the end.
func (s *Store) findDeliveries(
	ctx context.Context, filter store.DeliveryFilter, after int64, limit int,
) (found []int64, last int64, end bool, err error) {
	waiting := ""
	switch {
	case filter.Waiting:
		waiting = " AND waiting = 1"
	case filter.Silent:
		waiting = " AND (contributions = 0 OR waiting = 1)"
	}
	rows, err := s.readers.QueryContext(ctx,
		"SELECT seq, state, source, adapter FROM deliveries WHERE seq > ?"+waiting+" ORDER BY seq LIMIT ?", after, maxLook+1)
	if err != nil {
		return nil, 0, false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	last = after
	for looked := 0; rows.Next(); looked++ {
		if len(found) == limit || looked == maxLook {
			return found, last, false, nil
		}
		d := store.Delivery{Waiting: filter.Waiting}
		if err := rows.Scan(&last, &d.State, &d.Source, &d.Adapter); err != nil {
			return nil, 0, false, err
		}
		if passes(filter, d) {
			found = append(found, last)
		}
	}
	return found, last, true, rows.Err()
}

func passes(filter store.DeliveryFilter, d store.Delivery) bool {
	return (d.Waiting || !filter.Waiting) && oneOf(filter.Sources, d.Source) && oneOf(filter.Adapters, d.Adapter) &&
		oneOf(filter.States, d.State)
}

// oneOf tells whether a list names a value. An empty list names all.
func oneOf[T comparable](list []T, value T) bool {
	return len(list) == 0 || slices.Contains(list, value)
}

// list returns the delivery that the row holds as it is listed.
func (r *deliveryRow) list(packer *packer) (store.KeptDelivery, error) {
	size, err := packer.size(r.encoding, r.body)
	if err != nil {
		return store.KeptDelivery{}, corrupt("deliveries", r.seq, err.Error())
	}
	d, err := r.openBare()
	return store.KeptDelivery{ID: r.id, Seq: r.seq, Delivery: d, BodySize: size}, err
}

// CountWaiting implements store.Store.
func (s *Store) CountWaiting(ctx context.Context) (counts map[string]int, err error) {
	err = s.reads(func() (err error) {
		rows, err := s.readers.QueryContext(ctx, "SELECT source, COUNT(*) FROM deliveries WHERE waiting = 1 GROUP BY source")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		counts = map[string]int{}
		for rows.Next() {
			var source string
			var n int
			if err := rows.Scan(&source, &n); err != nil {
				return err
			}
			counts[source] = n
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return counts, nil
}
