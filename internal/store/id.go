package store

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"hash"
)

// DeliveryKey is the SHA-256 over what makes a delivery what it is. Equal keys mean equal deliveries.
type DeliveryKey [sha256.Size]byte

// DeliveryID names a delivery.
type DeliveryID [16]byte

// OutcomeID names an outcome.
type OutcomeID [16]byte

// String returns the id as it stands in names: 26 characters of lower-case base32.
func (id DeliveryID) String() string { return text(id) }

// String returns the id as it stands in names: 26 characters of lower-case base32.
func (id OutcomeID) String() string { return text(id) }

// ParseOutcomeID reads what OutcomeID.String wrote.
func ParseOutcomeID(s string) (OutcomeID, error) {
	id, err := parse(s)
	return OutcomeID(id), err
}

// ParseDeliveryID reads what DeliveryID.String wrote.
func ParseDeliveryID(s string) (DeliveryID, error) {
	id, err := parse(s)
	return DeliveryID(id), err
}

// NewDeliveryKey hashes the parts of a delivery. Each part is preceded by its length, so that no two lists of parts run
// together into the same text.
func NewDeliveryKey(source, method, path, query string, body []byte) DeliveryKey {
	h := newHash("delivery", source, method, path, query)
	writePart(h, body)
	return DeliveryKey(h.Sum(nil))
}

// NewOutcomeID hashes what identifies a call.
func NewOutcomeID(parts ...string) OutcomeID {
	return OutcomeID(newHash(append([]string{"outcome"}, parts...)...).Sum(nil)[:16])
}

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func text(id [16]byte) string { return encoding.EncodeToString(id[:]) }

func parse(s string) ([16]byte, error) {
	raw, err := encoding.DecodeString(s)
	if err != nil || len(raw) != 16 || encoding.EncodeToString(raw) != s {
		return [16]byte{}, errors.New("not an id: it takes 26 characters of a-z and 2-7")
	}
	return [16]byte(raw), nil
}

func newHash(parts ...string) hash.Hash {
	h := sha256.New()
	for _, part := range parts {
		writePart(h, []byte(part))
	}
	return h
}

func writePart(h hash.Hash, part []byte) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(part)))
	h.Write(length[:])
	h.Write(part)
}
