package main

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// mutate returns the fixture's body as nobody should send it.
func (g *generator) mutate(r *rand.Rand, n int, f *fixture, s *shot) []byte {
	body := g.replace(r, n, f)
	for times := 1 + r.IntN(3)*r.IntN(2); times > 0; times-- { // once, mostly
		mutation := g.choose(r)
		s.made += ", " + mutation.name
		body = mutation.apply(g, r, body)
	}
	return body
}

// replace puts odd values in the place of some, and a fresh id in the place of each, so that not all bodies speak of the few calls
// of the fixtures; some still do.
func (g *generator) replace(r *rand.Rand, n int, f *fixture) []byte {
	type edit struct {
		span
		text string
	}
	var edits []edit
	if !one(r, 8) {
		for i, at := range f.ids {
			edits = append(edits, edit{at, fmt.Sprintf(`"hostile-%d-%d"`, n, i)})
		}
	}
	if len(f.values) > 0 && one(r, 2) {
		for range 1 + r.IntN(4) {
			edits = append(edits, edit{f.values[r.IntN(len(f.values))], odd(r)})
		}
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return a.from - b.from })
	body, done := make([]byte, 0, len(f.body)+64), 0
	for _, e := range edits {
		if e.from < done {
			continue // something else is there already
		}
		body = append(append(body, f.body[done:e.from]...), e.text...)
		done = e.to
	}
	return append(body, f.body[done:]...)
}

// mutation is one way to spoil a body.
type mutation struct {
	name   string
	weight int
	apply  func(g *generator, r *rand.Rand, body []byte) []byte
}

var mutations = []mutation{
	{"as it is", 60, func(_ *generator, _ *rand.Rand, body []byte) []byte { return body }},
	{"bits flipped", 8, func(_ *generator, r *rand.Rand, body []byte) []byte { return flip(r, body) }},
	{"cut off", 6, func(_ *generator, r *rand.Rand, body []byte) []byte { return body[:r.IntN(len(body)+1)] }},
	{"spliced", 5, splice},
	{"a part again", 4, again},
	{"random JSON", 8, func(g *generator, r *rand.Rand, _ []byte) []byte { return g.value(r, nil, 0) }},
	{"random members", 30, func(g *generator, r *rand.Rand, body []byte) []byte { return within(r, body, g.members(r)) }},
	{"a member twice", 6, twice},
	{"deep", 4, deep},
	{"an odd value", 2, func(_ *generator, r *rand.Rand, body []byte) []byte { return insert(r, body, odd(r)) }},
	{"a huge number", 4, func(g *generator, r *rand.Rand, body []byte) []byte {
		return within(r, body, strconv.Quote(pick(r, g.names))+":"+huge(r)+",")
	}},
	{"invalid text", 6, func(_ *generator, r *rand.Rand, body []byte) []byte { return insert(r, body, pick(r, invalid)) }},
	{"random bytes", 2, func(_ *generator, r *rand.Rand, _ []byte) []byte { return noise(r, r.IntN(scale(r, 10_000)+1)) }},
	{"a large list", 3, list},
	{"a long text", 2, func(_ *generator, r *rand.Rand, body []byte) []byte { return long(r, body, scale(r, 100_000)) }},
	{"trailing data", 3, func(_ *generator, r *rand.Rand, body []byte) []byte {
		return slices.Concat(body, []byte(pick(r, trailing)))
	}},
	{"a form", 2, func(_ *generator, _ *rand.Rand, body []byte) []byte {
		return []byte("payload=" + url.QueryEscape(string(body)))
	}},
	{"empty", 1, func(*generator, *rand.Rand, []byte) []byte { return nil }},
}

func (g *generator) choose(r *rand.Rand) mutation {
	sum := 0
	for _, m := range mutations {
		sum += m.weight
	}
	at := r.IntN(sum)
	for _, m := range mutations {
		if at -= m.weight; at < 0 {
			return m
		}
	}
	return mutations[0]
}

var (
	oddValues = []string{
		`null`, `true`, `false`, `0`, `-0`, `-1`, `1e999`, `-1e999`, `1e-999`, `9223372036854775808`, `-9223372036854775809`,
		`18446744073709551616`, `1.5`, `""`, `" "`, `"x"`, `[]`, `{}`, `[[]]`, `[null]`, `{"":null}`, `"\u0000"`, `"\ud834\udd1e"`,
		`"\ud834"`, `"\udd1e\ud834"`, `"{\"a\":1}"`, `"[1"`, `"NaN"`,
		`"2024-13-45T99:99:99Z"`, `"0001-01-01T00:00:00+23:59"`, `"9999-12-31T23:59:60Z"`, `"+999999999999999999999"`,
		`"\r\nX-Injected: 1"`, `"\u001b[31m"`, `"\u202e"`, `"<script>"`, `"' OR 1=1 --"`, `"../../etc/passwd"`, `"${jndi:ldap://x}"`, `"%s%n"`,
	}
	noValues = []string{`NaN`, `Infinity`, `-`, `01`, `+1`, `.5`, `0x10`, `'x'`, `undefined`, `,`, `nul`, `1e`}
	invalid  = []string{
		"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe2\x82", "\x00", "\xef\xbb\xbf", "\xfe\xff", "\u2028", "\ufffe",
		`\ud834`, `\u12`, `\x41`, `\`, "\r\n", "\x1b[2J", "\x7f", "\x08", "\t", `"`, `'`, "{", "}", "[", "]", ",", ":", "//", "/**/",
	}
	trailing = []string{"}", "]", "null", "{}", " x", "\x00", "\n\n\n", ",", "\xff", `{"call":{"call_id":"second"}}`, strings.Repeat(" ", 5_000)}
)

func pick(r *rand.Rand, list []string) string { return list[r.IntN(len(list))] }

