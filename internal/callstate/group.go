package callstate

import (
	"slices"
	"strings"
	"sync"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// bookkeeping names the top-level fields that the fold as a whole decides, not one voice.
var bookkeeping = []string{
	"name", "completeness", "revision", "revision_cause", "revision_time", "after_final", "settle_time", "expected_parts", "provenance",
}

// mergeable names the messages that several deliveries fill in together. All others are facts of their own and move as one.
var mergeable = map[protoreflect.FullName]bool{
	"callnorm.v1.CallEnd":     true,
	"callnorm.v1.Disposition": true,
	"callnorm.v1.Endpoint":    true,
	"callnorm.v1.Contact":     true,
	"callnorm.v1.Agent":       true,
	"callnorm.v1.Campaign":    true,
	"callnorm.v1.Voicemail":   true,
	"callnorm.v1.Analysis":    true,
	"callnorm.v1.Quality":     true,
	"callnorm.v1.Compliance":  true,
}

// completable names the elements of lists whose parts stand by themselves. In others, such as an extracted field, a value of one
// voice beside a `collected` of another would state what nobody said.
var completable = map[protoreflect.FullName]bool{
	"callnorm.v1.Transfer":    true,
	"callnorm.v1.Message":     true,
	"callnorm.v1.Recording":   true,
	"callnorm.v1.CallLeg":     true,
	"callnorm.v1.Participant": true,
}

// lead is the field that the others of a message explain.
const lead = "value"

// riders names fields that explain another one and move with it. Fields called x_raw and x_mapping ride with x anyway.
var riders = map[protoreflect.FullName]protoreflect.Name{
	"callnorm.v1.CallOutcome.event_time":       "event",
	"callnorm.v1.CallEnd.detail":               "reason",
	"callnorm.v1.Disposition.raw":              lead,
	"callnorm.v1.Disposition.mapping":          lead,
	"callnorm.v1.Disposition.confidence":       lead,
	"callnorm.v1.Disposition.rationale":        lead,
	"callnorm.v1.Disposition.decided_by":       lead,
	"callnorm.v1.Disposition.goal_description": "goal",
	"callnorm.v1.Voicemail.message_text":       "message_left",
}

// group is one fact: a leading field and those that move with it.
type group struct {
	lead    protoreflect.FieldDescriptor
	fields  []protoreflect.FieldDescriptor
	mapping protoreflect.FieldDescriptor
}

// spoken tells whether a message says anything about the group.
func (g group) spoken(m protoreflect.Message) bool {
	return slices.ContainsFunc(g.fields, m.Has)
}

// grade orders mappings by how much they can be relied on. A value without a mapping was sent as it is.
func (g group) grade(m protoreflect.Message) int {
	if g.mapping == nil {
		return 0
	}
	switch callnormv1.Mapping(m.Get(g.mapping).Enum()) {
	case callnormv1.Mapping_MAPPING_EXACT:
		return 7
	case callnormv1.Mapping_MAPPING_PREFIX:
		return 6
	case callnormv1.Mapping_MAPPING_PROVIDER_CLASSIFIED:
		return 5
	case callnormv1.Mapping_MAPPING_LLM:
		return 4
	case callnormv1.Mapping_MAPPING_HEURISTIC:
		return 3
	case callnormv1.Mapping_MAPPING_DEFAULTED:
		return 2
	case callnormv1.Mapping_MAPPING_NONE:
		return 1
	default:
		return 0
	}
}

// known remembers the groups of each message type.
var known sync.Map // protoreflect.FullName to []group

func groupsOf(descriptor protoreflect.MessageDescriptor) []group {
	if groups, ok := known.Load(descriptor.FullName()); ok {
		list, _ := groups.([]group)
		return list
	}
	fields := descriptor.Fields()
	var list []group
	index := make(map[protoreflect.Name]int)
	leadOf := func(field protoreflect.FieldDescriptor) protoreflect.Name {
		if lead, ok := riders[field.FullName()]; ok {
			return lead
		}
		for _, suffix := range []string{"_raw", "_mapping"} {
			if base, ok := strings.CutSuffix(string(field.Name()), suffix); ok && fields.ByName(protoreflect.Name(base)) != nil {
				return protoreflect.Name(base)
			}
		}
		return field.Name()
	}
	for i := range fields.Len() {
		field := fields.Get(i)
		lead := leadOf(field)
		at, ok := index[lead]
		if !ok {
			at = len(list)
			index[lead] = at
			list = append(list, group{lead: fields.ByName(lead)})
		}
		list[at].fields = append(list[at].fields, field)
		if field.Enum() != nil && field.Enum().FullName() == "callnorm.v1.Mapping" {
			list[at].mapping = field
		}
	}
	known.Store(descriptor.FullName(), list)
	return list
}

// identity tells which elements of a list are the same thing told twice.
func identity(field protoreflect.FieldDescriptor, value protoreflect.Value) string {
	if field.Message() == nil {
		return value.String()
	}
	var parts []string
	switch e := value.Message().Interface().(type) {
	case *callnormv1.ExternalId:
		parts = []string{e.GetSystem(), e.GetId()}
	case *callnormv1.NamedValue:
		parts = []string{e.GetName()}
	case *callnormv1.PhoneNumber:
		parts = []string{e.GetAsReceived()}
	case *callnormv1.ExtractedField:
		parts = []string{e.GetSource(), e.GetGroupId(), e.GetName()}
	case *callnormv1.Evaluation:
		parts = []string{e.GetId(), e.GetCriterion()}
	case *callnormv1.Recording:
		parts = []string{e.GetId(), e.GetUri()}
	case *callnormv1.ToolCall:
		parts = []string{e.GetId(), e.GetTool(), e.GetStartTime().String(), e.GetArgumentsJson()}
	case *callnormv1.Message:
		parts = []string{e.GetId(), e.GetSender().GetAsReceived(), e.GetRecipient().GetAsReceived(), e.GetText()}
	case *callnormv1.Transfer:
		parts = []string{e.GetKindRaw(), e.GetTarget().GetPhone().GetAsReceived(), e.GetTarget().GetSipUri(), e.GetTargetName()}
	case *callnormv1.Participant:
		parts = []string{e.GetId(), e.GetRoleRaw()}
	case *callnormv1.CallLeg:
		parts = []string{e.GetId(), e.GetKindRaw()}
	default:
		raw, _ := proto.MarshalOptions{Deterministic: true}.Marshal(e) // it was unmarshalled from valid bytes
		parts = []string{string(raw)}
	}
	return strings.Join(parts, "\x00")
}
