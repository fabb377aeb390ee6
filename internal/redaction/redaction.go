// Package redaction removes from an outcome what a source must not keep of people.
//
// It removes and marks: what was there and what was not can still be told apart, a list keeps its length and its order, and words
// of closed sets, times and measures stay. A fold that unites the elements of lists by what they hold (callstate) takes elements for
// one whose only difference was redacted: the numbers of a contact that two deliveries tell, or messages, recordings and transfers
// without an id. That is the price of not knowing them.
package redaction

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/mention"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// Mark stands where a text was removed.
	Mark = "[redacted]"
	// markJSON stands where a JSON text was.
	markJSON = `"` + Mark + `"`
)

// Policy tells which classes are removed. The zero value removes nothing and costs nothing.
type Policy struct {
	classes string // each once, in the order of groups, joined by commas, so that equal policies are equal
}

// NewPolicy returns a policy that removes the classes.
func NewPolicy(classes ...Class) (Policy, error) {
	var known, active []string
	for _, group := range groups {
		known = append(known, string(group.Class))
		if slices.Contains(classes, group.Class) {
			active = append(active, string(group.Class))
		}
	}
	for _, class := range classes {
		if !slices.Contains(known, string(class)) {
			return Policy{}, fmt.Errorf("there is no class %q to redact; there are %s", class, strings.Join(known, ", "))
		}
	}
	return Policy{classes: strings.Join(active, ",")}, nil
}

// Classes lists what the policy removes.
func (p Policy) Classes() []Class {
	var list []Class
	for class := range strings.SplitSeq(p.classes, ",") {
		if class != "" {
			list = append(list, Class(class))
		}
	}
	return list
}

// Apply removes from an outcome, in place, what the policy says. A text becomes Mark, a JSON text a JSON text of it, a value a text
// value, and of a telephone number only its place, its region and what was found out about its line are left. What is absent stays
// absent.
//
// Numbers, names and e-mail addresses that are removed from their own fields are removed wherever else they are mentioned, apart
// from the ids of the call and its provenance. mention.Finder tells in which spellings they are found. What no field of theirs
// holds is not known to be one: a number that was only said stays in the transcript unless that is removed.
//
// Unmapped fields may hold anything. Any class removes their values.
func (p Policy) Apply(call *callnormv1.CallOutcome) {
	if p.classes == "" {
		return
	}
	r := redactor{removed: make(map[Class]bool)}
	for _, class := range p.Classes() {
		r.removed[class] = true
	}
	r.walk(call.ProtoReflect(), r.remove)
	if !r.addresses.Empty() || !r.names.Empty() {
		r.walk(call.ProtoReflect(), r.mention)
	}
	for _, field := range call.GetProvenance().GetUnmapped() {
		if field.GetValueJson() != "" {
			field.ValueJson = markJSON
		}
	}
}

// redactor applies a policy to one outcome.
type redactor struct {
	removed map[Class]bool
	// addresses and names are what was removed, to be found elsewhere.
	addresses, names mention.Finder
}

// change returns what is to stand in the place of a text.
type change func(field protoreflect.FieldDescriptor, text string) string

// walk changes all texts of a message, its provenance apart.
func (r *redactor) walk(m protoreflect.Message, change change) {
	switch e := m.Interface().(type) {
	case *callnormv1.Value:
		r.walkValue(e, change)
		return
	case *callnormv1.Provenance:
		return
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Message() != nil && field.IsList():
			for list, i := value.List(), 0; i < list.Len(); i++ {
				r.walk(list.Get(i).Message(), change)
			}
		case field.Message() != nil:
			r.walk(value.Message(), change)
		case field.Kind() != protoreflect.StringKind:
		case field.IsList():
			for list, i := m.Mutable(field).List(), 0; i < list.Len(); i++ {
				list.Set(i, protoreflect.ValueOfString(change(field, list.Get(i).String())))
			}
		default:
			if changed := change(field, value.String()); changed != value.String() {
				m.Set(field, protoreflect.ValueOfString(changed))
			}
		}
		return true
	})
	if number, ok := m.Interface().(*callnormv1.PhoneNumber); ok && r.removed[Numbers] && number.GetE164() != "" {
		number.AsReceived, number.E164 = Mark, ""
	}
}

