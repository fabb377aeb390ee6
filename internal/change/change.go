// Package change tells what became different between two revisions of an outcome.
package change

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Change is one value that is not what it was.
type Change struct {
	// Path leads to the value: field names of the contract joined by dots, the place in a list or the quoted key of a map in brackets, such
	// as `transcript.turns[3].text` or `provenance.field_sources["status"]`. A place counts in the list as it is after, but that of an
	// element which is gone counts in the list as it was before.
	Path string
	// Before and After hold the value in JSON, as the contract spells it with the field names of Path, without blanks; each is empty where
	// there was no value. What JSON cannot spell, such as a time in the year 10000, is there as the base64 of its encoding.
	Before, After string
}

// Bookkeeping lists the fields that every revision changes.
var Bookkeeping = []string{"revision", "revision_time"}

// Between returns what has to be changed in the one to get the other, in the order of the contract's fields, but for some of the
// outcome's own fields. Messages that are on both sides are compared field by field; of what is on one side only, a message or an element
// is one change as a whole. An element that only moved, because others came or went before it, is no change.
//
// Fields that this version of the contract does not know are not compared.
func Between(before, after *callnormv1.CallOutcome, except ...string) []Change {
	c := comparison{cells: maxCells}
	c.message("", before.ProtoReflect(), after.ProtoReflect(), except)
	return c.changes
}

// comparison collects changes.
type comparison struct {
	changes []Change
	cells   int // that may still be spent on aligning lists
}

func (c *comparison) message(path string, before, after protoreflect.Message, except []string) {
	fields := before.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if !before.Has(field) && !after.Has(field) || slices.Contains(except, string(field.Name())) {
			continue
		}
		at := path + string(field.Name())
		switch {
		case field.IsList():
			c.list(at, field, before, after)
		case field.IsMap():
			c.entries(at, field, before, after)
		case !before.Has(field):
			c.add(at, "", spell(after, field))
		case !after.Has(field):
			c.add(at, spell(before, field), "")
		case compound(field):
			c.message(at+".", before.Get(field).Message(), after.Get(field).Message(), nil)
		case !before.Get(field).Equal(after.Get(field)):
			c.add(at, spell(before, field), spell(after, field))
		}
	}
}

// list compares the elements that have no equal on the other side, those between the same equal ones by their place.
func (c *comparison) list(path string, field protoreflect.FieldDescriptor, before, after protoreflect.Message) {
	olds, news := before.Get(field).List(), after.Get(field).List()
	for _, gap := range c.align(numbered(field, olds, news)) {
		for i, j := gap.before, gap.after; i < gap.beforeEnd || j < gap.afterEnd; i, j = i+1, j+1 {
			switch {
			case i >= gap.beforeEnd:
				c.add(fmt.Sprintf("%s[%d]", path, j), "", spellElement(after, field, news.Get(j)))
			case j >= gap.afterEnd:
				c.add(fmt.Sprintf("%s[%d]", path, i), spellElement(before, field, olds.Get(i)), "")
			case compound(field):
				c.message(fmt.Sprintf("%s[%d].", path, j), olds.Get(i).Message(), news.Get(j).Message(), nil)
			case !olds.Get(i).Equal(news.Get(j)):
				c.add(fmt.Sprintf("%s[%d]", path, j), spellElement(before, field, olds.Get(i)), spellElement(after, field, news.Get(j)))
			}
		}
	}
}

func (c *comparison) entries(path string, field protoreflect.FieldDescriptor, before, after protoreflect.Message) {
	olds, news := before.Get(field).Map(), after.Get(field).Map()
	keys := make(map[string]protoreflect.MapKey)
	for _, entries := range []protoreflect.Map{olds, news} {
		entries.Range(func(key protoreflect.MapKey, _ protoreflect.Value) bool {
			keys[key.String()] = key
			return true
		})
	}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		key := keys[name]
		at := fmt.Sprintf("%s[%q]", path, name)
		switch {
		case !olds.Has(key):
			c.add(at, "", spellEntry(after, field, key))
		case !news.Has(key):
			c.add(at, spellEntry(before, field, key), "")
		case compound(field.MapValue()):
			c.message(at+".", olds.Get(key).Message(), news.Get(key).Message(), nil)
		case !olds.Get(key).Equal(news.Get(key)):
			c.add(at, spellEntry(before, field, key), spellEntry(after, field, key))
		}
	}
}

func (c *comparison) add(path, before, after string) {
	c.changes = append(c.changes, Change{path, before, after})
}

// compound tells whether a field's values are messages of fields that mean something by themselves. Times and durations are not.
func compound(field protoreflect.FieldDescriptor) bool {
	return field.Message() != nil && field.Message().ParentFile().Package() != "google.protobuf"
}

// spell returns the value of a field in JSON.
func spell(m protoreflect.Message, field protoreflect.FieldDescriptor) string {
	alone := m.Type().New()
	alone.Set(field, m.Get(field))
	var fields map[string]json.RawMessage
	return text(alone, &fields, func() json.RawMessage { return fields[string(field.Name())] })
}

func spellElement(m protoreflect.Message, field protoreflect.FieldDescriptor, element protoreflect.Value) string {
	alone := m.Type().New()
	alone.Mutable(field).List().Append(element)
	var fields map[string][]json.RawMessage
	return text(alone, &fields, func() json.RawMessage { return fields[string(field.Name())][0] })
}

func spellEntry(m protoreflect.Message, field protoreflect.FieldDescriptor, key protoreflect.MapKey) string {
	alone := m.Type().New()
	alone.Mutable(field).Map().Set(key, m.Get(field).Map().Get(key))
	var fields map[string]map[string]json.RawMessage
	return text(alone, &fields, func() json.RawMessage { return fields[string(field.Name())][key.String()] })
}

// text returns the JSON of the only value in a message, once its fields were read.
func text(alone protoreflect.Message, fields any, value func() json.RawMessage) string {
	whole, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(alone.Interface())
	if err == nil {
		err = json.Unmarshal(whole, fields)
	}
	var compact bytes.Buffer
	if err == nil {
		err = json.Compact(&compact, value()) // protojson puts blanks where it likes
	}
	if err != nil {
		encoded, _ := proto.MarshalOptions{Deterministic: true}.Marshal(alone.Interface())
		return `"` + base64.StdEncoding.EncodeToString(encoded) + `"`
	}
	return compact.String()
}
