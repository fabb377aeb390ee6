package vapi

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// report is what one message, or one record of the API, tells about a call.
type report struct {
	prefix      string // of the paths of the message's members
	enveloped   bool   // the body has a message
	hasArtifact bool
	notes       *wire.Notes
	places      wire.Room[place]
	facts       [factCount]fact
	lists       [nameCount - factCount]*namedValue
	values      wire.Room[namedValue] // of the lists
	lost        []loser
	waiting     []member
	late        bool // nothing waits any more
	times       [factCount]*timestamppb.Timestamp
	request     string                  // of a phone-call-control
	durations   [3]*durationpb.Duration // in milliseconds, seconds, minutes
	talk        conversation
	asked       []toolCall // for a moment: what the message is about, beside the conversation so far
	recordings  []*callnormv1.Recording
	expires     *timestamppb.Timestamp // of the recordings' signed addresses
	destination destination
	transfers   []destination
	fields      []*callnormv1.ExtractedField
	evaluations []*callnormv1.Evaluation
	nodes       []string
	handedBy    string // the assistant that another one took over from
	activations []activation
	costs       []costPart
	breakdown   []costPart
	turnDelays  []time.Duration
	interrupted [2]*int32 // the user, and the assistant
	consent     *callnormv1.Compliance
	fault       callnormv1.CallError
}

// name names a fact that stands in one text.
type name int

const (
	eventType name = iota
	timestamp
	callID
	ownID // of a body that may turn out to be no call
	callStatus
	endedReason
	endedMessage
	startedAt
	endedAt
	createdAt
	updatedAt
	summary
	transcript
	successEvaluation
	rubric
	cost
	costTotal
	analyzedAt
	orgID
	assistantID
	assistantName
	assistantVersion
	squadID
	squadVersion
	workflowID
	campaignID
	sessionID
	callName
	callType
	carrier
	carrierCallID
	transportCarrier
	transportCallID
	sbcCallID
	phoneCallTransport
	twilioCallSID
	twilioAccountSID
	phoneNumberID
	ourNumber
	ourSIPURI
	customerID
	customerNumber
	customerSIPURI
	customerName
	customerEmail
	llmModel
	ttsVoice
	sttModel
	factCount
)

// Lists of named values, each of which is a fact.
const (
	variables name = factCount + iota
	metadata
	attributes
	nameCount
)

// fact is a text, and where it stands.
type fact struct {
	text, name string
	at         *place
}

// rank tells how much the place counts where a fact stands. Messages repeat much: the call within a message is a snapshot of an
// earlier moment, a variable may have been set by anybody, and what was set before the call may have changed in it. Where the layout
// of 2024 has something in the message or the call itself, today's has it in the artifact or the analysis, which count one step more.
type rank int

const (
	asSetUp rank = iota
	inOlderVariables
	inVariables
	inCall
	withinCall
	inMessage
	withinMessage
)

// place is an object whose members are facts.
type place struct {
	prefix string
	rank   rank
}

func (p *report) within(r *wire.Reader, rank rank) *place {
	at := p.places.New()
	at.prefix, at.rank = r.Prefix(), rank
	return at
}

// tell keeps a fact. What is told twice in the same words is told once; of two that differ the place decides, and the other is kept.
func (p *report) tell(n name, at *place, member, text string) bool {
	if strings.TrimSpace(text) == "" {
		return false
	}
	known, told := &p.facts[n], fact{text: text, name: member, at: at}
	if known.text == "" {
		*known = told
		return true
	}
	return p.decide(n, known, told)
}

// decide keeps the stronger of two facts, and tells whether that says something new.
func (p *report) decide(n name, known *fact, told fact) bool {
	wins, weaker := told.stronger(known), told
	if n >= factCount {
		wins = told.outranks(known) // a variable may be "none" in earnest
	}
	if wins {
		weaker, *known = *known, told
	}
	if same(weaker.text, known.text) {
		return false
	}
	p.lose(loser{fact: weaker, n: n})
	return *known == told
}

// same tells whether two texts say the same: JSON does with its members in any order.
func same(a, b string) bool {
	if a == b || !strings.HasPrefix(a, "{") && !strings.HasPrefix(a, "[") {
		return a == b
	}
	x, y := jsontext.Value(a), jsontext.Value(b)
	return x.Format(jsontext.ReorderRawObjects(true)) == nil && y.Format(jsontext.ReorderRawObjects(true)) == nil && bytes.Equal(x, y)
}

