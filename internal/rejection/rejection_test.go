package rejection

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	key    = bytes.Repeat([]byte("k"), minKey)
	begin  = time.Date(2026, 11, 21, 14, 2, 0, 0, time.UTC)
	roomy  = Limits{Requests: DefaultRequests, Bytes: DefaultBytes}
	nobody = Limits{}
)

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

func mustOpen(t *testing.T, dir string, settings Settings) *Book {
	t.Helper()
	b, err := Open(t.Context(), dir, settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func mustClose(t failer, b *Book) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func mustFlush(t failer, b *Book) {
	t.Helper()
	if err := b.Flush(context.Background()); err != nil {
		t.Fatalf("Flush: %v", err)
	}
}

// rejections reads all pages of a source.
func rejections(t failer, b *Book, source string) (all []Rejection) {
	t.Helper()
	for before := ""; ; before = all[len(all)-1].ID {
		page, err := b.Rejections(context.Background(), source, before, 300)
		if err != nil {
			t.Fatalf("Rejections: %v", err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}

// held reads all pages of a source.
func held(t failer, b *Book, source string) (all []HeldRequest) {
	t.Helper()
	for after := ""; ; after = all[len(all)-1].ID {
		page, err := b.Held(context.Background(), source, after, 7)
		if err != nil {
			t.Fatalf("Held: %v", err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}

func same(t failer, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func request(body string) *Request { return &Request{Body: []byte(body)} }

func bodies(all []HeldRequest) (bodies []string) {
	for _, h := range all {
		bodies = append(bodies, string(h.Request.Body))
	}
	return bodies
}

// noise returns bytes that cannot be compressed.
func noise(size int) []byte {
	noise := make([]byte, size)
	rand.Read(noise)
	return noise
}

// alter changes the file of a closed Book.
func alter(t *testing.T, dir, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func files(t *testing.T, dir, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestSummaryTellsTheStory(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), begin
	b := mustOpen(t, dir, Settings{Now: func() time.Time { return now }})
	old, newest := b.Fingerprint([]byte("the secret before")), b.Fingerprint([]byte("the newest secret"))
	if old == newest || len(old) > 20 || strings.Contains(string(old), "secret") {
		t.Errorf("fingerprints are %q and %q", old, newest)
	}
	same(t, "summary of nothing", Summary{ByCause: map[string]int64{}, MatchTimes: map[Fingerprint]time.Time{}}, b.Summary("s"))
	b.Reject(Rejection{Source: "s", Cause: "signature missing", Time: begin}, nil, nobody)
	b.Accept("s", old)
	now = begin.Add(time.Minute)
	b.Accept("s", "")
	b.Reject(Rejection{Source: "s", Cause: "signature mismatch", Time: begin.Add(2 * time.Minute)}, nil, nobody)
	b.Reject(Rejection{Source: "s", Cause: "signature mismatch", Time: begin.Add(3 * time.Minute)}, nil, nobody)
	now = begin.Add(4 * time.Minute)
	b.Reject(Rejection{Source: "s", Cause: "signed time too old"}, nil, nobody)
	want := Summary{
		Accepted: 2, Refused: 4,
		LastAcceptTime: begin.Add(time.Minute), LastRefusalTime: begin.Add(4 * time.Minute),
		RefusedSinceAccept: 3, FirstRefusalSinceAccept: begin.Add(2 * time.Minute),
		ByCause:    map[string]int64{"signature mismatch": 2, "signed time too old": 1},
		MatchTimes: map[Fingerprint]time.Time{old: begin},
	}
	same(t, "summary at once", want, b.Summary("s"))
	mustClose(t, b)
	b = mustOpen(t, dir, Settings{Now: func() time.Time { return now }})
	same(t, "summary after a restart", want, b.Summary("s"))
	if again := b.Fingerprint([]byte("the newest secret")); again != newest {
		t.Errorf("the fingerprint was %q, and is %q after a restart", newest, again)
	}
	same(t, "summary of another source", Summary{ByCause: map[string]int64{}, MatchTimes: map[Fingerprint]time.Time{}}, b.Summary("t"))
	b.Accept("s", newest)
	want.Accepted, want.LastAcceptTime = 3, now
	want.RefusedSinceAccept, want.FirstRefusalSinceAccept, want.ByCause = 0, time.Time{}, map[string]int64{}
	want.MatchTimes[newest] = now
	same(t, "summary after the fix", want, b.Summary("s"))
}

func TestRejectionsAndHeldRequests(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir, Settings{Key: key})
	refused := &Request{
		Method: http.MethodPost, Path: "/v1/webhooks/s/%2F\xff", Query: "a=b&a=\xfe",
		Header:      http.Header{"X-Signature": {"one", "two\xff"}, "Authorization": {""}},
		Body:        append([]byte("\x1f\x8b\x00"), bytes.Repeat([]byte("marked body "), 1000)...),
		ReceiveTime: begin,
	}
	first := Rejection{
		Source: "s", Cause: "signature mismatch", Time: begin, Address: AddressPublicV6, Forwarded: true,
		BodyBytes: 12003, HeaderBytes: 40, ID: "ignored", Held: "ignored",
	}
	b.Reject(first, refused, roomy)
	second := Rejection{Source: "s", Cause: "signature missing", Time: begin.Add(time.Second), Address: AddressLoopback}
	b.Reject(second, nil, roomy)
	b.Reject(Rejection{Source: "other", Cause: "signature missing", Time: begin}, request("other"), roomy)
	check := func() {
		t.Helper()
		got := rejections(t, b, "s")
		if len(got) != 2 {
			t.Fatalf("rejections: %+v", got)
		}
		first.ID, first.Held, second.ID = got[1].ID, got[1].ID, got[0].ID
		same(t, "rejections", []Rejection{second, first}, got)
		same(t, "held", []HeldRequest{{ID: first.ID, Source: "s", Cause: first.Cause, Time: begin, Request: refused}}, held(t, b, "s"))
		if s := b.Summary("s"); s.HeldRequests != 1 || s.HeldBytes != refused.size() || s.Unheld != 0 {
			t.Errorf("summary: %+v", s)
		}
	}
	check()
	mustClose(t, b)
	for _, file := range files(t, dir, "*") {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s is %v, %v", filepath.Base(file), info.Mode(), err)
		}
		if bytes.Contains(content, []byte("marked body")) || bytes.Contains(content, []byte("webhooks/s")) {
			t.Errorf("%s tells what is held", filepath.Base(file))
		}
	}
	b = mustOpen(t, dir, Settings{Key: key})
	check()
	if err := b.Release(t.Context(), first.ID); err != nil {
		t.Errorf("Release: %v", err)
	}
	if err := b.Release(t.Context(), first.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("Release again: %v", err)
	}
	same(t, "held after release", 0, len(held(t, b, "s")))
	same(t, "held of the other", []string{"other"}, bodies(held(t, b, "other")))
	first.Held = ""
	same(t, "rejections after release", []Rejection{second, first}, rejections(t, b, "s"))
	if s := b.Summary("s"); s.HeldRequests != 0 || s.HeldBytes != 0 || s.Evicted != 0 {
		t.Errorf("summary after release: %+v", s)
	}
}

func TestWhatIsWrittenSurvivesTheProcess(t *testing.T) {
	t.Parallel()
	dir, crashed := t.TempDir(), t.TempDir()
	b := mustOpen(t, dir, Settings{Key: key})
	b.Accept("s", b.Fingerprint([]byte("secret")))
	b.Reject(Rejection{Source: "s"}, request("a"), roomy)
	mustFlush(t, b)
	want := b.Summary("s")
	// What a process that is killed leaves behind is what is in its files now.
	if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	b = mustOpen(t, crashed, Settings{Key: key})
	same(t, "summary", want, b.Summary("s"))
	same(t, "held", []string{"a"}, bodies(held(t, b, "s")))
	same(t, "rejections", 1, len(rejections(t, b, "s")))
}

func TestWrongQuestionsAreErrors(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	b := mustOpen(t, dir, Settings{})
	for _, id := range []string{"x", " 1", "+1", "01", "1.0", "99999999999999999999"} {
		_, rejections := b.Rejections(ctx, "s", id, 1)
		_, held := b.Held(ctx, "s", id, 1)
		for what, err := range map[string]error{"Rejections": rejections, "Held": held, "Release": b.Release(ctx, id)} {
			if !errors.Is(err, ErrID) {
				t.Errorf("%s of %q: %v", what, id, err)
			}
		}
	}
	_, rejections := b.Rejections(ctx, "s", "", 0)
	_, held := b.Held(ctx, "s", "", -1)
	if rejections == nil || held == nil {
		t.Errorf("pages without room: %v, %v", rejections, held)
	}
	if err := b.Release(ctx, ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("Release of nothing: %v", err)
	}
	if _, err := Open(ctx, dir, Settings{}); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open: %v", err)
	}
	if _, err := Open(ctx, t.TempDir(), Settings{Key: key[1:]}); err == nil || strings.Contains(err.Error(), string(key[1:])) {
		t.Errorf("Open with a short key: %v", err)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Open(canceled, t.TempDir(), Settings{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled Open: %v", err)
	}
	mustClose(t, b)
	mustClose(t, b)
	b.Accept("s", "f")
	b.Reject(Rejection{Source: "s"}, request("x"), roomy)
	if err := b.Flush(ctx); !errors.Is(err, ErrClosed) {
		t.Errorf("Flush of what is closed: %v", err)
	}
}

func TestClassOf(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]Address{
		"127.0.0.1": AddressLoopback, "127.9.9.9": AddressLoopback, "::1": AddressLoopback, "::ffff:127.0.0.1": AddressLoopback,
		"10.1.2.3": AddressPrivate, "172.31.0.1": AddressPrivate, "192.168.0.1": AddressPrivate, "169.254.169.254": AddressPrivate,
		"100.64.0.1": AddressPrivate, "fd00::1": AddressPrivate, "fe80::1%eth0": AddressPrivate, "::ffff:10.0.0.1": AddressPrivate,
		"8.8.8.8": AddressPublicV4, "172.32.0.1": AddressPublicV4, "100.128.0.1": AddressPublicV4, "::ffff:8.8.8.8": AddressPublicV4,
		"2001:4860:4860::8888": AddressPublicV6,
		"":                     AddressUnknown, "0.0.0.0": AddressUnknown, "::": AddressUnknown, "224.0.0.1": AddressUnknown,
		"255.255.255.255": AddressUnknown, "ff02::1": AddressUnknown,
	} {
		parsed, _ := netip.ParseAddr(address) // the zero value for ""
		if got := ClassOf(parsed); got != want {
			t.Errorf("%q is %s, want %s", address, got, want)
		}
	}
}

func TestOldestMakeRoom(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("large ", 20)
	for name, test := range map[string]struct {
		settings        Settings
		limits          []Limits // one per request, the last for all others
		bodies          []string
		want            []string
		evicted, unheld int64
	}{
		"by count":                       {Settings{Key: key}, []Limits{{2, 1000}}, []string{"a", "b", "c", "d"}, []string{"c", "d"}, 2, 0},
		"by bytes":                       {Settings{Key: key}, []Limits{{9, 10}}, []string{"aaaaa", "bb", "ccc", "dddd"}, []string{"bb", "ccc", "dddd"}, 1, 0},
		"several for one":                {Settings{Key: key}, []Limits{{9, 10}}, []string{"aa", "bb", "cc", "0123456789"}, []string{"0123456789"}, 3, 0},
		"what is too large pushes none":  {Settings{Key: key}, []Limits{{9, 10}}, []string{"a", large, "b"}, []string{"a", "b"}, 0, 1},
		"a smaller limit counts at once": {Settings{Key: key}, []Limits{{9, 99}, {9, 99}, {9, 99}, {1, 99}}, []string{"a", "b", "c", "d"}, []string{"d"}, 3, 0},
		"without bodies":                 {Settings{Key: key}, []Limits{{2, 1}}, []string{"", "", ""}, []string{"", ""}, 1, 0},
		"no requests":                    {Settings{Key: key}, []Limits{{0, 1000}}, []string{"a"}, nil, 0, 0},
		"no bytes":                       {Settings{Key: key}, []Limits{{5, 0}}, []string{"a"}, nil, 0, 0},
		"no key":                         {Settings{}, []Limits{{5, 1000}}, []string{"a", "b"}, nil, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := mustOpen(t, t.TempDir(), test.settings)
			b.Reject(Rejection{Source: "other"}, request("other"), roomy)
			for i, body := range test.bodies {
				b.Reject(Rejection{Source: "s"}, request(body), test.limits[min(i, len(test.limits)-1)])
			}
			same(t, "held", test.want, bodies(held(t, b, "s")))
			s := b.Summary("s")
			size := len(strings.Join(test.want, ""))
			if s.HeldRequests != int64(len(test.want)) || s.HeldBytes != int64(size) || s.Evicted != test.evicted ||
				s.Unheld != test.unheld || s.Dropped != 0 || s.Refused != int64(len(test.bodies)) {
				t.Errorf("summary: %+v", s)
			}
			if s := b.Summary("other"); test.settings.Key != nil && (s.HeldRequests != 1 || s.Evicted != 0) {
				t.Errorf("summary of the other source: %+v", s)
			}
			same(t, "rejections", len(test.bodies), len(rejections(t, b, "s")))
		})
	}
}

func TestPagesOfLargeRequestsEndEarly(t *testing.T) {
	t.Parallel()
	b := mustOpen(t, t.TempDir(), Settings{Key: key})
	body := strings.Repeat("x", 6<<20)
	for range 5 {
		b.Reject(Rejection{Source: "s"}, request(body), roomy)
		mustFlush(t, b)
	}
	page, err := b.Held(t.Context(), "s", "", 100)
	if err != nil || len(page) != 3 {
		t.Fatalf("a page of %d: %v", len(page), err)
	}
	same(t, "all", 5, len(held(t, b, "s")))
}

func TestOtherKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hold := func(key []byte, body string) {
		b := mustOpen(t, dir, Settings{Key: key})
		b.Reject(Rejection{Source: "s", Cause: "signature mismatch", Time: begin}, request(body), roomy)
		mustClose(t, b)
	}
	other := bytes.Repeat([]byte("o"), minKey)
	hold(key, "a")
	hold(other, "b")
	hold(key, "c")
	hold(key, "altered")
	alter(t, dir, "UPDATE held SET sealed = sealed || x'00' WHERE seq = (SELECT MAX(seq) FROM held)")
	for name, test := range map[string]struct {
		key  []byte
		want []string
	}{
		"the first": {key, []string{"a", "", "c", ""}},
		"the other": {other, []string{"", "b", "", ""}},
		"none":      {nil, []string{"", "", "", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			b := mustOpen(t, dir, Settings{Key: test.key})
			all := held(t, b, "s")
			if len(all) != len(test.want) {
				t.Fatalf("held: %+v", all)
			}
			for i, h := range all {
				want := HeldRequest{ID: h.ID, Source: "s", Cause: "signature mismatch", Time: begin, Err: h.Err}
				if test.want[i] != "" {
					want.Request = request(test.want[i])
				}
				same(t, "held", want.Request, h.Request)
				if (h.Request == nil) != errors.Is(h.Err, ErrKey) || h.Cause != want.Cause || !h.Time.Equal(begin) {
					t.Errorf("held: %+v", h)
				}
			}
			mustClose(t, b)
		})
	}
	t.Run("a request under the label of another", func(t *testing.T) {
		alter(t, dir, "UPDATE held SET sealed = (SELECT sealed FROM held ORDER BY seq LIMIT 1)")
		b := mustOpen(t, dir, Settings{Key: key})
		all := held(t, b, "s")
		if all[0].Err != nil || !errors.Is(all[2].Err, ErrKey) {
			t.Errorf("held: %+v", all)
		}
		// What cannot be read can still be got rid of.
		if err := b.Release(t.Context(), all[2].ID); err != nil {
			t.Error(err)
		}
	})
}

func TestUnreadableFileIsMovedAside(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, dir, file string){
		"garbage": func(t *testing.T, _, file string) {
			t.Helper()
			if err := os.WriteFile(file, bytes.Repeat([]byte("garbage "), 1000), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"cut": func(t *testing.T, _, file string) {
			t.Helper()
			if err := os.Truncate(file, 5000); err != nil {
				t.Fatal(err)
			}
		},
		"a directory": func(t *testing.T, _, file string) {
			t.Helper()
			if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o700)); err != nil {
				t.Fatal(err)
			}
		},
		"another schema version": func(t *testing.T, dir, _ string) { t.Helper(); alter(t, dir, "PRAGMA user_version = 99") },
		"tables of another":      func(t *testing.T, dir, _ string) { t.Helper(); alter(t, dir, "PRAGMA user_version = 0") },
		"no table":               func(t *testing.T, dir, _ string) { t.Helper(); alter(t, dir, "DROP TABLE held") },
		"no key":                 func(t *testing.T, dir, _ string) { t.Helper(); alter(t, dir, "DELETE FROM meta") },
		"no summary":             func(t *testing.T, dir, _ string) { t.Helper(); alter(t, dir, "DELETE FROM sources") },
		"a summary that is none": func(t *testing.T, dir, _ string) { t.Helper(); alter(t, dir, "UPDATE sources SET causes = '{'") },
		"null for causes":        func(t *testing.T, dir, _ string) { t.Helper(); alter(t, dir, "UPDATE sources SET causes = 'null'") },
		"text for a count":       func(t *testing.T, dir, _ string) { t.Helper(); alter(t, dir, "UPDATE sources SET refused = 'x'") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			b := mustOpen(t, dir, Settings{Key: key})
			b.Reject(Rejection{Source: "s"}, request("a"), roomy)
			mustClose(t, b)
			damage(t, dir, filepath.Join(dir, databaseFile))
			var log bytes.Buffer
			settings := Settings{Key: key, Log: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return begin }}
			b = mustOpen(t, dir, settings)
			if got := b.Summary("s").Refused; got != 0 {
				t.Errorf("%d refusals in a new database", got)
			}
			b.Reject(Rejection{Source: "s"}, request("b"), roomy)
			same(t, "held", []string{"b"}, bodies(held(t, b, "s")))
			mustClose(t, b)
			aside := filepath.Join(dir, "rejections.db.corrupt-20261121T140200.000000Z")
			same(t, "aside", []string{aside}, files(t, dir, "*corrupt-*"))
			if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), aside) {
				t.Errorf("log: %s", &log)
			}
			// The new one is not moved aside again.
			b = mustOpen(t, dir, settings)
			same(t, "held", []string{"b"}, bodies(held(t, b, "s")))
		})
	}
}

func TestDamageWhileRunning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir, Settings{Key: key})
	secret := b.Fingerprint([]byte("secret"))
	b.Accept("s", secret)
	for range 50 {
		b.Reject(Rejection{Source: "s", Cause: "signature missing"}, request(strings.Repeat("random", 1000)), roomy)
	}
	mustClose(t, b)
	b = mustOpen(t, dir, Settings{Key: key})
	content, err := os.ReadFile(filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	// The file was read when it was opened. What is in no cache is damaged now.
	if _, err := ask(t.Context(), b, func(w *writer, _ error) (struct{}, error) {
		if err := os.WriteFile(filepath.Join(dir, databaseFile), bytes.Repeat([]byte{0xff}, len(content)), 0o600); err != nil {
			return struct{}{}, err
		}
		_, err := w.db.ExecContext(t.Context(), "PRAGMA shrink_memory")
		return struct{}{}, err
	}); err != nil {
		t.Fatal(err)
	}
	b.Reject(Rejection{Source: "s", Cause: "signature missing"}, request("lost"), roomy)
	if err := b.Flush(t.Context()); err == nil {
		t.Fatal("a write to a damaged file has succeeded")
	}
	b.Reject(Rejection{Source: "s", Cause: "signature missing"}, request("new"), roomy)
	mustFlush(t, b)
	same(t, "held", []string{"new"}, bodies(held(t, b, "s")))
	s := b.Summary("s")
	if s.Refused != 52 || s.RefusedSinceAccept != 52 || s.Dropped != 1 || s.Unheld != 1 || s.HeldRequests != 1 || s.Accepted != 1 {
		t.Errorf("summary: %+v", s)
	}
	mustClose(t, b)
	b = mustOpen(t, dir, Settings{Key: key})
	same(t, "summary after a restart", s, b.Summary("s"))
	if again := b.Fingerprint([]byte("secret")); again != secret {
		t.Errorf("the fingerprint has changed: %q, %q", secret, again)
	}
	if aside := files(t, dir, "*.corrupt-*"); len(aside) == 0 {
		t.Error("nothing was moved aside")
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var log bytes.Buffer
		b := mustOpen(t, dir, Settings{Key: key, Log: slog.New(slog.NewTextHandler(&log, nil))})
		limitPages := func(pages int) {
			t.Helper()
			if _, err := ask(t.Context(), b, func(w *writer, _ error) (struct{}, error) {
				_, err := w.db.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages))
				return struct{}{}, err
			}); err != nil {
				t.Fatal(err)
			}
		}
		b.Reject(Rejection{Source: "s"}, request("a"), roomy)
		mustFlush(t, b)
		limitPages(1)
		body := noise(100_000)
		for range 3 {
			b.Reject(Rejection{Source: "s"}, &Request{Body: body}, roomy)
			b.Accept("s", "f")
			if err := b.Flush(t.Context()); err == nil {
				t.Fatal("a write to a full disk has succeeded")
			}
		}
		same(t, "held", []string{"a"}, bodies(held(t, b, "s")))
		s := b.Summary("s")
		if s.Refused != 4 || s.Accepted != 3 || s.Dropped != 3 || s.Unheld != 3 || s.HeldRequests != 1 {
			t.Errorf("summary: %+v", s)
		}
		limitPages(1 << 20)
		// It looks by itself whether there is room again.
		time.Sleep(10 * pace)
		synctest.Wait()
		if text := log.String(); strings.Count(text, "\n") != 2 || strings.Count(text, "cannot be written") != 1 ||
			strings.Count(text, "written again") != 1 {
			t.Errorf("log: %s", text)
		}
		b.Reject(Rejection{Source: "s"}, request("b"), roomy)
		same(t, "held", []string{"a", "b"}, bodies(held(t, b, "s")))
		mustClose(t, b)
		b = mustOpen(t, dir, Settings{Key: key})
		if s := b.Summary("s"); s.Refused != 5 || s.Accepted != 3 || s.Dropped != 3 || s.Unheld != 3 {
			t.Errorf("summary after a restart: %+v", s)
		}
		mustClose(t, b)
	})
}

