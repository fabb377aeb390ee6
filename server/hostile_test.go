package server_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/server"
	"github.com/klauspost/compress/gzip"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// mark is in all that these tests send, and must not be in any log.
const mark = "zxqmark"

const hostileSecret = "hostile-secret-0123456789"

// besieged is a system with one proved source for each adapter.
func besieged(t *testing.T, limits server.Limits) (*system, map[string]intake.Source) {
	t.Helper()
	with := setup{adapters: all(), limits: limits}
	byName := map[string]intake.Source{}
	for _, adapter := range with.adapters {
		source := proved(t, intake.Source{
			Name: adapter.Name(), Adapter: adapter, Provider: adapter.Name(), MaxBody: 11 << 20,
		}, overBody, hostileSecret)
		with.sources = append(with.sources, source)
		byName[source.Name] = source
	}
	s := with.start(t, t.TempDir())
	t.Cleanup(func() { s.unharmed(t) })
	return s, byName
}

// unharmed checks that nothing went wrong inside, and that the log tells nothing of what was sent.
func (s *system) unharmed(t *testing.T) {
	t.Helper()
	for _, word := range []string{mark, "level=ERROR", "panic", "\x1b"} {
		if log := s.log.String(); strings.Contains(log, word) {
			t.Errorf("the log holds %q: %.2000s", word, log)
		}
	}
}

// answer is one of HTTP.
type answer struct {
	code   int
	header http.Header
	body   []byte
}

// speak sends bytes over a connection of their own, closes its side if it is told so, and returns the answers until the server
// hangs up.
func (s *system) speak(t *testing.T, text string, hangUp bool) []answer {
	t.Helper()
	conn := s.connect(t)
	// A server that has heard enough may hang up before all is said.
	go func() {
		_, _ = io.WriteString(conn, text)
		if hangUp {
			_ = conn.CloseWrite()
		}
	}()
	return answers(t, conn)
}

func (s *system) connect(t *testing.T) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn) //nolint:forcetypeassert // of "tcp"
}

func answers(t *testing.T, conn net.Conn) (list []answer) {
	t.Helper()
	for reader := bufio.NewReader(conn); ; {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("no HTTP: %v", err)
			}
			return list
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			t.Errorf("no whole answer: %v", err)
		}
		list = append(list, answer{response.StatusCode, response.Header, body})
	}
}

// lines are the beginning of a request to a door: its first line and its header.
func lines(path string, header http.Header, more ...string) string {
	var text strings.Builder
	text.WriteString("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n")
	_ = header.Write(&text)
	for _, line := range more {
		text.WriteString(line + "\r\n")
	}
	return text.String() + "\r\n"
}

func length(body []byte) string { return "Content-Length: " + strconv.Itoa(len(body)) }

func zip(t testing.TB, body []byte) []byte {
	t.Helper()
	var zipped bytes.Buffer
	writer := gzip.NewWriter(&zipped)
	if _, err := writer.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return zipped.Bytes()
}

// calls counts the calls that inCall has made up.
var calls atomic.Int64

// inCall is a body whose call, which no other body is about, has one more member.
func inCall(member string) []byte {
	return fmt.Appendf(nil, `{"status":"completed","call":{"call_id":"%s-%d","status":"completed",%s}}`, mark, calls.Add(1), member)
}

