package vapi_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/vapi"
	"github.com/callnorm/callnorm/internal/signature"
)

var _ adapters.Signed = (*vapi.Adapter)(nil)

const secret = "0123456789abcdef"

func TestSignature(t *testing.T) {
	v, err := signature.New(vapi.New().Signature(), []signature.Secret{secret})
	if err != nil {
		t.Fatal(err)
	}
	if !v.IsCredential() || v.SignsBody() || !v.IsSecretHeader("x-vapi-secret") {
		t.Errorf("IsCredential() = %v, SignsBody() = %v", v.IsCredential(), v.SignsBody())
	}
	for name, test := range map[string]struct {
		header http.Header
		want   signature.Cause
	}{
		"the secret":          {http.Header{"X-Vapi-Secret": {secret}}, ""},
		"another secret":      {http.Header{"X-Vapi-Secret": {"fedcba9876543210"}}, signature.CauseSignatureMismatch},
		"no secret":           {http.Header{}, signature.CauseSignatureMissing},
		"in another's header": {http.Header{"Authorization": {"Bearer " + secret}}, signature.CauseSignatureMissing},
	} {
		_, err := v.Verify(signature.Request{Header: test.header, Body: []byte(vapi.New().Example())})
		refusal := (*signature.Refusal)(nil)
		if errors.As(err, &refusal) && refusal.Cause != test.want || err == nil && test.want != "" || err != nil && test.want == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOtherCredentials has the configuration choose what a server URL can be given instead. Vectors of each are those of the package
// signature.
func TestOtherCredentials(t *testing.T) {
	for name, over := range map[string]signature.Settings{
		"bearer":      {Scheme: signature.SchemeBearer},
		"hmac-sha256": {Scheme: signature.SchemeHMAC, Headers: []string{"x-signature"}, Signed: "{timestamp}.{body}", TimestampHeader: "x-timestamp"},
	} {
		v, err := signature.New(vapi.New().Signature().Merge(over), []signature.Secret{secret})
		if err != nil {
			t.Fatal(err)
		}
		if v.Name() != name {
			t.Errorf("the scheme is %s, want %s", v.Name(), name)
		}
		signed, err := v.Sign(signature.Request{Body: []byte(vapi.New().Example()), Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(signed); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
