package store

import (
	"encoding/base64"
	"encoding/binary"
)

// Cursor is a position in the log of one store, with a check value of the entry there. Its text is opaque to everybody
// else.
type Cursor struct {
	// Log identifies the log: another store has another. So has the same one after its backup was restored, which takes the
	// cursors of its former log up to the position of the backup.
	Log [8]byte
	// Position is the last position that was seen.
	Position Position
	// Check is the checksum of the entry at Position, 0 at position 0.
	Check uint32
	// Trims counts how often something had been trimmed from the log when the cursor was made.
	Trims uint64
}

const (
	// cursorV1 is a cursor without Trims.
	cursorV1, cursorV2         = 1, 2
	cursorV1Size, cursorV2Size = 1 + 8 + 8 + 4, 1 + 8 + 8 + 4 + 8
)

// String returns the cursor as text without blanks or characters that a URL would escape.
func (c Cursor) String() string {
	raw := make([]byte, 0, cursorV2Size)
	raw = append(raw, cursorV2)
	raw = append(raw, c.Log[:]...)
	raw = binary.BigEndian.AppendUint64(raw, uint64(c.Position))
	raw = binary.BigEndian.AppendUint32(raw, c.Check)
	raw = binary.BigEndian.AppendUint64(raw, c.Trims)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// ParseCursor reads what String wrote, in this release or an older one, or returns ErrCursorMalformed.
func ParseCursor(s string) (Cursor, error) {
	// The decoder skips line breaks and bits that are left over; a cursor has one text.
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || base64.RawURLEncoding.EncodeToString(raw) != s {
		return Cursor{}, ErrCursorMalformed
	}
	known := len(raw) == cursorV2Size && raw[0] == cursorV2 || len(raw) == cursorV1Size && raw[0] == cursorV1
	if !known {
		return Cursor{}, ErrCursorMalformed
	}
	c := Cursor{
		Log:      [8]byte(raw[1:9]),
		Position: Position(binary.BigEndian.Uint64(raw[9:17])),
		Check:    binary.BigEndian.Uint32(raw[17:21]),
	}
	if raw[0] == cursorV2 {
		c.Trims = binary.BigEndian.Uint64(raw[21:])
	}
	if c.Position < 0 {
		return Cursor{}, ErrCursorMalformed
	}
	return c, nil
}
