package callstate

import (
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// MaxSize bounds an encoded outcome in bytes. A gRPC client takes messages of up to 4 MiB by default, and one that is larger would
// stop its stream at that cursor for ever.
const MaxSize = 1 << 20

// room is left for what the store adds: name, revision and times.
const room = 1 << 10

// Bound returns an outcome that is at most MaxSize when encoded. Where it has to leave something out, it takes the largest field,
// halves lists and texts that somebody said, clears anything else, and says so in a warning; the delivery holds all.
func Bound(call *callnormv1.CallOutcome) *callnormv1.CallOutcome {
	if proto.Size(call) <= MaxSize-room {
		return call
	}
	call, _ = proto.Clone(call).(*callnormv1.CallOutcome)
	if call.GetProvenance() == nil {
		call.Provenance = &callnormv1.Provenance{}
	}
	warned := make(map[string]bool)
	for proto.Size(call) > MaxSize-room {
		path := shrink(call.ProtoReflect(), "")
		if path == "" {
			break // Nothing is left that could be left out.
		}
		if strings.HasPrefix(path, "transcript.") {
			call.Transcript.Truncated = true
		}
		if !warned[path] {
			warned[path] = true
			call.Provenance.Warnings = append(call.Provenance.Warnings, &callnormv1.Warning{
				Kind: callnormv1.WarningKind_WARNING_KIND_TRUNCATED, Path: path,
				Message: "left out in part or in whole because of its size; the delivery holds all",
			})
		}
	}
	return call
}

// Marshal encodes an outcome that is at most MaxSize when encoded, and returns it with its encoding: the given one, or one that Bound
// has made of it.
func Marshal(call *callnormv1.CallOutcome) (*callnormv1.CallOutcome, []byte, error) {
	body, err := proto.Marshal(call)
	if err != nil || len(body) <= MaxSize-room {
		return call, body, err
	}
	call = Bound(call)
	body, err = proto.Marshal(call)
	return call, body, err
}

// shrink makes the largest field of a message smaller and returns its path, or "" when there is none.
func shrink(m protoreflect.Message, path string) string {
	var largest protoreflect.FieldDescriptor
	most := 0
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		size := sizeOf(field, value)
		if size > most || size == most && largest != nil && field.Number() < largest.Number() { // the order of Range is undefined
			largest, most = field, size
		}
		return true
	})
	if largest == nil {
		return ""
	}
	path += string(largest.Name())
	switch {
	case largest.IsList() && m.Get(largest).List().Len() > 1:
		list := m.Mutable(largest).List()
		list.Truncate(list.Len() / 2)
	case largest.IsList() && largest.Message() != nil:
		return shrink(m.Mutable(largest).List().Get(0).Message(), path+".")
	case !largest.IsList() && !largest.IsMap() && largest.Message() != nil:
		return shrink(m.Mutable(largest).Message(), path+".")
	case largest.Name() == "text":
		// The beginning of what was said is better than nothing. Half a JSON text or half an address is not.
		m.Set(largest, protoreflect.ValueOfString(half(m.Get(largest).String())))
	default:
		m.Clear(largest)
	}
	return path
}

func sizeOf(field protoreflect.FieldDescriptor, value protoreflect.Value) int {
	switch {
	case field.IsMap():
		size := 0
		value.Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
			size += len(key.String()) + len(value.String())
			return true
		})
		return size
	case field.IsList():
		size := 0
		for i := range value.List().Len() {
			if element := value.List().Get(i); field.Message() != nil {
				size += proto.Size(element.Message().Interface())
			} else {
				size += len(element.String())
			}
		}
		return size
	case field.Message() != nil:
		return proto.Size(value.Message().Interface())
	default:
		return len(value.String())
	}
}

func half(text string) string { return strings.ToValidUTF8(text[:len(text)/2], "") }
