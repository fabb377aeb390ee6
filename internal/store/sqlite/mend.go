package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/callnorm/callnorm/internal/store"
)

// mend makes rows that are intact, each by itself, fit together again.
func (s *salvage) mend(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		s.keepDeleted, s.mendDeliveries, s.mendContributions, s.mendChains, s.mendLog, s.mendOutcomes, s.writeMeta, s.nameLost, s.index,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// keepDeleted removes what was deleted, should a page of an older time have it still.
func (s *salvage) keepDeleted(ctx context.Context) error {
	for _, query := range []string{
		"CREATE TEMP TABLE deleted AS SELECT id FROM outcomes WHERE deleted = 1 UNION SELECT outcome FROM log WHERE kind = 1",
		"INSERT INTO claims SELECT DISTINCT delivery, 0 FROM contributions WHERE outcome IN deleted AND delivery <> zeroblob(16) " +
			"ON CONFLICT (id) DO UPDATE SET seq = 0",
		"DELETE FROM contributions WHERE outcome IN deleted",
		"DELETE FROM log WHERE outcome IN deleted AND kind = 0", // its place stays empty
		"DELETE FROM deliveries WHERE id IN (SELECT id FROM claims WHERE seq = 0)",
	} {
		if err := s.run(ctx, query); err != nil {
			return fmt.Errorf("what was deleted: %w", err)
		}
	}
	return nil
}

// mendDeliveries has each delivery found by its id, and knows those that are gone. Of one that is lost, the id stays only when what it
// said is kept: otherwise it may come in again.
func (s *salvage) mendDeliveries(ctx context.Context) error {
	for _, query := range []string{
		"INSERT OR IGNORE INTO delivery_ids (id, seq) SELECT id, seq FROM deliveries ORDER BY seq DESC",
		"DELETE FROM deliveries WHERE seq NOT IN (SELECT seq FROM delivery_ids)",
		"INSERT OR IGNORE INTO delivery_ids (id, seq) SELECT id, 0 FROM claims WHERE seq = 0",
		"INSERT OR IGNORE INTO delivery_ids (id, seq) SELECT DISTINCT delivery, 0 FROM contributions WHERE delivery <> zeroblob(16)",
	} {
		if err := s.run(ctx, query); err != nil {
			return fmt.Errorf("deliveries: %w", err)
		}
	}
	return nil
}

// list returns what a query finds, for those who change rows while they go through them.
func list[T any](ctx context.Context, s *salvage, scan func(scanner) (T, error), query string, args ...any) (found []T, err error) {
	rows, err := s.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, rows.Err()
}

func scanNumber(row scanner) (n int64, err error) { return n, row.Scan(&n) }

// mendContributions finds the deliveries of whose contributions not all are kept, and gives those that are left numbers in a row: so a
// delivery knows its own.
func (s *salvage) mendContributions(ctx context.Context) error {
	if err := s.run(ctx, `CREATE TEMP TABLE torn AS SELECT seq FROM deliveries d WHERE contributions <>
			(SELECT COUNT(*) FROM contributions WHERE id >= d.first_contribution AND id < d.first_contribution + d.contributions
				AND delivery = d.id AND encoding <> 2)
		UNION SELECT d.seq FROM contributions c JOIN delivery_ids i ON i.id = c.delivery JOIN deliveries d ON d.seq = i.seq
			WHERE c.encoding <> 2 AND (c.id < d.first_contribution OR c.id >= d.first_contribution + d.contributions)`); err != nil {
		return fmt.Errorf("contributions: %w", err)
	}
	var last int64
	if err := s.tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM contributions").Scan(&last); err != nil {
		return err
	}
	s.head.contribution = max(s.head.contribution, last)
	deliveries, err := list(ctx, s, scanDelivery, "SELECT "+deliveryColumns+" FROM deliveries WHERE seq IN torn ORDER BY seq")
	if err != nil {
		return err
	}
	for _, d := range deliveries {
		own, err := list(ctx, s, scanContribution, "SELECT "+contributionColumns+
			" FROM contributions WHERE encoding <> 2 AND delivery = ? ORDER BY id", d.id[:])
		if err != nil {
			return err
		}
		if err := s.run(ctx, "DELETE FROM contributions WHERE encoding <> 2 AND delivery = ?", d.id[:]); err != nil {
			return err
		}
		d.firstContribution, d.contributions = s.head.contribution+1, int64(len(own))
		for _, c := range own {
			s.head.contribution++
			c.id, c.previous = s.head.contribution, 0
			if err := s.replace(ctx, "contributions", contributionColumns, c.values()); err != nil {
				return err
			}
		}
		if err := s.replace(ctx, "deliveries", deliveryColumns, d.values()); err != nil {
			return err
		}
		s.again = append(s.again, d.id)
		s.found.Again++
		s.reportf("deliveries/%s is kept, a part of what it said is lost", d.id)
	}
	return nil
}

