package sqlite

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/callnorm/callnorm/internal/store"
)

// checksum is a CRC-32C over the fields of a row. Every field is preceded by its length, so that a byte that moves from one
// field to the next is noticed; the first is the name of the table.
type checksum uint32

func newChecksum(table string) checksum { return checksum(0).text(table) }

// castagnoli is the polynomial's table.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// number and text work byte by byte: what crc32.Update is given is moved to the heap, which takes longer than a few bytes do.

func (c checksum) number(n int64) checksum {
	crc := ^uint32(c)
	for shift := 56; shift >= 0; shift -= 8 {
		crc = castagnoli[byte(crc)^byte(n>>shift)] ^ crc>>8
	}
	return checksum(^crc)
}

func (c checksum) text(s string) checksum {
	crc := ^uint32(c.number(int64(len(s))))
	for i := range len(s) {
		crc = castagnoli[byte(crc)^s[i]] ^ crc>>8
	}
	return checksum(^crc)
}

func (c checksum) bytes(b []byte) checksum {
	return checksum(crc32.Update(uint32(c.number(int64(len(b)))), castagnoli, b))
}

// verify compares the checksum of the fields that were read with the one that was stored.
func (c checksum) verify(stored int64, table string, key any) error {
	if int64(c) != stored {
		return corrupt(table, key, "checksum differs")
	}
	return nil
}

func corrupt(table string, key any, why string) error {
	return fmt.Errorf("%w: %s %v: %s", store.ErrCorrupt, table, key, why)
}

// appendTexts writes texts so that texts reads them back, whatever bytes they hold.
func appendTexts(b []byte, texts ...string) []byte {
	for _, t := range texts {
		b = binary.AppendUvarint(b, uint64(len(t)))
		b = append(b, t...)
	}
	return b
}

// texts reads what appendTexts wrote; ok is false when it did not write this.
func texts(b []byte) (list []string, ok bool) {
	for len(b) > 0 {
		length, n := binary.Uvarint(b)
		if n <= 0 || length > uint64(len(b)-n) {
			return nil, false
		}
		b = b[n:]
		list = append(list, string(b[:length]))
		b = b[length:]
	}
	return list, true
}
