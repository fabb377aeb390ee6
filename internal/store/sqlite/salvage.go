package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

// Salvaging is what a program may set for Salvage.
type Salvaging struct {
	// Now tells the time; time.Now when nil.
	Now func() time.Time
	// Describe is that of Settings. It is needed for outcomes whose row is lost.
	Describe func(body []byte) (store.Keys, []string, error)
	// Fold makes a new revision, in any case, of an outcome whose newest one is lost.
	Fold store.Fold
	// Sources are those that may have had something in the store. It knows them, as long as something of theirs is left.
	Sources []string
	// Again is called when the new store is complete, with the deliveries that have to be understood anew, because a part of what they
	// said is lost. It may be nil.
	Again func(context.Context, *Store, []store.DeliveryID) error
	// Report is called with each thing that is lost, by its name as far as that is known, and with what became of it. It may be nil.
	Report func(string)
}

// Salvaged tells what Salvage has found.
type Salvaged struct {
	// Kept is what the new store holds.
	Kept Checked
	// Deliveries and Outcomes count those that are lost as a whole, Revisions the entries of the log.
	Deliveries, Outcomes, Revisions int64
	// Renewed counts the outcomes that got a new revision, as their newest was lost; Stale those of which only an older one is left.
	Renewed, Stale int64
	// Again counts the deliveries of which a part of what they said was lost.
	Again int64
}

// Lost tells whether something is.
func (s Salvaged) Lost() bool {
	return s.Deliveries+s.Outcomes+s.Revisions+s.Renewed+s.Stale+s.Again > 0
}

// Salvage makes a new store, in a directory that has none, of everything that is intact in a directory whose store is damaged, in
// whatever way: it reads pages, and not a database. Nobody may use the damaged one meanwhile, and nothing of it is changed. The new
// directory gets its name when its store is complete, checked and on the disk.
//
// An intact row stays what it is, at the place where it was. Where the log has lost an entry, its place stays empty, and readers who
// have not come past it are told that something is gone, as after a trim. The new store goes on with another log, as after Restore.
// What was deleted stays deleted: of that, everything that is readable is kept.
func Salvage(ctx context.Context, from, to string, salvaging Salvaging) (salvaged Salvaged, err error) {
	defer func(from, to string) {
		if err != nil {
			err = fmt.Errorf("salvage %s to %s: %w", from, to, err)
		}
	}(from, to)
	if salvaging.Now == nil {
		salvaging.Now = time.Now
	}
	if salvaging.Report == nil {
		salvaging.Report = func(string) {}
	}
	if to, err = filepath.Abs(to); err != nil {
		return Salvaged{}, err
	}
	if err := vacant(to); err != nil {
		return Salvaged{}, err
	}
	if _, err := os.Stat(from); err != nil {
		return Salvaged{}, err
	}
	lock, from, err := lockDirectory(from)
	if err != nil {
		return Salvaged{}, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return Salvaged{}, err
	}
	partial, err := os.MkdirTemp(filepath.Dir(to), "."+filepath.Base(to)+".partial-*")
	if err != nil {
		return Salvaged{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(partial)) }()
	s := &salvage{Salvaging: salvaging}
	if err := s.fill(ctx, from, filepath.Join(partial, databaseFile)); err != nil {
		return Salvaged{}, explain(err)
	}
	if err := s.renew(ctx, partial); err != nil {
		return Salvaged{}, err
	}
	if s.found.Kept, err = Check(ctx, partial, nil); err != nil {
		return Salvaged{}, fmt.Errorf("what was salvaged does not fit together: %w", err)
	}
	return s.found, publishDirectory(partial, to)
}

// vacant returns an error unless a directory does not exist or is empty.
func vacant(dir string) error {
	switch entries, err := os.ReadDir(dir); {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty", dir)
	}
	return nil
}

// publishDirectory names a directory that is complete.
func publishDirectory(partial, dir string) error {
	if err := syncFile(filepath.Join(partial, databaseFile)); err != nil {
		return err
	}
	if err := syncDirectory(partial); err != nil {
		return err
	}
	if err := os.Rename(partial, dir); err != nil { // also over an empty one
		return err
	}
	return syncDirectory(filepath.Dir(dir))
}

