package bland

import (
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/ids"
	"github.com/callnorm/callnorm/adapters/internal/phone"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// payload is the body of a webhook: the members that need a second look, and the call with all that needs none.
type payload struct {
	// What tells the kinds of bodies apart.
	event                       word
	conversation, channel       word
	message, category, logLevel word
	members                     int  // of a call that were read, beside its ids
	measured                    bool // it has a length, which only a report has
	enriched                    bool // it has something that is made after the call

	callID, cID word
	citedID     word // the call's, as the first citation tells it
	userID      word

	status, queueStatus, errorMessage word
	completed                         *bool
	answeredBy, endedBy, tag          word
	inbound                           word
	proxy                             bool

	from, to  string
	startTime *timestamppb.Timestamp
	endTime   moment

	length, corrected, beforeTransfer, afterTransfer measure

	warm                          warmTransfer
	transferredTo                 string
	transferTime                  *timestamppb.Timestamp
	transferOffset                measure
	recordingURI                  word
	recordingExpiry               moment
	lines                         []line // `transcripts`
	text                          word   // `concatenated_transcript`
	correctedTurns, transferTurns []segment
	strangerSpoke                 bool // somebody of an unknown role
	counted                       bool // offsets within the transcript were computed
	agent                         callnormv1.Agent
	country                       string
	topics                        []string
	call                          callnormv1.CallOutcome
	notes                         *wire.Notes
}

// word is a text and its place in the payload.
type word struct{ path, text string }

func readWord(r *wire.Reader) word {
	return word{path: r.Path(), text: wire.NotBlank(r.Word())}
}

func (w word) plain() string { return words.Plain(w.text) }

// moment is a time and its place in the payload, as it stands.
type moment struct {
	path, raw string
	at        *timestamppb.Timestamp
}

func readMoment(r *wire.Reader) moment {
	m := moment{path: r.Path()}
	r.Peek(func(r *wire.Reader) { m.raw = r.JSON() })
	m.at = r.Time(false)
	return m
}

// measure is a span of time and its place in the payload, as it stands.
type measure struct {
	path, raw string
	span      *durationpb.Duration
}

func readMeasure(r *wire.Reader, unit time.Duration) measure {
	m := measure{path: r.Path()}
	r.Peek(func(r *wire.Reader) { m.raw = r.JSON() })
	m.span = r.Duration(unit)
	return m
}

// leave keeps a measure that was read and then found to have no place in the outcome.
func (p *payload) leave(m measure) {
	if m.span != nil {
		p.notes.Unmapped(m.path, jsontext.Value(m.raw))
	}
}

// leaveWord is leave for words.
func (p *payload) leaveWord(list ...word) {
	for _, w := range list {
		if w.text != "" {
			p.notes.UnmappedText(w.path, w.text)
		}
	}
}

// warmTransfer is a transfer with an announcement: the agent calls humans until one of them takes over.
type warmTransfer struct {
	told  bool
	state word
	legs  []proxyCall
}

// proxyCall is a call to a human agent.
type proxyCall struct {
	state word
	id    string
	phone string
}

func (p *payload) read(r *wire.Reader) {
	p.notes = r.Notes()
	for name := range r.Members() {
		if r.Kind() == 'n' {
			r.Skip() // null is what Bland writes for everything that it does not tell
			continue
		}
		switch name {
		case "event_type":
			p.event = readWord(r)
		case "timestamp":
			p.call.EventTime = r.Time(false)
		case "contents":
			p.readContents(r)
		case "conversation_id":
			p.conversation = readWord(r)
		case "channel":
			p.channel = readWord(r)
		case "message":
			p.message = readWord(r)
		case "category":
			p.category = readWord(r)
		case "log_level":
			p.logLevel = readWord(r)
		case "user_id":
			p.userID = readWord(r)
		case "call_id":
			p.callID = readWord(r)
		case "c_id":
			p.cID = readWord(r)
		default:
			if p.member(r, name) || p.made(r, name) {
				p.members++
			}
		}
	}
}

// member reads what a report tells of a call.
func (p *payload) member(r *wire.Reader, name string) bool {
	o := &p.call
	switch name {
	case "status":
		p.status = readWord(r)
	case "completed":
		p.completed = r.Bool()
	case "queue_status":
		p.queueStatus = readWord(r)
	case "error_message":
		p.errorMessage = word{path: r.Path(), text: strings.TrimSpace(r.Text())}
	case "answered_by":
		p.answeredBy = readWord(r)
	case "call_ended_by":
		p.endedBy = readWord(r)
	case "disposition_tag":
		p.tag = readWord(r)
	case "inbound":
		p.inbound = readWord(r)
	case "is_proxy_agent_call":
		if proxy := r.Bool(); proxy != nil {
			p.proxy = *proxy
		}
	case "from":
		p.from = r.Text()
	case "to":
		p.to = r.Text()
	case "created_at":
		o.CreateTime = r.Time(false)
	case "started_at":
		p.startTime = r.Time(false)
	case "end_at":
		p.endTime = readMoment(r)
	case "call_length":
		p.length, p.measured = readMeasure(r, time.Minute), true
	case "corrected_duration":
		p.corrected, p.measured = readMeasure(r, time.Second), true
	case "batch_id":
		if id := p.identify(readWord(r)); id != "" {
			o.Campaign = &callnormv1.Campaign{Id: id}
		}
	case "metadata":
		o.Metadata = r.NamedValues()
	case "variables":
		p.readVariables(r)
	case "price":
		p.readPrice(r)
	case "recording_url":
		p.recordingURI = word{path: r.Path(), text: strings.TrimSpace(r.Text())}
	case "recording_expiration":
		p.recordingExpiry = readMoment(r)
	case "transferred_to":
		p.transferredTo = strings.TrimSpace(r.Text())
	case "transferred_at":
		p.transferTime = r.Time(false)
	case "pre_transfer_duration":
		p.beforeTransfer = readMeasure(r, time.Minute)
	case "post_transfer_duration":
		p.afterTransfer = readMeasure(r, time.Minute)
	case "warm_transfer_call":
		p.readWarmTransfer(r)
	case "transcripts":
		r.Embedded(p.readLines)
	case "concatenated_transcript":
		p.text = word{path: r.Path(), text: r.Text()}
	case "voice_id":
		p.agent.TtsVoice = r.Text()
	case "pathway_id":
		p.agent.WorkflowId = p.identify(readWord(r))
	case "pathway_version":
		p.agent.Version = r.Text()
	case "pathway_logs":
		p.readPath(r)
	case "pathway_tags":
		p.topics = r.Texts()
	case "sid": // by its form only: the documentation does not know it
		p.readCarrierID(r)
	case "twilio_account_sid":
		o.AccountIds = p.withID(o.GetAccountIds(), "twilio.account_sid", readWord(r))
	case "post_call_evals":
		p.readEvalSetup(r)
	case "record", "max_duration", "local_dialing", "is_canary", "citation_schema_ids", "analysis_schema", "request_data", "endpoint_url":
		r.Skip() // how the call was set up
	default:
		return false
	}
	return true
}

// made reads what is made of a call after it, and may come by itself.
func (p *payload) made(r *wire.Reader, name string) bool {
	switch name {
	case "summary":
		if text := strings.TrimSpace(r.Text()); text != "" {
			p.analysis().Summary = text
		}
		return true // it comes with the report only
	case "analysis":
		p.readAnalysis(r)
		return true
	case "citations":
		r.Embedded(p.readCitations)
	case "agent_dispositions":
		r.Embedded(p.readAgentDispositions)
	case "corrected_transcript":
		r.Embedded(func(r *wire.Reader) { p.correctedTurns = p.readSegments(r) })
	case "post_transfer_transcript":
		r.Embedded(func(r *wire.Reader) { p.transferTurns = p.readSegments(r) })
	case "transfer_offset_seconds":
		p.transferOffset = readMeasure(r, time.Second)
	default:
		return false
	}
	p.enriched = true
	return true
}

// readContents reads what an event brings. The members say it again.
func (p *payload) readContents(r *wire.Reader) {
	for range r.Elements() {
		if w := readWord(r); w.text != "" && !events[w.plain()] {
			p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, w.path, "the word is not known to this version")
			p.leaveWord(w)
		}
	}
}

