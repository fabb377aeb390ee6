package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters/synthflow"
	"github.com/callnorm/callnorm/adapters/voxia"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/server/bounds"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
)

const (
	newSecret = "new-secret-0123456789"
	oldSecret = "old-secret-0123456789"
)

// doors starts a system with one source for each way to prove a delivery, all of them Synthflow's apart from Voxia's own.
func doors(t *testing.T, dir string, proxies bounds.Proxies) (*system, map[string]intake.Source, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	with := setup{adapters: all(), proxies: proxies}
	sources := map[string]intake.Source{}
	for name, settings := range map[string]signature.Settings{
		"own":      synthflow.New().Signature(),
		"body":     overBody,
		"bearer":   {Scheme: signature.SchemeBearer},
		"basic":    {Scheme: signature.SchemeBasic},
		"header":   {Scheme: signature.SchemeHeader, Headers: []string{"X-Api-Key"}},
		"path":     {Scheme: signature.SchemePathToken},
		"standard": {Scheme: signature.SchemeStandardWebhooks},
		"twilio":   {Scheme: signature.SchemeTwilio, PublicURL: "https://hooks.example.com"},
	} {
		secrets := []signature.Secret{newSecret, oldSecret}
		switch name {
		case "basic":
			secrets = []signature.Secret{"user:" + newSecret, "user:" + oldSecret}
		case "standard":
			secrets = []signature.Secret{"whsec_bmV3LXNlY3JldC0wMTIzNDU2Nzg5bmV3"}
		}
		sources[name] = proved(t, intake.Source{Name: name, Adapter: with.adapters[0], Provider: "synthflow", MaxBody: 1 << 20}, settings, secrets...)
	}
	sources["voxia"] = proved(t, intake.Source{Name: "voxia", Adapter: with.adapters[1], Provider: "voxia", MaxBody: 1 << 20},
		voxia.New().Signature(), signature.Secret(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	for _, source := range sources {
		with.sources = append(with.sources, source)
	}
	return with.start(t, dir), sources, key
}

// sending is what a provider sends to a source, with the source's first secret or the private key.
func sending(t *testing.T, source intake.Source, key *rsa.PrivateKey, body []byte) (path string, header http.Header) {
	t.Helper()
	request := signature.Request{Method: http.MethodPost, Path: "/v1/webhooks/" + source.Name, Header: http.Header{}, Body: body, Time: time.Now()}
	var err error
	if source.Adapter.Name() == "voxia" {
		request, err = source.Verifier.SignWith(request, key)
	} else {
		request, err = source.Verifier.Sign(request)
	}
	if err != nil {
		t.Fatal(err)
	}
	path = request.Path
	if request.Token != "" {
		path += "/" + request.Token
	}
	if request.Query != "" {
		path += "?" + request.Query
	}
	return path, request.Header
}

func TestWhatProvesADeliveryIsTold(t *testing.T) {
	s, sources, key := doors(t, t.TempDir(), nil)
	tests := map[string]struct {
		by, part string
		warned   bool
	}{
		"own":      {"hmac-sha256", "field call.call_id", true},
		"body":     {"hmac-sha256", "body", false},
		"voxia":    {"rsa-sha256", "body without white space", false},
		"standard": {"standard-webhooks", "body", false},
		"twilio":   {"twilio", "url", false},
		"bearer":   {"bearer", "", false},
		"basic":    {"basic", "", false},
		"header":   {"header", "", false},
		"path":     {"path-token", "", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			source := sources[name]
			body := []byte(source.Adapter.Example())
			path, header := sending(t, source, key, body)
			code, _, text := s.post(t, path, header, body)
			answer := taken(t, code, text)
			if len(answer.GetOutcomes()) != 1 {
				t.Fatalf("%v", answer)
			}
			got, err := s.outcomes.GetOutcome(t.Context(), &callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_Name{Name: answer.GetOutcomes()[0].GetName()}})
			if err != nil {
				t.Fatal(err)
			}
			provenance := got.GetOutcome().GetProvenance()
			ref := provenance.GetDeliveries()[0]
			if parts := ref.GetSignedParts(); ref.GetVerifiedBy() != test.by || !slices.Equal(parts, source.Verifier.Signed()) ||
				(test.part == "") != (len(parts) == 0) || test.part != "" && !strings.Contains(strings.Join(parts, ", "), test.part) {
				t.Errorf("proved by %q, signed are %q", ref.GetVerifiedBy(), parts)
			}
			warned := slices.ContainsFunc(provenance.GetWarnings(), func(w *callnormv1.Warning) bool {
				return w.GetKind() == callnormv1.WarningKind_WARNING_KIND_BODY_NOT_SIGNED
			})
			if warned != test.warned {
				t.Errorf("warned that the body is not signed: %v", warned)
			}
			kept := s.get(t, answer.GetDelivery())
			if kept.GetVerifiedBy() != test.by || kept.GetPath() != "/v1/webhooks/"+name || !bytes.Equal(kept.GetBody(), body) {
				t.Errorf("kept as %v", kept)
			}
			if shown := prototext.Format(kept); strings.Contains(shown, newSecret) || strings.Contains(shown, "dXNlcjpuZXct") {
				t.Errorf("the secret is kept: %s", shown)
			}
			for _, line := range kept.GetHeaders() {
				if strings.EqualFold(line.GetName(), "Authorization") || line.GetName() == "X-Api-Key" {
					if line.GetValue() != "[redacted]" {
						t.Errorf("%v", line)
					}
				}
			}
		})
	}
}

