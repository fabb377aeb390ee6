package bounds

import (
	"bufio"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRead sends raw requests: whatever comes, a body is whole and within its limits or one of our errors, and nothing is left in
// the budget.
func FuzzRead(f *testing.F) {
	for _, raw := range []string{
		"Content-Length: 5\r\n\r\nhello",
		"Content-Length: 9\r\n\r\nhello",
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
		"Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n" + chunked(zip("hello"), 3),
		"Content-Encoding: gzip, br\r\nContent-Length: 5\r\n\r\nhello",
		"Content-Encoding: x-gzip\r\nContent-Length: 4000\r\n\r\n" + zip(strings.Repeat("x", 5000)),
		"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(zip(strings.Repeat("x", 1<<20)), 100),
		"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(zip("a")+zip("")+zip("b")+"c", 7),
	} {
		f.Add(raw, int64(4096), 10, int64(1<<20))
		f.Add(raw, int64(3), 0, int64(20_000))
	}
	f.Fuzz(func(t *testing.T, raw string, most int64, ratio int, total int64) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST / HTTP/1.1\r\nHost: x\r\n" + raw)))
		if err != nil {
			return
		}
		most %= 1 << 20
		budget := NewBudget(total%(4<<20), 0)
		body, err := Read(httptest.NewRecorder(), r, BodyLimits{Max: most, Ratio: ratio, Budget: budget, Pace: DefaultPace})
		switch {
		case err == nil:
			if size := int64(max(len(body.Wire), len(body.Content))); size > max(0, most) || budget.InFlight() < size {
				t.Errorf("%d bytes, of at most %d; %d in flight", size, most, budget.InFlight())
			}
			body.Release()
		case codeOf(err) == http.StatusInternalServerError || errors.Is(err, ErrTooSlow):
			t.Errorf("error %v", err)
		case body.Wire != nil || body.Content != nil:
			t.Error("a body and an error")
		}
		if left := budget.InFlight(); left != 0 {
			t.Errorf("%d bytes are still in flight", left)
		}
	})
}
