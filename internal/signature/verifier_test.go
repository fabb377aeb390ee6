package signature

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRefusalsHaveTheirCause(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	timed := Settings{Scheme: SchemeHMAC, Headers: []string{"X-Sig", "X-Sig-2"}, TimestampHeader: "X-Timestamp", Signed: "{timestamp}.{body}"}
	list := Settings{Scheme: SchemeHMAC, Headers: []string{"X-Sig"}, SignatureKey: "v0", TimestampKey: "t", Signed: "{timestamp}.{body}"}
	field := Settings{Scheme: SchemeHMAC, Headers: []string{"X-Sig"}, Signed: "{field:id}"}
	header := Settings{Scheme: SchemeHMAC, Headers: []string{"X-Sig"}, Signed: "{header:X-Id}{body}"}
	compacted := Settings{Scheme: SchemeHMAC, Headers: []string{"X-Sig"}, Signed: "{compact}"}
	standard := Settings{Scheme: SchemeStandardWebhooks}
	set := func(name, value string) func(*Request) { return func(r *Request) { r.Header.Set(name, value) } }

	tests := map[string]struct {
		settings Settings
		change   func(*Request)
		want     Cause // empty when it is proved
	}{
		"unchanged":                        {timed, func(*Request) {}, ""},
		"no signature":                     {timed, func(r *Request) { r.Header.Del("X-Sig") }, CauseSignatureMissing},
		"no header at all":                 {timed, func(r *Request) { r.Header = nil }, CauseSignatureMissing},
		"an empty signature":               {timed, set("X-Sig", " \t"), CauseSignatureMissing},
		"the same signature twice":         {timed, func(r *Request) { r.Header.Add("X-Sig", r.Header.Get("X-Sig")) }, CauseSignatureDuplicate},
		"two names that say the same":      {timed, func(r *Request) { r.Header.Set("X-Sig-2", r.Header.Get("X-Sig")) }, ""},
		"two names that differ":            {timed, set("X-Sig-2", "00"), CauseSignatureDuplicate},
		"two spellings that say the same":  {timed, func(r *Request) { r.Header["x_SIG"] = r.Header["X-Sig"] }, ""},
		"garbage":                          {timed, set("X-Sig", "garbage"), CauseSignatureMalformed},
		"a signature of another length":    {timed, set("X-Sig", "00"), CauseSignatureMalformed},
		"another signature":                {timed, set("X-Sig", strings.Repeat("0", 64)), CauseSignatureMismatch},
		"another body":                     {timed, func(r *Request) { r.Body = nil }, CauseSignatureMismatch},
		"no time":                          {timed, set("X-Timestamp", ""), CauseTimeMissing},
		"two times":                        {timed, func(r *Request) { r.Header.Add("X-Timestamp", "1") }, CauseTimeMalformed},
		"a time as a float":                {timed, set("X-Timestamp", "1.72E12"), CauseTimeMalformed},
		"a negative time":                  {timed, set("X-Timestamp", "-1"), CauseTimeMalformed},
		"a time beyond 64 bits":            {timed, set("X-Timestamp", "9223372036854775808"), CauseTimeMalformed},
		"a wrong signature of an old time": {timed, set("X-Timestamp", "1"), CauseSignatureMismatch},
		"just in time":                     {timed, func(r *Request) { r.Time = at.Add(5 * time.Minute) }, ""},
		"just not too early":               {timed, func(r *Request) { r.Time = at.Add(-5 * time.Minute) }, ""},
		"too late":                         {timed, func(r *Request) { r.Time = at.Add(5*time.Minute + time.Millisecond) }, CauseTimeTooOld},
		"too early":                        {timed, func(r *Request) { r.Time = at.Add(-5*time.Minute - time.Millisecond) }, CauseTimeInFuture},
		"a list without a time":            {list, set("X-Sig", "v0=00"), CauseTimeMissing},
		"a list with an empty time":        {list, set("X-Sig", "t=,v0=00"), CauseTimeMissing},
		"a list with two times":            {list, func(r *Request) { r.Header.Set("X-Sig", r.Header.Get("X-Sig")+",t=1") }, CauseTimeMalformed},
		"a list without a signature":       {list, set("X-Sig", "t=1,v1=00"), CauseSignatureMissing},
		"a list with an empty signature":   {list, set("X-Sig", "t=1,v0="), CauseSignatureMalformed},
		"a list that is none":              {list, set("X-Sig", "00"), CauseSignatureMalformed},
		"a list with a wrong one first":    {list, func(r *Request) { r.Header.Set("X-Sig", "v0="+strings.Repeat("0", 64)+","+r.Header.Get("X-Sig")) }, ""},
		"a list with a broken one first":   {list, func(r *Request) { r.Header.Set("X-Sig", "v0=zz,"+r.Header.Get("X-Sig")) }, ""},
		"a list without end": {list, func(r *Request) {
			r.Header.Set("X-Sig", r.Header.Get("X-Sig")+strings.Repeat(",v0="+strings.Repeat("0", 64), 16))
		}, CauseSignatureMalformed},
		"no field":                          {field, func(r *Request) { r.Body = []byte(`{}`) }, CauseFieldMissing},
		"a body that is not JSON":           {field, func(r *Request) { r.Body = []byte(`id=call-1`) }, CauseFieldMissing},
		"no signed header":                  {header, func(r *Request) { r.Header.Del("X-Id") }, CauseFieldMissing},
		"a signed header twice":             {header, func(r *Request) { r.Header.Add("X-Id", "x") }, CauseFieldMissing},
		"a body that has no compact form":   {compacted, func(r *Request) { r.Body = []byte(`{`) }, CauseFieldMissing},
		"a compact body with a mark before": {compacted, func(r *Request) { r.Body = append([]byte("\xef\xbb\xbf"), r.Body...) }, ""},
		"no id of the message":              {standard, func(r *Request) { r.Header.Del("Webhook-Id") }, CauseFieldMissing},
		"no time of the message":            {standard, func(r *Request) { r.Header.Del("Webhook-Timestamp") }, CauseTimeMissing},
		"two ids of the message":            {standard, set("Svix-Id", "other"), CauseFieldMissing},
		"only an unknown version":           {standard, set("Webhook-Signature", "v2,AAAA"), CauseSignatureMalformed},
		"v1a with the secret of v1": {standard, func(r *Request) {
			r.Header.Set("Webhook-Signature", strings.Replace(r.Header.Get("Webhook-Signature"), "v1,", "v1a,", 1))
		}, CauseSignatureMismatch},
		"a time of the message in ms": {standard, set("Webhook-Timestamp", "1767323045000"), CauseSignatureMismatch},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			secret := goodSecret
			if test.settings.Scheme == SchemeStandardWebhooks {
				secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
			}
			v, err := New(test.settings, []Secret{secret})
			if err != nil {
				t.Fatal(err)
			}
			r, err := v.Sign(Request{Header: http.Header{"X-Id": {"1"}}, Body: []byte(`{"id":"call-1"}`), Time: at})
			if err != nil {
				t.Fatal(err)
			}
			test.change(&r)
			_, err = v.Verify(r)
			var refusal *Refusal
			if test.want == "" && err != nil || test.want != "" && (!errors.As(err, &refusal) || refusal.Cause != test.want) {
				t.Errorf("Verify: %v, want %q", err, test.want)
			}
		})
	}
}

