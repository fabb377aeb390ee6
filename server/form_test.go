package server_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters/synthflow"
	"github.com/callnorm/callnorm/adapters/twilio"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/signature"
)

// formDoors starts a system with sources whose provider sends forms, one that takes them from anybody and one that does not, and a
// source whose provider sends JSON.
func formDoors(t *testing.T) (*system, *signature.Verifier) {
	t.Helper()
	reads, posts := twilio.New(), synthflow.New()
	with := setup{}
	with.adapters = append(with.adapters, reads, posts)
	source := func(name string) intake.Source {
		return intake.Source{Name: name, Adapter: reads, Provider: "twilio", MaxBody: 1 << 20}
	}
	signed := proved(t, source("signed"), reads.Signature().Merge(signature.Settings{PublicURL: "https://hooks.example.com"}), newSecret)
	with.sources = append(with.sources, source("open"), signed, intake.Source{Name: "json", Adapter: posts, Provider: "synthflow", MaxBody: 1 << 20})
	return with.start(t, t.TempDir()), signed.Verifier
}

const formOfACall = "CallSid=CA0&CallStatus=completed&CallDuration=35&Duration=1&From=%2B12025550143&To=%2B12025550187&CallerName=&Timestamp=" +
	"Tue%2C+03+Feb+2026+10%3A11%3A12+%2B0000"

// send sends a request as it is, and returns the answer.
func (s *system) send(t *testing.T, method, pathAndQuery string, header http.Header, body []byte) (int, http.Header, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+pathAndQuery, bytes.NewReader(body))
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

func TestFormsComeThroughTheDoorAsTheyAre(t *testing.T) {
	s, verifier := formDoors(t)
	for name, test := range map[string]struct {
		method, query, body string
	}{
		"by POST":                         {http.MethodPost, "", formOfACall},
		"by POST with a query":            {http.MethodPost, "campaign=a%20b+c", formOfACall},
		"by GET":                          {http.MethodGet, formOfACall, ""},
		"by GET with an encoding at will": {http.MethodGet, strings.ReplaceAll(formOfACall, "C", "%43"), ""},
	} {
		for _, source := range []string{"open", "signed"} {
			t.Run(name+" "+source, func(t *testing.T) {
				path := "/v1/webhooks/" + source
				query := strings.TrimPrefix(test.query+"&n="+url.QueryEscape(name), "&")
				header := http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=UTF-8"}}
				if test.body == "" {
					header = http.Header{}
				}
				request := signature.Request{
					Method: test.method, Path: path, Query: query, Header: header, Body: []byte(test.body), Time: time.Now(),
				}
				if source == "signed" {
					var err error
					if request, err = verifier.Sign(request); err != nil {
						t.Fatal(err)
					}
				}
				code, _, text := s.send(t, test.method, path+"?"+query, request.Header, []byte(test.body))
				answer := taken(t, code, text)
				if answer.GetState() != callnormv1.DeliveryState_DELIVERY_STATE_NORMALIZED || len(answer.GetOutcomes()) != 1 || answer.GetDuplicate() {
					t.Fatalf("%v", answer)
				}
				kept := s.get(t, answer.GetDelivery())
				if kept.GetMethod() != test.method || kept.GetPath() != path || kept.GetQuery() != query || string(kept.GetBody()) != test.body {
					t.Errorf("kept as %s %s?%s %q", kept.GetMethod(), kept.GetPath(), kept.GetQuery(), kept.GetBody())
				}
				got, err := s.outcomes.GetOutcome(t.Context(), &callnormv1.GetOutcomeRequest{
					Key: &callnormv1.GetOutcomeRequest_Name{Name: answer.GetOutcomes()[0].GetName()},
				})
				if err != nil {
					t.Fatal(err)
				}
				call := got.GetOutcome()
				if call.GetProviderCallId() != "CA0" || call.GetTotalDuration().AsDuration() != 35*time.Second || call.GetCallee().GetPhone().GetE164() != "+12025550187" {
					t.Errorf("%v", call)
				}
				if code, _, text = s.send(t, test.method, path+"?"+query, request.Header, []byte(test.body)); !taken(t, code, text).GetDuplicate() {
					t.Errorf("kept twice: %s", text)
				}
				if source != "signed" {
					return
				}
				tampered := strings.Replace(test.body, "35", "36", 1)
				if code, _, text = s.send(t, test.method, path+"?"+query+"&more=1", request.Header, []byte(test.body)); code != http.StatusUnauthorized {
					t.Errorf("another query: %d %s", code, text)
				}
				if test.body == "" {
					return
				}
				if code, _, text = s.send(t, test.method, path+"?"+query, request.Header, []byte(tampered)); code != http.StatusUnauthorized {
					t.Errorf("another form: %d %s", code, text)
				}
			})
		}
	}
}

func TestTheDoorTakesGetOnlyWhereAQueryIsRead(t *testing.T) {
	s, _ := formDoors(t)
	for name, test := range map[string]struct {
		method, path string
		code         int
		reason       string
	}{
		"a provider that sends JSON":   {http.MethodGet, "/v1/webhooks/json?CallSid=1", http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"},
		"a look at the address":        {http.MethodGet, "/v1/webhooks/open", http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"},
		"a look with a question mark":  {http.MethodGet, "/v1/webhooks/open?", http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"},
		"without a signature":          {http.MethodGet, "/v1/webhooks/signed?" + formOfACall, http.StatusUnauthorized, "NOT_VERIFIED"},
		"an unknown source":            {http.MethodGet, "/v1/webhooks/nobody?a=1", http.StatusNotFound, "SOURCE_NOT_FOUND"},
		"another method with a query":  {http.MethodPut, "/v1/webhooks/open?" + formOfACall, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"},
		"a deletion":                   {http.MethodDelete, "/v1/webhooks/open?" + formOfACall, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"},
		"a query that is no form":      {http.MethodGet, "/v1/webhooks/open?x", http.StatusOK, "MALFORMED"},
		"a query of something else":    {http.MethodGet, "/v1/webhooks/open?utm_source=mail", http.StatusOK, "UNEXPECTED_SHAPE"},
		"a page of another site":       {http.MethodGet, "/v1/webhooks/open?foreign=1&" + formOfACall, http.StatusForbidden, ""},
		"a path that is no door":       {http.MethodGet, "/v1/webhooks/open/a/b?" + formOfACall, http.StatusNotFound, "ROUTE_NOT_FOUND"},
		"an event in the path as well": {http.MethodGet, "/v1/webhooks/open/amd?CallSid=CA9&AnsweredBy=human", http.StatusOK, "STATE_NORMALIZED"},
	} {
		t.Run(name, func(t *testing.T) {
			header := http.Header{}
			if strings.Contains(test.path, "foreign") {
				header.Set("Sec-Fetch-Site", "cross-site")
			}
			code, answered, text := s.send(t, test.method, test.path, header, nil)
			if code != test.code || !strings.Contains(string(text), test.reason) {
				t.Errorf("%d %s, want %d %s", code, text, test.code, test.reason)
			}
			if allow := answered.Get("Allow"); (allow == http.MethodPost) != (test.code == http.StatusMethodNotAllowed) {
				t.Errorf("Allow: %q", allow)
			}
		})
	}
}
