package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/callnorm/callnorm/internal/store"
)

// explain gives an error of the database the meaning that the contract has for it.
func explain(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrUnavailable),
		errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrCursorForeign), errors.Is(err, store.ErrCursorExpired):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNotFound
	}
	switch code(err) {
	case codes.SQLITE_CORRUPT, codes.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	if deviceFailed(err) {
		return fmt.Errorf("%w: %w: %w", store.ErrUnavailable, store.ErrDevice, err)
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// perhapsOwn tells whether an error of a transaction may be the fault of one request in it, so that the others would pass
// without it. A request that is too big for what is left of the disk is one of those.
func perhapsOwn(err error) bool {
	switch code(err) {
	case codes.SQLITE_TOOBIG, codes.SQLITE_CONSTRAINT, codes.SQLITE_MISMATCH, codes.SQLITE_RANGE, codes.SQLITE_NOMEM,
		codes.SQLITE_FULL:
		return true
	}
	return false
}

// code returns the primary result code of an error of SQLite, or 0.
func code(err error) int { return extendedCode(err) & 0xff }

// extendedCode returns the result code of an error of SQLite with what it says beside the primary one, or 0.
func extendedCode(err error) int {
	if failure, ok := errors.AsType[*driver.Error](err); ok {
		return failure.Code()
	}
	return codes.SQLITE_OK
}
