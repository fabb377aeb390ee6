package signature

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

const byteOrderMark = "\xef\xbb\xbf"

// fields is where paths lead from one value of a JSON text: they end there, or go on below members of it.
type fields struct {
	end   bool
	below map[string]*fields
}

// parseFields reads dotted paths.
func parseFields(paths []string) *fields {
	root := &fields{}
	for _, path := range paths {
		at := root
		for name := range strings.SplitSeq(path, ".") {
			if at.below == nil {
				at.below = make(map[string]*fields)
			}
			if at.below[name] == nil {
				at.below[name] = &fields{}
			}
			at = at.below[name]
		}
		at.end = true
	}
	return root
}

// readField returns the string that stands in a JSON body under one of the paths. It is strict where two readers could
// read two strings: no object on the way may have a member of the path twice, each path that leads to a value must lead to a
// string with something in it, and all of them to the same. What lies beside the paths does not matter, as long as it is JSON.
func readField(body []byte, paths *fields) ([]byte, bool) {
	body = bytes.TrimPrefix(body, []byte(byteOrderMark))
	if !utf8.Valid(body) {
		return nil, false
	}
	f := finders.Get().(*finder) //nolint:forcetypeassert // nothing else is put in
	defer f.release()
	f.flat = bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) <= maxFlat
	f.body = *bytes.NewBuffer(body)
	f.decoder.Reset(&f.body, lenient...)
	if err := f.value(paths); err != nil || f.field == nil {
		return nil, false
	}
	if _, err := f.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, false
	}
	return f.field, true
}

// finder looks for a field while it reads.
type finder struct {
	decoder jsontext.Decoder
	body    bytes.Buffer
	flat    bool   // nothing is nested deeply
	field   []byte // nil until one is found
}

// finders are for reuse.
var finders = sync.Pool{New: func() any { return &finder{} }}

// release puts a finder back, without the body.
func (f *finder) release() {
	f.body, f.field = bytes.Buffer{}, nil
	f.decoder.Reset(&f.body)
	finders.Put(f)
}

// lenient accepts halves of surrogate pairs beside the field: a transcript that was cut within an emoji is no reason to refuse.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// maxFlat is how many objects and lists a body may have that is called flat. Others may be nested so deep that the stack of the calls
// that read them at once grows to hundreds of times the body.
const maxFlat = 1000

var errAmbiguous = errors.New("not exactly one string")

// value reads a value to which the paths lead. Calls nest as deep as the longest path, or as maxFlat, whatever the body is like.
func (f *finder) value(paths *fields) error {
	if paths.end {
		return f.leaf()
	}
	if f.decoder.PeekKind() != '{' {
		return f.skip()
	}
	if _, err := f.decoder.ReadToken(); err != nil {
		return err
	}
	seen := make([]*fields, 0, 8)
	for f.decoder.PeekKind() != '}' {
		name, err := f.decoder.ReadValue()
		if err != nil {
			return err
		}
		below := paths.below[string(unquote(name))]
		if below == nil {
			if err := f.skip(); err != nil {
				return err
			}
			continue
		}
		if slices.Contains(seen, below) {
			return errAmbiguous
		}
		seen = append(seen, below)
		if err := f.value(below); err != nil {
			return err
		}
	}
	_, err := f.decoder.ReadToken()
	return err
}

// skip passes a value over: at once, which is faster, or by its tokens, which takes no calls within each other.
func (f *finder) skip() error {
	if !f.flat {
		return f.decoder.SkipValue()
	}
	_, err := f.decoder.ReadValue()
	return err
}

// leaf reads the value at the end of a path.
func (f *finder) leaf() error {
	value, err := f.decoder.ReadValue()
	if err != nil {
		return err
	}
	if value.Kind() != '"' {
		return errAmbiguous
	}
	text, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(text)) == 0 || f.field != nil && !bytes.Equal(text, f.field) {
		return errAmbiguous
	}
	f.field = text
	return nil
}

// unquote returns what the name of a member stands for. Halves of surrogate pairs are replaced in it.
func unquote(name []byte) []byte {
	if bytes.IndexByte(name, '\\') < 0 {
		return name[1 : len(name)-1]
	}
	text, _ := jsontext.AppendUnquote(nil, name)
	return text
}
