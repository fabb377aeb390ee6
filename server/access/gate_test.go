package access_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/server/access"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	readMethod    = "/test.Calls/Read"
	ingestMethod  = "/test.Calls/Ingest"
	operateMethod = "/test.Calls/Operate"
	forgotten     = "/test.Calls/Forgotten"
	followMethod  = "/test.Calls/Follow"
)

var policy = access.Policy{Methods: map[string]access.Role{
	readMethod: access.RoleRead, ingestMethod: access.RoleIngest, operateMethod: access.RoleOperate, followMethod: access.RoleRead,
	"/empty": "",
}}

// readers are one of each role, and one of two.
func readers() []access.Reader {
	return []access.Reader{
		{Name: "dashboard", Roles: []access.Role{access.RoleRead}, Tokens: []signature.Secret{"read-token-1234567", "", "read-token-next-12"}},
		{Name: "relay", Roles: []access.Role{access.RoleIngest}, Tokens: []signature.Secret{"ingest-token-12345"}},
		{
			Name: "night shift", Roles: []access.Role{access.RoleOperate}, Tokens: []signature.Secret{"operate-token-1234"},
			Certificates: []string{"", "night-shift", "Ops.example.com", "spiffe://example.com/ops"},
		},
		{Name: "both", Roles: []access.Role{access.RoleRead, access.RoleIngest}, Tokens: []signature.Secret{"both-token-1234567"}},
		{Name: "nobody yet", Roles: []access.Role{access.RoleOperate}, Tokens: []signature.Secret{""}, Certificates: []string{""}},
	}
}

func newGate() *access.Gate {
	gate := access.New(policy)
	gate.Set(readers())
	return gate
}

func TestToken(t *testing.T) {
	gate := newGate()
	for name, test := range map[string]struct {
		values []string
		want   string // the reader's name, or nothing for a refusal
	}{
		"a token":                               {[]string{"Bearer read-token-1234567"}, "dashboard"},
		"the next token of the same reader":     {[]string{"Bearer read-token-next-12"}, "dashboard"},
		"the scheme in other letters":           {[]string{"bEARER ingest-token-12345"}, "relay"},
		"several blanks":                        {[]string{"Bearer   operate-token-1234 "}, "night shift"},
		"nothing":                               {nil, ""},
		"an empty value":                        {[]string{""}, ""},
		"the scheme alone":                      {[]string{"Bearer"}, ""},
		"an empty token":                        {[]string{"Bearer "}, ""},
		"blanks for a token":                    {[]string{"Bearer    "}, ""},
		"the token alone":                       {[]string{"read-token-1234567"}, ""},
		"a wrong token":                         {[]string{"Bearer read-token-1234568"}, ""},
		"a token in capitals":                   {[]string{"Bearer READ-TOKEN-1234567"}, ""},
		"the beginning of a token":              {[]string{"Bearer read-token-123456"}, ""},
		"a token and more":                      {[]string{"Bearer read-token-12345678"}, ""},
		"another scheme":                        {[]string{"Basic read-token-1234567"}, ""},
		"a tab for a blank":                     {[]string{"Bearer\tread-token-1234567"}, ""},
		"two values":                            {[]string{"Bearer read-token-1234567", "Bearer read-token-1234567"}, ""},
		"two values, the first of them empty":   {[]string{"", "Bearer read-token-1234567"}, ""},
		"two values in one":                     {[]string{"Bearer read-token-1234567, Bearer read-token-1234567"}, ""},
		"the printed form of a token":           {[]string{"Bearer [redacted]"}, ""},
		"a reader's name":                       {[]string{"Bearer dashboard"}, ""},
		"a huge token":                          {[]string{"Bearer " + strings.Repeat("x", 10<<20)}, ""},
		"a token that is huge, rightly begun":   {[]string{"Bearer read-token-1234567" + strings.Repeat("\x00", 10<<20)}, ""},
		"a token that is not UTF-8":             {[]string{"Bearer \xff\xfe"}, ""},
		"a token followed by a line of its own": {[]string{"Bearer read-token-1234567\r\n"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequest(http.MethodGet, "/", nil)
			request.Header["Authorization"] = test.values
			principal, err := gate.Authenticate(request)
			if principal.Name != test.want || (err == nil) != (test.want != "") {
				t.Fatalf("got %q, %v; want %q", principal.Name, err, test.want)
			}
			if err == nil {
				return
			}
			if !errors.Is(err, access.ErrUnauthenticated) || status.Code(err) != codes.Unauthenticated {
				t.Errorf("got %v with code %v", err, status.Code(err))
			}
			if text := err.Error(); len(text) > 400 || strings.Contains(text, "token-") || strings.Contains(text, "redacted") {
				t.Errorf("the error repeats the credential: %.400s", text)
			}
		})
	}
}

