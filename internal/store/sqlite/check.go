package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/callnorm/callnorm/internal/store"
)

// Checked counts what Check has looked at, and what of it is broken.
type Checked struct {
	Deliveries, Contributions, Outcomes, Entries int64
	Broken                                       int64
}

// Check reads every row of a store, in its directory or in a backup's file, and finds those that are not what was written or
// that do not fit the others. The store may be in use: Check reads it as it is when it begins, and only the journal grows until
// it is done. It needs little memory, whatever is kept.
//
// report, unless it is nil, is called for each broken row with an error that wraps store.ErrCorrupt and names the row by its
// number or id. When there was one, so does the error that Check returns; another error means that it could not look.
func Check(ctx context.Context, path string, report func(error)) (Checked, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Checked{}, err
	}
	if info.IsDir() {
		path = filepath.Join(path, databaseFile)
	}
	return check(ctx, path, access("ro"), report)
}

func check(ctx context.Context, file string, query url.Values, report func(error)) (Checked, error) {
	c := &checker{report: report}
	err := withConnection(ctx, file, query, func(conn *sql.Conn) (err error) {
		version, err := schemaVersion(ctx, conn, newestVersion())
		switch {
		case err != nil:
			return err
		case version == 0:
			return errors.New("there is no store in it")
		}
		if c.packer, err = newPacker(); err != nil {
			return err
		}
		defer c.packer.close()
		if c.tx, err = conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}); err != nil {
			return err
		}
		defer func() { _ = c.tx.Rollback() }() // It has changed nothing.
		return c.run(ctx, version)
	})
	switch {
	case err != nil:
		return c.Checked, explain(err)
	case c.Broken > 0:
		return c.Checked, fmt.Errorf("%d rows are broken, the first is %w", c.Broken, c.first)
	}
	return c.Checked, nil
}

// checker is one run of Check. The statements find what a row refers to.
type checker struct {
	Checked
	report func(error)
	first  error
	packer *packer
	tx     *sql.Tx
	statements

	seqOf, ownContributions, link, outcome, entry, step, externalID *sql.Stmt

	head headRow
	// names are those of meta, heads counts the rows of head.
	names []string
	heads int
	// oldest is the position of the oldest entry that is kept, last is the newest good one.
	oldest int64
	last   store.Entry
	// begin is where the log begins, as far as it was trimmed.
	begin int64
	// delivery and contribution are the last ones.
	delivery, contribution int64
	// fresh are the newest deliveries, which are not among the ids yet. It is nil where all have to be.
	fresh map[store.DeliveryID]int64
	// claimed counts the contributions that deliveries make, counting those of kept deliveries that count, chained those that
	// chains lead to, live the entries that were not removed, revisions what outcomes have of them, found and addresses how
	// often outcomes are found by addresses, and have some.
	claimed, counting, chained, live, revisions, found, addresses int64

	ofDeliveries, ofContributions, ofOutcomes, ofEntries, ofStep string
}

