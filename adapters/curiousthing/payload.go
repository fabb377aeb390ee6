package curiousthing

import (
	"time"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// item is one event of a batch. Since the order of members is free, all members of all events are read in one go, and what
// they mean is decided afterwards.
type item struct {
	path      string
	notes     *wire.Notes
	eventID   field
	eventType field
	createdAt *timestamppb.Timestamp
	// fields holds the members of the event itself, whether they stand in an envelope's `data` or bare.
	fields         [18]field // there are no more names than that
	count          int
	started, time  *timestamppb.Timestamp
	answers        []answer
	humanRequested bool
	*parts
}

// parts are of the outcome, made at once.
type parts struct {
	call     callnormv1.CallOutcome
	contact  callnormv1.Contact
	phones   [1]*callnormv1.PhoneNumber
	campaign callnormv1.Campaign
	agent    callnormv1.Agent
	steps    [1]string // of the agent
	endpoint callnormv1.Endpoint
	related  [2]callnormv1.ExternalId
	list     [2]*callnormv1.ExternalId
}

// field is a member, and what the paths of it and those beside it begin with. Lists have no text. One that stands in the event itself is
// there as it was sent, too: it gives way to one in `data`.
type field struct {
	name, text, prefix string
	bare               jsontext.Value
}

func (f field) path() string { return f.prefix + f.name }

// answer is one entry of `flow`: a question, the provider's class for the answer, and the customer's words.
type answer struct{ question, class, words string }

func (it *item) read(r *wire.Reader) {
	prefix := r.Prefix()
	for name := range r.Members() {
		switch name {
		case "id":
			it.eventID = field{name: name, text: r.Text(), prefix: prefix}
		case "eventType":
			it.eventType = field{name: name, text: r.Word(), prefix: prefix}
		case "createdAt":
			it.createdAt = r.Time(false)
		case "data":
			inside := r.Prefix()
			for name := range r.Members() {
				it.member(r, field{name: name, prefix: inside})
			}
		default:
			f := field{name: name, prefix: prefix}
			r.Peek(func(r *wire.Reader) { f.bare = r.Raw() })
			it.member(r, f)
		}
	}
}

// member reads one member of an event. What stands both in `data` and beside it is read from there; the other is kept as unmapped.
func (it *item) member(r *wire.Reader, f field) {
	known := it.place(f.name)
	if known < it.count && (it.fields[known].bare == nil || f.bare != nil) {
		return
	}
	switch f.name {
	case "correlationId", "sessionId", "callResultId", "campaignId", "name", "phone", "from", "to", "message":
		f.text = r.Text()
	case "status", "type", "note", "additionalInformation", "lastStepName":
		f.text = r.Word()
	case "startedTime":
		it.started = r.Time(false)
	case "time":
		if it.time = r.Time(false); it.time != nil {
			f.text = it.time.AsTime().Format(time.RFC3339Nano)
		}
	case "flow":
		it.readFlow(r)
	case "requests":
		it.readRequests(r)
	default:
		return
	}
	if known == it.count {
		it.count++
	} else {
		it.notes.Unmapped(it.fields[known].path(), it.fields[known].bare)
	}
	it.fields[known] = f
}

func (it *item) readFlow(r *wire.Reader) {
	const usual = 8
	it.answers = make([]answer, 0, usual)
	for range r.Elements() {
		var a answer
		for name := range r.Members() {
			switch name {
			case "questionName":
				a.question = r.Word()
			case "response":
				a.class = r.Word()
			case "transcript":
				a.words = r.Text()
			}
		}
		it.answers = append(it.answers, a)
	}
}

// readRequests reads what the customer asked for on the call: a list of words, or one without a list around it. The
// documentation shows one word.
func (it *item) readRequests(r *wire.Reader) {
	it.humanRequested = false
	if r.Kind() == '"' {
		it.readRequest(r)
		return
	}
	for range r.Elements() {
		it.readRequest(r)
	}
}

func (it *item) readRequest(r *wire.Reader) {
	path := r.Path()
	switch text := r.Text(); squash(text) {
	case "humansupportrequest":
		it.humanRequested = true
	case "":
	default:
		it.notes.UnmappedText(path, text)
	}
}

// place returns where a member is, or would be.
func (it *item) place(name string) int {
	for i := range it.fields[:it.count] {
		if it.fields[i].name == name {
			return i
		}
	}
	return it.count
}

func (it *item) has(name string) bool { return it.place(name) < it.count }

// field returns a member. One that is not there has no text.
func (it *item) field(name string) field {
	if at := it.place(name); at < it.count {
		return it.fields[at]
	}
	return field{}
}

func (it *item) text(name string) string { return it.field(name).text }

// id returns the text of an id, unless a placeholder stands in its place.
func (it *item) id(f field) string {
	return it.notes.UsableAt(f.path, f.text)
}

// leave keeps members that mean nothing in this kind of event.
func (it *item) leave(names ...string) {
	for _, name := range names {
		if f := it.field(name); f.text != "" {
			it.notes.UnmappedText(f.path(), f.text)
		}
	}
}
