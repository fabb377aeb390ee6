package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
)

func TestHeldRequestsAreShownAndDropped(t *testing.T) {
	s, sources := sieve(t)
	var sent []string
	for i := range 25 {
		body := call(fmt.Sprint("held", i), "completed")
		sent = append(sent, string(body))
		code, _, text := s.post(t, "/v1/webhooks/held?n=1", by(t, anotherSecret, body), body)
		if code != http.StatusUnauthorized {
			t.Fatalf("%d %s", code, text)
		}
	}
	// A source that was taken out of the configuration still has what was held.
	s.intake.Reload(slices.DeleteFunc(slices.Clone(sources), func(source intake.Source) bool { return source.Name == "held" }))
	for _, size := range []int32{0, 7, 100} {
		var got []string
		for token := ""; ; {
			page, err := s.sources.ListHeldRequests(t.Context(), &callnormv1.ListHeldRequestsRequest{Source: "held", PageSize: size, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, held := range page.GetRequests() {
				got = append(got, string(held.GetBody()))
				if held.GetMethod() != http.MethodPost || held.GetPath() != "/v1/webhooks/held" || held.GetQuery() != "n=1" || held.GetReceiveTime() == nil ||
					held.GetCause() != callnormv1.RejectionCause_REJECTION_CAUSE_SIGNATURE_MISMATCH || len(held.GetHeaders()) == 0 {
					t.Errorf("%v", held)
				}
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
		if !slices.Equal(got, sent) {
			t.Errorf("pages of %d: %d requests", size, len(got))
		}
	}
	if _, err := s.sources.ListHeldRequests(t.Context(), &callnormv1.ListHeldRequestsRequest{Source: "held", PageToken: "no"}); reason(t, err) != "PAGE_TOKEN_MALFORMED" {
		t.Errorf("%v", err)
	}
	for _, want := range []int64{25, 0} {
		dropped, err := s.sources.DiscardHeldRequests(t.Context(), &callnormv1.DiscardHeldRequestsRequest{Source: "held"})
		if err != nil || dropped.GetDiscardedCount() != want {
			t.Errorf("%v %v", dropped, err)
		}
	}
}

// TestOneHeldRequestDoesNotStopTheOthers has the source take less now than when it held.
func TestOneHeldRequestDoesNotStopTheOthers(t *testing.T) {
	s, sources := sieve(t)
	large := []byte(`{"call":{"call_id":"large","status":"completed","note":"` + strings.Repeat("x", 800) + `"}}`)
	small := call("small", "completed")
	for _, body := range [][]byte{large, small} {
		if code, _, text := s.post(t, "/v1/webhooks/held", by(t, anotherSecret, body), body); code != http.StatusUnauthorized {
			t.Fatalf("%d %s", code, text)
		}
	}
	fixed := slices.Clone(sources)
	fixed[0] = proved(t, sources[0], overBody, anotherSecret)
	fixed[0].MaxBody = 500
	s.intake.Reload(fixed)
	got, err := s.sources.VerifyHeldRequests(t.Context(), &callnormv1.VerifyHeldRequestsRequest{Source: "held"})
	if err != nil {
		t.Fatal(err)
	}
	if got.GetAcceptedCount() != 1 || len(got.GetRejections()) != 1 || got.GetRejections()[0].GetCause() != callnormv1.RejectionCause_REJECTION_CAUSE_BODY_TOO_LARGE {
		t.Errorf("%v", got)
	}
}

func TestARateThatIsTooLowIsDiagnosed(t *testing.T) {
	s, sources := sieve(t)
	slow := slices.Clone(sources)
	slow[0] = proved(t, sources[0], overBody, anotherSecret)
	slow[0].Rate = intake.Rate{PerSecond: 1e-4, Burst: 1}
	s.intake.Reload(slow)
	for i := range 6 {
		body := call(fmt.Sprint("c", i), "completed")
		code, header, text := s.post(t, "/v1/webhooks/held", by(t, anotherSecret, body), body)
		if want := map[bool]int{true: http.StatusOK, false: http.StatusServiceUnavailable}[i == 0]; code != want || i > 0 && header.Get("Retry-After") == "" {
			t.Fatalf("%d %s", code, text)
		}
	}
	got, err := s.sources.Diagnose(t.Context(), &callnormv1.DiagnoseRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first := got.GetFindings()[0]; first.GetKind() != callnormv1.FindingKind_FINDING_KIND_ALL_REFUSED ||
		!strings.Contains(first.GetMessage(), "(5): rate") || !strings.Contains(first.GetAdvice(), "raise the rate") {
		t.Errorf("%v", first)
	}
}
