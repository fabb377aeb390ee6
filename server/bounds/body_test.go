package bounds

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// read is what a door saw of one request.
type read struct {
	body Body
	err  error
	held int64 // of the budget, while the body was there
}

// door serves one handler that reads bodies, and tells what it got.
func door(limits BodyLimits) (http.Handler, <-chan read) {
	got := make(chan read, 1)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := Read(w, r, limits)
		got <- read{body, err, limits.Budget.InFlight()}
		body.Release()
		w.WriteHeader(codeOf(err))
	}), got
}

func codeOf(err error) int {
	for known, code := range map[error]int{
		ErrTooLarge: 413, ErrEncoding: 415, ErrCorrupt: 400, ErrUnreadable: 503, ErrTooSlow: 503, ErrOverloaded: 503,
	} {
		if errors.Is(err, known) {
			return code
		}
	}
	if err != nil {
		return http.StatusInternalServerError
	}
	return http.StatusOK
}

func zip(text string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return out.String()
}

// noise does not compress.
func noise(n int) string {
	random, text := rand.New(rand.NewPCG(1, 2)), make([]byte, n)
	for i := range text {
		text[i] = byte(random.Uint32())
	}
	return string(text)
}

func chunked(text string, size int) string {
	var out strings.Builder
	for chunk := range slices.Chunk([]byte(text), size) {
		fmt.Fprintf(&out, "%x\r\n%s\r\n", len(chunk), chunk)
	}
	return out.String() + "0\r\n\r\n"
}

