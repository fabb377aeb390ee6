package signature

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

const byteOrderMark = "\xef\xbb\xbf"

// readField returns the string that stands in a JSON body under one of the dotted paths. It is strict where two readers could
// read two strings: no object on the way may have a member of the path twice, each path that leads to a value must lead to a
// string with something in it, and all of them to the same. What lies beside the paths does not matter, as long as it is JSON.
func readField(body []byte, paths []string) (string, bool) {
	body = bytes.TrimPrefix(body, []byte(byteOrderMark))
	if !utf8.Valid(body) {
		return "", false
	}
	// Halves of surrogate pairs are accepted beside the field: a transcript that was cut within an emoji is no reason to refuse.
	d := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	split := make([][]string, len(paths))
	for i, path := range paths {
		split[i] = strings.Split(path, ".")
	}
	f := finder{decoder: d}
	if err := f.value(split); err != nil || !f.found {
		return "", false
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return "", false
	}
	return f.text, true
}

type finder struct {
	decoder *jsontext.Decoder
	text    string
	found   bool
}

var errAmbiguous = errors.New("not exactly one string")

// value reads a value to which the paths lead. Calls nest as deep as the longest path, whatever the body is like.
func (f *finder) value(paths [][]string) error {
	for _, path := range paths {
		if len(path) == 0 {
			return f.leaf()
		}
	}
	if f.decoder.PeekKind() != '{' {
		return f.decoder.SkipValue()
	}
	if _, err := f.decoder.ReadToken(); err != nil {
		return err
	}
	seen := make([]string, 0, len(paths))
	for f.decoder.PeekKind() != '}' {
		token, err := f.decoder.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		var under [][]string
		for _, path := range paths {
			if path[0] == name {
				under = append(under, path[1:])
			}
		}
		if len(under) == 0 {
			if err := f.decoder.SkipValue(); err != nil {
				return err
			}
			continue
		}
		if slices.Contains(seen, name) {
			return errAmbiguous
		}
		seen = append(seen, name)
		if err := f.value(under); err != nil {
			return err
		}
	}
	_, err := f.decoder.ReadToken()
	return err
}

func (f *finder) leaf() error {
	value, err := f.decoder.ReadValue()
	if err != nil {
		return err
	}
	if value.Kind() != '"' {
		return errAmbiguous
	}
	unquoted, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return err
	}
	text := string(unquoted)
	if strings.TrimSpace(text) == "" || f.found && text != f.text {
		return errAmbiguous
	}
	f.text, f.found = text, true
	return nil
}