// readVariables divides what Bland sets from all else: what the caller brought along, and what a pathway found out. Nothing tells
// these two apart.
func (p *payload) readVariables(r *wire.Reader) {
	r.Embedded(func(r *wire.Reader) {
		for name := range r.Members() {
			if !systemVariables[name] {
				p.call.ExtractedFields = append(p.call.ExtractedFields, &callnormv1.ExtractedField{
					Name: name, Value: r.Value(), Source: "variables",
				})
				continue
			}
			named := r.NamedValue(name)
			p.call.Variables = append(p.call.Variables, named)
			switch name {
			case "timezone":
				p.call.TimeZone = named.GetValue().GetStringValue()
			case "country": // of `phone_number`, which is the contact's
				p.country = named.GetValue().GetStringValue()
			}
		}
	})
}

func (p *payload) readAnalysis(r *wire.Reader) {
	for _, value := range r.NamedValues() {
		p.call.ExtractedFields = append(p.call.ExtractedFields, &callnormv1.ExtractedField{
			Name: value.GetName(), Value: value.GetValue(), Source: "analysis",
		})
	}
}

// readCitations reads what was extracted by a schema, each with the utterances that it rests on. What they say is the reason; what
// else is told of them is kept.
func (p *payload) readCitations(r *wire.Reader) {
	for range r.Elements() {
		if r.Kind() != '{' {
			continue
		}
		field := &callnormv1.ExtractedField{Source: "citations"}
		for name := range r.Members() {
			switch name {
			case "variable_name":
				field.Name = r.Text()
			case "variable_type":
				field.TypeRaw = r.Word()
			case "value":
				field.Value = r.Value()
			case "schema_id":
				field.GroupId = r.Text()
			case "cited_utterances":
				cited := false
				r.Peek(func(r *wire.Reader) { field.Rationale, cited = readUtterances(r) })
				keepIf(r, cited)
			case "call_id": // the call's, told again, or nowhere else
				if p.citedID.text == "" {
					p.citedID = readWord(r)
				} else {
					r.Skip()
				}
			}
		}
		p.call.ExtractedFields = append(p.call.ExtractedFields, field)
	}
}