func TestRead(t *testing.T) {
	const limit = 1 << 20
	hello, long := "hello", noise(700_000)
	plain := func(text string, headers ...string) string {
		return strings.Join(append(headers, fmt.Sprintf("Content-Length: %d", len(text))), "\r\n") + "\r\n\r\n" + text
	}
	const inChunks = "Transfer-Encoding: chunked\r\n\r\n"
	tests := map[string]struct {
		raw     string // after the request line and the host
		content string
		err     error
		closed  bool // the connection
	}{
		"a plain body":                       {raw: plain(hello), content: hello},
		"an empty body":                      {raw: plain("")},
		"no body":                            {raw: "\r\n"},
		"identity":                           {raw: plain(hello, "Content-Encoding: Identity"), content: hello},
		"an encoding without a name":         {raw: plain(hello, "Content-Encoding: "), content: hello},
		"a long body":                        {raw: plain(long), content: long},
		"a body of the limit":                {raw: plain(strings.Repeat("x", limit)), content: strings.Repeat("x", limit)},
		"a body above the limit":             {raw: plain(strings.Repeat("x", limit+1)), err: ErrTooLarge, closed: true},
		"a chunked body":                     {raw: inChunks + chunked(long, 1000), content: long},
		"a chunked body of the limit":        {raw: inChunks + chunked(strings.Repeat("x", limit), 1000), content: strings.Repeat("x", limit)},
		"a chunked body above the limit":     {raw: inChunks + chunked(strings.Repeat("x", limit+1), 1000), err: ErrTooLarge, closed: true},
		"gzip":                               {raw: plain(zip(hello), "Content-Encoding: gzip"), content: hello},
		"x-gzip in capitals":                 {raw: plain(zip(hello), "Content-Encoding: X-GZIP"), content: hello},
		"long gzip in chunks":                {raw: "Content-Encoding: gzip\r\n" + inChunks + chunked(zip(long), 777), content: long},
		"gzip of nothing":                    {raw: plain(zip(""), "Content-Encoding: gzip")},
		"several members":                    {raw: plain(zip("a")+zip("")+zip(long)+zip("b"), "Content-Encoding: gzip"), content: "a" + long + "b"},
		"gzip that inflates to the limit":    {raw: plain(zip(strings.Repeat("x", limit)), "Content-Encoding: gzip"), content: strings.Repeat("x", limit)},
		"gzip that inflates to more":         {raw: plain(zip(strings.Repeat("x", limit+1)), "Content-Encoding: gzip"), err: ErrTooLarge},
		"members that inflate to more":       {raw: plain(zip(long)+zip(long[:limit-len(long)+1]), "Content-Encoding: gzip"), err: ErrTooLarge, closed: true},
		"text that says gzip":                {raw: plain(hello, "Content-Encoding: gzip"), err: ErrCorrupt},
		"nothing that says gzip":             {raw: plain("", "Content-Encoding: gzip"), err: ErrCorrupt},
		"gzip that was cut":                  {raw: plain(zip(long)[:500_000], "Content-Encoding: gzip"), err: ErrCorrupt},
		"gzip without its checksum":          {raw: plain(zip(hello)[:len(zip(hello))-8], "Content-Encoding: gzip"), err: ErrCorrupt},
		"gzip with a wrong checksum":         {raw: plain(zip(hello)[:len(zip(hello))-8]+"12345678", "Content-Encoding: gzip"), err: ErrCorrupt},
		"gzip with something behind it":      {raw: plain(zip(hello)+"something else", "Content-Encoding: gzip"), err: ErrCorrupt},
		"gzip with a byte behind it":         {raw: plain(zip(hello)+"\x00", "Content-Encoding: gzip"), err: ErrCorrupt},
		"gzip twice, in one line":            {raw: plain(zip(zip(hello)), "Content-Encoding: gzip, gzip"), err: ErrEncoding, closed: true},
		"gzip twice, in two lines":           {raw: plain(hello, "Content-Encoding: gzip", "Content-Encoding: identity"), err: ErrEncoding, closed: true},
		"deflate":                            {raw: plain(hello, "Content-Encoding: deflate"), err: ErrEncoding, closed: true},
		"brotli":                             {raw: plain(hello, "Content-Encoding: br"), err: ErrEncoding, closed: true},
		"an encoding that nobody has":        {raw: plain(hello, "Content-Encoding: gzip;q=1"), err: ErrEncoding, closed: true},
		"fewer bytes than declared":          {raw: "Content-Length: 6\r\n\r\n" + hello, err: ErrUnreadable, closed: true},
		"a truncated chunk":                  {raw: inChunks + "9\r\nhello", err: ErrUnreadable, closed: true},
		"chunks without an end":              {raw: inChunks + "5\r\nhello\r\n", err: ErrUnreadable, closed: true},
		"a broken chunk":                     {raw: inChunks + "5\r\nhello\r\nzz\r\n", err: ErrUnreadable, closed: true},
		"gzip that did not arrive":           {raw: "Content-Encoding: gzip\r\nContent-Length: 800000\r\n\r\n" + zip(long)[:600_000], err: ErrUnreadable, closed: true},
		"a declaration above the limit":      {raw: "Content-Length: 1048577\r\nExpect: 100-continue\r\n\r\n", err: ErrTooLarge, closed: true},
		"an encoding above what we can read": {raw: "Content-Length: 5\r\nContent-Encoding: br\r\nExpect: 100-continue\r\n\r\n", err: ErrEncoding, closed: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			budget := NewBudget(1<<30, 0)
			handler, got := door(BodyLimits{Max: limit, Ratio: 1 << 30, Budget: budget, Pace: DefaultPace})
			server := httptest.NewServer(handler)
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			go func() {
				_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+tt.raw)
				_ = conn.(*net.TCPConn).CloseWrite() //nolint:forcetypeassert // it was dialed
			}()
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			read := <-got
			if !errors.Is(read.err, tt.err) || answer.StatusCode != codeOf(tt.err) || answer.Close != tt.closed {
				t.Errorf("error %v, answer %d, closed %v", read.err, answer.StatusCode, answer.Close)
			}
			if string(read.body.Content) != tt.content {
				t.Errorf("%d bytes of content, want %d", len(read.body.Content), len(tt.content))
			}
			if _, sent, _ := strings.Cut(tt.raw, "\r\n\r\n"); tt.err == nil && strings.Contains(tt.raw, "Content-Length") && string(read.body.Wire) != sent {
				t.Errorf("%d bytes of wire, want %d", len(read.body.Wire), len(sent))
			}
			if held := int64(cap(read.body.Wire)); tt.err == nil && read.held < held || tt.err != nil && read.held != 0 {
				t.Errorf("held %d bytes", read.held)
			}
			if left := budget.InFlight(); left != 0 {
				t.Errorf("%d bytes are still in flight", left)
			}
		})
	}
}

