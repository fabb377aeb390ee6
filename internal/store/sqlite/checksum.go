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

func (c checksum) number(n int64) checksum {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], uint64(n))
	return c.update(raw[:])
}

func (c checksum) bytes(b []byte) checksum { return c.number(int64(len(b))).update(b) }

func (c checksum) text(s string) checksum { return c.bytes([]byte(s)) }

func (c checksum) update(b []byte) checksum {
	// MakeTable returns the same table every time.
	return checksum(crc32.Update(uint32(c), crc32.MakeTable(crc32.Castagnoli), b))
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
