// Package callstate puts together what several deliveries say about one call. It is pure: the result depends on the set of
// contributions alone, not on their order or repetition, because every choice is the maximum of a total order, every list is a
// union by identity, and how complete the whole is only grows with the set.
//
// Facts are chosen group by group: a value, its raw word and its mapping move as one, and so does everything else that would
// state what nobody said if it came from two mouths: a transcript, a cost, a recording's address and its expiry. Of several
// contributions that say something about a group, the one counts that comes first in this order:
//
//  1. a finished call never regresses: a status that tells of the end, before one of a call that goes on;
//  2. final over interim: the more complete contribution;
//  3. the later stage of the call, and for the whole duration the end of a transfer before all, for the transcript a corrected one;
//  4. read over derived;
//  5. told over untold: a value before a raw word without one;
//  6. the later event time, and any before none; where no time decides, what has a corrected transcript, which takes time;
//  7. the better mapping;
//  8. the hash of the body, so that something decides. Where it does, and the contributions say different things about the call,
//     the provenance holds a warning.
//
// Lists unite. Two elements are the same thing when they have the same id; where one of them has none, when all else that tells
// such things apart is equal. Within one contribution nothing is a repetition: what one tells twice is there twice, and the
// second of another is the same as that second one. Parts of an element that stand by themselves are chosen like any other group;
// elements whose parts do not, such as extracted fields, are chosen as a whole.
//
// The whole is PARTIAL, SETTLING or FINAL like its most complete contribution. A SETTLING one is FINAL when all has come that one
// of its SETTLING contributions expected, and nothing but contributions of a call that goes on speaks against it, or when a
// deadline has passed.
package callstate

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Fold returns what the contributions say together. Each is a deadline, or the outcome that one item of one delivery amounts to by
// itself, with that delivery as the only one in its provenance. The result is empty when no delivery is among them. It is a message
// of its own, but shares what is in it with the contributions.
func Fold(contributions []*callnormv1.CallOutcome) *callnormv1.CallOutcome {
	if len(contributions) == 1 && !isDeadline(contributions[0]) {
		result := &callnormv1.CallOutcome{}
		share(result, contributions[0])
		return result
	}
	f := listen(contributions)
	if len(f.voices) == 0 {
		return &callnormv1.CallOutcome{}
	}
	result := &callnormv1.CallOutcome{}
	if len(f.voices) == 1 {
		share(result, f.voices[0].call)
		f.settle(result)
		return result
	}
	slices.SortFunc(f.voices, func(a, b *voice) int { return b.compare(a) })
	statements := make([]statement, len(f.voices))
	for i, v := range f.voices {
		statements[i] = statement{by: i, m: v.call.ProtoReflect()}
	}
	f.merge(result.ProtoReflect(), statements, place{})
	f.continueTranscript(result)
	slices.Sort(result.GetPresentParts())
	f.conclude(result)
	f.settle(result)
	result.Provenance = f.provenance()
	return Bound(result)
}

// share sets the fields of a message to those of another, without copying what is in them. Generated messages must not be copied
// as a whole, and their own reflection takes ten times as long.
func share[M any](target, source *M) {
	to, from := reflect.ValueOf(target).Elem(), reflect.ValueOf(source).Elem()
	for i := range to.NumField() {
		if field := from.Field(i); to.Field(i).CanSet() && !field.IsZero() {
			to.Field(i).Set(field)
		}
	}
}

// folder merges the contributions, the strongest first.
type folder struct {
	voices         []*voice
	settled        bool              // nothing is waited for any more
	sources        map[string]string // path to delivery
	derived        []string
	contradictions []string // paths
}

// listen tells deadlines from voices, and drops repetitions of one item of one delivery.
func listen(contributions []*callnormv1.CallOutcome) *folder {
	type origin struct {
		delivery string
		item     int32
	}
	f := &folder{voices: make([]*voice, 0, len(contributions)), sources: make(map[string]string)}
	heard := make(map[origin]bool, len(contributions))
	for _, call := range contributions {
		if isDeadline(call) {
			f.settled = true
			continue
		}
		v := newVoice(call)
		if v.ref != nil {
			from := origin{v.ref.GetDelivery(), v.ref.GetItem()}
			if heard[from] {
				continue
			}
			heard[from] = true
		}
		f.voices = append(f.voices, v)
	}
	return f
}