func TestTheDoorRefusesWhatIsNotProved(t *testing.T) {
	s, sources, key := doors(t, t.TempDir(), nil)
	for name, source := range sources {
		t.Run(name, func(t *testing.T) {
			body := []byte(source.Adapter.Example())
			path, header := sending(t, source, key, body)
			bare := "/v1/webhooks/" + name
			tests := map[string]struct {
				path   string
				header http.Header
				body   []byte
			}{
				"without a proof": {bare, http.Header{"X-Fine": {"1"}}, body},
				"with a wrong one": {strings.Replace(path, newSecret, "wrong-secret-0123456789", 1), func() http.Header {
					other := header.Clone()
					for name, values := range other {
						other.Set(name, strings.ToUpper(values[0])+"x")
					}
					return other
				}(), body},
				"with another source's": {bare, http.Header{
					"Authorization": {"Bearer other-secret-0123456789"}, "X-Api-Key": {"other-secret-0123456789"}, "X-Signature": {strings.Repeat("0", 64)},
				}, body},
				"with an empty one": {bare + "//", http.Header{"Authorization": {""}, "X-Api-Key": {""}, "X-Signature": {""}, "Synthflow-Signature": {""}}, body},
			}
			if source.Verifier.SignsBody() {
				tests["with another body"] = struct {
					path   string
					header http.Header
					body   []byte
				}{path, header, append([]byte("[]"), body...)}
			}
			for title, test := range tests {
				code, _, text := s.post(t, test.path, test.header, test.body)
				if title == "with an empty one" && code == http.StatusNotFound {
					continue
				}
				if code != http.StatusUnauthorized || refusal(t, text) != "NOT_VERIFIED" {
					t.Errorf("%s: %d %s", title, code, text)
				}
			}
		})
	}
	if n := s.count(t); n != 0 {
		t.Errorf("%d deliveries are kept", n)
	}
}

