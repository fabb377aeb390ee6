package bounds

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	bombWire    = 10 << 20
	bombContent = 10 << 30
)

// bombs are bodies of 10 MiB that inflate to 10 GiB, and others that make work without inflating to much, of a size of their own.
func bombs(t testing.TB, busy int) map[string][]byte {
	t.Helper()
	// One member of zeros, again and again: legal.
	var member bytes.Buffer
	w, err := gzip.NewWriterLevel(&member, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, bombContent/(bombWire/(10<<10)))); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	// A block of zeros that ends with its byte means the same behind itself.
	const head = 10
	block := bytes.Clone(member.Bytes()[head:])
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	one := append(bytes.Clone(member.Bytes()[:head]), bytes.Repeat(block, bombWire/len(block))...)
	// A kilobyte that is honest, and another bomb.
	late := append([]byte(zip(noise(1<<10))), one...)
	// Members of nothing at all.
	empty := []byte(zip(""))
	return map[string][]byte{
		"many members":         bytes.Repeat(member.Bytes(), bombWire/member.Len()),
		"one member":           one,
		"one after an honest":  late[:bombWire],
		"members of nothing":   bytes.Repeat(empty, busy/len(empty)),
		"blocks of their own":  blocks(busy),
		"tables for a few":     tables(busy),
		"headers with a lot":   headers(busy),
		"text that is no gzip": []byte(strings.Repeat("x", bombWire)),
	}
}

// blocks are stored blocks of one byte each: six bytes of wire for each of content.
func blocks(n int) []byte {
	out := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}
	for len(out) < n-20 {
		out = append(out, 0, 1, 0, 0xfe, 0xff, 'x')
	}
	size := uint32(len(out)-10) / 6
	out = append(out, 1, 0, 0, 0xff, 0xff)
	sum := crc32.ChecksumIEEE(bytes.Repeat([]byte{'x'}, int(size)))
	return append(out, byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24), byte(size), byte(size>>8), byte(size>>16), byte(size>>24))
}

// tables are blocks that each bring a table for a few bytes, which is what inflating spends most time on.
func tables(n int) []byte {
	var block bytes.Buffer
	w, _ := flate.NewWriter(&block, flate.HuffmanOnly)
	_, _ = io.WriteString(w, strings.Repeat("aaaaabbbcd", 16))
	_ = w.Flush()
	out := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}
	return append(out, bytes.Repeat(block.Bytes(), n/block.Len())...)
}

// headers are members of nothing, each with 64 KiB in its header.
func headers(n int) []byte {
	member := append([]byte{0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff}, make([]byte, 0xffff)...)
	member = append(member, 1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0)
	return bytes.Repeat(member, n/len(member))
}

func bombRequest(wire []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(wire))
	r.Header.Set("Content-Encoding", "gzip")
	return r
}

// What refusing a bomb takes is bounded by what it allocates altogether, which is more than it holds at any moment.
func TestBombs(t *testing.T) {
	const most = 32 << 20
	limits := map[string]BodyLimits{
		"a ratio": {Max: 16 << 20, Ratio: 100},
		"a limit": {Max: 10 << 20},
	}
	refused := map[string]error{
		"many members": ErrTooLarge, "one member": ErrTooLarge, "one after an honest": ErrTooLarge, "text that is no gzip": ErrCorrupt,
		"tables for a few": ErrCorrupt, // it has no end
	}
	for name, wire := range bombs(t, 2<<20) {
		for by, limits := range limits {
			t.Run(name+", bounded by "+by, func(t *testing.T) {
				budget := NewBudget(1<<30, 0)
				limits.Budget = budget
				r, w := bombRequest(wire), httptest.NewRecorder()
				in := newReading(w, r, limits)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, err := in.body(r.Header)
				runtime.ReadMemStats(&after)
				allocated := after.TotalAlloc - before.TotalAlloc
				t.Logf("%v: inflated %d bytes of %d received, allocated %d", err, in.content.size, in.wire.size, allocated)
				if !errors.Is(err, refused[name]) {
					t.Errorf("error %v", err)
				}
				if allocated > most {
					t.Errorf("allocated %d bytes", allocated)
				}
				bound := limits.Max + 1
				if limits.Ratio > 0 && refused[name] != nil {
					bound = min(bound, max(ratioFloor, int64(limits.Ratio)*in.handed)+maxPiece)
				}
				if in.content.size > bound {
					t.Errorf("inflated %d bytes", in.content.size)
				}
				in.claim.release()
				if left := budget.InFlight(); left != 0 {
					t.Errorf("%d bytes are still in flight", left)
				}
			})
		}
	}
}

func TestRatio(t *testing.T) {
	zeros := func(n int) string { return strings.Repeat("0", n) }
	tests := map[string]struct {
		text  string
		ratio int
		err   error
	}{
		"repeated text below the floor may compress as it likes": {zeros(ratioFloor), 10, nil},
		"above the floor it may not":                             {zeros(ratioFloor + 1), 10, ErrTooLarge},
		"without a ratio it may":                                 {zeros(2 * ratioFloor), 0, nil},
		"within the ratio it may":                                {zeros(2 * ratioFloor), 2000, nil},
		"noise never is a bomb":                                  {noise(2 * ratioFloor), 1, nil},
		"what was bomb once stays one":                           {zeros(2*ratioFloor) + noise(1<<20), 4, ErrTooLarge},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			body, err := Read(httptest.NewRecorder(), bombRequest([]byte(zip(tt.text))), BodyLimits{Max: 4 << 20, Ratio: tt.ratio})
			if !errors.Is(err, tt.err) || err == nil && string(body.Content) != tt.text {
				t.Errorf("error %v, %d bytes", err, len(body.Content))
			}
		})
	}
}

// The sender of a bomb gets to read that it was refused, although it has not sent all of it.
func TestABombIsAnswered(t *testing.T) {
	handler, got := door(BodyLimits{Max: 16 << 20, Ratio: 100, Pace: DefaultPace})
	server := httptest.NewServer(handler)
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, bytes.NewReader(bombs(t, 0)["one member"]))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Encoding", "gzip")
	answer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	if read := <-got; !errors.Is(read.err, ErrTooLarge) || answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("error %v, answer %d", read.err, answer.StatusCode)
	}
}

func BenchmarkBomb(b *testing.B) {
	for name, wire := range bombs(b, bombWire) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			start := cpu(b)
			for b.Loop() {
				if body, err := Read(httptest.NewRecorder(), bombRequest(wire), BodyLimits{Max: 16 << 20, Ratio: 100}); err == nil {
					body.Release()
				}
			}
			b.ReportMetric(float64((cpu(b)-start).Microseconds())/float64(b.N)/1000, "cpu-ms/op")
		})
	}
}

// cpu returns the processor time of the process.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