// odd returns a value that nobody expects, and now and then what is none.
func odd(r *rand.Rand) string {
	const every = 60
	if one(r, every) {
		return pick(r, noValues)
	}
	return pick(r, oddValues)
}

// scale returns a number up to a bound, of which small ones are as likely as large ones.
func scale(r *rand.Rand, most int) int { return int(math.Exp(r.Float64() * math.Log(float64(most)))) }

// place returns where in a body something may stand, the end included.
func place(r *rand.Rand, body []byte) int { return r.IntN(len(body) + 1) }

func insert(r *rand.Rand, body []byte, text string) []byte {
	at := place(r, body)
	return slices.Concat(body[:at], []byte(text), body[at:])
}

func flip(r *rand.Rand, body []byte) []byte {
	if len(body) == 0 {
		return body
	}
	flipped := slices.Clone(body)
	for range 1 + r.IntN(8) {
		flipped[r.IntN(len(flipped))] ^= 1 << r.IntN(8)
	}
	return flipped
}

// splice joins the head of a body and the tail of a fixture.
func splice(g *generator, r *rand.Rand, body []byte) []byte {
	other := g.fixtures[r.IntN(len(g.fixtures))].body
	return slices.Concat(body[:place(r, body)], other[place(r, other):])
}

// again repeats a part of a body in another place.
func again(_ *generator, r *rand.Rand, body []byte) []byte {
	from := place(r, body)
	to := from + r.IntN(len(body)-from+1)
	return insert(r, body, string(body[from:to]))
}

// within puts text behind a brace that opens an object.
func within(r *rand.Rand, body []byte, text string) []byte {
	from := place(r, body)
	at := bytes.IndexByte(body[from:], '{')
	if at < 0 {
		from, at = 0, bytes.IndexByte(body, '{')
	}
	if at < 0 {
		return insert(r, body, text)
	}
	at += from + 1
	return slices.Concat(body[:at], []byte(text), body[at:])
}

// twice gives an object one member two times.
func twice(g *generator, r *rand.Rand, body []byte) []byte {
	found := names.FindAllSubmatchIndex(body, -1)
	if len(found) == 0 {
		return slices.Concat(body, body)
	}
	at := found[r.IntN(len(found))]
	text := slices.Concat(body[at[0]:at[1]], g.value(r, nil, 3), []byte(","))
	return slices.Concat(body[:at[0]], text, body[at[0]:])
}

// deep nests a body, or something in it, up to 100,000 times.
func deep(_ *generator, r *rand.Rand, body []byte) []byte {
	depth := scale(r, 100_000)
	opening, closing := "[", "]"
	if one(r, 2) {
		opening, closing = `{"a":`, "}"
	}
	before := strings.Repeat(opening, depth)
	switch r.IntN(3) {
	case 0:
		return []byte(before)
	case 1:
		return within(r, body, `"deep":`+before+"1"+strings.Repeat(closing, depth)+",")
	default:
		return slices.Concat([]byte(before), body, []byte(strings.Repeat(closing, depth)))
	}
}

// huge returns a number with up to 20,000 digits.
func huge(r *rand.Rand) string {
	digits := strings.Repeat(strconv.Itoa(r.IntN(10)), scale(r, 20_000))
	return []string{"-", "", "0.", "1e", "1e-", "1."}[r.IntN(6)] + digits
}

// list makes a list out of a body, or puts one into it.
func list(_ *generator, r *rand.Rand, body []byte) []byte {
	if one(r, 2) {
		const longest = 300
		times := scale(r, longest)
		return slices.Concat([]byte("["), bytes.Repeat(append(slices.Clone(body), ','), times), body, []byte("]"))
	}
	const longest = 20_000
	value := odd(r)
	return within(r, body, `"list":[`+strings.Repeat(value+",", scale(r, longest))+value+"],")
}

// long puts a text of a size into a body.
func long(r *rand.Rand, body []byte, size int) []byte {
	letter := pick(r, []string{"a", "\U0001f4de", `\n`, " ", "\"", "7"})
	return within(r, body, `"long":"`+strings.Repeat(letter, size/len(letter))+`",`)
}

// oversized is one byte or more over what a source takes.
func oversized(r *rand.Rand, body []byte) []byte {
	missing := max(maxBody-len(body), 0) + 1 + r.IntN(2)*r.IntN(1<<20)
	return slices.Concat(body, noise(r, missing))
}

// members returns random members with names that the adapters know.
func (g *generator) members(r *rand.Rand) string {
	var text []byte
	for range 1 + r.IntN(3) {
		text = g.value(r, append(strconv.AppendQuote(text, pick(r, g.names)), ':'), 2)
		text = append(text, ',')
	}
	return string(text)
}

// value appends a random value.
func (g *generator) value(r *rand.Rand, text []byte, depth int) []byte {
	const deepest = 5
	kind := r.IntN(6)
	if depth >= deepest {
		kind = 0
	}
	switch kind {
	case 1, 2:
		text = append(text, '{')
		for i := range r.IntN(6) {
			if i > 0 {
				text = append(text, ',')
			}
			text = g.value(r, append(strconv.AppendQuote(text, pick(r, g.names)), ':'), depth+1)
		}
		return append(text, '}')
	case 3:
		text = append(text, '[')
		for i := range r.IntN(6) {
			if i > 0 {
				text = append(text, ',')
			}
			text = g.value(r, text, depth+1)
		}
		return append(text, ']')
	case 4: // a value that the adapters may know
		f := g.fixtures[r.IntN(len(g.fixtures))]
		if len(f.values) > 0 {
			at := f.values[r.IntN(len(f.values))]
			return append(text, f.body[at.from:at.to]...)
		}
	}
	return append(text, odd(r)...)
}
