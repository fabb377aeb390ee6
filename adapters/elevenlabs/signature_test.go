package elevenlabs

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/callnorm/callnorm/internal/signature"
)

// TestSignature has a pair that was made with the formula of ElevenLabs' library: it publishes none.
func TestSignature(t *testing.T) {
	v, err := signature.New(New().Signature(), []signature.Secret{"wsec_0123456789abcdef0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	if v.Name() != "hmac-sha256" || !v.SignsBody() {
		t.Errorf("Name() = %q, SignsBody() = %v", v.Name(), v.SignsBody())
	}
	const value = "t=1767323045,v0=79a3200495873b1af480431fd958c959afbcb51add31775de0b544158efcb7cd"
	body := []byte(`{"type":"post_call_transcription","event_timestamp":1767323045,"data":{"conversation_id":"conv_1","status":"done"}}`)
	at := time.Unix(1767323045, 0)
	for what, test := range map[string]struct {
		time   time.Time
		body   string
		header string
		want   signature.Cause
	}{
		"at once":                      {at, string(body), value, ""},
		"half an hour later":           {at.Add(30 * time.Minute), string(body), value, ""},
		"half an hour and a bit later": {at.Add(30*time.Minute + time.Second), string(body), value, signature.CauseTimeTooOld},
		"from the future":              {at.Add(-31 * time.Minute), string(body), value, signature.CauseTimeInFuture},
		"one of two":                   {at, string(body), "t=1767323045,v0=00,v0=" + value[len("t=1767323045,v0="):] + ",v1=x", ""},
		"another body":                 {at, string(body) + " ", value, signature.CauseSignatureMismatch},
		"none":                         {at, string(body), "", signature.CauseSignatureMissing},
	} {
		r := signature.Request{Header: http.Header{}, Body: []byte(test.body), Time: test.time}
		if test.header != "" {
			r.Header.Set(New().Signature().Headers[0], test.header)
		}
		_, err := v.Verify(r)
		var refusal *signature.Refusal
		if errors.As(err, &refusal) != (test.want != "") || refusal != nil && refusal.Cause != test.want {
			t.Errorf("%s: %v", what, err)
		}
	}
}