// readUtterances returns what was said, a line each, and whether there is anything at all.
func readUtterances(r *wire.Reader) (string, bool) {
	if r.Kind() != '[' {
		return "", r.Kind() != 'n'
	}
	var lines []string
	cited := false
	for range r.Elements() {
		cited = true
		if r.Kind() != '{' {
			r.Skip()
			continue
		}
		for name := range r.Members() {
			if name != "transcript" || r.Kind() != '"' {
				r.Skip()
			} else if text := strings.TrimSpace(r.Text()); text != "" {
				lines = append(lines, text)
			}
		}
	}
	return strings.Join(lines, "\n"), cited
}

// keepIf keeps a value, unless there is nothing in it.
func keepIf(r *wire.Reader, filled bool) {
	if filled {
		r.Keep()
	} else {
		r.Skip()
	}
}

// readAgentDispositions reads the answers that an agent's dispositions came to: each as a whole, in the form that the customer gave
// it, and value by value.
func (p *payload) readAgentDispositions(r *wire.Reader) {
	const source = "agent_dispositions"
	for range r.Elements() {
		if r.Kind() != '{' {
			continue
		}
		whole := &callnormv1.ExtractedField{Source: source}
		var values []*callnormv1.ExtractedField
		for name := range r.Members() {
			switch name {
			case "disposition_id":
				whole.GroupId = r.Text()
			case "disposition_key":
				whole.Name = r.Text()
			case "payload":
				whole.Value = r.Value()
			case "values":
				for range r.Elements() {
					if r.Kind() == '{' {
						values = append(values, readDispositionValue(r, source))
					}
				}
			}
		}
		for _, value := range values {
			value.GroupId = whole.GetGroupId()
		}
		if whole.GetName() != "" || whole.GetValue() != nil {
			p.call.ExtractedFields = append(p.call.ExtractedFields, whole)
		}
		p.call.ExtractedFields = append(p.call.ExtractedFields, values...)
	}
}

func readDispositionValue(r *wire.Reader, source string) *callnormv1.ExtractedField {
	value := &callnormv1.ExtractedField{Source: source}
	for name := range r.Members() {
		switch name {
		case "key":
			value.Name = r.Text()
		case "value":
			value.Value = r.Value()
		case "state":
			w := readWord(r)
			switch w.plain() {
			case "produced":
				value.Collected = new(true)
			case "no_value":
				value.Collected = new(false)
			default: // an error, which says nothing of the contact's answer
				r.Notes().UnmappedText(w.path, w.text)
			}
		}
	}
	return value
}

