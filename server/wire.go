package server

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// wired is a message of a stream, a StreamOutcomesResponse or a StreamSubscriptionResponse, around an outcome that is encoded
// already. Both messages give their fields the same numbers.
type wired struct {
	// outcome is what the store has kept: this process or one before it encoded it, and the store has verified it. Empty in a message
	// that only tells a position.
	outcome []byte
	// mark is the cursor, or the ack_id.
	mark     string
	caughtUp bool
}

// Numbers of the fields.
const (
	wiredOutcome  protowire.Number = 1
	wiredMark     protowire.Number = 2
	wiredCaughtUp protowire.Number = 3
)

// encode returns the message in pieces, the outcome as it lies in memory.
func (m *wired) encode() mem.BufferSlice {
	const tags = 4 + 2*10 // one byte for each tag and for the truth, ten at most for each length
	around := make([]byte, 0, tags+len(m.mark))
	pieces := make(mem.BufferSlice, 0, 3)
	if len(m.outcome) > 0 {
		around = protowire.AppendTag(around, wiredOutcome, protowire.BytesType)
		around = protowire.AppendVarint(around, uint64(len(m.outcome)))
		pieces = append(pieces, mem.SliceBuffer(around), mem.SliceBuffer(m.outcome))
	}
	head := len(around)
	if m.mark != "" {
		around = protowire.AppendTag(around, wiredMark, protowire.BytesType)
		around = protowire.AppendString(around, m.mark)
	}
	if m.caughtUp {
		around = protowire.AppendTag(around, wiredCaughtUp, protowire.VarintType)
		around = protowire.AppendVarint(around, protowire.EncodeBool(true))
	}
	return append(pieces, mem.SliceBuffer(around[head:]))
}

// codec is protobuf's, apart from what is encoded already.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Marshal encodes a message.
func (c codec) Marshal(message any) (mem.BufferSlice, error) {
	if m, ok := message.(*wired); ok {
		return m.encode(), nil
	}
	return c.CodecV2.Marshal(message)
}
