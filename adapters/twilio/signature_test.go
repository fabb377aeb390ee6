package twilio_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/callnorm/callnorm/adapters/twilio"
	"github.com/callnorm/callnorm/internal/signature"
)

// TestSignature signs the example as Twilio would send it, both ways. The published vectors are with the scheme.
func TestSignature(t *testing.T) {
	settings := twilio.New().Signature().Merge(signature.Settings{PublicURL: "https://hooks.example.com"})
	v, err := signature.New(settings, []signature.Secret{"0123456789abcdef0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	form := twilio.New().Example()
	for name, test := range map[string]struct {
		request signature.Request
		other   func(*signature.Request)
	}{
		"by POST": {
			request: signature.Request{
				Method: http.MethodPost, Body: []byte(form), Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=UTF-8"}},
			},
			other: func(r *signature.Request) { r.Body = append([]byte("CallDuration=43&"), r.Body...) },
		},
		"by GET": {
			request: signature.Request{Method: http.MethodGet, Query: form, Header: http.Header{}},
			other:   func(r *signature.Request) { r.Query += "&CallDuration=43" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.request.Path = "/v1/webhooks/twilio"
			signed, err := v.Sign(test.request)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.Verify(signed); err != nil {
				t.Error(err)
			}
			test.other(&signed)
			if _, err := v.Verify(signed); err == nil {
				t.Error("another form has the same signature")
			}
		})
	}
	if _, err := url.ParseQuery(form); err != nil {
		t.Error(err)
	}
}
