package mention

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
)

const (
	// minDigits is the least number of digits that is looked for. Fewer stand for years, prices and extensions.
	minDigits = 5
	// minBare is the least number of digits of a national number that is looked for without the prefix of its country (`0`).
	minBare = 8
	// maxCode is the length of the longest country code.
	maxCode = 3
)

// internationalPrefixes are dialled in the place of the plus.
var internationalPrefixes = []string{"00", "011"}

// numbers finds telephone numbers by their digits.
type numbers struct {
	spellings map[string]bool // the digits from the first to the last
	national  map[string]bool // the digits after a country code that is not known
	longest   int
	parsed    []string // the international ones that were added
}

func (n *numbers) empty() bool { return len(n.spellings) == 0 }

func (n *numbers) add(digits string) {
	if len(digits) < minDigits {
		return
	}
	if n.spellings == nil {
		n.spellings, n.national = make(map[string]bool), make(map[string]bool)
	}
	n.spellings[digits] = true
	n.longest = max(n.longest, len(digits))
}

// AddNumber adds a telephone number. One that begins with a plus is found with the plus, with what is dialled in its place, with
// nothing in its place, and as it is written in its country; any other as it stands, and behind a country code if it begins with a
// zero. Blanks, dots, hyphens, slashes and brackets make no difference. A number is never found in the middle of other digits. A
// text that is no number is ignored, and so is a number of less than five digits.
func (f *Finder) AddNumber(number string) {
	number = strings.TrimSpace(number)
	digits, ok := Digits(number)
	if !ok {
		return
	}
	international := strings.HasPrefix(number, "+")
	if rest, ok := strings.CutPrefix(digits, "00"); ok && !international {
		digits, international = rest, true
	}
	f.numbers.add(digits)
	if !international {
		if rest := strings.TrimLeft(digits, "0"); rest != digits && len(rest) >= minDigits && len(digits) >= minDigits {
			f.numbers.national[rest] = true
			f.numbers.longest = max(f.numbers.longest, len(rest)+maxCode)
		}
		return
	}
	if slices.Contains(f.numbers.parsed, digits) {
		return // Parsing is most of what a number costs.
	}
	f.numbers.parsed = append(f.numbers.parsed, digits)
	parsed, err := phonenumbers.Parse("+"+digits, "")
	if err != nil {
		return
	}
	bare := phonenumbers.GetNationalSignificantNumber(parsed)
	if len(bare) >= minBare {
		f.numbers.add(bare)
	}
	region := phonenumbers.GetRegionCodeForCountryCode(int(parsed.GetCountryCode()))
	if prefix := phonenumbers.GetNddPrefixForRegion(region, true); prefix != "" {
		f.numbers.add(prefix + bare)
	}
}

// Digits returns the digits of a text that consists of nothing but digits and what may stand between them. A zero in brackets
// (`+49 (0)30`) is not dialled behind a country code and is left out there.
func Digits(text string) (digits string, ok bool) {
	text, international := strings.CutPrefix(strings.TrimSpace(text), "+")
	if international {
		text = strings.Replace(text, "(0)", "", 1)
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case '0' <= r && r <= '9':
			b.WriteRune(r)
		case !separates(r) || r == '+':
			return "", false
		}
	}
	return b.String(), b.Len() > 0
}

// separates tells whether a character may stand between the digits of a number. A form writes a blank as a plus.
func separates(r rune) bool {
	switch r {
	case '\t', '.', '/', '(', ')', '[', ']', '+':
		return true
	default:
		return unicode.In(r, unicode.Zs, unicode.Pd)
	}
}

// find yields the places of numbers in a text, and tells whether it was let to its end.
func (n *numbers) find(text string, yield func(span) bool) bool {
	if n.empty() {
		return true
	}
	for at := 0; at < len(text); {
		if !isDigit(text[at]) {
			at++
			continue
		}
		if end := n.match(text, at); end > at {
			if !yield(span{opening(text, at, end), end}) {
				return false
			}
			at = end
			continue
		}
		at = endOfDigits(text, at)
	}
	return true
}

// match returns the end of the longest number that begins with the digits at a place, or 0.
func (n *numbers) match(text string, start int) (end int) {
	longest := n.longest + len("011")
	plus := strings.HasSuffix(text[:start], "+") || strings.HasSuffix(text[:start], "+(")
	var array [32]byte
	digits := array[:0]
	for at := start; at < len(text) && isDigit(text[at]); {
		next := endOfDigits(text, at)
		if len(digits)+next-at > longest {
			break
		}
		if at == start || !inBrackets(text, at, next) || text[at:next] != "0" {
			digits = append(digits, text[at:next]...)
			if n.known(digits, plus) {
				end = next
			}
		}
		for at = next; at < len(text) && !isDigit(text[at]); {
			r, size := utf8.DecodeRuneInString(text[at:])
			if !separates(r) {
				return end
			}
			at += size
		}
	}
	return end
}

func (n *numbers) known(digits []byte, international bool) bool {
	if n.spellings[string(digits)] {
		return true
	}
	for _, prefix := range internationalPrefixes {
		if rest := digits; len(rest) > len(prefix) && string(rest[:len(prefix)]) == prefix {
			if rest = rest[len(prefix):]; n.spellings[string(rest)] || n.behindCode(rest) {
				return true
			}
		}
	}
	return international && n.behindCode(digits)
}

func (n *numbers) behindCode(digits []byte) bool {
	for code := 1; len(n.national) > 0 && code <= maxCode && code < len(digits); code++ {
		if n.national[string(digits[code:])] {
			return true
		}
	}
	return false
}

// opening takes in the plus and the bracket that a number begins with.
func opening(text string, start, end int) int {
	for start > 0 && (text[start-1] == '+' || text[start-1] == '(' && strings.Contains(text[start:end], ")")) {
		start--
	}
	return start
}

func inBrackets(text string, start, end int) bool {
	return start > 0 && end < len(text) && text[start-1] == '(' && text[end] == ')'
}

func endOfDigits(text string, at int) int {
	for at < len(text) && isDigit(text[at]) {
		at++
	}
	return at
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
