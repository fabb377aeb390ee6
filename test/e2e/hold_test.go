package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// holding is a source that holds what it refuses.
func holding(key, secret string) string {
	return "hold_key: {file: " + key + "}\n" + strings.Replace(sales(secret), "adapter: synthflow", "adapter: synthflow\n    hold: true", 1)
}

// anywhere tells whether a text stands in a file of a directory as it is.
func anywhere(t *testing.T, dir, text string) bool {
	t.Helper()
	found := false
	if err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		found = found || bytes.Contains(content, []byte(text))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// lookUp returns the outcome of a call, or the code that says why there is none.
func (s *service) lookUp(ctx context.Context, id string) (*callnormv1.CallOutcome, codes.Code) {
	response, err := s.client.GetOutcome(ctx, &callnormv1.GetOutcomeRequest{
		Key: &callnormv1.GetOutcomeRequest_ProviderCallId{ProviderCallId: id},
	})
	return response.GetOutcome(), status.Code(err)
}

func TestAHeldRequestIsTakenInAfterTheFixWithItsTime(t *testing.T) {
	f := newFolder(t)
	s := serve(t, "--config", f.configure(t, holding("hold.key", "old.secret")), "--data-dir", f.data())
	provider := signer(t, newSecret)
	body := strings.Replace(call("held"), "{", `{"note":"`+rand.Text()+`",`, 1)
	begun := time.Now().Truncate(time.Millisecond)
	s.refused(t, provider, body)
	s.refused(t, provider, body) // the platform tries again
	ended := time.Now()

	// Asking for the rejections has them written.
	var listed callnormv1.ListRejectionsResponse
	s.request(t, http.MethodGet, "/v1/sources/sales/rejections", nil, &listed)
	if rejections := listed.GetRejections(); len(rejections) != 2 || !rejections[0].GetHeld() || !rejections[1].GetHeld() {
		t.Fatalf("the rejections are %v", &listed)
	}
	if _, code := s.lookUp(t.Context(), "held"); code != codes.NotFound {
		t.Errorf("a refused request has an outcome: %v", code)
	}
	var deliveries callnormv1.ListDeliveriesResponse
	if s.request(t, http.MethodGet, "/v1/deliveries", nil, &deliveries); len(deliveries.GetDeliveries()) > 0 {
		t.Errorf("a refused request is in the store: %v", &deliveries)
	}
	if !anywhere(t, f.data(), "SIGNATURE_MISMATCH") {
		t.Error("no file tells of the refusal: what follows proves nothing")
	}
	for at := 0; at+20 <= len(body); at += 20 {
		if part := body[at : at+20]; anywhere(t, f.data(), part) {
			t.Errorf("a file can be read: it has %s", part)
		}
	}
	s.run(t, "doctor").expect(t, 0, "refused requests of source sales held: 2", "callnorm verify --held --source sales")
	s.run(t, "verify", "--held", "--source", "sales").expect(t, 1, "taken in: 0", "still refused, signature mismatch: 2")

	f.configure(t, holding("hold.key", "new.secret"))
	s.reloaded(t)
	s.run(t, "verify", "--held", "--source", "sales").expect(t, 0, "taken in: 2, of them kept before: 1")
	outcome, code := s.lookUp(t.Context(), "held")
	if code != codes.OK || len(outcome.GetProvenance().GetDeliveries()) != 1 {
		t.Fatalf("%v: %v", code, outcome)
	}
	origin := outcome.GetProvenance().GetDeliveries()[0]
	if origin.GetVerifiedBy() != "hmac-sha256" || !slices.Equal(origin.GetSignedParts(), []string{"body"}) {
		t.Errorf("its origin is proved by %q over %v", origin.GetVerifiedBy(), origin.GetSignedParts())
	}
	if at := origin.GetReceiveTime().AsTime(); at.Before(begun) || at.After(ended) {
		t.Errorf("it was received at %s, and not between %s and %s", at, begun, ended)
	}
	s.run(t, "verify", "--held", "--source", "sales").expect(t, 0, "taken in: 0")
	s.run(t, "doctor").expect(t, 0, "all is well")
	if !s.deliver(t, provider, body).GetDuplicate() {
		t.Error("the request is no duplicate of what was held")
	}
}

func TestAnotherHoldKeyDecryptsNothing(t *testing.T) {
	f := newFolder(t)
	f.write(t, "other.key", "other-"+holdKey)
	s := serve(t, "--config", f.configure(t, holding("hold.key", "old.secret")), "--data-dir", f.data())
	provider := signer(t, newSecret)
	s.refused(t, provider, call("held"))
	s.stop(t)

	s = serve(t, "--config", f.configure(t, holding("other.key", "new.secret")), "--data-dir", f.data())
	s.run(t, "verify", "--held", "--source", "sales").
		expect(t, 1, "taken in: 0", "not decrypted, since the hold key is another: 1")
	s.stop(t)

	s = serve(t, "--config", f.configure(t, holding("hold.key", "new.secret")), "--data-dir", f.data())
	s.run(t, "verify", "--held", "--source", "sales").expect(t, 0, "taken in: 1")
	if _, code := s.lookUp(t.Context(), "held"); code != codes.OK {
		t.Error(code)
	}
}

func TestVerifyExplainsASavedRequest(t *testing.T) {
	f := newFolder(t)
	file := f.configure(t, sales("old.secret"))
	s := serve(t, "--config", file, "--data-dir", f.data())
	delivery := s.deliver(t, signer(t, oldSecret), `{"quarantined":true}`).GetDelivery()
	shown := s.run(t, "quarantine", "show", delivery)
	shown.expect(t, 0, "POST /v1/webhooks/sales HTTP/1.1\r\n", "X-Signature: ", "\r\n\r\n"+`{"quarantined":true}`)
	saved := f.write(t, "saved.http", shown.out)
	altered := f.write(t, "altered.http", strings.Replace(shown.out, "true", "false", 1))
	tests := map[string]struct {
		config  string
		source  string
		request string
		code    int
		parts   []string
	}{
		"the right secret":        {sales("old.secret"), "sales", saved, 0, []string{"proved by secret 1 of 1", "covers     body"}},
		"one of two secrets":      {sales("new.secret", "old.secret"), "sales", saved, 0, []string{"proved by secret 2 of 2"}},
		"a wrong secret":          {sales("new.secret"), "sales", saved, 1, []string{"refused: signature mismatch", `signed     "{\"quarantined\":true}"`, "expected", "received", "likely"}},
		"a body that was altered": {sales("old.secret"), "sales", altered, 1, []string{"refused: signature mismatch"}},
		"an unknown source":       {sales("old.secret"), "other", saved, 2, []string{`no source "other"`}},
		"a file that is none":     {sales("old.secret"), "sales", "/nowhere", 2, []string{"no such file"}},
		"a file without a header": {sales("old.secret"), "sales", f.write(t, "body.http", `{"quarantined":true}`), 2, []string{"request line"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f.configure(t, test.config)
			result := run(t, "verify", "--config", file, "--source", test.source, "--request", test.request)
			result.expect(t, test.code, test.parts...)
			if strings.Contains(result.out+result.err, oldSecret) || strings.Contains(result.out+result.err, newSecret) {
				t.Error("a secret was printed")
			}
		})
	}
}