func TestRole(t *testing.T) {
	gate := newGate()
	const health, reflection = "/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
	all := []string{readMethod, ingestMethod, operateMethod, forgotten, "/empty", "", "/", health, reflection}
	for name, test := range map[string]struct {
		token string
		may   []string
	}{
		"reading":                {"read-token-1234567", []string{readMethod, health, reflection}},
		"handing in":             {"ingest-token-12345", []string{ingestMethod}},
		"operating":              {"operate-token-1234", all},
		"reading and handing in": {"both-token-1234567", []string{readMethod, ingestMethod, health, reflection}},
	} {
		t.Run(name, func(t *testing.T) {
			principal := authenticate(t, gate, test.token)
			may := map[string]bool{}
			for _, method := range test.may {
				may[method] = true
			}
			for _, method := range all {
				switch err := principal.May(method); {
				case may[method] && err != nil:
					t.Errorf("%s: %v", method, err)
				case !may[method] && (!errors.Is(err, access.ErrForbidden) || status.Code(err) != codes.PermissionDenied):
					t.Errorf("%s: got %v", method, err)
				}
			}
		})
	}
	if err := (access.Principal{}).May(readMethod); !errors.Is(err, access.ErrUnauthenticated) {
		t.Errorf("nobody may read: %v", err)
	}
	if err := access.From(t.Context()).May(readMethod); !errors.Is(err, access.ErrUnauthenticated) {
		t.Errorf("a context of nobody may read: %v", err)
	}
}

func TestAPolicyCanNameTheMethodsOfGRPC(t *testing.T) {
	gate := access.New(access.Policy{Methods: map[string]access.Role{"/grpc.health.v1.Health/Check": access.RoleIngest}})
	gate.Set(readers())
	if err := authenticate(t, gate, "ingest-token-12345").May("/grpc.health.v1.Health/Check"); err != nil {
		t.Error(err)
	}
}

func TestCertificate(t *testing.T) {
	gate := newGate()
	issuer := newAuthority(t, "test")
	for name, test := range map[string]struct {
		template x509.Certificate
		want     bool
	}{
		"its common name":            {x509.Certificate{Subject: pkix.Name{CommonName: "night-shift"}}, true},
		"a DNS name":                 {x509.Certificate{DNSNames: []string{"a.example.com", "ops.EXAMPLE.com"}}, true},
		"a SPIFFE id":                {x509.Certificate{URIs: []*url.URL{parseURL(t, "spiffe://example.com/ops")}}, true},
		"no name at all":             {x509.Certificate{}, false},
		"a common name in capitals":  {x509.Certificate{Subject: pkix.Name{CommonName: "NIGHT-SHIFT"}}, false},
		"a wildcard":                 {x509.Certificate{DNSNames: []string{"*.example.com"}}, false},
		"a name below":               {x509.Certificate{DNSNames: []string{"x.ops.example.com"}}, false},
		"a SPIFFE id below":          {x509.Certificate{URIs: []*url.URL{parseURL(t, "spiffe://example.com/ops/x")}}, false},
		"an organization":            {x509.Certificate{Subject: pkix.Name{Organization: []string{"night-shift"}}}, false},
		"a mail address":             {x509.Certificate{EmailAddresses: []string{"night-shift"}}, false},
		"one that expired meanwhile": {x509.Certificate{Subject: pkix.Name{CommonName: "night-shift"}, NotAfter: time.Now().Add(-time.Second)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			leaf, _, _ := issuer.issue(t, &test.template)
			request := httptest.NewRequest(http.MethodGet, "/", nil)
			request.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf, issuer.leaf}}}
			if principal, err := gate.Authenticate(request); (err == nil) != test.want {
				t.Errorf("got %q, %v", principal.Name, err)
			}
			request.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
			if _, err := gate.Authenticate(request); !errors.Is(err, access.ErrUnauthenticated) {
				t.Errorf("a certificate that nobody verified: got %v", err)
			}
			request.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf, issuer.leaf}}}
			request.Header.Set("Authorization", "Bearer read-token-1234567")
			if principal, err := gate.Authenticate(request); principal.Name != "dashboard" {
				t.Errorf("with a token beside it: got %q, %v", principal.Name, err)
			}
			request.Header.Set("Authorization", "Bearer wrong")
			if _, err := gate.Authenticate(request); !errors.Is(err, access.ErrUnauthenticated) {
				t.Errorf("with a wrong token beside it: got %v", err)
			}
		})
	}
}

