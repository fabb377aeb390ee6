package wire

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/go-json-experiment/json/jsontext"
)

// ReadForm reads a form (application/x-www-form-urlencoded), which is a body or a query. It is read as an object whose values are
// texts: a plus is a blank, a name without a value has the empty text, and a name that is sent several times with different values
// is a list of them, which no text is.
//
// A pair that cannot be decoded, because of a percent sign without two digits or because what comes out is no UTF-8, is kept as
// unmapped as it stands, and the object is without it. Control characters are part of a value when they are encoded; a body that
// has them as they are is no form, nor is one without a single equals sign. Then the error is an *adapters.Error.
func ReadForm(form []byte, read func(*Reader)) error {
	form = bytes.Trim(bytes.TrimPrefix(form, []byte("\xef\xbb\xbf")), " \t\r\n")
	if len(form) == 0 {
		return &adapters.Error{Reason: callnormv1.FaultReason_FAULT_REASON_EMPTY_BODY, Detail: "the form is empty"}
	}
	if at := slices.IndexFunc(form, func(c byte) bool { return c < ' ' }); at >= 0 {
		return &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_MALFORMED,
			Detail: "the body is no form from byte " + strconv.Itoa(at) + " on: control characters are encoded in one",
		}
	}
	if !bytes.Contains(form, []byte("=")) {
		return &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_MALFORMED,
			Detail: "the body is no form: no name in it has a value",
		}
	}
	r, _ := readers.Get().(*Reader)
	defer r.release()
	r.path, r.notes = r.path[:0], nil
	r.text, r.pos, r.ready = r.object(form), 0, true // an object that needs no check
	read(r)
	if r.ready {
		r.Keep()
	}
	return nil
}

// pair is one name with its value, both decoded. Further pairs of the same name follow each other.
type pair struct {
	name, value []byte
	literal     bool // both stand for themselves, in JSON as well
	next        int  // the place of the next pair of this name, or 0
	later       bool
}

// object writes a form as a JSON object.
func (r *Reader) object(form []byte) []byte {
	pairs := r.pairs(form)
	link(pairs)
	text := r.form[:0]
	text = append(text, '{')
	for i := range pairs {
		if pairs[i].later {
			continue
		}
		if len(text) > len("{") {
			text = append(text, ',')
		}
		switch p := &pairs[i]; {
		case p.next != 0:
			text = append(appendText(text, p.name), ':')
			text = appendTexts(text, valuesOf(pairs, i))
		case p.literal:
			text = append(append(append(text, '"'), p.name...), '"', ':', '"')
			text = append(append(text, p.value...), '"')
		default:
			text = append(appendText(text, p.name), ':')
			text = appendText(text, p.value)
		}
	}
	text = append(text, '}')
	r.form = text
	return text
}

// pairs takes a form apart. What cannot be decoded is kept as unmapped.
func (r *Reader) pairs(form []byte) []pair {
	pairs, decoded := r.parts[:0], r.plain[:0]
	if cap(decoded) < len(form) {
		decoded = make([]byte, 0, len(form)) // it never grows, so parts of it stay where they are
	}
	for len(form) > 0 {
		raw := form
		if end := bytes.IndexByte(form, '&'); end >= 0 {
			raw, form = form[:end], form[end+1:]
		} else {
			form = nil
		}
		if len(raw) == 0 {
			continue
		}
		name, value := raw, []byte(nil)
		if at := bytes.IndexByte(raw, '='); at >= 0 {
			name, value = raw[:at], raw[at+1:]
		}
		if isLiteral(raw) { // as most are
			pairs = append(pairs, pair{name: name, value: value, literal: true})
			continue
		}
		var known, text []byte
		var named, valued bool
		known, decoded, named = decode(decoded, name)
		text, decoded, valued = decode(decoded, value)
		if named && valued {
			pairs = append(pairs, pair{name: known, value: text})
			continue
		}
		path := pathText([]segment{{name: printable(string(known)), index: -1}})
		r.Notes().Warn(callnormv1.WarningKind_WARNING_KIND_UNREADABLE, path, "the pair is not encoded as a form requires, and was not read")
		r.Notes().UnmappedText(path, printable(string(value)))
	}
	r.parts, r.plain = pairs, decoded
	return pairs
}

// link chains the pairs of one name.
func link(pairs []pair) {
	const few = 64
	if len(pairs) > few {
		last := make(map[string]int, len(pairs))
		for i := range pairs {
			before, known := last[string(pairs[i].name)]
			if known {
				pairs[before].next, pairs[i].later = i, true
			}
			last[string(pairs[i].name)] = i
		}
		return
	}
	for i := range pairs {
		for before := i - 1; before >= 0; before-- {
			if bytes.Equal(pairs[before].name, pairs[i].name) {
				pairs[before].next, pairs[i].later = i, true
				break
			}
		}
	}
}

// valuesOf returns the different values of a name, in their order.
func valuesOf(pairs []pair, first int) [][]byte {
	values := [][]byte{pairs[first].value}
	seen := map[string]bool{string(pairs[first].value): true}
	for i := pairs[first].next; i != 0; i = pairs[i].next {
		if value := string(pairs[i].value); !seen[value] {
			seen[value] = true
			values = append(values, pairs[i].value)
		}
	}
	return values
}

// decode returns what an encoded text stands for, in a buffer that it appends to. Where that cannot be told, or is no UTF-8, it
// returns the text as it is, and false.
func decode(buffer, encoded []byte) (decoded, grown []byte, ok bool) {
	start, text := len(buffer), buffer
	for i := 0; i < len(encoded); i++ {
		switch c := encoded[i]; c {
		case '+':
			text = append(text, ' ')
		case '%':
			if i+2 >= len(encoded) {
				return encoded, buffer, false
			}
			high, low := digit(encoded[i+1]), digit(encoded[i+2])
			if high < 0 || low < 0 {
				return encoded, buffer, false
			}
			text = append(text, byte(high<<4|low))
			i += len("FF")
		default:
			text = append(text, c)
		}
	}
	if !utf8.Valid(text[start:]) {
		return encoded, buffer, false
	}
	return text[start:len(text):len(text)], text, true
}

// isLiteral tells whether an encoded text stands for itself, also within the quotes of JSON.
func isLiteral(encoded []byte) bool {
	for _, c := range encoded {
		if c == '+' || c == '%' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// digit returns the value of a hexadecimal digit, or -1.
func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	default:
		return -1
	}
}

// appendText appends a text, which must be UTF-8, as JSON.
func appendText(text, plain []byte) []byte {
	for _, c := range plain {
		if c < ' ' || c == '"' || c == '\\' {
			text, _ = jsontext.AppendQuote(text, plain) // there is nothing that it could not quote
			return text
		}
	}
	return append(append(append(text, '"'), plain...), '"')
}

// appendTexts appends several texts as a list, and one as itself.
func appendTexts(text []byte, several [][]byte) []byte {
	if len(several) == 1 {
		return appendText(text, several[0])
	}
	for i, plain := range several {
		mark := byte(',')
		if i == 0 {
			mark = '['
		}
		text = appendText(append(text, mark), plain)
	}
	return append(text, ']')
}

// printable encodes the bytes of a text that are no UTF-8, so that it can be kept as it stood.
func printable(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	const digits = "0123456789ABCDEF"
	var b []byte
	for i := range len(text) {
		if c := text[i]; c < utf8.RuneSelf {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&0xF])
		}
	}
	return string(b)
}
