package intake_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/internal/store"
)

// verified returns a source with a scheme.
func verified(t *testing.T, settings signature.Settings, secrets ...signature.Secret) intake.Source {
	t.Helper()
	verifier, err := signature.New(settings, secrets)
	if err != nil {
		t.Fatal(err)
	}
	return intake.Source{Name: "door", Adapter: stub(says), Provider: "stub", MaxBody: 1 << 20, Verifier: verifier, Secrets: secrets}
}

type guarded struct {
	*intake.Intake

	kept store.Store
	book *rejection.Book
}

func guard(t *testing.T, source intake.Source) guarded {
	t.Helper()
	set, err := adapters.NewSet(stub(says))
	if err != nil {
		t.Fatal(err)
	}
	g := guarded{kept: open(t), book: book(t)}
	g.Intake = intake.New(intake.Settings{Adapters: set, Store: g.kept, Rejections: g.book, Observer: nobody{}, Now: time.Now}, []intake.Source{source})
	return g
}

// signed returns a request as a sender with the first secret sends it.
func signed(t *testing.T, source intake.Source, body string) intake.Request {
	t.Helper()
	now := time.Now()
	r, err := source.Verifier.Sign(signature.Request{
		Method: "POST", Path: "/v1/webhooks/door", Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body), Time: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return intake.Request{Source: "door", Method: r.Method, Path: r.Path, Header: r.Header, Body: r.Body, ReceiveTime: now}
}

const secret, older = signature.Secret("a secret of the newest kind"), signature.Secret("a secret of the older kind")

func TestOnlyWhatIsProvedIsKept(t *testing.T) {
	t.Parallel()
	source := verified(t, signature.Settings{Scheme: signature.SchemeHMAC, Headers: []string{"X-Signature"}}, secret, older)
	in := guard(t, source)
	good := signed(t, source, "good")
	if _, err := in.Deliver(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	bad := good
	bad.Body = []byte("bad")
	_, err := in.Deliver(t.Context(), bad)
	refused := (*intake.NotVerifiedError)(nil)
	if !errors.As(err, &refused) || refused.Cause != callnormv1.RejectionCause_REJECTION_CAUSE_SIGNATURE_MISMATCH {
		t.Fatalf("%v", err)
	}
	if _, err := in.kept.Delivery(t.Context(), in.kept.DeliveryID(store.NewDeliveryKey("door", "POST", bad.Path, "", bad.Body))); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was refused is kept: %v", err)
	}
	summary := in.book.Summary("door")
	if summary.Accepted != 1 || summary.RefusedSinceAccept != 1 || len(summary.MatchTimes) != 1 {
		t.Errorf("%+v", summary)
	}
}

func TestProvenanceTellsWhatTheSignatureCovers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		settings signature.Settings
		by       string
		warned   bool
	}{
		"the body":         {signature.Settings{Scheme: signature.SchemeHMAC, Headers: []string{"X-Signature"}}, "hmac-sha256", false},
		"one field":        {signature.Settings{Scheme: signature.SchemeHMAC, Headers: []string{"X-Signature"}, Signed: "{field:id}"}, "hmac-sha256", true},
		"nothing, a token": {signature.Settings{Scheme: signature.SchemeBearer}, "bearer", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := verified(t, test.settings, "a-secret-without-any-blanks")
			in := guard(t, source)
			answer, err := in.Deliver(t.Context(), signed(t, source, `{"id":"1"}`))
			if err != nil {
				t.Fatal(err)
			}
			id, err := store.ParseDeliveryID(answer.GetDelivery()[len("deliveries/"):])
			if err != nil {
				t.Fatal(err)
			}
			delivery, err := in.kept.Delivery(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if delivery.VerifiedBy != test.by {
				t.Errorf("verified by %q, want %q", delivery.VerifiedBy, test.by)
			}
			for _, line := range delivery.Header {
				if line.Name == "Authorization" && line.Value != "[redacted]" {
					t.Error("a token is kept")
				}
			}
			normalized, err := in.Renormalize(t.Context(), id) // it knows no more than what is kept
			if err != nil || normalized.Outcomes[0].Changed {
				t.Errorf("%+v, %v", normalized, err)
			}
			found, err := in.kept.Outcome(t.Context(), normalized.Outcomes[0].Outcome)
			if err != nil {
				t.Fatal(err)
			}
			outcome := decode(t, found.Body)
			warned := false
			for _, warning := range outcome.GetProvenance().GetWarnings() {
				warned = warned || warning.GetKind() == callnormv1.WarningKind_WARNING_KIND_BODY_NOT_SIGNED
			}
			if warned != test.warned || outcome.GetProvenance().GetDeliveries()[0].GetVerifiedBy() != test.by {
				t.Errorf("%v", outcome.GetProvenance())
			}
		})
	}
}

func TestAFullBucketSaysWhenToComeAgain(t *testing.T) {
	t.Parallel()
	in := guard(t, intake.Source{
		Name: "door", Adapter: stub(says), Provider: "stub", MaxBody: 1 << 20, Rate: intake.Rate{PerSecond: 1e-3, Burst: 2},
	})
	request := func(body string) intake.Request {
		return intake.Request{Source: "door", Method: "POST", Path: "/v1/webhooks/door", Body: []byte(body), ReceiveTime: time.Now()}
	}
	for _, body := range []string{"1", "2"} {
		if _, err := in.Deliver(t.Context(), request(body)); err != nil {
			t.Fatal(err)
		}
	}
	busy := (*intake.BusyError)(nil)
	if _, err := in.Deliver(t.Context(), request("3")); !errors.As(err, &busy) || busy.RetryAfter <= 0 {
		t.Errorf("%v", err)
	}
	// A reload that changes nothing about the rate gives nothing away.
	in.Reload(in.Sources())
	if _, err := in.Deliver(t.Context(), request("3")); !errors.As(err, &busy) {
		t.Errorf("after a reload: %v", err)
	}
	held := request("4")
	held.Held = true
	if _, err := in.Deliver(t.Context(), held); err != nil {
		t.Errorf("held: %v", err)
	}
}
