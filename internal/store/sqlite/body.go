package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// Encodings of a stored body.
const (
	plain = iota
	zstandard
	// superseded is the empty body of a contribution that counts no more: its delivery was understood anew. The row stays,
	// as the chain of its outcome leads through it.
	superseded
	// block is an S2 block. Since version 4.
	block
)

const (
	// smallBody is the size below which compressing saves nothing worth its time.
	smallBody = 256
	// longBody is the size from which room counts more than time: zstd makes a third less of a text than S2, and takes five times as long.
	longBody = 64 << 10
	// largeBody is the size from which memory counts more than a good guess of what remains.
	largeBody = 1 << 20
	// maxBody bounds what a frame may claim to hold.
	maxBody = 1 << 30
)

// packer turns bodies into what is stored and back. Its methods may be called at the same time.
type packer struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
	// scratch has buffers for blocks, which need more room while they are made than afterwards.
	scratch sync.Pool
}

func newPacker() (*packer, error) {
	// The checksum of the row covers the frame.
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
		zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxBody))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return &packer{encoder: encoder, decoder: decoder, scratch: sync.Pool{New: func() any { return new(make([]byte, s2.MaxEncodedLen(longBody))) }}}, nil
}

// pack returns what is stored for a body. It is never nil, since nil would be NULL.
func (p *packer) pack(body []byte) (encoding int64, packed []byte) {
	switch {
	case len(body) < smallBody:
	case len(body) < longBody:
		scratch := p.scratch.Get().(*[]byte) //nolint:forcetypeassert // made by newPacker
		defer p.scratch.Put(scratch)
		if packed := s2.Encode(*scratch, body); len(packed) < len(body) {
			return block, bytes.Clone(packed)
		}
	default:
		// What is large is audio in base64, of which three quarters remain: growing would make several copies.
		room := len(body) / 2
		if len(body) >= largeBody {
			room = len(body) / 8 * 7
		}
		if packed := p.encoder.EncodeAll(body, make([]byte, 0, room)); len(packed) < len(body) {
			return zstandard, packed
		}
	}
	return plain, present(body)
}

func (p *packer) unpack(encoding int64, packed []byte) ([]byte, error) {
	switch encoding {
	case plain:
		return packed, nil
	case zstandard:
		body, err := p.decoder.DecodeAll(packed, nil)
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return body, nil
	case block:
		body, err := s2.Decode(nil, packed)
		if err != nil {
			return nil, fmt.Errorf("s2: %w", err)
		}
		return body, nil
	default:
		return nil, fmt.Errorf("unknown encoding %d", encoding)
	}
}

// size returns how long a body is, without unpacking it.
func (p *packer) size(encoding int64, packed []byte) (int, error) {
	switch encoding {
	case zstandard:
	case block:
		return s2.DecodedLen(packed)
	default:
		body, err := p.unpack(encoding, packed)
		return len(body), err
	}
	var frame zstd.Header
	if err := frame.Decode(packed); err != nil {
		return 0, fmt.Errorf("zstd: %w", err)
	}
	if !frame.HasFCS || frame.FrameContentSize > maxBody {
		return 0, errors.New("zstd: the frame does not tell its size")
	}
	return int(frame.FrameContentSize), nil
}

// close releases the memory. The decoder has no error to report, the encoder none without a writer.
func (p *packer) close() {
	p.decoder.Close()
	_ = p.encoder.Close()
}

// present replaces nil, which would be stored as NULL.
func present(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
