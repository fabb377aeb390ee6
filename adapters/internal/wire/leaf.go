package wire

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Text reads a text. Numbers and truth values become their literals, null the empty string.
func (r *Reader) Text() string {
	v := r.value()
	switch kindOf(v) {
	case '"':
		return r.unquote(v)
	case '0', 't', 'f':
		return string(v)
	case 0, 'n':
		return ""
	default:
		r.keepOdd(v, "is no text")
		return ""
	}
}

// Word is Text for texts that are one of few, such as a status.
func (r *Reader) Word() string {
	if r.Kind() == '"' {
		return r.name(r.value())
	}
	return r.Text()
}

// NotBlank returns a text, unless it is blank; then there is none.
func NotBlank(text string) string {
	if strings.TrimSpace(text) == "" {
		return ""
	}
	return text
}

// Filled returns a message, or nil when nothing is in it.
func Filled[M proto.Message](m M) M {
	if proto.Size(m) == 0 {
		var nothing M
		return nothing
	}
	return m
}

// Bool reads a truth value, also one that is written as a text. It returns nil for null and the empty text.
func (r *Reader) Bool() *bool {
	v := r.value()
	word := ""
	switch kindOf(v) {
	case 't', 'f':
		word = string(v)
	case '"':
		word = strings.ToLower(strings.TrimSpace(r.unquote(v)))
		if word == "" {
			return nil
		}
	}
	if word == "true" || word == "false" {
		yes := word == "true"
		return &yes
	}
	r.keepOdd(v, "is neither true nor false")
	return nil
}

// Int reads a whole number of 32 bits, also one that is written as a text.
func (r *Reader) Int() *int32 {
	v, literal := r.number()
	if len(literal) == 0 {
		return nil
	}
	f, err := strconv.ParseFloat(string(literal), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
		r.keepOdd(v, "is no whole number of 32 bits")
		return nil
	}
	n := int32(f)
	return &n
}

// Duration reads a span of time that is given in a unit, also as a text.
func (r *Reader) Duration(unit time.Duration) *durationpb.Duration {
	v, literal := r.number()
	if len(literal) == 0 {
		return nil
	}
	// A year is longer than any call.
	const longest = float64(366 * 24 * time.Hour)
	f, err := strconv.ParseFloat(string(literal), 64)
	if err != nil || f < 0 || f*float64(unit) > longest {
		r.keepOdd(v, "is no length of a call")
		return nil
	}
	length, span := time.Duration(math.Round(f*float64(unit))), r.Notes().read.spans.New()
	span.Seconds, span.Nanos = int64(length/time.Second), int32(length%time.Second)
	return span
}

// Time reads a moment: ISO 8601, the form of mail and of HTTP headers (RFC 2822), or the seconds or milliseconds since 1970 as a
// number or a text (numbers above 10^11 are milliseconds: as seconds they would lie beyond the year 5000). A date and time without
// an offset is UTC where naiveUTC says so, and otherwise not understood.
func (r *Reader) Time(naiveUTC bool) *timestamppb.Timestamp {
	v := r.value()
	var t time.Time
	ok := false
	switch kindOf(v) {
	case 0, 'n':
		return nil
	case '0':
		t, ok = parseEpoch(string(v))
	case '"':
		literal := bytes.TrimSpace(r.plainText(v))
		if len(literal) == 0 {
			return nil
		}
		t, ok = parseTime(string(literal), naiveUTC)
	}
	if ok {
		return timestamppb.New(t)
	}
	r.Notes().Unmapped(r.Path(), v)
	r.Notes().Warn(callnormv1.WarningKind_WARNING_KIND_UNREADABLE, r.Path(), "the value is no time that can be understood")
	return nil
}

func parseTime(literal string, naiveUTC bool) (time.Time, bool) {
	if !strings.Contains(literal, ":") {
		if !isNumber(literal) {
			return time.Time{}, false
		}
		return parseEpoch(literal)
	}
	const seconds, date, year = len("2006-01-02T15:04:05"), len("2006-01-02"), len("2006")
	if len(literal) > year && literal[year] != '-' {
		return parseMail(strings.Clone(literal), naiveUTC) // so that the others need no text of their own, short as they are
	}
	// What remains is brought into the form of RFC 3339, which needs a T and a zone with a colon; fractions may follow the
	// seconds.
	if len(literal) < seconds {
		return time.Time{}, false
	}
	if literal[date] == ' ' {
		literal = literal[:date] + "T" + literal[date+1:]
	}
	switch zone := strings.TrimLeft(literal[seconds:], ".,0123456789"); {
	case zone == "" && naiveUTC:
		return parseRFC3339(literal + "Z")
	case len(zone) == len("+0000") && zone != "Z" && !strings.Contains(zone, ":"):
		minutes := len(literal) - len("00")
		literal = literal[:minutes] + ":" + literal[minutes:]
	}
	return parseRFC3339(literal)
}

