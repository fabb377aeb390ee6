package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/catalog"
	"github.com/callnorm/callnorm/adapters/scenario"
	"github.com/callnorm/callnorm/adapters/synthflow"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/internal/store/sqlite"
	"github.com/callnorm/callnorm/server"
	"github.com/callnorm/callnorm/server/access"
	"github.com/callnorm/callnorm/server/bounds"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// broken is an adapter that does not do what it promises.
type broken struct{ name string }

func (b broken) Name() string        { return b.name }
func (b broken) Version() string     { return "1" }
func (b broken) Providers() []string { return []string{b.name} }
func (b broken) Example() string     { return "" }
func (broken) Scenarios() fs.FS      { return nil }

func (b broken) Normalize(adapters.Delivery) (adapters.Result, error) {
	switch b.name {
	case "panics":
		var call *callnormv1.CallOutcome
		call.Name = "nil"
	case "fails":
		return adapters.Result{}, errors.New("the caller's name is John Doe")
	}
	return adapters.Result{}, nil
}

// system is a whole service on loopback.
type system struct {
	url        string // of the listener for everything
	public     string // of the one for doors alone
	address    string // of the one for gRPC
	conn       *grpc.ClientConn
	kept       store.Store
	intake     *intake.Intake
	refused    *rejection.Book
	outcomes   callnormv1.OutcomeServiceClient
	norm       callnormv1.NormalizationServiceClient
	deliveries callnormv1.DeliveryServiceClient
	sources    callnormv1.SourceServiceClient
	subs       callnormv1.SubscriptionServiceClient
	served     *server.Server
	stop       func()
	log        *journal
}

// journal is a log that can be read while it is written.
type journal struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (j *journal) Write(line []byte) (int, error) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.text.Write(line)
}

func (j *journal) String() string {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.text.String()
}

// setup is what a system is made of, apart from the adapters and sources that start gives it.
type setup struct {
	adapters []adapters.Adapter
	sources  []intake.Source
	readers  []access.Reader
	certs    *access.Certificates
	proxies  bounds.Proxies
	limits   server.Limits
	key      []byte           // of requests that are held
	now      func() time.Time // of the server; time.Now when nil
	reads    *atomic.Int64    // counts the entries that the server reads, unless it is nil
}

// counted is a store that counts the entries that are read of its log.
type counted struct {
	store.Store

	reads *atomic.Int64
}

func (c counted) Read(ctx context.Context, after store.Cursor, filter store.Filter, limit int) (store.Page, error) {
	page, err := c.Store.Read(ctx, after, filter, limit)
	c.reads.Add(int64(len(page.Entries)))
	return page, err
}

func start(t *testing.T, dir string) *system {
	t.Helper()
	with := setup{adapters: []adapters.Adapter{synthflow.New(), broken{"panics"}, broken{"fails"}}}
	for _, adapter := range with.adapters {
		with.sources = append(with.sources, intake.Source{Name: adapter.Name(), Adapter: adapter, Provider: adapter.Name(), MaxBody: 10 << 20})
	}
	with.sources = append(with.sources,
		intake.Source{Name: "closed", Adapter: synthflow.New(), Provider: "synthflow", MaxBody: 1, Disabled: true},
		intake.Source{Name: "second", Adapter: synthflow.New(), Provider: "anunzi", MaxBody: 1 << 20})
	return with.start(t, dir)
}

