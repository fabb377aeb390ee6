package archive

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// at is a time of receipt, as a person writes it.
const at = `"receive_time":"2024-03-28T17:17:42.471+01:00"`

var received = timestamppb.New(time.Date(2024, 3, 28, 16, 17, 42, 471e6, time.UTC))

func TestLinesAreWebhooks(t *testing.T) {
	t.Parallel()
	webhook := func(body string) *callnormv1.IngestDeliveryRequest {
		return &callnormv1.IngestDeliveryRequest{ReceiveTime: received, Body: &httpbody.HttpBody{Data: []byte(body)}}
	}
	all := webhook("{}")
	all.Headers = []*callnormv1.HttpHeader{{Name: "X-B", Value: "1"}, {Name: "X-A", Value: "2"}, {Name: "X-A", Value: "3"}}
	all.Query, all.Event, all.Body.ContentType = "a=1&b=%20", "CallComplete", "application/json"
	shown := &callnormv1.Delivery{
		Name: "deliveries/x", Source: "another", Adapter: "synthflow", ReceiveTime: received, Method: "POST", Path: "/v1/webhooks/another",
		State: callnormv1.DeliveryState_DELIVERY_STATE_QUARANTINED, Query: "a=1", Event: "e", Body: []byte("\xff{}"),
		Headers: []*callnormv1.HttpHeader{{Name: "X-A", Value: "2"}},
	}
	again := webhook("\xff{}")
	again.Query, again.Event, again.Headers = "a=1", "e", shown.GetHeaders()
	tests := map[string]struct {
		line string
		want *callnormv1.IngestDeliveryRequest
	}{
		"a body as a text":             {`{` + at + `,"body":"{\"a\": \"\u00e9\"}"}`, webhook(`{"a": "é"}`)},
		"a body that is no JSON":       {`{` + at + `,"body":"a=1&b=2"}`, webhook("a=1&b=2")},
		"an object as it stands there": {`{"body": {"b" :1.0, "a":  "\u00e9", "a":2 } ,` + at + `}`, webhook(`{"b" :1.0, "a":  "\u00e9", "a":2 }`)},
		"an array that is not UTF-8":   {`{` + at + `,"body":["` + "\xff" + `"]}`, webhook("[\"\xff\"]")},
		"bytes":                        {`{` + at + `,"body_base64":"` + base64.StdEncoding.EncodeToString([]byte("\x00\xff")) + `"}`, webhook("\x00\xff")},
		"an empty body":                {`{` + at + `,"body":""}`, webhook("")},
		"everything": {
			`{"content_type":"application/json","event":"CallComplete","query":"a=1&b=%20","headers":{"X-B":"1","X-A":["2","3"],"X-C":[]},` + at + `,"body":{}}`, all,
		},
		"a delivery that was shown":     {protojson.Format(shown), again},
		"a delivery that was asked for": {protojson.Format(&callnormv1.GetDeliveryResponse{Delivery: shown}), again},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := []byte(test.line)
			got, err := parse(text)
			clear(text) // nothing of it may be kept
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, protocmp.Transform()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLinesThatAreNoWebhooks(t *testing.T) {
	t.Parallel()
	const canary = "+15550100"
	tests := map[string]struct{ line, want string }{
		"no JSON":                  {canary, "not a JSON object"},
		"no object":                {`["` + canary + `"]`, "not a JSON object"},
		"half an object":           {`{"body":"` + canary, "not JSON at byte"},
		"two objects":              {`{` + at + `,"body":""} {"phone":"` + canary + `"}`, "more than one object"},
		"an unknown key":           {`{` + at + `,"bdy":"` + canary + `"}`, `unknown key "bdy"`},
		"a key in other letters":   {`{"Receive_Time":"` + canary + `"}`, `unknown key "Receive_Time"`},
		"a key twice":              {`{"body":"` + canary + `","body":""}`, `"body" stands twice`},
		"no time":                  {`{"body":"` + canary + `"}`, "receive_time is missing"},
		"a time that is none":      {`{"receive_time":"` + canary + `"}`, "receive_time is no time"},
		"a time that is a number":  {`{"receive_time":15550100}`, "receive_time is not a text"},
		"no body":                  {`{` + at + `}`, "one of body and body_base64"},
		"two bodies":               {`{` + at + `,"body":"","body_base64":""}`, "one of body and body_base64"},
		"a body that is a number":  {`{` + at + `,"body":15550100}`, "body is neither"},
		"a text that is not UTF-8": {`{` + at + `,"body":"` + canary + "\xff" + `"}`, "there is body_base64"},
		"half a character":         {`{` + at + `,"body":"` + canary + `\ud800"}`, "there is body_base64"},
		"bytes that are none":      {`{` + at + `,"body_base64":"` + canary + `"}`, "body_base64 is not base64"},
		"headers in a list":        {`{"headers":["` + canary + `"]}`, "headers is not an object"},
		"a header with a number":   {`{"headers":{"a":15550100}}`, "headers have a value that is not a text"},
		"a header with an object":  {`{"headers":{"a":["x",{"` + canary + `":1}]}}`, "headers have a value that is not a text"},
		"a query that is an array": {`{"query":["` + canary + `"]}`, "query is not a text"},
		"half a delivery":          {`{"name":"deliveries/x","phone":"` + canary + `"}`, "quarantine show --json"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse([]byte(test.line))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%v, want %q", err, test.want)
			}
			if strings.Contains(err.Error(), "5550100") {
				t.Errorf("the content is quoted: %v", err)
			}
		})
	}
}

func FuzzLine(f *testing.F) {
	for _, seed := range []string{
		`{` + at + `,"body":{"a":[1]},"headers":{"A":["1","2"],"B":"3"}}`, `{` + at + `,"body_base64":"AA=="}`,
		`{"name":"deliveries/x","receiveTime":"2024-03-28T16:17:42Z","body":"AA=="}`, `{"headers":{"A":[`, `{"headers":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		request, err := parse(text)
		if !bytes.Equal(before, text) {
			t.Error("the line was changed")
		}
		if (err == nil) == (request == nil) {
			t.Fatalf("%v and %v", request, err)
		}
		if err == nil && request.GetReceiveTime() == nil {
			t.Error("a webhook without a time")
		}
	})
}
