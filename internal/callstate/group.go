package callstate

import (
	"slices"
	"strings"
	"sync"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// bookkeeping names the fields that the fold as a whole decides, not one voice.
var bookkeeping = map[protoreflect.FullName]bool{
	"callnorm.v1.CallOutcome.name":           true,
	"callnorm.v1.CallOutcome.completeness":   true,
	"callnorm.v1.CallOutcome.revision":       true,
	"callnorm.v1.CallOutcome.revision_cause": true,
	"callnorm.v1.CallOutcome.revision_time":  true,
	"callnorm.v1.CallOutcome.after_final":    true,
	"callnorm.v1.CallOutcome.settle_time":    true,
	"callnorm.v1.CallOutcome.expected_parts": true,
	"callnorm.v1.CallOutcome.provenance":     true,
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
	"callnorm.v1.ToolCall":    true,
	"callnorm.v1.Meeting":     true,
	"callnorm.v1.Evaluation":  true,
}

// sequences names lists whose order says something: one voice's, with what another adds at its end, would be a way that nobody went.
var sequences = map[protoreflect.FullName]bool{
	"callnorm.v1.Agent.node_path": true,
}

// notices names the fields that tell of a notice and its way to us, not of the call. That they differ is no contradiction, nor that
// what was said was heard in two ways; to compare two long transcripts would take longer than all else.
var notices = map[protoreflect.FullName]bool{
	"callnorm.v1.CallOutcome.provider": true,
	"callnorm.v1.CallOutcome.source":   true,
	"callnorm.v1.CallOutcome.event":    true,

	"callnorm.v1.CallOutcome.transcript": true,
}

// These are the fields that most others of their messages explain.
const (
	lead     = "value"
	state    = "status_raw"
	judgment = "result"
)

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
	"callnorm.v1.Recording.expire_time":        "uri",
	"callnorm.v1.Recording.auth_required":      "uri",
	"callnorm.v1.Message.kind_raw":             "direction",
	"callnorm.v1.Message.sent":                 state,
	"callnorm.v1.ToolCall.result_json":         state,
	"callnorm.v1.ToolCall.error":               state,
	"callnorm.v1.Meeting.end_time":             "start_time",
	"callnorm.v1.Evaluation.value":             judgment,
	"callnorm.v1.Evaluation.score":             judgment,
	"callnorm.v1.Evaluation.rationale":         judgment,
	"callnorm.v1.Evaluation.evidence":          judgment,
	"callnorm.v1.Evaluation.evaluator":         judgment,
	"callnorm.v1.Evaluation.evaluate_time":     judgment,
}

// kind tells how a group is put together.
type kind int

const (
	chosen kind = iota // one voice's
	merged             // each part by itself
	united             // a union of lists
)

// group is one fact: a leading field and those that move with it.
type group struct {
	name    string
	kind    kind
	lead    protoreflect.FieldDescriptor // nil where a message as a whole is the fact
	fields  []protoreflect.FieldDescriptor
	mapping protoreflect.FieldDescriptor
	notice  bool
}

// spoken tells whether a message says anything about the group. One that is a fact as a whole always does.
func (g *group) spoken(m protoreflect.Message) bool {
	return g.lead == nil || slices.ContainsFunc(g.fields, m.Has)
}

// told returns the statements that say something about the group.
func (g *group) told(statements []statement) []statement {
	var told []statement
	for i, s := range statements {
		if !g.spoken(s.m) {
			continue
		}
		if told == nil {
			told = make([]statement, 0, len(statements)-i)
		}
		told = append(told, s)
	}
	return told
}

// same tells whether two messages say the same about the group.
func (g *group) same(a, b protoreflect.Message) bool {
	if g.lead == nil {
		return proto.Equal(a.Interface(), b.Interface())
	}
	return !slices.ContainsFunc(g.fields, func(field protoreflect.FieldDescriptor) bool {
		told := a.Has(field)
		switch {
		case told != b.Has(field):
			return true
		case !told:
			return false
		case field.Message() != nil && !field.IsList(): // proto.Equal is faster than Value.Equal
			return !proto.Equal(a.Get(field).Message().Interface(), b.Get(field).Message().Interface())
		default:
			return !a.Get(field).Equal(b.Get(field))
		}
	})
}

// grade orders mappings by how much they can be relied on. A value without a mapping was sent as it is.
func (g *group) grade(m protoreflect.Message) int {
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

// facts are the groups of a message type.
type facts struct {
	groups      []group
	whole       group // the message as one fact
	completable bool
}

// known remembers the facts of each message type.
var known sync.Map // protoreflect.FullName to *facts

func factsOf(descriptor protoreflect.MessageDescriptor) *facts {
	if kept, ok := known.Load(descriptor.FullName()); ok {
		f, _ := kept.(*facts)
		return f
	}
	f := &facts{completable: completable[descriptor.FullName()]}
	places := make(map[protoreflect.Name]int) // of each leading field's group
	fields := descriptor.Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		f.whole.add(field)
		if bookkeeping[field.FullName()] {
			continue
		}
		lead := leadOf(field)
		at, ok := places[lead]
		if !ok {
			at = len(f.groups)
			places[lead] = at
			f.groups = append(f.groups, newGroup(fields.ByName(lead)))
		}
		f.groups[at].add(field)
	}
	known.Store(descriptor.FullName(), f)
	return f
}

func newGroup(lead protoreflect.FieldDescriptor) group {
	g := group{name: string(lead.Name()), lead: lead, notice: notices[lead.FullName()]}
	switch {
	case lead.IsList() && !sequences[lead.FullName()]:
		g.kind = united
	case !lead.IsList() && lead.Message() != nil && mergeable[lead.Message().FullName()]:
		g.kind = merged
	}
	return g
}

func (g *group) add(field protoreflect.FieldDescriptor) {
	g.fields = append(g.fields, field)
	if field.Enum() != nil && field.Enum().FullName() == "callnorm.v1.Mapping" {
		g.mapping = field
	}
}

// leadOf names the field that leads a field's group.
func leadOf(field protoreflect.FieldDescriptor) protoreflect.Name {
	if lead, ok := riders[field.FullName()]; ok {
		return lead
	}
	for _, suffix := range []string{"_raw", "_mapping"} {
		base, ok := strings.CutSuffix(string(field.Name()), suffix)
		if ok && field.ContainingMessage().Fields().ByName(protoreflect.Name(base)) != nil {
			return protoreflect.Name(base)
		}
	}
	return field.Name()
}
