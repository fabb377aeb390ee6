package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

// scanner is what *sql.Row and *sql.Rows have in common.
type scanner interface{ Scan(dest ...any) error }

// queries are the prepared reads. The committer has its own, inside its transaction; readers share one set.
type queries struct {
	packer *packer
	log    [8]byte
	fresh  *fresh
	statements

	head, deliverySeq, delivery, contribution, contributionsOf, outcome, entry, page, previous, subscription *sql.Stmt
}

func prepareQueries(ctx context.Context, on preparer, packer *packer, log [8]byte, fresh *fresh) (*queries, error) {
	q := &queries{packer: packer, log: log, fresh: fresh}
	return q, q.prepare(ctx, on, map[**sql.Stmt]string{
		&q.head:            "SELECT position, entry, time, delivery, contribution, checksum FROM head WHERE id = 1",
		&q.deliverySeq:     "SELECT seq FROM delivery_ids WHERE id = ?",
		&q.delivery:        "SELECT " + deliveryColumns + " FROM deliveries WHERE seq = ?",
		&q.contribution:    "SELECT " + contributionColumns + " FROM contributions WHERE id = ?",
		&q.contributionsOf: "SELECT " + contributionColumns + " FROM contributions WHERE id >= ? AND id < ? ORDER BY id",
		&q.outcome:         "SELECT " + outcomeColumns + " FROM outcomes WHERE id = ?",
		&q.entry:           "SELECT " + entryColumns + " FROM log WHERE position = ?",
		&q.page:            "SELECT " + entryColumns + " FROM log WHERE position > ? AND position <= ? ORDER BY position",
		&q.previous:        "SELECT position FROM log WHERE position >= ? AND position < ? AND outcome = ? ORDER BY position DESC LIMIT 1",
		&q.subscription:    "SELECT " + subscriptionColumns + " FROM subscriptions WHERE name = ?",
	})
}

// preparer is what *sql.DB and *sql.Conn have in common.
type preparer interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// statements are prepared statements that are closed together. database/sql forgets those of a *sql.Conn, and SQLite does
// not close the files of a connection that has any left.
type statements []*sql.Stmt

func (s *statements) prepare(ctx context.Context, on preparer, texts map[**sql.Stmt]string) error {
	for statement, text := range texts {
		prepared, err := on.PrepareContext(ctx, text) //nolint:sqlclosecheck // close closes it
		if err != nil {
			return fmt.Errorf("prepare %q: %w", text, err)
		}
		*s = append(*s, prepared)
		*statement = prepared
	}
	return nil
}

func (s *statements) close() error {
	var errs []error
	for _, statement := range *s {
		errs = append(errs, statement.Close())
	}
	return errors.Join(errs...)
}

// headRow says where the store ends.
type headRow struct {
	position, time, delivery, contribution int64
	// entry is the checksum of the entry at position, 0 at position 0.
	entry checksum
}

func (h headRow) checksum() checksum {
	return newChecksum("head").number(h.position).number(int64(h.entry)).number(h.time).number(h.delivery).number(h.contribution)
}

func (q *queries) readHead(ctx context.Context) (headRow, error) {
	var h headRow
	var stored int64
	if err := q.head.QueryRowContext(ctx).Scan(&h.position, &h.entry, &h.time, &h.delivery, &h.contribution, &stored); err != nil {
		return headRow{}, fmt.Errorf("head: %w", err)
	}
	return h, h.checksum().verify(stored, "head", 1)
}

// gone is the number of a delivery of which nothing is kept but its id.
const gone = 0

// deliveryRow is a delivery as it is stored.
type deliveryRow struct {
	seq                              int64
	id                               store.DeliveryID
	firstContribution, contributions int64
	receiveTime                      int64
	encoding                         int64
	header, signed, body             []byte
	delivery                         store.Delivery // without ReceiveTime, Header, Signed and Body
	fixed                            checksum       // over what does not depend on the commit
}