// loser is a fact that another place tells otherwise.
type loser struct {
	fact
	n name
}

// lose puts a fact aside. What is told twice is kept once, here as well.
func (p *report) lose(l loser) {
	for i := range p.lost {
		if known := &p.lost[i]; known.n == l.n && same(known.text, l.text) && (l.n < factCount || known.name == l.name) {
			if l.outranks(&known.fact) {
				*known = l
			}
			return
		}
	}
	p.lost = append(p.lost, l)
}

func (f *fact) path() string { return f.at.prefix + f.name }

// stronger tells whether a fact counts more than another: by its place, but a placeholder never more than a value.
func (f *fact) stronger(than *fact) bool {
	if empty := wire.Placeholder(than.text); empty != wire.Placeholder(f.text) {
		return empty
	}
	return f.outranks(than)
}

// outranks tells whether the place of a fact counts more than that of another. The order in which an object has its members tells
// nothing, so where both count the same, their paths decide.
func (f *fact) outranks(than *fact) bool {
	if f.at.rank != than.at.rank {
		return f.at.rank > than.at.rank
	}
	return cmp.Or(cmp.Compare(f.at.prefix, than.at.prefix), cmp.Compare(f.name, than.name)) < 0
}

// member is one that a stronger place may tell better. It waits until that was read.
type member struct {
	at   *place
	name string
	read func(func(*wire.Reader))
}

// waits tells whether a member has to wait: one that does not become a single fact, and that nothing stronger has told so far.
func (p *report) waits(r *wire.Reader, at *place, name string) bool {
	if p.late || r.Kind() == 'n' {
		return false
	}
	switch name {
	case "messages":
		return len(p.talk.turns) == 0
	case "presignedUrlsExpiresAt":
		return p.expires == nil
	case "artifact", "analysis", "compliance", "destination", "costs", "costBreakdown", "durationMs", "durationSeconds", "durationMinutes":
		return at.rank < inMessage
	default:
		return false
	}
}

// finish reads what had to wait, and keeps what has lost.
func (p *report) finish() {
	p.late = true
	slices.SortFunc(p.waiting, func(a, b member) int {
		return cmp.Or(cmp.Compare(b.at.rank, a.at.rank), cmp.Compare(a.at.prefix, b.at.prefix), cmp.Compare(a.name, b.name))
	})
	for _, m := range p.waiting {
		m.read(func(r *wire.Reader) { p.common(r, m.at, m.name) })
	}
	p.talk.addAll(p.asked, p.notes)
	if id := &p.facts[ownID]; id.text != "" && p.enveloped { // what is beside the message has an id of its own
		p.lose(loser{fact: *id, n: callID})
	} else if id.text != "" {
		p.tell(callID, id.at, id.name, id.text)
	}
	if name := &p.facts[callName]; name.text != "" { // "This is just for your own reference."
		at := p.places.New()
		at.prefix, at.rank = name.at.prefix, asSetUp
		p.addNamed(metadata, at, "name", &callnormv1.Value{Kind: &callnormv1.Value_StringValue{StringValue: name.text}})
	}
	for i := range p.lost {
		if l := &p.lost[i]; !same(l.text, p.told(l)) {
			p.notes.UnmappedText(l.path(), l.text)
		}
	}
}

// told returns what counts in the place of a fact that has lost.
func (p *report) told(l *loser) string {
	if l.n < factCount {
		return p.text(l.n)
	}
	for known := p.lists[l.n-factCount]; known != nil; known = known.next {
		if known.GetName() == l.name {
			return plainText(known.GetValue())
		}
	}
	return ""
}

func (p *report) text(n name) string { return p.facts[n].text }

// path returns where a fact stands. One that is not told stands nowhere.
func (p *report) path(n name) string {
	if p.facts[n].at == nil {
		return ""
	}
	return p.facts[n].path()
}

// tellTime keeps a fact that is a moment.
func (p *report) tellTime(n name, at *place, member string, r *wire.Reader) {
	text := ""
	r.Peek(func(r *wire.Reader) { text = textOf(r) })
	if t := readTime(r); t != nil && p.tell(n, at, member, text) {
		p.times[n] = t
	}
}

// textOf reads a text without a word on what is none.
func textOf(r *wire.Reader) string {
	switch r.Kind() {
	case '"', '0':
		return r.Text()
	default:
		r.Skip()
		return ""
	}
}