// readPrice reads dollars.
func (p *payload) readPrice(r *wire.Reader) {
	if price := r.Money("USD", 0); price != nil {
		p.call.Cost = &callnormv1.Cost{Total: price}
	}
}

func (p *payload) readWarmTransfer(r *wire.Reader) {
	for name := range r.Members() {
		switch name {
		case "state":
			p.warm.state = readWord(r)
		case "proxy_agent_calls":
			for range r.Elements() {
				if r.Kind() == '{' {
					p.readProxyCall(r)
				}
			}
		}
	}
	p.warm.told = p.warm.state.text != "" || len(p.warm.legs) > 0 // an empty object stands beside cold transfers, too
}

func (p *payload) readProxyCall(r *wire.Reader) {
	var c proxyCall
	for name := range r.Members() {
		switch name {
		case "state":
			c.state = readWord(r)
		case "call_id":
			c.id = p.identify(readWord(r))
		case "phone_number":
			c.phone = r.Text()
		}
	}
	p.warm.legs = append(p.warm.legs, c)
}

// readPath reads the way through a pathway. What was said and decided at each node is kept as it stands. Older calls have a text
// here.
func (p *payload) readPath(r *wire.Reader) {
	filled := r.Kind() != '['
	if !filled {
		r.Peek(func(r *wire.Reader) {
			for range r.Elements() {
				filled = true
				p.readNode(r)
			}
		})
	}
	keepIf(r, filled)
}

func (p *payload) readNode(r *wire.Reader) {
	if r.Kind() != '{' {
		r.Skip()
		return
	}
	for name := range r.Members() {
		if kind := r.Kind(); name != "chosen_node_id" || kind != '"' && kind != '0' {
			r.Skip()
			continue
		}
		node, last := r.Word(), len(p.agent.GetNodePath())-1
		if node != "" && (last < 0 || p.agent.GetNodePath()[last] != node) {
			p.agent.NodePath = append(p.agent.GetNodePath(), node)
		}
	}
}

func (p *payload) readEvalSetup(r *wire.Reader) {
	for name := range r.Members() {
		switch name {
		case "workbench_setup_id":
			p.call.RelatedIds = p.withID(p.call.GetRelatedIds(), "bland.workbench_setup_id", readWord(r))
		case "workbench_setup_version_id":
			p.call.RelatedIds = p.withID(p.call.GetRelatedIds(), "bland.workbench_setup_version_id", readWord(r))
		}
	}
}

// readCarrierID reads an id that only its form tells to be Twilio's.
func (p *payload) readCarrierID(r *wire.Reader) {
	id := readWord(r)
	if ids.IsTwilioSID("CA", id.text) {
		p.call.ExternalIds = append(p.call.ExternalIds, &callnormv1.ExternalId{System: "twilio.call_sid", Id: id.text})
		return
	}
	p.leaveWord(id)
}

func (p *payload) withID(list []*callnormv1.ExternalId, system string, id word) []*callnormv1.ExternalId {
	if text := p.identify(id); text != "" {
		list = append(list, &callnormv1.ExternalId{System: system, Id: text})
	}
	return list
}

// identify returns an id, unless a placeholder stands in its place: two deliveries with `{call_id}` are not one call.
func (p *payload) identify(id word) string {
	return p.notes.Usable(id.path, id.text)
}

func (p *payload) analysis() *callnormv1.Analysis {
	if p.call.GetAnalysis() == nil {
		p.call.Analysis = &callnormv1.Analysis{}
	}
	return p.call.GetAnalysis()
}

// endpoint reads one side of a call: a number, or an address of SIP where a customer brings his own lines.
func endpoint(number string) *callnormv1.Endpoint {
	if scheme, _, ok := strings.Cut(number, ":"); ok && (strings.EqualFold(scheme, "sip") || strings.EqualFold(scheme, "sips")) {
		return &callnormv1.Endpoint{SipUri: number}
	}
	if parsed := phone.Parse(number); parsed != nil {
		return &callnormv1.Endpoint{Phone: parsed}
	}
	return nil
}