const deliveryColumns = `seq, id, delivery_key, first_contribution, contributions, receive_time, state, encoding, checksum,
	source, adapter, provider, event, method, path, query, header, report, body, verified_by, signed, waiting`

// newDeliveryRow does what can be done before the commit.
func newDeliveryRow(packer *packer, id store.DeliveryID, d store.Delivery) deliveryRow {
	r := deliveryRow{id: id, delivery: d, receiveTime: d.ReceiveTime.UnixMicro(), header: []byte{}}
	r.signed = appendTexts([]byte{}, d.Signed...)
	for _, line := range d.Header {
		r.header = appendTexts(r.header, line.Name, line.Value)
	}
	r.encoding, r.body = packer.pack(d.Body)
	r.delivery.Report = present(d.Report)
	r.fixed = r.fixedChecksum()
	return r
}

// fixedChecksum is that of version 1 for a row that has nothing in the columns of version 2.
func (r *deliveryRow) fixedChecksum() checksum {
	d := &r.delivery
	c := newChecksum("deliveries").bytes(r.id[:]).bytes(d.Key[:]).number(r.receiveTime).number(int64(d.State)).
		number(r.encoding).text(d.Source).text(d.Adapter).text(d.Provider).text(d.Event).text(d.Method).text(d.Path).
		text(d.Query).bytes(r.header).bytes(d.Report).bytes(r.body)
	if d.VerifiedBy == "" && len(r.signed) == 0 && !d.Waiting {
		return c
	}
	return c.text(d.VerifiedBy).bytes(r.signed).number(bit(d.Waiting))
}

func (r *deliveryRow) checksum() checksum {
	return r.fixed.number(r.seq).number(r.firstContribution).number(r.contributions)
}

func (r *deliveryRow) values() []any {
	d := &r.delivery
	return []any{r.seq, r.id[:], d.Key[:], r.firstContribution, r.contributions, r.receiveTime, d.State, r.encoding,
		int64(r.checksum()), d.Source, d.Adapter, d.Provider, d.Event, d.Method, d.Path, d.Query, r.header, d.Report, r.body,
		d.VerifiedBy, r.signed, bit(d.Waiting)}
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// scanDelivery reads a row. When that is corrupt, the error comes with its seq.
func scanDelivery(row scanner) (deliveryRow, error) {
	var r deliveryRow
	d := &r.delivery
	var id, key []byte
	var waiting, stored int64
	if err := row.Scan(&r.seq, &id, &key, &r.firstContribution, &r.contributions, &r.receiveTime, &d.State, &r.encoding,
		&stored, &d.Source, &d.Adapter, &d.Provider, &d.Event, &d.Method, &d.Path, &d.Query, &r.header, &d.Report, &r.body,
		&d.VerifiedBy, &r.signed, &waiting); err != nil {
		return deliveryRow{}, err
	}
	if d.Waiting = waiting == 1; !set(&r.id, id) || !set(&d.Key, key) || bit(d.Waiting) != waiting {
		return deliveryRow{seq: r.seq}, corrupt("deliveries", r.seq, "a value is out of range")
	}
	r.fixed = r.fixedChecksum()
	return r, r.checksum().verify(stored, "deliveries", r.seq)
}

// errGone says that a delivery was kept, and is no more.
var errGone = fmt.Errorf("%w: it was removed", store.ErrNotFound)

// readDelivery returns the row of a delivery, sql.ErrNoRows when its id was never kept, or errGone.
func (q *queries) readDelivery(ctx context.Context, id store.DeliveryID) (deliveryRow, error) {
	seq, err := q.seqOf(ctx, id)
	if err != nil {
		return deliveryRow{}, err
	}
	return q.readNumbered(ctx, seq, id)
}

// readNumbered returns the row of the delivery that has a number, by what its id has led to.
func (q *queries) readNumbered(ctx context.Context, seq int64, id store.DeliveryID) (deliveryRow, error) {
	if seq == gone {
		return deliveryRow{}, errGone
	}
	r, err := scanDelivery(q.delivery.QueryRowContext(ctx, seq))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return deliveryRow{}, corrupt("deliveries", seq, "row is missing")
	case err == nil && r.id != id:
		return deliveryRow{}, corrupt("deliveries", seq, "ids differ")
	}
	return r, err
}