// readTime reads a moment. The beginning of 1970 is no moment of a call, but a number that nobody has set.
func readTime(r *wire.Reader) *timestamppb.Timestamp {
	t := r.Time(true)
	if t.GetSeconds() == 0 && t.GetNanos() == 0 {
		return nil
	}
	return t
}

// filledText reads a text of which an empty one tells nothing, and keeps any other.
func filledText(r *wire.Reader) {
	path := r.Path()
	if r.Kind() != '"' {
		r.Keep()
	} else if text := r.Text(); text != "" {
		r.Notes().UnmappedText(path, text)
	}
}

// read reads a body: a message in its envelope, or the message or the record of a call without one.
func (p *report) read(r *wire.Reader) {
	p.notes = r.Notes()
	bare := p.within(r, inMessage)
	for name := range r.Members() {
		if name == "message" && r.Kind() == '{' {
			p.enveloped, p.prefix = true, "message."
			at := p.within(r, inMessage)
			for name := range r.Members() {
				p.member(r, at, name)
			}
			continue
		}
		p.member(r, bare, name)
	}
	p.finish()
}

// member reads a member of a message. That of a record of the API has those of a call beside them.
func (p *report) member(r *wire.Reader, at *place, name string) {
	switch name {
	case "type":
		word := r.Word()
		if _, _, ok := callTypes.Known(word); ok {
			p.tell(callType, at, name, word)
		} else {
			p.tell(eventType, at, name, word)
		}
	case "id":
		if at.prefix != "" {
			return
		}
		p.tell(ownID, at, name, r.Text())
	case "status":
		p.tell(callStatus, at, name, r.Word())
	case "timestamp":
		p.tellTime(timestamp, at, name, r)
	case "call":
		at := p.within(r, inCall)
		for name := range r.Members() {
			p.callMember(r, at, name)
		}
	case "toolCallList", "toolCalls":
		for range r.Elements() {
			p.readTool(r, toolCall{})
		}
	case "toolWithToolCallList":
		p.readToolsWithCalls(r)
	case "functionCall":
		p.readTool(r, toolCall{})
	case "request":
		p.request = r.Word()
	case "toAssistant":
		for name := range r.Members() {
			if name == "name" {
				p.destination.assistant = readWord(r)
			} else {
				r.Skip() // its configuration
			}
		}
	case "fromAssistant":
		for name := range r.Members() {
			if name == "name" {
				p.handedBy = r.Text()
			} else {
				r.Skip() // its configuration
			}
		}
	case "inboundPhoneCallDebuggingArtifacts":
		p.readFault(r)
	case "chat":
		r.Skip() // of a text chat
	default:
		p.common(r, at, name)
	}
}

// callMember reads a member of the call within a message.
func (p *report) callMember(r *wire.Reader, at *place, name string) {
	switch name {
	case "type":
		p.tell(callType, at, name, r.Word())
	case "id":
		p.tell(callID, at, name, r.Text())
	case "status":
		r.Skip() // of the moment when the snapshot was taken: a report on a call that has ended may say "queued"
	case "updatedAt":
		r.Skip() // of the snapshot
	case "cost":
		if text := r.Text(); strings.Trim(text, "0.") != "" { // 0 is what it cost before anything was counted
			p.tell(cost, at, name, text)
		}
	default:
		p.common(r, at, name)
	}
}

// plainMembers are the members that are facts, in a message and in a call.
var plainMembers = map[string]name{
	"endedReason": endedReason, "endedMessage": endedMessage, "summary": summary, "cost": cost,
	"orgId": orgID, "assistantId": assistantID, "assistantVersion": assistantVersion, "squadId": squadID, "squadVersion": squadVersion,
	"workflowId": workflowID, "campaignId": campaignID, "sessionId": sessionID, "name": callName,
	"phoneCallProvider": carrier, "phoneCallProviderId": carrierCallID, "phoneCallTransport": phoneCallTransport,
	"twilioCallSid": twilioCallSID, "phoneNumberId": phoneNumberID, "customerId": customerID,
}

var momentMembers = map[string]name{
	"startedAt": startedAt, "endedAt": endedAt, "createdAt": createdAt, "updatedAt": updatedAt,
}