func TestAPlainBodyIsOneSlice(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("hello"))
	body, err := Read(httptest.NewRecorder(), r, BodyLimits{Max: 10})
	must(t, err)
	if &body.Wire[0] != &body.Content[0] {
		t.Error("two slices")
	}
	body.Release()
	Body{}.Release()
}

func TestNoLimitIsNoBody(t *testing.T) {
	for _, limit := range []int64{0, -5} {
		r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader("hello")))
		if _, err := Read(httptest.NewRecorder(), r, BodyLimits{Max: limit}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("limit %d: error %v", limit, err)
		}
	}
}

func TestTheBudgetEndsABody(t *testing.T) {
	tests := map[string]struct {
		text, encoding string
		budget         int64
		err            error
	}{
		"a body that fits in":                     {noise(100_000), "", 400_000, nil},
		"a body that does not":                    {noise(100_000), "", 90_000, ErrOverloaded},
		"a body that does not once it is put up":  {noise(100_000), "", 150_000, ErrOverloaded},
		"gzip that fits in":                       {zip(noise(100_000)), "gzip", 600_000, nil},
		"gzip whose content does not":             {zip(strings.Repeat("x", 500_000)), "gzip", 300_000, ErrOverloaded},
		"gzip whose inflater does not":            {zip(noise(50_000)), "gzip", 100_000, ErrOverloaded},
		"gzip whose wire does not, in the middle": {zip(noise(300_000)), "gzip", 250_000, ErrOverloaded},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				budget := NewBudget(tt.budget, time.Second)
				r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tt.text))
				r.Header.Set("Content-Encoding", tt.encoding)
				body, err := Read(httptest.NewRecorder(), r, BodyLimits{Max: 1 << 20, Budget: budget})
				if !errors.Is(err, tt.err) {
					t.Errorf("error %v", err)
				}
				body.Release()
				if left := budget.InFlight(); left != 0 {
					t.Errorf("%d bytes are still in flight", left)
				}
			})
		})
	}
}

// serve serves a handler in memory, where time is the bubble's, and returns the client's side of a connection.
func serve(t *testing.T, handler http.Handler) net.Conn {
	t.Helper()
	client, theirs := net.Pipe()
	conns := make(chan net.Conn, 1)
	conns <- theirs
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(&piped{conns: conns}) }()
	t.Cleanup(func() {
		_ = client.Close()
		close(conns) // Close waits for Serve
		_ = server.Close()
	})
	return client
}

func TestPace(t *testing.T) {
	pace := Pace{Grace: 5 * time.Second, Rate: 1 << 10, Within: time.Minute}
	tests := map[string]struct {
		bytes, each int
		every       time.Duration
		encoding    string
		err         error
		took        time.Duration
	}{
		"6.5 KB over a slow phone network":       {6500, 650, time.Second, "", nil, 9 * time.Second},
		"a sender who stops at once":             {6500, 0, time.Hour, "", ErrTooSlow, 5 * time.Second},
		"a sender who sends a byte now and then": {6500, 1, time.Second, "", ErrTooSlow, 5 * time.Second},
		"the same inflated":                      {6500, 1, time.Second, "gzip", ErrTooSlow, 5 * time.Second},
		"a sender who stops after 2 KiB":         {6500, 2 << 10, time.Hour, "", ErrTooSlow, 5 * time.Second},
		"a sender who stops after a large burst": {1 << 20, 258 << 10, time.Hour, "", ErrTooSlow, 5 * time.Second},
		"a sender with the pace but no end":      {1 << 20, 2 << 10, time.Second, "", ErrTooSlow, time.Minute},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				budget := NewBudget(1<<20, time.Second)
				handler, got := door(BodyLimits{Max: 1 << 20, Budget: budget, Pace: pace})
				conn := serve(t, handler)
				start := time.Now()
				go func() {
					head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n", tt.encoding, tt.bytes)
					_, err := io.WriteString(conn, head)
					for left := tt.bytes; err == nil && left > 0; left -= tt.each {
						_, err = conn.Write(make([]byte, min(tt.each, left)))
						if left > tt.each {
							time.Sleep(tt.every)
						}
					}
				}()
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				_ = answer.Body.Close()
				took := (time.Since(start) + time.Second/2).Truncate(time.Second)
				if read := <-got; !errors.Is(read.err, tt.err) || took != tt.took {
					t.Errorf("error %v after %v", read.err, took)
				}
				if left := budget.InFlight(); left != 0 {
					t.Errorf("%d bytes are still in flight", left)
				}
				_ = conn.Close()
				time.Sleep(2 * time.Hour) // until the sender has noticed
			})
		})
	}
}

