package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// The names of what a store is.
const (
	logName        = "log_id"
	formerName     = "former_logs"
	deliveryIDName = "delivery_id_key"
	addressName    = "address_key"
)

// executor is what *sql.Conn and *sql.Tx have in common.
type executor interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func metaChecksum(name string, value []byte) checksum {
	return newChecksum("meta").text(name).bytes(value)
}

// readMeta returns a value of the store itself, or sql.ErrNoRows.
func readMeta(ctx context.Context, on executor, name string) ([]byte, error) {
	var value []byte
	var stored int64
	if err := on.QueryRowContext(ctx, "SELECT value, checksum FROM meta WHERE name = ?", name).Scan(&value, &stored); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return value, metaChecksum(name, value).verify(stored, "meta", name)
}

// readLogs returns the id of a store's log, and those that it goes on from, as formerLogs reads them.
func readLogs(ctx context.Context, on executor) (log, former []byte, err error) {
	if log, err = readMeta(ctx, on, logName); err != nil {
		return nil, nil, err
	}
	if former, err = readMeta(ctx, on, formerName); errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return log, former, err
}

func writeMeta(ctx context.Context, on executor, name string, value []byte) error {
	_, err := on.ExecContext(ctx, "INSERT INTO meta (name, value, checksum) VALUES (?, ?, ?) "+
		"ON CONFLICT (name) DO UPDATE SET value = excluded.value, checksum = excluded.checksum",
		name, value, int64(metaChecksum(name, value)))
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
