package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/callnorm/callnorm/internal/store"
)

// maxListLook bounds how many outcomes one look takes in, in an index that has what they are filtered by, or one after the other
// where they speak of an address. Whoever asks again until a page is full can end when that has taken as long as a full page does.
const maxListLook = 300

// Revisions implements store.Store.
func (s *Store) Revisions(ctx context.Context, id store.OutcomeID, before int32, limit int) (entries []store.Entry, err error) {
	if limit <= 0 {
		return nil, fmt.Errorf("revisions: limit is %d", limit)
	}
	err = s.reads(func() error {
		row, err := s.read.readOutcome(ctx, id)
		if err != nil {
			return err
		}
		if row.position == 0 {
			return store.ErrNotFound
		}
		_, _, trims := s.bounds()
		return s.read.readRevisions(ctx, row, func(r entryRow, sum checksum) (bool, error) {
			if before > 0 && r.revision >= before {
				return true, nil
			}
			entry := r.entry(s.log, sum)
			entry.Cursor.Trims = trims
			entries = append(entries, entry)
			return len(entries) < limit, nil
		})
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, filter store.ListFilter, after store.Place, limit int) (page store.ListPage, err error) {
	if limit <= 0 {
		return store.ListPage{}, fmt.Errorf("list: limit is %d", limit)
	}
	if after == (store.Place{}) {
		after = store.Place{Time: math.MaxInt64}
	}
	err = s.reads(func() error {
		found, err := s.find(ctx, filter, after, limit)
		if err != nil {
			return err
		}
		page.Next, page.End = found.next, found.end
		size := 0
		for i, id := range found.ids {
			row, err := s.read.readOutcome(ctx, id)
			if err != nil {
				return err
			}
			// It may have got another revision in between, which others will list.
			if !s.lists(filter, row) {
				continue
			}
			entry, err := s.newest(ctx, row)
			if err != nil {
				return err
			}
			page.Entries = append(page.Entries, entry)
			if size += len(entry.Body); size >= maxPageBytes && i < len(found.ids)-1 {
				page.Next, page.End = found.places[i], false
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return store.ListPage{}, err
	}
	return page, nil
}

// finding is what was found for a page.
type finding struct {
	ids    []store.OutcomeID
	places []store.Place
	next   store.Place
	end    bool
}

// query returns the statement that finds at most limit outcomes that pass among those that are looked at.
func (s *Store) query(filter store.ListFilter, after store.Place, limit int) (query string, args []any) {
	looked, args := s.looked(filter, after)
	var text strings.Builder
	// What is looked at comes in order, and what passes stays in it: to sort once more would be to look at all of it.
	text.WriteString("SELECT time, first_position, id FROM (" + looked + ") WHERE 1 = 1")
	args = append(args, maxListLook)
	args = in(&text, args, "", "provider", filter.Providers)
	args = in(&text, args, "", "source", filter.Sources)
	args = in(&text, args, "", "status", filter.Statuses)
	args = in(&text, args, "", "completeness", filter.Completeness)
	args = in(&text, args, "", "disposition", filter.Dispositions)
	args = in(&text, args, "", "id", outcomeIDs(filter.Outcomes))
	if filter.DoNotCall != nil {
		args = in(&text, args, "", "do_not_call", []int64{bit(*filter.DoNotCall)})
	}
	text.WriteString(" LIMIT ?")
	return text.String(), append(args, limit)
}

// find looks at a bounded number of outcomes behind a place, and finds at most limit that pass.
func (s *Store) find(ctx context.Context, filter store.ListFilter, after store.Place, limit int) (found finding, err error) {
	query, args := s.query(filter, after, limit)
	rows, err := s.readers.QueryContext(ctx, query, args...)
	if err != nil {
		return finding{}, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var place store.Place
		var raw []byte
		if err := rows.Scan(&place.Time, &place.First, &raw); err != nil {
			return finding{}, err
		}
		var id store.OutcomeID
		if !set(&id, raw) {
			return finding{}, corrupt("outcomes", place.First, "id has another length")
		}
		if last := len(found.places) - 1; last >= 0 && !behind(place, found.places[last]) {
			return finding{}, fmt.Errorf("list: %+v comes behind %+v", place, found.places[last])
		}
		found.ids, found.places, found.next = append(found.ids, id), append(found.places, place), place
	}
	if err := rows.Err(); err != nil {
		return finding{}, err
	}
	if err := rows.Close(); err != nil {
		return finding{}, err
	}
	if len(found.ids) == limit {
		return found, nil
	}
	// Where it has looked as far as it may, there may be more behind.
	looked, args := s.looked(filter, after)
	last, err := s.readers.QueryContext(ctx, "SELECT time, first_position FROM ("+looked+") LIMIT 1 OFFSET ?", //nolint:gosec // what is looked at takes its values as arguments
		append(args, maxListLook, maxListLook-1)...)
	if err != nil {
		return finding{}, err
	}
	defer func() { err = errors.Join(err, last.Close()) }()
	if found.end = !last.Next(); !found.end {
		if err := last.Scan(&found.next.Time, &found.next.First); err != nil {
			return finding{}, err
		}
	}
	return found, last.Err()
}

// behind tells whether a place comes after another in a list.
func behind(place, other store.Place) bool {
	return place.Time < other.Time || place.Time == other.Time && place.First < other.First
}

// looked returns what is to be looked at, with a place for how much, and the arguments before that.
func (s *Store) looked(filter store.ListFilter, after store.Place) (query string, args []any) {
	const columns = "o.time AS time, o.first_position AS first_position, o.id AS id, o.provider AS provider, o.source AS source, " +
		"o.status AS status, o.completeness AS completeness, o.disposition AS disposition, o.do_not_call AS do_not_call"
	const kept = "o.listed = 1"
	text := &strings.Builder{}
	from := "o"
	switch {
	case filter.Address != "":
		from = "a"
		// CROSS JOIN tells SQLite to begin with the addresses, which are in order.
		text.WriteString("SELECT " + columns + " FROM addresses a CROSS JOIN outcomes o ON o.id = a.outcome WHERE " + kept + " AND a.address = ?")
		args = append(args, s.hashAddress(filter.Address))
	case filter.ExternalID != (store.ExternalID{}):
		text.WriteString("SELECT " + columns + " FROM external_ids e CROSS JOIN outcomes o ON o.id = e.outcome WHERE " + kept +
			" AND e.system = ? AND e.id = ?")
		args = append(args, filter.ExternalID.System, filter.ExternalID.ID)
	case filter.ProviderCallID != "":
		// The plus keeps SQLite from the index by time, which would find them in order, among all others.
		text.WriteString("SELECT " + columns + " FROM outcomes o WHERE +" + kept + " AND ")
		args = s.called(text, args, filter.ProviderCallID)
	case len(filter.Outcomes) > 0:
		text.WriteString("SELECT " + columns + " FROM outcomes o WHERE " + kept)
		args = in(text, args, "", "o.id", outcomeIDs(filter.Outcomes))
	case filter.DoNotCall != nil && *filter.DoNotCall:
		text.WriteString("SELECT " + columns + " FROM outcomes o INDEXED BY outcomes_do_not_call WHERE o.do_not_call = 1 AND " + kept)
	default:
		text.WriteString("SELECT " + columns + " FROM outcomes o INDEXED BY outcomes_by_time WHERE " + kept)
	}
	if end := filter.End.UnixMicro(); !filter.End.IsZero() && end <= after.Time {
		after = store.Place{Time: end} // which is where to begin to look: nothing is at the same time and at position 0
	}
	text.WriteString(" AND (" + from + ".time, " + from + ".first_position) < (?, ?)")
	args = append(args, after.Time, int64(after.First))
	if !filter.Begin.IsZero() {
		text.WriteString(" AND " + from + ".time >= ?")
		args = append(args, filter.Begin.UnixMicro())
	}
	text.WriteString(" ORDER BY " + from + ".time DESC, " + from + ".first_position DESC LIMIT ?")
	return text.String(), args
}

// lists tells whether an outcome that was found passes as it is now.
func (s *Store) lists(filter store.ListFilter, row outcomeRow) bool {
	l := row.listed
	if row.deleted || row.position == 0 || !oneOf(filter.Providers, l.provider) || !oneOf(filter.Sources, l.source) ||
		!oneOf(filter.Statuses, l.status) || !oneOf(filter.Completeness, l.completeness) || !oneOf(filter.Dispositions, l.disposition) ||
		!oneOf(filter.Outcomes, row.id) || filter.DoNotCall != nil && *filter.DoNotCall != l.doNotCall {
		return false
	}
	if !filter.Begin.IsZero() && l.time < filter.Begin.UnixMicro() || !filter.End.IsZero() && l.time >= filter.End.UnixMicro() {
		return false
	}
	switch {
	case filter.Address != "":
		return hasAddress(row.addresses, s.hashAddress(filter.Address))
	case filter.ExternalID != (store.ExternalID{}):
		return row.has(store.Query{ExternalID: filter.ExternalID})
	case filter.ProviderCallID != "":
		return row.has(store.Query{ProviderCallID: filter.ProviderCallID})
	}
	return true
}