func (r *redactor) walkValue(v *callnormv1.Value, change change) {
	fields := v.ProtoReflect().Descriptor().Fields()
	switch kind := v.GetKind().(type) {
	case nil:
	case *callnormv1.Value_StringValue:
		kind.StringValue = change(fields.ByName("string_value"), kind.StringValue)
	case *callnormv1.Value_JsonValue:
		kind.JsonValue = change(fields.ByName("json_value"), kind.JsonValue)
	case *callnormv1.Value_NumberValue:
		text := strconv.FormatFloat(kind.NumberValue, 'f', -1, 64)
		if changed := change(fields.ByName("number_value"), text); changed != text {
			v.Kind = &callnormv1.Value_StringValue{StringValue: Mark}
		}
	}
	if r.removed[ExtractedFields] && v.GetKind() != nil {
		v.Kind = &callnormv1.Value_StringValue{StringValue: Mark}
	}
}

// remove is the change of a text that belongs to a class that is removed. It remembers what may be mentioned elsewhere.
func (r *redactor) remove(field protoreflect.FieldDescriptor, text string) string {
	class := classOf[field.FullName()]
	if !r.removed[class] || text == Mark {
		return text
	}
	switch class {
	case Numbers:
		r.rememberNumber(text)
	case Names:
		r.rememberName(text)
	}
	if isJSON(field) {
		return markJSON
	}
	return Mark
}

// rememberNumber remembers a telephone number, a SIP URI or what stood in the place of one. A word without digits, such as
// `anonymous`, is none.
func (r *redactor) rememberNumber(text string) {
	if _, ok := mention.Digits(text); ok {
		r.addresses.AddNumber(text)
		return
	}
	uri := strings.TrimSpace(text)
	for _, scheme := range []string{"sip:", "sips:", "tel:"} {
		uri = strings.TrimPrefix(uri, scheme)
	}
	uri, _, _ = strings.Cut(uri, ";")
	if countDigits(uri) >= minDigits || strings.Contains(uri, "@") && len(uri) >= minDigits {
		r.addresses.AddText(uri)
	}
	// What is left of a number that is part of something else: of a URI, or beside an extension.
	for number := range strings.FieldsFuncSeq(uri, func(c rune) bool { return c != '+' && c != ' ' && c != '-' && (c < '0' || c > '9') }) {
		if countDigits(number) >= minPart {
			r.addresses.AddNumber(number)
		}
	}
}

const (
	// minDigits is how many digits make a text that is partly masked, such as `+1415XXXXXXX`, worth finding.
	minDigits = 4
	// minPart is how many digits make a part of a text a number, and not a port or an extension.
	minPart = 7
)

func countDigits(text string) int {
	n := 0
	for _, c := range []byte(text) {
		if '0' <= c && c <= '9' {
			n++
		}
	}
	return n
}

// rememberName remembers a name, and the e-mail addresses that stand beside it or in its place, also as a form writes them.
func (r *redactor) rememberName(text string) {
	var name []string
	for word := range strings.FieldsSeq(text) {
		email := strings.Trim(word, `<>()[],;"'`)
		if local, domain, ok := strings.Cut(email, "@"); !ok || local == "" || domain == "" {
			name = append(name, word)
			continue
		}
		r.addresses.AddText(email)
		r.addresses.AddText(url.QueryEscape(email))
	}
	r.names.AddName(strings.Join(name, " "))
}

// mention is the change of a text in which something may be mentioned that was removed elsewhere.
func (r *redactor) mention(field protoreflect.FieldDescriptor, text string) string {
	class := classOf[field.FullName()]
	if r.removed[class] || class == identity {
		return text
	}
	finders := []*mention.Finder{&r.addresses}
	if class != words {
		finders = append(finders, &r.names)
	}
	return replace(text, isJSON(field), finders)
}

func isJSON(field protoreflect.FieldDescriptor) bool {
	return strings.HasSuffix(string(field.Name()), "_json")
}
