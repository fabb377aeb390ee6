package sqlite

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"slices"
)

// addressSize is the size of the keyed hash of an address: what is personal about it stays with those who know it.
const addressSize = 16

// addressKeySize is the size of the key.
const addressKeySize = 32

func (s *Store) hashAddress(address string) []byte {
	mac := hmac.New(sha256.New, s.addressKey)
	mac.Write([]byte(address))
	return mac.Sum(nil)[:addressSize]
}

// hashAddresses returns the hashes of addresses as they are stored: one after the other, sorted, each once.
func (s *Store) hashAddresses(addresses []string) []byte {
	if len(addresses) == 0 {
		return []byte{}
	}
	hashes := make([][]byte, len(addresses))
	for i, address := range addresses {
		hashes[i] = s.hashAddress(address)
	}
	return packAddresses(hashes)
}

func packAddresses(hashes [][]byte) []byte {
	slices.SortFunc(hashes, bytes.Compare)
	return bytes.Join(slices.CompactFunc(hashes, bytes.Equal), nil)
}

// uniteAddresses returns the union of two stored lists.
func uniteAddresses(a, b []byte) []byte {
	switch {
	case len(a) == 0 || bytes.Equal(a, b):
		return b
	case len(b) == 0:
		return a
	}
	return packAddresses(slices.AppendSeq(slices.Collect(slices.Chunk(a, addressSize)), slices.Chunk(b, addressSize)))
}

// hasAddress tells whether a stored list has an address.
func hasAddress(list, address []byte) bool {
	for other := range slices.Chunk(list, addressSize) {
		if bytes.Equal(address, other) {
			return true
		}
	}
	return false
}

// replaceAddresses brings the index of addresses from what an outcome's row was to what it is. Without a first revision it is in none.
func (t *transaction) replaceAddresses(ctx context.Context, was, is *outcomeRow) error {
	moved := was.firstPosition != is.firstPosition || was.listed.time != is.listed.time
	if !moved && bytes.Equal(was.addresses, is.addresses) {
		return nil
	}
	missing := func(from, address []byte) bool { return moved || !hasAddress(from, address) }
	for address := range slices.Chunk(was.addresses, addressSize) {
		if was.firstPosition == 0 || !missing(is.addresses, address) {
			continue
		}
		if err := t.exec(ctx, t.deleteAddress, address, was.listed.time, was.firstPosition); err != nil {
			return fmt.Errorf("delete address: %w", err)
		}
	}
	for address := range slices.Chunk(is.addresses, addressSize) {
		if is.firstPosition == 0 || was.firstPosition != 0 && !missing(was.addresses, address) {
			continue
		}
		if err := t.exec(ctx, t.insertAddress, address, is.listed.time, is.firstPosition, is.id[:]); err != nil {
			return fmt.Errorf("write address: %w", err)
		}
	}
	return nil
}