// statement is what one voice says: its contribution, a part of it, or an element of one of its lists.
type statement struct {
	by int // place among the voices
	m  protoreflect.Message
}

// place is where in the outcome a message stands.
type place struct {
	prefix string // of the paths of its fields
	listed bool   // within a list: where its parts come from has no path
}

// merge sets each group of target from the statement that speaks best about it.
func (f *folder) merge(target protoreflect.Message, statements []statement, at place) {
	facts := factsOf(target.Descriptor())
	for i := range facts.groups {
		g := &facts.groups[i]
		if g.kind == chosen {
			f.choose(target, statements, g, place{prefix: at.prefix + g.name, listed: at.listed})
			continue
		}
		told := g.told(statements)
		switch {
		case len(told) == 0:
		case g.kind == united:
			f.unite(target.Mutable(g.lead).List(), told, g.lead, place{prefix: at.prefix + g.name, listed: at.listed})
		default:
			for j := range told {
				told[j].m = told[j].m.Get(g.lead).Message()
			}
			f.merge(target.Mutable(g.lead).Message(), told, place{prefix: at.prefix + g.name + ".", listed: at.listed})
		}
	}
}

func (f *folder) choose(target protoreflect.Message, statements []statement, g *group, at place) {
	first := slices.IndexFunc(statements, func(s statement) bool { return g.spoken(s.m) })
	if first < 0 {
		return
	}
	best := f.best(statements[first:], g, at.prefix)
	for _, field := range g.fields {
		if best.m.Has(field) {
			target.Set(field, best.m.Get(field))
		}
	}
	f.derive(best.by, at.prefix)
	f.credit(best.by, at)
}

// best returns the statement that speaks best about a group, of which the first one does speak, and notes when only the hash of
// its body made it so.
func (f *folder) best(statements []statement, g *group, path string) statement {
	best, contradicted := statements[0], false
	for _, s := range statements[1:] {
		if f.beaten(s, best, g, path) {
			break
		}
		if !g.spoken(s.m) {
			continue
		}
		c := f.compare(s, best, g, path)
		switch {
		case c > 0:
			best, contradicted = s, false
		case c == 0 && !contradicted && !g.notice:
			contradicted = !g.same(s.m, best.m)
		}
	}
	if contradicted {
		f.contradictions = append(f.contradictions, path)
	}
	return best
}

// beaten tells whether neither a statement nor any weaker one after it can speak better about a group, or as well.
func (f *folder) beaten(s, best statement, g *group, path string) bool {
	v, w := f.voices[s.by], f.voices[best.by]
	if ownStage[path] {
		return false // they are not in the order of the voices
	}
	if c := w.compareStage(v); c != 0 {
		return c > 0
	}
	return w.compareTime(v) > 0 && !w.derives(path) && (g.lead == nil || best.m.Has(g.lead))
}

// compare orders statements about a group. What it leaves undecided, the order of the voices decides, which goes by stage, event
// time and hash.
func (f *folder) compare(a, b statement, g *group, path string) int {
	v, w := f.voices[a.by], f.voices[b.by]
	if c := v.compareStageOf(path, w); c != 0 {
		return c
	}
	if c := compareBool(!v.derives(path), !w.derives(path)); c != 0 {
		return c
	}
	if g.lead != nil {
		if c := compareBool(a.m.Has(g.lead), b.m.Has(g.lead)); c != 0 {
			return c
		}
	}
	if c := v.compareTime(w); c != 0 {
		return c
	}
	return cmp.Compare(g.grade(a.m), g.grade(b.m))
}

// credit notes which delivery a field comes from.
func (f *folder) credit(by int, at place) {
	if !at.listed {
		f.sources[at.prefix] = f.voices[by].ref.GetDelivery()
	}
}

// derive notes what of a path, or below it, a voice only derived.
func (f *folder) derive(by int, path string) {
	for _, field := range f.voices[by].derived {
		if field == path || below(field, path) {
			f.derived = append(f.derived, field)
		}
	}
}