func TestWithoutReaders(t *testing.T) {
	for name, test := range map[string]struct {
		house, open bool
		readers     []access.Reader
	}{
		"closed beyond loopback":                 {false, false, nil},
		"open on loopback":                       {true, true, nil},
		"closed by one reader":                   {true, false, readers()[:1]},
		"closed by one who cannot be recognized": {true, false, readers()[4:]},
	} {
		t.Run(name, func(t *testing.T) {
			gate := access.New(access.Policy{OpenHouse: test.house})
			gate.Set(test.readers)
			if gate.Open() != test.open {
				t.Errorf("open: %v", gate.Open())
			}
			principal, err := gate.Authenticate(httptest.NewRequest(http.MethodGet, "/", nil))
			if err == nil {
				err = principal.May(operateMethod)
			}
			if (err == nil) != test.open {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestParseRole(t *testing.T) {
	for _, role := range access.Roles() {
		if got, err := access.ParseRole(string(role)); got != role || err != nil {
			t.Errorf("%s: got %q, %v", role, got, err)
		}
	}
	for _, text := range []string{"", "Read", "admin", "read "} {
		if got, err := access.ParseRole(text); got != "" || err == nil {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}

// A token that is in the old and in the new configuration is never refused, and one that is in one of them is found or refused.
func TestRotationUnderLoad(t *testing.T) {
	gate := access.New(policy)
	reader := func(tokens ...signature.Secret) []access.Reader {
		return []access.Reader{{Name: "dashboard", Roles: []access.Role{access.RoleRead}, Tokens: tokens}}
	}
	gate.Set(reader("stays", "old"))
	done := make(chan struct{})
	var callers sync.WaitGroup
	for _, token := range []string{"stays", "stays", "new", "wrong"} {
		callers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				principal, err := gate.Authenticate(bearer(token))
				switch {
				case err == nil && token == "wrong", err != nil && token == "stays":
					t.Errorf("%s: got %v", token, err)
					return
				case err == nil && principal.Name != "dashboard":
					t.Errorf("%s: got %q", token, principal.Name)
					return
				}
			}
		})
	}
	for i := range 2000 {
		gate.Set(reader("stays", []signature.Secret{"old", "new"}[i%2]))
	}
	close(done)
	callers.Wait()
}

func TestNothingPrintsACredential(t *testing.T) {
	principal := authenticate(t, newGate(), "read-token-1234567")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, value := range []any{principal, readers()[0]} {
			if text := fmt.Sprintf(verb, value); strings.Contains(text, "token-1234567") {
				t.Errorf("%s of a %T shows a token: %s", verb, value, text)
			}
		}
	}
}

// bearer is a request with a token.
func bearer(token string) *http.Request {
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("Authorization", "Bearer "+token)
	return request
}

func authenticate(t *testing.T, gate *access.Gate, token string) access.Principal {
	t.Helper()
	principal, err := gate.Authenticate(bearer(token))
	if err != nil {
		t.Fatal(err)
	}
	return principal
}
