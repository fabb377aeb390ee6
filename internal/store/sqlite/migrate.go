package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
)

//go:embed schema.sql
var schema string

// migrations returns the steps from an empty database to the newest schema. Step n, counted from 1, leads from version n-1
// to version n; a step that was released never changes.
func migrations() []string { return []string{schema} }

// migrate brings the database to the newest schema, in one transaction. It refuses a newer one: an older program must not
// write what it does not understand.
func migrate(ctx context.Context, conn *sql.Conn, steps []string) (err error) {
	var version int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if version > len(steps) {
		return fmt.Errorf("the database has schema version %d, this program knows versions up to %d: it was written by a newer one",
			version, len(steps))
	}
	if version == len(steps) {
		return nil
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
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("migrate to schema version %d: %w", version+n+1, err)
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
