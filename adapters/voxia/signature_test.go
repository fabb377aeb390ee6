package voxia

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/internal/signature"
)

func TestSignatureHasAKey(t *testing.T) {
	v, err := signature.New(New().Signature(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if v.Name() != "rsa-sha256" || !v.SignsBody() || v.IsCredential() {
		t.Errorf("Name() = %q, SignsBody() = %v, IsCredential() = %v", v.Name(), v.SignsBody(), v.IsCredential())
	}
	// Whether the key is the right one only Voxia can show: a signature of its size is read and refused, under both names.
	for _, name := range []string{"X-Voxia-Signature", "x-signature"} {
		r := signature.Request{Header: http.Header{}, Body: []byte(New().Example())}
		r.Header.Set(name, strings.Repeat("A", 342)+"==")
		_, err := v.Verify(r)
		var refusal *signature.Refusal
		if !errors.As(err, &refusal) || refusal.Cause != signature.CauseSignatureMismatch {
			t.Errorf("%s: %v", name, err)
		}
	}
}
