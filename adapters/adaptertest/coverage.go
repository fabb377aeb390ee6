package adaptertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/scenario"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Coverage returns a page that says for each field of an outcome where an adapter takes it from. It is found out and not written
// down: a place of the payload counts for a field when the field changes with it, in one of the adapter's scenarios.
func Coverage(tb testing.TB, adapter adapters.Adapter) []byte {
	tb.Helper()
	found := make(map[string]map[string]bool) // places by field
	all, named := everyField((&callnormv1.CallOutcome{}).ProtoReflect().Descriptor())
	cases, err := scenario.Of(adapter)
	if err != nil {
		tb.Fatal(err)
	}
	for _, c := range cases {
		document := documentOf(c.Delivery)
		before, err := adapters.Normalize(adapter, c.Delivery)
		if err != nil {
			continue
		}
		fields := told(before)
		chosen := names(before)
		for _, leaf := range document.leaves() {
			after, err := adapters.Normalize(adapter, document.without(leaf))
			if err != nil || len(after.Outcomes) != len(before.Outcomes) {
				continue
			}
			rest := told(after)
			for field, values := range fields {
				if slices.Equal(values, rest[field]) {
					continue
				}
				if found[field] == nil {
					found[field] = make(map[string]bool)
				}
				if named[field] {
					found[field][placeText(leaf.path, chosen)] = true
				} else {
					found[field][placeText(leaf.path, nil)] = true
				}
			}
		}
	}
	return coveragePage(adapter.Name(), all, found)
}

func coveragePage(adapter string, all []string, found map[string]map[string]bool) []byte {
	var page strings.Builder
	fmt.Fprintf(&page, "# %s: where each field comes from\n\n", adapter)
	page.WriteString("Made by `make generate` from the adapter and its cases: a place of the payload stands beside a field when the field\n" +
		"changes with it. `*` stands for any place of a list and for keys that the customer chooses. Fields with a twin `_raw` stand for both.\n\n")
	page.WriteString("| field | comes from |\n|---|---|\n")
	var missing []string
	for _, field := range all {
		if places := slices.Sorted(maps.Keys(found[field])); len(places) > 0 {
			fmt.Fprintf(&page, "| `%s` | `%s` |\n", field, strings.Join(places, "`, `"))
		} else {
			missing = append(missing, field)
		}
	}
	fmt.Fprintf(&page, "\nNot sent, or in no case: `%s`.\n", strings.Join(missing, "`, `"))
	return []byte(page.String())
}

// apart are the fields that the service sets, and those that tell of the making of an outcome.
var apart = []string{
	"name", "provider", "source", "revision", "revision_cause", "revision_time", "after_final", "provenance", "settle_time",
}

// whole are messages that stand for one value.
var whole = []protoreflect.FullName{
	"google.protobuf.Timestamp", "google.protobuf.Duration", "callnorm.v1.PhoneNumber", "callnorm.v1.Money", "callnorm.v1.Value",
}

// everyField returns the names of all fields of an outcome, those of messages in it with a dot between, and which of them stand
// in a message that has a name.
func everyField(outcome protoreflect.MessageDescriptor) (list []string, named map[string]bool) {
	named = make(map[string]bool)
	var walk func(m protoreflect.MessageDescriptor, prefix string)
	walk = func(m protoreflect.MessageDescriptor, prefix string) {
		for i := range m.Fields().Len() {
			field := m.Fields().Get(i)
			name := prefix + string(field.Name())
			if _, ok := twin(field); ok || prefix == "" && slices.Contains(apart, name) {
				continue
			}
			if field.Message() != nil && !slices.Contains(whole, field.Message().FullName()) {
				walk(field.Message(), name+".")
				continue
			}
			list = append(list, name)
			named[name] = prefix != "" && m.Fields().ByName("name") != nil
		}
	}
	walk(outcome, "")
	return list, named
}

// twin returns the field that another one says more of: the provider's word for it, or how that was found.
func twin(field protoreflect.FieldDescriptor) (string, bool) {
	name, fields := string(field.Name()), field.ContainingMessage().Fields()
	for _, end := range []string{"raw", "mapping"} {
		if name == end {
			return string(fields.Get(0).Name()), true
		}
		if base, ok := strings.CutSuffix(name, "_"+end); ok && fields.ByName(protoreflect.Name(base)) != nil {
			return base, true
		}
	}
	return "", false
}

// told returns what a result says, by the names of the fields.
func told(result adapters.Result) map[string][]string {
	fields := make(map[string][]string)
	for _, outcome := range result.Outcomes {
		tell(outcome.Call.ProtoReflect(), "", fields)
	}
	for _, values := range fields {
		slices.Sort(values) // another order is no other thing
	}
	return fields
}

func tell(m protoreflect.Message, prefix string, fields map[string][]string) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		name := prefix + string(field.Name())
		if prefix == "" && slices.Contains(apart, name) {
			return true
		}
		if base, ok := twin(field); ok {
			name = prefix + base
		}
		single := func(value protoreflect.Value) {
			switch message, isMessage := value.Interface().(protoreflect.Message); {
			case !isMessage:
				fields[name] = append(fields[name], value.String())
			case slices.Contains(whole, field.Message().FullName()):
				text, _ := proto.MarshalOptions{Deterministic: true}.Marshal(message.Interface())
				fields[name] = append(fields[name], string(text))
			default:
				tell(message, name+".", fields)
			}
		}
		if field.IsList() {
			for i := range value.List().Len() {
				single(value.List().Get(i))
			}
		} else {
			single(value)
		}
		return true
	})
}

// names returns what in a result is named by a key that somebody chose.
func names(result adapters.Result) map[string]bool {
	found := make(map[string]bool)
	var walk func(m protoreflect.Message)
	walk = func(m protoreflect.Message) {
		m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
			switch {
			case field.Name() == "name" && field.Kind() == protoreflect.StringKind:
				found[value.String()] = true
			case field.Message() == nil:
			case field.IsList():
				for i := range value.List().Len() {
					walk(value.List().Get(i).Message())
				}
			default:
				walk(value.Message())
			}
			return true
		})
	}
	for _, outcome := range result.Outcomes {
		walk(outcome.Call.ProtoReflect())
	}
	return found
}

func placeText(path []string, chosen map[string]bool) string {
	text := slices.Clone(path)
	for i, part := range text {
		if chosen[part] {
			text[i] = "*"
		}
	}
	return strings.ReplaceAll(strings.Join(text, "."), "|", `\|`)
}
