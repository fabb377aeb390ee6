package synthflow

import (
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/internal/signature"
)

// TestSignatureCoversTheIDThatNormalizeReads sends the id of a signed call together with another one. Whatever is accepted must be
// read as the call that was signed.
func TestSignatureCoversTheIDThatNormalizeReads(t *testing.T) {
	v, err := signature.New(New().Signature(), []signature.Secret{"0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	signed, err := v.Sign(signature.Request{Body: []byte(`{"call":{"call_id":"signed"}}`), Time: at})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		body string
		want bool
	}{
		"in the call":                      {`{"call":{"call_id":"signed","status":"completed"}}`, true},
		"beside the call":                  {`{"call_id":"signed","call":{"status":"completed"}}`, true},
		"in another spelling":              {`{"Call_id":"signed","call_status":"completed"}`, true},
		"in both places":                   {`{"call_id":"signed","call":{"call_id":"signed","status":"completed"}}`, true},
		"with a record's own id":           {`{"call":{"call_id":"signed","_id":"victim","status":"completed"}}`, true},
		"with records of an answer":        {`{"call":{"call_id":"signed","status":"completed"},"calls":[{"call_id":"victim","call_status":"completed"}]}`, true},
		"in a response":                    {`{"call_id":"signed","response":{"calls":[{"call_id":"victim","call_status":"completed"}]}}`, true},
		"a victim beside":                  {`{"call_id":"victim","call":{"call_id":"signed","status":"completed"}}`, false},
		"a victim behind":                  {`{"call":{"call_id":"signed","status":"completed"},"call_id":"victim"}`, false},
		"a victim in another spelling":     {`{"Call_id":"victim","call":{"call_id":"signed","status":"completed"}}`, false},
		"a victim before it in the call":   {`{"call":{"Call_id":"victim","call_id":"signed","status":"completed"}}`, false},
		"null, so that the record's id":    {`{"call":{"call_id":null,"_id":"victim","status":"completed"},"call_id":"signed"}`, false},
		"empty, so that the record's id":   {`{"call":{"call_id":"","_id":"victim","status":"completed"},"call_id":"signed"}`, false},
		"a number beside":                  {`{"call_id":17,"call":{"call_id":"signed","status":"completed"}}`, false},
		"two calls":                        {`{"call":{"call_id":"victim"},"call":{"call_id":"signed","status":"completed"}}`, false},
		"only in the records of an answer": {`{"calls":[{"call_id":"signed","call_status":"completed"}]}`, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := signed
			r.Body = []byte(test.body)
			_, err := v.Verify(r)
			if (err == nil) != test.want {
				t.Fatalf("Verify: %v", err)
			}
			if err != nil {
				return
			}
			result, err := New().Normalize(adapters.Delivery{Provider: "synthflow", Body: r.Body, ReceiveTime: at})
			if err != nil {
				t.Fatal(err)
			}
			for _, outcome := range result.Outcomes {
				if outcome.CallID != "signed" {
					t.Errorf("accepted for one call and read as another: %q", outcome.CallID)
				}
			}
		})
	}
}

// TestSignatureHeaders has the spellings in which receivers have met the header.
func TestSignatureHeaders(t *testing.T) {
	v, err := signature.New(New().Signature(), []signature.Secret{"0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := v.Sign(signature.Request{Body: []byte(`{"call":{"call_id":"a"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	value := signed.Header.Get("Synthflow-Signature")
	for _, name := range []string{
		"HTTP_SYNTHFLOW_SIGNATURE", "http_synthflow_signature", "http-synthflow-signature", "synthflow-signature", "x-synthflow-signature",
	} {
		signed.Header = map[string][]string{name: {value}}
		if _, err := v.Verify(signed); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