// replace writes a row over the one with its key.
func (s *salvage) replace(ctx context.Context, table, columns string, values []any) error {
	places := "?" + strings.Repeat(", ?", len(values)-1)
	for i, value := range values {
		if b, ok := value.([]byte); ok {
			values[i] = present(b)
		}
	}
	return s.run(ctx, "INSERT OR REPLACE INTO "+table+" ("+columns+") VALUES ("+places+")", values...)
}

// mendChains has each contribution name the one before it to the same outcome.
func (s *salvage) mendChains(ctx context.Context) error {
	if s.meta[addressName] == nil && s.Describe != nil {
		if err := s.newAddresses(ctx); err != nil {
			return err
		}
	}
	if err := s.run(ctx, "CREATE TEMP TABLE links AS SELECT id, before FROM (SELECT id, previous, "+
		"LAG(id, 1, 0) OVER (PARTITION BY outcome ORDER BY id) AS before FROM contributions) WHERE previous <> before"); err != nil {
		return fmt.Errorf("contributions: %w", err)
	}
	ids, err := list(ctx, s, scanNumber, "SELECT id FROM links")
	if err != nil {
		return err
	}
	for _, id := range ids {
		c, err := scanContribution(s.tx.QueryRowContext(ctx, "SELECT "+contributionColumns+" FROM contributions WHERE id = ?", id))
		if err != nil {
			return err
		}
		if err := s.tx.QueryRowContext(ctx, "SELECT before FROM links WHERE id = ?", id).Scan(&c.previous); err != nil {
			return err
		}
		if err := s.replace(ctx, "contributions", contributionColumns, c.values()); err != nil {
			return err
		}
	}
	return nil
}

// newAddresses hashes all addresses anew, with another key than the one that is lost.
func (s *salvage) newAddresses(ctx context.Context) error {
	key, err := readMeta(ctx, s.tx, addressName) // of the new store
	if err != nil {
		return err
	}
	s.meta[addressName] = key
	if err := (&Store{packer: s.packer, addressKey: key, settings: Settings{Describe: s.Describe}}).describeContributions(ctx, s.tx); err != nil {
		return err
	}
	s.rehashed = true
	return nil
}

// span is some positions in a row.
type span struct{ first, last, time int64 }

// mendLog fills the places of lost entries, so that none is given twice, and has all readers told who have not come past them.
func (s *salvage) mendLog(ctx context.Context) error {
	var begin, oldest, end sql.NullInt64
	if err := s.tx.QueryRowContext(ctx, "SELECT (SELECT position + 1 FROM horizons WHERE source = ?), (SELECT MIN(position) FROM log), "+
		"(SELECT MAX(position) FROM (SELECT position FROM log UNION ALL SELECT position FROM outcomes))", noSource).Scan(&begin, &oldest, &end); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	s.head.position = max(s.head.position, end.Int64)
	if !begin.Valid {
		// It was never trimmed, or the row that says so is lost.
		begin.Int64 = 1
		if oldest.Int64 > 1 {
			begin.Int64, s.lost = oldest.Int64, oldest.Int64-1
			s.found.Revisions += s.lost
			s.gaps = append(s.gaps, span{first: 1, last: s.lost})
			s.reportf("log: what stood up to position %d is lost, unless it was trimmed", s.lost)
		}
	}
	if err := s.run(ctx, "DELETE FROM log WHERE position < ?", begin.Int64); err != nil {
		return err
	}
	gaps, err := list(ctx, s, func(row scanner) (g span, err error) { return g, row.Scan(&g.first, &g.last, &g.time) },
		`SELECT before + 1, position - 1, since FROM (
			SELECT position, LAG(position, 1, ?1) OVER (ORDER BY position) AS before, LAG(time, 1, 0) OVER (ORDER BY position) AS since FROM
				(SELECT position, time FROM log UNION ALL SELECT ?2, 0)
		) WHERE position > before + 1`, begin.Int64-1, s.head.position+1)
	if err != nil {
		return err
	}
	for _, gap := range gaps {
		s.lost = gap.last
		s.gaps = append(s.gaps, gap)
		s.found.Revisions += gap.last - gap.first + 1
		for position := gap.first; position <= gap.last; position++ {
			check := s.checks[position]
			if position == s.head.position && check == 0 {
				check = s.head.entry
			}
			empty := (&entryRow{position: position, time: gap.time}).blanked(check)
			if err := s.replace(ctx, "log", entryColumns, empty.values(empty.checksum())); err != nil {
				return err
			}
		}
		s.reportf("log: what stood at positions %d to %d is lost", gap.first, gap.last)
	}
	if err := s.mendEntries(ctx); err != nil {
		return err
	}
	if err := s.tellReaders(ctx, begin.Int64); err != nil {
		return err
	}
	return s.writeHead(ctx)
}

