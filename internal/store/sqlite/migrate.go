package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
)

var (
	//go:embed schema.sql
	schema1 string
	//go:embed schema2.sql
	schema2 string
)

// step leads from one version of the schema to the next.
type step struct {
	sql string
	// rows, when there is one, changes rows in a way that SQL cannot: it knows no checksum.
	rows func(context.Context, *sql.Tx) error
}

// migrations returns the steps from an empty database to the newest schema. Step n, counted from 1, leads from version n-1
// to version n; a step that was released never changes.
func migrations() []step {
	return []step{{sql: schema1}, {sql: schema2, rows: waitQuarantined}}
}

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
