// Package wire reads the JSON of providers, which is often not what their documentation says. A Reader goes through a
// payload once, from front to back. Whatever an adapter asks for and finds in another type, and whatever it does not ask
// for, is kept as unmapped with its path; so nothing that was sent can vanish by oversight, and no odd field can sink a
// call. Only text that is not JSON at all is an error.
package wire

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/go-json-experiment/json/jsontext"
)

// Reader stands before one value of a payload. Each of its methods consumes that value. After a syntax error they all return
// zero values, and Read returns the error.
type Reader struct {
	dec   *jsontext.Decoder
	src   bytes.Buffer
	path  []segment
	notes *Notes
	err   error
	names map[string]string
}

type segment struct {
	name  string
	index int // -1 for members
}

// The names of members are kept between payloads, since they repeat; this many of them.
const maxNames = 1024

var readers = sync.Pool{New: func() any {
	return &Reader{dec: new(jsontext.Decoder), names: make(map[string]string)}
}}

// Read reads a body that consists of one JSON value. It returns an *adapters.Error when the body is none.
func Read(body []byte, read func(*Reader)) error {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(body)) == 0 {
		return &adapters.Error{Reason: callnormv1.FaultReason_FAULT_REASON_EMPTY_BODY, Detail: "the body is empty"}
	}
	err := readValue(body, nil, &Notes{}, read)
	if err == nil {
		return nil
	}
	fault := &adapters.Error{
		Reason: callnormv1.FaultReason_FAULT_REASON_MALFORMED,
		Detail: "the body is not JSON",
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		fault.Detail = "the body is not JSON from byte " + strconv.FormatInt(syntax.ByteOffset, 10) + " on"
	}
	switch {
	case !utf8.Valid(body):
		fault.Reason = callnormv1.FaultReason_FAULT_REASON_INVALID_UTF8
		fault.Detail = "the body is not valid UTF-8, which JSON requires"
	case errors.Is(err, jsontext.ErrDuplicateName):
		fault.Reason = callnormv1.FaultReason_FAULT_REASON_DUPLICATE_MEMBER
		fault.Detail = "an object has two members of one name, so that its meaning depends on the reader"
		fault.Path = pointerPath(syntax.JSONPointer)
	case errors.Is(err, io.ErrUnexpectedEOF):
		fault.Reason = callnormv1.FaultReason_FAULT_REASON_TRUNCATED
		fault.Detail = "the body stops in the middle, after " + strconv.Itoa(len(body)) + " bytes"
	}
	return fault
}

func readValue(text []byte, path []segment, notes *Notes, read func(*Reader)) error {
	r, _ := readers.Get().(*Reader)
	defer func() {
		r.src = bytes.Buffer{}
		r.notes = nil
		readers.Put(r)
	}()
	r.src = *bytes.NewBuffer(text)
	r.dec.Reset(&r.src)
	r.path, r.notes, r.err = append(r.path[:0], path...), notes, nil
	if len(r.names) > maxNames {
		clear(r.names)
	}
	before := r.dec.InputOffset()
	read(r)
	if r.err == nil && r.dec.InputOffset() == before {
		r.Keep()
	}
	if r.err == nil {
		if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
			r.err = errors.Join(err, errTrailing)
		}
	}
	return r.err
}

var errTrailing = errors.New("data after the JSON value")

// Notes returns what was noted so far: unmapped fields and warnings.
func (r *Reader) Notes() *Notes { return r.notes }

// Fresh makes the reader write into new notes from here on, for the next item of a batch.
func (r *Reader) Fresh() *Notes {
	r.notes = &Notes{}
	return r.notes
}

// Failed tells that the text turned out not to be JSON.
func (r *Reader) Failed() bool { return r.err != nil }

// Kind tells what the value is: '{', '[', '"', '0', 't', 'f', 'n', or 0 after an error. It consumes nothing.
func (r *Reader) Kind() jsontext.Kind {
	if r.err != nil {
		return 0
	}
	kind := r.dec.PeekKind()
	if kind == 'f' || kind == 't' || kind == 'n' || kind == '"' || kind == '0' || kind == '{' || kind == '[' {
		return kind
	}
	_, err := r.dec.ReadToken()
	r.fail(err)
	return 0
}

// Path returns the path of the value: names joined by dots, list places in brackets.
func (r *Reader) Path() string { return pathText(r.path) }