// In a bubble the writer sleeps as long as this goroutine does not: everything below happens between two writes.
func TestFloodIsBounded(t *testing.T) {
	t.Parallel()
	t.Run("of records", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := mustOpen(t, t.TempDir(), Settings{})
			const flood = 100_000
			for range flood {
				b.Reject(Rejection{Source: "flooded", Cause: "signature missing"}, nil, nobody)
			}
			b.Reject(Rejection{Source: "quiet", Cause: "signature mismatch"}, nil, nobody)
			b.Accept("quiet", "")
			s := b.Summary("flooded")
			if s.Refused != flood || s.RefusedSinceAccept != flood || s.Dropped != flood-share(maxQueue) || s.Unheld != 0 {
				t.Errorf("summary: %+v", s)
			}
			same(t, "kept", maxRejections, len(rejections(t, b, "flooded")))
			same(t, "kept of the quiet one", 1, len(rejections(t, b, "quiet")))
			if s := b.Summary("quiet"); s.Dropped != 0 {
				t.Errorf("summary of the quiet one: %+v", s)
			}
			for i := range maxQueue {
				b.Reject(Rejection{Source: fmt.Sprint("source ", i%4)}, nil, nobody)
			}
			b.Reject(Rejection{Source: "one more"}, nil, nobody)
			if s := b.Summary("one more"); s.Dropped != 1 || s.Refused != 1 {
				t.Errorf("summary of one more: %+v", s)
			}
			mustFlush(t, b)
			mustClose(t, b)
		})
	})
	t.Run("of bodies", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := mustOpen(t, t.TempDir(), Settings{Key: key})
			body := make([]byte, 10<<20)
			const flood = 500
			for range flood {
				b.Reject(Rejection{Source: "flooded"}, &Request{Body: body}, roomy)
			}
			b.Reject(Rejection{Source: "quiet"}, request("quiet"), roomy)
			if queued := b.queuedBytes.Load(); queued != 10<<20+5 {
				t.Errorf("%d bytes wait", queued)
			}
			same(t, "held of the quiet one", 1, len(held(t, b, "quiet")))
			s := b.Summary("flooded")
			if s.HeldRequests != 1 || s.Unheld != flood-1 || s.Dropped != 0 {
				t.Errorf("summary: %+v", s)
			}
			same(t, "remembered without a body", flood, len(rejections(t, b, "flooded")))
			if left := b.queuedBytes.Load(); left != 0 {
				t.Errorf("%d bytes wait after all was written", left)
			}
			mustClose(t, b)
		})
	})
	t.Run("of sources", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			b := mustOpen(t, t.TempDir(), Settings{Log: slog.New(slog.NewTextHandler(&log, nil))})
			for i := range maxSources + 100 {
				b.Accept(fmt.Sprint(i), "f")
				b.Reject(Rejection{Source: fmt.Sprint(i)}, nil, nobody)
			}
			if got := b.tracked.Load(); got != maxSources || strings.Count(log.String(), "\n") != 1 {
				t.Errorf("%d sources are remembered; log: %s", got, &log)
			}
			if s := b.Summary(fmt.Sprint(maxSources)); s.Accepted != 0 || s.Refused != 0 {
				t.Errorf("summary of one too many: %+v", s)
			}
			mustFlush(t, b)
			mustClose(t, b)
		})
	})
	t.Run("of causes and secrets", func(t *testing.T) {
		t.Parallel()
		b := mustOpen(t, t.TempDir(), Settings{Now: ticking()})
		for i := range 1000 {
			b.Accept("s", Fingerprint(fmt.Sprint(i)))
		}
		for i := range 1000 {
			b.Reject(Rejection{Source: "s", Cause: fmt.Sprint(i)}, nil, nobody)
		}
		s := b.Summary("s")
		if len(s.ByCause) != maxCauses+1 || s.ByCause[otherCause] != 1000-maxCauses || len(s.MatchTimes) != maxSecrets ||
			s.MatchTimes["999"].IsZero() || s.MatchTimes["936"].IsZero() {
			t.Errorf("%d causes, %d secrets, %+v", len(s.ByCause), len(s.MatchTimes), s)
		}
	})
}