func (c *checker) run(ctx context.Context, version int) (err error) {
	c.columns(version)
	if version >= versionWithFresh {
		c.fresh = map[store.DeliveryID]int64{}
	}
	if err := c.prepare(ctx, c.tx, map[**sql.Stmt]string{
		&c.seqOf:            "SELECT seq FROM delivery_ids WHERE id = ?",
		&c.ownContributions: "SELECT COUNT(*) FROM contributions WHERE id >= ? AND id < ? AND delivery = ? AND encoding <> ?",
		&c.link:             "SELECT outcome, previous FROM contributions WHERE id = ?",
		&c.outcome:          "SELECT " + c.ofOutcomes + " FROM outcomes WHERE id = ?",
		&c.entry:            "SELECT outcome, revision FROM log WHERE position = ?",
		&c.step:             "SELECT outcome, revision, " + c.ofStep + " FROM log WHERE position = ?",
		&c.externalID:       "SELECT outcome FROM external_ids WHERE system = ? AND id = ? AND first_position = ?",
	}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	type part struct {
		table, query string
		row          func(context.Context, scanner) error
		end          func() error
	}
	parts := []part{
		{"database", "PRAGMA integrity_check(100)", c.structure, nil},
		{"meta", "SELECT name, value, checksum FROM meta WHERE name <> 'probe'", c.meta, c.metaEnd},
		{"head", "SELECT position, entry, time, delivery, contribution, checksum FROM head", c.headRow, c.headEnd},
		{"log", "SELECT " + c.ofEntries + " FROM log ORDER BY position", c.logRow, c.logEnd},
		{"deliveries", "SELECT " + c.ofDeliveries + " FROM deliveries ORDER BY seq", c.deliveryRow, c.deliveriesEnd},
		{
			"delivery_ids", "SELECT seq FROM delivery_ids d WHERE seq <> 0 AND NOT EXISTS (SELECT 1 FROM deliveries WHERE seq = d.seq)",
			c.lostDelivery, nil,
		},
		{"contributions", "SELECT " + c.ofContributions + " FROM contributions ORDER BY id", c.contributionRow, c.contributionsEnd},
		{"outcomes", "SELECT " + c.ofOutcomes + " FROM outcomes", c.outcomeRow, c.outcomesEnd},
		{"external_ids", "SELECT system, id, first_position, outcome FROM external_ids", c.externalIDRow, nil},
	}
	if version >= versionWithUsage {
		parts = append(parts,
			part{"addresses", "SELECT address, time, first_position, outcome FROM addresses", c.addressRow, c.addressesEnd},
			part{"horizons", "SELECT " + horizonColumns + " FROM horizons", c.horizonRow, c.horizonsEnd},
			part{"subscriptions", "SELECT " + subscriptionColumns + " FROM subscriptions", c.subscriptionRow, nil},
			part{"usage", "SELECT u.source, u.bytes, COALESCE(c.bytes, 0) FROM usage u LEFT JOIN (" + strings.Replace(usageQuery, "SUM(bytes)", "SUM(bytes) AS bytes", 1) +
				") c ON c.source = u.source", c.usageRow, nil},
		)
	}
	for _, part := range parts {
		if err := c.each(ctx, part.table, part.query, part.row); err != nil {
			return err
		}
		if part.end == nil {
			continue
		}
		if err := c.note(ctx, part.table, part.end()); err != nil {
			return err
		}
	}
	return nil
}

// First versions of the schema with something.
const (
	// versionWithUsage has addresses, horizons, subscriptions and usage.
	versionWithUsage = 3
	// versionWithFresh may have deliveries that are not among the ids yet.
	versionWithFresh = 5
)

// columns sets what is to be read of rows, with what an older version did not have as it means the same.
func (c *checker) columns(version int) {
	c.ofDeliveries, c.ofContributions, c.ofOutcomes, c.ofEntries = deliveryColumns, contributionColumns, outcomeColumns, entryColumns
	c.ofStep = "previous"
	without := func(columns *string, last string, values string) {
		*columns = strings.TrimSuffix(*columns, last) + values
	}
	if version < 2 {
		without(&c.ofDeliveries, "verified_by, signed, waiting", "'', x'', 0")
	}
	if version < versionWithUsage {
		without(&c.ofContributions, "source, addresses", "'', x''")
		without(&c.ofOutcomes, "time, due, deleted, provider, source, status, completeness, disposition, do_not_call, listed, addresses",
			"0, 0, 0, '', '', 0, 0, 0, 0, 0, x''")
		without(&c.ofEntries, "previous, kind", fmt.Sprintf("%d, %d", unknownPrevious, revised))
		c.ofStep = strconv.Itoa(unknownPrevious)
	}
}

// each looks at rows, one at a time.
func (c *checker) each(ctx context.Context, table, query string, look func(context.Context, scanner) error) (err error) {
	rows, err := c.tx.QueryContext(ctx, query)
	if err != nil {
		return c.note(ctx, table, err)
	}
	defer func() { err = errors.Join(err, c.note(ctx, table, rows.Close())) }()
	for rows.Next() {
		if err := c.note(ctx, table, look(ctx, rows)); err != nil {
			return err
		}
	}
	return c.note(ctx, table, rows.Err())
}

// note reports an error that says what is broken, and returns one that says why nobody can tell.
func (c *checker) note(ctx context.Context, table string, err error) error {
	switch explained := explain(err); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(explained, store.ErrCorrupt):
		err = explained
	case code(err) != 0:
		return err
	default:
		// What cannot be scanned is quoted in the error.
		err = fmt.Errorf("%w: %s: a row has a value of another type, or misses one", store.ErrCorrupt, table)
	}
	if c.Broken++; c.first == nil {
		c.first = err
	}
	if c.report != nil {
		c.report(err)
	}
	return nil
}