// common reads a member that a message and a call have in common. The reader keeps what is not read here.
func (p *report) common(r *wire.Reader, at *place, name string) {
	if n, ok := plainMembers[name]; ok {
		p.tell(n, at, name, r.Text())
		return
	}
	if n, ok := momentMembers[name]; ok {
		p.tellTime(n, at, name, r)
		return
	}
	if p.waits(r, at, name) {
		p.waiting = append(p.waiting, member{at: at, name: name, read: r.Later()})
		return
	}
	switch name {
	case "durationMs":
		p.duration(r, 0, time.Millisecond)
	case "durationSeconds":
		p.duration(r, 1, time.Second)
	case "durationMinutes":
		p.duration(r, 2, time.Minute)
	case "customer":
		p.readCustomer(r, at.rank)
	case "phoneNumber":
		p.readPhoneNumber(r, at.rank)
	case "assistant":
		p.readAssistant(r, at.rank)
	case "assistantOverrides":
		p.readOverrides(r)
	case "metadata":
		p.readMetadata(r, at.rank)
	case "transport":
		p.readTransport(r, at.rank)
	case "phoneCallProviderDetails":
		p.readCarrierDetails(r, at.rank)
	case "analysis":
		p.readAnalysis(r, at.rank+1)
	case "artifact":
		p.readArtifact(r, at.rank+1)
	case "compliance":
		p.readCompliance(r)
	case "destination":
		p.readDestination(r, &p.destination)
	case "costs":
		p.readCosts(r)
	case "costBreakdown":
		p.readBreakdown(r, p.within(r, at.rank))
	case "monitor", "webCallUrl":
		r.Skip() // whoever knows the addresses can listen, or take part
	case "squad", "squadOverrides", "workflow", "workflowOverrides", "artifactPlan", "schedulePlan":
		r.Skip() // how the call was set up
	default:
		p.artifactMember(r, at, name) // as in the layout of 2024
	}
}

// duration reads a length of the call, in one of the units in which it is told. The first that is told in a unit counts.
func (p *report) duration(r *wire.Reader, unit int, length time.Duration) {
	if p.durations[unit] == nil {
		p.durations[unit] = r.Duration(length)
	}
}

func (p *report) readCustomer(r *wire.Reader, rank rank) {
	at := p.within(r, rank)
	for name := range r.Members() {
		switch name {
		case "number":
			p.tell(customerNumber, at, name, r.Text())
		case "sipUri":
			p.tell(customerSIPURI, at, name, r.Text())
		case "name":
			p.tell(customerName, at, name, r.Text())
		case "email":
			p.tell(customerEmail, at, name, r.Text())
		case "externalId", "extension":
			if value := r.Value(); value != nil {
				p.addNamed(attributes, at, name, value)
			}
		case "assistantOverrides":
			p.readOverrides(r)
		case "numberE164CheckEnabled":
			r.Skip() // how the number was checked
		}
	}
}

// readPhoneNumber reads our own number. Most of its members are how it is set up, among them the token of the account at the carrier.
func (p *report) readPhoneNumber(r *wire.Reader, rank rank) {
	at := p.within(r, rank)
	for name := range r.Members() {
		switch name {
		case "number", "twilioPhoneNumber":
			p.tell(ourNumber, at, name, r.Text())
		case "sipUri":
			p.tell(ourSIPURI, at, name, r.Text())
		case "id":
			p.tell(phoneNumberID, at, name, r.Text())
		case "twilioAccountSid":
			p.tell(twilioAccountSID, at, name, r.Text())
		default:
			r.Skip()
		}
	}
}

// readAssistant reads who the assistant is. The rest is how it is set up.
func (p *report) readAssistant(r *wire.Reader, rank rank) {
	at := p.within(r, rank)
	for name := range r.Members() {
		switch name {
		case "id":
			p.tell(assistantID, at, name, r.Text())
		case "name":
			p.tell(assistantName, at, name, r.Text())
		case "model":
			p.readPart(r, rank, "model", llmModel)
		case "voice":
			p.readPart(r, rank, "voiceId", ttsVoice)
		case "transcriber":
			p.readPart(r, rank, "model", sttModel)
		case "metadata":
			p.readMetadata(r, asSetUp)
		case "analysisPlan":
			p.readRubric(r, rank)
		default:
			r.Skip()
		}
	}
}

// readPart reads which model or voice one part of the assistant is.
func (p *report) readPart(r *wire.Reader, rank rank, member string, n name) {
	at := p.within(r, rank)
	for name := range r.Members() {
		if name == member {
			p.tell(n, at, name, r.Text())
		} else {
			r.Skip()
		}
	}
}