func below(path, parent string) bool {
	return len(path) > len(parent) && path[len(parent)] == '.' && strings.HasPrefix(path, parent)
}

// continueTranscript puts what was said in a later part of the call behind the transcript of the part before, unless that has it.
func (f *folder) continueTranscript(result *callnormv1.CallOutcome) {
	first := result.GetTranscript()
	if first == nil || first.GetContinuation() {
		return
	}
	for _, v := range f.voices {
		later := v.call.GetTranscript()
		if !later.GetContinuation() || strings.Contains(first.GetSource(), later.GetSource()) {
			continue
		}
		whole := &callnormv1.Transcript{}
		share(whole, first)
		whole.Source = first.GetSource() + ", " + later.GetSource()
		whole.Turns = slices.Concat(first.GetTurns(), later.GetTurns())
		result.Transcript = whole
		return
	}
}

// conclude works out how complete the whole is: what was expected and has come is expected no more.
func (f *folder) conclude(result *callnormv1.CallOutcome) {
	here := result.GetPresentParts()
	strongest := f.voices[0].call
	result.Completeness = strongest.GetCompleteness()
	for _, part := range strongest.GetExpectedParts() {
		if !slices.Contains(here, part) {
			result.ExpectedParts = append(result.ExpectedParts, part)
		}
	}
	// Any one that has got all it expected will do, not only the strongest: otherwise a later one could take FINAL back.
	over := slices.ContainsFunc(f.voices, func(v *voice) bool { return v.over })
	satisfied := slices.ContainsFunc(f.voices, func(v *voice) bool {
		expected := v.call.GetExpectedParts()
		return v.call.GetCompleteness() == callnormv1.Completeness_COMPLETENESS_SETTLING && len(expected) > 0 &&
			!slices.ContainsFunc(expected, func(part callnormv1.Part) bool { return !slices.Contains(here, part) })
	})
	f.settled = f.settled || over && satisfied
}

// settle ends the waiting of a whole that has waited long enough.
func (f *folder) settle(result *callnormv1.CallOutcome) {
	if f.settled && result.GetCompleteness() == callnormv1.Completeness_COMPLETENESS_SETTLING {
		result.Completeness, result.ExpectedParts = callnormv1.Completeness_COMPLETENESS_FINAL, nil
	}
}

func (f *folder) provenance() *callnormv1.Provenance {
	type warning struct {
		kind          callnormv1.WarningKind
		path, message string
	}
	type unmapped struct{ path, value string }
	strongest := f.voices[0].call.GetProvenance()
	p := &callnormv1.Provenance{
		Adapter: strongest.GetAdapter(), AdapterVersion: strongest.GetAdapterVersion(),
		FieldSources: f.sources, DerivedFields: sorted(f.derived),
	}
	warned, kept := make(map[warning]bool), make(map[unmapped]bool)
	unlisted := int32(0)
	for _, v := range f.voices {
		from := v.call.GetProvenance()
		p.Deliveries = append(p.Deliveries, from.GetDeliveries()...)
		p.RedactedClasses = append(p.RedactedClasses, from.GetRedactedClasses()...)
		for _, w := range from.GetWarnings() {
			if id := (warning{w.GetKind(), w.GetPath(), w.GetMessage()}); !warned[id] {
				warned[id] = true
				p.Warnings = append(p.Warnings, w)
			}
		}
		for _, field := range from.GetUnmapped() {
			if id := (unmapped{field.GetPath(), field.GetValueJson()}); !kept[id] {
				kept[id] = true
				p.Unmapped = append(p.Unmapped, field)
			}
		}
		unlisted = max(unlisted, from.GetUnmappedCount()-int32(len(from.GetUnmapped())))
	}
	p.RedactedClasses = sorted(p.GetRedactedClasses())
	for _, path := range sorted(f.contradictions) {
		p.Warnings = append(p.Warnings, &callnormv1.Warning{
			Kind: callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, Path: path,
			Message: "deliveries of equal standing disagree, and nothing but the hash of a body decided between them",
		})
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

// sorted returns each text once, in order.
func sorted(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}
