// Package wire reads the JSON and the forms of providers, which are often not what their documentation says. The syntax of a body is
// checked as a whole first; a Reader then goes through it once, from front to back, and nothing can fail any more but that an object
// names a member twice, which is told in the end. Whatever an adapter asks for and finds in another type, and whatever it does not
// ask for, is kept as unmapped with its path; so nothing that was sent can vanish by oversight, and no odd field can sink a call.
package wire

import (
	"bytes"
	"errors"
	"hash/maphash"
	"io"
	"iter"
	"slices"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/go-json-experiment/json/jsontext"
)

// Reader stands before one value of a payload. Each of its methods that read consumes that value; what is read beyond it is
// null.
type Reader struct {
	text  []byte // valid JSON
	pos   int    // of the value, or behind it
	ready bool   // the value was not read yet
	path  []segment
	notes *Notes

	named    []uint64 // the sums of the names so far in the objects around the value
	doubtful bool     // an object may name a member twice

	// What is used again for the next payload.
	src   bytes.Buffer
	dec   *jsontext.Decoder
	known [1 << knownBits][4]string // names of members, paths, and other words that repeat
	plain []byte                    // what unquote works in
	form  []byte                    // a form as JSON
	parts []pair                    // of a form
}

type segment struct {
	name  string
	index int // -1 for members
}

// Longer names and texts, and more parts, are not kept for the next payload.
const (
	maxNamed  = 1024
	maxName   = 64
	knownBits = 8
	maxPlain  = 64 << 10
	maxParts  = 256
)

var readers = sync.Pool{New: func() any { return &Reader{dec: new(jsontext.Decoder)} }}

// lenient accepts halves of surrogate pairs, such as `"\ud83d"`: a text that was cut within an emoji is no reason to lose a
// call, and Text puts U+FFFD in its place. Bodies whose bytes are no UTF-8 are refused before the decoder sees them.
var lenient = jsontext.AllowInvalidUTF8(true)

// repeating leaves it to the Reader to look for members that are named twice: it has their names in hand anyway.
var repeating = jsontext.AllowDuplicateNames(true)

// Read reads a body that consists of one JSON value. It returns an *adapters.Error when the body is none; what was read is then not
// to be used. It is not read at all, unless nothing else is wrong with it than that an object names a member twice.
func Read(body []byte, read func(*Reader)) error {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(body)) == 0 {
		return &adapters.Error{Reason: callnormv1.FaultReason_FAULT_REASON_EMPTY_BODY, Detail: "the body is empty"}
	}
	if !utf8.Valid(body) {
		return &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_INVALID_UTF8,
			Detail: "the body is not valid UTF-8, which JSON requires",
		}
	}
	r, _ := readers.Get().(*Reader)
	defer r.release()
	if r.check(body, lenient, repeating) == nil {
		if r.read(body, nil, nil, read); !r.doubtful {
			return nil
		}
	}
	if err := r.check(body, lenient); err != nil {
		return faultOf(err, len(body))
	}
	return nil
}

// faultOf says what is wrong with a body of some size.
func faultOf(err error, size int) *adapters.Error {
	fault := &adapters.Error{
		Reason: callnormv1.FaultReason_FAULT_REASON_MALFORMED,
		Detail: "the body is not JSON",
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		fault.Detail = "the body is not JSON from byte " + strconv.FormatInt(syntax.ByteOffset, 10) + " on"
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		fault.Reason = callnormv1.FaultReason_FAULT_REASON_DUPLICATE_MEMBER
		fault.Detail = "an object has two members of one name, so that its meaning depends on the reader"
		fault.Path = pointerPath(syntax.JSONPointer)
	case errors.Is(err, io.ErrUnexpectedEOF):
		fault.Reason = callnormv1.FaultReason_FAULT_REASON_TRUNCATED
		fault.Detail = "the body stops in the middle, after " + strconv.Itoa(size) + " bytes"
	case syntax != nil && syntax.Err != nil && syntax.Err.Error() == tooDeep:
		fault.Reason = callnormv1.FaultReason_FAULT_REASON_TOO_DEEP
		fault.Detail = "the body is nested too deeply"
	case errors.Is(err, errTrailing):
		fault.Detail = "the body goes on after its JSON value"
	}
	return fault
}

