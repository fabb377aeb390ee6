// Package words looks up what a provider's words mean. The tables themselves belong to the adapters.
package words

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// Table holds the meanings of words, by their plain form (see Plain).
type Table[M any] struct {
	// Documented holds the words of the provider's documentation.
	Documented map[string]M
	// Seen holds words that the documentation does not name but receivers have met. They count as heuristic.
	Seen map[string]M
	// Other is the meaning of words that are in neither.
	Other M
}

// Find returns what a word means, and how that was found out. An unknown word is noted under its path; the empty word means
// nothing and is no word.
func (t Table[M]) Find(notes *wire.Notes, path, word string) (M, callnormv1.Mapping) {
	if strings.TrimSpace(word) == "" {
		var nothing M
		return nothing, callnormv1.Mapping_MAPPING_UNSPECIFIED
	}
	if meaning, mapping, ok := t.Known(word); ok {
		return meaning, mapping
	}
	notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, path, "the word is not known to this version")
	return t.Other, callnormv1.Mapping_MAPPING_NONE
}

// Known returns what a word means, if it is in the table.
func (t Table[M]) Known(word string) (M, callnormv1.Mapping, bool) {
	var short [64]byte
	plain := appendPlain(short[:0], word)
	if meaning, ok := t.Documented[string(plain)]; ok { // a map that is looked into like this needs no string
		return meaning, callnormv1.Mapping_MAPPING_EXACT, true
	}
	if meaning, ok := t.Seen[string(plain)]; ok {
		return meaning, callnormv1.Mapping_MAPPING_HEURISTIC, true
	}
	var nothing M
	return nothing, callnormv1.Mapping_MAPPING_UNSPECIFIED, false
}

// Plain returns a word in lower case with single underscores for blanks, hyphens and underscores: providers spell one word
// in several ways (`no-answer`, `no_answer`, `No Answer`).
func Plain(word string) string {
	if isPlain(word) {
		return word
	}
	var short [64]byte
	return string(appendPlain(short[:0], word))
}

// Is tells whether the plain form of a word is this one.
func Is(word, plain string) bool {
	var short [64]byte
	return string(appendPlain(short[:0], word)) == plain // texts that are compared like this need no string
}

func appendPlain(text []byte, word string) []byte {
	if isPlain(word) { // as most are
		return append(text, word...)
	}
	gap := false
	for _, c := range word {
		if c == ' ' || c == '-' || c == '_' {
			gap = len(text) > 0
			continue
		}
		if gap {
			text, gap = append(text, '_'), false
		}
		text = utf8.AppendRune(text, unicode.ToLower(c))
	}
	return text
}

func isPlain(word string) bool {
	before := byte('_')
	for i := range len(word) {
		c := word[i]
		if c == '_' && before == '_' || c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
		before = c
	}
	return before != '_' || word == ""
}

// Credential tells from the name that a customer chose for a value whether it proves something, which is nobody's business behind the
// door: a token, a password, the key of an API.
func Credential(name string) bool {
	plain := strings.ReplaceAll(Plain(name), "_", "")
	switch plain {
	case "key", "sig", "hmac", "pw", "pwd", "auth", "authorization", "bodysha256":
		return true
	}
	for _, part := range []string{"token", "secret", "passw", "signature", "apikey", "credential"} {
		if strings.Contains(plain, part) {
			return true
		}
	}
	return false
}
