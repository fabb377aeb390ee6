// Package callstate puts together what several deliveries say about one call. It is pure: the result depends on the set of
// contributions alone, not on their order or repetition, because every choice is the maximum of a total order and every
// list is a union by identity.
package callstate

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Fold returns what the contributions say together. Each is the outcome that one item of one delivery amounts to by itself,
// with that delivery as the only one in its provenance. The result shares memory with the contributions.
//
// Facts are chosen group by group: a value, its raw word and its mapping move as one. Of two contributions that say something
// about a group the better one counts: final over interim, then the later stage of the call, then read over derived, then the
// later event time, then the better mapping, then the hash of the body.
func Fold(contributions []*callnormv1.CallOutcome) *callnormv1.CallOutcome {
	contributions = distinct(contributions)
	if len(contributions) == 1 {
		return Bound(contributions[0])
	}
	f := folder{voices: make([]voice, len(contributions)), sources: make(map[string]string)}
	for i, call := range contributions {
		f.voices[i] = newVoice(call)
	}
	slices.SortFunc(f.voices, func(a, b voice) int { return b.compare(a) })
	messages := make([]protoreflect.Message, len(f.voices))
	for i, v := range f.voices {
		messages[i] = v.call.ProtoReflect()
	}
	result := &callnormv1.CallOutcome{}
	f.merge(result.ProtoReflect(), messages, "")
	f.settle(result)
	result.Provenance = f.provenance()
	return Bound(result)
}

// distinct drops repetitions of one item of one delivery.
func distinct(contributions []*callnormv1.CallOutcome) []*callnormv1.CallOutcome {
	if len(contributions) < 2 {
		return contributions
	}
	type place struct {
		delivery string
		item     int32
	}
	seen := make(map[place]bool)
	return slices.DeleteFunc(slices.Clone(contributions), func(call *callnormv1.CallOutcome) bool {
		refs := call.GetProvenance().GetDeliveries()
		if len(refs) == 0 {
			return false
		}
		at := place{refs[0].GetDelivery(), refs[0].GetItem()}
		repeated := seen[at]
		seen[at] = true
		return repeated
	})
}

// voice is one contribution with what decides how much its word counts.
type voice struct {
	call    *callnormv1.CallOutcome
	ref     *callnormv1.DeliveryRef
	stage   int
	derived map[string]bool
}

func newVoice(call *callnormv1.CallOutcome) voice {
	v := voice{call: call, stage: stages[call.GetEvent()]}
	if refs := call.GetProvenance().GetDeliveries(); len(refs) > 0 {
		v.ref = refs[0]
	}
	if fields := call.GetProvenance().GetDerivedFields(); len(fields) > 0 {
		v.derived = make(map[string]bool, len(fields))
		for _, field := range fields {
			v.derived[field] = true
		}
	}
	return v
}

// stages order the notices of one call where no event time does.
var stages = map[callnormv1.EventKind]int{
	callnormv1.EventKind_EVENT_KIND_CALL_SCHEDULED:   1,
	callnormv1.EventKind_EVENT_KIND_CALL_ATTEMPTED:   2,
	callnormv1.EventKind_EVENT_KIND_CALL_RECEIVED:    2,
	callnormv1.EventKind_EVENT_KIND_CALL_STARTED:     3,
	callnormv1.EventKind_EVENT_KIND_CALL_CONNECTED:   4,
	callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS:    5,
	callnormv1.EventKind_EVENT_KIND_CALL_TRANSFERRED: 6,
	callnormv1.EventKind_EVENT_KIND_CALL_ENDED:       7,
	callnormv1.EventKind_EVENT_KIND_TRANSFER_ENDED:   8,
	callnormv1.EventKind_EVENT_KIND_RECORDING_READY:  8,
	callnormv1.EventKind_EVENT_KIND_CALL_REPORTED:    9,
}

// compare orders whole contributions: how far the call had come, then when, then any order that does not depend on arrival.
func (v voice) compare(other voice) int {
	return cmp.Or(
		v.compareStage(other), v.compareTime(other),
		strings.Compare(v.ref.GetBodySha256(), other.ref.GetBodySha256()),
		strings.Compare(v.ref.GetDelivery(), other.ref.GetDelivery()),
		cmp.Compare(v.ref.GetItem(), other.ref.GetItem()),
	)
}

func (v voice) compareStage(other voice) int {
	return cmp.Or(
		cmp.Compare(v.call.GetCompleteness(), other.call.GetCompleteness()),
		cmp.Compare(v.stage, other.stage),
	)
}