func parseRFC3339(literal string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, literal)
	if err != nil {
		return time.Time{}, false
	}
	return utc(t)
}

// parseMail reads the form of RFC 2822, also of its older relatives: the day of the week may be missing, as may the zone.
func parseMail(literal string, naiveUTC bool) (time.Time, bool) {
	const usual = "Mon, 02 Jan 2006 15:04:05 +0000" // nearly all are in exactly this form, whose zone needs no look-up
	if t, err := time.Parse(usual, literal); err == nil {
		return utc(t)
	}
	if t, err := time.Parse(time.RFC1123Z, literal); err == nil {
		return utc(t)
	}
	if _, rest, ok := strings.Cut(literal, ","); ok {
		literal = rest
	}
	parts := strings.Fields(literal)
	const zone = 4 // the place behind day, month, year and clock
	if len(parts) == zone && naiveUTC {
		parts = append(parts, "Z")
	}
	if len(parts) == zone+2 && strings.HasPrefix(parts[zone+1], "(") { // a comment
		parts = parts[:zone+1]
	}
	if len(parts) != zone+1 {
		return time.Time{}, false
	}
	switch named := parts[zone]; {
	case named == "GMT", named == "UT", named == "UTC": // Other abbreviations mean one thing here and another there.
		parts[zone] = "Z"
	case named[0] >= '0' && named[0] <= '9': // The plus was put into a form without being encoded, and became a blank.
		parts[zone] = "+" + named
	}
	t, err := time.Parse("2 Jan 2006 15:04:05 Z0700", strings.Join(parts, " "))
	if err != nil {
		return time.Time{}, false
	}
	return utc(t)
}

// utc returns a moment in UTC, if a Timestamp can hold it.
func utc(t time.Time) (time.Time, bool) {
	t = t.UTC()
	return t, t.Year() >= 1 && t.Year() <= 9999
}

func parseEpoch(literal string) (time.Time, bool) {
	f, err := strconv.ParseFloat(literal, 64)
	if math.Abs(f) > 1e11 {
		f /= 1e3
	}
	if err != nil || f < 0 || f > 1e11 {
		return time.Time{}, false
	}
	seconds, fraction := math.Modf(f)
	// A float of this size is good for microseconds.
	return time.Unix(int64(seconds), int64(math.Round(fraction*1e6))*1e3).UTC(), true
}

// isNumber tells whether a text is a number as JSON writes it, and not one of the others that Go reads ("NaN", "0x10").
func isNumber(literal string) bool {
	if literal != "" && literal[0] != '0' && isDigits(literal) {
		return true
	}
	if strings.Trim(literal, "-+.eE0123456789") != "" {
		return false
	}
	return jsontext.Value(literal).IsValid()
}

// number reads a number, also one that is written as a text, and returns it as it stands and as a literal. The literal is
// empty for null, the empty text, and what is no number; that is kept. It stands where plainText has it.
func (r *Reader) number() (v jsontext.Value, literal []byte) {
	v = r.value()
	switch kindOf(v) {
	case '0':
		return v, v
	case '"':
		literal = bytes.TrimSpace(r.plainText(v))
		if len(literal) == 0 || isNumber(string(literal)) {
			return v, literal
		}
	}
	r.keepOdd(v, "is no number")
	return v, nil
}

// Value reads a value whose type only the customer knows. It returns nil for null.
func (r *Reader) Value() *callnormv1.Value {
	v := r.value()
	switch kindOf(v) {
	case '"':
		text := r.Notes().read.texts.New()
		text.kind.StringValue = r.unquote(v)
		text.value.Kind = &text.kind
		return &text.value
	case 't', 'f':
		return &callnormv1.Value{Kind: &callnormv1.Value_BoolValue{BoolValue: kindOf(v) == 't'}}
	case '0':
		if f, ok := exactFloat(string(v)); ok {
			return &callnormv1.Value{Kind: &callnormv1.Value_NumberValue{NumberValue: f}}
		}
		return &callnormv1.Value{Kind: &callnormv1.Value_JsonValue{JsonValue: string(v)}}
	case '{', '[':
		return &callnormv1.Value{Kind: &callnormv1.Value_JsonValue{JsonValue: compact(v)}}
	default:
		return nil
	}
}

var withoutPoint = strings.NewReplacer("-", "", ".", "")

// exactFloat returns the number as a double, if a double shows the same digits again. Fifteen significant digits always do.
func exactFloat(literal string) (float64, bool) {
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		return 0, false
	}
	mantissa, _, _ := strings.Cut(strings.ToLower(literal), "e")
	digits := strings.TrimLeft(withoutPoint.Replace(mantissa), "0")
	if f == 0 && digits != "" {
		return 0, false
	}
	return f, len(digits) <= 15
}

