package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protojson"
)

// gateway serves the REST routes that the contract names, by calling the gRPC server over a connection in memory. Calling the
// services directly would leave out the interceptors and could not stream.
type gateway struct {
	mux      *runtime.ServeMux
	listener *bufconn.Listener
	conn     *grpc.ClientConn
}

func (s *Server) newGateway() (*gateway, error) {
	g := &gateway{listener: bufconn.Listen(1 << 20)}
	var err error
	g.conn, err = grpc.NewClient("passthrough:///in-memory",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return g.listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxRequest), grpc.MaxCallSendMsgSize(maxRequest)),
	)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	g.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &marshaler{}),
		runtime.WithErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
			s.writeError(w, r, err)
		}),
		// Ids are the providers' and may hold anything, a slash as well.
		runtime.WithUnescapingMode(runtime.UnescapingModeAllCharacters),
		runtime.WithMiddlewares(bound),
		// gRPC's own headers mean nothing over REST.
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
	)
	ctx := context.Background() // the registration's context only closes connections that it opened itself
	if err := callnormv1.RegisterNormalizationServiceHandler(ctx, g.mux, g.conn); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if err := callnormv1.RegisterOutcomeServiceHandler(ctx, g.mux, g.conn); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	// What is registered last is found first: the door goes before the generated routes of IngestDelivery.
	for _, pattern := range []string{doorPrefix + "{source}", doorPrefix + "{source}/{event}"} {
		if err := g.mux.HandlePath(http.MethodPost, pattern, s.door); err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
	}
	return g, nil
}

func (g *gateway) close() { _ = g.conn.Close() }

// bound limits what the generated routes read. The door sets the limit of its source itself.
func bound(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		next(w, r, params)
	}
}

// marshaler speaks protojson, and takes a body that is bound to a google.api.HttpBody as it is.
type marshaler struct{ runtime.JSONPb }

// StreamContentType says that streams are lines of JSON.
func (m *marshaler) StreamContentType(any) string { return "application/x-ndjson" }

// NewDecoder returns a decoder for the body of a request.
func (m *marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	decoder := m.JSONPb.NewDecoder(r)
	return runtime.DecoderFunc(func(v any) error {
		target, ok := v.(**httpbody.HttpBody)
		if !ok {
			return decoder.Decode(v)
		}
		data, err := io.ReadAll(r)
		*target = &httpbody.HttpBody{Data: data}
		return err
	})
}

// writeError answers with a google.rpc.Status as JSON, like the gateway.
func (s *Server) writeError(w http.ResponseWriter, r *http.Request, err error) {
	known := status.Convert(failure(r.Context(), s.log, r.Method+" "+routeOf(r), err))
	code := httpStatus(known, runtime.HTTPStatusFromCode)
	text, err := protojson.Marshal(known.Proto())
	if err != nil {
		text = []byte(`{"code":13,"message":"` + internalMessage + `"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(code)
	_, _ = w.Write(append(text, '\n'))
}

// routeOf names a route without what stands in for its variables.
func routeOf(r *http.Request) string {
	if pattern, ok := runtime.HTTPPattern(r.Context()); ok {
		return pattern.String()
	}
	return "unknown route"
}
