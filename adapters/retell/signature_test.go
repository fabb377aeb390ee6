package retell

import (
	"net/http"
	"testing"
	"time"

	"github.com/callnorm/callnorm/internal/signature"
)

// TestSignatureOfTheLibrary has the vector of Retell's own library, whose key is shorter than Retell's keys are.
func TestSignatureOfTheLibrary(t *testing.T) {
	settings := New().Signature().Merge(signature.Settings{SecretLength: 12})
	v, err := signature.New(settings, []signature.Secret{"test-api-key"})
	if err != nil {
		t.Fatal(err)
	}
	const digest = "07024cabe7dd8f6d1c6e4a8324ca92c812e6ad4a7ee506c04f7e462e3321823e"
	signed := time.UnixMilli(1700000000000)
	for name, test := range map[string]struct {
		header string
		body   string
		at     time.Time
		want   bool
	}{
		"as signed":               {"v=1700000000000,d=" + digest, `{"event":"call_ended"}`, signed, true},
		"five minutes later":      {"v=1700000000000,d=" + digest, `{"event":"call_ended"}`, signed.Add(5 * time.Minute), true},
		"six minutes later":       {"v=1700000000000,d=" + digest, `{"event":"call_ended"}`, signed.Add(6 * time.Minute), false},
		"six minutes before":      {"v=1700000000000,d=" + digest, `{"event":"call_ended"}`, signed.Add(-6 * time.Minute), false},
		"another time":            {"v=1700000000001,d=" + digest, `{"event":"call_ended"}`, signed, false},
		"the body laid out again": {"v=1700000000000,d=" + digest, `{"event": "call_ended"}`, signed, false},
		"without a time":          {"d=" + digest, `{"event":"call_ended"}`, signed, false},
		"the digest alone":        {digest, `{"event":"call_ended"}`, signed, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := signature.Request{Header: http.Header{"X-Retell-Signature": {test.header}}, Body: []byte(test.body), Time: test.at}
			if _, err := v.Verify(r); (err == nil) != test.want {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}
