// Package mention finds the places of a text that mention a person: a telephone number in any of its usual spellings, an address,
// a name. It finds too much rather than too little. Numbers that are spelled out in words, digits of other scripts than ASCII and
// letters that are composed in another way (`ü` as `u` with two dots) are not found.
package mention

import (
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// span is a place in a text, from its first byte to the one after its last.
type span struct{ start, end int }

// Finder finds mentions of what was added to it. The zero value finds nothing. It may be used concurrently once all is added.
type Finder struct {
	numbers numbers
	// texts are found anywhere, words only as whole words. Both are folded.
	texts, words []string
}

// Empty tells that there is nothing to find.
func (f *Finder) Empty() bool {
	return len(f.texts) == 0 && len(f.words) == 0 && f.numbers.empty()
}

// AddText adds a text that is found wherever it stands, in capitals or not.
func (f *Finder) AddText(text string) { f.texts = add(f.texts, text) }

// AddName adds the name of a person or an organisation, and its parts.
//
// The whole name counts wherever it stands. Its parts count as words of their own, with or without the `s` of a genitive: a
// conversation uses the first name or the last. A name and a part need three characters, or two of a script that has no capitals,
// where names are short. A part that begins with a small letter beside others that do not is a particle (`van der`) and no name.
func (f *Finder) AddName(name string) {
	name = strings.TrimSpace(name)
	if !isName(name) {
		return
	}
	f.texts = add(f.texts, name)
	parts := strings.FieldsFunc(name, func(r rune) bool { return !inWord(r) && !unicode.IsLetter(r) })
	if len(parts) == 1 && parts[0] == name {
		return
	}
	capitals := strings.ContainsFunc(name, unicode.IsUpper)
	for _, part := range parts {
		first, _ := utf8.DecodeRuneInString(part)
		if isName(part) && (!capitals || !unicode.IsLower(first)) {
			f.words = add(f.words, part)
		}
	}
}

// isName tells whether a text is long enough for a name, and has a letter.
func isName(text string) bool {
	enough := 3
	if !strings.ContainsFunc(text, cased) {
		enough = 2
	}
	return utf8.RuneCountInString(text) >= enough && strings.ContainsFunc(text, unicode.IsLetter)
}

func add(list []string, text string) []string {
	if text = Fold(text); text == "" || slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

// Mentions tells whether a text mentions anything of what was added.
func (f *Finder) Mentions(text string) bool {
	for range f.spans(text) {
		return true
	}
	return false
}

// Replace replaces each mention of any of the finders in a text. Mentions that overlap are replaced as one.
func Replace(text, by string, finders ...*Finder) string {
	var spans []span
	for _, f := range finders {
		spans = slices.AppendSeq(spans, f.spans(text))
	}
	if len(spans) == 0 {
		return text
	}
	slices.SortFunc(spans, func(a, b span) int { return a.start - b.start })
	var b strings.Builder
	b.Grow(len(text))
	done := 0
	for i := 0; i < len(spans); {
		whole := spans[i]
		for i++; i < len(spans) && spans[i].start < whole.end; i++ {
			whole.end = max(whole.end, spans[i].end)
		}
		b.WriteString(text[done:whole.start])
		b.WriteString(by)
		done = whole.end
	}
	b.WriteString(text[done:])
	return b.String()
}

// spans yields the mentions in a text. They may overlap.
func (f *Finder) spans(text string) iter.Seq[span] {
	return func(yield func(span) bool) {
		if !f.numbers.find(text, yield) || len(f.texts) == 0 && len(f.words) == 0 {
			return
		}
		folded := Fold(text)
		for _, wanted := range f.texts {
			for at := range occurrences(folded, wanted) {
				if !yield(widen(text, at)) {
					return
				}
			}
		}
		for _, wanted := range f.words {
			for at := range occurrences(folded, wanted) {
				if wholeWord(folded, at) && !yield(widen(text, at)) {
					return
				}
			}
		}
	}
}

func occurrences(text, wanted string) iter.Seq[span] {
	return func(yield func(span) bool) {
		for from := 0; ; {
			at := strings.Index(text[from:], wanted)
			if at < 0 || !yield(span{from + at, from + at + len(wanted)}) {
				return
			}
			from += at + len(wanted)
		}
	}
}

// widen takes in the rest of the words that a mention begins and ends in: what is left of them would tell what was there.
func widen(text string, at span) span {
	for before, size := utf8.DecodeLastRuneInString(text[:at.start]); inWord(before); before, size = utf8.DecodeLastRuneInString(text[:at.start]) {
		at.start -= size
	}
	for after, size := utf8.DecodeRuneInString(text[at.end:]); inWord(after); after, size = utf8.DecodeRuneInString(text[at.end:]) {
		at.end += size
	}
	return at
}

// wholeWord tells whether a place in a folded text is a word of its own, or one with the `s` of a genitive.
func wholeWord(folded string, at span) bool {
	before, _ := utf8.DecodeLastRuneInString(folded[:at.start])
	after, _ := utf8.DecodeRuneInString(strings.TrimPrefix(folded[at.end:], "s"))
	return !inWord(before) && !inWord(after)
}

// inWord tells whether a character is part of a word that has an end. Scripts without capitals may write words without blanks.
func inWord(r rune) bool {
	return r != utf8.RuneError && (cased(r) || unicode.In(r, unicode.M, unicode.N))
}

func cased(r rune) bool { return unicode.IsLower(r) || unicode.IsUpper(r) || unicode.IsTitle(r) }

// Fold returns a text in small letters and of the same length in bytes, so that a place in the one is a place in the other.
func Fold(text string) string {
	folded := []byte(text)
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				folded[i] = c + 'a' - 'A'
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if small := unicode.ToLower(r); small != r && utf8.RuneLen(small) == size {
			utf8.EncodeRune(folded[i:], small)
		}
		i += size
	}
	return string(folded)
}
