package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/signature"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Everything personal and everything secret that this test sends holds one of these, and a number of its own behind it.
const (
	canary       = "kanarie"
	canaryDigits = "99917342"
)

// eventRaw is where the contract has the provider's word for an event repeated, which is no place of a person.
var eventRaw = regexp.MustCompile(`("eventRaw":|event_raw: +)"[^"]*"`)

var canaries = regexp.MustCompile(`(?i)` + canary + `|` + canaryDigits)

// mine gathers what is said where nothing personal may be, and fails the test for what is.
type mine struct {
	t     *testing.T
	mutex sync.Mutex
	found map[string]string // an example for each place
}

// look looks for canaries in what was said at a place.
func (m *mine) look(place, text string) {
	text = eventRaw.ReplaceAllString(text, "")
	at := canaries.FindStringIndex(text)
	if at == nil {
		return
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.found[place] = text[max(0, at[0]-200):min(len(text), at[1]+50)]
}

// gossip is an adapter that tells all it knows when it fails.
type gossip struct{ name string }

func (g gossip) Name() string        { return g.name }
func (gossip) Version() string       { return "1" }
func (g gossip) Providers() []string { return []string{g.name} }
func (gossip) Example() string       { return "" }
func (gossip) Scenarios() fs.FS      { return nil }

func (g gossip) Normalize(d adapters.Delivery) (adapters.Result, error) {
	if g.name == "panics" {
		panic(fmt.Sprintf("%s %v", d.Body, d.Header))
	}
	return adapters.Result{}, fmt.Errorf("%s %v", d.Body, d.Header)
}

var (
	phone    = regexp.MustCompile(`^\+?[0-9 ()-]{7,}$`)
	instant  = regexp.MustCompile(`^\d{4}-\d\d-\d\d`)
	personal = regexp.MustCompile(`(?i)name|phone|number|mail|transcript|content|summary|answer|response|from|to$|url|link|address|reason|text|message|value|title|note|position|company`)
)

// bird is a canary of the kind of a value.
func bird(old string, n int) string {
	switch {
	case phone.MatchString(old):
		return fmt.Sprintf("+31%s%04d", canaryDigits, n%10_000)
	case strings.Contains(old, "@"):
		return fmt.Sprintf("%s.%d@example.com", canary, n)
	case strings.HasPrefix(old, "http"):
		return fmt.Sprintf("https://%s-%d.example.com/a?b=%s", canary, n, canary)
	case len(old) > 100:
		return fmt.Sprintf("bot: Hello, %s %d.\nhuman: Speaking.\nbot: Your number is %s%04d?\n", canary, n, canaryDigits, n%10_000)
	}
	return fmt.Sprintf("Kanarie %d of the mine", n)
}

// sow puts canaries into the strings and numbers under a value that pick chooses.
func sow(value any, key string, n int, pick func(key, old string) bool) any {
	switch value := value.(type) {
	case map[string]any:
		for name := range value {
			value[name] = sow(value[name], name, n, pick)
		}
	case []any:
		for i := range value {
			value[i] = sow(value[i], key, n, pick)
		}
	case string:
		if pick(key, value) {
			return bird(value, n)
		}
	case json.Number:
		if pick(key, value.String()) && phone.MatchString(value.String()) {
			return json.Number("31" + canaryDigits + fmt.Sprintf("%04d", n%10_000))
		}
	}
	return value
}

// marked returns a fixture's body with canaries in it. The n-th has them in other places than the next one.
func marked(body []byte, n int) []byte {
	var document any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil { // It is no JSON, on purpose.
		return append(bytes.ReplaceAll(body, []byte("e"), []byte("e Kanarie "))[:min(len(body), 2000)], fmt.Sprintf(" %s %d", canary, n)...)
	}
	leaves := 0
	sow(document, "", n, func(string, string) bool { leaves++; return false })
	at, chosen := 0, n%max(1, leaves)
	document = sow(document, "", n, func(key, old string) bool {
		at++
		switch n % 3 {
		case 0: // what is somebody's
			return personal.MatchString(key) && !instant.MatchString(old)
		case 1: // one thing, whatever it is
			return at-1 == chosen
		default: // all
			return true
		}
	})
	if object, ok := document.(map[string]any); ok {
		object["unknown"] = map[string]any{"nested": bird("", n), "phone": bird("+1234567890", n), "email": bird("@", n)}
		object[fmt.Sprintf("n%d", n)] = n // Two bodies are never the same.
	}
	text, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return text
}

// TestNothingPersonalIsToldWhereItDoesNotBelong drives deliveries through every path, good and bad, and then looks for what they
// held in the log, the metrics, every error and what operators are shown of sources, rejections and deliveries.
func TestNothingPersonalIsToldWhereItDoesNotBelong(t *testing.T) {
	const deliveries, senders = 10_000 / slowness, 64
	const secret, wrong = canary + "-secret-0123456789", canary + "-wrong-0123456789"
	// A clock that runs, so that the log leaves nothing out for being said too often.
	seconds := atomic.Int64{}
	with := setup{
		adapters: append(all(), gossip{"panics"}, gossip{"fails"}), key: []byte(strings.Repeat(canary, 5)),
		now: func() time.Time { return time.Now().Add(time.Duration(seconds.Add(1)) * time.Second) },
	}
	door := func(name string, adapter adapters.Adapter, settings signature.Settings, more func(*intake.Source)) {
		source := proved(t, intake.Source{
			Name: name, Adapter: adapter, Provider: adapter.Name(), MaxBody: 1 << 20, Hold: rejection.Limits{Requests: 100, Bytes: 1 << 20},
		}, settings, secret)
		if more != nil {
			more(&source)
		}
		with.sources = append(with.sources, source)
	}
	for _, adapter := range with.adapters {
		door(adapter.Name(), adapter, overBody, nil)
	}
	door("unheld", with.adapters[0], overBody, func(s *intake.Source) { s.Hold = rejection.Limits{} })
	door("narrow", with.adapters[0], overBody, func(s *intake.Source) { s.MaxBody = 64 })
	door("slow", with.adapters[0], overBody, func(s *intake.Source) { s.Rate = intake.Rate{PerSecond: 1, Burst: 1} })
	door("path", with.adapters[0], signature.Settings{Scheme: signature.SchemePathToken}, nil)
	door("bearer", with.adapters[1], signature.Settings{Scheme: signature.SchemeBearer}, nil)
	door("header", with.adapters[2], signature.Settings{Scheme: signature.SchemeHeader, Headers: []string{"X-Api-Key"}}, nil)
	door("closed", with.adapters[0], overBody, func(s *intake.Source) { s.Disabled = true })
	s := with.start(t, t.TempDir())
	byName := map[string]intake.Source{}
	for _, source := range with.sources {
		byName[source.Name] = source
	}
	m := &mine{t: t, found: map[string]string{}}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
	defer client.CloseIdleConnections()
	samples := fixtures(t)

	codes := map[string]int{}
	counted := func(way string, code int) {
		m.mutex.Lock()
		defer m.mutex.Unlock()
		codes[fmt.Sprint(way, " ", code)]++
	}
	// post sends a request whose header and query have canaries as well, and looks at the answer.
	post := func(way, path string, header http.Header, body []byte, n int) {
		header.Set("X-Customer-Name", bird("", n))
		header.Set("X-Phone", bird("+1234567890", n))
		header.Set("Cookie", "session="+canary)
		if !strings.Contains(path, "?") {
			path += "?phone=" + url.QueryEscape(bird("+1234567890", n)) + "&mail=" + url.QueryEscape(bird("@", n))
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		request.Header = header
		response, err := client.Do(request)
		if err != nil {
			t.Error(err)
			return
		}
		var text bytes.Buffer
		_, _ = text.ReadFrom(response.Body)
		_ = response.Body.Close()
		counted(way, response.StatusCode)
		if response.StatusCode >= 500 && response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", way, response.StatusCode)
		}
		if response.StatusCode != http.StatusOK || strings.HasPrefix(path, "/v1/webhooks/") {
			m.look("the answer to "+way, text.String())
		}
		m.look("the header of the answer to "+way, fmt.Sprint(response.Header))
	}
	failed := func(way string, err error) {
		counted(way, int(status.Code(err)))
		m.look("the error of "+way, prototext.Format(status.Convert(err).Proto()))
		for _, detail := range status.Convert(err).Details() {
			m.look("the error of "+way, fmt.Sprint(detail))
		}
	}
	lines := func(header http.Header) (list []*callnormv1.HttpHeader) {
		for name, values := range header {
			list = append(list, &callnormv1.HttpHeader{Name: name, Value: values[0]})
		}
		return append(list, &callnormv1.HttpHeader{Name: "X-Customer-Name", Value: bird("", 1)})
	}
	// The kinds of ways in; half of all is as it should be.
	ways := []func(sample fixture, body []byte, n int){
		func(sample fixture, body []byte, n int) { // damaged, and signed all the same
			body = body[:len(body)*(n%7)/7]
			if n%2 == 0 && len(body) > 0 {
				body[n%len(body)] ^= 0x80
			}
			post("a damaged delivery", "/v1/webhooks/"+sample.adapter, signed(t, byName[sample.adapter], body), body, n)
		},
		func(sample fixture, body []byte, n int) {
			source := []string{sample.adapter, "unheld"}[n%2]
			header := signed(t, proved(t, intake.Source{}, overBody, wrong), body)
			if n%3 == 0 {
				header.Set("X-Signature", bird("", n))
			}
			post("a wrong signature", "/v1/webhooks/"+source, header, body, n)
		},
		func(_ fixture, body []byte, n int) {
			header := http.Header{"Authorization": {"Bearer " + wrong}, "X-Api-Key": {wrong}, "X-Fine": {"1"}}
			path := []string{"/v1/webhooks/bearer", "/v1/webhooks/header", "/v1/webhooks/path/" + wrong, "/v1/webhooks/path/" + wrong + "/a/b", "/v1/webhooks/path", "/v1/webhooks/" + wrong}[n%6]
			post("a wrong token", path, header, body, n)
		},
		func(_ fixture, body []byte, n int) {
			header := http.Header{"Authorization": {"Bearer " + secret}, "X-Api-Key": {secret}, "X-Fine": {"1"}}
			post("a good token", []string{"/v1/webhooks/bearer", "/v1/webhooks/header", "/v1/webhooks/path/" + secret}[n%3], header, body, n)
		},
		func(sample fixture, body []byte, n int) {
			switch header := signed(t, byName[sample.adapter], body); n % 4 {
			case 0:
				post("too large a delivery", "/v1/webhooks/narrow", header, body, n)
			case 1:
				post("a delivery to a closed source", "/v1/webhooks/closed", header, body, n)
			case 2:
				header.Set("Content-Encoding", []string{"gzip", "br", canary}[n/4%3])
				post("a wrong encoding", "/v1/webhooks/"+sample.adapter, header, body, n)
			default:
				post("too many deliveries", "/v1/webhooks/slow", signed(t, byName["slow"], body), body, n)
			}
		},
		func(sample fixture, body []byte, n int) {
			request := &callnormv1.IngestDeliveryRequest{
				Source: sample.adapter, Event: sample.event, Query: "phone=" + canary, Body: &httpbody.HttpBody{ContentType: canary, Data: body},
				Headers: lines(signed(t, byName[sample.adapter], body)),
			}
			answer, err := s.norm.IngestDelivery(t.Context(), request)
			failed("a relayed delivery", err)
			m.look("the answer to a relayed delivery", prototext.Format(answer))
			switch n % 5 {
			case 0:
				request.Headers = lines(http.Header{"Authorization": {"Bearer " + wrong}})
			case 1:
				request.Source = "narrow"
			case 2:
				request.ReceiveTime = &timestamppb.Timestamp{Seconds: 1 << 60}
			case 3:
				request.Headers = append(request.Headers, &callnormv1.HttpHeader{Value: canary})
			default:
				request.Query = strings.Repeat(canary, 5000)
			}
			_, err = s.norm.IngestDelivery(t.Context(), request)
			failed("a wrong delivery by a relay", err)
		},
		func(sample fixture, body []byte, n int) {
			request := &callnormv1.NormalizeRequest{Source: sample.adapter, Body: &httpbody.HttpBody{Data: body}, Headers: lines(nil), Query: canary}
			switch n % 6 {
			case 0:
				post("a body to normalize", "/v1/normalize/"+sample.adapter+"?event=x", http.Header{}, body, n)
			case 1: // what was meant for the other route, or is no JSON at all
				post("a body that is no request", "/v1/normalize?", http.Header{}, body, n)
				post("a request that is cut off", "/v1/normalize?", http.Header{}, []byte(`{"source":"synthflow","body":{"data":"`+canary), n)
			case 2:
				text, err := protojson.Marshal(request)
				if err != nil {
					t.Error(err)
				}
				text = bytes.Replace(text, []byte(`"source":`), []byte(`"query":"`+canary+`","source":`), 1)
				post("a request with a field twice", "/v1/normalize?", http.Header{}, text, n)
				post("a request with a wrong type", "/v1/normalize?", http.Header{}, fmt.Appendf(nil, `{"headers":%q}`, bird("", n)), n)
				post("a request with wrong base64", "/v1/normalize?", http.Header{}, fmt.Appendf(nil, `{"source":"synthflow","body":{"data":%q}}`, bird("@", n)), n)
			case 3:
				request.Adapter = "voxia"
				_, err := s.norm.Normalize(t.Context(), request)
				failed("normalizing with two adapters", err)
			case 4:
				request.Source, request.Provider = "", "x"
				request.Event = strings.Repeat(canary, 100)
				_, err := s.norm.Normalize(t.Context(), request)
				failed("normalizing what breaks a rule", err)
			default:
				_, err := s.norm.Normalize(t.Context(), request)
				failed("normalizing", err)
			}
		},
		func(_ fixture, body []byte, n int) {
			source := []string{"panics", "fails"}[n%2]
			post("a delivery to an adapter that fails", "/v1/webhooks/"+source, signed(t, byName[source], body), body, n)
		},
		func(sample fixture, body []byte, n int) {
			for range 3 { // as providers do who did not hear the answer
				post("a delivery again", "/v1/webhooks/"+sample.adapter, signed(t, byName[sample.adapter], body), body, n)
			}
		},
		func(_ fixture, _ []byte, n int) {
			path := []string{
				"/v1/outcomes:lookup?provider_call_id=", "/v1/outcomes:lookup?external_id.system=a&external_id.id=", "/v1/providers/synthflow/calls/",
				"/v1/outcomes:stream?after=", "/v1/outcomes:stream?start_time=", "/v1/outcomes:stream?filter.statuses=", "/v1/outcomes:stream?heartbeat_interval=",
				"/v1/deliveries?page_size=", "/v1/deliveries?page_token=", "/v1/deliveries?filter.quarantined=", "/v1/deliveries/", "/v1/outcomes/",
				"/v1/sources/synthflow/rejections?page_token=", "/v1/sources/synthflow/rejections?page_size=",
				"/v1/outcomes:stream?filter.names=", "/v1/outcomes:stream?filter.", "/v1/subscriptions/",
			}[n%17]
			code, text := s.request(t, http.MethodGet, path+canary, nil)
			counted("a question", code)
			if code == http.StatusOK {
				t.Errorf("%s: %d", path, code)
			}
			m.look("the answer to GET "+path, string(text))
		},
	}
	numbers := make(chan int, deliveries)
	for n := range deliveries {
		numbers <- n
	}
	close(numbers)
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for n := range numbers {
				sample := samples[n%len(samples)]
				body := marked(sample.body, n)
				if n%2 == 0 {
					path := "/v1/webhooks/" + sample.adapter
					if sample.event != "" {
						path += "/" + sample.event
					}
					post("a delivery", path, signed(t, byName[sample.adapter], body), body, n)
					continue
				}
				ways[n/2%len(ways)](sample, body, n/2/len(ways))
			}
		})
	}
	sending.Wait()
	t.Logf("answers: %v", codes)

	for _, name := range []string{"synthflow", "voxia", "curious-thing", "bearer", "header", "path"} {
		got, err := s.sources.VerifyHeldRequests(t.Context(), &callnormv1.VerifyHeldRequestsRequest{Source: name})
		failed("verifying held requests", err)
		m.look("verifying held requests", prototext.Format(got))
	}
	fixed := slices.Clone(with.sources)
	for i, source := range fixed {
		if slices.Contains([]string{"synthflow", "voxia", "curious-thing"}, source.Name) {
			fixed[i] = proved(t, source, overBody, wrong)
		}
	}
	s.intake.Reload(fixed)
	for _, source := range fixed {
		if source.Disabled {
			continue
		}
		got, err := s.sources.VerifyHeldRequests(t.Context(), &callnormv1.VerifyHeldRequestsRequest{Source: source.Name})
		failed("verifying held requests after a fix", err)
		m.look("verifying held requests after a fix", prototext.Format(got))
		for token := ""; ; {
			page, err := s.sources.ListRejections(t.Context(), &callnormv1.ListRejectionsRequest{Source: source.Name, PageToken: token})
			failed("listing rejections", err)
			m.look("the rejections", prototext.Format(page))
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
	}
	code, text := s.request(t, http.MethodPost, "/v1/deliveries:renormalize", []byte(`{"filter":{"quarantined":true}}`))
	counted("renormalizing", code)
	m.look("renormalizing", string(text))
	kept := 0
	for token := ""; ; {
		page, err := s.deliveries.ListDeliveries(t.Context(), &callnormv1.ListDeliveriesRequest{PageSize: 1000, PageToken: token})
		failed("listing deliveries", err)
		kept += len(page.GetDeliveries())
		for _, delivery := range page.GetDeliveries() {
			m.look("the list of deliveries of "+delivery.GetSource(), prototext.Format(delivery))
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if kept < deliveries/2 {
		t.Errorf("only %d deliveries are kept", kept)
	}
	for _, path := range []string{"/v1/sources", "/v1/diagnosis", "/metrics", "/readyz"} {
		code, text := s.request(t, http.MethodGet, path, nil)
		if code != http.StatusOK {
			t.Errorf("%s: %d %s", path, code, text)
		}
		m.look(path, string(text))
	}
	s.stop()
	m.look("the log", s.log.String())
	for _, place := range slices.Sorted(maps.Keys(m.found)) {
		t.Errorf("%s: ...%s...", place, m.found[place])
	}
}
