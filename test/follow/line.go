package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// line is a connection to the service that nobody else uses. What it returns as an error has a status; a lost connection is
// UNAVAILABLE.
type line interface {
	outcomes(ctx context.Context, request *callnormv1.StreamOutcomesRequest) (stream, error)
	create(ctx context.Context, request *callnormv1.CreateSubscriptionRequest) error
	subscription(ctx context.Context, name string) (stream, error)
	acknowledge(ctx context.Context, name, mark string) error
	// close ends it as a good client does, cut as one that has crashed.
	close()
	cut()
}

// stream returns the next message each time it is called.
type stream func() (message, error)

// message is one of either kind of stream.
type message struct {
	outcome *callnormv1.CallOutcome
	// mark is the cursor, or the ack_id.
	mark     string
	caughtUp bool
}

const (
	// heartbeat is the shortest that a stream may have.
	heartbeat = time.Second
	// patience is how long a single answer may take.
	patience = time.Minute
)

// wire is the TCP connection under a line.
type wire struct {
	mu   sync.Mutex
	conn net.Conn
}

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, network, addr)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn = conn
	return conn, err
}

// cut resets the connection, so that what is under way is lost.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		return
	}
	if tcp, ok := w.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = w.conn.Close()
}

type grpcLine struct {
	wire

	conn          *grpc.ClientConn
	calls         callnormv1.OutcomeServiceClient
	subscriptions callnormv1.SubscriptionServiceClient
}

func newGRPCLine(addr string) (*grpcLine, error) {
	l := &grpcLine{}
	var err error
	l.conn, err = grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return l.dial(ctx, "tcp", addr) }))
	l.calls, l.subscriptions = callnormv1.NewOutcomeServiceClient(l.conn), callnormv1.NewSubscriptionServiceClient(l.conn)
	return l, err
}

func (l *grpcLine) outcomes(ctx context.Context, request *callnormv1.StreamOutcomesRequest) (stream, error) {
	messages, err := l.calls.StreamOutcomes(ctx, request)
	return func() (message, error) {
		m, err := messages.Recv()
		return message{m.GetOutcome(), m.GetCursor(), m.GetCaughtUp()}, err
	}, err
}

func (l *grpcLine) create(ctx context.Context, request *callnormv1.CreateSubscriptionRequest) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := l.subscriptions.CreateSubscription(ctx, request)
	return err
}

func (l *grpcLine) subscription(ctx context.Context, name string) (stream, error) {
	messages, err := l.subscriptions.StreamSubscription(ctx, &callnormv1.StreamSubscriptionRequest{
		Name: name, HeartbeatInterval: durationpb.New(heartbeat),
	})
	return func() (message, error) {
		m, err := messages.Recv()
		return message{m.GetOutcome(), m.GetAckId(), m.GetCaughtUp()}, err
	}, err
}

func (l *grpcLine) acknowledge(ctx context.Context, name, mark string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := l.subscriptions.AcknowledgeSubscription(ctx, &callnormv1.AcknowledgeSubscriptionRequest{Name: name, AckId: mark})
	return err
}

func (l *grpcLine) close() { _ = l.conn.Close() }

func (l *grpcLine) cut() {
	l.wire.cut()
	l.close()
}

type restLine struct {
	wire

	client *http.Client
	url    string
	cancel context.CancelFunc // of the stream
}

func newRESTLine(addr string) *restLine {
	l := &restLine{url: "http://" + addr + "/v1/"}
	l.client = &http.Client{Transport: &http.Transport{DialContext: l.dial, DisableCompression: true}}
	return l
}

func (l *restLine) outcomes(ctx context.Context, request *callnormv1.StreamOutcomesRequest) (stream, error) {
	values := query(request.GetFilter())
	if after := request.GetAfter(); after != "" {
		values.Set("after", after)
	}
	if at := request.GetStartAt(); at != callnormv1.StreamStart_STREAM_START_UNSPECIFIED {
		values.Set("start_at", at.String())
	}
	return l.lines(ctx, "outcomes:stream", values, func(text []byte) (message, error) {
		m := &callnormv1.StreamOutcomesResponse{}
		err := protojson.Unmarshal(text, m)
		return message{m.GetOutcome(), m.GetCursor(), m.GetCaughtUp()}, err
	})
}

func (l *restLine) create(ctx context.Context, request *callnormv1.CreateSubscriptionRequest) error {
	return l.post(ctx, "subscriptions", request)
}

func (l *restLine) subscription(ctx context.Context, name string) (stream, error) {
	return l.lines(ctx, name+":stream", url.Values{}, func(text []byte) (message, error) {
		m := &callnormv1.StreamSubscriptionResponse{}
		err := protojson.Unmarshal(text, m)
		return message{m.GetOutcome(), m.GetAckId(), m.GetCaughtUp()}, err
	})
}

func (l *restLine) acknowledge(ctx context.Context, name, mark string) error {
	return l.post(ctx, name+":acknowledge", &callnormv1.AcknowledgeSubscriptionRequest{AckId: mark})
}

func (l *restLine) close() {
	if l.cancel != nil {
		l.cancel()
	}
	l.client.CloseIdleConnections()
}

func (l *restLine) cut() {
	l.wire.cut()
	l.close()
}

func (l *restLine) post(ctx context.Context, path string, request proto.Message) error {
	text, err := protojson.Marshal(request)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, err := l.send(ctx, http.MethodPost, path, text)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if _, err := io.Copy(io.Discard, body); err != nil {
		return lost(err)
	}
	return nil
}

// lines opens a stream of JSON, of which parse reads one message.
func (l *restLine) lines(ctx context.Context, path string, values url.Values, parse func([]byte) (message, error)) (stream, error) {
	ctx, l.cancel = context.WithCancel(ctx)
	values.Set("heartbeat_interval", fmt.Sprintf("%gs", heartbeat.Seconds()))
	body, err := l.send(ctx, http.MethodGet, path+"?"+values.Encode(), nil)
	if err != nil {
		return nil, err
	}
	reader := bufio.NewReader(body)
	return func() (message, error) {
		text, err := reader.ReadBytes('\n')
		if err != nil {
			_ = body.Close()
			return message{}, lost(err)
		}
		var line struct {
			Result json.RawMessage `json:"result"`
			Error  json.RawMessage `json:"error"`
		}
		if err := json.Unmarshal(text, &line); err != nil {
			return message{}, status.Error(codes.Internal, err.Error())
		}
		if line.Error != nil {
			return message{}, told(line.Error)
		}
		return parse(line.Result)
	}, nil
}

func (l *restLine) send(ctx context.Context, method, path string, body []byte) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, l.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := l.client.Do(request)
	if err != nil {
		return nil, lost(err)
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, lost(err)
	}
	return nil, told(text)
}

// lost is what gRPC says of a lost connection.
func lost(err error) error { return status.Error(codes.Unavailable, err.Error()) }

// told reads an error of the service.
func told(text []byte) error {
	said := &spb.Status{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, said); err != nil {
		return status.Error(codes.Internal, errors.Join(err, fmt.Errorf("%.200s", text)).Error())
	}
	return status.ErrorProto(said)
}
