package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"slices"

	"github.com/callnorm/callnorm/internal/store"
)

var (
	//go:embed schema.sql
	schema1 string
	//go:embed schema2.sql
	schema2 string
	//go:embed schema3.sql
	schema3 string
	//go:embed schema5.sql
	schema5 string
)

// step leads from one version of the schema to the next.
type step struct {
	sql string
	// rows, when there is one, changes rows in a way that SQL cannot: it knows no checksum.
	rows func(context.Context, *sql.Tx) error
}

// migrations returns the steps from an empty database to the newest schema. Step n, counted from 1, leads from version n-1
// to version n; a step that was released never changes.
func migrations(s *Store) []step {
	return []step{
		{sql: schema1}, {sql: schema2, rows: waitQuarantined}, {sql: schema3, rows: s.describe},
		{}, // Bodies may be S2 blocks, which an older program takes for broken.
		{sql: schema5},
	}
}

// newestVersion is the version that the last step leads to.
func newestVersion() int { return len(migrations(nil)) }

// migrate brings the database to the newest schema, in one transaction. It refuses a newer one: an older program must not
// write what it does not understand.
func migrate(ctx context.Context, conn *sql.Conn, steps []step) (err error) {
	version, err := schemaVersion(ctx, conn, len(steps))
	if err != nil || version == len(steps) {
		return err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin migration: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // The reason is the error that led here.
		}
	}()
	for n, step := range steps[version:] {
		if _, err := tx.ExecContext(ctx, step.sql); err != nil {
			return fmt.Errorf("migrate to schema version %d: %w", version+n+1, err)
		}
		if step.rows == nil {
			continue
		}
		if err := step.rows(ctx, tx); err != nil {
			return fmt.Errorf("migrate rows to schema version %d: %w", version+n+1, err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(steps))); err != nil {
		return fmt.Errorf("write schema version: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit migration: %w", err)
	}
	return nil
}

// schemaVersion returns the version of a database, 0 of an empty one. A version after newest is an error.
func schemaVersion(ctx context.Context, conn *sql.Conn, newest int) (version int, err error) {
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	if version > newest {
		return 0, fmt.Errorf("the database has schema version %d, this program knows versions up to %d: it was written by a newer one",
			version, newest)
	}
	return version, nil
}

// waitQuarantined lets the deliveries wait that version 1 had quarantined, in part (3) or whole (4): that they wait was not
// told yet. A corrupt row stays as it is, and so stays corrupt.
func waitQuarantined(ctx context.Context, tx *sql.Tx) error {
	for seq := int64(0); ; {
		r, err := scanDelivery(tx.QueryRowContext(ctx,
			"SELECT "+deliveryColumns+" FROM deliveries WHERE seq > ? AND state IN (3, 4) ORDER BY seq LIMIT 1", seq))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if seq = r.seq; seq == 0 {
			return err
		}
		if err != nil {
			continue
		}
		r.delivery.Waiting = true
		r.fixed = r.fixedChecksum()
		if _, err := tx.ExecContext(ctx, "UPDATE deliveries SET waiting = 1, checksum = ? WHERE seq = ?",
			int64(r.checksum()), seq); err != nil {
			return err
		}
	}
}

// describe fills in what version 3 knows of contributions and outcomes, and counts what is kept. A corrupt row stays as it is, and so
// stays corrupt.
func (s *Store) describe(ctx context.Context, tx *sql.Tx) error {
	key, err := readMeta(ctx, tx, "address_key")
	if errors.Is(err, sql.ErrNoRows) {
		key = make([]byte, addressKeySize)
		rand.Read(key) // never fails
		err = writeMeta(ctx, tx, "address_key", key)
	}
	if err != nil {
		return err
	}
	s.addressKey = key
	if err := s.describeContributions(ctx, tx); err != nil {
		return err
	}
	if err := s.describeOutcomes(ctx, tx); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO usage (source, bytes) "+usageQuery)
	return err
}

// usageQuery counts what is kept of each source.
const usageQuery = `SELECT source, SUM(bytes) FROM (
	SELECT source, length(header) + length(report) + length(body) AS bytes FROM deliveries
	UNION ALL SELECT source, length(body) FROM contributions
	UNION ALL SELECT source, length(body) FROM log WHERE kind <> 2
) GROUP BY source`

func (s *Store) describeContributions(ctx context.Context, tx *sql.Tx) error {
	for id := int64(0); ; {
		r, err := scanContribution(tx.QueryRowContext(ctx,
			"SELECT "+contributionColumns+" FROM contributions WHERE id > ? ORDER BY id LIMIT 1", id))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if r.id == 0 {
			return err
		}
		if id = r.id; err != nil {
			continue
		}
		err = tx.QueryRowContext(ctx, "SELECT d.source FROM delivery_ids i JOIN deliveries d ON d.seq = i.seq WHERE i.id = ?",
			r.delivery[:]).Scan(&r.source)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if s.settings.Describe != nil && r.encoding != superseded {
			if c, err := r.open(s.packer); err == nil {
				if _, addresses, err := s.settings.Describe(c.Body); err == nil {
					r.addresses = s.hashAddresses(addresses)
				}
			}
		}
		r.fixed = r.fixedChecksum()
		if _, err := tx.ExecContext(ctx, "UPDATE contributions SET source = ?, addresses = ?, checksum = ? WHERE id = ?",
			r.source, r.addresses, int64(r.checksum()), id); err != nil {
			return err
		}
	}
}

func (s *Store) describeOutcomes(ctx context.Context, tx *sql.Tx) error {
	q, err := prepareQueries(ctx, tx, s.packer, [8]byte{}, &fresh{})
	if err != nil {
		return err
	}
	defer func() { _ = q.close() }() // They have only read.
	for last := []byte{}; ; {
		var id []byte
		err := tx.QueryRowContext(ctx, "SELECT id FROM outcomes WHERE id > ? ORDER BY id LIMIT 1", last).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		last = id
		row, err := scanOutcome(q.outcome.QueryRowContext(ctx, id))
		if errors.Is(err, store.ErrCorrupt) {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.describeOutcome(ctx, tx, q, row); err != nil && !errors.Is(explain(err), store.ErrCorrupt) {
			return err
		}
	}
}

func (s *Store) describeOutcome(ctx context.Context, tx *sql.Tx, q *queries, row outcomeRow) error {
	chain, err := q.readChain(ctx, row.id, row.contribution)
	if err != nil {
		return err
	}
	for _, c := range counting(chain) {
		row.addresses = uniteAddresses(row.addresses, c.addresses)
	}
	if row.position > 0 {
		entry, _, err := q.readEntryRow(ctx, row.position)
		if err != nil {
			return err
		}
		row.listed = listing{
			time: entry.time, provider: entry.provider, source: entry.source, status: entry.status, completeness: entry.completeness,
		}
		if s.settings.Describe != nil {
			if keys, _, err := s.settings.Describe(entry.body); err == nil {
				row.listed.disposition, row.listed.doNotCall = keys.Disposition, keys.DoNotCall
				if !keys.Time.IsZero() {
					row.listed.time = keys.Time.UnixMicro()
				}
				if !keys.Due.IsZero() {
					row.due = keys.Due.UnixMicro()
				}
			}
		}
		for address := range slices.Chunk(row.addresses, addressSize) {
			if _, err := tx.ExecContext(ctx, "INSERT INTO addresses (address, time, first_position, outcome) VALUES (?, ?, ?, ?)",
				address, row.listed.time, row.firstPosition, row.id[:]); err != nil {
				return err
			}
		}
	}
	_, err = tx.ExecContext(ctx, updateOutcome, row.values()...)
	return err
}
