package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestProbe(t *testing.T) {
	s := start(t, t.TempDir())
	for i := range 40 {
		body := fmt.Appendf(nil, `{"status":"completed","call":{"call_id":"same","status":"completed","n":%d,"transcript":%q,"x":[%s]}}`, i, strings.Repeat(fmt.Sprintf("bot: hi %d\n", i), 200_000), strings.Repeat("1,", 500_000)+"1")
		begin := time.Now()
		code, text := s.request(t, http.MethodPost, "/v1/webhooks/synthflow", body)
		if i%5 == 0 || code != 200 {
			fmt.Println(i, len(body), code, time.Since(begin), string(text[:min(len(text), 150)]))
		}
	}
}
