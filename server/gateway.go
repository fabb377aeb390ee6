package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/server/access"
	"github.com/callnorm/callnorm/server/bounds"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
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
	g.conn, err = grpc.NewClient("passthrough:///in-memory", append([]grpc.DialOption{
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return g.listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)),
	}, access.DialOptions()...)...)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	g.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &s.json),
		runtime.WithErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
			s.writeError(w, r, err)
		}),
		// Ids are the providers' and may hold anything, a slash as well.
		runtime.WithUnescapingMode(runtime.UnescapingModeAllCharacters),
		runtime.WithMiddlewares(s.bound),
		runtime.SetQueryParameterParser(strictQuery{}),
		runtime.WithMetadata(unlessDenied),
		// What a path and a method say stands; nothing in a header or a form changes it.
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		// gRPC's own headers mean nothing over REST.
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
	)
	ctx := context.Background() // the registration's context only closes connections that it opened itself
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		callnormv1.RegisterNormalizationServiceHandler, callnormv1.RegisterOutcomeServiceHandler,
		callnormv1.RegisterDeliveryServiceHandler, callnormv1.RegisterSourceServiceHandler,
		callnormv1.RegisterSubscriptionServiceHandler, callnormv1.RegisterPrivacyServiceHandler,
	} {
		if err := register(ctx, g.mux, g.conn); err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
	}
	return g, nil
}

func (g *gateway) close() { _ = g.conn.Close() }

// bound reads what a generated route is sent, up to the bound, and refuses what a message could not carry.
func (s *Server) bound(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		for _, value := range params {
			if !utf8.ValidString(value) {
				s.writeError(w, r, fmt.Errorf("%w: the path is not valid UTF-8", errRequest))
				return
			}
		}
		body, err := bounds.Read(w, r, bounds.BodyLimits{Max: maxRequest - maxHeader, Ratio: maxRatio, Budget: s.budget, Pace: s.pace})
		if err != nil {
			s.writeError(w, r, err)
			return
		}
		defer body.Release()
		r.Body = io.NopCloser(bytes.NewReader(body.Content))
		next(w, r, params)
	}
}

// unlessDenied takes a request's body and query away from a caller who may not make it. The role is asked for behind the decoding
// of both, and what is wrong with them is no business of his.
func unlessDenied(ctx context.Context, r *http.Request) metadata.MD {
	if method, ok := runtime.RPCMethod(ctx); ok && access.From(ctx).May(method) != nil {
		r.Body, r.URL.RawQuery = http.NoBody, ""
	}
	return nil
}

// strictQuery refuses parameters that no field has the name of: a misspelled filter would let everything pass.
type strictQuery struct{}

// Parse sets the fields of a message from the parameters of a query.
func (strictQuery) Parse(message proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	for key, list := range values {
		name, err := parameter(message.ProtoReflect().Descriptor(), key)
		if err != nil {
			return err
		}
		for _, value := range list {
			if !utf8.ValidString(value) {
				return fmt.Errorf("parameter %q is not valid UTF-8", name)
			}
		}
		if err := (&runtime.DefaultQueryParser{}).Parse(message, url.Values{key: list}, filter); err != nil {
			return fmt.Errorf("parameter %q takes another kind of value", name)
		}
	}
	return nil
}

// parameter returns the name of the field that a key leads to, by the fields of messages within a message.
func parameter(message protoreflect.MessageDescriptor, key string) (string, error) {
	path := ""
	for step := range strings.SplitSeq(key, ".") {
		if message == nil {
			return "", fmt.Errorf("parameter %q has no parts", path)
		}
		fields := message.Fields()
		field := fields.ByTextName(step)
		if field == nil {
			field = fields.ByJSONName(step)
		}
		switch {
		case field == nil && path == "":
			return "", fmt.Errorf("there is no such parameter; there are: %s", names(fields))
		case field == nil:
			return "", fmt.Errorf("parameter %q has no such part; there are: %s", path, names(fields))
		}
		path = strings.TrimPrefix(path+"."+string(field.Name()), ".")
		message = field.Message()
	}
	return path, nil
}

// names lists fields as a query names them.
func names(fields protoreflect.FieldDescriptors) string {
	list := make([]string, fields.Len())
	for i := range list {
		list[i] = string(fields.Get(i).Name())
	}
	return strings.Join(list, ", ")
}

// marshaler speaks protojson, and takes a body that is bound to a google.api.HttpBody as it is.
type marshaler struct{ runtime.JSONPb }

// Marshal ends each message with a line, alone and in a stream.
func (m *marshaler) Marshal(v any) ([]byte, error) {
	text, err := m.JSONPb.Marshal(v)
	if err != nil {
		return nil, err
	}
	return line(text)
}

// line is JSON as we send it. protojson puts blanks where it likes, in one build other than in the next.
func line(text []byte) ([]byte, error) {
	compact := bytes.NewBuffer(make([]byte, 0, len(text)+1))
	if err := json.Compact(compact, text); err != nil {
		return nil, fmt.Errorf("compact JSON: %w", err)
	}
	compact.WriteByte('\n')
	return compact.Bytes(), nil
}

// Delimiter is empty: Marshal has set it.
func (m *marshaler) Delimiter() []byte { return []byte{} }

// StreamContentType says that streams are lines of JSON.
func (m *marshaler) StreamContentType(any) string { return "application/x-ndjson" }

// NewDecoder returns a decoder for the body of a request.
func (m *marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	decoder := m.JSONPb.NewDecoder(r)
	return runtime.DecoderFunc(func(v any) error {
		target, ok := v.(**httpbody.HttpBody)
		if !ok {
			if err := decoder.Decode(v); err != nil && !errors.Is(err, io.EOF) {
				return errors.New("the body is not the JSON of this request" + lineOf(err) + ": a wrong word, type or value stands there")
			}
			return nil
		}
		data, err := io.ReadAll(r)
		*target = &httpbody.HttpBody{Data: data}
		return err
	})
}

// place is where protojson has stumbled. What it stumbled over is left out: that may be anything.
var place = regexp.MustCompile(`\(line \d+:\d+\)`)

func lineOf(err error) string {
	if at := place.FindString(err.Error()); at != "" {
		return " " + at
	}
	return ""
}

// writeError answers with a google.rpc.Status as JSON, like the gateway.
func (s *Server) writeError(w http.ResponseWriter, r *http.Request, err error) {
	known := status.Convert(s.fail(r.Context(), methodOf(r)+" "+routeOf(r), err))
	code := httpStatus(known, runtime.HTTPStatusFromCode)
	text, err := s.json.Marshal(known.Proto())
	if err != nil {
		text = []byte(`{"code":13,"message":"` + internalMessage + `"}` + "\n")
	}
	w.Header().Set("Content-Type", "application/json")
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter(known))
	}
	w.WriteHeader(code)
	_, _ = w.Write(text) //nolint:gosec // JSON, and said to be JSON
}

// methodOf names a method. What is none is not repeated: it may be as long as a header.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions:
		return r.Method
	default:
		return "another method"
	}
}

// routeOf names a route without what stands in for its variables.
func routeOf(r *http.Request) string {
	if isDoor(r) {
		return doorPrefix + "{source}"
	}
	if pattern, ok := runtime.HTTPPattern(r.Context()); ok {
		return pattern.String()
	}
	return "unknown route"
}
