package bland

import (
	"bytes"
	"errors"
	"net/http"
	"testing"

	"github.com/callnorm/callnorm/internal/signature"
)

// That the scheme is right, the vectors of package signature show; here it is what the adapter says of it.
func TestSignature(t *testing.T) {
	v, err := signature.New(New().Signature(), []signature.Secret{"0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	if v.Name() != "hmac-sha256" || !v.SignsBody() || v.IsCredential() {
		t.Errorf("Name() = %q, SignsBody() = %v, IsCredential() = %v", v.Name(), v.SignsBody(), v.IsCredential())
	}
	signed, err := v.Sign(signature.Request{Header: http.Header{}, Body: []byte(New().Example())})
	if err != nil {
		t.Fatal(err)
	}
	spaced := bytes.ReplaceAll(signed.Body, []byte(","), []byte(",\n  "))
	for name, test := range map[string]struct {
		body []byte
		want signature.Cause
	}{
		"as it was sent": {body: signed.Body},
		"laid out anew":  {body: spaced},
		"another call":   {body: bytes.ReplaceAll(signed.Body, []byte("demo-1"), []byte("demo-2")), want: signature.CauseSignatureMismatch},
		"nothing":        {body: nil, want: signature.CauseSignatureMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			r := signed
			r.Body = test.body
			_, err := v.Verify(r)
			var refusal *signature.Refusal
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (!errors.As(err, &refusal) || refusal.Cause != test.want):
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}