// readRubric reads by which scale the success is judged.
func (p *report) readRubric(r *wire.Reader, rank rank) {
	for name := range r.Members() {
		if name == "successEvaluationPlan" {
			p.readPart(r, rank, "rubric", rubric)
		} else {
			r.Skip()
		}
	}
}

// readOverrides reads what the caller of the API set for this call. Its variables go in; what became of them the artifact tells.
func (p *report) readOverrides(r *wire.Reader) {
	for name := range r.Members() {
		switch name {
		case "variableValues":
			p.readVariables(r, asSetUp)
		case "metadata":
			p.readMetadata(r, inVariables)
		default:
			r.Skip()
		}
	}
}

func (p *report) readMetadata(r *wire.Reader, rank rank) {
	at := p.within(r, rank)
	for _, value := range r.NamedValues() {
		p.addNamed(metadata, at, value.GetName(), value.GetValue())
	}
}

// namedValue is a value under its name, the place in which it stands, and the next of its list.
type namedValue struct {
	callnormv1.NamedValue
	at   *place
	next *namedValue
}

func (v *namedValue) fact() fact {
	return fact{text: plainText(v.GetValue()), name: v.GetName(), at: v.at}
}

// addNamed adds a value. Of two that have one name the place decides, as it does of facts.
func (p *report) addNamed(n name, at *place, name string, value *callnormv1.Value) {
	end := &p.lists[n-factCount]
	for ; *end != nil; end = &(*end).next {
		known := *end
		if known.GetName() != name {
			continue
		}
		if known.GetValue() == nil {
			known.Value, known.at = value, at
		} else if value != nil {
			counts, told := known.fact(), fact{text: plainText(value), name: name, at: at}
			if p.decide(n, &counts, told); counts == told {
				known.Value, known.at = value, at
			}
		}
		return
	}
	*end = p.values.New()
	(*end).Name, (*end).Value, (*end).at = name, value, at
}

// named returns the values of a list.
func (p *report) named(n name) []*callnormv1.NamedValue {
	count := 0
	for v := p.lists[n-factCount]; v != nil; v = v.next {
		count++
	}
	if count == 0 {
		return nil
	}
	list := make([]*callnormv1.NamedValue, 0, count)
	for v := p.lists[n-factCount]; v != nil; v = v.next {
		list = append(list, &v.NamedValue)
	}
	return list
}

// plainText writes a value as a text.
func plainText(value *callnormv1.Value) string {
	switch kind := value.GetKind().(type) {
	case *callnormv1.Value_StringValue:
		return kind.StringValue
	case *callnormv1.Value_JsonValue:
		return kind.JsonValue
	default:
		_, text, _ := strings.Cut(value.String(), ":")
		return text
	}
}

// readTransport reads what carries the call. Some of its members let anybody join it.
func (p *report) readTransport(r *wire.Reader, rank rank) {
	at := p.within(r, rank)
	for name := range r.Members() {
		switch name {
		case "provider":
			p.tell(transportCarrier, at, name, r.Word())
		case "callSid":
			p.tell(transportCallID, at, name, r.Text())
		case "sbcCallSid":
			p.tell(sbcCallID, at, name, r.Text())
		case "accountSid":
			p.tell(twilioAccountSID, at, name, r.Text())
		case "callUrl", "websocketCallUrl", "callToken":
			r.Skip()
		case "assistantVideoEnabled", "videoRecordingEnabled", "audioFormat", "conversationType":
			r.Skip() // how it is set up
		}
	}
}

func (p *report) readCarrierDetails(r *wire.Reader, rank rank) {
	at := p.within(r, rank)
	for name := range r.Members() {
		switch name {
		case "sbcCallId":
			p.tell(sbcCallID, at, name, r.Text())
		case "twiml":
			r.Skip() // with the address of the audio
		}
	}
}

func (p *report) readCompliance(r *wire.Reader) {
	for name := range r.Members() {
		if name != "recordingConsent" || r.Kind() != '{' || p.consent != nil {
			continue
		}
		granted := false // "If not specified, it means the recording consent was not granted."
		consent := &callnormv1.Compliance{RecordingConsent: &granted}
		for name := range r.Members() {
			switch name {
			case "type":
				consent.ConsentMethod = r.Word()
			case "grantedAt":
				path := r.Path()
				if text := r.Text(); strings.TrimSpace(text) != "" {
					granted = true
					p.notes.UnmappedText(path, text)
				}
			}
		}
		p.consent = consent
	}
}