// compareStageOf is compareStage, but for what only the end of a transfer can tell: a report on the agent's part of the call may
// have been made while the transferred part was still going on.
func (v voice) compareStageOf(path string, other voice) int {
	if path == "total_duration" && v.call.GetCompleteness() == other.call.GetCompleteness() {
		ended := callnormv1.EventKind_EVENT_KIND_TRANSFER_ENDED
		if c := cmp.Compare(present(v.call.GetEvent() == ended), present(other.call.GetEvent() == ended)); c != 0 {
			return c
		}
	}
	return v.compareStage(other)
}

func (v voice) compareTime(other voice) int {
	a, b := v.call.GetEventTime(), other.call.GetEventTime()
	if a == nil || b == nil {
		return cmp.Compare(present(a != nil), present(b != nil))
	}
	return a.AsTime().Compare(b.AsTime())
}

func present(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// folder merges the contributions, the strongest first.
type folder struct {
	voices  []voice
	sources map[string]string // path to delivery
	derived []string
}

// merge sets each group of target from the message that speaks best about it. Messages belong to the voices of the same place
// and are invalid where a voice says nothing.
func (f *folder) merge(target protoreflect.Message, messages []protoreflect.Message, path string) {
	for _, g := range groupsOf(target.Descriptor()) {
		name := string(g.lead.Name())
		if path == "" && slices.Contains(bookkeeping, name) {
			continue
		}
		switch {
		case g.lead.IsList():
			f.unite(target, messages, g.lead, path+name)
		case g.lead.Message() != nil && mergeable[g.lead.Message().FullName()]:
			inner := make([]protoreflect.Message, len(messages))
			told := false
			for i, m := range messages {
				if m != nil && m.Has(g.lead) {
					inner[i], told = m.Get(g.lead).Message(), true
				}
			}
			if told {
				f.merge(target.Mutable(g.lead).Message(), inner, path+name+".")
			}
		default:
			if best := f.best(messages, g, path+name); best >= 0 {
				for _, field := range g.fields {
					if messages[best].Has(field) {
						target.Set(field, messages[best].Get(field))
					}
				}
				f.credit(best, path+name)
			}
		}
	}
}

// best returns the place of the message that speaks best about a group, or -1. The voices come strongest first, so that only
// what the whole contribution's strength does not tell has to be looked at.
func (f *folder) best(messages []protoreflect.Message, g group, path string) int {
	best := -1
	for i, m := range messages {
		if m == nil || !g.spoken(m) {
			continue
		}
		if best < 0 || f.better(i, best, messages, g, path) {
			best = i
		}
	}
	return best
}

func (f *folder) better(i, best int, messages []protoreflect.Message, g group, path string) bool {
	a, b := f.voices[i], f.voices[best]
	return cmp.Or(
		a.compareStageOf(path, b),
		cmp.Compare(present(!a.derived[path]), present(!b.derived[path])),
		a.compareTime(b),
		cmp.Compare(g.grade(messages[i]), g.grade(messages[best])),
	) > 0
}

func (f *folder) credit(i int, path string) {
	for field := range f.voices[i].derived {
		if field == path || strings.HasPrefix(field, path+".") {
			f.derived = append(f.derived, field)
		}
	}
	if f.sources[path] == "" {
		f.sources[path] = f.voices[i].ref.GetDelivery()
	}
}

// unite sets a list to the union of the lists. Of two elements with one identity the stronger voice's is taken; where it is silent
// about a part that the weaker one tells, and the parts stand by themselves, it is completed.
func (f *folder) unite(target protoreflect.Message, messages []protoreflect.Message, field protoreflect.FieldDescriptor, path string) {
	seen := make(map[string]int) // identity to place
	for i, m := range messages {
		if m == nil || !m.Has(field) {
			continue
		}
		list := m.Get(field).List()
		told := make(map[string]int)
		for j := range list.Len() {
			id := identity(field, list.Get(j))
			at, known := seen[id]
			if !known {
				// Within one contribution nothing is a repetition: two equal turns were said twice.
				union := target.Mutable(field).List()
				if _, again := told[id]; !again {
					told[id] = union.Len()
				}
				union.Append(list.Get(j))
				continue
			}
			if field.Message() != nil && completable[field.Message().FullName()] {
				union := target.Mutable(field).List()
				union.Set(at, protoreflect.ValueOfMessage(completed(union.Get(at).Message(), list.Get(j).Message())))
			}
		}
		if len(told) > 0 {
			f.credit(i, path)
		}
		maps.Copy(seen, told)
	}
}

// completed returns an element with what a weaker twin tells beside it.
func completed(element, weaker protoreflect.Message) protoreflect.Message {
	fresh := false
	for _, g := range groupsOf(element.Descriptor()) {
		if g.spoken(element) || !g.spoken(weaker) {
			continue
		}
		if !fresh { // the element belongs to its contribution
			element, fresh = proto.Clone(element.Interface()).ProtoReflect(), true
		}
		for _, part := range g.fields {
			if weaker.Has(part) {
				element.Set(part, weaker.Get(part))
			}
		}
	}
	return element
}

// absorb puts a transfer that was only inferred, and names neither a kind nor a target, together with the one that is named.
func absorb(transfers []*callnormv1.Transfer) []*callnormv1.Transfer {
	var named, nameless []*callnormv1.Transfer
	for _, transfer := range transfers {
		if transfer.GetKindRaw() == "" && transfer.GetTarget() == nil && transfer.GetTargetName() == "" {
			nameless = append(nameless, transfer)
		} else {
			named = append(named, transfer)
		}
	}
	switch len(named) {
	case 0:
		return nameless
	case 1:
		for _, transfer := range nameless {
			named[0], _ = completed(named[0].ProtoReflect(), transfer.ProtoReflect()).Interface().(*callnormv1.Transfer)
		}
	}
	return named
}

// settle works out how complete the whole is: what was expected and has come is expected no more.
func (f *folder) settle(result *callnormv1.CallOutcome) {
	strongest := f.voices[0].call
	result.Completeness = strongest.GetCompleteness()
	slices.Sort(result.GetPresentParts())
	result.Transfers = absorb(result.GetTransfers())
	for _, part := range strongest.GetExpectedParts() {
		if !slices.Contains(result.GetPresentParts(), part) {
			result.ExpectedParts = append(result.ExpectedParts, part)
		}
	}
	if result.GetCompleteness() == callnormv1.Completeness_COMPLETENESS_SETTLING &&
		len(strongest.GetExpectedParts()) > 0 && len(result.GetExpectedParts()) == 0 && !open[result.GetStatus()] {
		result.Completeness = callnormv1.Completeness_COMPLETENESS_FINAL
	}
}

// open names the statuses of a call that is not over.
var open = map[callnormv1.CallStatus]bool{
	callnormv1.CallStatus_CALL_STATUS_QUEUED:      true,
	callnormv1.CallStatus_CALL_STATUS_INITIATED:   true,
	callnormv1.CallStatus_CALL_STATUS_RINGING:     true,
	callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS: true,
	callnormv1.CallStatus_CALL_STATUS_PAUSED:      true,
}

func (f *folder) provenance() *callnormv1.Provenance {
	strongest := f.voices[0].call.GetProvenance()
	p := &callnormv1.Provenance{
		Adapter: strongest.GetAdapter(), AdapterVersion: strongest.GetAdapterVersion(),
		FieldSources: f.sources, DerivedFields: f.derived,
	}
	slices.Sort(p.GetDerivedFields())
	p.DerivedFields = slices.Compact(p.GetDerivedFields())
	warned, kept := make(map[string]bool), make(map[string]bool)
	unlisted := int32(0)
	for _, v := range f.voices {
		from := v.call.GetProvenance()
		p.Deliveries = append(p.Deliveries, from.GetDeliveries()...)
		for _, warning := range from.GetWarnings() {
			if id := warning.GetKind().String() + warning.GetPath() + warning.GetMessage(); !warned[id] {
				warned[id] = true
				p.Warnings = append(p.Warnings, warning)
			}
		}
		for _, field := range from.GetUnmapped() {
			if id := field.GetPath() + "\x00" + field.GetValueJson(); !kept[id] {
				kept[id] = true
				p.Unmapped = append(p.Unmapped, field)
			}
		}
		unlisted = max(unlisted, from.GetUnmappedCount()-int32(len(from.GetUnmapped())))
	}
	p.UnmappedCount = int32(len(p.GetUnmapped())) + unlisted
	slices.SortFunc(p.GetDeliveries(), func(a, b *callnormv1.DeliveryRef) int {
		return cmp.Or(
			a.GetReceiveTime().AsTime().Compare(b.GetReceiveTime().AsTime()),
			strings.Compare(a.GetDelivery(), b.GetDelivery()),
			cmp.Compare(a.GetItem(), b.GetItem()),
		)
	})
	return p
}
