// Package raw speaks gRPC without decoding what it gets: what a client makes of an answer is no matter of the service's.
package raw

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/proto"
)

// Answers is a codec that marshals messages, and hands on what came as the bytes that it is. It takes bytes for messages that are
// marshaled already.
type Answers struct{}

// Marshal marshals a message.
func (Answers) Marshal(message any) ([]byte, error) {
	switch m := message.(type) {
	case []byte:
		return m, nil
	case proto.Message:
		return proto.Marshal(m)
	}
	return nil, fmt.Errorf("%T is no message", message)
}

// Unmarshal copies what came.
func (Answers) Unmarshal(data []byte, answer any) error {
	to, ok := answer.(*[]byte)
	if !ok {
		return fmt.Errorf("%T takes no bytes", answer)
	}
	*to = bytes.Clone(data)
	return nil
}

// Name is that of the codec of gRPC itself, so that the other side knows it.
func (Answers) Name() string { return "proto" }
