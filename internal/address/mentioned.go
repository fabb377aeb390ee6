package address

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/callnorm/callnorm/internal/mention"
)

// maxRounds bounds how often a body is decoded. A form that holds JSON that holds JSON needs three rounds.
const maxRounds = 4

// Mentioned tells whether a body, as it was sent, mentions an address that Parse returned. The body may be JSON, a form or any text:
// escapes are read wherever they stand. A number is found in the spellings that mention.Finder.AddNumber tells of, an e-mail address
// in capitals or not, and neither as a part of a longer one.
func Mentioned(address string, text []byte) bool {
	mentions := func(text string) bool { return mentionsEmail(text, address) }
	if strings.HasPrefix(address, "+") {
		var finder mention.Finder
		finder.AddNumber(address)
		mentions = finder.Mentions
	}
	body := string(text)
	for range maxRounds {
		if mentions(body) {
			return true
		}
		decoded := unescape(body)
		if decoded == body {
			return false
		}
		body = decoded
	}
	return mentions(body)
}

func mentionsEmail(text, email string) bool {
	text, email = mention.Fold(text), mention.Fold(email)
	for from := 0; email != ""; {
		at := strings.Index(text[from:], email)
		if at < 0 {
			return false
		}
		start, end := from+at, from+at+len(email)
		if beginsEmail(text[:start]) && endsEmail(text[end:]) {
			return true
		}
		from = start + 1
	}
	return false
}

func beginsEmail(before string) bool {
	r, _ := utf8.DecodeLastRuneInString(before)
	return before == "" || !wordy(r) && !strings.ContainsRune("._-+%", r)
}

func endsEmail(after string) bool {
	r, size := utf8.DecodeRuneInString(after)
	if r == '.' || r == '-' { // the end of a sentence, or more of the domain
		r, _ = utf8.DecodeRuneInString(after[size:])
		return len(after) == size || !wordy(r)
	}
	return after == "" || !wordy(r)
}

func wordy(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

// unescape reads the escapes of JSON texts and of forms, wherever they stand; what is no escape stays as it is. A plus is a blank
// where there are escapes of a form.
func unescape(text string) string {
	if !strings.ContainsAny(text, `%\`) {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	form := strings.Contains(text, "%")
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '%' && i+2 < len(text) && isHex(text[i+1:i+3]):
			value, _ := strconv.ParseUint(text[i+1:i+3], 16, 8)
			b.WriteByte(byte(value))
			i += 3
		case c == '\\' && i+5 < len(text) && text[i+1] == 'u' && isHex(text[i+2:i+6]):
			value, _ := strconv.ParseUint(text[i+2:i+6], 16, 32)
			b.WriteRune(rune(value)) // Half a surrogate pair becomes a replacement character: no address has any.
			i += 6
		case c == '\\' && i+1 < len(text):
			b.WriteByte(plain(text[i+1]))
			i += 2
		case c == '+' && form:
			b.WriteByte(' ')
			i++
		default:
			b.WriteByte(c)
			i++
		}
	}
	return b.String()
}

// plain returns what a character stands for behind a backslash.
func plain(c byte) byte {
	switch c {
	case 'b', 'f', 'n', 'r', 't':
		return '\n' // It separates words, and parts of a number do not stand on several lines.
	default:
		return c
	}
}

func isHex(text string) bool {
	_, err := strconv.ParseUint(text, 16, 32)
	return err == nil && !strings.ContainsAny(text, "+-_")
}
