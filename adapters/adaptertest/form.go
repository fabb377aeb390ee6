package adaptertest

import (
	"net/url"
	"slices"
	"strings"

	"github.com/callnorm/callnorm/adapters"
)

// form is a form in a body or a query, as its pairs stand on the wire.
type form struct {
	delivery adapters.Delivery
	pairs    []string
	inQuery  bool
}

// leaves returns the values. A pair that names nothing, or nothing that can be decoded, has none.
func (f *form) leaves() []leaf {
	var list []leaf
	for i, pair := range f.pairs {
		encoded, _, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(encoded); err == nil && name != "" {
			list = append(list, leaf{path: []string{name}, pair: i})
		}
	}
	return list
}

func (f *form) mark(l leaf, text string) adapters.Delivery { return f.with(l, text) }

func (f *form) without(l leaf) adapters.Delivery { return f.with(l, "") }

// oddEncoded are values as they stand on the wire. They take the place of leaves in forms.
var oddEncoded = [...]string{
	"", "+", "%20", "x", "true", "0", "-1", "1e999", "9223372036854775808", "1.5", "NaN", "null", "%5BUUID%5D", "a=b", "%2B", "+15550100101",
	"%00", "%0D%0A", "%FF", "%ED%A0%BD", "%F0%9D%84%9E", "%", "%zz", "%2", "%22%5C", "%7B%22a%22%3A1%7D", "%5B1",
	"2024-13-45T99%3A99%3A99Z", "Tue%2C+99+Feb+2026+10%3A11%3A12+%2B0000",
}

// odd returns the delivery with odd values, and with a second value of the same name.
func (f *form) odd(l leaf) []adapters.Delivery {
	var list []adapters.Delivery
	for _, value := range oddEncoded {
		list = append(list, f.with(l, value))
	}
	name, value, _ := strings.Cut(f.pairs[l.pair], "=")
	return append(list, f.with(l, value+"&"+name+"="+value+"2"), f.with(l, value+"&"+name))
}

// ordered returns the delivery with its pairs in another order.
func (f *form) ordered(order order) adapters.Delivery {
	names := make([]string, len(f.pairs))
	for i, pair := range f.pairs {
		names[i], _, _ = strings.Cut(pair, "=")
	}
	var pairs []string
	for _, i := range ordered(names, order) {
		pairs = append(pairs, f.pairs[i])
	}
	return f.of(pairs)
}

// with returns the delivery with another value of one pair, as it stands on the wire.
func (f *form) with(l leaf, value string) adapters.Delivery {
	pairs := slices.Clone(f.pairs)
	name, _, _ := strings.Cut(pairs[l.pair], "=")
	pairs[l.pair] = name + "=" + value
	return f.of(pairs)
}

func (f *form) of(pairs []string) adapters.Delivery {
	text := strings.Join(pairs, "&")
	if f.inQuery {
		return withQuery(f.delivery, []byte(text))
	}
	return withBody(f.delivery, []byte(text))
}