// salvage is one run of Salvage.
type salvage struct {
	Salvaging

	found  Salvaged
	packer *packer
	tx     *sql.Tx
	// puts are statements that keep a row, unless there is a newer one.
	puts map[string]*sql.Stmt
	// meta has what the store is, head where it ended, if that was found.
	meta map[string][]byte
	head headRow
	// some tells that a row was intact.
	some bool
	// checks are those of entries that are damaged, by their positions.
	checks map[int64]checksum
	// gaps are the positions whose entries are lost, lost is the last of them.
	gaps []span
	lost int64
	// again lists deliveries that have to be understood anew, renewals outcomes whose newest revision is lost.
	again    []store.DeliveryID
	renewals []renewal
	// rehashed tells that addresses are hashed with a new key.
	rehashed bool
}

// renewal is an outcome that needs a new revision.
type renewal struct {
	outcome store.OutcomeID
	// revision is the number of the newest one that there was, or is not less.
	revision int32
	// lacking tells that no revision is left.
	lacking bool
}

func (s *salvage) reportf(format string, args ...any) { s.Report(fmt.Sprintf(format, args...)) }

// fill makes a database of what is intact.
func (s *salvage) fill(ctx context.Context, from, file string) (err error) {
	if s.packer, err = newPacker(); err != nil {
		return err
	}
	defer s.packer.close()
	source, err := openPages(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.close()) }()
	if err := create(file); err != nil {
		return err
	}
	// Nobody wants a part of it: there is nothing to roll back to, and it is synced when it is complete.
	return withConnection(ctx, file, access("rw", "journal_mode(OFF)", "synchronous(OFF)", "cache_size(-65536)"), func(conn *sql.Conn) error {
		if err := migrate(ctx, conn, migrations(&Store{packer: s.packer})); err != nil {
			return err
		}
		if s.tx, err = conn.BeginTx(ctx, nil); err != nil {
			return err
		}
		defer func() { _ = s.tx.Rollback() }() // after a commit it does nothing
		if err := s.gather(ctx, source); err != nil {
			return err
		}
		s.heedMark(from)
		if err := s.mend(ctx); err != nil {
			return err
		}
		return s.tx.Commit()
	})
}

// newest says of two rows with one key which counts: of a store that is damaged, a page may be of another time than the others.
var newest = []struct{ table, key, columns, order string }{
	{"deliveries", "seq", deliveryColumns, "first_contribution"},
	{"contributions", "id", contributionColumns, "encoding"},
	{"outcomes", "id", outcomeColumns, "deleted, revision, contribution"},
	{"log", "position", entryColumns, "kind"},
	{"horizons", "source", horizonColumns, "trims, position"},
	{"subscriptions", "name", subscriptionColumns, "generation, move_time"},
}

// gather puts every intact row into its table.
func (s *salvage) gather(ctx context.Context, source *pages) (err error) {
	s.meta, s.checks, s.puts = map[string][]byte{}, map[int64]checksum{}, map[string]*sql.Stmt{}
	texts := map[string]string{
		// What a delivery's id leads to stands in a row without a checksum, as does the place of an outcome in an index.
		"claims": "INSERT INTO claims (id, seq) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET seq = min(seq, excluded.seq)",
	}
	for _, t := range newest {
		columns := strings.FieldsFunc(t.columns, func(r rune) bool { return strings.ContainsRune(", \n\t", r) })
		var sets, before, after []string
		for _, c := range columns {
			sets = append(sets, c+" = excluded."+c)
		}
		for c := range strings.SplitSeq(t.order, ", ") {
			before, after = append(before, t.table+"."+c), append(after, "excluded."+c)
		}
		texts[t.table] = "INSERT INTO " + t.table + " (" + t.columns + ") VALUES (?" + strings.Repeat(", ?", len(columns)-1) + ") ON CONFLICT (" +
			t.key + ") DO UPDATE SET " + strings.Join(sets, ", ") + " WHERE (" + strings.Join(before, ", ") + ") < (" + strings.Join(after, ", ") + ")"
	}
	if err := s.run(ctx, "CREATE TEMP TABLE claims (id BLOB NOT NULL PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID"); err != nil {
		return err
	}
	defer func() {
		for _, put := range s.puts {
			err = errors.Join(err, put.Close())
		}
	}()
	for name, text := range texts {
		if s.puts[name], err = s.tx.PrepareContext(ctx, text); err != nil { //nolint:sqlclosecheck // closed above
			return fmt.Errorf("prepare %q: %w", text, err)
		}
	}
	if err := source.each(ctx, func(r record) error { return s.take(ctx, r) }); err != nil {
		return err
	}
	if !s.some {
		return fmt.Errorf("%w: not one row is intact", store.ErrCorrupt)
	}
	return nil
}

