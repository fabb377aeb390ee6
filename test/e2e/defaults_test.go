package e2e_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

func TestWithoutAConfigurationTheFirstStepsWorkAsPrinted(t *testing.T) {
	s := serve(t, "--data-dir", t.TempDir())
	posted := s.await(t, s.out, `curl -d '(.*)' \\`)[1]
	door := s.await(t, s.out, `http://\S+(/v1/webhooks/)(\S+)`)[2]
	shown := s.await(t, s.out, `curl http://[^/]+(/v1/providers/\S+)`)[1]
	tail := strings.Fields(s.await(t, s.out, `callnorm (tail .*)`)[1])
	for _, part := range []string{"NOTE: these sources take deliveries from anybody", "synthflow, anunzi, finetuner, voxia"} {
		if !strings.Contains(s.out.String(), part) {
			t.Errorf("%q was not printed:\n%s", part, s.out)
		}
	}

	answer := s.post(t, door, []byte(posted))
	var outcome callnormv1.CallOutcome
	if s.request(t, http.MethodGet, shown, nil, &outcome); outcome.GetName() != answer.GetOutcomes()[0].GetName() {
		t.Errorf("posted %v, and was shown %v", answer, &outcome)
	}
	if verified := outcome.GetProvenance().GetDeliveries()[0].GetVerifiedBy(); verified != "" {
		t.Errorf("it is said to be verified by %s", verified)
	}
	run(t, append(tail, "--max", "1")...).expect(t, 0, outcome.GetName(), "go on with: callnorm tail --after ")
	s.run(t, "doctor").expect(t, 0, "source synthflow takes deliveries from anybody")
	s.run(t, "quarantine", "list").expect(t, 0)

	for path, pattern := range map[string]string{
		"/livez": "^ok\n$", "/readyz": "^ok\n$", "/metrics": "callnorm_",
		"/v1/normalize/synthflow": `"METHOD_NOT_ALLOWED"`,
		"/v1/nothing":             `"ROUTE_NOT_FOUND"`,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if code, text := do(t, http.DefaultClient, request); !regexp.MustCompile(pattern).Match(text) {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	s.stop(t)
}
