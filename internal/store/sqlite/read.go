package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/callnorm/callnorm/internal/store"
)

// Bounds of a page of the log. The last entry of a page may exceed the second.
const (
	maxLook      = 4096
	maxPageBytes = 1 << 20
)

func (s *Store) isClosed() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// reads runs a read, which Close waits for.
func (s *Store) reads(read func() error) error {
	s.reading.RLock()
	defer s.reading.RUnlock()
	s.removing.RLock()
	defer s.removing.RUnlock()
	if s.isClosed() {
		return store.ErrClosed
	}
	return explain(read())
}

// Delivery implements store.Store.
func (s *Store) Delivery(ctx context.Context, id store.DeliveryID) (delivery store.Delivery, err error) {
	err = s.reads(func() error {
		row, err := s.read.readDelivery(ctx, id)
		if err != nil {
			return err
		}
		delivery, err = row.open(s.packer)
		return err
	})
	return delivery, err
}

// Outcome implements store.Store.
func (s *Store) Outcome(ctx context.Context, id store.OutcomeID) (entry store.Entry, err error) {
	err = s.reads(func() error {
		row, err := s.read.readOutcome(ctx, id)
		if err != nil {
			return err
		}
		if row.position == 0 {
			return store.ErrNotFound
		}
		entry, err = s.newest(ctx, row)
		return err
	})
	return entry, err
}

