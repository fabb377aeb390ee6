package signature

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// text is what is signed, in pieces, so that a large body is not copied to put a time before it.
type text [][]byte

func (t text) join() []byte { return bytes.Join(t, nil) }

// template describes a signed text.
type template []piece

type piece struct {
	kind  string   // of a placeholder; empty for a text that stands for itself
	text  string   // that text, or what follows the placeholder's colon
	names []string // the alternatives in it
	paths *fields  // the same, of a field
}

// Placeholders of templates.
const (
	pieceBody      = "body"
	pieceCompact   = "compact"
	pieceTimestamp = "timestamp"
	pieceMethod    = "method"
	pieceURL       = "url"
	pieceLF        = "lf"
	pieceHeader    = "header"
	pieceField     = "field"
)

func parseTemplate(source string) (template, error) {
	var t template
	covers := false
	for rest := source; rest != ""; {
		literal, after, found := strings.Cut(rest, "{")
		if literal != "" {
			t = append(t, piece{text: literal})
		}
		if !found {
			break
		}
		inner, after, closed := strings.Cut(after, "}")
		if !closed {
			return nil, fmt.Errorf("signed %q: a { has no }", source)
		}
		kind, argument, has := strings.Cut(inner, ":")
		p := piece{kind: kind, text: argument}
		switch kind {
		case pieceHeader, pieceField:
			p.names = strings.Split(argument, "|")
			if slices.Contains(p.names, "") {
				return nil, fmt.Errorf("signed %q: {%s:} needs a name", source, kind)
			}
			p.paths = parseFields(p.names)
		case pieceBody, pieceCompact, pieceTimestamp, pieceMethod, pieceURL, pieceLF:
			if has {
				return nil, fmt.Errorf("signed %q: {%s} takes no name", source, kind)
			}
		default:
			return nil, fmt.Errorf("signed %q: {%s} is not known", source, kind)
		}
		covers = covers || kind != pieceTimestamp && kind != pieceMethod && kind != pieceLF
		t = append(t, p)
		rest = after
	}
	if !covers {
		return nil, errors.New("signed has nothing of the request in it: whoever saw one signature could sign all")
	}
	return t, nil
}

// fill makes the signed text of a request.
func (t template) fill(r *Request, base, timestamp string) (text, Cause) {
	filled := make(text, 0, len(t))
	for _, p := range t {
		var value []byte
		switch p.kind {
		case "":
			value = []byte(p.text)
		case pieceBody:
			value = r.Body
		case pieceCompact:
			compacted, ok := compact(r.Body)
			if !ok {
				return nil, CauseFieldMissing
			}
			value = compacted
		case pieceTimestamp:
			value = []byte(timestamp)
		case pieceMethod:
			value = []byte(r.Method)
		case pieceURL:
			value = []byte(address(base, r))
		case pieceLF:
			value = []byte("\n")
		case pieceHeader:
			header, cause := lookup(r.Header, p.names, CauseFieldMissing, CauseFieldMissing)
			if cause != "" {
				return nil, cause
			}
			value = []byte(header)
		case pieceField:
			field, ok := readField(r.Body, p.paths)
			if !ok {
				return nil, CauseFieldMissing
			}
			value = field
		}
		filled = append(filled, value)
	}
	return filled, ""
}

// covers names what the template signs.
func (t template) covers() []string {
	var covered []string
	for _, p := range t {
		name := p.kind
		switch p.kind {
		case "", pieceLF:
			continue
		case pieceCompact:
			name = coversCompact
		case pieceHeader, pieceField:
			first, _, _ := strings.Cut(p.text, "|") // the alternatives say the same
			name += " " + first
		}
		if !slices.Contains(covered, name) {
			covered = append(covered, name)
		}
	}
	return covered
}

const coversCompact = "body without white space"

// covered names what each of the templates signs.
func covered(templates []template) []string {
	all := templates[0].covers()
	for _, t := range templates[1:] {
		other := t.covers()
		shared := make([]string, 0, len(all))
		for _, name := range all {
			switch {
			case slices.Contains(other, name):
				shared = append(shared, name)
			case name == pieceBody && slices.Contains(other, coversCompact), name == coversCompact && slices.Contains(other, pieceBody):
				shared = append(shared, coversCompact)
			}
		}
		all = shared
	}
	return all
}

// compact returns a JSON body without insignificant white space, as JSON.stringify writes it. Strings and numbers stay as they
// were sent.
func compact(body []byte) ([]byte, bool) {
	value := jsontext.Value(bytes.Clone(bytes.TrimPrefix(body, []byte(byteOrderMark))))
	if err := value.Compact(); err != nil {
		return nil, false
	}
	return value, true
}

// address returns the URL as the sender has it. What comes after "#" is no part of it: it is never sent.
func address(base string, r *Request) string {
	url := strings.TrimSuffix(base, "/") + r.Path
	if r.Query != "" {
		url += "?" + r.Query
	}
	return url
}