// ticking returns a clock that goes on by a microsecond whenever it is looked at.
func ticking() func() time.Time {
	var mutex sync.Mutex
	now := begin
	return func() time.Time {
		mutex.Lock()
		defer mutex.Unlock()
		now = now.Add(time.Microsecond)
		return now
	}
}

func TestWritesAreRare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := mustOpen(t, t.TempDir(), Settings{})
		changes := func() (n int) {
			t.Helper()
			n, err := ask(t.Context(), b, func(w *writer, _ error) (n int, err error) {
				err = w.db.QueryRowContext(t.Context(), "SELECT total_changes()").Scan(&n)
				return n, err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		before := changes()
		for range 10 * 1000 { // ten seconds
			b.Accept("s", "f")
			time.Sleep(time.Millisecond)
		}
		if n := changes() - before; n < 9 || n > 11 {
			t.Errorf("%d writes in ten seconds", n)
		}
		before = changes()
		time.Sleep(time.Hour)
		if n := changes() - before; n != 0 {
			t.Errorf("%d writes of nothing", n)
		}
		// Nobody has to ask for what was told to be written.
		b.Reject(Rejection{Source: "s"}, nil, nobody)
		time.Sleep(10 * pace)
		synctest.Wait()
		if b.dirty.Load() || len(b.queue) > 0 {
			t.Error("a refusal was not written by itself")
		}
		mustClose(t, b)
	})
}

func TestSpaceIsGivenBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir, Settings{Key: key})
	body := noise(1 << 20)
	for range 24 {
		b.Reject(Rejection{Source: "s"}, &Request{Body: body}, roomy)
		mustFlush(t, b)
	}
	all := held(t, b, "s")
	size := func() int64 {
		t.Helper()
		pages, err := ask(t.Context(), b, func(w *writer, _ error) (n int64, err error) {
			err = w.db.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&n)
			return n, err
		})
		if err != nil {
			t.Fatal(err)
		}
		return pages * 4096
	}
	if before := size(); before < 24<<20 {
		t.Fatalf("%d bytes for %d requests", before, len(all))
	}
	for _, h := range all {
		if err := b.Release(t.Context(), h.ID); err != nil {
			t.Fatal(err)
		}
	}
	if after := size(); after > 6<<20 {
		t.Errorf("%d bytes are left", after)
	}
}

func TestAtTheSameTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir, Settings{Key: key})
	const goroutines, rounds = 8, 300
	var group sync.WaitGroup
	for g := range goroutines {
		group.Go(func() {
			for i := range rounds {
				source := fmt.Sprint(i % 3)
				b.Accept(source, b.Fingerprint([]byte{byte(g)}))
				b.Reject(Rejection{Source: source, Cause: "signature missing"}, request("x"), Limits{Requests: 5, Bytes: 100})
				_ = b.Summary(source)
				if i%50 == 0 {
					for _, h := range held(t, b, source) {
						if err := b.Release(context.Background(), h.ID); err != nil && !errors.Is(err, ErrNotFound) {
							t.Errorf("Release: %v", err)
						}
					}
				}
			}
		})
	}
	group.Wait()
	mustFlush(t, b)
	var before []Summary
	for source := range 3 {
		s := b.Summary(fmt.Sprint(source))
		if want := int64(goroutines * rounds / 3); s.Accepted != want || s.Refused != want || s.HeldRequests > 5 ||
			len(s.MatchTimes) != goroutines || s.HeldBytes != s.HeldRequests {
			t.Errorf("summary: %+v", s)
		}
		before = append(before, s)
	}
	mustClose(t, b)
	b = mustOpen(t, dir, Settings{Key: key})
	for source, want := range before {
		same(t, "after a restart", want, b.Summary(fmt.Sprint(source)))
	}
}

