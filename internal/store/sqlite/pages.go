package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// pages reads a database page by page, with what its journal has for them, and finds every row that stands on one. It follows no tree
// of pages and asks for no header, so that a page that is damaged takes nothing along but what is on it. What it finds may be anything:
// whoever asks verifies checksums. The format is that of https://www.sqlite.org/fileformat2.html.
type pages struct {
	database, journal *os.File
	size              int
	count             uint32
	// journaled is where the journal has the newest image of a page.
	journaled map[uint32]int64
}

const (
	databaseMagic = "SQLite format 3\x00"
	// usualPage is the size of the pages of a store, should no header tell it.
	usualPage = 4096
	// firstHeader is the size of the header that the first page has before what every page has.
	firstHeader = 100

	journalHeader = 32
	frameHeader   = 24
)

// openPages opens the files of a store. One that is missing has no pages.
func openPages(dir string) (_ *pages, err error) {
	p := &pages{size: usualPage, journaled: map[uint32]int64{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.database, err = openIfThere(filepath.Join(dir, databaseFile)); err != nil {
		return nil, err
	}
	if p.journal, err = openIfThere(filepath.Join(dir, databaseFile+"-wal")); err != nil {
		return nil, err
	}
	if p.database == nil && p.journal == nil {
		return nil, fmt.Errorf("there is no %s: %w", databaseFile, os.ErrNotExist)
	}
	header := make([]byte, firstHeader)
	if readAt(p.database, header, 0) && string(header[:len(databaseMagic)]) == databaseMagic {
		p.size = pageSize(uint32(binary.BigEndian.Uint16(header[16:])))
	} else if readAt(p.journal, header[:journalHeader], 0) {
		p.size = pageSize(binary.BigEndian.Uint32(header[8:]))
	}
	if p.database != nil {
		info, err := p.database.Stat()
		if err != nil {
			return nil, err
		}
		p.count = uint32(min((info.Size()+int64(p.size)-1)/int64(p.size), math.MaxUint32-1))
	}
	return p, p.readJournal()
}

func openIfThere(name string) (*os.File, error) {
	file, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // no file has no pages
	}
	return file, err
}

// pageSize returns the size that a header tells, where that can be one.
func pageSize(told uint32) int {
	if told == 1 {
		return 1 << 16
	}
	if told < 512 || told > 1<<16 || told&(told-1) != 0 {
		return usualPage
	}
	return int(told)
}

func readAt(file *os.File, into []byte, at int64) bool {
	if file == nil {
		return false
	}
	_, err := file.ReadAt(into, at)
	return err == nil
}

// readJournal finds the newest image of each page up to the last commit. SQLite stops at the first frame that is damaged, and forgets
// all that was acknowledged behind it. Here the frames behind it count as well, since every row proves itself; those of a journal that
// this one was written over have another salt.
func (p *pages) readJournal() error {
	if p.journal == nil {
		return nil
	}
	info, err := p.journal.Stat()
	if err != nil {
		return err
	}
	frame := int64(frameHeader + p.size)
	salt := p.salt(frame)
	pending := map[uint32]int64{}
	header := make([]byte, frameHeader)
	for at := int64(journalHeader); at+frame <= info.Size() && readAt(p.journal, header, at); at += frame {
		if [8]byte(header[8:]) != salt {
			continue
		}
		pending[binary.BigEndian.Uint32(header)] = at + frameHeader
		if committed := binary.BigEndian.Uint32(header[4:]) > 0; committed {
			maps.Copy(p.journaled, pending)
			clear(pending)
		}
	}
	return nil
}

// salt returns what all frames of the journal have in common: what two of its header and its first two frames agree on.
func (p *pages) salt(frame int64) (salt [8]byte) {
	var first, second [8]byte
	readAt(p.journal, salt[:], 16)
	if readAt(p.journal, first[:], journalHeader+8) && readAt(p.journal, second[:], journalHeader+frame+8) && first == second {
		return first
	}
	return salt
}

func (p *pages) close() error {
	var errs []error
	for _, file := range []*os.File{p.database, p.journal} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}

// read fills a buffer with a page, and tells whether there is one. What is missing of the last page is zero.
func (p *pages) read(number uint32, page []byte) bool {
	if at, ok := p.journaled[number]; ok {
		return readAt(p.journal, page, at)
	}
	if p.database == nil || number == 0 {
		return false
	}
	n, err := p.database.ReadAt(page, int64(number-1)*int64(p.size))
	clear(page[n:])
	return err == nil || errors.Is(err, io.EOF) && n > 0
}

// The kinds of pages that have rows on them.
const (
	treeInterior  = 0x02
	treeLeaf      = 0x0a
	tableLeaf     = 0x0d
	leafHeader    = 8
	interiorExtra = 4
)

// each calls found for every row on every page that can be read as one.
func (p *pages) each(ctx context.Context, found func(record) error) error {
	page := make([]byte, p.size)
	look := func(number uint32) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !p.read(number, page) {
			return nil
		}
		start := 0
		if number == 1 {
			start = firstHeader
		}
		return p.rows(page, start, found)
	}
	for number := uint32(1); number <= p.count; number++ {
		if err := look(number); err != nil {
			return err
		}
	}
	for _, number := range slices.Sorted(maps.Keys(p.journaled)) {
		if number <= p.count {
			continue
		}
		if err := look(number); err != nil {
			return err
		}
	}
	return nil
}

