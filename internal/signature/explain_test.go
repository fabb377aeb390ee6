package signature

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestExplainNamesTheLikelyCause(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	body := Settings{Scheme: SchemeHMAC, Headers: []string{"X-Signature"}}
	timed := Settings{Scheme: SchemeHMAC, Headers: []string{"X-Signature"}, TimestampHeader: "X-Timestamp", Signed: "{timestamp}.{body}"}
	twilio := Settings{Scheme: SchemeTwilio, PublicURL: "https://hooks.example.com"}
	field := Settings{Scheme: SchemeHMAC, Headers: []string{"X-Signature"}, Signed: "{field:call.call_id}"}
	with := func(s Settings, over Settings) Settings { return s.Merge(over) }
	const old = Secret("fedcba9876543210")

	tests := map[string]struct {
		receiver Settings
		secrets  []Secret // of the receiver; goodSecret without any
		sender   Settings // the receiver's, if it has no scheme
		key      Secret   // the sender's; goodSecret without one
		body     string
		change   func(*Request) // on the way
		want     string
	}{
		"the newest secret": {receiver: body, want: "proved by secret 1 of 1"},
		"an older secret": {
			receiver: body, secrets: []Secret{old, goodSecret}, want: "it matches secret 2 of 2, not the newest",
		},
		"another secret": {receiver: body, key: old, want: "the secret is most likely another one"},
		"a line ending more": {
			receiver: body, change: func(r *Request) { r.Body = append(r.Body, '\n') }, want: "with the line ending at the end of the body removed",
		},
		"a line ending less": {
			receiver: body, body: "{}\n", change: func(r *Request) { r.Body = r.Body[:2] }, want: "with a line ending at the end of the body",
		},
		"other line endings": {
			receiver: body, body: "{\n}", change: func(r *Request) { r.Body = []byte("{\r\n}") }, want: "LF for each CRLF",
		},
		"laid out anew": {
			receiver: body, body: `{"a":[1,2]}`, change: func(r *Request) { r.Body = []byte(`{"a": [1, 2]}`) },
			want: "without white space in the body: the body was re-serialised",
		},
		"laid out by Python": {
			receiver: body, body: `{"a": [1, 2]}`, change: func(r *Request) { r.Body = []byte(`{"a":[1,2]}`) },
			want: "a blank after each",
		},
		"other escapes": {
			receiver: body, body: `{"a":"é/"}`, change: func(r *Request) { r.Body = []byte(`{"a":"\u00e9\/"}`) }, want: "the shortest escapes",
		},
		"hex for base64": {
			receiver: with(body, Settings{Encoding: "base64"}), sender: body, want: "it matches the hex form, and the settings say base64",
		},
		"base64 for hex": {
			receiver: body, sender: with(body, Settings{Encoding: "base64"}), want: "it matches the base64 form",
		},
		"another hash":     {receiver: body, sender: with(body, Settings{Hash: "sha512"}), want: "it matches with the hash sha512"},
		"a prefix more":    {receiver: body, sender: with(body, Settings{Prefix: "sha256="}), want: `it matches with the prefix "sha256="`},
		"a prefix less":    {receiver: with(body, Settings{Prefix: "sha256="}), sender: body, want: `it matches with the prefix ""`},
		"another header":   {receiver: body, sender: with(body, Settings{Headers: []string{"X-Other"}}), want: `in the header "X-Other"`},
		"no header":        {receiver: body, change: func(r *Request) { r.Header = http.Header{} }, want: "no header X-Signature with a value"},
		"two headers":      {receiver: body, change: func(r *Request) { r.Header.Add("X-Signature", "0") }, want: "more than once"},
		"another text":     {receiver: timed, sender: with(timed, Settings{Signed: "{body}{timestamp}"}), want: "if the signed text is {body}{timestamp}"},
		"the body alone":   {receiver: timed, sender: body, change: func(r *Request) { r.Header.Set("X-Timestamp", stamp(at, "s")) }, want: "if the body alone is signed"},
		"a time as well":   {receiver: body, sender: timed, want: `{timestamp}.{body} with the time in the header "X-Timestamp"`},
		"a binary secret":  {receiver: body, sender: with(body, Settings{SecretEncoding: "hex", SecretLength: 8}), want: "with the secret read as hex"},
		"clock skew":       {receiver: timed, change: func(r *Request) { r.Time = r.Time.Add(7 * time.Minute) }, want: "7m0s before the time of receipt, and the tolerance is 5m0s: clock skew"},
		"a clock ahead":    {receiver: timed, change: func(r *Request) { r.Time = r.Time.Add(-7 * time.Minute) }, want: "7m0s after the time of receipt"},
		"another unit":     {receiver: with(timed, Settings{TimestampUnit: "s"}), sender: with(timed, Settings{TimestampUnit: "ms"}), want: "in time if the time unit were ms"},
		"no time":          {receiver: timed, change: func(r *Request) { r.Header.Del("X-Timestamp") }, want: "no header X-Timestamp"},
		"a time in words":  {receiver: timed, change: func(r *Request) { r.Header.Set("X-Timestamp", "1.72E12") }, want: "not a plain number"},
		"no field":         {receiver: field, sender: body, want: "{field:call.call_id}"},
		"another protocol": {receiver: twilio, sender: Settings{Scheme: SchemeTwilio, PublicURL: "http://hooks.example.com"}, want: "http://hooks.example.com"},
		"a slash less":     {receiver: twilio, change: func(r *Request) { r.Path += "/" }, want: `without the "/"`},
		"a body that Twilio does not cover": {
			receiver: twilio, change: func(r *Request) { r.Query = "" }, want: "neither a form nor covered by bodySHA256",
		},
		"a bearer for a header": {
			receiver: Settings{Scheme: SchemeHeader, Headers: []string{"Authorization"}}, sender: Settings{Scheme: SchemeBearer},
			want: "the scheme is bearer",
		},
		"a header for a bearer": {
			receiver: Settings{Scheme: SchemeBearer}, sender: Settings{Scheme: SchemeHeader, Headers: []string{"Authorization"}},
			want: "the scheme is header",
		},
		"a secret in another header": {
			receiver: Settings{Scheme: SchemeHeader, Headers: []string{"X-Secret"}}, sender: Settings{Scheme: SchemeHeader, Headers: []string{"X-Other"}},
			want: `in the header "X-Other"`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.sender.Scheme == "" {
				test.sender = test.receiver
			}
			if test.key == "" {
				test.key = goodSecret
			}
			if test.secrets == nil {
				test.secrets = []Secret{goodSecret}
			}
			if test.body == "" {
				test.body = `{"id":1}`
			}
			sender, err := New(test.sender, []Secret{test.key})
			if err != nil {
				t.Fatal(err)
			}
			receiver, err := New(test.receiver, test.secrets)
			if err != nil {
				t.Fatal(err)
			}
			r, err := sender.Sign(Request{Method: "POST", Path: "/v1/webhooks/source", Body: []byte(test.body), Time: at})
			if err != nil {
				t.Fatal(err)
			}
			if test.change != nil {
				test.change(&r)
			}
			x := receiver.Explain(r)
			if text := x.String(); !strings.Contains(text, test.want) {
				t.Errorf("the explanation does not have %q:\n%s", test.want, text)
			}
			if receiver.IsCredential() && strings.Contains(x.String(), string(goodSecret)) {
				t.Error("the explanation shows a secret")
			}
			if _, err := receiver.Verify(r); (err == nil) != (x.Cause == "") {
				t.Errorf("Verify: %v, Explain: %q", err, x.Cause)
			}
		})
	}
}