// model is what a Book should remember of one source.
type model struct {
	summary    Summary
	rejections []Rejection // oldest first
	held       []HeldRequest
}

func TestModel(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), ticking()
	settings := Settings{Key: key, Now: now}
	b := mustOpen(t, dir, settings)
	t.Cleanup(func() { _ = b.Close() })
	// All histories run in one Book, each in sources of its own. Opening one for each would take all the time.
	history := 0
	rapid.Check(t, func(t *rapid.T) {
		history++
		models := map[string]*model{}
		for _, name := range []string{"a", "b"} {
			models[fmt.Sprint(history, name)] = &model{summary: newTally("").summary()}
		}
		source := rapid.SampledFrom([]string{fmt.Sprint(history, "a"), fmt.Sprint(history, "b")})
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			name := source.Draw(t, "source")
			switch m := models[name]; rapid.IntRange(0, 11).Draw(t, "step") {
			case 0, 1:
				secret := rapid.SampledFrom([]Fingerprint{"", "f", "g"}).Draw(t, "secret")
				b.Accept(name, secret)
				m.accept(b.Summary(name).LastAcceptTime, secret)
			case 2, 3, 4, 5, 6, 7:
				var held *Request
				if rapid.Bool().Draw(t, "held") {
					held = request(rapid.StringN(0, 30, 30).Draw(t, "body"))
				}
				limits := Limits{rapid.IntRange(0, 6).Draw(t, "requests"), rapid.Int64Range(0, 60).Draw(t, "bytes")}
				r := Rejection{
					Source: name, Cause: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "cause"), Time: now(),
					Address: AddressPrivate, Forwarded: rapid.Bool().Draw(t, "forwarded"), BodyBytes: int64(len(m.rejections)),
				}
				b.Reject(r, held, limits)
				m.reject(r, held, limits)
			case 8:
				if rapid.IntRange(0, 9).Draw(t, "flood") == 0 {
					for range maxRejections + 100 {
						r := Rejection{Source: name, Cause: "flood", Time: now()}
						b.Reject(r, nil, nobody)
						m.reject(r, nil, nobody)
					}
					mustFlush(t, b)
				}
			case 9:
				if len(m.held) > 0 {
					i := rapid.IntRange(0, len(m.held)-1).Draw(t, "released")
					if err := b.Release(context.Background(), held(t, b, name)[i].ID); err != nil {
						t.Fatalf("Release: %v", err)
					}
					m.forget(i)
				}
			case 10:
				m.check(t, b, name)
			case 11:
				if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
					mustClose(t, b)
					var err error
					if b, err = Open(context.Background(), dir, settings); err != nil {
						t.Fatalf("Open: %v", err)
					}
				}
			}
		}
		for name, m := range models {
			m.check(t, b, name)
		}
	})
}

