package server_test

import (
	"bytes"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/internal/store/sqlite"
	"github.com/callnorm/callnorm/server"
	"github.com/callnorm/callnorm/server/access"
)

// How the body of a fuzzed request is sent.
const (
	asItIs = iota
	compressed
	compressedAndSigned // after that
	asItSays            // with an encoding that may not be the body's
	framings
)

// FuzzDoor sends whatever comes into its mind through the door, signed as it should be. There is one server for all of it.
//
// What must hold: it is never the server that fails; what is proved and within the bounds is answered with 200; and then the store
// has it, byte for byte.
func FuzzDoor(f *testing.F) {
	handler, kept, sources := fuzzed(f)
	for i, sample := range fixtures(f) {
		for n, source := range sources {
			if source.Adapter.Name() == sample.adapter {
				f.Add(uint8(n), uint8(i%framings), "application/json", "gzip", sample.event, sample.body)
			}
		}
	}
	f.Add(uint8(0), uint8(asItSays), "\r\n", "br", "../..", []byte("\x00"))
	f.Add(uint8(1), uint8(asItSays), "\xff", "gzip, gzip", "a/b?c#d%20;", []byte("\x1f\x8b\x08\x00"))
	f.Add(uint8(2), uint8(asItIs), "", "", "\xff", []byte(nil))
	f.Fuzz(func(t *testing.T, which, framing uint8, contentType, encoding, event string, body []byte) {
		source := sources[int(which)%len(sources)]
		wire, content, covered := body, body, body
		header := http.Header{"Content-Type": {contentType}}
		switch framing % framings {
		case compressed:
			wire, encoding = zip(t, body), "gzip"
		case compressedAndSigned:
			wire, encoding = zip(t, body), "gzip"
			covered = wire
		case asItIs:
			encoding = ""
		case asItSays:
		}
		header["Content-Encoding"] = []string{encoding}
		maps.Copy(header, signed(t, source, covered))
		path := "/v1/webhooks/" + source.Name
		if event != "" {
			path += "/" + url.PathEscape(event)
		}
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(wire))
		request.Header = header
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, request)

		// The encoding is judged before the signature, and a path before both.
		plain := strings.Trim(encoding, " \t") == "" || strings.EqualFold(strings.Trim(encoding, " \t"), "identity")
		switch code := response.Code; {
		case code == http.StatusOK:
		case code == http.StatusNotFound && !utf8.ValidString(event):
			return
		case framing%framings == asItSays && !plain && (code == http.StatusUnsupportedMediaType || code == http.StatusBadRequest || code == http.StatusRequestEntityTooLarge):
			return
		case len(wire) > maxFuzzed || len(content) > maxFuzzed:
			if code != http.StatusRequestEntityTooLarge {
				t.Fatalf("%d %s", code, response.Body)
			}
			return
		default:
			t.Fatalf("%d %s", code, response.Body)
		}
		id, err := store.ParseDeliveryID(strings.TrimPrefix(parsed(response.Body.Bytes()).GetDelivery(), "deliveries/"))
		if err != nil {
			t.Fatal(err)
		}
		delivery, err := kept.Delivery(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if framing%framings != asItSays || plain {
			if !bytes.Equal(delivery.Body, content) {
				t.Errorf("kept are %d bytes of %d", len(delivery.Body), len(content))
			}
		}
		if delivery.Event != event || delivery.Source != source.Name || delivery.VerifiedBy == "" {
			t.Errorf("kept as %q at %s, proved by %q", delivery.Event, delivery.Source, delivery.VerifiedBy)
		}
	})
}

const maxFuzzed = 10 << 20

// fuzzed is a door with one proved source for each adapter, and its store.
func fuzzed(f *testing.F) (http.Handler, store.Store, []intake.Source) {
	f.Helper()
	set, err := adapters.NewSet(all()...)
	if err != nil {
		f.Fatal(err)
	}
	var sources []intake.Source
	for _, adapter := range set.All() {
		sources = append(sources, proved(f, intake.Source{
			Name: adapter.Name(), Adapter: adapter, Provider: adapter.Providers()[0], MaxBody: maxFuzzed,
		}, overBody, hostileSecret))
	}
	dir := f.TempDir()
	kept, err := sqlite.Open(f.Context(), dir, sqlite.Settings{})
	if err != nil {
		f.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	refused, err := rejection.Open(f.Context(), dir, rejection.Settings{Now: time.Now, Log: log})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := kept.Close(); err != nil {
			f.Error(err)
		}
		if err := refused.Close(); err != nil {
			f.Error(err)
		}
	})
	metrics := server.NewMetrics()
	served, err := server.New(server.Settings{
		Intake: intake.New(intake.Settings{Adapters: set, Store: kept, Rejections: refused, Observer: metrics, Now: time.Now}, sources),
		Store:  kept, Rejections: refused, Metrics: metrics, Now: time.Now, Log: log, Gate: access.New(server.Policy(true)),
	})
	if err != nil {
		f.Fatal(err)
	}
	return served.Handler(), kept, sources
}
