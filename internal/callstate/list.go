package callstate

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// unite fills a list with the union of the lists that were told, those of the strongest voice first.
func (f *folder) unite(union protoreflect.List, told []statement, field protoreflect.FieldDescriptor, at place) {
	f.credit(told[0].by, at)
	if field.Message() == nil {
		for _, t := range thingsOf(told, field) {
			union.Append(t.value)
		}
		return
	}
	facts := factsOf(field.Message())
	for _, t := range thingsOf(told, field) {
		if !slices.ContainsFunc(t.told, func(s statement) bool { return !f.voices[s.by].derives(at.prefix) }) {
			f.derived = append(f.derived, at.prefix)
		}
		switch {
		case len(t.told) > 1 && facts.completable:
			element := union.NewElement()
			f.merge(element.Message(), t.told, place{prefix: at.prefix + ".", listed: true})
			union.Append(element)
		default:
			best := f.best(t.told, &facts.whole, at.prefix)
			f.derive(best.by, at.prefix)
			union.Append(protoreflect.ValueOfMessage(best.m))
		}
	}
}

// thing is one element of the union.
type thing struct {
	value protoreflect.Value // as its strongest voice tells it
	told  []statement        // each voice's, where elements are messages
	hasID bool
	key   string
}

// thingsOf tells which elements of the lists are the same thing, and returns the things in the order in which they are first told.
func thingsOf(told []statement, field protoreflect.FieldDescriptor) []thing {
	var things []thing
	places := make(map[string]int) // identity to place
	times := make(map[string]int)  // how often one contribution tells it
	withID := 0
	for _, s := range told {
		list := s.m.Get(field).List()
		clear(times)
		for j := range list.Len() {
			value := list.Get(j)
			id, key := identify(field, value)
			name := "key " + key
			if id != "" {
				name = "id " + id
			}
			if times[name]++; times[name] > 1 {
				name = strconv.Itoa(times[name]) + " " + name
			}
			at, known := places[name]
			if !known {
				at = len(things)
				places[name] = at
				things = append(things, thing{value: value, hasID: id != "", key: key})
				if id != "" {
					withID++
				}
			}
			if field.Message() != nil {
				things[at].told = append(things[at].told, statement{s.by, value.Message()})
			}
		}
	}
	if withID > 0 && withID < len(things) {
		things = pair(things)
	}
	if field.Message() != nil && field.Message().FullName() == "callnorm.v1.Transfer" {
		things = absorb(things)
	}
	return things
}

// pair puts things without an id together with those with one that are the same in all else that tells them apart: the first of
// several with the first, and never two that one contribution tells of.
func pair(things []thing) []thing {
	named := make(map[string][]int)
	for i, t := range things {
		if t.hasID {
			named[t.key] = append(named[t.key], i)
		}
	}
	paired := make([]bool, len(things))
	for i := range things {
		t := &things[i]
		if t.hasID || len(named[t.key]) == 0 {
			continue
		}
		twin := named[t.key][0]
		named[t.key] = named[t.key][1:]
		both := together(t.told, things[twin].told)
		if len(both) < len(t.told)+len(things[twin].told) {
			continue
		}
		first, second := min(i, twin), max(i, twin)
		things[first].told = both
		paired[second] = true
	}
	return without(things, paired)
}

// absorb puts transfers that were only inferred, and name neither a kind nor a target, together with the one that is named.
func absorb(things []thing) []thing {
	nameless := make([]bool, len(things))
	var named []int
	var inferred []statement
	for i, t := range things {
		if t.key == "" {
			nameless[i] = true
			inferred = together(inferred, t.told)
		} else {
			named = append(named, i)
		}
	}
	if len(named) == 0 || len(inferred) == 0 {
		return things
	}
	if len(named) == 1 {
		t := &things[named[0]]
		t.told = together(t.told, inferred)
	}
	return without(things, nameless)
}

// together returns statements about one thing, the strongest voice's first and one of each. A voice that makes two is heard in the
// first list.
func together(a, b []statement) []statement {
	both := slices.Concat(a, b)
	slices.SortStableFunc(both, func(a, b statement) int { return a.by - b.by })
	return slices.CompactFunc(both, func(a, b statement) bool { return a.by == b.by })
}

func without(things []thing, gone []bool) []thing {
	kept := things[:0]
	for i, t := range things {
		if !gone[i] {
			kept = append(kept, t)
		}
	}
	return kept
}

// identify tells which elements of a list are the same thing: by the id that the provider gave, or else by what tells such
// things apart.
func identify(field protoreflect.FieldDescriptor, value protoreflect.Value) (id, key string) {
	if field.Message() == nil {
		return "", value.String()
	}
	switch e := value.Message().Interface().(type) {
	case *callnormv1.ExternalId:
		key = join(e.GetSystem(), e.GetId())
	case *callnormv1.NamedValue:
		key = e.GetName()
	case *callnormv1.PhoneNumber:
		key = e.GetAsReceived()
	case *callnormv1.ExtractedField:
		key = join(e.GetSource(), e.GetGroupId(), e.GetName())
	case *callnormv1.Evaluation:
		id, key = e.GetId(), e.GetCriterion()
	case *callnormv1.Recording:
		id, key = e.GetId(), e.GetUri()
	case *callnormv1.ToolCall:
		// Some ids are those of the tool, which may be used more than once.
		start := moment(e.GetStartTime())
		if e.GetId() != "" {
			id = join(e.GetId(), start)
		}
		key = join(e.GetTool(), start, e.GetArgumentsJson())
	case *callnormv1.Message:
		id, key = e.GetId(), join(e.GetSender().GetAsReceived(), e.GetRecipient().GetAsReceived(), e.GetText())
	case *callnormv1.Meeting:
		id, key = e.GetId(), join(moment(e.GetStartTime()), e.GetEmail())
	case *callnormv1.Transfer:
		// Not every notice of a transfer tells its kind. What nothing names was inferred.
		key = join(e.GetTarget().GetPhone().GetAsReceived(), e.GetTarget().GetSipUri(), e.GetTargetName())
		return "", cmp.Or(key, e.GetKindRaw())
	case *callnormv1.Participant:
		id, key = e.GetId(), join(e.GetRoleRaw(), e.GetDisplayName())
	case *callnormv1.CallLeg:
		id, key = e.GetId(), e.GetKindRaw()
	}
	if key == "" {
		raw, _ := proto.MarshalOptions{Deterministic: true}.Marshal(value.Message().Interface()) // it was unmarshalled from valid bytes
		key = string(raw)
	}
	return id, key
}

// join returns what the parts say together, or nothing when none says anything.
func join(parts ...string) string {
	return strings.TrimRight(strings.Join(parts, "\x00"), "\x00")
}

func moment(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return strconv.FormatInt(t.GetSeconds(), 10) + "." + strconv.Itoa(int(t.GetNanos()))
}