// Members yields the names of an object's members; within the loop, the reader stands before the member's value. What the
// loop does not read is kept as unmapped. A value that is no object yields nothing; it is kept, too, unless it is null.
func (r *Reader) Members() iter.Seq[string] {
	return func(yield func(string) bool) {
		if !r.enter('{') {
			return
		}
		r.path = append(r.path, segment{index: -1})
		last := len(r.path) - 1
		for more := true; r.err == nil && r.dec.PeekKind() != '}'; {
			name, err := r.dec.ReadValue()
			if err != nil {
				r.fail(err)
				return
			}
			r.path[last].name = r.name(name)
			more = r.step(func() bool { return yield(r.path[last].name) }, more)
		}
		r.leave()
	}
}

// Elements yields the places of an array's elements; within the loop, the reader stands before the element. What the loop
// does not read is kept as unmapped. A value that is no array yields nothing; it is kept, too, unless it is null.
func (r *Reader) Elements() iter.Seq[int] {
	return func(yield func(int) bool) {
		if !r.enter('[') {
			return
		}
		r.path = append(r.path, segment{})
		last := len(r.path) - 1
		for i, more := 0, true; r.err == nil && r.dec.PeekKind() != ']'; i++ {
			r.path[last].index = i
			more = r.step(func() bool { return yield(i) }, more)
		}
		r.leave()
	}
}

// step lets the loop read one value, and keeps it when the loop did not, or when the loop has ended.
func (r *Reader) step(yield func() bool, more bool) bool {
	before := r.dec.InputOffset()
	more = more && yield()
	if r.err == nil && r.dec.InputOffset() == before {
		r.Keep()
	}
	return more
}

func (r *Reader) enter(kind jsontext.Kind) bool {
	switch r.Kind() {
	case kind:
		_, err := r.dec.ReadToken()
		r.fail(err)
		return r.err == nil
	case 0:
		return false
	default:
		r.keepOdd(r.value(), "is no "+map[jsontext.Kind]string{'{': "object", '[': "list"}[kind])
		return false
	}
}

func (r *Reader) leave() {
	if r.err == nil {
		_, err := r.dec.ReadToken()
		r.fail(err)
	}
	r.path = r.path[:len(r.path)-1]
}

// Skip passes over configuration that is left out on purpose.
func (r *Reader) Skip() {
	if r.err == nil {
		r.fail(r.dec.SkipValue())
	}
}

// Keep keeps the value as unmapped.
func (r *Reader) Keep() {
	if v := r.value(); r.err == nil {
		r.notes.Unmapped(r.Path(), v)
	}
}

// value reads the value as it stands. The result is valid until the next read.
func (r *Reader) value() jsontext.Value {
	if r.err != nil {
		return nil
	}
	v, err := r.dec.ReadValue()
	r.fail(err)
	return v
}

func (r *Reader) fail(err error) {
	if err != nil && r.err == nil {
		r.err = err
	}
}

// keepOdd keeps a value that is not what was asked for. Null is no value at all.
func (r *Reader) keepOdd(v jsontext.Value, what string) {
	if r.err == nil && v.Kind() != 'n' {
		r.notes.Unmapped(r.Path(), v)
		r.notes.Warn(callnormv1.WarningKind_WARNING_KIND_WRONG_TYPE, r.Path(), "the value "+what)
	}
}

func (r *Reader) name(quoted []byte) string {
	raw := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(raw, '\\') >= 0 {
		return unquote(quoted)
	}
	if name, ok := r.names[string(raw)]; ok {
		return name
	}
	name := string(raw)
	r.names[name] = name
	return name
}

func unquote(quoted []byte) string {
	if raw := quoted[1 : len(quoted)-1]; bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	text, _ := jsontext.AppendUnquote(nil, quoted) // it was validated when it was read
	return string(text)
}

func pathText(path []segment) string {
	var b strings.Builder
	for _, s := range path {
		switch {
		case s.index >= 0:
			b.WriteByte('[')
			b.WriteString(strconv.Itoa(s.index))
			b.WriteByte(']')
		case plainName(s.name):
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.name)
		default:
			b.WriteByte('[')
			b.WriteString(strconv.Quote(s.name))
			b.WriteByte(']')
		}
	}
	return b.String()
}

func plainName(name string) bool {
	for _, c := range name {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return name != ""
}

func pointerPath(pointer jsontext.Pointer) string {
	var path []segment
	for token := range pointer.Tokens() {
		if i, err := strconv.Atoi(token); err == nil && i >= 0 {
			path = append(path, segment{index: i})
		} else {
			path = append(path, segment{name: token, index: -1})
		}
	}
	return pathText(path)
}
