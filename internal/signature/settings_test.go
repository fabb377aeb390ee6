package signature

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

const goodSecret = Secret("0123456789abcdef")

func TestNewReportsEveryProblem(t *testing.T) {
	hmac := func(change func(*Settings)) Settings {
		s := Settings{Scheme: SchemeHMAC, Headers: []string{"X-Signature"}}
		change(&s)
		return s
	}
	tests := map[string]struct {
		settings Settings
		secrets  []Secret
		want     []string // parts of the error; none means that nothing is wrong
	}{
		"a secret of 16 bytes is long enough": {hmac(func(*Settings) {}), []Secret{goodSecret}, nil},
		"an unknown scheme":                   {Settings{Scheme: "rot13"}, []Secret{goodSecret}, []string{`"rot13"`}},
		"no scheme":                           {Settings{}, nil, []string{"scheme"}},
		"no secret":                           {hmac(func(*Settings) {}), nil, []string{"needs a secret"}},
		"secrets are counted from one, and each is reported": {
			hmac(func(*Settings) {}), []Secret{goodSecret, "short-sesame", "", " 0123456789abcdef"},
			[]string{"secret 2 is 12 bytes", "secret 3 is empty", "secret 4 has white space"},
		},
		"the provider dictates a shorter secret": {hmac(func(s *Settings) { s.SecretLength = 5 }), []Secret{"12345"}, nil},
		"a secret is measured after decoding": {
			hmac(func(s *Settings) { s.SecretEncoding = "hex" }), []Secret{"00112233445566778899"}, []string{"10 bytes"},
		},
		"a secret that is not what it is said to be": {
			hmac(func(s *Settings) { s.SecretEncoding = "base64" }), []Secret{"sesame-sesame!!!"}, []string{"not base64"},
		},
		"many problems at once": {
			Settings{
				Scheme: SchemeHMAC, Hash: "md5", Encoding: "octal", SecretEncoding: "rot13", TimestampUnit: "h", Signed: "{timestamp}.{body}",
				Tolerance: -1, SecretLength: -1,
			},
			[]Secret{"short-sesame"},
			[]string{"md5", "octal", "rot13", `"h"`, "{timestamp}", "negative", "secret length", "name of a header"},
		},
		"a time that is not signed proves nothing": {
			hmac(func(s *Settings) { s.TimestampHeader = "X-Time" }), []Secret{goodSecret}, []string{"not signed"},
		},
		"a time that is signed in one form only": {
			hmac(func(s *Settings) { s.TimestampHeader, s.Signed = "X-Time", "{timestamp}{body}\n{body}" }), []Secret{goodSecret}, []string{"one form"},
		},
		"a signed time without a place": {
			hmac(func(s *Settings) { s.Signed = "{timestamp}.{body}" }), []Secret{goodSecret}, []string{"where it stands"},
		},
		"a time in two places": {
			hmac(func(s *Settings) {
				s.TimestampHeader, s.SignatureKey, s.TimestampKey, s.Signed = "X-Time", "v", "t", "{timestamp}{body}"
			}),
			[]Secret{goodSecret},
			[]string{"both set"},
		},
		"a key for the time without one for the signature": {
			hmac(func(s *Settings) { s.TimestampKey, s.Signed = "t", "{timestamp}{body}" }), []Secret{goodSecret}, []string{"without a signature key"},
		},
		"a tolerance where no time is signed": {hmac(func(s *Settings) { s.Tolerance = time.Minute }), []Secret{goodSecret}, []string{"tolerance"}},
		"an unknown placeholder":              {hmac(func(s *Settings) { s.Signed = "{body}{nonce}" }), []Secret{goodSecret}, []string{"{nonce}"}},
		"a placeholder that does not end":     {hmac(func(s *Settings) { s.Signed = "{body" }), []Secret{goodSecret}, []string{"no }"}},
		"a field without a name":              {hmac(func(s *Settings) { s.Signed = "{field:a|}" }), []Secret{goodSecret}, []string{"needs a name"}},
		"a body with a name":                  {hmac(func(s *Settings) { s.Signed = "{body:x}" }), []Secret{goodSecret}, []string{"takes no name"}},
		"nothing of the request":              {hmac(func(s *Settings) { s.Signed = "constant{lf}{method}" }), []Secret{goodSecret}, []string{"nothing of the request"}},
		"a header that is none":               {hmac(func(s *Settings) { s.Headers = []string{"X Y", "", "a_b", "A-B"} }), []Secret{goodSecret}, []string{`"X Y"`, "no name", "listed twice"}},
		"the URL is signed and not known":     {hmac(func(s *Settings) { s.Signed = "{url}" }), []Secret{goodSecret}, []string{"public URL"}},
		"Twilio without a public URL":         {Settings{Scheme: SchemeTwilio}, []Secret{goodSecret}, []string{"public URL"}},
		"a public URL that is none":           {Settings{Scheme: SchemeTwilio, PublicURL: "hooks.example.com"}, []Secret{goodSecret}, []string{"like https://"}},
		"a public URL with a password":        {Settings{Scheme: SchemeTwilio, PublicURL: "https://u:sesame@h"}, []Secret{goodSecret}, []string{"password"}},
		"a public URL with a query":           {Settings{Scheme: SchemeTwilio, PublicURL: "https://h?"}, []Secret{goodSecret}, []string{"query"}},
		"a public URL with a path":            {Settings{Scheme: SchemeTwilio, PublicURL: "https://h/hooks/"}, []Secret{goodSecret}, nil},
		"settings that do nothing": {
			Settings{
				Scheme: SchemeBearer, Hash: "sha1", Encoding: "hex", Prefix: "x", SignatureKey: "k", TimestampKey: "t", Signed: "{body}",
				TimestampHeader: "T", SecretEncoding: "hex", Keys: []string{"k"},
			},
			[]Secret{goodSecret},
			[]string{"hash", "encoding", "prefix", "signature key", "timestamp key", "signed", "timestamp header", "secret encoding", "keys"},
		},
		"headers for a token in the path":           {Settings{Scheme: SchemePathToken, Headers: []string{"X"}}, []Secret{goodSecret}, []string{"headers"}},
		"a token that a path cannot hold":           {Settings{Scheme: SchemePathToken}, []Secret{"sesame/0123456789"}, []string{"path"}},
		"a bearer that a header cannot hold":        {Settings{Scheme: SchemeBearer}, []Secret{"sesame\n0123456789"}, []string{"header cannot hold"}},
		"basic without a user":                      {Settings{Scheme: SchemeBasic}, []Secret{goodSecret}, []string{"user:password"}},
		"basic: the password counts":                {Settings{Scheme: SchemeBasic}, []Secret{"a-long-user-name:sesame"}, []string{"6 bytes"}},
		"a header scheme without a header":          {Settings{Scheme: SchemeHeader}, []Secret{goodSecret}, []string{"name of a header"}},
		"RSA without a key":                         {Settings{Scheme: SchemeRSA, Headers: []string{"X"}}, nil, []string{"needs a key"}},
		"a key that is none":                        {Settings{Scheme: SchemeRSA, Headers: []string{"X"}}, []Secret{"sesame !"}, []string{"key 1 is neither PEM nor base64"}},
		"a published key that is none":              {Settings{Scheme: SchemeRSA, Headers: []string{"X"}, Keys: []string{"AAAA"}}, nil, []string{"key 1 is no public key"}},
		"an Ed25519 key for RSA":                    {Settings{Scheme: SchemeRSA, Headers: []string{"X"}}, []Secret{"oJql9HpnWYAv+VX43C0qFKXJnSO+l/hkEn/5ODRVpPA="}, []string{"no RSA key"}},
		"a private key":                             {Settings{Scheme: SchemeEd25519, Headers: []string{"X"}}, []Secret{"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}, []string{"private key"}},
		"two keys in one":                           {Settings{Scheme: SchemeRSA, Headers: []string{"X"}}, []Secret{"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}, []string{"more than one"}},
		"an RSA key that is too short":              {Settings{Scheme: SchemeRSA, Headers: []string{"X"}}, []Secret{shortRSA}, []string{"1024 bits"}},
		"a private key of Standard Webhooks":        {Settings{Scheme: SchemeStandardWebhooks}, []Secret{"whsk_AAAA"}, []string{"private key"}},
		"a public key of Standard Webhooks, cut":    {Settings{Scheme: SchemeStandardWebhooks}, []Secret{"whpk_AAAA"}, []string{"no public key"}},
		"a secret of Standard Webhooks, too short":  {Settings{Scheme: SchemeStandardWebhooks}, []Secret{"whsec_AAAA"}, []string{"3 bytes"}},
		"a header of Standard Webhooks without end": {Settings{Scheme: SchemeStandardWebhooks, Headers: []string{"X-Sig"}}, []Secret{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, []string{"-signature"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := New(test.settings, test.secrets)
			if (err == nil) != (len(test.want) == 0) || (v == nil) != (err != nil) {
				t.Fatalf("New: %v, %v", v != nil, err)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not have %q", err, part)
				}
			}
			if err != nil && strings.Contains(err.Error(), "sesame") {
				t.Errorf("the error repeats a secret: %q", err)
			}
		})
	}
}

const shortRSA = `-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCjy0WeZ6fREXnkZhDBI5XtmKPL
a0wLkt/N9GA04bD8ZQsycqY7abE4bv0CfxoIwYiDM2yjRLkvo6oiaEQO3q3FWGiH
U2UyY+M2ogYwepDPtO+1Amoh41zT58OtzC9LzLrvCNjhJjwwhELRotgOkQP7MpCW
+elke/dVx8woD36lNwIDAQAB
-----END PUBLIC KEY-----`

// TestPublicKeysMayComeInSeveralForms reads the same key in all of them.
func TestPublicKeysMayComeInSeveralForms(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der := func(public any) []byte {
		encoded, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		return encoded
	}
	block := func(kind string, content []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
	}
	tests := map[string]struct {
		scheme Scheme
		key    string
	}{
		"RSA in PEM":               {SchemeRSA, block("PUBLIC KEY", der(&private.PublicKey))},
		"RSA in the older PEM":     {SchemeRSA, block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&private.PublicKey))},
		"RSA in base64":            {SchemeRSA, base64.StdEncoding.EncodeToString(der(&private.PublicKey))},
		"RSA in base64, in lines":  {SchemeRSA, strings.TrimSuffix(strings.TrimPrefix(block("X", der(&private.PublicKey)), "-----BEGIN X-----"), "-----END X-----\n")},
		"Ed25519 in PEM":           {SchemeEd25519, block("PUBLIC KEY", der(edPublic))},
		"Ed25519 as its 32 bytes":  {SchemeEd25519, base64.StdEncoding.EncodeToString(edPublic)},
		"Ed25519 in base64 of DER": {SchemeEd25519, base64.StdEncoding.EncodeToString(der(edPublic))},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := New(Settings{Scheme: test.scheme, Headers: []string{"X-Signature"}, Keys: []string{test.key}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			switch k := v.keys[0].(type) {
			case rsaKey:
				if !k.public.Equal(&private.PublicKey) {
					t.Error("another key")
				}
			case edKey:
				if !k.public.Equal(edPublic) {
					t.Error("another key")
				}
			default:
				t.Errorf("%T", k)
			}
		})
	}
}

func TestMergeLetsTheConfigurationRefineAnAdapter(t *testing.T) {
	vapi := Settings{
		Scheme: SchemeHMAC, Headers: []string{"X-Signature"}, TimestampHeader: "X-Timestamp", TimestampUnit: "s", Tolerance: time.Minute,
		Signed: "{timestamp}.{body}",
	}
	tests := map[string]struct{ over, want Settings }{
		"nothing changes nothing": {Settings{}, vapi},
		"a set field wins": {
			Settings{Hash: "sha512", Headers: []string{"X-Other"}, Tolerance: time.Hour},
			Settings{
				Scheme: SchemeHMAC, Hash: "sha512", Headers: []string{"X-Other"}, TimestampHeader: "X-Timestamp", TimestampUnit: "s",
				Tolerance: time.Hour, Signed: "{timestamp}.{body}",
			},
		},
		"another scheme begins anew": {
			Settings{Scheme: SchemeBearer}, Settings{Scheme: SchemeBearer},
		},
		"a text without a time needs no time": {
			Settings{Signed: "{body}"}, Settings{Scheme: SchemeHMAC, Headers: []string{"X-Signature"}, Signed: "{body}"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := vapi.Merge(test.over); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestDefaultsAreWhatNewUses(t *testing.T) {
	for _, f := range readVectors(t) {
		full := f.settings.WithDefaults()
		if again := full.WithDefaults(); !reflect.DeepEqual(full, again) {
			t.Errorf("%s: defaults of defaults differ: %+v, %+v", f.name, full, again)
		}
		v, err := New(full, f.secrets)
		if err != nil {
			t.Errorf("%s: %v", f.name, err)
			continue
		}
		if !reflect.DeepEqual(v.settings, full) {
			t.Errorf("%s: New uses %+v", f.name, v.settings)
		}
	}
}

func TestNamesAndSecretHeaders(t *testing.T) {
	names := map[string]string{
		"synthflow": "hmac-sha256", "vapi_hmac_svix": "hmac-sha512", "hmac_sha1": "hmac-sha1", "voxia": "rsa-sha256", "telnyx": "ed25519",
		"vapi_header": "header", "bearer": "bearer", "basic": "basic", "path_token": "path-token", "standard_webhooks": "standard-webhooks",
		"twilio": "twilio",
	}
	for _, f := range readVectors(t) {
		v := f.verifier(t)
		if want, ok := names[f.name]; ok && v.Name() != want {
			t.Errorf("%s: Name() = %q", f.name, v.Name())
		}
		if got, want := v.IsSecretHeader("Authorization"), f.name == "bearer" || f.name == "basic"; got != want {
			t.Errorf("%s: IsSecretHeader(Authorization) = %v", f.name, got)
		}
		if got := v.IsSecretHeader("x_vapi_secret"); got != (f.name == "vapi_header") {
			t.Errorf("%s: IsSecretHeader(x_vapi_secret) = %v", f.name, got)
		}
		if got := v.UsesPathToken(); got != (f.name == "path_token") {
			t.Errorf("%s: UsesPathToken() = %v", f.name, got)
		}
		if printed := fmt.Sprintf("%v %+v %#v %s", v, v, v, v.secrets); strings.Contains(printed, string(f.secrets[0])) && v.settings.symmetric() {
			t.Errorf("%s: printing the verifier shows a secret", f.name)
		}
	}
}
