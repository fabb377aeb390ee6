package e2e_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// TestALargeBodyIsKept posts a recording as some platforms do: in base64 within JSON, in chunks, so that nobody knows how long it is.
func TestALargeBodyIsKept(t *testing.T) {
	f := newFolder(t)
	s := serve(t, "--data-dir", f.data(), "--config", f.configure(t, `
limits: {inflight_bytes: 128MiB}
sources:
  - {name: large, adapter: voxia, unverified: true, max_body_bytes: 32MiB}
  - {name: usual, adapter: voxia, unverified: true}
`))
	audio := make([]byte, 18<<20)
	_, _ = rand.Read(audio)
	body := fmt.Appendf(nil, `{"id":"large","callStatus":"COMPLETED","audio":%q}`, base64.StdEncoding.EncodeToString(audio))
	post := func(source string) (int, []byte) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/webhooks/"+source, io.MultiReader(bytes.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		return do(t, http.DefaultClient, request)
	}
	if code, text := post("usual"); code != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", code, text)
	}
	code, text := post("large")
	answer := &callnormv1.IngestDeliveryResponse{}
	if err := protojson.Unmarshal(text, answer); code != http.StatusOK || err != nil || len(answer.GetOutcomes()) != 1 {
		t.Fatalf("%d %s", code, text)
	}
	shown := run(t, "quarantine", "show", "--addr", s.addr, answer.GetDelivery())
	if !bytes.Contains([]byte(shown.out), body) {
		t.Errorf("the body does not come back as it was sent: %d bytes of output, %.200s", len(shown.out), shown.err)
	}
}