func (p *pages) rows(page []byte, start int, found func(record) error) error {
	kind := page[start]
	pointers := start + leafHeader
	switch kind {
	case tableLeaf, treeLeaf:
	case treeInterior:
		pointers += interiorExtra
	default:
		return nil
	}
	for i := range int(binary.BigEndian.Uint16(page[start+3:])) {
		at := pointers + 2*i
		if at+2 > len(page) {
			return nil
		}
		cell := int(binary.BigEndian.Uint16(page[at:]))
		if cell < pointers || cell >= len(page) {
			continue
		}
		if r, ok := p.cell(kind, page[cell:]); ok {
			if err := found(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// cell reads a row with all its overflow pages.
func (p *pages) cell(kind byte, cell []byte) (record, bool) {
	if kind == treeInterior {
		if len(cell) < interiorExtra {
			return nil, false
		}
		cell = cell[interiorExtra:]
	}
	length, n := varint(cell)
	if n == 0 || length == 0 || length > uint64(maxBody) || length > (uint64(p.count)+uint64(len(p.journaled)))*uint64(p.size) {
		return nil, false
	}
	cell = cell[n:]
	var rowid uint64
	most := (p.size-12)*64/255 - 23
	if kind == tableLeaf {
		if rowid, n = varint(cell); n == 0 {
			return nil, false
		}
		cell, most = cell[n:], p.size-35
	}
	size := int(length)
	local := size
	if size > most {
		least := (p.size-12)*32/255 - 23
		if local = least + (size-least)%(p.size-4); local > most {
			local = least
		}
	}
	if local > len(cell) || local < size && local+4 > len(cell) {
		return nil, false
	}
	payload := append(make([]byte, 0, min(size, 1<<20)), cell[:local]...)
	if local < size {
		next := binary.BigEndian.Uint32(cell[local:])
		page := make([]byte, p.size)
		for len(payload) < size {
			if !p.read(next, page) {
				return nil, false
			}
			next = binary.BigEndian.Uint32(page)
			payload = append(payload, page[4:min(p.size, 4+size-len(payload))]...)
		}
	}
	r, ok := parseRecord(payload)
	if ok && kind == tableLeaf && r[0] == nil {
		r[0] = int64(rowid) // the column that is the row's number
	}
	return r, ok
}

// record is the values of a row, in the order of its columns: nil, int64, float64, string or []byte.
type record []any

var errScan = errors.New("the record has other columns")

// Scan implements scanner. A value has to be of the type that the column has.
func (r record) Scan(dest ...any) error {
	if len(r) != len(dest) {
		return errScan
	}
	for i, d := range dest {
		ok := false
		switch d := d.(type) {
		case *[]byte:
			*d, ok = r[i].([]byte)
		case *handed:
			*d, ok = r[i].([]byte)
		case *string:
			*d, ok = r[i].(string)
		case *int64:
			*d, ok = r[i].(int64)
		case *int32:
			var n int64
			n, ok = r[i].(int64)
			ok = ok && n == int64(int32(n))
			*d = int32(n)
		case *checksum:
			var n int64
			n, ok = r[i].(int64)
			ok = ok && n == int64(uint32(n))
			*d = checksum(n)
		}
		if !ok {
			return errScan
		}
	}
	return nil
}

// parseRecord reads the values of a row.
func parseRecord(payload []byte) (record, bool) {
	size, n := varint(payload)
	if n == 0 || size > uint64(len(payload)) || size < uint64(n) {
		return nil, false
	}
	types, values := payload[n:size], payload[size:]
	var r record
	for len(types) > 0 {
		kind, n := varint(types)
		if n == 0 {
			return nil, false
		}
		types = types[n:]
		value, length, ok := parseValue(kind, values)
		if !ok {
			return nil, false
		}
		r, values = append(r, value), values[length:]
	}
	return r, len(r) > 0
}

func parseValue(kind uint64, values []byte) (value any, length int, ok bool) {
	sizes := [10]int{0, 1, 2, 3, 4, 6, 8, 8, 0, 0}
	switch {
	case kind >= 12:
		if (kind-12)/2 > uint64(len(values)) {
			return nil, 0, false
		}
		length = int((kind - 12) / 2)
		if kind%2 == 0 {
			return append([]byte{}, values[:length]...), length, true
		}
		return string(values[:length]), length, true
	case kind >= uint64(len(sizes)):
		return nil, 0, false
	}
	if length = sizes[kind]; length > len(values) { //nolint:gosec // the case above bounds it
		return nil, 0, false
	}
	var n int64
	for i, b := range values[:length] {
		if i == 0 {
			n = int64(int8(b))
			continue
		}
		n = n<<8 | int64(b)
	}
	switch kind {
	case 0:
		return nil, 0, true
	case 7:
		return math.Float64frombits(uint64(n)), length, true
	case 8, 9:
		return int64(kind - 8), 0, true
	}
	return n, length, true
}

// varint reads a number of SQLite's: seven bits in each byte, the greatest first, and eight in a ninth. n is 0 when there is none.
func varint(b []byte) (value uint64, n int) {
	for i := range min(len(b), 9) {
		if i == 8 {
			return value<<8 | uint64(b[i]), 9
		}
		value = value<<7 | uint64(b[i]&0x7f)
		if b[i] < 0x80 {
			return value, i + 1
		}
	}
	return 0, 0
}