func (m *model) accept(at time.Time, secret Fingerprint) {
	s := &m.summary
	s.Accepted++
	s.LastAcceptTime = at
	s.RefusedSinceAccept, s.FirstRefusalSinceAccept, s.ByCause = 0, time.Time{}, map[string]int64{}
	if secret != "" {
		s.MatchTimes[secret] = at
	}
}

func (m *model) reject(r Rejection, request *Request, limits Limits) {
	s := &m.summary
	s.Refused++
	s.LastRefusalTime = r.Time
	if s.RefusedSinceAccept++; s.RefusedSinceAccept == 1 {
		s.FirstRefusalSinceAccept = r.Time
	}
	s.ByCause[r.Cause]++
	m.rejections = append(m.rejections, r)
	if request == nil || limits.Requests == 0 || limits.Bytes == 0 {
		return
	}
	if request.size() > limits.Bytes {
		s.Unheld++
		return
	}
	m.held = append(m.held, HeldRequest{Source: r.Source, Cause: r.Cause, Time: r.Time, Request: request})
	m.rejections[len(m.rejections)-1].Held = "yes"
	s.HeldRequests++
	s.HeldBytes += request.size()
	for s.HeldRequests > int64(limits.Requests) || s.HeldBytes > limits.Bytes {
		m.forget(0)
		s.Evicted++
	}
}