// JSON reads any value as JSON text. A text that holds a JSON object or list is taken for that. Null, and objects and lists
// without content, are the empty string.
func (r *Reader) JSON() string {
	v := r.value()
	if kindOf(v) == '"' {
		if inner := jsontext.Value(strings.TrimSpace(r.unquote(v))); holdsJSON(inner) {
			v = inner
		}
	}
	if v == nil || kindOf(v) == 'n' {
		return ""
	}
	if isEmpty(v) { // as most are that are
		return ""
	}
	if text := compact(v); !isEmpty([]byte(text)) {
		return text
	}
	return ""
}

func isEmpty(value []byte) bool {
	return string(value) == "{}" || string(value) == "[]" || string(value) == `""`
}

// Embedded reads a value that may be written as JSON text within a text: read is called with a reader that stands before the
// inner value. A text that holds no JSON object or list is kept, and read is not called.
func (r *Reader) Embedded(read func(*Reader)) {
	if r.Kind() != '"' {
		read(r)
		return
	}
	v := r.value()
	inner := strings.TrimSpace(r.unquote(v))
	if inner == "" || inner == "null" {
		return
	}
	text := jsontext.Value(inner)
	if !holdsJSON(text) {
		r.Notes().Unmapped(r.Path(), v)
		r.Notes().Warn(callnormv1.WarningKind_WARNING_KIND_UNREADABLE, r.Path(), "the text holds no JSON object or list")
		return
	}
	readChecked(text, r.path, r.Notes(), read)
}

func holdsJSON(text jsontext.Value) bool {
	return len(text) > 0 && (text[0] == '{' || text[0] == '[') && text.IsValid(lenient)
}

// NamedValue reads a value whose type only the customer knows, under its name. Of null there is only the name.
func (r *Reader) NamedValue(name string) *callnormv1.NamedValue {
	named := r.Notes().read.named.New()
	named.Name, named.Value = name, r.Value()
	return named
}

// NamedValues reads the members of an object, or a list of {key, value} pairs, both also as JSON within a text.
func (r *Reader) NamedValues() []*callnormv1.NamedValue {
	var list []*callnormv1.NamedValue
	r.Embedded(func(r *Reader) {
		if r.Kind() == '[' {
			for range r.Elements() {
				pair := r.Notes().read.named.New()
				for name := range r.Members() {
					switch name {
					case "key", "name":
						pair.Name = r.Text()
					case "value":
						pair.Value = r.Value()
					}
				}
				if pair.GetName() != "" {
					list = append(list, pair)
				} else if pair.GetValue() != nil {
					r.Notes().Warn(callnormv1.WarningKind_WARNING_KIND_UNREADABLE, r.Path(), "the value has no name")
					list = append(list, pair)
				}
			}
			return
		}
		for name := range r.Members() {
			list = append(list, r.NamedValue(name))
		}
	})
	return list
}

// Texts reads a list of texts. Elements that are something else are kept as unmapped.
func (r *Reader) Texts() []string {
	var list []string
	for range r.Elements() {
		if text := r.Text(); text != "" {
			list = append(list, text)
		}
	}
	return list
}

// Placeholder tells whether a text stands for an id instead of being one: `[UUID]`, `{callId}`, `${call_id}`, `XXXXXXXX`,
// `<id>`, `null`, `0`, an id of zeros only. Documentation, templates that were never filled in, redaction and unset variables
// leave such texts where ids belong, and calls must not be put together for having one in common.
func Placeholder(text string) bool {
	text = strings.TrimSpace(text)
	if text == "" {
		return true
	}
	const longestWord = len("undefined")
	if c := text[0]; len(text) > longestWord && (c >= '1' && c <= '9' || c >= 'a' && c <= 'w' || c >= 'A' && c <= 'W') {
		return false // as nearly all ids begin
	}
	text = strings.TrimPrefix(text, "$")
	if text == "" || strings.Trim(text, "*-_#+ ") == "" || strings.Trim(text, "0-_ ") == "" {
		return true
	}
	switch first, last := text[0], text[len(text)-1]; {
	case first == '[' && last == ']', first == '{' && last == '}', first == '<' && last == '>', first == '%' && last == '%':
		return true
	}
	if len(text) >= 3 && strings.Trim(text, "Xx*-_#+ ") == "" {
		return true
	}
	switch strings.ToLower(text) {
	case "null", "none", "nil", "undefined", "unknown", "n/a", "redacted", "string", "uuid", "true", "false", "-1":
		return true
	}
	return false
}