// Contributions implements store.Store. It reads one snapshot: what is understood anew moves to the end of the chain, and would
// be missed by a reader who has begun with the chain as it was.
func (s *Store) Contributions(ctx context.Context, id store.OutcomeID) (contributions []store.KeptContribution, err error) {
	err = s.reads(func() (err error) {
		tx, err := s.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // It has changed nothing.
		q := *s.read
		q.outcome, q.contribution = tx.StmtContext(ctx, q.outcome), tx.StmtContext(ctx, q.contribution)
		row, err := q.readOutcome(ctx, id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		chain, err := q.readChain(ctx, id, row.contribution)
		if err != nil {
			return err
		}
		contributions, err = openAll(s.packer, counting(chain))
		return err
	})
	return contributions, err
}

// Lookup implements store.Store.
func (s *Store) Lookup(ctx context.Context, query store.Query, limit int) (entries []store.Entry, err error) {
	byExternalID := query.ExternalID != store.ExternalID{}
	if byExternalID == (query.ProviderCallID != "") {
		return nil, errors.New("lookup: exactly one id is needed")
	}
	if limit <= 0 {
		return nil, fmt.Errorf("lookup: limit is %d", limit)
	}
	err = s.reads(func() error {
		rows, err := s.lookup(ctx, query, limit)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if !row.has(query) {
				return corrupt("outcomes", row.id, "found under an id that it does not have")
			}
			entry, err := s.newest(ctx, row)
			if err != nil {
				return err
			}
			entries = append(entries, entry)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

func (s *Store) lookup(ctx context.Context, query store.Query, limit int) (found []outcomeRow, err error) {
	var text strings.Builder
	var args []any
	text.WriteString("SELECT " + qualify("o", outcomeColumns) + " FROM ")
	if query.ProviderCallID != "" {
		text.WriteString("outcomes o JOIN log l ON l.position = o.position WHERE ")
		args = s.called(&text, args, query.ProviderCallID)
	} else {
		// CROSS JOIN means the same as JOIN, and tells SQLite to begin with the ids, which are already in order.
		text.WriteString("external_ids e CROSS JOIN outcomes o ON o.id = e.outcome CROSS JOIN log l ON l.position = o.position " +
			"WHERE e.system = ? AND e.id = ?")
		args = append(args, query.ExternalID.System, query.ExternalID.ID)
	}
	if query.Provider != "" {
		text.WriteString(" AND l.provider = ?")
		args = append(args, query.Provider)
	}
	if query.Source != "" {
		text.WriteString(" AND l.source = ?")
		args = append(args, query.Source)
	}
	if query.ProviderCallID != "" {
		text.WriteString(" ORDER BY o.first_position LIMIT ?")
	} else {
		text.WriteString(" ORDER BY e.first_position LIMIT ?")
	}
	rows, err := s.readers.QueryContext(ctx, text.String(), append(args, limit)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		row, err := scanOutcome(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, row)
	}
	return found, rows.Err()
}

// called adds the condition that an outcome has a call id.
func (s *Store) called(text *strings.Builder, args []any, providerCallID string) []any {
	text.WriteString("(o.provider_call_id <> '' AND o.found = 1 AND o.provider_call_id = ?")
	args = append(args, providerCallID)
	if fresh := s.fresh.outcomes(providerCallID); len(fresh) > 0 {
		text.WriteString(" OR o.provider_call_id = ?")
		args = in(text, append(args, providerCallID), "", "o.id", outcomeIDs(fresh))
	}
	text.WriteString(")")
	return args
}

func qualify(table, columns string) string {
	return table + "." + strings.ReplaceAll(columns, ", ", ", "+table+".")
}

// has tells whether the outcome has the id that it was found by.
func (r *outcomeRow) has(query store.Query) bool {
	if query.ProviderCallID != "" {
		return r.providerCallID == query.ProviderCallID
	}
	ids, err := r.unpackExternalIDs()
	return err == nil && slices.Contains(ids, query.ExternalID)
}

// newest returns the newest revision of an outcome as readers get it.
func (s *Store) newest(ctx context.Context, row outcomeRow) (store.Entry, error) {
	entry, err := s.read.readNewest(ctx, row)
	_, _, entry.Cursor.Trims = s.bounds()
	return entry, err
}

// Read implements store.Store.
func (s *Store) Read(ctx context.Context, after store.Cursor, filter store.Filter, limit int) (page store.Page, err error) {
	if limit <= 0 {
		return store.Page{}, fmt.Errorf("read: limit is %d", limit)
	}
	err = s.reads(func() error {
		oldest, head, trims := s.bounds()
		if after.Position < 0 || after.Position > head.Position {
			return fmt.Errorf("%w: position %d", store.ErrCursorForeign, after.Position)
		}
		if err := s.expired(after, filter); err != nil {
			return err
		}
		if after.Position == head.Position {
			page = store.Page{Next: head, End: true}
			return nil
		}
		// What was removed before the oldest entry is nothing that this reader would have seen.
		from := max(after.Position, oldest-1)
		page, err = s.page(ctx, from, min(head.Position, from+maxLook), filter, limit)
		page.End = page.Next.Position == head.Position
		for i := range page.Entries {
			page.Entries[i].Cursor.Trims = trims
		}
		page.Next.Trims = trims
		return err
	})
	if err != nil {
		return store.Page{}, err
	}
	return page, nil
}

// page looks at the entries after a position up to another, which the log has.
func (s *Store) page(ctx context.Context, after, last store.Position, filter store.Filter, limit int) (page store.Page, err error) {
	rows, err := s.scan(ctx, after, last, filter, limit)
	if err != nil {
		return store.Page{}, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	all := passesAll(filter)
	size, expected := 0, after
	for len(page.Entries) < limit && size < maxPageBytes && rows.Next() {
		row, sum, err := scanEntryRow(rows)
		if err != nil {
			return store.Page{}, err
		}
		if expected++; all && store.Position(row.position) != expected {
			return store.Page{}, corrupt("log", expected, "row is missing")
		}
		entry := row.entry(s.log, sum)
		page.Next = entry.Cursor
		if row.kind == blank {
			continue
		}
		page.Entries = append(page.Entries, entry)
		size += len(entry.Body)
	}
	if err := rows.Err(); err != nil {
		return store.Page{}, err
	}
	if full := len(page.Entries) == limit || size >= maxPageBytes; full || page.Next.Position == last {
		return page, nil
	}
	if all {
		return store.Page{}, corrupt("log", expected+1, "row is missing")
	}
	// What follows was filtered out: it has been looked at all the same.
	if err := rows.Close(); err != nil {
		return store.Page{}, err
	}
	entry, err := s.read.readEntry(ctx, int64(last))
	page.Next = entry.Cursor
	return page, err
}

// scan asks for entries. Without a filter, as followers mostly do, the statement is a prepared one.
func (s *Store) scan(ctx context.Context, after, last store.Position, filter store.Filter, limit int) (*sql.Rows, error) {
	if passesAll(filter) {
		return s.read.page.QueryContext(ctx, int64(after), int64(last))
	}
	var text strings.Builder
	args := []any{int64(after), int64(last), blank}
	text.WriteString("SELECT " + entryColumns + " FROM log WHERE position > ? AND position <= ? AND kind <> ?")
	args = in(&text, args, "", "provider", filter.Providers)
	args = in(&text, args, "", "source", filter.Sources)
	args = in(&text, args, "kind = 1 OR ", "status", filter.Statuses)
	args = in(&text, args, "kind = 1 OR ", "completeness", filter.Completeness)
	args = in(&text, args, "", "outcome", outcomeIDs(filter.Outcomes))
	text.WriteString(" ORDER BY position LIMIT ?")
	return s.readers.QueryContext(ctx, text.String(), append(args, limit)...)
}

func passesAll(f store.Filter) bool {
	return len(f.Providers) == 0 && len(f.Sources) == 0 && len(f.Statuses) == 0 && len(f.Completeness) == 0 && len(f.Outcomes) == 0
}

// outcomeIDs returns ids as they are stored.
func outcomeIDs(ids []store.OutcomeID) [][]byte {
	raw := make([][]byte, len(ids))
	for i := range ids {
		raw[i] = ids[i][:]
	}
	return raw
}

// in adds a condition that a column has one of some values, or something else. No values are no condition.
func in[T any](text *strings.Builder, args []any, or, column string, values []T) []any {
	if len(values) == 0 {
		return args
	}
	text.WriteString(" AND (" + or + column + " IN (?" + strings.Repeat(", ?", len(values)-1) + "))")
	for _, v := range values {
		args = append(args, v)
	}
	return args
}