// lostAfter counts the entries after a position that are lost.
func (s *salvage) lostAfter(position int64) (count int64) {
	for _, gap := range s.gaps {
		count += max(0, gap.last-max(gap.first-1, position))
	}
	return count
}

// mendEntries has each entry name the revision before it.
func (s *salvage) mendEntries(ctx context.Context) error {
	if err := s.run(ctx, "CREATE TEMP TABLE steps AS SELECT position, before FROM (SELECT position, previous, revision, "+
		"LAG(position, 1, 0) OVER w AS before, LAG(revision, 1, 0) OVER w AS older FROM log WHERE kind <> 2 "+
		"WINDOW w AS (PARTITION BY outcome ORDER BY position)) "+
		"WHERE previous <> before AND (previous <> ? OR older <> revision - 1)", unknownPrevious); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	positions, err := list(ctx, s, scanNumber, "SELECT position FROM steps")
	if err != nil {
		return err
	}
	for _, position := range positions {
		e, _, err := scanEntryRow(s.tx.QueryRowContext(ctx, "SELECT "+entryColumns+" FROM log WHERE position = ?", position))
		if err != nil {
			return err
		}
		if err := s.tx.QueryRowContext(ctx, "SELECT before FROM steps WHERE position = ?", position).Scan(&e.previous); err != nil {
			return err
		}
		if err := s.replace(ctx, "log", entryColumns, e.values(e.checksum())); err != nil {
			return err
		}
	}
	return nil
}

// tellReaders moves the horizon of every source past the last entry that is lost: whose it was, nobody knows.
func (s *salvage) tellReaders(ctx context.Context, begin int64) error {
	horizons := map[string]horizon{}
	if begin > 1 {
		horizons[noSource] = horizon{position: begin - 1}
	}
	if s.lost > 0 {
		var trims int64
		if err := s.tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(trims), 0) + 1 FROM horizons").Scan(&trims); err != nil {
			return err
		}
		sources, err := list(ctx, s, func(row scanner) (source string, err error) { return source, row.Scan(&source) },
			`SELECT source FROM deliveries UNION SELECT source FROM log UNION SELECT source FROM outcomes UNION SELECT source FROM contributions
			UNION SELECT source FROM horizons EXCEPT SELECT ?`, noSource)
		if err != nil {
			return err
		}
		if sources = append(sources, s.Sources...); len(sources) == 0 {
			delete(s.meta, logName) // Nothing tells readers but another log.
		}
		for _, source := range sources {
			horizons[source] = horizon{position: s.lost, trims: uint64(trims)}
		}
	}
	for source, h := range horizons {
		// What was trimmed before may lie behind what is lost.
		if err := s.run(ctx, "INSERT INTO horizons ("+horizonColumns+") VALUES (?, ?, ?, 0) ON CONFLICT (source) DO UPDATE "+
			"SET position = max(position, excluded.position), trims = excluded.trims", source, h.position, int64(h.trims)); err != nil {
			return err
		}
		if err := s.tx.QueryRowContext(ctx, "SELECT position FROM horizons WHERE source = ?", source).Scan(&h.position); err != nil {
			return err
		}
		if err := s.run(ctx, "UPDATE horizons SET checksum = ? WHERE source = ?", int64(horizonChecksum(source, h)), source); err != nil {
			return err
		}
	}
	return nil
}

// writeHead writes where the store ends.
func (s *salvage) writeHead(ctx context.Context) error {
	h := &s.head
	if h.position > 0 {
		e, sum, err := scanEntryRow(s.tx.QueryRowContext(ctx, "SELECT "+entryColumns+" FROM log WHERE position = ?", h.position))
		if err != nil {
			return fmt.Errorf("newest entry: %w", err)
		}
		if h.entry, h.time = sum, max(h.time, e.time); e.kind == blank {
			h.entry = checksum(binary.BigEndian.Uint32(e.body))
		}
	}
	var last int64
	if err := s.tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(seq), 0) FROM (SELECT seq FROM deliveries UNION ALL SELECT seq FROM delivery_ids)").Scan(&last); err != nil {
		return err
	}
	h.delivery = max(h.delivery, last)
	return s.run(ctx, "INSERT INTO head (id, position, entry, time, delivery, contribution, checksum) VALUES (1, ?, ?, ?, ?, ?, ?)",
		h.position, int64(h.entry), h.time, h.delivery, h.contribution, int64(h.checksum()))
}