// tooDeep is what the decoder says beyond 10,000 levels. It exports no error for that.
const tooDeep = "exceeded max depth"

// readChecked reads a text that is known to be one JSON value whose objects name no member twice.
func readChecked(text []byte, path []segment, notes *Notes, read func(*Reader)) {
	r, _ := readers.Get().(*Reader)
	defer r.release()
	r.read(text, path, notes, read)
}

// read reads a text whose syntax is known to be right.
func (r *Reader) read(text []byte, path []segment, notes *Notes, read func(*Reader)) {
	r.text, r.path, r.notes = text, append(r.path[:0], path...), notes
	r.named, r.doubtful = r.named[:0], false
	r.pos = r.space(0)
	r.ready = true
	read(r)
	if r.ready {
		r.Keep()
	}
}

func (r *Reader) release() {
	r.text, r.src, r.notes, r.ready = nil, bytes.Buffer{}, nil, false
	r.dec.Reset(&r.src, lenient) // otherwise it would keep the body
	if cap(r.plain) > maxPlain {
		r.plain = nil
	}
	if cap(r.form) > maxPlain {
		r.form = nil
	}
	if cap(r.parts) > maxParts {
		r.parts = nil
	}
	clear(r.parts)
	if cap(r.named) > maxNamed {
		r.named = nil
	}
	readers.Put(r)
}

// check finds out whether a text is one JSON value by the rules.
func (r *Reader) check(text []byte, rules ...jsontext.Options) error {
	r.src = *bytes.NewBuffer(text)
	r.dec.Reset(&r.src, rules...)
	if _, err := r.dec.ReadValue(); err != nil {
		return err
	}
	r.text = text
	if r.space(int(r.dec.InputOffset())) < len(text) {
		return errTrailing
	}
	return nil
}

var errTrailing = errors.New("data after the JSON value")

// Notes returns what was noted so far: unmapped fields and warnings.
func (r *Reader) Notes() *Notes {
	if r.notes == nil {
		r.notes = &Notes{}
	}
	return r.notes
}

// Fresh makes the reader write into new notes from here on, for the next item of a batch.
func (r *Reader) Fresh() *Notes {
	r.notes = &Notes{}
	return r.notes
}

// NoteIn makes the reader write into other notes from here on.
func (r *Reader) NoteIn(notes *Notes) { r.notes = notes }

// Kind tells what the value is: '{', '[', '"', '0', 't', 'f', 'n', or 0 behind it. It consumes nothing.
func (r *Reader) Kind() jsontext.Kind {
	if !r.ready {
		return 0
	}
	return kindOf(r.text[r.pos:])
}

func kindOf(value jsontext.Value) jsontext.Kind {
	switch {
	case len(value) == 0:
		return 0
	case value[0] == '-' || value[0] >= '0' && value[0] <= '9':
		return '0'
	default:
		return jsontext.Kind(value[0])
	}
}

// Path returns the path of the value: names joined by dots, list places in brackets.
func (r *Reader) Path() string {
	var short [128]byte
	return r.intern(appendPath(short[:0], r.path)) // the next payload has the same paths
}

// Prefix returns what the paths of the value's members begin with.
func (r *Reader) Prefix() string {
	if len(r.path) == 0 {
		return ""
	}
	var short [128]byte
	return r.intern(append(appendPath(short[:0], r.path), '.'))
}