func TestHostileBodiesAreKeptAsTheyCame(t *testing.T) {
	s, sources := besieged(t, server.Limits{})
	tests := map[string]struct {
		body []byte
		// state and reason are what becomes of it at an adapter of objects with a call.
		state, reason string
	}{
		"duplicate keys":                      {[]byte(`{"call":{"call_id":"` + mark + `","call_id":"b"}}`), "QUARANTINED", "DUPLICATE_MEMBER"},
		"duplicate keys in other spellings":   {inCall(`"duration":1,"d\u0075ration":2`), "QUARANTINED", "DUPLICATE_MEMBER"},
		"invalid UTF-8":                       {inCall("\"name\":\"\xff" + mark + "\""), "QUARANTINED", "INVALID_UTF8"},
		"overlong UTF-8":                      {inCall("\"name\":\"\xc0\x80\""), "QUARANTINED", "INVALID_UTF8"},
		"UTF-16":                              {[]byte("\xff\xfe{\x00}\x00"), "QUARANTINED", ""},
		"a surrogate that is half of a pair":  {inCall(`"recording_url":"https://x/\ud800"`), "", ""},
		"surrogates in the wrong order":       {inCall(`"recording_url":"https://x/\udc00\ud800"`), "", ""},
		"a byte order mark":                   {append([]byte("\xef\xbb\xbf"), inCall(`"duration":1`)...), "NORMALIZED", ""},
		"a byte order mark and nothing":       {[]byte("\xef\xbb\xbf"), "QUARANTINED", ""},
		"two byte order marks":                {append([]byte("\xef\xbb\xbf\xef\xbb\xbf"), inCall(`"duration":1`)...), "QUARANTINED", ""},
		"trailing data":                       {append(inCall(`"duration":1`), " trailing"...), "QUARANTINED", ""},
		"a second document":                   {append(inCall(`"duration":1`), inCall(`"duration":2`)...), "QUARANTINED", ""},
		"1e999":                               {inCall(`"duration":1e999`), "NORMALIZED", ""},
		"-1e999":                              {inCall(`"duration":-1e999`), "NORMALIZED", ""},
		"2^63+1":                              {inCall(`"duration":9223372036854775809`), "NORMALIZED", ""},
		"-2^63-1":                             {inCall(`"duration":-9223372036854775809`), "NORMALIZED", ""},
		"a number of a million digits":        {inCall(`"duration":` + strings.Repeat("9", 1_000_000)), "NORMALIZED", ""},
		"an exponent of a million digits":     {inCall(`"duration":1e` + strings.Repeat("9", 1_000_000)), "NORMALIZED", ""},
		"NaN":                                 {inCall(`"duration":NaN`), "QUARANTINED", "MALFORMED"},
		"a bomb of 100,000 lists":             {inCall(`"x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)), "QUARANTINED", "TOO_DEEP"},
		"a bomb of 100,000 objects":           {inCall(`"x":` + strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)), "QUARANTINED", "TOO_DEEP"},
		"a bomb that is never closed":         {bytes.Repeat([]byte("["), 5_000_000), "QUARANTINED", "TOO_DEEP"},
		"a bomb in a string":                  {inCall(`"name":"` + strings.Repeat("[{", 100_000) + `"`), "NORMALIZED", ""},
		"a bomb in a string of JSON":          {inCall(`"executed_actions":"` + strings.Repeat("[", 1_000_000) + `"`), "NORMALIZED", ""},
		"NUL alone":                           {[]byte{0}, "QUARANTINED", ""},
		"NUL between values":                  {inCall("\x00\"duration\":1"), "QUARANTINED", ""},
		"NUL in a string":                     {inCall("\"name\":\"a\x00b\""), "QUARANTINED", ""},
		"an escaped NUL in an id":             {[]byte(`{"call":{"call_id":"a\u0000` + mark + `","status":"completed"}}`), "NORMALIZED", ""},
		"a string of 10 MB":                   {inCall(`"name":"` + strings.Repeat("x", 10<<20-1<<10) + `"`), "NORMALIZED", ""},
		"a key of 5 MB":                       {inCall(`"` + strings.Repeat("k", 5<<20) + `":1`), "NORMALIZED", ""},
		"an id of 5 MB":                       {[]byte(`{"call":{"call_id":"` + strings.Repeat("i", 5<<20) + `","status":"completed"}}`), "NORMALIZED", ""},
		"escapes of 5 MB":                     {inCall(`"name":"` + strings.Repeat(`\u0041`, 1_000_000) + `"`), "NORMALIZED", ""},
		"a list of 500,000 numbers":           {inCall(`"x":[` + strings.Repeat("1,", 499_999) + "1]"), "NORMALIZED", ""},
		"a list of 500,000 objects":           {[]byte("[" + strings.Repeat("{},", 499_999) + "{}]"), "QUARANTINED", ""},
		"500,000 numbers":                     {[]byte("[" + strings.Repeat("1,", 499_999) + "1]"), "QUARANTINED", ""},
		"an object of 300,000 members":        {members(300_000), "", ""},
		"a transcript of 50,000 lines":        {inCall(`"transcript":"` + strings.Repeat(`bot: hi\n`, 50_000) + `"`), "NORMALIZED", ""},
		"CR, LF and ESC in strings":           {inCall(`"name":"a\r\n2026 level=ERROR msg=` + mark + `\u001b[2J"`), "NORMALIZED", ""},
		"CR, LF and ESC in an unknown status": {[]byte(`{"call":{"call_id":"e","status":"x\r\n\u001b[31m` + mark + `"}}`), "NORMALIZED", ""},
		"CR, LF and ESC in keys":              {inCall(`"a\r\n\u001b[31m` + mark + `":1`), "NORMALIZED", ""},
		"CR, LF and ESC as they are":          {[]byte("\r\n\x1b[31m" + mark), "QUARANTINED", "MALFORMED"},
		"a form where JSON is due":            {[]byte("call_id=" + mark + "&status=completed"), "QUARANTINED", "MALFORMED"},
		"XML where JSON is due":               {[]byte(`<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>`), "QUARANTINED", "MALFORMED"},
		"white space alone":                   {bytes.Repeat([]byte(" \r\n\t"), 1_000_000), "QUARANTINED", ""},
		"a multipart form":                    {[]byte("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{}\r\n--x--"), "QUARANTINED", "MALFORMED"},
		"nothing":                             {nil, "QUARANTINED", "EMPTY_BODY"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, adapter := range all() {
				code, _, text := s.post(t, "/v1/webhooks/"+adapter.Name(), signed(t, sources[adapter.Name()], test.body), test.body)
				answer := taken(t, code, text)
				kept := s.get(t, answer.GetDelivery())
				if !bytes.Equal(kept.GetBody(), test.body) || kept.GetBodyBytes() != int64(len(test.body)) || kept.GetVerifiedBy() != "hmac-sha256" {
					t.Errorf("%s: kept are %d bytes of %d", adapter.Name(), len(kept.GetBody()), len(test.body))
				}
				if len(text) > 64<<10 {
					t.Errorf("%s: the answer has %d bytes", adapter.Name(), len(text))
				}
				if len(answer.GetFaults()) > 0 && answer.GetFaults()[0].GetReason() == callnormv1.FaultReason_FAULT_REASON_ADAPTER_FAILED {
					t.Errorf("%s: %v", adapter.Name(), answer)
				}
				if adapter.Name() != "synthflow" {
					continue
				}
				if got := strings.TrimPrefix(answer.GetState().String(), "DELIVERY_STATE_"); test.state != "" && got != test.state {
					t.Errorf("state %s, want %s: %.400s", got, test.state, text)
				}
				if test.reason != "" && (len(answer.GetFaults()) != 1 || answer.GetFaults()[0].GetReason().String() != "FAULT_REASON_"+test.reason) {
					t.Errorf("faults %v, want %s", answer.GetFaults(), test.reason)
				}
			}
		})
	}
	if _, err := s.deliveries.RenormalizeDelivery(t.Context(), &callnormv1.RenormalizeDeliveryRequest{Name: "deliveries/aaaaaaaaaaaaaaaaaaaaaaaaaa"}); status.Code(err) != codes.NotFound {
		t.Errorf("%v", err)
	}
}

// members is an object with many members.
func members(n int) []byte {
	var text bytes.Buffer
	text.WriteString(`{"call":{"call_id":"m","status":"completed"`)
	for i := range n {
		_, _ = fmt.Fprintf(&text, `,"m%d":%d`, i, i)
	}
	text.WriteString("}}")
	return text.Bytes()
}

func TestHostileHeadersAndPaths(t *testing.T) {
	s, sources := besieged(t, server.Limits{})
	body := inCall(`"duration":1`)
	header := signed(t, sources["synthflow"], body)
	const door, evil = "/v1/webhooks/synthflow", "%0d%0a2026%20level=ERROR%20msg=" + mark + "%1b%5b31m"
	tests := map[string]struct {
		path string
		line string
		code int
	}{
		"ESC in a header":              {door, "X-Evil: \x1b[31m" + mark, http.StatusBadRequest},
		"CR in a header":               {door, "X-Evil: a\rb" + mark, http.StatusBadRequest},
		"NUL in a header":              {door, "X-Evil: a\x00" + mark, http.StatusBadRequest},
		"LF alone in a header":         {door, "X-Evil: a\nX-Other: " + mark, http.StatusOK},
		"a header that is folded":      {door, "X-Evil: a\r\n\t" + mark, http.StatusOK},
		"a header that is no UTF-8":    {door, "X-Evil: \xff\xfe" + mark, http.StatusOK},
		"a blank before the colon":     {door, "X-Evil : " + mark, http.StatusBadRequest},
		"a blank in a name":            {door, "X Evil: " + mark, http.StatusBadRequest},
		"ESC in a name":                {door, "X-\x1b[31m: " + mark, http.StatusBadRequest},
		"a name alone":                 {door, mark, http.StatusBadRequest},
		"no name":                      {door, ": " + mark, http.StatusBadRequest},
		"a header of 1 MB":             {door, "X-Evil: " + strings.Repeat(mark, 1<<17), http.StatusRequestHeaderFieldsTooLarge},
		"a second host":                {door, "Host: " + mark, http.StatusBadRequest},
		"another signature":            {door, "X-Signature: " + mark, http.StatusUnauthorized},
		"the same signature again":     {door, "X-Signature: " + header.Get("X-Signature"), http.StatusUnauthorized},
		"it in another spelling":       {door, "X_Signature: " + header.Get("X-Signature"), http.StatusOK},
		"CR, LF and ESC in a query":    {door + "?a=" + evil, "X-Fine: 1", http.StatusOK},
		"a query that is no UTF-8":     {door + "?a=%ff%fe" + mark, "X-Fine: 1", http.StatusOK},
		"a query that is not escaped":  {door + "?a=%zz%" + mark, "X-Fine: 1", http.StatusOK},
		"CR, LF and ESC in an event":   {door + "/" + evil, "X-Fine: 1", http.StatusOK},
		"an event that is no UTF-8":    {door + "/%ff" + mark, "X-Fine: 1", http.StatusNotFound},
		"CR, LF and ESC in a source":   {"/v1/webhooks/" + evil, "X-Fine: 1", http.StatusNotFound},
		"a source that is no UTF-8":    {"/v1/webhooks/%ff" + mark, "X-Fine: 1", http.StatusNotFound},
		"a source of 30 KB":            {"/v1/webhooks/" + strings.Repeat(mark, 4000), "X-Fine: 1", http.StatusNotFound},
		"a source that climbs":         {"/v1/webhooks/../" + mark, "X-Fine: 1", http.StatusNotFound},
		"too many segments":            {door + "/a/b/c/" + mark, "X-Fine: 1", http.StatusNotFound},
		"ESC in a path as it is":       {door + "/\x1b" + mark, "X-Fine: 1", http.StatusBadRequest},
		"NUL in a path":                {door + "/%00" + mark, "X-Fine: 1", http.StatusOK},
		"a path that is not escaped":   {door + "/%zz" + mark, "X-Fine: 1", http.StatusBadRequest},
		"a whole address as a path":    {"http://" + mark + door, "X-Fine: 1", http.StatusOK},
		"an address of another scheme": {"gopher://" + mark + door, "X-Fine: 1", http.StatusOK},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := s.speak(t, lines(test.path, header, test.line, length(body))+string(body), false)
			if len(got) != 1 || got[0].code != test.code {
				t.Fatalf("answers %.400v, want %d", got, test.code)
			}
			for name, values := range got[0].header {
				if strings.Contains(name+strings.Join(values, ""), mark) {
					t.Errorf("the answer's header repeats it: %v", got[0].header)
				}
			}
			if bytes.ContainsAny(got[0].body, "\x1b\r") || bytes.Count(got[0].body, []byte("\n")) > 1 {
				t.Errorf("the answer has lines of the sender's: %q", got[0].body)
			}
			if test.code != http.StatusOK {
				return
			}
			if kept := s.get(t, taken(t, got[0].code, got[0].body).GetDelivery()); !bytes.Equal(kept.GetBody(), body) {
				t.Errorf("kept as %q", kept.GetBody())
			}
		})
	}
	t.Run("by a relay", func(t *testing.T) {
		good := &callnormv1.HttpHeader{Name: "X-Signature", Value: header.Get("X-Signature")}
		const evil = "a\r\nlevel=ERROR " + mark + "\x1b[31m"
		for name, test := range map[string]struct {
			request *callnormv1.IngestDeliveryRequest
			code    codes.Code
		}{
			"a header's value": {&callnormv1.IngestDeliveryRequest{Source: "synthflow", Headers: []*callnormv1.HttpHeader{good, {Name: "X-Evil", Value: evil}}}, codes.OK},
			"a header's name":  {&callnormv1.IngestDeliveryRequest{Source: "synthflow", Headers: []*callnormv1.HttpHeader{good, {Name: evil, Value: "a"}}}, codes.OK},
			"the event":        {&callnormv1.IngestDeliveryRequest{Source: "synthflow", Headers: []*callnormv1.HttpHeader{good}, Event: evil}, codes.OK},
			"the query":        {&callnormv1.IngestDeliveryRequest{Source: "synthflow", Headers: []*callnormv1.HttpHeader{good}, Query: evil}, codes.OK},
			"the content type": {&callnormv1.IngestDeliveryRequest{Source: "synthflow", Headers: []*callnormv1.HttpHeader{good}, Body: &httpbody.HttpBody{ContentType: evil}}, codes.OK},
			"the source":       {&callnormv1.IngestDeliveryRequest{Source: evil, Headers: []*callnormv1.HttpHeader{good}}, codes.NotFound},
			"the signature":    {&callnormv1.IngestDeliveryRequest{Source: "synthflow", Headers: []*callnormv1.HttpHeader{{Name: "X-Signature", Value: evil}}}, codes.Unauthenticated},
		} {
			if test.request.GetBody() == nil {
				test.request.Body = &httpbody.HttpBody{}
			}
			test.request.Body.Data = body
			if _, err := s.norm.IngestDelivery(t.Context(), test.request); status.Code(err) != test.code {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestHostileFraming sends requests that two readers could take apart in two ways. Whatever comes of it, there is never more than
// one delivery, and never one that nobody signed.
func TestHostileFraming(t *testing.T) {
	s, sources := besieged(t, server.Limits{})
	body := inCall(`"duration":1`)
	header := signed(t, sources["synthflow"], body)
	const door = "/v1/webhooks/synthflow"
	chunk := func(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }
	inner := "POST /v1/webhooks/voxia HTTP/1.1\r\nHost: localhost\r\n" + length(body) + "\r\n\r\n" + string(body)
	whole := chunk(string(body)) + "0\r\n\r\n"
	tests := map[string]struct {
		request string
		hangUp  bool
		codes   []int // of the one answer
	}{
		"in chunks":                            {lines(door, header, "Transfer-Encoding: chunked") + whole, false, []int{200}},
		"in chunks that end in the middle":     {lines(door, header, "Transfer-Encoding: chunked") + "fff\r\n" + string(body), true, []int{503}},
		"in chunks without an end":             {lines(door, header, "Transfer-Encoding: chunked") + chunk(string(body)), true, []int{503}},
		"in chunks of nonsense":                {lines(door, header, "Transfer-Encoding: chunked") + mark + "\r\n", false, []int{503}},
		"in chunks of negative size":           {lines(door, header, "Transfer-Encoding: chunked") + "-5\r\nabcde\r\n0\r\n\r\n", false, []int{503}},
		"in chunks of a huge size":             {lines(door, header, "Transfer-Encoding: chunked") + "ffffffffffffffff\r\n" + mark, true, []int{503}},
		"in chunks with endless extensions":    {lines(door, header, "Transfer-Encoding: chunked") + "1;" + strings.Repeat("x", 1<<16) + "\r\n", true, []int{503}},
		"in chunks with trailers":              {lines(door, header, "Transfer-Encoding: chunked", "Trailer: X-Signature") + chunk(string(body)) + "0\r\nX-Signature: " + mark + "\r\n\r\n", false, []int{200}},
		"a length that is too short":           {lines(door, header, "Content-Length: "+strconv.Itoa(len(body)-1)) + string(body), false, []int{401}},
		"a length that is too long":            {lines(door, header, "Content-Length: "+strconv.Itoa(len(body)+1)) + string(body), true, []int{503}},
		"a length and nothing":                 {lines(door, header, length(body)), true, []int{503}},
		"a negative length":                    {lines(door, header, "Content-Length: -1") + string(body), false, []int{400}},
		"a length with a sign":                 {lines(door, header, "Content-Length: +"+strconv.Itoa(len(body))) + string(body), false, []int{400}},
		"a length beyond numbers":              {lines(door, header, "Content-Length: 99999999999999999999") + string(body), false, []int{400}},
		"two lengths":                          {lines(door, header, length(body), "Content-Length: 1") + string(body), false, []int{400}},
		"two lengths in one line":              {lines(door, header, "Content-Length: 1, "+strconv.Itoa(len(body))) + string(body), false, []int{400}},
		"a length and chunks":                  {lines(door, header, "Content-Length: 3", "Transfer-Encoding: chunked") + whole, false, []int{200, 400}},
		"chunks that hide another request":     {lines(door, header, "Content-Length: "+strconv.Itoa(5+len(inner)), "Transfer-Encoding: chunked") + "0\r\n\r\n" + inner, false, []int{400, 401}},
		"a length that hides another request":  {lines(door, signed(t, sources["synthflow"], nil), "Content-Length: 0") + inner, false, []int{200}},
		"chunks said twice":                    {lines(door, header, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + whole, false, []int{400, 501}},
		"chunks of chunks":                     {lines(door, header, "Transfer-Encoding: chunked, chunked") + whole, false, []int{400, 501}},
		"chunks and identity":                  {lines(door, header, "Transfer-Encoding: chunked, identity") + whole, false, []int{400, 501}},
		"chunks with a vertical tab":           {lines(door, header, "Transfer-Encoding: \x0bchunked") + whole, false, []int{400, 501}},
		"chunks behind a blank":                {lines(door, header, "Transfer-Encoding : chunked") + whole, false, []int{400, 501}},
		"a transfer encoding nobody knows":     {lines(door, header, "Transfer-Encoding: x-"+mark) + whole, false, []int{501}},
		"a body without a length":              {lines(door, header) + string(body), true, []int{401}},
		"another protocol":                     {"POST " + door + " HTTP/9.9\r\n\r\n", false, []int{505}},
		"an old protocol with chunks":          {strings.Replace(lines(door, header, "Transfer-Encoding: chunked"), "HTTP/1.1", "HTTP/1.0", 1) + whole, true, []int{200, 400, 401}},
		"no HTTP":                              {mark + "\r\n\r\n", false, []int{400}},
		"TLS where there is none":              {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + mark + "\r\n\r\n", true, []int{400}},
		"HTTP/2 without being asked":           {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + mark, true, []int{403}},
		"an upgrade":                           {lines(door, header, length(body), "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__") + string(body), false, []int{200}},
		"too large, asking first":              {lines(door, header, "Content-Length: 99999999", "Expect: 100-continue"), false, []int{413}},
		"an expectation nobody can meet":       {lines(door, header, length(body), "Expect: "+mark) + string(body), false, []int{417}},
		"a door nobody has, asking first":      {lines("/v1/webhooks/nobody", header, length(body), "Expect: 100-continue"), false, []int{404}},
		"an encoding nobody knows, asking too": {lines(door, header, length(body), "Content-Encoding: br", "Expect: 100-continue"), false, []int{415}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := s.count(t)
			got := s.speak(t, test.request, test.hangUp)
			code := 0
			if len(got) > 0 {
				code = got[0].code
			}
			if !slices.Contains(test.codes, code) || len(got) > 1 {
				t.Fatalf("answers %v, want one of %v", got, test.codes)
			}
			if bytes.Contains(got[0].body, []byte("\x1b")) || got[0].header.Get("X-Evil") != "" {
				t.Errorf("%v", got[0])
			}
			if code != http.StatusOK {
				if after := s.count(t); after != before {
					t.Errorf("%d deliveries were kept of what was answered with %d", after-before, code)
				}
				return
			}
			kept := s.get(t, taken(t, code, got[0].body).GetDelivery())
			if len(kept.GetBody()) > 0 && !bytes.Equal(kept.GetBody(), body) {
				t.Errorf("kept as %q", kept.GetBody())
			}
			if kept.GetSource() != "synthflow" {
				t.Errorf("kept at %s", kept.GetSource())
			}
		})
	}
}

// count counts the deliveries that are kept.
func (s *system) count(t *testing.T) (n int) {
	t.Helper()
	for token := ""; ; {
		page, err := s.deliveries.ListDeliveries(t.Context(), &callnormv1.ListDeliveriesRequest{PageToken: token, PageSize: 1000})
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.GetDeliveries())
		if token = page.GetNextPageToken(); token == "" {
			return n
		}
	}
}

func TestHostileEncodings(t *testing.T) {
	s, sources := besieged(t, server.Limits{})
	body := inCall(`"duration":1`)
	zipped := zip(t, body)
	tests := map[string]struct {
		encoding []string
		body     []byte
		code     int
		kept     []byte
	}{
		"none":                         {nil, body, http.StatusOK, body},
		"identity":                     {[]string{"identity"}, body, http.StatusOK, body},
		"gzip":                         {[]string{"gzip"}, zipped, http.StatusOK, body},
		"its old name, in capitals":    {[]string{" X-GZIP "}, zipped, http.StatusOK, body},
		"several members":              {[]string{"gzip"}, append(zip(t, body[:9]), zip(t, body[9:])...), http.StatusOK, body},
		"gzip in gzip":                 {[]string{"gzip"}, zip(t, zipped), http.StatusOK, zipped},
		"gzip of nothing":              {[]string{"gzip"}, zip(t, nil), http.StatusOK, nil},
		"gzip and it is not":           {[]string{"gzip"}, body, http.StatusBadRequest, nil},
		"gzip that is cut off":         {[]string{"gzip"}, zipped[:len(zipped)-4], http.StatusBadRequest, nil},
		"gzip with a wrong sum":        {[]string{"gzip"}, append(bytes.Clone(zipped[:len(zipped)-8]), make([]byte, 8)...), http.StatusBadRequest, nil},
		"gzip and something behind it": {[]string{"gzip"}, append(bytes.Clone(zipped), mark...), http.StatusBadRequest, nil},
		"gzip and no body":             {[]string{"gzip"}, nil, http.StatusBadRequest, nil},
		"gzip twice":                   {[]string{"gzip, gzip"}, zip(t, zipped), http.StatusUnsupportedMediaType, nil},
		"gzip in two lines":            {[]string{"gzip", "gzip"}, zip(t, zipped), http.StatusUnsupportedMediaType, nil},
		"deflate":                      {[]string{"deflate"}, zipped, http.StatusUnsupportedMediaType, nil},
		"br":                           {[]string{"br"}, zipped, http.StatusUnsupportedMediaType, nil},
		"zstd":                         {[]string{"zstd"}, zipped, http.StatusUnsupportedMediaType, nil},
		"nonsense":                     {[]string{mark}, body, http.StatusUnsupportedMediaType, nil},
		"no encoding, but gzip":        {nil, zipped, http.StatusOK, zipped},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			header := signed(t, sources["synthflow"], test.body)
			header["Content-Encoding"] = test.encoding
			code, _, text := s.post(t, "/v1/webhooks/synthflow", header, test.body)
			if code != test.code {
				t.Fatalf("%d %s, want %d", code, text, test.code)
			}
			if code == http.StatusOK {
				if kept := s.get(t, taken(t, code, text).GetDelivery()); !bytes.Equal(kept.GetBody(), test.kept) {
					t.Errorf("kept as %q", kept.GetBody())
				}
			} else if why := refusal(t, text); code == http.StatusUnsupportedMediaType && why != "ENCODING_UNSUPPORTED" || code == http.StatusBadRequest && why != "INVALID_REQUEST" {
				t.Errorf("%s", text)
			}
		})
	}
}

func TestContentTypesDecideNothing(t *testing.T) {
	s, sources := besieged(t, server.Limits{})
	body := inCall(`"duration":1`)
	for _, contentType := range []string{
		"", "application/json", "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x", "text/plain",
		"application/grpc", "application/octet-stream", "text/html; charset=utf-16", "nonsense", strings.Repeat(mark, 1000), "\xff", "a/b; a=\"" + mark,
	} {
		header := signed(t, sources["synthflow"], body)
		header["Content-Type"] = []string{contentType}
		code, _, text := s.post(t, "/v1/webhooks/synthflow", header, body)
		if answer := taken(t, code, text); answer.GetState() != callnormv1.DeliveryState_DELIVERY_STATE_NORMALIZED {
			t.Errorf("%.40q: %v", contentType, answer)
		}
	}
	if n := s.count(t); n != 1 {
		t.Errorf("it is one delivery, whatever it is called; kept are %d", n)
	}
}

// TestALargeCallStaysCheap sends one body after the other about one call. What is put together inside a commit holds up everybody
// else's, so that what the next one costs must not grow with all that was said before.
func TestALargeCallStaysCheap(t *testing.T) {
	s, sources := besieged(t, server.Limits{})
	var first, last uint64
	for i := range 8 {
		body := fmt.Appendf(nil, `{"call":{"call_id":"large","status":"completed","n":%d,"transcript":%q}}`, i, strings.Repeat("bot: hi\n", 100_000/slowness))
		header := signed(t, sources["synthflow"], body)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		code, _, text := s.post(t, "/v1/webhooks/synthflow", header, body)
		runtime.ReadMemStats(&after)
		taken(t, code, text)
		switch last = after.TotalAlloc - before.TotalAlloc; i {
		case 1: // The first one finds nothing.
			first = last
		case 7:
			if last > 3*first {
				t.Errorf("the second delivery of %d bytes allocated %d bytes, the eighth %d", len(body), first, last)
			}
		}
	}
}

// spent is the processor's time that the process has taken.
func spent() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestAGzipBombIsCheap sends 10 MB that would inflate to 10 GB. The bound is on bytes; processor time depends on the machine.
func TestAGzipBombIsCheap(t *testing.T) {
	s, sources := besieged(t, server.Limits{})
	const inflated, bound = 10 << 30, 32 << 20
	member := zip(t, make([]byte, 16<<20))
	times := inflated / (16 << 20)
	size := len(member) * times
	if size > 11<<20 || size < 10_000_000 {
		t.Fatalf("the bomb has %d bytes", size)
	}
	header := signed(t, sources["synthflow"], member) // Nobody gets as far as to verify it.
	for name, framing := range map[string]string{"with its length": "Content-Length: " + strconv.Itoa(size), "in chunks": "Transfer-Encoding: chunked"} {
		t.Run(name, func(t *testing.T) {
			conn := s.connect(t)
			piece := member
			if name == "in chunks" {
				piece = fmt.Appendf(nil, "%x\r\n%s\r\n", len(member), member)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			cpu := spent()
			var sending sync.WaitGroup
			sending.Go(func() {
				if _, err := io.WriteString(conn, lines("/v1/webhooks/synthflow", header, "Content-Encoding: gzip", framing)); err != nil {
					return
				}
				for range times {
					if _, err := conn.Write(piece); err != nil {
						return // refused, as it should be
					}
				}
			})
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			cpu = spent() - cpu
			runtime.ReadMemStats(&after)
			_ = conn.Close()
			sending.Wait()
			if response.StatusCode != http.StatusRequestEntityTooLarge || refusal(t, text) != "BODY_TOO_LARGE" {
				t.Errorf("%d %s", response.StatusCode, text)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > bound {
				t.Errorf("%d bytes were allocated", allocated)
			}
			t.Logf("%d bytes allocated, %s of processor time", after.TotalAlloc-before.TotalAlloc, cpu)
		})
	}
	if n := s.count(t); n != 0 {
		t.Errorf("%d deliveries are kept", n)
	}
}

// TestASlowSenderHoldsNobodyUp opens connections that stop in the middle. Others are served while they wait, and they are
// answered, or hung up on, in the end.
func TestASlowSenderHoldsNobodyUp(t *testing.T) {
	limits := server.DefaultLimits()
	limits.ReadHeaderTimeout, limits.ReadTimeout = 2*time.Second, 2*time.Second
	limits.InflightBytes = 1 << 20
	s, sources := besieged(t, limits)
	body := inCall(`"duration":1`)
	header := signed(t, sources["synthflow"], body)
	half := string(body[:len(body)/2])
	const door = "/v1/webhooks/synthflow"
	stops := map[string]struct {
		sent  string
		codes []int
	}{
		"in the first line":         {"POST /v1/webh", []int{0, 400, 408}},
		"in the header":             {"POST " + door + " HTTP/1.1\r\nHost: localhost\r\nX-Fi", []int{0, 400, 408}},
		"after the header":          {lines(door, header, length(body)), []int{503}},
		"in the body":               {lines(door, header, length(body)) + half, []int{503}},
		"in a chunk":                {lines(door, header, "Transfer-Encoding: chunked") + "fff\r\n" + half, []int{503}},
		"between chunks":            {lines(door, header, "Transfer-Encoding: chunked") + "3\r\nabc\r\n", []int{503}},
		"in gzip":                   {lines(door, header, "Content-Length: 100", "Content-Encoding: gzip") + string(zip(t, body)[:20]), []int{503}},
		"after it was told to send": {lines(door, header, length(body), "Expect: 100-continue"), []int{503}},
		"before a body of 10 MB":    {lines(door, header, "Content-Length: 10485760"), []int{503}},
	}
	slow := map[string][]*net.TCPConn{}
	for name, stop := range stops {
		for range 30 {
			conn := s.connect(t)
			if _, err := io.WriteString(conn, stop.sent); err != nil {
				t.Fatal(err)
			}
			slow[name] = append(slow[name], conn)
		}
	}
	for i := range 50 {
		honest := call(fmt.Sprint("honest", i), "completed")
		code, _, text := s.post(t, door, signed(t, sources["synthflow"], honest), honest)
		taken(t, code, text)
	}
	for name, conns := range slow {
		for _, conn := range conns {
			got := answers(t, conn)
			code := 0
			if len(got) > 0 {
				code = got[len(got)-1].code
			}
			if !slices.Contains(stops[name].codes, code) {
				t.Errorf("%s: answers %v, want %v", name, got, stops[name].codes)
			}
		}
	}
	if n := s.count(t); n != 50 {
		t.Errorf("kept are %d", n)
	}
}