func TestFieldsAreReadStrictly(t *testing.T) {
	deep := strings.Repeat(`[`, 9_000) + strings.Repeat(`]`, 9_000)
	tests := map[string]struct {
		body, want string // an empty want is a refusal
	}{
		"in the call":                      {`{"call":{"call_id":"a"}}`, "a"},
		"beside the call":                  {`{"call_id":"a"}`, "a"},
		"in both, the same":                {`{"call_id":"a","call":{"call_id":"a"}}`, "a"},
		"in both, written differently":     {`{"call_id":"\u0061","call":{"call\u005fid":"a"}}`, "a"},
		"in both, and they differ":         {`{"call_id":"a","call":{"call_id":"b"}}`, ""},
		"null beside a string":             {`{"call_id":"a","call":{"call_id":null}}`, ""},
		"a number beside a string":         {`{"call_id":"a","call":{"call_id":1}}`, ""},
		"an object beside a string":        {`{"call_id":"a","call":{"call_id":{}}}`, ""},
		"a call that is no object":         {`{"call_id":"a","call":null}`, "a"},
		"a call that is a list":            {`{"call_id":"a","call":[{"call_id":"b"}]}`, "a"},
		"the member twice":                 {`{"call":{"call_id":"a","call_id":"a"}}`, ""},
		"the member twice, escaped":        {`{"call":{"call_id":"a","call_i\u0064":"b"}}`, ""},
		"the way twice":                    {`{"call":{"call_id":"a"},"call":{}}`, ""},
		"another member twice":             {`{"call":{"call_id":"a","x":1,"x":2},"x":1,"x":2}`, "a"},
		"deeper down twice":                {`{"call":{"call_id":"a","x":{"call_id":"b"}},"y":{"call":{"call_id":"c"}}}`, "a"},
		"absent":                           {`{"call":{}}`, ""},
		"empty":                            {`{"call_id":""}`, ""},
		"blank":                            {`{"call_id":" \t"}`, ""},
		"a number":                         {`{"call_id":1}`, ""},
		"half a character in it":           {`{"call_id":"\ud83d"}`, ""},
		"half a character elsewhere":       {`{"call_id":"a","text":"\ud83d"}`, "a"},
		"bytes that are no UTF-8":          {"{\"call_id\":\"a\",\"text\":\"\xff\"}", ""},
		"a NUL in it":                      {`{"call_id":"a\u0000"}`, "a\x00"},
		"a raw NUL in it":                  {"{\"call_id\":\"a\x00\"}", ""},
		"a mark before it":                 {"\xef\xbb\xbf{\"call_id\":\"a\"}", "a"},
		"something behind it":              {`{"call_id":"a"}{}`, ""},
		"white space around it":            {" \n{\"call_id\":\"a\"}\n ", "a"},
		"cut off":                          {`{"call_id":"a"`, ""},
		"a list":                           {`[{"call_id":"a"}]`, ""},
		"a string":                         {`"call_id"`, ""},
		"nothing":                          {``, ""},
		"deeply nested elsewhere":          {`{"call_id":"a","x":` + deep + `}`, "a"},
		"nested too deeply":                {`{"call_id":"a","x":` + strings.Repeat(`[`, 1_000_000) + `}`, ""},
		"nested too deeply on the way":     {strings.Repeat(`{"call":`, 1_000_000), ""},
		"a number that nobody can hold":    {`{"call_id":"a","x":1e999}`, "a"},
		"a member whose name has the dots": {`{"call.call_id":"a"}`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := readField([]byte(test.body), parseFields([]string{"call.call_id", "call_id"}))
			if ok != (test.want != "") || ok && string(got) != test.want {
				t.Errorf("readField = %q, %v, want %q", got, ok, test.want)
			}
		})
	}
}