// size counts for the usage of the source.
func (r *deliveryRow) size() int64 {
	return int64(len(r.header) + len(r.delivery.Report) + len(r.body))
}

// open returns the delivery that the row holds.
func (r *deliveryRow) open(packer *packer) (store.Delivery, error) {
	d, err := r.openBare()
	if err != nil {
		return store.Delivery{}, err
	}
	lines, ok := texts(r.header)
	if !ok || len(lines)%2 != 0 {
		return store.Delivery{}, corrupt("deliveries", r.seq, "header is malformed")
	}
	for pair := range slices.Chunk(lines, 2) {
		d.Header = append(d.Header, store.HeaderLine{Name: pair[0], Value: pair[1]})
	}
	body, err := packer.unpack(r.encoding, r.body)
	if err != nil {
		return store.Delivery{}, corrupt("deliveries", r.seq, err.Error())
	}
	d.Body = body
	return d, nil
}

// openBare leaves out the header and the body.
func (r *deliveryRow) openBare() (store.Delivery, error) {
	d := r.delivery
	signed, ok := texts(r.signed)
	if !ok {
		return store.Delivery{}, corrupt("deliveries", r.seq, "list of what is signed is malformed")
	}
	d.Signed = signed
	d.ReceiveTime = time.UnixMicro(r.receiveTime).UTC()
	return d, nil
}

// contributionRow is a contribution as it is stored.
type contributionRow struct {
	id, item, previous int64
	delivery           store.DeliveryID // zero for a deadline
	outcome            store.OutcomeID
	encoding           int64
	body               []byte
	source             string
	addresses          []byte
	fixed              checksum // over what does not depend on the commit
}

const contributionColumns = "id, delivery, outcome, item, previous, encoding, checksum, body, source, addresses"

// newContributionRow does what can be done before the commit. addresses are hashes.
func newContributionRow(packer *packer, delivery store.DeliveryID, source string, c store.Contribution, addresses []byte) contributionRow {
	r := contributionRow{delivery: delivery, outcome: c.Outcome, item: int64(c.Item), source: source, addresses: addresses}
	r.encoding, r.body = packer.pack(c.Body)
	r.fixed = r.fixedChecksum()
	return r
}

// fixedChecksum is that of version 1 for a row that has nothing in the columns of version 3.
func (r *contributionRow) fixedChecksum() checksum {
	c := newChecksum("contributions").bytes(r.delivery[:]).bytes(r.outcome[:]).number(r.item).number(r.encoding).bytes(r.body)
	if r.source == "" && len(r.addresses) == 0 {
		return c
	}
	return c.text(r.source).bytes(r.addresses)
}

func (r *contributionRow) checksum() checksum { return r.fixed.number(r.id).number(r.previous) }

func (r *contributionRow) values() []any {
	return []any{r.id, r.delivery[:], r.outcome[:], r.item, r.previous, r.encoding, int64(r.checksum()), r.body, r.source, r.addresses}
}

func scanContribution(row scanner) (contributionRow, error) {
	var r contributionRow
	var delivery, outcome []byte
	var stored int64
	if err := row.Scan(&r.id, &delivery, &outcome, &r.item, &r.previous, &r.encoding, &stored, &r.body, &r.source,
		&r.addresses); err != nil {
		return contributionRow{}, err
	}
	if !set(&r.delivery, delivery) || !set(&r.outcome, outcome) || len(r.addresses)%addressSize != 0 {
		return contributionRow{}, corrupt("contributions", r.id, "a value has another length")
	}
	r.addresses = present(r.addresses) // It is read to be written again.
	r.fixed = r.fixedChecksum()
	return r, r.checksum().verify(stored, "contributions", r.id)
}