// Members yields the names of an object's members; within the loop, the reader stands before the member's value. What the
// loop does not read is kept as unmapped. A value that is no object yields nothing; it is kept, too, unless it is null.
func (r *Reader) Members() iter.Seq[string] {
	return func(yield func(string) bool) {
		if !r.enter('{', "is no object") {
			return
		}
		r.path = append(r.path, segment{index: -1})
		last, first := len(r.path)-1, len(r.named)
		for more := true; r.next('}'); {
			quoted, sum, escaped := r.member(first)
			var name string
			if escaped {
				name = r.unquote(quoted)
			} else {
				name = r.knownAs(sum, quoted[1:len(quoted)-1])
			}
			r.path[last].name = name
			r.ready = true
			more = more && yield(name)
			if r.ready {
				r.Keep()
			}
		}
		r.path, r.named = r.path[:last], r.named[:first]
	}
}

// Elements yields the places of an array's elements; within the loop, the reader stands before the element. What the loop
// does not read is kept as unmapped. A value that is no array yields nothing; it is kept, too, unless it is null.
func (r *Reader) Elements() iter.Seq[int] {
	return func(yield func(int) bool) {
		if !r.enter('[', "is no list") {
			return
		}
		r.path = append(r.path, segment{})
		last := len(r.path) - 1
		for i, more := 0, true; r.next(']'); i++ {
			r.path[last].index = i
			r.ready = true
			more = more && yield(i)
			if r.ready {
				r.Keep()
			}
		}
		r.path = r.path[:last]
	}
}

// enter steps into an object or list.
func (r *Reader) enter(kind jsontext.Kind, otherwise string) bool {
	if r.Kind() != kind {
		r.keepOdd(r.value(), otherwise)
		return false
	}
	r.ready = false
	r.pos++
	return true
}

// next goes to the next member or element, or behind the object or list.
func (r *Reader) next(closing byte) bool {
	r.pos = r.space(r.pos)
	switch r.text[r.pos] {
	case closing:
		r.pos++
		return false
	case ',':
		r.pos = r.space(r.pos + 1)
	}
	return true
}

// member goes from the name of a member to its value. The sums of the object's names begin at first in their list. Names of one sum,
// names that can be written in several ways, and names that are too many to compare are in doubt, which the decoder settles.
func (r *Reader) member(first int) (quoted []byte, sum uint64, escaped bool) {
	const many = 64
	end, escaped := endOfName(r.text, r.pos)
	quoted = r.text[r.pos:end]
	r.pos = r.space(r.space(end) + len(":"))
	sum = sumOf(quoted[1 : len(quoted)-1])
	if !r.doubtful {
		r.doubtful = escaped || len(r.named)-first >= many || slices.Contains(r.named[first:], sum)
		r.named = append(r.named, sum)
	}
	return quoted, sum, escaped
}

var seed = maphash.MakeSeed()

func sumOf(text []byte) uint64 { return maphash.Bytes(seed, text) }

// Skip passes over configuration that is left out on purpose.
func (r *Reader) Skip() { r.value() }

// Peek calls read with the reader as it is, and puts it back before the value.
func (r *Reader) Peek(read func(*Reader)) {
	pos, ready := r.pos, r.ready
	read(r)
	r.pos, r.ready = pos, ready
}

// Raw reads the value as it stands, without a copy: it is a part of the body, and is not to be kept beyond it. Behind the value it
// is nil.
func (r *Reader) Raw() jsontext.Value { return r.value() }

// Keep keeps the value as unmapped.
func (r *Reader) Keep() {
	if v := r.value(); v != nil {
		r.Notes().Unmapped(r.Path(), v)
	}
}

// value reads the value as it stands. It is a part of the body. Behind the value it is nil.
func (r *Reader) value() jsontext.Value {
	if !r.ready {
		return nil
	}
	start := r.pos
	r.pass()
	r.ready = false
	return r.text[start:r.pos:r.pos]
}

// space returns the first place from pos on that holds no white space.
func (r *Reader) space(pos int) int {
	for pos < len(r.text) && (r.text[pos] == ' ' || r.text[pos] == '\n' || r.text[pos] == '\r' || r.text[pos] == '\t') {
		pos++
	}
	return pos
}

