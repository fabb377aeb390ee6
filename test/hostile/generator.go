package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/callnorm/callnorm/adapters"
)

// generator makes hostile requests. What it makes depends on the seed and the number of the request alone, so that many senders
// can share a run, and one request can be made again.
type generator struct {
	seed     uint64
	doors    map[string][2]*door
	fixtures []*fixture
	names    []string // of the members of all fixtures
}

// shot is one request, and what has to be answered.
type shot struct {
	door   *door
	path   string // below the door
	header http.Header
	body   []byte // as it goes over the wire
	want   int    // the status
	made   string // of what, for a person
}

func newGenerator(set *adapters.Set, doors map[string][2]*door, seed uint64) (*generator, error) {
	g := &generator{seed: seed, doors: doors}
	var err error
	if g.fixtures, err = readFixtures(set); err != nil {
		return nil, err
	}
	for _, f := range g.fixtures {
		for _, found := range names.FindAllSubmatch(f.body, -1) {
			g.names = append(g.names, string(found[1]))
		}
	}
	slices.Sort(g.names)
	g.names = slices.Compact(g.names)
	return g, nil
}

// Every so many requests, on average.
const (
	everyEvent     = 8
	everyType      = 10
	everyForged    = 10
	everyZipped    = 16
	everyEncoded   = 400
	everyLarge     = 2_000
	everyTooLarge  = 20_000
	everyUntouched = 50
)

// maxBody is what a source takes unless it says otherwise, in bytes.
const maxBody = 10 << 20

// shot makes the n-th request.
func (g *generator) shot(n int) shot {
	r := rand.New(rand.NewPCG(g.seed, uint64(n))) //nolint:gosec // it has to be repeatable, not secret
	f := g.fixtures[n%len(g.fixtures)]
	s := shot{header: http.Header{}, want: http.StatusOK, made: f.name}
	content := f.body
	if !one(r, everyUntouched) {
		content = g.mutate(r, n, f, &s)
	}
	s.path = g.path(r, f)
	switch {
	case one(r, everyTooLarge):
		content = oversized(r, content)
		s.made += ", over the limit"
	case one(r, everyLarge):
		content = long(r, content, 1<<20)
		s.made += ", a megabyte"
	}
	s.body = content
	g.encode(r, content, &s)
	g.prove(r, f, content, &s)
	s.header.Set("Content-Type", "application/json")
	if one(r, everyType) {
		s.header.Set("Content-Type", contentTypes[r.IntN(len(contentTypes))])
	}
	return s
}

// one is true once in so many times.
func one(r *rand.Rand, every int) bool { return r.IntN(every) == 0 }

var contentTypes = []string{
	"", "text/plain", "text/html; charset=utf-7", "application/x-www-form-urlencoded", "multipart/form-data", "application/grpc",
	"multipart/form-data; boundary=\"", "application/json; charset=utf-16", "application/xml", "x/y; a=\"\xff\"", "/", ";;;",
}

// events are names that a path may have, beside the fixtures' own.
var events = []string{
	"call-complete", "nobody knows it", "\x00", "\r\nX-Injected: 1", "\x1b[31m", "..", ".", "a/b", "%2e%2e%2f", "\U0001f4de", "\u202e",
	strings.Repeat("e", 2_000), "?", "#", "event;v=1",
}

// path returns the event that the fixture was sent with, none, or an odd one, and sometimes a query.
func (g *generator) path(r *rand.Rand, f *fixture) string {
	event := f.event
	if one(r, everyEvent) {
		event = events[r.IntN(len(events))]
	}
	path := ""
	if event != "" {
		path = "/" + strings.ReplaceAll(url.PathEscape(event), ".", "%2E")
	}
	if one(r, everyEvent) {
		path += []string{"?", "?a=%ff&a=%00", "?" + strings.Repeat("a&", 500), "?call_id=other", "?%zz", "?a=b;c=d"}[r.IntN(6)]
	}
	return path
}

// encode compresses some bodies, well or badly, and names encodings that nobody reads.
func (g *generator) encode(r *rand.Rand, content []byte, s *shot) {
	switch {
	case len(content) > maxBody:
		s.want = http.StatusRequestEntityTooLarge
		if one(r, 2) {
			s.body = zipped(content)
			s.header.Set("Content-Encoding", "gzip")
		}
	case one(r, everyEncoded):
		s.header["Content-Encoding"] = [][]string{{"br"}, {"deflate"}, {"gzip, gzip"}, {"gzip", "gzip"}, {"\xff"}}[r.IntN(5)]
		s.want = http.StatusUnsupportedMediaType
		s.made += ", unknown encoding"
	case one(r, everyEncoded):
		s.header.Set("Content-Encoding", "identity")
	case one(r, everyZipped) && len(content) < 1<<20: // beyond, what repeats itself is taken for a bomb
		s.body = zipped(content)
		s.header.Set("Content-Encoding", []string{"gzip", "x-gzip", "GZIP"}[r.IntN(3)])
		s.made += ", gzip"
		if one(r, 4) {
			s.body = flip(r, s.body)
			if one(r, 2) {
				s.body = s.body[:r.IntN(len(s.body)+1)]
			}
			if !unzips(s.body, content) {
				s.want = http.StatusBadRequest
				s.made += ", damaged"
			}
		}
	}
}

func zipped(content []byte) []byte {
	var wire bytes.Buffer
	w, err := gzip.NewWriterLevel(&wire, gzip.BestSpeed)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // memory takes everything
	}
	return wire.Bytes()
}

// unzips tells whether the wire is gzip of the content still. The standard library does not look at the bits that RFC 1952 reserves,
// and which a reader must refuse.
func unzips(wire, content []byte) bool {
	const flags, reserved = 3, 0xe0
	r, err := gzip.NewReader(bytes.NewReader(wire))
	if err == nil && wire[flags]&reserved != 0 {
		return false
	}
	if err != nil {
		return false
	}
	read, err := io.ReadAll(io.LimitReader(r, maxBody))
	return err == nil && bytes.Equal(read, content)
}

// prove chooses the door and signs, or forges.
func (g *generator) prove(r *rand.Rand, f *fixture, content []byte, s *shot) {
	pair := g.doors[f.adapter]
	s.door = pair[r.IntN(len(pair))]
	forged := one(r, everyForged)
	var header http.Header
	if forged {
		header = s.door.forge(r, content)
		if s.want == http.StatusOK {
			s.want = http.StatusUnauthorized
		}
		s.made += ", forged"
	} else {
		var err error
		if header, err = s.door.sign(s.door.honest, content); err != nil { // such as a body without the id that is signed
			s.door = pair[1]
			if header, err = s.door.sign(s.door.honest, content); err != nil {
				panic(err) // every body can be signed there
			}
		}
	}
	for name, values := range header {
		s.header[name] = values
	}
}