func (c *checker) structure(_ context.Context, row scanner) error {
	var text string
	if err := row.Scan(&text); err != nil || text == "ok" {
		return err
	}
	return corrupt("database", databaseFile, text)
}

func (c *checker) meta(_ context.Context, row scanner) error {
	var name string
	var value []byte
	var stored int64
	if err := row.Scan(&name, &value, &stored); err != nil {
		return err
	}
	c.names = append(c.names, name)
	if _, ok := formerLogs(value); name == formerName && !ok {
		return corrupt("meta", name, "value has another length")
	}
	return metaChecksum(name, value).verify(stored, "meta", name)
}

func (c *checker) metaEnd() error {
	for _, name := range []string{deliveryIDName, logName} {
		if !slices.Contains(c.names, name) {
			return corrupt("meta", name, "row is missing")
		}
	}
	return nil
}

func (c *checker) headRow(_ context.Context, row scanner) error {
	c.heads++
	h := &c.head
	var stored int64
	if err := row.Scan(&h.position, &h.entry, &h.time, &h.delivery, &h.contribution, &stored); err != nil {
		return err
	}
	return h.checksum().verify(stored, "head", 1)
}

func (c *checker) headEnd() error {
	if c.heads == 0 {
		return corrupt("head", 1, "row is missing")
	}
	return nil
}

func (c *checker) logRow(ctx context.Context, row scanner) error {
	c.Entries++
	r, sum, err := scanEntryRow(row)
	if err != nil {
		return err
	}
	e := r.entry([8]byte{}, sum) // Its log is a part of cursors alone.
	before, first := c.last, int64(e.Position)-c.Entries+1
	c.last = e
	if before.Position == 0 {
		c.oldest = first
	}
	var o outcomeRow
	if r.kind != blank {
		c.live++
		o, err = scanOutcome(c.outcome.QueryRowContext(ctx, e.Outcome[:]))
	}
	switch {
	case errors.Is(err, sql.ErrNoRows) || err == nil && o.revision < e.Revision:
		return corrupt("log", e.Position, "its outcome does not know it")
	case err != nil && !errors.Is(err, store.ErrCorrupt): // Which is reported with the outcomes.
		return err
	case first != c.oldest:
		missing := first - c.oldest
		c.Entries += missing
		return corrupt("log", int64(e.Position)-1, fmt.Sprintf("%d rows up to it are missing", missing))
	case e.Time.Before(before.Time):
		return corrupt("log", e.Position, "time goes back")
	case int64(e.Position) == c.head.position && e.Cursor.Check != uint32(c.head.entry):
		return corrupt("head", 1, "the newest entry is another")
	}
	return nil
}

func (c *checker) logEnd() error {
	if c.Entries == 0 && c.head.position > 0 {
		return corrupt("log", c.head.position, "row is missing")
	}
	if end := c.oldest + c.Entries - 1; c.Entries > 0 && end != c.head.position {
		return corrupt("head", 1, fmt.Sprintf("the log ends at %d and not at %d", end, c.head.position))
	}
	return nil
}

func (c *checker) deliveryRow(ctx context.Context, row scanner) error {
	c.Deliveries++
	r, err := scanDelivery(row)
	c.delivery = r.seq
	if err != nil {
		return err
	}
	if _, err := r.open(c.packer); err != nil {
		return err
	}
	c.claimed += r.contributions
	var seq, own int64
	switch err := c.seqOf.QueryRowContext(ctx, r.id[:]).Scan(&seq); {
	case errors.Is(err, sql.ErrNoRows):
		if c.fresh != nil {
			seq, c.fresh[r.id] = r.seq, r.seq
		}
	case err != nil:
		return err
	default:
		if err := c.notFresh(); err != nil {
			return err
		}
	}
	if err := c.ownContributions.QueryRowContext(ctx, r.firstContribution, r.firstContribution+r.contributions, r.id[:],
		superseded).Scan(&own); err != nil {
		return err
	}
	switch {
	case seq != r.seq:
		return corrupt("deliveries", r.seq, "it is not found by its id")
	case own != r.contributions:
		return corrupt("deliveries", r.seq, "contributions are missing")
	}
	return nil
}