// take keeps a row if it is one of ours and intact. What row it may be is told by its values: its checksum is that of its table.
func (s *salvage) take(ctx context.Context, r record) error {
	put := func(table string, values []any) error {
		s.some = true
		_, err := s.puts[table].ExecContext(ctx, values...)
		return err
	}
	_, numbered := r[0].(int64)
	switch n := len(r); {
	case numbered && n == 7:
		s.takeHead(r)
	case numbered && n >= 19 && n <= 22:
		if row, err := scanDelivery(r.extended(22, "", []byte{}, int64(0))); err == nil {
			return put("deliveries", row.values())
		}
	case numbered && n >= 8 && n <= 12:
		if n <= 10 {
			if row, err := scanContribution(r.extended(10, "", []byte{})); err == nil {
				return put("contributions", row.values())
			}
		}
		if n >= 10 {
			row, sum, err := scanEntryRow(r.extended(12, int64(unknownPrevious), int64(revised)))
			if err == nil {
				return put("log", row.values(sum))
			}
			if stored, ok := r[6].(int64); ok && row.position > 0 { // it has the columns of an entry
				s.checks[row.position] = checksum(stored)
			}
		}
	case n == 19, n == 20: // the last tells of an index
		if row, err := scanOutcome(r[:19]); err == nil {
			values := row.values()
			return put("outcomes", append(values[len(values)-1:], values[:len(values)-1]...))
		}
	case n == 2:
		id, ok := r[0].([]byte)
		if seq, isNumber := r[1].(int64); ok && isNumber && len(id) == len(store.DeliveryID{}) {
			return put("claims", []any{id, seq})
		}
	case n == 3:
		var name string
		var value []byte
		var stored int64
		if r.Scan(&name, &value, &stored) == nil && metaChecksum(name, value).verify(stored, "meta", name) == nil {
			s.meta[name] = value
		}
	case n == 4:
		if source, h, err := scanHorizon(r); err == nil {
			return put("horizons", []any{source, h.position, int64(h.trims), int64(horizonChecksum(source, h))})
		}
	case n == 8:
		if row, err := scanSubscription(r); err == nil {
			return put("subscriptions", []any{row.Name, row.Owner, row.Filter, row.Cursor.String(), row.Generation,
				row.CreateTime.UnixMicro(), row.MoveTime.UnixMicro(), int64(subscriptionChecksum(row))})
		}
	}
	return nil
}

func (s *salvage) takeHead(r record) {
	var h headRow
	var stored int64
	if r[1:].Scan(&h.position, &h.entry, &h.time, &h.delivery, &h.contribution, &stored) != nil ||
		h.checksum().verify(stored, "head", 1) != nil {
		return
	}
	if h.position > s.head.position || h.contribution > s.head.contribution || h.delivery > s.head.delivery {
		s.head = h
	}
}

// heedMark finds out from the mark beside the database whether the log had come further than what is left of it.
func (s *salvage) heedMark(dir string) {
	mark, ok := readMark(dir)
	if end := int64(mark.Position); ok && string(mark.Log[:]) == string(s.meta[logName]) && end > s.head.position {
		s.head.position, s.checks[end] = end, checksum(mark.Check)
	}
}

// extended returns a record with what columns mean that were added after it was written.
func (r record) extended(columns int, defaults ...any) record {
	missing := columns - len(r)
	if missing <= 0 || missing > len(defaults) {
		return r
	}
	return slices.Concat(r, defaults[len(defaults)-missing:])
}

// run executes a statement.
func (s *salvage) run(ctx context.Context, query string, args ...any) error {
	_, err := s.tx.ExecContext(ctx, query, args...)
	return err
}

