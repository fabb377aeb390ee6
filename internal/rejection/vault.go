package rejection

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

const (
	minKey = 32
	// saltSize and nonceSize are random bytes in front of what is sealed.
	saltSize  = 16
	nonceSize = 12
	// maxFrame bounds what a compressed request may claim to be.
	maxFrame = 1 << 30
)

// vault seals requests and opens them. Its methods may be called at the same time.
type vault struct {
	secret  []byte // pseudorandom, of the configured key
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

// newVault returns a vault, or nil without a key.
func newVault(key []byte) (*vault, error) {
	if len(key) == 0 {
		return nil, nil //nolint:nilnil // without a key nothing is held, which is no error
	}
	if len(key) < minKey {
		return nil, fmt.Errorf("the key for held requests has %d bytes, and needs %d or more", len(key), minKey)
	}
	secret, err := hkdf.Extract(sha256.New, key, nil)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	// The seal covers the frame.
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
		zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxFrame))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return &vault{secret, encoder, decoder}, nil
}

// label is what a sealed request belongs to: it opens under no other.
type label struct {
	seq           int64
	time          int64
	source, cause string
}

func (l label) bytes() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(l.seq))
	b = binary.BigEndian.AppendUint64(b, uint64(l.time))
	b = binary.BigEndian.AppendUint64(b, uint64(len(l.source)))
	return append(append(b, l.source...), l.cause...)
}

// aead returns the cipher of one request. Each has a key of its own: a flood would come near the number of messages that one
// key with random nonces is good for.
func (v *vault) aead(salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Expand(sha256.New, v.secret, "callnorm held request 1 "+string(salt), 32)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal returns salt, nonce and ciphertext of a request.
func (v *vault) seal(l label, request *Request) ([]byte, error) {
	// Gob keeps strings byte for byte, whatever they hold.
	var plain bytes.Buffer
	if err := gob.NewEncoder(&plain).Encode(request); err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	sealed := make([]byte, saltSize+nonceSize, saltSize+nonceSize+plain.Len()/2)
	rand.Read(sealed) // never fails
	salt, nonce := sealed[:saltSize], sealed[saltSize:]
	aead, err := v.aead(salt)
	if err != nil {
		return nil, err
	}
	return aead.Seal(sealed, nonce, v.encoder.EncodeAll(plain.Bytes(), nil), l.bytes()), nil
}

// open returns the request, or ErrKey.
func (v *vault) open(l label, sealed []byte) (*Request, error) {
	if v == nil || len(sealed) < saltSize+nonceSize {
		return nil, ErrKey
	}
	aead, err := v.aead(sealed[:saltSize])
	if err != nil {
		return nil, err
	}
	frame, err := aead.Open(nil, sealed[saltSize:saltSize+nonceSize], sealed[saltSize+nonceSize:], l.bytes())
	if err != nil {
		return nil, ErrKey
	}
	plain, err := v.decoder.DecodeAll(frame, nil)
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	request := &Request{}
	if err := gob.NewDecoder(bytes.NewReader(plain)).Decode(request); err != nil {
		return nil, errors.New("decode held request") // the reason might repeat of it
	}
	request.ReceiveTime = request.ReceiveTime.UTC()
	return request, nil
}