// readFault reads why an inbound call could not be taken. What our own server answered is beside it.
func (p *report) readFault(r *wire.Reader) {
	at := p.within(r, inCall)
	for name := range r.Members() {
		switch name {
		case "error":
			p.fault.Message = r.Text()
		case "assistantRequestError":
			p.tell(endedMessage, at, name, r.Text())
		}
	}
}

// word is a text and its place in the payload.
type word struct{ path, text string }

func readWord(r *wire.Reader) word { return word{path: r.Path(), text: r.Word()} }

// keep keeps a word that has no place in the outcome.
func (p *report) keep(w word) { w.keep(p.notes) }

func (w word) keep(notes *wire.Notes) {
	if w.text != "" {
		notes.UnmappedText(w.path, w.text)
	}
}

// destination is where a call is handed over to, and what is told of the transfer.
type destination struct {
	told                 bool
	number, sipURI, name string
	kind, mode, status   word
	assistant            word // that takes over
}

// same tells whether two destinations say the same, in whatever places.
func (d *destination) same(other *destination) bool {
	return d.number == other.number && d.sipURI == other.sipURI && d.name == other.name && d.kind.text == other.kind.text &&
		d.mode.text == other.mode.text
}

// readDestination reads where a call goes. What is said before, and to whom a target belongs, is configuration.
func (p *report) readDestination(r *wire.Reader, d *destination) {
	if d.told && r.Kind() == '{' { // in the message as well as in the call
		var again destination
		notes := r.Notes()
		r.NoteIn(&wire.Notes{})
		r.Peek(func(r *wire.Reader) { p.readDestination(r, &again) })
		r.NoteIn(notes)
		if again.same(d) {
			r.Skip()
		}
		return
	}
	var older word
	for name := range r.Members() {
		d.told = true
		switch name {
		case "type":
			d.kind = readWord(r)
		case "number":
			d.number = r.Text()
		case "phoneNumber":
			older = word{path: r.Path(), text: r.Text()}
		case "sipUri":
			d.sipURI = r.Text()
		case "assistantName":
			d.name = r.Text()
		case "transferPlan":
			for name := range r.Members() {
				if name == "mode" && d.mode.text == "" {
					d.mode = readWord(r)
				} else {
					r.Skip()
				}
			}
		case "message", "description", "numberE164CheckEnabled", "transferMode", "sipHeaders", "assistant":
			r.Skip()
		}
	}
	if d.number == "" {
		d.number = older.text
	} else if d.number != older.text {
		older.keep(r.Notes())
	}
}

func (p *report) readTransfers(r *wire.Reader) {
	for range r.Elements() {
		if r.Kind() != '{' {
			continue // of old only an id
		}
		var d destination
		for name := range r.Members() {
			switch name {
			case "destination":
				p.readDestination(r, &d)
			case "mode":
				d.mode = readWord(r)
			case "status":
				d.status = readWord(r)
			}
		}
		p.transfers = append(p.transfers, d)
	}
}

// readToolsWithCalls reads tools beside what they were called with. The tools themselves are configuration, secrets included.
func (p *report) readToolsWithCalls(r *wire.Reader) {
	for range r.Elements() {
		var call toolCall
		var later func(func(*wire.Reader))
		for name := range r.Members() {
			switch name {
			case "name":
				call.name = r.Text()
			case "toolCall":
				later = r.Later()
			case "function", "tool":
				p.readToolName(r, &call)
			default:
				r.Skip()
			}
		}
		if later != nil {
			later(func(r *wire.Reader) { p.readTool(r, call) })
		}
	}
}

// readTool reads a call of a tool that stands by itself, with what is known of it from beside it.
func (p *report) readTool(r *wire.Reader, call toolCall) {
	call.path = r.Path()
	call.read(r)
	if call.id != "" || call.name != "" {
		if p.asked == nil {
			p.asked = make([]toolCall, 0, 3) // the same call in each of the lists
		}
		p.asked = append(p.asked, call)
	} else if call.arguments != "" {
		r.Notes().UnmappedText(call.path, call.arguments)
	}
}

func (p *report) readToolName(r *wire.Reader, call *toolCall) {
	for name := range r.Members() {
		if name == "name" && call.name == "" {
			call.name = r.Text()
		} else {
			r.Skip()
		}
	}
}