// open returns the contribution that the row holds.
func (r *contributionRow) open(packer *packer) (store.KeptContribution, error) {
	body, err := packer.unpack(r.encoding, r.body)
	if err != nil {
		return store.KeptContribution{}, corrupt("contributions", r.id, err.Error())
	}
	return store.KeptContribution{
		Delivery: r.delivery, Contribution: store.Contribution{Outcome: r.outcome, Item: int(r.item), Body: body},
	}, nil
}

// readChain follows the chain of an outcome's contributions and returns the rows, the oldest first.
func (q *queries) readChain(ctx context.Context, outcome store.OutcomeID, last int64) ([]contributionRow, error) {
	var rows []contributionRow
	for id := last; id != 0; {
		r, err := scanContribution(q.contribution.QueryRowContext(ctx, id))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return nil, corrupt("contributions", id, "row is missing")
		case err != nil:
			return nil, err
		case r.outcome != outcome || r.previous >= id:
			return nil, corrupt("contributions", id, "chain is broken")
		}
		rows, id = append(rows, r), r.previous
	}
	slices.Reverse(rows)
	return rows, nil
}

// counting returns those of a chain that count.
func counting(chain []contributionRow) []contributionRow {
	return slices.DeleteFunc(chain, func(r contributionRow) bool { return r.encoding == superseded })
}

// openAll returns the contributions that rows hold.
func openAll(packer *packer, rows []contributionRow) ([]store.KeptContribution, error) {
	var kept []store.KeptContribution
	for i := range rows {
		c, err := rows[i].open(packer)
		if err != nil {
			return nil, err
		}
		kept = append(kept, c)
	}
	return kept, nil
}

// outcomeRow is an outcome as it is stored.
type outcomeRow struct {
	id                                    store.OutcomeID
	revision                              int32
	position, firstPosition, contribution int64
	providerCallID                        string
	externalIDs                           []byte

	listed    listing
	due       int64
	deleted   bool
	addresses []byte // sorted hashes
}

// listing is by what an outcome is listed. It can be compared.
type listing struct {
	time                              int64
	provider, source                  string
	status, completeness, disposition int32
	doNotCall                         bool
}

// outcomeColumns but for the id are in the order of the statements that write them.
const outcomeColumns = "id, revision, position, first_position, contribution, checksum, provider_call_id, external_ids, " +
	"time, due, deleted, provider, source, status, completeness, disposition, do_not_call, listed, addresses"

// checksum is that of version 1 for a row that has nothing in the columns of version 3.
func (r *outcomeRow) checksum() checksum {
	c := newChecksum("outcomes").bytes(r.id[:]).number(int64(r.revision)).number(r.position).number(r.firstPosition).
		number(r.contribution).text(r.providerCallID).bytes(r.externalIDs)
	l := &r.listed
	if *l == (listing{}) && r.due == 0 && !r.deleted && len(r.addresses) == 0 {
		return c
	}
	return c.number(l.time).number(r.due).number(bit(r.deleted)).text(l.provider).text(l.source).number(int64(l.status)).
		number(int64(l.completeness)).number(int64(l.disposition)).number(bit(l.doNotCall)).bytes(r.addresses)
}

// isListed tells whether there is something to list. It stands in the row for the index alone.
func (r *outcomeRow) isListed() bool { return !r.deleted && r.position > 0 }

// values are those of all columns but the id, which comes last.
func (r *outcomeRow) values() []any {
	l := &r.listed
	return []any{
		r.revision, r.position, r.firstPosition, r.contribution, int64(r.checksum()), r.providerCallID, present(r.externalIDs),
		l.time, r.due, bit(r.deleted), l.provider, l.source, l.status, l.completeness, l.disposition, bit(l.doNotCall),
		bit(r.isListed()), present(r.addresses), r.id[:],
	}
}