// writeMeta writes what the store is. Its log is another one: what it has is what the former had, up to where that ended.
func (s *salvage) writeMeta(ctx context.Context) error {
	if _, ok := formerLogs(s.meta[formerName]); !ok {
		delete(s.meta, formerName)
	}
	log := make([]byte, 8)
	rand.Read(log) // never fails
	if was := s.meta[logName]; len(was) == len(log) {
		s.meta[formerName] = binary.BigEndian.AppendUint64(append(s.meta[formerName], was...), uint64(s.head.position))
	} else {
		s.reportf("the name of the log is lost: cursors are refused, and readers begin anew")
	}
	s.meta[logName] = log
	if len(s.meta[deliveryIDName]) == 0 {
		s.reportf("the key of delivery ids is lost: what is sent again is kept again, also what was deleted")
	}
	for _, name := range []string{deliveryIDName, addressName} {
		if len(s.meta[name]) == 0 {
			s.meta[name] = make([]byte, 32)
			rand.Read(s.meta[name])
		}
	}
	for _, name := range []string{logName, formerName, deliveryIDName, addressName} {
		if value := s.meta[name]; value != nil {
			if err := writeMeta(ctx, s.tx, name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// renew opens the new store, makes what is lost of newest revisions, and lets deliveries be understood anew.
func (s *salvage) renew(ctx context.Context, dir string) (err error) {
	if len(s.renewals)+len(s.again) == 0 {
		return nil
	}
	made, err := Open(ctx, dir, Settings{Now: s.Now, Describe: s.Describe})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, made.Close()) }()
	left, err := s.renewAll(ctx, made, s.renewals)
	if err != nil {
		return err
	}
	if s.Again != nil && len(s.again) > 0 {
		if err := s.Again(ctx, made, s.again); err != nil {
			return err
		}
		again, err := s.unknown(ctx, made)
		if err != nil {
			return err
		}
		if left, err = s.renewAll(ctx, made, append(left, again...)); err != nil {
			return err
		}
	}
	for _, r := range left {
		if r.lacking {
			s.found.Outcomes++
			s.reportf("outcomes/%s is lost: nothing that is left of it makes a revision", r.outcome)
			continue
		}
		s.found.Stale++
		s.reportf("outcomes/%s has lost its newest revision, and shows an older one", r.outcome)
	}
	return nil
}

// unknown lists the outcomes of which nothing was left until deliveries were understood anew: they were numbered from 1 again, and
// readers may have higher revisions of them.
func (s *salvage) unknown(ctx context.Context, made *Store) (list []renewal, err error) {
	lost := s.highest(false, 0, 0)
	if lost == 0 {
		return nil, nil
	}
	rows, err := made.readers.QueryContext(ctx, "SELECT id FROM outcomes WHERE first_position > ? AND revision < ?", s.head.position, lost)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		r := renewal{revision: lost}
		set(&r.outcome, id)
		list = append(list, r)
	}
	return list, rows.Err()
}

// renewAll returns those of which not enough is left.
func (s *salvage) renewAll(ctx context.Context, made *Store, renewals []renewal) (left []renewal, err error) {
	for _, r := range renewals {
		switch err := made.renew(ctx, r, s.Fold); {
		case errors.Is(err, store.ErrFold):
			left = append(left, r)
		case err != nil:
			return nil, err
		default:
			s.found.Renewed++
			s.reportf("outcomes/%s has lost its newest revision, and has got a new one", r.outcome)
		}
	}
	return left, nil
}

// renew makes a revision of an outcome whose newest one is lost. Its number is higher than that of any that there was.
func (s *Store) renew(ctx context.Context, r renewal, fold store.Fold) error {
	_, err := submitFor(ctx, s, s.commits.requests, 0, func(ctx context.Context, t *transaction) (store.Removed, error) {
		row, err := t.readOutcome(ctx, r.outcome)
		if err != nil {
			return store.Removed{}, err
		}
		chain, err := t.readChain(ctx, row.id, row.contribution)
		if err != nil {
			return store.Removed{}, err
		}
		call := store.Call{Outcome: row.id}
		if call.Contributions, err = openAll(t.packer, counting(chain)); err != nil {
			return store.Removed{}, err
		}
		if len(call.Contributions) == 0 || fold == nil {
			return store.Removed{}, requestError{store.ErrFold}
		}
		current := store.Entry{Outcome: row.id}
		if row.revision > 0 {
			if current, err = t.readNewest(ctx, row); err != nil {
				return store.Removed{}, err
			}
		}
		is := row
		is.revision = max(row.revision, r.revision)
		current.Revision = is.revision
		if is.revision > 0 {
			call.Current = &current
		}
		revision, err := t.guard(fold, call)
		if err != nil {
			return store.Removed{}, err
		}
		if revision.Body == nil {
			return store.Removed{}, requestError{store.ErrFold}
		}
		if err := t.revise(ctx, &is, revision, revised); err != nil {
			return store.Removed{}, err
		}
		return store.Removed{}, t.putOutcome(ctx, true, &row, &is)
	})
	return err
}