// notFresh says that deliveries which are not found by their ids should be: one after them is, or they are too many.
func (c *checker) notFresh() error {
	if len(c.fresh) == 0 {
		return nil
	}
	first := slices.Min(slices.Collect(maps.Values(c.fresh)))
	clear(c.fresh)
	return corrupt("deliveries", first, "it is not found by its id")
}

func (c *checker) deliveriesEnd() error {
	if len(c.fresh) >= maxFresh+maxGroup {
		return c.notFresh()
	}
	if c.delivery > c.head.delivery {
		return corrupt("head", 1, fmt.Sprintf("deliveries end at %d and not at %d", c.delivery, c.head.delivery))
	}
	return nil
}

func (c *checker) lostDelivery(_ context.Context, row scanner) error {
	var seq int64
	if err := row.Scan(&seq); err != nil {
		return err
	}
	return corrupt("deliveries", seq, "row is missing")
}

func (c *checker) contributionRow(ctx context.Context, row scanner) error {
	c.Contributions++
	r, err := scanContribution(row)
	c.contribution = r.id
	if err != nil {
		return err
	}
	counts := r.encoding != superseded
	if counts {
		if _, err := r.open(c.packer); err != nil {
			return err
		}
	}
	if r.delivery == (store.DeliveryID{}) {
		return nil // a deadline's
	}
	seq, fresh := c.fresh[r.delivery]
	if !fresh {
		err = c.seqOf.QueryRowContext(ctx, r.delivery[:]).Scan(&seq)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return corrupt("contributions", r.id, "its delivery is missing")
	}
	if counts && seq != gone {
		c.counting++
	}
	return err
}

func (c *checker) contributionsEnd() error {
	if c.contribution > c.head.contribution {
		return corrupt("head", 1, fmt.Sprintf("contributions end at %d and not at %d", c.contribution, c.head.contribution))
	}
	return nil
}