func (m *model) forget(i int) {
	gone := m.held[i]
	m.held = append(m.held[:i:i], m.held[i+1:]...)
	m.summary.HeldRequests--
	m.summary.HeldBytes -= gone.Request.size()
	for i := range m.rejections {
		if m.rejections[i].Time.Equal(gone.Time) {
			m.rejections[i].Held = ""
		}
	}
}

func (m *model) check(t failer, b *Book, name string) {
	t.Helper()
	var want []Rejection
	for i := len(m.rejections) - 1; i >= max(0, len(m.rejections)-maxRejections); i-- {
		want = append(want, m.rejections[i])
	}
	got := rejections(t, b, name)
	for i := range got {
		if got[i].Held != "" && got[i].Held != got[i].ID {
			t.Errorf("rejection %s is held under %s", got[i].ID, got[i].Held)
		}
		if got[i].ID = ""; got[i].Held != "" {
			got[i].Held = "yes"
		}
	}
	if !reflect.DeepEqual(want, got) {
		same(t, "rejections", want, got)
	}
	requests := held(t, b, name)
	for i := range requests {
		requests[i].ID = ""
		if requests[i].Request != nil && requests[i].Request.Body == nil {
			requests[i].Request.Body = []byte{}
		}
	}
	if len(m.held) > 0 || len(requests) > 0 {
		same(t, "held", m.held, requests)
	}
	same(t, "summary", m.summary, b.Summary(name))
}