// remains is what is left of an outcome: its entries, and its contributions.
type remains struct {
	id           store.OutcomeID
	first, last  int64 // positions
	contribution int64
}

// mendOutcomes writes the rows of outcomes that are lost, or that speak of something that is.
func (s *salvage) mendOutcomes(ctx context.Context) error {
	for _, query := range []string{
		"CREATE TEMP TABLE told (outcome BLOB PRIMARY KEY, first INTEGER, last INTEGER) WITHOUT ROWID",
		"INSERT INTO told SELECT outcome, MIN(position), MAX(position) FROM log WHERE kind <> 2 GROUP BY outcome",
		"CREATE TEMP TABLE chains (outcome BLOB PRIMARY KEY, last INTEGER) WITHOUT ROWID",
		"INSERT INTO chains SELECT outcome, MAX(id) FROM contributions GROUP BY outcome",
	} {
		if err := s.run(ctx, query); err != nil {
			return fmt.Errorf("outcomes: %w", err)
		}
	}
	wrong := "o.id IS NULL OR o.contribution <> COALESCE(c.last, 0) OR o.position <> COALESCE(t.last, 0) " +
		"OR o.deleted = 0 AND o.first_position <> COALESCE(t.first, 0) OR o.deleted = 0 AND o.position = 0 AND c.last IS NULL " +
		"OR t.last IS NOT NULL AND o.revision <> (SELECT revision FROM log WHERE position = t.last)"
	if s.rehashed {
		wrong = "1 = 1"
	}
	list, err := list(ctx, s, func(row scanner) (r remains, err error) {
		var id []byte
		err = row.Scan(&id, &r.first, &r.last, &r.contribution)
		set(&r.id, id)
		return r, err
	}, `SELECT a.id, COALESCE(t.first, 0), COALESCE(t.last, 0), COALESCE(c.last, 0) FROM
		(SELECT id FROM outcomes UNION SELECT outcome FROM told UNION SELECT outcome FROM chains) a
		LEFT JOIN outcomes o ON o.id = a.id LEFT JOIN told t ON t.outcome = a.id LEFT JOIN chains c ON c.outcome = a.id WHERE `+wrong)
	if err != nil {
		return err
	}
	q, err := prepareQueries(ctx, s.tx, s.packer, [8]byte{}, &fresh{})
	if err != nil {
		return err
	}
	defer func() { _ = q.close() }() // They have only read.
	for _, left := range list {
		if err := s.mendOutcome(ctx, q, left); err != nil {
			return err
		}
	}
	return nil
}

func (s *salvage) mendOutcome(ctx context.Context, q *queries, left remains) error {
	row, err := q.readOutcome(ctx, left.id)
	known := err == nil
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	was := row
	row.id, row.contribution = left.id, left.contribution
	chain, err := q.readChain(ctx, row.id, row.contribution)
	if err != nil {
		return err
	}
	if !known || s.rehashed {
		row.addresses = nil
		for _, c := range counting(chain) {
			row.addresses = uniteAddresses(row.addresses, c.addresses)
		}
	}
	var newest entryRow
	if left.last > 0 {
		if newest, _, err = q.readEntryRow(ctx, left.last); err != nil {
			return err
		}
	}
	row.position, row.firstPosition = left.last, left.first
	switch {
	case row.deleted || newest.kind == deleted:
		row = outcomeRow{id: row.id, deleted: true, revision: max(row.revision, newest.revision), position: left.last, firstPosition: left.first}
		row.listed = listing{time: newest.time, provider: newest.provider, source: newest.source}
	case left.last == 0 && left.contribution == 0:
		s.found.Outcomes++
		s.reportf("outcomes/%s is lost", row.id)
		return s.run(ctx, "DELETE FROM outcomes WHERE id = ?", row.id[:])
	case left.last == 0:
		// Where there was no revision, there is none to renew.
		if !known || was.revision > 0 {
			s.renewals = append(s.renewals, renewal{row.id, s.highest(known, was.revision, 0), true})
		}
		row = outcomeRow{id: row.id, contribution: row.contribution, addresses: row.addresses}
	case !known, was.position != left.last:
		if err := s.describe(&row, newest); err != nil {
			return err
		}
		// Of an outcome whose row is lost, nobody knows whether there was a newer one among those that are.
		if known || s.lost > left.last {
			s.renewals = append(s.renewals, renewal{row.id, s.highest(known, max(was.revision, newest.revision), left.last), false})
		}
	}
	values := row.values()
	return s.replace(ctx, "outcomes", outcomeColumns, append(values[len(values)-1:], values[:len(values)-1]...))
}

