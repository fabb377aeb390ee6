package scenario

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters"
)

// Fresh returns a delivery with other ids in it, so that it is no repeat of one that was sent before. The run, any text, decides
// which ids: deliveries about one call stay about one call when they are made fresh by the same run. A delivery without an id gets
// other white space behind its JSON; a form without one stays as it is.
func Fresh(adapter adapters.Adapter, d adapters.Delivery, run string) adapters.Delivery {
	fresh := d
	for _, id := range ids(adapter, d) {
		other := another(id, run)
		fresh = renamed(fresh, id, other)
		if encoded := url.QueryEscape(id); encoded != id {
			fresh = renamed(fresh, encoded, url.QueryEscape(other))
		}
	}
	if bytes.Equal(fresh.Body, d.Body) && fresh.Query == d.Query && d.Header.Get("Content-Type") != FormType {
		fresh.Body = slices.Concat(d.Body, blanks(run))
	}
	return fresh
}

func renamed(d adapters.Delivery, id, other string) adapters.Delivery {
	d.Body = replace(d.Body, []byte(id), []byte(other))
	d.Query = string(replace([]byte(d.Query), []byte(id), []byte(other)))
	return d
}

// holds tells whether an id stands in a delivery, as it is or as forms and queries encode it.
func holds(d adapters.Delivery, id string) bool {
	return slices.ContainsFunc([]string{id, url.QueryEscape(id)}, func(spelling string) bool {
		return bytes.Contains(d.Body, []byte(spelling)) || strings.Contains(d.Query, spelling)
	})
}

// ids returns what identifies the calls of a delivery, the longest first: one may be a part of another.
func ids(adapter adapters.Adapter, d adapters.Delivery) []string {
	result, err := adapters.Normalize(adapter, d)
	if err != nil {
		return nil
	}
	var list []string
	for _, outcome := range result.Outcomes {
		switch id := outcome.CallID; {
		case id == "":
		case holds(d, id):
			list = append(list, id)
		default: // made of several things, such as an id and a time
			for part := range strings.SplitSeq(id, "/") {
				if _, err := time.Parse(time.RFC3339, part); err != nil && strings.ContainsAny(part, "0123456789") {
					list = append(list, part)
				}
			}
		}
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(list)
}

// enough is how many digits make an id that nobody has met.
const enough = 12

// another returns an id of the same form: digits become other digits, and letters stay, but for those of hexadecimal numbers.
func another(id, run string) string {
	random := sha256.Sum256([]byte(run + "\x00" + id))
	text, changed := []byte(id), 0
	hexadecimal := strings.Trim(id, "0123456789abcdef-") == ""
	for i, c := range text {
		r := random[changed%len(random)] + byte(changed/len(random))
		switch {
		case c >= '1' && c <= '9' || c == '0' && i > 0:
			text[i] = '1' + r%9 // never a zero that a number would begin with
		case hexadecimal && c >= 'a' && c <= 'f':
			text[i] = 'a' + r%6
		default:
			continue
		}
		changed++
	}
	switch more := enough - changed; {
	case more <= 0:
		return string(text)
	case changed == len(text):
		for _, r := range random[changed : changed+more] {
			text = append(text, '1'+r%9)
		}
		return string(text)
	default:
		return id + "-" + hex.EncodeToString(random[:enough/2])
	}
}

// replace puts an id in the place of another, where that is no part of a longer word.
func replace(text, id, other []byte) []byte {
	var replaced []byte
	for rest := text; ; {
		at := bytes.Index(rest, id)
		if at < 0 {
			return append(replaced, rest...)
		}
		end := at + len(id)
		whole := (at == 0 || !ofWord(rest[at-1])) && (end == len(rest) || !ofWord(rest[end]))
		replaced = append(replaced, rest[:at]...)
		if whole {
			replaced = append(replaced, other...)
		} else {
			replaced = append(replaced, id...)
		}
		rest = rest[end:]
	}
}

func ofWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// blanks returns white space that another run has hardly ever.
func blanks(run string) []byte {
	sum := sha256.Sum256([]byte(run))
	var text []byte
	for _, bits := range sum[:4] {
		for n := range 8 {
			text = append(text, " \n"[bits>>n&1])
		}
	}
	return text
}