func scanOutcome(row scanner) (outcomeRow, error) {
	var r outcomeRow
	var id []byte
	var deleted, doNotCall, listed, stored int64
	l := &r.listed
	if err := row.Scan(&id, &r.revision, &r.position, &r.firstPosition, &r.contribution, &stored, &r.providerCallID,
		&r.externalIDs, &l.time, &r.due, &deleted, &l.provider, &l.source, &l.status, &l.completeness, &l.disposition, &doNotCall,
		&listed, &r.addresses); err != nil {
		return outcomeRow{}, err
	}
	r.deleted, l.doNotCall = deleted == 1, doNotCall == 1
	if !set(&r.id, id) || bit(r.deleted) != deleted || bit(l.doNotCall) != doNotCall || listed > bit(r.isListed()) ||
		len(r.addresses)%addressSize != 0 {
		return outcomeRow{}, corrupt("outcomes", hex.EncodeToString(id), "a value is out of range")
	}
	return r, r.checksum().verify(stored, "outcomes", r.id)
}

func (q *queries) readOutcome(ctx context.Context, id store.OutcomeID) (outcomeRow, error) {
	return scanOutcome(q.outcome.QueryRowContext(ctx, id[:]))
}

// packExternalIDs returns the set of ids as it is stored: sorted, each once.
func packExternalIDs(ids []store.ExternalID) []byte {
	set := slices.Clone(ids)
	slices.SortFunc(set, compareExternalIDs)
	packed := []byte{}
	for _, id := range slices.Compact(set) {
		packed = appendTexts(packed, id.System, id.ID)
	}
	return packed
}

func (r *outcomeRow) unpackExternalIDs() ([]store.ExternalID, error) {
	list, ok := texts(r.externalIDs)
	if !ok || len(list)%2 != 0 {
		return nil, corrupt("outcomes", r.id, "external ids are malformed")
	}
	var ids []store.ExternalID
	for pair := range slices.Chunk(list, 2) {
		ids = append(ids, store.ExternalID{System: pair[0], ID: pair[1]})
	}
	return ids, nil
}

