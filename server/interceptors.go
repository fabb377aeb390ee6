package server

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// unaryDeadline ends calls whose caller set no deadline. Streams have none.
const unaryDeadline = 30 * time.Second

// unary is what happens around each call: recovery first, so that nothing below can end the process; then errors become
// statuses; then the deadline and the rules of the request.
func (s *Server) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (response any, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			response, err = nil, recovered(s.log, info.FullMethod, cause)
		}
		err = s.fail(ctx, info.FullMethod, err)
	}()
	ctx, cancel := context.WithTimeout(ctx, unaryDeadline)
	defer cancel()
	if err := s.validate(request); err != nil {
		return nil, err
	}
	return handle(ctx, request)
}

// outer is unary for callers from outside, whose large messages share the room that bodies have in memory. What comes over the
// gateway has it already.
func (s *Server) outer(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	return s.unary(ctx, request, info, func(ctx context.Context, request any) (any, error) {
		if m, ok := request.(proto.Message); ok {
			if size := proto.Size(m); size > smallMessage {
				release, err := s.budget.Reserve(ctx, int64(size))
				if err != nil {
					return nil, err
				}
				defer release()
			}
		}
		return handle(ctx, request)
	})
}

// stream is the same for streams, without the deadline.
func (s *Server) stream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = recovered(s.log, info.FullMethod, cause)
		}
		err = s.fail(stream.Context(), info.FullMethod, err)
	}()
	guarded := &guarded{ServerStream: stream, ctx: stream.Context(), server: s}
	if !strings.HasPrefix(info.FullMethod, ownMethods) {
		// Health and reflection know nothing of draining, and their open streams would keep a graceful stop waiting for ever.
		ctx, cancel := context.WithCancel(stream.Context())
		defer context.AfterFunc(s.draining, cancel)()
		defer cancel()
		guarded.ctx = ctx
	}
	return handle(service, guarded)
}

// ownMethods begins the names of our methods.
const ownMethods = "/callnorm."

// guarded checks each message that comes in on a stream, and waits for none when the server shuts down.
type guarded struct {
	grpc.ServerStream

	ctx    context.Context
	server *Server
}

// Context ends when the stream should.
func (g *guarded) Context() context.Context { return g.ctx }

// RecvMsg reads the next message and checks its rules.
func (g *guarded) RecvMsg(message any) error {
	received := make(chan error, 1)
	go func() { received <- g.ServerStream.RecvMsg(message) }()
	select {
	case err := <-received:
		if err != nil {
			return err
		}
		return g.server.validate(message)
	case <-g.server.draining.Done():
		return errShuttingDown // The read ends with the stream.
	}
}

func (s *Server) validate(message any) error {
	if m, ok := message.(proto.Message); ok {
		return protovalidate.Validate(m)
	}
	return nil
}

// recovered logs where a panic came from. Its text may quote a payload, so only its type is written.
func recovered(log *slog.Logger, method string, cause any) error {
	log.Error("panic", "method", method, "type", fmt.Sprintf("%T", cause), "stack", string(debug.Stack()))
	return fmt.Errorf("panic in %s", method)
}