// What a body waited for at our side is not its sender's slowness, and the deadline of a body does not outlive it.
func TestOurOwnTimeDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(100_000, 20*time.Second)
		other := &claim{budget: budget}
		must(t, other.grow(t.Context(), 95_000))
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := Read(w, r, BodyLimits{Max: 1 << 20, Budget: budget, Pace: DefaultPace})
			time.Sleep(10 * time.Minute) // the rest of the work
			if err == nil {
				err = r.Context().Err()
			}
			body.Release()
			w.WriteHeader(codeOf(err))
		})
		conn := serve(t, handler)
		answers := bufio.NewReader(conn)
		for range 2 {
			go func() {
				_, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n"+strings.Repeat("x", 20000))
				must(t, err)
			}()
			time.Sleep(15 * time.Second)
			other.release()
			answer, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				t.Errorf("answer %d", answer.StatusCode)
			}
		}
	})
}

// A sender costs what it has sent, whatever it has declared.
func TestSlowSendersCostWhatTheySent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const senders = 200
		budget := NewBudget(1<<30, time.Second)
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := Read(w, r, BodyLimits{Max: 16 << 20, Budget: budget, Pace: DefaultPace})
			body.Release()
		})
		conns := make([]net.Conn, senders)
		for i := range conns {
			conns[i] = serve(t, handler)
			_, err := io.WriteString(conns[i], "POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 10000000\r\n\r\n")
			must(t, err)
		}
		synctest.Wait()
		if got := budget.InFlight(); got != 0 {
			t.Errorf("%d bytes in flight for nothing", got)
		}
		sent := 0
		for _, size := range []int{1, 10_000, 50_000} {
			for _, conn := range conns {
				_, err := conn.Write(make([]byte, size))
				must(t, err)
			}
			synctest.Wait()
			sent += size
			if got, most := budget.InFlight(), int64(senders*(2*sent+firstPiece)); got < int64(senders*sent) || got > most {
				t.Errorf("%d bytes in flight for %d sent", got, senders*sent)
			}
		}
		for _, conn := range conns {
			_ = conn.Close()
		}
		synctest.Wait()
		if got := budget.InFlight(); got != 0 {
			t.Errorf("%d bytes in flight after all have left", got)
		}
	})
}

func TestReadOverHTTP2(t *testing.T) {
	stalled, _ := io.Pipe() // the transport closes it
	tests := map[string]struct {
		body     io.Reader
		encoding string
		pace     Pace
		err      error
	}{
		"a long body":       {body: strings.NewReader(noise(700_000)), pace: DefaultPace},
		"gzip":              {body: strings.NewReader(zip(noise(700_000))), encoding: "gzip", pace: DefaultPace},
		"one that is large": {body: strings.NewReader(noise(1<<20 + 1)), pace: DefaultPace, err: ErrTooLarge},
		"one that stalls":   {body: stalled, pace: Pace{Grace: time.Millisecond, Rate: 1}, err: ErrTooSlow},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			handler, got := door(BodyLimits{Max: 1 << 20, Pace: tt.pace})
			server := httptest.NewUnstartedServer(handler)
			server.EnableHTTP2 = true
			server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
			server.StartTLS()
			defer server.Close()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Encoding", tt.encoding)
			answer, err := server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if read := <-got; !errors.Is(read.err, tt.err) || answer.StatusCode != codeOf(tt.err) || answer.ProtoMajor != 2 {
				t.Errorf("error %v, answer %s over %s", read.err, strconv.Itoa(answer.StatusCode), answer.Proto)
			}
		})
	}
}
