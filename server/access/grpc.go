package access

import (
	"context"
	"crypto/tls"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Server is a gRPC server that judges each call before it reads a message. Everything that is registered with it stands behind
// the gate, and so does what is not registered: who is not known does not learn which methods there are.
//
// grpc's own hook for that, the tap, is not used: it lets a caller that it refuses keep a timer until a deadline of the caller's
// choice.
type Server struct {
	*grpc.Server

	gate  *Gate
	unary grpc.UnaryServerInterceptor
}

// NewServer returns a server whose calls go through the interceptors. Those see refused calls as well, with a handler that returns
// the refusal, so that they can put it into their words; the request of a refused call is nil.
func (g *Gate) NewServer(unary grpc.UnaryServerInterceptor, stream grpc.StreamServerInterceptor, options ...grpc.ServerOption) *Server {
	s := &Server{gate: g, unary: unary}
	s.Server = grpc.NewServer(slices.Concat(options, []grpc.ServerOption{
		grpc.UnaryInterceptor(s.late), grpc.StreamInterceptor(s.stream(stream)), grpc.UnknownServiceHandler(unknown),
	})...)
	return s
}

// unknown answers calls of methods that nobody registered.
func unknown(any, grpc.ServerStream) error {
	return status.Error(codes.Unimplemented, "there is no such method")
}

// RegisterService registers a service behind the gate.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, implementation any) {
	gated := *desc
	gated.Methods = slices.Clone(desc.Methods)
	for i, method := range desc.Methods {
		name := "/" + desc.ServiceName + "/" + method.MethodName
		gated.Methods[i].Handler = func(service any, ctx context.Context, decode func(any) error, late grpc.UnaryServerInterceptor) (any, error) {
			principal, err := s.gate.admit(ctx, name)
			if err != nil {
				info := &grpc.UnaryServerInfo{Server: service, FullMethod: name}
				return s.unary(ctx, nil, info, func(context.Context, any) (any, error) { return nil, err })
			}
			return method.Handler(service, With(ctx, principal), decode, late)
		}
	}
	s.Server.RegisterService(&gated, implementation)
}

// late judges calls of what was registered past RegisterService, and hands on what was judged.
func (s *Server) late(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if From(ctx).gate != s.gate {
		principal, err := s.gate.admit(ctx, info.FullMethod)
		if err != nil {
			request, handle = nil, func(context.Context, any) (any, error) { return nil, err }
		}
		ctx = With(ctx, principal)
	}
	return s.unary(ctx, request, info, handle)
}

// stream judges streams, and ends those whose reader is removed.
func (s *Server) stream(next grpc.StreamServerInterceptor) grpc.StreamServerInterceptor {
	return func(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		principal, err := s.gate.admit(stream.Context(), info.FullMethod)
		if err != nil {
			return next(service, stream, info, func(any, grpc.ServerStream) error { return err })
		}
		held := &serverStream{stream, s.gate.hold(stream.Context(), principal, info.FullMethod)}
		return next(service, held, info, func(service any, stream grpc.ServerStream) error {
			err := handle(service, stream)
			if reason := ended(held.ctx); err != nil && reason != nil {
				return reason
			}
			return err
		})
	}
}

// admit returns who calls, if that one may call the method.
func (g *Gate) admit(ctx context.Context, method string) (Principal, error) {
	var state *tls.ConnectionState
	if caller, ok := peer.FromContext(ctx); ok {
		if info, ok := caller.AuthInfo.(credentials.TLSInfo); ok {
			state = &info.State
		}
	}
	principal, err := g.judge(g.credential(metadata.ValueFromIncomingContext(ctx, "authorization"), state))
	if err != nil {
		return Principal{}, err
	}
	return principal, principal.May(method)
}

// serverStream is a stream that the gate can end.
type serverStream struct {
	grpc.ServerStream

	ctx context.Context
}

// Context ends when the reader is removed.
func (s *serverStream) Context() context.Context { return s.ctx }

// RecvMsg reads the next message. One that was waited for while the reader was removed is not given out.
func (s *serverStream) RecvMsg(message any) error {
	err := s.ServerStream.RecvMsg(message)
	if reason := ended(s.ctx); reason != nil {
		return reason
	}
	return err
}

// SendMsg sends a message, unless the reader has been removed.
func (s *serverStream) SendMsg(message any) error {
	if reason := ended(s.ctx); reason != nil {
		return reason
	}
	return s.ServerStream.SendMsg(message)
}

// NewInner returns a server for the connection that DialOptions are for. It takes their word for who calls: nobody else may reach it.
func (g *Gate) NewInner(unary grpc.UnaryServerInterceptor, stream grpc.StreamServerInterceptor, options ...grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(slices.Concat(options, []grpc.ServerOption{
		grpc.UnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			return unary(g.received(ctx), request, info, handle)
		}),
		grpc.StreamInterceptor(func(service any, under grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			return stream(service, &innerStream{under, g.received(under.Context())}, info, handle)
		}),
	})...)
}

// innerStream is a stream whose context holds the principal. It ends with the call, which the gate ends on the other side.
type innerStream struct {
	grpc.ServerStream

	ctx context.Context
}

// Context holds the principal.
func (s *innerStream) Context() context.Context { return s.ctx }

// Keys by which the principal of a call crosses the connection.
const (
	nameKey = "callnorm-reader-bin"
	roleKey = "callnorm-role"
)

// handedOn returns the context of a call that tells its principal, whatever the caller's headers have put there.
func handedOn(ctx context.Context, principal Principal) context.Context {
	md, _ := metadata.FromOutgoingContext(ctx) // a copy
	if md == nil {
		md = metadata.MD{}
	}
	md[nameKey], md[roleKey] = []string{principal.Name}, nil
	for _, role := range principal.roles {
		md[roleKey] = append(md[roleKey], string(role))
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// received returns the context of a call with the principal that handedOn told.
func (g *Gate) received(ctx context.Context) context.Context {
	principal := Principal{gate: g}
	for _, name := range metadata.ValueFromIncomingContext(ctx, nameKey) {
		principal.Name = name
	}
	for _, role := range metadata.ValueFromIncomingContext(ctx, roleKey) {
		principal.roles = append(principal.roles, Role(role))
	}
	return With(ctx, principal)
}

// DialOptions are for the connection by which a REST gateway calls its own server. They judge each call by the principal that HTTP
// put into its context, where no header can put one, refuse calls without, and tell the server who it is.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithUnaryInterceptor(callUnary), grpc.WithStreamInterceptor(callStream)}
}

func callUnary(
	ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	principal := From(ctx)
	if err := principal.May(method); err != nil {
		return err
	}
	return invoke(handedOn(ctx, principal), method, request, response, conn, options...)
}

func callStream(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	principal := From(ctx)
	if err := principal.May(method); err != nil {
		return nil, err
	}
	ctx = principal.gate.hold(ctx, principal, method)
	stream, err := open(handedOn(ctx, principal), desc, conn, method, options...)
	if err != nil {
		return nil, err
	}
	return &clientStream{stream, ctx}, nil
}

// clientStream is a stream that the gate can end.
type clientStream struct {
	grpc.ClientStream

	ctx context.Context
}

// RecvMsg reads the next message, and tells if it was the gate that ended the stream.
func (s *clientStream) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	if reason := ended(s.ctx); err != nil && reason != nil {
		return reason
	}
	return err
}
