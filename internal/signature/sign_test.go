package signature

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestVerifyAcceptsWhatSignMade signs any request under the settings of every vector file.
func TestVerifyAcceptsWhatSignMade(t *testing.T) {
	edPublic, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaPrivate, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&rsaPrivate.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range readVectors(t) {
		var signer crypto.Signer
		secrets := f.secrets
		switch {
		case f.settings.Scheme == SchemeRSA:
			signer, secrets = rsaPrivate, []Secret{Secret(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
		case f.settings.Scheme == SchemeEd25519:
			signer, secrets = edPrivate, []Secret{Secret(base64.StdEncoding.EncodeToString(edPublic))}
		case f.name == "standard_webhooks_v1a":
			signer, secrets = edPrivate, []Secret{Secret(prefixPublic + base64.StdEncoding.EncodeToString(edPublic))}
		}
		v, err := New(f.settings, secrets)
		if err != nil {
			t.Fatal(f.name, err)
		}
		t.Run(f.name, rapid.MakeCheck(func(t *rapid.T) {
			r := anyRequest(t)
			signed, err := v.Sign(r)
			if signer != nil {
				signed, err = v.SignWith(r, signer)
			}
			if err != nil {
				t.Fatal(err)
			}
			if secret, err := v.Verify(signed); err != nil || secret != 0 {
				t.Fatalf("Verify = %d, %v\n%s", secret, err, v.Explain(signed))
			}
			signed.Time = signed.Time.Add(v.settings.Tolerance - time.Second)
			if _, err := v.Verify(signed); v.settings.signsTime() && err != nil {
				t.Fatalf("within the tolerance: %v", err)
			}
		}))
	}
}

func anyRequest(t *rapid.T) Request {
	r := Request{
		Method: rapid.SampledFrom([]string{"POST", "PUT"}).Draw(t, "method"),
		Path:   "/" + rapid.StringMatching(`[a-z0-9/%_.-]{0,20}`).Draw(t, "path"),
		Query:  rapid.StringMatching(`([a-z]=[a-z0-9]*(&[a-z]=%2[0-9])?)?`).Draw(t, "query"),
		Header: http.Header{"Svix-Id": {"msg_1"}},
		Time:   time.UnixMilli(rapid.Int64Range(0, 4_000_000_000_000).Draw(t, "time")).Truncate(time.Second),
	}
	r.Header.Set("Content-Type", rapid.SampledFrom([]string{"application/json", "text/plain; charset=utf-8"}).Draw(t, "type"))
	id := rapid.StringMatching(`[A-Za-z0-9_-]{1,30}`).Draw(t, "id")
	r.Body = []byte(`{"call":{"call_id":"` + id + `"},"more":"` + rapid.StringMatching(`[ -!#-\[\]-~]*`).Draw(t, "text") + `"}`)
	return r
}

func TestSignSaysWhenItCannot(t *testing.T) {
	_, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range readVectors(t) {
		v := f.verifier(t)
		if _, err := v.SignWith(f.requests[0], edPrivate); (err == nil) != (f.settings.Scheme == SchemeEd25519 || f.settings.Scheme == SchemeStandardWebhooks) {
			t.Errorf("%s: SignWith: %v", f.name, err)
		}
	}
	v, err := New(Settings{Scheme: SchemeHMAC, Headers: []string{"X"}, Signed: "{field:id}"}, []Secret{"0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Sign(Request{Body: []byte("{}")}); err == nil {
		t.Error("signed a body without the field that is signed")
	}
}

// TestASenderWithAKeyOfItsOwn makes a key under the settings of every vector file.
func TestASenderWithAKeyOfItsOwn(t *testing.T) {
	for _, f := range readVectors(t) {
		t.Run(f.name, func(t *testing.T) {
			settings := f.settings
			settings.Keys = nil
			key, err := settings.MakeKey()
			if err != nil {
				t.Fatal(err)
			}
			sender, err := settings.NewSender(key)
			if err != nil {
				t.Fatal(err)
			}
			v, err := New(settings, []Secret{sender.Trusted()})
			if err != nil {
				t.Fatal(err)
			}
			signed, err := sender.Sign(Request{
				Method: http.MethodPost, Path: "/hook",
				Header: http.Header{"Content-Type": {"application/json"}, "Svix-Id": {"msg_1"}},
				Body:   []byte(`{"call":{"call_id":"one"}}`), Time: time.Unix(1_700_000_000, 0),
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.Verify(signed); err != nil {
				t.Errorf("%v\n%s", err, v.Explain(signed))
			}
			other, err := settings.MakeKey()
			if err != nil || other == key {
				t.Errorf("the next key is the same one: %v", err)
			}
		})
	}
	for name, key := range map[string]Secret{
		"no PEM": "secret", "a public key": Secret(pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: []byte("x")})), "nothing": "",
	} {
		if _, err := (Settings{Scheme: SchemeRSA, Headers: []string{"X-Signature"}}).NewSender(key); err == nil {
			t.Errorf("%s does for a private key", name)
		}
	}
}