// pass goes behind a value.
func (r *Reader) pass() {
	switch r.text[r.pos] {
	case '"':
		r.pos = endOfText(r.text, r.pos)
	case '{':
		r.pos++
		first := len(r.named)
		for r.next('}') {
			r.member(first)
			r.pass()
		}
		r.named = r.named[:first]
	case '[':
		r.pos++
		for r.next(']') {
			r.pass()
		}
	default:
		for r.pos < len(r.text) && r.text[r.pos] > ' ' && r.text[r.pos] != ',' && r.text[r.pos] != ']' && r.text[r.pos] != '}' {
			r.pos++
		}
	}
}

// endOfText returns the end of the JSON string that begins at pos.
func endOfText(text []byte, pos int) int {
	for {
		pos++
		pos += bytes.IndexByte(text[pos:], '"')
		escapes := 0
		for text[pos-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return pos + 1
		}
	}
}

// endOfName is endOfText for names, which are short, and tells whether there are escapes in one.
func endOfName(text []byte, pos int) (end int, escaped bool) {
	for end = pos + 1; ; end++ {
		switch text[end] {
		case '"':
			return end + 1, false
		case '\\':
			return endOfText(text, pos), true
		}
	}
}

// keepOdd keeps a value that is not what was asked for. Null is no value at all.
func (r *Reader) keepOdd(v jsontext.Value, what string) {
	if v != nil && kindOf(v) != 'n' {
		r.Notes().Unmapped(r.Path(), v)
		r.Notes().Warn(callnormv1.WarningKind_WARNING_KIND_WRONG_TYPE, r.Path(), "the value "+what)
	}
}

// name returns a text that is likely to come again.
func (r *Reader) name(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') >= 0 {
		return r.unquote(quoted)
	}
	return r.intern(quoted[1 : len(quoted)-1])
}

// intern returns a text that is likely to come again.
func (r *Reader) intern(text []byte) string { return r.knownAs(sumOf(text), text) }

func (r *Reader) knownAs(sum uint64, text []byte) string {
	if len(text) == 0 || len(text) > maxName {
		return string(text)
	}
	// Several have room in one place, so that they do not take it from each other by turns. The last that came stands first.
	known := &r.known[sum>>(64-knownBits)]
	for i := range known {
		if known[i] == string(text) {
			return known[i]
		}
	}
	copy(known[1:], known[:])
	known[0] = string(text)
	return known[0]
}

// unquote returns the text that a JSON string stands for.
func (r *Reader) unquote(quoted []byte) string { return string(r.plainText(quoted)) }

// plainText is unquote for what is only looked at: the text stands in the body, or until the next call in a buffer.
func (r *Reader) plainText(quoted []byte) []byte {
	if raw := quoted[1 : len(quoted)-1]; bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	var err error
	if r.plain, err = jsontext.AppendUnquote(r.plain[:0], quoted); err != nil {
		// It was checked, so nothing but half a surrogate pair can be wrong with it.
		r.Notes().Warn(callnormv1.WarningKind_WARNING_KIND_UNREADABLE, r.Path(), "half a character was replaced by U+FFFD")
	}
	return r.plain
}

func pathText(path []segment) string { return string(appendPath(nil, path)) }

func appendPath(text []byte, path []segment) []byte {
	for _, s := range path {
		switch {
		case s.index >= 0:
			text = append(text, '[')
			text = strconv.AppendInt(text, int64(s.index), 10)
			text = append(text, ']')
		case plainName(s.name):
			if len(text) > 0 {
				text = append(text, '.')
			}
			text = append(text, s.name...)
		default:
			text = append(text, '[')
			text = appendQuoted(text, s.name)
			text = append(text, ']')
		}
	}
	return text
}

// appendQuoted is strconv.AppendQuote, which looks at each character for long: names that need no escape are most.
func appendQuoted(text []byte, name string) []byte {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return strconv.AppendQuote(text, name)
		}
	}
	text = append(text, '"')
	text = append(text, name...)
	return append(text, '"')
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