func compareExternalIDs(a, b store.ExternalID) int {
	if c := strings.Compare(a.System, b.System); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

// Kinds of entries.
const (
	revised = iota
	// deleted says that the outcome was deleted.
	deleted
	// blank is an entry that was removed. Its body is the checksum that it had.
	blank
)

// unknownPrevious stands for the position of the revision before where version 2 did not write it down.
const unknownPrevious = -1

// entryRow is an entry of the log as it is stored.
type entryRow struct {
	position             int64
	outcome              store.OutcomeID
	revision             int32
	time                 int64
	status, completeness int32
	provider, source     string
	body                 []byte
	previous, kind       int64
}

const entryColumns = "position, outcome, revision, time, status, completeness, checksum, provider, source, body, previous, kind"

// checksum is that of version 1 for a row of version 2.
func (r *entryRow) checksum() checksum {
	c := newChecksum("log").number(r.position).bytes(r.outcome[:]).number(int64(r.revision)).number(r.time).
		number(int64(r.status)).number(int64(r.completeness)).text(r.provider).text(r.source).bytes(r.body)
	if r.previous == unknownPrevious && r.kind == revised {
		return c
	}
	return c.number(r.previous).number(r.kind)
}

func (r *entryRow) values(sum checksum) []any {
	return []any{
		r.position, r.outcome[:], r.revision, r.time, r.status, r.completeness, int64(sum), r.provider, r.source, r.body, r.previous, r.kind,
	}
}

// blanked returns what is left of a row with this checksum when it is removed.
func (r *entryRow) blanked(sum checksum) entryRow {
	return entryRow{
		position: r.position, time: r.time, previous: unknownPrevious, kind: blank, body: binary.BigEndian.AppendUint32(nil, uint32(sum)),
	}
}

// entry returns the row as readers of the log get it.
func (r *entryRow) entry(log [8]byte, sum checksum) store.Entry {
	if r.kind == blank {
		sum = checksum(binary.BigEndian.Uint32(r.body))
	}
	return store.Entry{
		Position: store.Position(r.position),
		Outcome:  r.outcome,
		Revision: r.revision,
		Time:     time.UnixMicro(r.time).UTC(),
		Body:     r.body,
		Deleted:  r.kind == deleted,
		Cursor:   store.Cursor{Log: log, Position: store.Position(r.position), Check: uint32(sum)},
	}
}

// scanEntryRow reads a row, and its checksum.
func scanEntryRow(row scanner) (entryRow, checksum, error) {
	var r entryRow
	var outcome []byte
	var stored int64
	if err := row.Scan(&r.position, &outcome, &r.revision, &r.time, &r.status, &r.completeness, &stored, &r.provider, &r.source,
		(*handed)(&r.body), &r.previous, &r.kind); err != nil {
		return entryRow{}, 0, err
	}
	if !set(&r.outcome, outcome) || r.kind < revised || r.kind > blank || r.kind == blank && len(r.body) != 4 {
		return entryRow{}, 0, corrupt("log", r.position, "a value is out of range")
	}
	sum := r.checksum()
	return r, sum, sum.verify(stored, "log", r.position)
}

// handed is a value that is kept as the driver hands it out, where database/sql would copy it. The driver makes each anew, which a
// test makes sure of.
type handed []byte

// Scan implements sql.Scanner.
func (h *handed) Scan(value any) error {
	switch value := value.(type) {
	case []byte:
		*h = value
	case string:
		*h = []byte(value)
	case nil:
		*h = nil
	default:
		return fmt.Errorf("a %T is no body", value)
	}
	return nil
}

// readEntry returns the entry at a position that the log has.
func (q *queries) readEntry(ctx context.Context, position int64) (store.Entry, error) {
	r, sum, err := q.readEntryRow(ctx, position)
	if err != nil {
		return store.Entry{}, err
	}
	return r.entry(q.log, sum), nil
}

// readEntryRow returns the row at a position that the log has, and its checksum.
func (q *queries) readEntryRow(ctx context.Context, position int64) (entryRow, checksum, error) {
	r, sum, err := scanEntryRow(q.entry.QueryRowContext(ctx, position))
	if errors.Is(err, sql.ErrNoRows) {
		err = corrupt("log", position, "row is missing")
	}
	return r, sum, err
}

// readRevisions calls look for the rows of an outcome's revisions that are kept, the newest first, until it returns false.
func (q *queries) readRevisions(ctx context.Context, o outcomeRow, look func(entryRow, checksum) (bool, error)) error {
	for position := o.position; position != 0; {
		r, sum, err := q.readEntryRow(ctx, position)
		switch {
		case err != nil:
			return err
		case r.kind == blank || r.outcome != o.id || r.previous >= position:
			return corrupt("log", position, "chain of revisions is broken")
		}
		if goOn, err := look(r, sum); err != nil || !goOn {
			return err
		}
		if position = r.previous; position != unknownPrevious {
			continue
		}
		if position, err = q.findPrevious(ctx, o, r); err != nil {
			return err
		}
	}
	return nil
}

// findPrevious looks for the revision before one of which version 2 did not write down where it is.
func (q *queries) findPrevious(ctx context.Context, o outcomeRow, r entryRow) (position int64, err error) {
	if r.position == o.firstPosition {
		return 0, nil
	}
	err = q.previous.QueryRowContext(ctx, o.firstPosition, r.position, o.id[:]).Scan(&position)
	if errors.Is(err, sql.ErrNoRows) {
		err = corrupt("log", r.position, "the revision before it is missing")
	}
	return position, err
}

// readNewest returns the newest revision of an outcome.
func (q *queries) readNewest(ctx context.Context, r outcomeRow) (store.Entry, error) {
	e, err := q.readEntry(ctx, r.position)
	if err == nil && (e.Outcome != r.id || e.Revision != r.revision) {
		return store.Entry{}, corrupt("outcomes", r.id, "newest revision is another's")
	}
	return e, err
}

// set fills an id, and tells whether the bytes are as long as an id.
func set[ID ~[16]byte | ~[32]byte](id *ID, b []byte) bool {
	if len(b) != len(*id) {
		return false
	}
	*id = ID(b)
	return true
}
