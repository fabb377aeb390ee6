// Package access decides who may read and operate a server: readers are known by a bearer token or by a client certificate, and
// their roles decide which methods they may call. The doors of webhooks are no part of it; those prove each request by itself.
//
// A request is judged before its body is read. What is not allowed in so many words is refused: an unknown method, a route that
// the gate was not told of, a process without readers that listens beyond loopback.
package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/callnorm/callnorm/internal/signature"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Errors of the gate. They carry their gRPC status. Their texts never repeat a credential.
var (
	ErrUnauthenticated error = &denial{codes.Unauthenticated, `a reader's credential is needed: send "Authorization: Bearer TOKEN" ` +
		`with a token of a reader from the configuration, or connect with its client certificate`}
	ErrForbidden error = &denial{codes.PermissionDenied, "the reader lacks a role"}
	ErrForeign   error = &denial{codes.PermissionDenied, "the request seems to come from a web page of another site"}
)

// denial is an error that knows its code.
type denial struct {
	code codes.Code
	text string
}

// Error returns the text.
func (d *denial) Error() string { return d.text }

// GRPCStatus returns the status.
func (d *denial) GRPCStatus() *status.Status { return status.New(d.code, d.text) }

// denied tells whether an error is the gate's.
func denied(err error) bool { return errors.As(err, new(*denial)) }

// Reader is somebody who may call the server.
type Reader struct {
	// Name is the reader's in messages.
	Name  string
	Roles []Role
	// Tokens are bearer tokens; each of them opens, so that they can be rotated. An empty one never does.
	Tokens []signature.Secret
	// Certificates are names of client certificates: the subject's common name, a DNS name or a URI (SPIFFE) of the leaf. An
	// empty one never opens.
	Certificates []string
}

// Gate knows the readers. Its methods may be called from many goroutines.
type Gate struct {
	policy  Policy
	key     [sha256.Size]byte // hides the lengths and the order of tokens from those who measure time
	readers atomic.Pointer[set]

	mu   sync.Mutex
	held map[*hold]struct{}
}

// set is what one configuration says.
type set struct {
	readers []Reader
	tokens  []token
}

// token stands for a reader's token.
type token struct {
	digest [sha256.Size]byte
	reader int
}

// New returns a gate without readers.
func New(policy Policy) *Gate {
	g := &Gate{policy: policy, held: map[*hold]struct{}{}}
	_, _ = rand.Read(g.key[:]) // never fails
	g.Set(nil)
	return g
}

// Set replaces the readers at once: requests are judged by the old ones or by the new ones. What is open for a reader who may no
// longer have it is ended.
func (g *Gate) Set(readers []Reader) {
	next := &set{}
	for i, reader := range readers {
		next.readers = append(next.readers, Reader{
			Name: reader.Name, Roles: slices.Clone(reader.Roles), Certificates: slices.Clone(reader.Certificates),
		})
		for _, secret := range reader.Tokens {
			if secret != "" {
				next.tokens = append(next.tokens, token{g.digest(string(secret)), i})
			}
		}
	}
	g.readers.Store(next)
	g.mu.Lock()
	defer g.mu.Unlock()
	for h := range g.held {
		h.judge(g)
	}
}

// Open tells whether everyone may do everything: there are no readers, and the policy allows that.
func (g *Gate) Open() bool { return g.open(g.readers.Load()) }

func (g *Gate) open(s *set) bool { return g.policy.OpenHouse && len(s.readers) == 0 }

func (g *Gate) digest(token string) (digest [sha256.Size]byte) {
	mac := hmac.New(sha256.New, g.key[:])
	mac.Write([]byte(token))
	mac.Sum(digest[:0])
	return digest
}

// Authenticate returns who sent a request. The error is ErrUnauthenticated.
func (g *Gate) Authenticate(r *http.Request) (Principal, error) {
	return g.judge(g.credential(r.Header["Authorization"], r.TLS))
}

// credential is what a request shows, in a form that can be kept to judge it again.
type credential struct {
	fault  string // what is wrong with it
	digest *[sha256.Size]byte
	leaf   *x509.Certificate
}