func TestExplainShowsWhatWasComparedAndQuotesIt(t *testing.T) {
	v, err := New(Settings{Scheme: SchemeHMAC, Headers: []string{"X-Signature"}, TimestampHeader: "X-Timestamp", Signed: "{timestamp}.{body}"}, []Secret{goodSecret, "fedcba9876543210"})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	signed, err := v.Sign(Request{Body: []byte("a\x1b[2Jb"), Time: at})
	if err != nil {
		t.Fatal(err)
	}
	x := v.Explain(signed)
	if len(x.Texts) != 1 || x.Texts[0].Text != "1767323045.a\x1b[2Jb" || len(x.Texts[0].Expected) != 2 || x.Texts[0].Expected[0] != x.Received {
		t.Errorf("%+v", x)
	}
	if x.Timestamp != "1767323045" || x.Skew != 0 || x.Secret != 0 || x.Secrets != 2 {
		t.Errorf("%+v", x)
	}
	if text := x.String(); strings.Contains(text, "\x1b") || !strings.Contains(text, `\x1b[2Jb`) {
		t.Errorf("%q", text)
	}
	signed.Body = []byte(strings.Repeat("x", maxShown*2))
	if text := v.Explain(signed).String(); len(text) > 2*maxShown || !strings.Contains(text, "bytes more") {
		t.Errorf("%d bytes", len(text))
	}
	for _, beyond := range []string{"0", "253402300799"} {
		signed.Header.Set("X-Timestamp", beyond)
		signed.Time = at.AddDate(200, 0, 0)
		if text := v.Explain(signed).String(); !strings.Contains(text, "more than 100 years") {
			t.Errorf("%s: %s", beyond, text)
		}
	}
}