// highest returns a number that no revision of an outcome has exceeded. Where its row is lost, every entry that is lost may have been one.
func (s *salvage) highest(known bool, revision int32, position int64) int32 {
	if known {
		return revision
	}
	return int32(min(int64(revision)+s.lostAfter(position), math.MaxInt32-1))
}

// describe fills in by what an outcome is found and listed, as its newest revision says it.
func (s *salvage) describe(row *outcomeRow, newest entryRow) error {
	row.revision = newest.revision
	row.listed = listing{
		time: newest.time, provider: newest.provider, source: newest.source, status: newest.status, completeness: newest.completeness,
	}
	row.due, row.providerCallID, row.externalIDs = 0, "", nil
	if s.Describe == nil {
		return nil
	}
	keys, _, err := s.Describe(newest.body)
	if err != nil {
		return fmt.Errorf("outcome %s: %w", row.id, err)
	}
	row.providerCallID, row.externalIDs = keys.ProviderCallID, packExternalIDs(keys.ExternalIDs)
	row.listed.disposition, row.listed.doNotCall = keys.Disposition, keys.DoNotCall
	if !keys.Time.IsZero() {
		row.listed.time = keys.Time.UnixMicro()
	}
	if !keys.Due.IsZero() {
		row.due = keys.Due.UnixMicro()
	}
	return nil
}

// nameLost names the deliveries of which nothing is left but that they were kept. An id that leads to the place of another delivery is
// that of an outcome, in its index.
func (s *salvage) nameLost(ctx context.Context) error {
	type claim struct {
		id    store.DeliveryID
		seq   int64
		known bool
	}
	lost, err := list(ctx, s, func(row scanner) (c claim, err error) {
		var id []byte
		err = row.Scan(&id, &c.seq, &c.known)
		set(&c.id, id)
		return c, err
	}, `SELECT c.id, c.seq, i.seq IS NOT NULL FROM claims c LEFT JOIN delivery_ids i ON i.id = c.id
		WHERE c.seq <> 0 AND COALESCE(i.seq, 0) = 0 AND c.id NOT IN (SELECT id FROM outcomes) AND c.seq NOT IN (SELECT seq FROM deliveries)
		UNION ALL SELECT DISTINCT delivery, 0, 1 FROM contributions WHERE delivery <> zeroblob(16) -- which was fresh
			AND delivery NOT IN (SELECT id FROM claims) AND delivery NOT IN (SELECT id FROM deliveries)
		ORDER BY 2`)
	if err != nil {
		return err
	}
	for _, c := range lost {
		s.found.Deliveries++
		if c.known {
			s.reportf("deliveries/%s is lost, what it said is kept", c.id)
			continue
		}
		s.reportf("deliveries/%s is lost with what it said; sent again, it is kept again", c.id)
	}
	return nil
}

// index writes by what outcomes are found, and counts what is kept.
func (s *salvage) index(ctx context.Context) error {
	ids, err := list(ctx, s, scanNumber, "SELECT rowid FROM outcomes WHERE deleted = 0 AND position > 0 AND (external_ids <> x'' OR addresses <> x'')")
	if err != nil {
		return err
	}
	for _, id := range ids {
		row, err := scanOutcome(s.tx.QueryRowContext(ctx, "SELECT "+outcomeColumns+" FROM outcomes WHERE rowid = ?", id))
		if err != nil {
			return err
		}
		external, err := row.unpackExternalIDs()
		if err != nil {
			return err
		}
		for _, e := range external {
			if err := s.run(ctx, "INSERT INTO external_ids (system, id, first_position, outcome) VALUES (?, ?, ?, ?)",
				e.System, e.ID, row.firstPosition, row.id[:]); err != nil {
				return err
			}
		}
		for at := 0; at < len(row.addresses); at += addressSize {
			if err := s.run(ctx, "INSERT INTO addresses (address, time, first_position, outcome) VALUES (?, ?, ?, ?)",
				row.addresses[at:at+addressSize], row.listed.time, row.firstPosition, row.id[:]); err != nil {
				return err
			}
		}
	}
	return s.run(ctx, "INSERT INTO usage (source, bytes) "+usageQuery)
}
