package redaction

import (
	"errors"
	"io"
	"strings"

	"github.com/callnorm/callnorm/internal/mention"
	"github.com/go-json-experiment/json/jsontext"
)

// replace puts Mark in the place of all mentions in a text. A text that is JSON stays JSON: its texts are searched as what they
// stand for, and a number becomes a text as a whole.
func replace(text string, isJSON bool, finders []*mention.Finder) string {
	plain := mention.Replace(text, Mark, finders...)
	if plain == text && !strings.Contains(text, `\`) {
		return text // Without escapes, texts in JSON are what they stand for.
	}
	if isJSON || strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") || strings.HasPrefix(text, `"`) {
		if replaced, ok := replaceJSON(text, finders); ok {
			return replaced
		}
	}
	return plain
}

// replaceJSON leaves all as it is written that mentions nothing. It tells whether the text is JSON.
func replaceJSON(text string, finders []*mention.Finder) (string, bool) {
	decoder := jsontext.NewDecoder(strings.NewReader(text), jsontext.AllowDuplicateNames(true))
	var b strings.Builder
	done := 0
	for {
		kind := decoder.PeekKind()
		if kind != jsontext.KindString && kind != jsontext.KindNumber {
			if _, err := decoder.ReadToken(); errors.Is(err, io.EOF) {
				b.WriteString(text[done:])
				return b.String(), true
			} else if err != nil {
				return "", false
			}
			continue
		}
		value, err := decoder.ReadValue()
		if err != nil {
			return "", false
		}
		replaced := replaceToken(kind, value, finders)
		if replaced == string(value) {
			continue
		}
		end := int(decoder.InputOffset())
		b.WriteString(text[done : end-len(value)])
		b.WriteString(replaced)
		done = end
	}
}

// replaceToken returns what stands in the place of a text or a number of JSON.
func replaceToken(kind jsontext.Kind, value jsontext.Value, finders []*mention.Finder) string {
	if kind == jsontext.KindNumber {
		if mention.Replace(string(value), Mark, finders...) != string(value) {
			return markJSON
		}
		return string(value)
	}
	text, _ := jsontext.AppendUnquote(nil, value) // the decoder has read it
	replaced := replace(string(text), false, finders)
	if replaced == string(text) {
		return string(value)
	}
	quoted, _ := jsontext.AppendQuote(nil, replaced) // as above
	return string(quoted)
}