func TestSynthflowSignsTheCallAndNothingElse(t *testing.T) {
	s, sources, key := doors(t, t.TempDir(), nil)
	path, header := sending(t, sources["own"], key, call("c", "completed"))
	for name, test := range map[string]struct {
		body []byte
		code int
	}{
		"as it was signed":               {call("c", "completed"), http.StatusOK},
		"something else of the call":     {call("c", "failed"), http.StatusOK},
		"another call":                   {call("d", "completed"), http.StatusUnauthorized},
		"two calls":                      {[]byte(`{"call_id":"c","call":{"call_id":"d","status":"completed"}}`), http.StatusUnauthorized},
		"a call without an id":           {[]byte(`{"call":{"status":"completed"}}`), http.StatusUnauthorized},
		"two ids of which one is signed": {[]byte(`{"call":{"call_id":"c","call_id":"d"}}`), http.StatusUnauthorized},
		"no JSON":                        {[]byte("c"), http.StatusUnauthorized},
	} {
		code, _, text := s.post(t, path, header, test.body)
		if code != test.code {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
}

// TestThePathTokenIsNowhere looks for the token in all that is shown and in all files.
func TestThePathTokenIsNowhere(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := doors(t, dir, nil)
	body := call("c", "completed")
	send := func(path string) *callnormv1.IngestDeliveryResponse {
		code, _, text := s.post(t, path, http.Header{"X-Fine": {"1"}}, body)
		return taken(t, code, text)
	}
	first := send("/v1/webhooks/path/" + newSecret + "/completed?a=b")
	if kept := s.get(t, first.GetDelivery()); kept.GetPath() != "/v1/webhooks/path/completed" || kept.GetEvent() != "completed" || kept.GetQuery() != "a=b" {
		t.Errorf("kept as %v", kept)
	}
	if again := send("/v1/webhooks/path/" + oldSecret + "/completed?a=b"); !again.GetDuplicate() || again.GetDelivery() != first.GetDelivery() {
		t.Errorf("by another token it is another delivery: %v", again)
	}
	if other := send("/v1/webhooks/path/" + newSecret); other.GetDuplicate() {
		t.Errorf("without the event it is the same delivery: %v", other)
	}
	relayed, err := s.norm.IngestDelivery(t.Context(), &callnormv1.IngestDeliveryRequest{Source: "path", Event: newSecret, Body: &httpbody.HttpBody{Data: body}})
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("a relay brings no token in the path: %v %v", relayed, err)
	}
	for _, path := range []string{"/v1/webhooks/path", "/v1/webhooks/path/completed", "/v1/webhooks/path/" + newSecret + "x", "/v1/webhooks/path/" + newSecret + "/a/b"} {
		if code, _, text := s.post(t, path, http.Header{"X-Fine": {"1"}}, body); code == http.StatusOK || bytes.Contains(text, []byte(newSecret)) {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	listed, err := s.deliveries.ListDeliveries(t.Context(), &callnormv1.ListDeliveriesRequest{})
	if err != nil || len(listed.GetDeliveries()) != 2 || strings.Contains(prototext.Format(listed), newSecret) {
		t.Errorf("%v %v", listed, err)
	}
	s.stop()
	if log := s.log.String(); strings.Contains(log, newSecret) || strings.Contains(log, oldSecret) {
		t.Errorf("the log tells it: %s", log)
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte(newSecret)) || bytes.Contains(text, []byte(oldSecret)) {
			t.Errorf("%s holds it", entry.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestACompressedBodyIsSignedBeforeOrAfterThat(t *testing.T) {
	s, sources, key := doors(t, t.TempDir(), nil)
	for _, name := range []string{"body", "voxia", "own"} {
		body := []byte(sources[name].Adapter.Example())
		zipped := zip(t, body)
		covers := [][]byte{body, zipped}
		if name == "own" {
			covers = covers[:1] // There is no call in what is compressed.
		}
		for i, covered := range covers {
			path, header := sending(t, sources[name], key, covered)
			header.Set("Content-Encoding", "gzip")
			code, _, text := s.post(t, path, header, zipped)
			answer := taken(t, code, text)
			if answer.GetDuplicate() != (i > 0) {
				t.Errorf("%s: %v", name, answer)
			}
			if kept := s.get(t, answer.GetDelivery()); !bytes.Equal(kept.GetBody(), body) {
				t.Errorf("%s: kept as %q", name, kept.GetBody())
			}
		}
		path, header := sending(t, sources[name], key, body)
		if code, _, text := s.post(t, path, header, body); !taken(t, code, text).GetDuplicate() {
			t.Errorf("%s: not compressed it is another delivery", name)
		}
	}
	path, header := sending(t, sources["body"], key, []byte("else"))
	header.Set("Content-Encoding", "gzip")
	if code, _, text := s.post(t, path, header, zip(t, []byte("something"))); code != http.StatusUnauthorized {
		t.Errorf("signed is something else: %d %s", code, text)
	}
}

func TestAThousandCopiesAreOneRevision(t *testing.T) {
	dir := t.TempDir()
	body := call("copies", "completed")
	name := ""
	for restart := range 2 {
		s, sources, key := doors(t, dir, nil)
		path, header := sending(t, sources["body"], key, body)
		var sending sync.WaitGroup
		var mutex sync.Mutex
		fresh := 0
		for range 50 {
			sending.Go(func() {
				for range 20 {
					code, _, text := s.post(t, path, header, body)
					mutex.Lock()
					if answer := parsed(text); code != http.StatusOK || answer.GetOutcomes()[0].GetRevision() != 1 {
						t.Errorf("%d %s", code, text)
					} else if !answer.GetDuplicate() {
						fresh++
						name = answer.GetOutcomes()[0].GetName()
					}
					mutex.Unlock()
				}
			})
		}
		sending.Wait()
		if want := 1 - restart; fresh != want {
			t.Errorf("%d were new, want %d", fresh, want)
		}
		got, err := s.outcomes.GetOutcome(t.Context(), &callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_Name{Name: name}})
		if err != nil || got.GetOutcome().GetRevision() != 1 || len(got.GetOutcome().GetProvenance().GetDeliveries()) != 1 {
			t.Errorf("%v %v", got, err)
		}
		s.stop()
	}
}

// TestWhereARejectionCameFrom: only a trusted proxy is believed when it says for whom it speaks, and all that is remembered of an
// address is its class.
func TestWhereARejectionCameFrom(t *testing.T) {
	tests := map[string]struct {
		header    http.Header
		class     callnormv1.AddressClass
		forwarded bool
	}{
		"nobody speaks for it":           {http.Header{"X-Fine": {"1"}}, callnormv1.AddressClass_ADDRESS_CLASS_LOOPBACK, false},
		"from the public network":        {http.Header{"X-Forwarded-For": {"203.0.114.77"}}, callnormv1.AddressClass_ADDRESS_CLASS_PUBLIC_V4, true},
		"from the public network by IP6": {http.Header{"X-Forwarded-For": {"2a01:db8::77"}}, callnormv1.AddressClass_ADDRESS_CLASS_PUBLIC_V6, true},
		"from a private network":         {http.Header{"X-Forwarded-For": {"203.0.114.77, 10.1.2.3"}}, callnormv1.AddressClass_ADDRESS_CLASS_PRIVATE, true},
		"by several trusted proxies":     {http.Header{"X-Forwarded-For": {"203.0.114.77, 127.0.0.3", "127.0.0.2"}}, callnormv1.AddressClass_ADDRESS_CLASS_PUBLIC_V4, true},
		"nonsense":                       {http.Header{"X-Forwarded-For": {"nonsense"}}, callnormv1.AddressClass_ADDRESS_CLASS_LOOPBACK, false},
		"in other headers":               {http.Header{"Forwarded": {"for=203.0.114.77"}, "X-Real-Ip": {"203.0.114.77"}}, callnormv1.AddressClass_ADDRESS_CLASS_LOOPBACK, false},
	}
	for _, proxies := range []bounds.Proxies{nil, {netip.MustParsePrefix("127.0.0.0/8")}} {
		s, _, _ := doors(t, t.TempDir(), proxies)
		for name, test := range tests {
			if proxies == nil {
				test.class, test.forwarded = callnormv1.AddressClass_ADDRESS_CLASS_LOOPBACK, false
			}
			body := []byte("not signed")
			if code, _, text := s.post(t, "/v1/webhooks/body", test.header, body); code != http.StatusUnauthorized || bytes.Contains(text, []byte("203.0.114")) {
				t.Fatalf("%d %s", code, text)
			}
			got := rejections(t, s, "body")[0]
			if got.GetAddressClass() != test.class || got.GetForwarded() != test.forwarded || got.GetBodyBytes() != int64(len(body)) || got.GetHeaderBytes() == 0 ||
				got.GetCause() != callnormv1.RejectionCause_REJECTION_CAUSE_SIGNATURE_MISSING {
				t.Errorf("%s: %v", name, got)
			}
		}
		if _, err := s.norm.IngestDelivery(t.Context(), &callnormv1.IngestDeliveryRequest{Source: "bearer", Headers: []*callnormv1.HttpHeader{
			{Name: "X-Forwarded-For", Value: "203.0.114.77"},
		}}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%v", err)
		}
		if got := rejections(t, s, "bearer")[0]; got.GetAddressClass() != callnormv1.AddressClass_ADDRESS_CLASS_LOOPBACK || got.GetForwarded() {
			t.Errorf("by a relay: %v", got)
		}
		s.stop()
		if strings.Contains(s.log.String(), "203.0.114") {
			t.Error("the log tells an address")
		}
	}
}

// TestSecretsAreRotatedUnderLoad replaces the secrets while deliveries come in; each is signed with one that is valid at the time.
func TestSecretsAreRotatedUnderLoad(t *testing.T) {
	s, sources, key := doors(t, t.TempDir(), nil)
	old := proved(t, sources["body"], overBody, oldSecret)
	both := sources["body"]
	only := proved(t, sources["body"], overBody, newSecret)
	s.intake.Reload([]intake.Source{old})
	load := func(sign intake.Source) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		var sender sync.WaitGroup
		sender.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				body := call(fmt.Sprint(len(sign.Secrets), i), "completed")
				path, header := sending(t, sign, key, body)
				if code, _, text := s.post(t, path, header, body); code != http.StatusOK {
					t.Errorf("%d %s", code, text)
					return
				}
			}
		})
		return func() { cancel(); sender.Wait() }
	}
	kept := func(more int) {
		for now, want := s.count(t), s.count(t)+more; now < want && !t.Failed(); {
			now = s.count(t)
		}
	}
	stopOld := load(old)
	kept(10)
	s.intake.Reload([]intake.Source{both})
	stopNew := load(only)
	kept(10)
	stopOld()
	s.intake.Reload([]intake.Source{only})
	kept(10)
	stopNew()
	if found := rejections(t, s, "body"); len(found) > 0 {
		t.Errorf("%v", found)
	}
}