func (c *checker) outcomeRow(ctx context.Context, row scanner) error {
	c.Outcomes++
	r, err := scanOutcome(row)
	if err != nil {
		return err
	}
	if err := c.chain(ctx, r); err != nil {
		return err
	}
	if r.revision == 0 {
		return nil
	}
	if r.deleted {
		if r.position == 0 {
			return nil // What said so was trimmed.
		}
		c.revisions++
		return c.revision(ctx, r, r.position, r.revision)
	}
	c.addresses += int64(len(r.addresses) / addressSize)
	if err := c.history(ctx, r); err != nil {
		return err
	}
	ids, err := r.unpackExternalIDs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		var raw []byte
		err := c.externalID.QueryRowContext(ctx, id.System, id.ID, r.firstPosition).Scan(&raw)
		if errors.Is(err, sql.ErrNoRows) || err == nil && !slices.Equal(raw, r.id[:]) {
			return corrupt("outcomes", r.id, "it is not found by an external id")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// chain follows the contributions to an outcome.
func (c *checker) chain(ctx context.Context, r outcomeRow) error {
	for id := r.contribution; id != 0; {
		var raw []byte
		var previous int64
		err := c.link.QueryRowContext(ctx, id).Scan(&raw, &previous)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return corrupt("contributions", id, "row is missing")
		case err != nil:
			return err
		case !slices.Equal(raw, r.id[:]) || previous >= id:
			return corrupt("contributions", id, "chain is broken")
		}
		c.chained++
		id = previous
	}
	return nil
}

// history follows the revisions of an outcome, from the newest to the first. Salvage leaves out those that are lost.
func (c *checker) history(ctx context.Context, r outcomeRow) error {
	if err := c.revision(ctx, r, r.position, r.revision); err != nil {
		return err
	}
	position, after := r.position, r.revision+1
	for {
		var raw []byte
		var revision int32
		var previous int64
		err := c.step.QueryRowContext(ctx, position).Scan(&raw, &revision, &previous)
		switch {
		case errors.Is(err, sql.ErrNoRows), err == nil && (!slices.Equal(raw, r.id[:]) || revision >= after || previous >= position):
			return corrupt("outcomes", r.id, fmt.Sprintf("the revision before %d is not at position %d", after, position))
		case err != nil:
			return err
		}
		c.revisions++
		switch {
		case previous == unknownPrevious && position != r.firstPosition:
			// Before it was written down where the one before is, nothing was salvaged.
			c.revisions += int64(revision) - 1
			return c.revision(ctx, r, r.firstPosition, 1)
		case previous != unknownPrevious && (previous == 0) != (position == r.firstPosition):
			return corrupt("outcomes", r.id, fmt.Sprintf("its first revision is not at position %d", r.firstPosition))
		case position == r.firstPosition:
			return nil
		}
		position, after = previous, revision
	}
}

// revision finds a revision of an outcome in the log.
func (c *checker) revision(ctx context.Context, r outcomeRow, position int64, revision int32) error {
	var raw []byte
	var n int32
	err := c.entry.QueryRowContext(ctx, position).Scan(&raw, &n)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (!slices.Equal(raw, r.id[:]) || n != revision) {
		return corrupt("outcomes", r.id, fmt.Sprintf("revision %d is not at position %d", revision, position))
	}
	return err
}

// outcomesEnd compares sums, which tells of rows that nothing else refers to.
func (c *checker) outcomesEnd() error {
	switch {
	case c.Broken > 0:
		return nil // The sums say nothing new.
	case c.chained != c.Contributions:
		return corrupt("contributions", "all", fmt.Sprintf("%d of %d are in no chain", c.Contributions-c.chained, c.Contributions))
	case c.claimed != c.counting:
		return corrupt("contributions", "all", fmt.Sprintf("%d count, deliveries make %d", c.counting, c.claimed))
	case c.revisions != c.live:
		return corrupt("log", "all", fmt.Sprintf("%d entries, outcomes have %d revisions", c.live, c.revisions))
	}
	return nil
}

func (c *checker) externalIDRow(ctx context.Context, row scanner) error {
	var id store.ExternalID
	var position int64
	var raw []byte
	if err := row.Scan(&id.System, &id.ID, &position, &raw); err != nil {
		return err
	}
	r, err := scanOutcome(c.outcome.QueryRowContext(ctx, raw))
	switch {
	case errors.Is(err, store.ErrCorrupt):
		return nil // It was reported with the outcomes.
	case errors.Is(err, sql.ErrNoRows) || err == nil && (r.firstPosition != position || !r.has(store.Query{ExternalID: id})):
		return corrupt("external_ids", position, "its outcome does not have it")
	}
	return err
}

func (c *checker) addressRow(ctx context.Context, row scanner) error {
	var address, raw []byte
	var at, position int64
	if err := row.Scan(&address, &at, &position, &raw); err != nil {
		return err
	}
	c.found++
	r, err := scanOutcome(c.outcome.QueryRowContext(ctx, raw))
	switch {
	case errors.Is(err, store.ErrCorrupt):
		return nil // It was reported with the outcomes.
	case errors.Is(err, sql.ErrNoRows) || err == nil && (r.firstPosition != position || r.listed.time != at || !hasAddress(r.addresses, address)):
		return corrupt("addresses", position, "its outcome does not have it")
	}
	return err
}

func (c *checker) addressesEnd() error {
	if c.Broken == 0 && c.found != c.addresses {
		return corrupt("addresses", "all", fmt.Sprintf("%d rows, outcomes have %d", c.found, c.addresses))
	}
	return nil
}

func (c *checker) horizonRow(_ context.Context, row scanner) error {
	source, h, err := scanHorizon(row)
	if err == nil && source == noSource {
		c.begin = h.position + 1
	}
	return err
}

func (c *checker) horizonsEnd() error {
	if c.oldest > max(1, c.begin) {
		return corrupt("log", c.begin, fmt.Sprintf("%d rows from it on are missing", c.oldest-c.begin))
	}
	return nil
}

func (c *checker) subscriptionRow(_ context.Context, row scanner) error {
	_, err := scanSubscription(row)
	return err
}

func (c *checker) usageRow(_ context.Context, row scanner) error {
	var source string
	var kept, counted int64
	if err := row.Scan(&source, &kept, &counted); err != nil {
		return err
	}
	if c.Broken == 0 && kept != counted {
		return corrupt("usage", source, fmt.Sprintf("%d bytes are kept, it says %d", counted, kept))
	}
	return nil
}