// credential takes the values of Authorization and the state of a connection. If there is an Authorization, it decides alone.
func (g *Gate) credential(values []string, state *tls.ConnectionState) credential {
	switch {
	case len(values) > 1:
		return credential{fault: "the request has several"}
	case len(values) == 1:
		scheme, text, _ := strings.Cut(values[0], " ")
		if text = strings.Trim(text, " "); !strings.EqualFold(scheme, "Bearer") || text == "" {
			return credential{fault: "the request's is not of this form"}
		}
		digest := g.digest(text)
		return credential{digest: &digest}
	case state != nil && len(state.VerifiedChains) > 0 && len(state.VerifiedChains[0]) > 0:
		return credential{leaf: state.VerifiedChains[0][0]} // All chains begin with it.
	}
	return credential{fault: "the request has none"}
}

// judge finds the reader of a credential.
func (g *Gate) judge(shown credential) (Principal, error) {
	readers := g.readers.Load()
	if g.open(readers) {
		return Principal{Name: "everyone", roles: []Role{RoleOperate}, gate: g, shown: shown}, nil
	}
	var found int
	switch {
	case shown.fault != "":
		return Principal{}, fmt.Errorf("%w; %s", ErrUnauthenticated, shown.fault)
	case shown.digest != nil:
		found = readers.byToken(shown.digest)
	case time.Now().After(shown.leaf.NotAfter): // The connection may be older than that.
		return Principal{}, fmt.Errorf("%w; the certificate of this connection has expired", ErrUnauthenticated)
	default:
		found = slices.IndexFunc(readers.readers, func(r Reader) bool { return r.named(shown.leaf) })
	}
	if found < 0 {
		return Principal{}, fmt.Errorf("%w; no reader has this one", ErrUnauthenticated)
	}
	reader := readers.readers[found]
	return Principal{Name: reader.Name, roles: reader.Roles, gate: g, shown: shown}, nil
}

// byToken returns the index of the reader who has the token, or -1. It compares all of them, whichever fits.
func (s *set) byToken(digest *[sha256.Size]byte) int {
	found := -1
	for i := range s.tokens {
		same := subtle.ConstantTimeCompare(s.tokens[i].digest[:], digest[:])
		found = subtle.ConstantTimeSelect(same, s.tokens[i].reader, found)
	}
	return found
}

// named tells whether one of the reader's names is the certificate's.
func (r *Reader) named(leaf *x509.Certificate) bool {
	return slices.ContainsFunc(r.Certificates, func(name string) bool {
		return name != "" && (name == leaf.Subject.CommonName ||
			slices.ContainsFunc(leaf.DNSNames, func(dns string) bool { return strings.EqualFold(dns, name) }) ||
			slices.ContainsFunc(leaf.URIs, func(uri *url.URL) bool { return uri.String() == name }))
	})
}

// Principal is who sent a request.
type Principal struct {
	// Name is the reader's.
	Name  string
	roles []Role
	gate  *Gate
	shown credential
}

// May tells whether the principal may call a method, given by its full name. The error is ErrForbidden. The zero Principal may
// nothing.
func (p Principal) May(method string) error {
	if p.gate == nil {
		return ErrUnauthenticated
	}
	need := p.gate.policy.role(method)
	if slices.Contains(p.roles, need) || slices.Contains(p.roles, RoleOperate) {
		return nil
	}
	return fmt.Errorf("%w: %q needs %q for this; add it to the reader's roles in the configuration", ErrForbidden, p.Name, need)
}

// Operates tells whether the principal may do everything.
func (p Principal) Operates() bool { return slices.Contains(p.roles, RoleOperate) }

// principalKey is the key of a context's principal.
type principalKey struct{}

// With returns a context of requests that the principal sent.
func With(ctx context.Context, principal Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, principal)
}

// From returns the principal of a request. Without one, it is the zero Principal, who may nothing.
func From(ctx context.Context) Principal {
	principal, _ := ctx.Value(principalKey{}).(Principal)
	return principal
}