func TestTwilioCoversTheBodyOrRefusesIt(t *testing.T) {
	v, err := New(Settings{Scheme: SchemeTwilio, PublicURL: "https://hooks.example.com:8443/base/"}, []Secret{goodSecret})
	if err != nil {
		t.Fatal(err)
	}
	const form = "application/x-www-form-urlencoded; charset=utf-8"
	sign := func(kind, body string) Request {
		r, err := v.Sign(Request{Method: "POST", Path: "/twilio", Query: "a=%20", Header: http.Header{"Content-Type": {kind}}, Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	tests := map[string]struct {
		request Request
		change  func(*Request)
		want    Cause
	}{
		"a form":                        {sign(form, "b=1&a=2"), func(*Request) {}, ""},
		"a form in another order":       {sign(form, "b=1&a=2"), func(r *Request) { r.Body = []byte("a=2&b=1") }, ""},
		"no body":                       {sign(form, ""), func(*Request) {}, ""},
		"JSON":                          {sign("application/json", `{"a":1}`), func(*Request) {}, ""},
		"other JSON":                    {sign("application/json", `{"a":1}`), func(r *Request) { r.Body = []byte(`{"a":2}`) }, CauseSignatureMismatch},
		"JSON that calls itself a form": {sign("application/json", `{"a":1}`), func(r *Request) { r.Header.Set("Content-Type", form) }, ""},
		"JSON without its hash":         {sign("application/json", `{"a":1}`), func(r *Request) { r.Query = "a=%20" }, CauseFieldMissing},
		"a hash that comes twice":       {sign("application/json", `{"a":1}`), func(r *Request) { r.Query += "&bodySHA256=0" }, CauseSignatureMismatch},
		"a body put to what had none":   {sign(form, ""), func(r *Request) { r.Body = []byte("a=1") }, CauseSignatureMismatch},
		"a body that nothing covers": {sign(form, ""), func(r *Request) {
			r.Body, r.Header = []byte("{}"), http.Header{"X-Twilio-Signature": r.Header["X-Twilio-Signature"]}
		}, CauseFieldMissing},
		"a form that calls itself JSON": {sign(form, "a=1"), func(r *Request) { r.Header.Set("Content-Type", "application/json") }, CauseFieldMissing},
		"two kinds":                     {sign(form, "a=1"), func(r *Request) { r.Header.Add("Content-Type", "application/json") }, CauseFieldMissing},
		"a broken form":                 {sign(form, "a=1"), func(r *Request) { r.Body = []byte("a=1&%zz") }, CauseFieldMissing},
		"the query written differently": {sign(form, "a=1"), func(r *Request) { r.Query = "a=+" }, CauseSignatureMismatch},
		"a fragment":                    {sign(form, "a=1"), func(r *Request) { r.Query += "#x" }, CauseSignatureMismatch},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.change(&test.request)
			_, err := v.Verify(test.request)
			var refusal *Refusal
			if test.want == "" && err != nil || test.want != "" && (!errors.As(err, &refusal) || refusal.Cause != test.want) {
				t.Errorf("Verify: %v, want %q", err, test.want)
			}
		})
	}
}

func TestSignedTextsHaveWhatTheirTemplateSays(t *testing.T) {
	r := Request{
		Method: "POST", Path: "/a%20b", Query: "c=%64", Header: http.Header{"X_Id": {" id "}}, Body: []byte(` { "f" : { "g" : "h" } } `),
	}
	tests := map[string]string{
		"{body}":                  string(r.Body),
		"{compact}":               `{"f":{"g":"h"}}`,
		"{method} {url}":          "POST https://h/base/a%20b?c=%64",
		"v1{lf}{header:x-id}":     "v1\nid",
		"{header:none|x-id}!":     "id!",
		"{timestamp}|{field:f.g}": "17|h",
		"{field:e|f.g}":           "h",
	}
	for source, want := range tests {
		parsed, err := parseTemplate(source)
		if err != nil {
			t.Fatal(source, err)
		}
		got, cause := parsed.fill(&r, "https://h/base/", "17")
		if string(got.join()) != want || cause != "" {
			t.Errorf("%s: %q, %q, want %q", source, got.join(), cause, want)
		}
	}
}