func (with setup) start(t *testing.T, dir string) *system {
	t.Helper()
	set, err := adapters.NewSet(with.adapters...)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := sqlite.Open(t.Context(), dir, sqlite.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if with.now == nil {
		with.now = time.Now
	}
	s := &system{kept: kept, log: &journal{}}
	if with.reads != nil {
		s.kept = counted{kept, with.reads}
	}
	metrics := server.NewMetrics()
	log := slog.New(slog.NewTextHandler(s.log, nil))
	if s.refused, err = rejection.Open(t.Context(), dir, rejection.Settings{Now: time.Now, Log: log, Key: with.key}); err != nil {
		t.Fatal(err)
	}
	s.intake = intake.New(intake.Settings{
		Adapters: set, Store: kept, Rejections: s.refused, Observer: metrics, Now: time.Now,
	}, with.sources)
	gate := access.New(server.Policy(true))
	gate.Set(with.readers)
	if s.served, err = server.New(server.Settings{
		Intake: s.intake, Store: s.kept, Rejections: s.refused, Metrics: metrics, Now: with.now, Log: log, Gate: gate,
		Certificates: with.certs, Proxies: with.proxies, Limits: with.limits,
	}); err != nil {
		t.Fatal(err)
	}
	on := server.Listeners{GRPC: listen(t), HTTP: listen(t), Public: listen(t)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.served.Serve(ctx, on, 10*time.Second) }()
	scheme := "http://"
	if with.certs != nil {
		scheme = "https://"
	}
	s.url, s.public, s.address = scheme+on.HTTP.Addr().String(), scheme+on.Public.Addr().String(), on.GRPC.Addr().String()
	if s.conn, err = grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	s.outcomes = callnormv1.NewOutcomeServiceClient(s.conn)
	s.norm = callnormv1.NewNormalizationServiceClient(s.conn)
	s.deliveries = callnormv1.NewDeliveryServiceClient(s.conn)
	s.sources = callnormv1.NewSourceServiceClient(s.conn)
	s.subs = callnormv1.NewSubscriptionServiceClient(s.conn)
	s.stop = sync.OnceFunc(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		_ = s.conn.Close()
		if err := errors.Join(kept.Close(), s.refused.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	t.Cleanup(s.stop)
	return s
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func (s *system) request(t *testing.T, method, path string, body []byte) (int, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, text
}

// deliver posts a body that must be kept.
func (s *system) deliver(t *testing.T, path string, body []byte) *callnormv1.IngestDeliveryResponse {
	t.Helper()
	code, text := s.request(t, http.MethodPost, "/v1/webhooks/"+path, body)
	if code != http.StatusOK {
		t.Fatalf("%d: %s", code, text)
	}
	answer := &callnormv1.IngestDeliveryResponse{}
	if err := protojson.Unmarshal(text, answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// fixture is a delivery out of an adapter's testdata.
type fixture struct {
	adapter, event string
	body           []byte
}

// fixtures returns the deliveries of all adapters' testdata, in the order of their names.
func fixtures(t testing.TB) []fixture {
	t.Helper()
	var list []fixture
	for _, adapter := range all() {
		scenarios, err := scenario.Of(adapter)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range scenarios {
			list = append(list, fixture{adapter: adapter.Name(), event: one.Delivery.Event, body: one.Delivery.Body})
		}
	}
	if len(list) < 100 {
		t.Fatalf("only %d fixtures", len(list))
	}
	return list
}

// all are the adapters of this repository.
func all() []adapters.Adapter {
	set, err := catalog.Set()
	if err != nil {
		panic(err)
	}
	return set.All()
}

// overBody is a signature that every sender of this package can make: an HMAC over the body.
var overBody = signature.Settings{Scheme: signature.SchemeHMAC, Headers: []string{"X-Signature"}}

// signed returns the header of a body that the first secret of a source signs. The zero source signs nothing.
func signed(t testing.TB, source intake.Source, body []byte) http.Header {
	t.Helper()
	if source.Verifier == nil {
		return http.Header{}
	}
	request, err := source.Verifier.Sign(signature.Request{Method: http.MethodPost, Header: http.Header{}, Body: body, Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return request.Header
}

// post sends a body with a header, and returns the answer as it is.
func (s *system) post(t testing.TB, path string, header http.Header, body []byte) (int, http.Header, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, text
}

// taken reads the answer to a delivery that was kept.
func taken(t testing.TB, code int, text []byte) *callnormv1.IngestDeliveryResponse {
	t.Helper()
	answer := &callnormv1.IngestDeliveryResponse{}
	if err := protojson.Unmarshal(text, answer); code != http.StatusOK || err != nil {
		t.Fatalf("%d %v: %.400s", code, err, text)
	}
	return answer
}

// get returns a delivery as it is shown.
func (s *system) get(t testing.TB, name string) *callnormv1.Delivery {
	t.Helper()
	got, err := s.deliveries.GetDelivery(t.Context(), &callnormv1.GetDeliveryRequest{Name: name}, grpc.MaxCallRecvMsgSize(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	return got.GetDelivery()
}

func call(id, status string) []byte {
	return fmt.Appendf(nil, `{"status":%q,"call":{"call_id":%q,"status":%q,"duration":3}}`, status, id, status)
}

// stream opens a stream and reads its first message, which tells where it begins.
func (s *system) stream(t *testing.T, request *callnormv1.StreamOutcomesRequest) (grpc.ServerStreamingClient[callnormv1.StreamOutcomesResponse], string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	stream, err := s.outcomes.StreamOutcomes(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if first.GetOutcome() != nil || first.GetCursor() == "" {
		t.Fatalf("the first message tells where the stream begins, got %v", first)
	}
	return stream, first.GetCursor()
}

// ids reads n outcomes and returns their call ids and the cursors after them.
func ids(t *testing.T, stream grpc.ServerStreamingClient[callnormv1.StreamOutcomesResponse], n int) (list, cursors []string) {
	t.Helper()
	for len(list) < n {
		message, err := stream.Recv()
		if err != nil {
			t.Fatalf("after %v: %v", list, err)
		}
		if message.GetOutcome() != nil {
			list = append(list, message.GetOutcome().GetProviderCallId())
			cursors = append(cursors, message.GetCursor())
		}
	}
	return list, cursors
}

var from = map[string]*callnormv1.StreamOutcomesRequest_StartAt{
	"beginning": {StartAt: callnormv1.StreamStart_STREAM_START_BEGINNING},
	"now":       {StartAt: callnormv1.StreamStart_STREAM_START_NOW},
}

func reason(t *testing.T, err error) string {
	t.Helper()
	found := ""
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			if found != "" {
				t.Error("more than one ErrorInfo")
			}
			if info.GetDomain() != "callnorm.dev" {
				t.Errorf("domain %q", info.GetDomain())
			}
			found = info.GetReason()
		}
	}
	return found
}

func TestWhateverComesInIsKept(t *testing.T) {
	s := start(t, t.TempDir())
	fixture, err := os.ReadFile("../adapters/synthflow/testdata/a00_anunzi_page_2024_03.json")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		source string
		body   []byte
		state  string
		reason string
	}{
		"a good body":           {"synthflow", fixture, "NORMALIZED", ""},
		"not JSON":              {"synthflow", []byte("hello=world"), "QUARANTINED", "MALFORMED"},
		"empty":                 {"synthflow", nil, "QUARANTINED", "EMPTY_BODY"},
		"truncated":             {"synthflow", fixture[:len(fixture)/2], "QUARANTINED", "TRUNCATED"},
		"1,000 levels deep":     {"synthflow", []byte(`{"call":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + "}"), "QUARANTINED", "TOO_DEEP"},
		"invalid UTF-8":         {"synthflow", []byte("{\"call\":{\"call_id\":\"\xff\"}}"), "QUARANTINED", "INVALID_UTF8"},
		"duplicate members":     {"synthflow", []byte(`{"call":{"call_id":"a","call_id":"b"}}`), "QUARANTINED", "DUPLICATE_MEMBER"},
		"another provider's":    {"synthflow", []byte(`{"message":{"type":"end-of-call-report"}}`), "QUARANTINED", "UNKNOWN_EVENT"},
		"wrong types":           {"synthflow", []byte(`{"status":[1],"call":{"call_id":7,"status":"completed","duration":{},"transcript":["x"]},"lead":3}`), "NORMALIZED", ""},
		"an unknown word":       {"synthflow", call("unknown-word", "levitated"), "NORMALIZED", ""},
		"a routing request":     {"synthflow", []byte(`{"event":"call_inbound","call_id":"1"}`), "NO_OUTCOME", ""},
		"an adapter that fails": {"fails", []byte(`{}`), "QUARANTINED", "ADAPTER_FAILED"},
		"one that panics":       {"panics", []byte(`{}`), "QUARANTINED", "ADAPTER_FAILED"},
		"just below the cap":    {"synthflow", append(call("big", "completed"), bytes.Repeat([]byte(" "), 10<<20-100)...), "NORMALIZED", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			answer := s.deliver(t, test.source+"/some-event?a=b", test.body)
			if got := strings.TrimPrefix(answer.GetState().String(), "DELIVERY_STATE_"); got != test.state {
				t.Errorf("state %s, want %s: %v", got, test.state, answer)
			}
			switch {
			case test.reason == "" && len(answer.GetFaults()) > 0:
				t.Errorf("faults: %v", answer.GetFaults())
			case test.reason != "":
				if len(answer.GetFaults()) != 1 || !strings.HasSuffix(answer.GetFaults()[0].GetReason().String(), test.reason) || answer.GetFaults()[0].GetDetail() == "" {
					t.Errorf("faults: %v, want one with reason %s and an explanation", answer.GetFaults(), test.reason)
				}
			}
			id, err := store.ParseDeliveryID(strings.TrimPrefix(answer.GetDelivery(), "deliveries/"))
			if err != nil {
				t.Fatal(err)
			}
			kept, err := s.kept.Delivery(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(kept.Body, test.body) || kept.Path != "/v1/webhooks/"+test.source+"/some-event" || kept.Query != "a=b" || kept.Event != "some-event" {
				t.Errorf("kept as %s?%s with %d bytes", kept.Path, kept.Query, len(kept.Body))
			}
		})
	}
	if strings.Contains(s.log.String(), "John Doe") {
		t.Error("the log repeats what an adapter's error quotes")
	}
}

func TestTheDoorRefuses(t *testing.T) {
	s := start(t, t.TempDir())
	tests := map[string]struct {
		method, path string
		body         []byte
		code         int
		reason       string
	}{
		"an unknown source":   {http.MethodPost, "/v1/webhooks/nobody", []byte("{}"), http.StatusNotFound, "SOURCE_NOT_FOUND"},
		"a disabled source":   {http.MethodPost, "/v1/webhooks/closed", []byte("{}"), http.StatusNotFound, "SOURCE_DISABLED"},
		"20 MB":               {http.MethodPost, "/v1/webhooks/synthflow", bytes.Repeat([]byte("x"), 20<<20), http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE"},
		"one byte too many":   {http.MethodPost, "/v1/webhooks/second", bytes.Repeat([]byte("x"), 1<<20+1), http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE"},
		"another method":      {http.MethodPut, "/v1/webhooks/synthflow", []byte("{}"), http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"},
		"a path without name": {http.MethodPost, "/v1/webhooks/", []byte("{}"), http.StatusNotFound, "SOURCE_NOT_FOUND"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			code, text := s.request(t, test.method, test.path, test.body)
			if code != test.code || !strings.Contains(string(text), test.reason) {
				t.Errorf("%d %s, want %d %s", code, text, test.code, test.reason)
			}
			if strings.Contains(string(text), "panics") {
				t.Errorf("the answer lists our sources: %s", text)
			}
		})
	}
}

func TestTheDoorReadsWhatWasSentWhateverElseIsSaid(t *testing.T) {
	s := start(t, t.TempDir())
	body := call("form", "completed")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/webhooks/synthflow", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Http-Method-Override", "POST")
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || !strings.Contains(string(text), "STATE_NORMALIZED") {
		t.Errorf("%v %s", err, text)
	}
	if answer := s.deliver(t, "synthflow", body); !answer.GetDuplicate() {
		t.Errorf("kept as something else: %v", answer)
	}
}

func TestRequestsThatAreNotValid(t *testing.T) {
	s := start(t, t.TempDir())
	for path, code := range map[string]int{
		"GET /v1/outcomes:stream?provider=voxia":                 http.StatusBadRequest, // the parameter is called providers
		"GET /v1/outcomes:stream?after=nonsense":                 http.StatusBadRequest,
		"GET /v1/outcomes:lookup?external_id.system=":            http.StatusBadRequest,
		"GET /v1/providers/x/calls/%ff":                          http.StatusBadRequest,
		"GET /v1/nothing":                                        http.StatusNotFound,
		"POST /v1/normalize/synthflow?provider=%2B4179+Jane+Doe": http.StatusBadRequest,
		"POST /v1/normalize/nobody":                              http.StatusNotFound,
	} {
		method, path, _ := strings.Cut(path, " ")
		got, text := s.request(t, method, path, []byte("{}"))
		if got != code || !strings.Contains(string(text), "callnorm.dev") {
			t.Errorf("%s: %d %s", path, got, text)
		}
	}
	if got, text := s.request(t, http.MethodPost, "/v1/normalize/synthflow", bytes.Repeat([]byte("x"), 20<<20)); got != http.StatusRequestEntityTooLarge {
		t.Errorf("20 MB: %d %s", got, text)
	}
	for _, seconds := range []int64{253402300800, -62135596801, 1<<63 - 1} {
		_, err := s.norm.IngestDelivery(t.Context(), &callnormv1.IngestDeliveryRequest{
			Source: "synthflow", Body: &httpbody.HttpBody{Data: call("poison", "completed")}, ReceiveTime: &timestamppb.Timestamp{Seconds: seconds},
		})
		if status.Code(err) != codes.InvalidArgument || reason(t, err) != "INVALID_REQUEST" {
			t.Errorf("received at %d: %v", seconds, err)
		}
	}
	stream, err := s.outcomes.StreamOutcomes(t.Context(), &callnormv1.StreamOutcomesRequest{
		Start: &callnormv1.StreamOutcomesRequest_StartTime{StartTime: &timestamppb.Timestamp{Seconds: 1<<63 - 1}},
	})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("starts in the year of nowhere: %v", err)
	}
	_, err = s.norm.Normalize(t.Context(), &callnormv1.NormalizeRequest{Source: "synthflow", Adapter: "panics", Body: &httpbody.HttpBody{Data: []byte("{}")}})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("a source and another adapter: %v", err)
	}
}

func TestARepeatedDeliveryChangesNothing(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	body := call("again", "completed")
	answers := make(chan *callnormv1.IngestDeliveryResponse, 1000)
	var posting sync.WaitGroup
	for range 50 { // 1,000 copies, over as many connections as a provider may open
		posting.Go(func() {
			for range 20 {
				answers <- s.deliver(t, "synthflow", body)
			}
		})
	}
	posting.Wait()
	close(answers)
	firsts, names := 0, make(map[string]bool)
	for answer := range answers {
		if !answer.GetDuplicate() {
			firsts++
		}
		names[answer.GetOutcomes()[0].GetName()] = true
		if answer.GetOutcomes()[0].GetRevision() != 1 {
			t.Errorf("revision %d", answer.GetOutcomes()[0].GetRevision())
		}
	}
	if firsts != 1 || len(names) != 1 {
		t.Errorf("%d of the copies were kept, for %d outcomes", firsts, len(names))
	}
	s.stop()

	s = start(t, dir)
	if answer := s.deliver(t, "synthflow", body); !answer.GetDuplicate() || !answer.GetOutcomes()[0].GetDuplicate() {
		t.Errorf("after a restart: %v", answer)
	}
	relayed, err := s.norm.IngestDelivery(t.Context(), &callnormv1.IngestDeliveryRequest{
		Source: "synthflow", Body: &httpbody.HttpBody{ContentType: "application/json", Data: body},
	})
	if err != nil || !relayed.GetDuplicate() {
		t.Errorf("relayed: %v, %v", relayed, err)
	}
	s.deliver(t, "synthflow", call("another", "completed"))
	stream, _ := s.stream(t, &callnormv1.StreamOutcomesRequest{Start: from["beginning"]})
	if got, _ := ids(t, stream, 2); got[0] != "again" || got[1] != "another" {
		t.Errorf("streamed %v", got)
	}
}

func TestPlaceholderIDsIdentifyNothing(t *testing.T) {
	s := start(t, t.TempDir())
	a := s.deliver(t, "synthflow", call("[UUID]", "completed"))
	b := s.deliver(t, "synthflow", call("[UUID]", "failed"))
	if a.GetOutcomes()[0].GetName() == b.GetOutcomes()[0].GetName() {
		t.Error("two unrelated deliveries became one outcome")
	}
}

func TestSeveralDeliveriesOfOneCallAreOneOutcome(t *testing.T) {
	s := start(t, t.TempDir())
	s.deliver(t, "synthflow", call("c", "queue"))
	last := s.deliver(t, "synthflow", call("c", "completed")).GetOutcomes()[0]
	late := s.deliver(t, "synthflow", call("c", "initiated")).GetOutcomes()[0]
	if last.GetRevision() != 2 || late.GetRevision() != 3 || last.GetName() != late.GetName() {
		t.Errorf("%v, then %v", last, late)
	}
	got, err := s.outcomes.GetOutcome(t.Context(), &callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_Name{Name: last.GetName()}})
	if err != nil {
		t.Fatal(err)
	}
	outcome := got.GetOutcome()
	if outcome.GetStatus() != callnormv1.CallStatus_CALL_STATUS_COMPLETED || !outcome.GetAfterFinal() || len(outcome.GetProvenance().GetDeliveries()) != 3 {
		t.Errorf("%v", outcome)
	}
	other := s.deliver(t, "second", call("c", "completed")).GetOutcomes()[0]
	if other.GetName() == last.GetName() {
		t.Error("two sources that share no group share a call")
	}
}

func TestStreams(t *testing.T) {
	s := start(t, t.TempDir())
	before, beginning := s.stream(t, &callnormv1.StreamOutcomesRequest{Start: from["now"]})
	for i := range 5 {
		s.deliver(t, []string{"synthflow", "second"}[i%2], call(fmt.Sprint("c", i), []string{"completed", "queue"}[i%2]))
	}
	all := []string{"c0", "c1", "c2", "c3", "c4"}
	got, cursors := ids(t, before, 5)
	if fmt.Sprint(got) != fmt.Sprint(all) {
		t.Errorf("connected before: %v", got)
	}
	tests := map[string]struct {
		request *callnormv1.StreamOutcomesRequest
		want    []string
	}{
		"with no start":         {&callnormv1.StreamOutcomesRequest{}, all},
		"from the beginning":    {&callnormv1.StreamOutcomesRequest{Start: from["beginning"]}, all},
		"after the first":       {&callnormv1.StreamOutcomesRequest{Start: &callnormv1.StreamOutcomesRequest_After{After: cursors[0]}}, all[1:]},
		"after where it began":  {&callnormv1.StreamOutcomesRequest{Start: &callnormv1.StreamOutcomesRequest_After{After: beginning}}, all},
		"after one of filtered": {&callnormv1.StreamOutcomesRequest{Start: &callnormv1.StreamOutcomesRequest_After{After: cursors[1]}, Filter: &callnormv1.OutcomeFilter{Providers: []string{"anunzi"}}}, all[3:4]},
		"one provider":          {&callnormv1.StreamOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Providers: []string{"anunzi"}}}, []string{"c1", "c3"}},
		"one source":            {&callnormv1.StreamOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Sources: []string{"synthflow"}}}, []string{"c0", "c2", "c4"}},
		"one status":            {&callnormv1.StreamOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Statuses: []callnormv1.CallStatus{callnormv1.CallStatus_CALL_STATUS_QUEUED}}}, []string{"c1", "c3"}},
		"the finished":          {&callnormv1.StreamOutcomesRequest{Filter: &callnormv1.OutcomeFilter{Completenesses: []callnormv1.Completeness{callnormv1.Completeness_COMPLETENESS_FINAL}}}, []string{"c0", "c2", "c4"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			stream, _ := s.stream(t, test.request)
			if got, _ := ids(t, stream, len(test.want)); fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	t.Run("over REST", func(t *testing.T) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/outcomes:stream?after="+cursors[2]+"&filter.providers=anunzi", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		if got := response.Header.Get("Content-Type"); got != "application/x-ndjson" {
			t.Errorf("content type %q", got)
		}
		lines := bufio.NewScanner(response.Body)
		for n := 0; n < 2 && lines.Scan(); n++ {
			var line struct {
				Result struct {
					Cursor  string `json:"cursor"`
					Outcome struct {
						ProviderCallID string `json:"providerCallId"`
					} `json:"outcome"`
				} `json:"result"`
			}
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Result.Cursor == "" {
				t.Fatalf("%v: %s", err, lines.Bytes())
			}
			if want := []string{"", "c3"}[n]; line.Result.Outcome.ProviderCallID != want {
				t.Errorf("line %d: %s", n, lines.Bytes())
			}
		}
	})
}

func TestCaughtUpIsSaidOnce(t *testing.T) {
	s := start(t, t.TempDir())
	empty, err := s.outcomes.StreamOutcomes(t.Context(), &callnormv1.StreamOutcomesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := empty.Recv(); err != nil || !first.GetCaughtUp() {
		t.Errorf("an empty log: %v, %v", first, err)
	}
	for i := range 300 { // more than a page
		s.deliver(t, "synthflow", call(fmt.Sprint(i), "completed"))
	}
	stream, _ := s.stream(t, &callnormv1.StreamOutcomesRequest{})
	for i := range 300 {
		message, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if message.GetCaughtUp() != (i == 299) {
			t.Errorf("message %d: caught up is %v", i, message.GetCaughtUp())
		}
	}
}

func TestHeartbeatsCarryTheCursor(t *testing.T) {
	s := start(t, t.TempDir())
	stream, _ := s.stream(t, &callnormv1.StreamOutcomesRequest{
		Start: from["now"], Filter: &callnormv1.OutcomeFilter{Providers: []string{"nobody"}}, HeartbeatInterval: durationpb.New(time.Second),
	})
	s.deliver(t, "synthflow", call("filtered", "completed"))
	beat, err := stream.Recv()
	if err != nil || beat.GetOutcome() != nil {
		t.Fatalf("%v, %v", beat, err)
	}
	again, _ := s.stream(t, &callnormv1.StreamOutcomesRequest{Start: &callnormv1.StreamOutcomesRequest_After{After: beat.GetCursor()}})
	s.deliver(t, "synthflow", call("next", "completed"))
	if got, _ := ids(t, again, 1); got[0] != "next" {
		t.Errorf("after the heartbeat: %v", got)
	}
}

func TestCursorsThatDoNotFit(t *testing.T) {
	s, other := start(t, t.TempDir()), start(t, t.TempDir())
	for _, one := range []*system{s, other} {
		one.deliver(t, "synthflow", call("c", "completed"))
	}
	stream, _ := other.stream(t, &callnormv1.StreamOutcomesRequest{})
	_, cursors := ids(t, stream, 1)
	own, err := store.ParseCursor(cursors[0])
	if err != nil {
		t.Fatal(err)
	}
	head, err := s.kept.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	future, wrong := head, head
	future.Position += 5
	wrong.Check++
	tests := map[string]struct {
		cursor string
		code   codes.Code
		reason string
	}{
		"no cursor":                  {"hello", codes.InvalidArgument, "CURSOR_MALFORMED"},
		"of another log":             {own.String(), codes.FailedPrecondition, "CURSOR_FOREIGN"},
		"of the future":              {future.String(), codes.FailedPrecondition, "CURSOR_FOREIGN"},
		"of an entry that was other": {wrong.String(), codes.FailedPrecondition, "CURSOR_FOREIGN"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			stream, err := s.outcomes.StreamOutcomes(t.Context(), &callnormv1.StreamOutcomesRequest{Start: &callnormv1.StreamOutcomesRequest_After{After: test.cursor}})
			if err == nil {
				_, err = stream.Recv()
			}
			if status.Code(err) != test.code || reason(t, err) != test.reason {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestGetOutcome(t *testing.T) {
	s := start(t, t.TempDir())
	body := []byte(`{"call":{"call_id":"c/1","status":"completed","call_sid":"CA0123456789abcdef0123456789abcdef","external_id":"crm-7"}}`)
	name := s.deliver(t, "synthflow", body).GetOutcomes()[0].GetName()
	s.deliver(t, "second", body)
	tests := map[string]struct {
		request *callnormv1.GetOutcomeRequest
		code    codes.Code
		reason  string
	}{
		"by name":              {&callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_Name{Name: name}}, codes.OK, ""},
		"by call id":           {&callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_ProviderCallId{ProviderCallId: "c/1"}, Source: "synthflow"}, codes.OK, ""},
		"by another's id":      {&callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_ExternalId{ExternalId: &callnormv1.ExternalId{System: "client.id", Id: "crm-7"}}, Provider: "synthflow"}, codes.OK, ""},
		"ambiguous":            {&callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_ProviderCallId{ProviderCallId: "c/1"}}, codes.FailedPrecondition, "AMBIGUOUS"},
		"unknown name":         {&callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_Name{Name: "outcomes/aaaaaaaaaaaaaaaaaaaaaaaaaa"}}, codes.NotFound, "OUTCOME_NOT_FOUND"},
		"unknown call id":      {&callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_ProviderCallId{ProviderCallId: "x"}}, codes.NotFound, "OUTCOME_NOT_FOUND"},
		"a name that is none":  {&callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_Name{Name: "outcome"}}, codes.InvalidArgument, "INVALID_REQUEST"},
		"nothing to look for":  {&callnormv1.GetOutcomeRequest{}, codes.InvalidArgument, "INVALID_REQUEST"},
		"narrowed to no match": {&callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_ProviderCallId{ProviderCallId: "c/1"}, Provider: "voxia"}, codes.NotFound, "OUTCOME_NOT_FOUND"},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			got, err := s.outcomes.GetOutcome(t.Context(), test.request)
			if status.Code(err) != test.code || reason(t, err) != test.reason {
				t.Fatalf("%v", err)
			}
			if err == nil && got.GetOutcome().GetName() != name {
				t.Errorf("got %s", got.GetOutcome().GetName())
			}
		})
	}
	for _, path := range []string{
		"/v1/" + name, "/v1/outcomes:lookup?provider_call_id=c/1&provider=synthflow",
		"/v1/outcomes:lookup?external_id.system=client.id&external_id.id=crm-7&source=synthflow",
		"/v1/providers/synthflow/calls/c%2F1",
	} {
		if code, text := s.request(t, http.MethodGet, path, nil); code != http.StatusOK || !strings.Contains(string(text), name) {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
}

func TestNormalize(t *testing.T) {
	s := start(t, t.TempDir())
	body := call("n", "completed")
	tests := map[string]struct {
		request *callnormv1.NormalizeRequest
		code    codes.Code
	}{
		"by adapter":  {&callnormv1.NormalizeRequest{Adapter: "synthflow", Provider: "anunzi", Body: &httpbody.HttpBody{Data: body}}, codes.OK},
		"by provider": {&callnormv1.NormalizeRequest{Provider: "anunzi", Body: &httpbody.HttpBody{Data: body}}, codes.OK},
		"by source":   {&callnormv1.NormalizeRequest{Source: "second", Body: &httpbody.HttpBody{Data: body}}, codes.OK},
		"by nothing":  {&callnormv1.NormalizeRequest{Body: &httpbody.HttpBody{Data: body}}, codes.InvalidArgument},
		"no body":     {&callnormv1.NormalizeRequest{Adapter: "synthflow"}, codes.InvalidArgument},
		"no adapter":  {&callnormv1.NormalizeRequest{Adapter: "nobody", Body: &httpbody.HttpBody{Data: body}}, codes.NotFound},
		"no source":   {&callnormv1.NormalizeRequest{Source: "nobody", Body: &httpbody.HttpBody{Data: body}}, codes.NotFound},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := s.norm.Normalize(t.Context(), test.request)
			if status.Code(err) != test.code {
				t.Fatalf("%v", err)
			}
			if err == nil && (len(got.GetOutcomes()) != 1 || got.GetOutcomes()[0].GetProvider() != "anunzi") {
				t.Errorf("%v", got)
			}
		})
	}
	asJSON, err := protojson.Marshal(&callnormv1.NormalizeRequest{Provider: "anunzi", Body: &httpbody.HttpBody{Data: body}})
	if err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string][]byte{"/v1/normalize": asJSON, "/v1/normalize/synthflow?provider=anunzi": body} {
		code, text := s.request(t, http.MethodPost, path, body)
		if code != http.StatusOK || !strings.Contains(string(text), `"provider":"anunzi"`) {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if code, text := s.request(t, http.MethodPost, "/v1/normalize/synthflow", []byte("{")); code != http.StatusOK || !strings.Contains(string(text), "FAULT_REASON_TRUNCATED") {
		t.Errorf("a bad payload is data: %d %s", code, text)
	}
	head, err := s.kept.Head(t.Context())
	if err != nil || head.Position != 0 {
		t.Errorf("something was stored: %v, %v", head, err)
	}
}

func TestShutdownEndsStreamsWithTheirCursors(t *testing.T) {
	s := start(t, t.TempDir())
	stream, _ := s.stream(t, &callnormv1.StreamOutcomesRequest{Start: from["now"]})
	watch, err := healthv1.NewHealthClient(s.conn).Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	s.deliver(t, "synthflow", call("last", "completed"))
	ids(t, stream, 1)
	stopped := make(chan struct{})
	go func() {
		s.stop()
		close(stopped)
	}()
	farewell, err := stream.Recv()
	if err != nil || farewell.GetCursor() == "" || farewell.GetOutcome() != nil {
		t.Errorf("%v, %v", farewell, err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable || reason(t, err) != "SHUTTING_DOWN" {
		t.Errorf("the end: %v", err)
	}
	for {
		if _, err := watch.Recv(); err != nil {
			break
		}
	}
	<-stopped
}

func TestHealthReflectionAndMetrics(t *testing.T) {
	s := start(t, t.TempDir())
	for _, service := range []string{"", "callnorm.v1.NormalizationService", "callnorm.v1.OutcomeService"} {
		watch, err := healthv1.NewHealthClient(s.conn).Watch(t.Context(), &healthv1.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		for serving := false; !serving; {
			got, err := watch.Recv()
			if err != nil {
				t.Fatal(err)
			}
			serving = got.GetStatus() == healthv1.HealthCheckResponse_SERVING
		}
	}
	services, err := reflectionv1.NewServerReflectionClient(s.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := services.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	if list, err := services.Recv(); err != nil || len(list.GetListServicesResponse().GetService()) < 4 {
		t.Errorf("%v, %v", list, err)
	}
	s.deliver(t, "synthflow", []byte(`{"call":{"call_id":"secret-id","status":"completed"},"lead":{"name":"Jane Secret","phone_number":"+12025550123"}}`))
	s.deliver(t, "synthflow", []byte("secret"))
	for path, want := range map[string]string{"/livez": "ok", "/readyz": "ok", "/metrics": "callnorm_deliveries_total"} {
		code, text := s.request(t, http.MethodGet, path, nil)
		if code != http.StatusOK || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d %s", path, code, text)
		}
		if strings.Contains(strings.ToLower(string(text)), "secret") || strings.Contains(string(text), "2025550123") {
			t.Errorf("%s holds something personal: %s", path, text)
		}
	}
}
