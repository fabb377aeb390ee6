package retell

import (
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/ids"
	"github.com/callnorm/callnorm/adapters/internal/phone"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// payload is the body of a webhook: the words that need a second look, and the call with all that needs none.
type payload struct {
	event                   word
	chat, inbound, function bool // the body is about something else
	told                    bool // there is a call
	beside, keeping         bool // there is something beside the call that is not known, and what that is must be kept

	id, status, reason, direction, channel word
	from, to                               string
	batch                                  word
	storage                                word  // data_storage_setting
	optedOut                               *bool // what it was called before, with fewer choices
	signed                                 word  // opt_in_signed_url
	transferEnd                            *timestamppb.Timestamp
	transferEndWord                        word
	targets, destinations                  []word // of transfers, beside the call and in it
	option                                 word   // the type of the transfer
	showContact                            *bool
	sipCallID, sipDirection                word

	text                        word // the transcript as one text
	spoken, woven, scrubbed     timeline
	successful, mood, voicemail word
	analysed                    bool
	workflow                    []*callnormv1.NamedValue // variables that went in, and
	collected                   []*callnormv1.NamedValue // those that came out
	attached                    []*callnormv1.NamedValue // what stands beside the metadata
	call                        callnormv1.CallOutcome
	agent                       callnormv1.Agent
	analysis                    callnormv1.Analysis
	quality                     callnormv1.Quality
	cost                        callnormv1.Cost
	recordings                  [len(recordingKinds)]string
	notes                       *wire.Notes
}

// word is a text and its place in the payload.
type word struct{ path, text string }

func readWord(r *wire.Reader) word {
	return word{path: r.Path(), text: wire.NotBlank(r.Word())}
}

func (p *payload) read(r *wire.Reader) {
	p.notes = r.Notes()
	for name := range r.Members() {
		switch name {
		case "call":
			for name := range r.Members() {
				p.told = true
				p.member(r, name)
			}
		case "transfer_destination":
			p.targets = readDestination(r)
		case "transfer_option":
			p.readOption(r)
		case "chat":
			p.chat = true
		case "call_inbound":
			p.inbound = true
		case "args": // of a custom function
			p.function = true
		case "event", "event_timestamp":
			p.readEvent(r, name)
		default:
			if !p.keeping {
				p.beside = true
				r.Skip()
			}
		}
	}
}

// readRecord reads a record of the API: the call itself, with nothing around it.
func (p *payload) readRecord(r *wire.Reader) {
	p.notes = r.Notes()
	for name := range r.Members() {
		p.readEvent(r, name)
		p.member(r, name)
	}
	p.told = p.id.text != ""
}

func (p *payload) readEvent(r *wire.Reader, name string) {
	switch name {
	case "event":
		p.event = readWord(r)
	case "event_timestamp":
		p.call.EventTime = readTime(r)
	}
}

// member reads one member of a call. The reader keeps what is not read here.
func (p *payload) member(r *wire.Reader, name string) {
	switch name {
	case "call_id":
		p.id = readWord(r)
	case "call_status":
		p.status = readWord(r)
	case "disconnection_reason":
		p.reason = readWord(r)
	case "direction":
		p.direction = readWord(r)
	case "call_type":
		p.channel = readWord(r)
	case "from_number":
		p.from = r.Text()
	case "to_number":
		p.to = r.Text()
	case "agent_id":
		p.agent.Id = p.identify(readWord(r))
	case "agent_name":
		p.agent.DisplayName = r.Text()
	case "agent_version":
		p.agent.Version = r.Text()
	case "agent_tag": // which deployment of the agent took the call, such as `prod`
		p.agent.Environment = r.Text()
	case "batch_call_id":
		p.batch = readWord(r)
	case "start_timestamp":
		p.call.StartTime = readTime(r)
	case "end_timestamp":
		p.call.EndTime = readTime(r)
	case "transfer_end_timestamp":
		r.Peek(func(r *wire.Reader) { p.transferEndWord = readWord(r) })
		p.transferEnd = readTime(r)
	case "duration_ms":
		p.call.TotalDuration = r.Duration(time.Millisecond)
	case "transfer_destination":
		p.destinations = readDestination(r)
	case "transfer_option":
		p.readOption(r)
	case "transcript":
		p.text = word{path: r.Path(), text: r.Text()}
	case "transcript_object":
		p.spoken.read(r, &p.woven)
	case "transcript_with_tool_calls":
		p.woven.read(r, &p.spoken)
	case "scrubbed_transcript_with_tool_calls":
		if p.woven.told {
			r.Skip() // the same without what tells of persons
		} else {
			p.scrubbed.read(r, &timeline{})
		}
	case "call_analysis":
		p.readAnalysis(r)
	case "call_cost":
		p.readCost(r)
	case "latency":
		p.readLatency(r)
	case "e2e_latency": // before there was `latency`
		p.readAnsweringTime(r)
	case "retell_llm_dynamic_variables":
		p.workflow = r.NamedValues()
	case "collected_dynamic_variables":
		p.collected = r.NamedValues()
	case "metadata":
		p.call.Metadata = append(p.call.GetMetadata(), r.NamedValues()...)
	case "custom_attributes":
		p.attached = append(p.attached, prefixed(name, r.NamedValues())...)
	case "custom_sip_headers":
		p.readHeaders(r)
	case "telephony_identifier":
		for member := range r.Members() {
			if member == "twilio_call_sid" {
				p.addID("twilio.call_sid", readWord(r))
			}
		}
	case "data_storage_setting":
		p.storage = readWord(r)
	case "opt_out_sensitive_data_storage":
		p.optedOut = r.Bool()
	case "opt_in_signed_url":
		p.signed = readWord(r)
	case "access_token":
		r.Skip() // whoever has it can join the call
	default:
		for i := range recordingKinds {
			if name == recordingKinds[i].name {
				p.recordings[i] = r.Text()
			}
		}
	}
}

// readTime reads a moment. The beginning of 1970 is no moment of a call, but a number that nobody has set.
func readTime(r *wire.Reader) *timestamppb.Timestamp {
	t := r.Time(false)
	if t.GetSeconds() == 0 && t.GetNanos() == 0 {
		return nil
	}
	return t
}

// readDestination reads a number or SIP URI, or the setting of the tool that transferred the call.
func readDestination(r *wire.Reader) []word {
	if r.Kind() != '{' {
		return []word{readWord(r)}
	}
	var list []word
	for name := range r.Members() {
		if name == "number" || name == "sip_uri" {
			list = append(list, readWord(r))
		}
	}
	return list
}

// readOption reads the setting of the tool that transferred the call.
func (p *payload) readOption(r *wire.Reader) {
	if r.Kind() != '{' {
		p.option = readWord(r)
		return
	}
	for name := range r.Members() {
		switch name {
		case "type":
			p.option = readWord(r)
		case "show_transferee_as_caller":
			p.showContact = r.Bool()
		}
	}
}

// readAnalysis reads what a language model makes of the call. The two ratings are of 2024.
func (p *payload) readAnalysis(r *wire.Reader) {
	for name := range r.Members() {
		p.analysed = true
		switch name {
		case "call_summary":
			p.analysis.Summary = r.Text()
		case "call_successful":
			p.successful = readWord(r)
		case "user_sentiment":
			p.mood = readWord(r)
		case "in_voicemail":
			p.voicemail = readWord(r)
		case "custom_analysis_data":
			p.readCustomData(r)
		case "agent_task_completion_rating", "call_completion_rating":
			w := readWord(r)
			if w.text != "" {
				e := p.rating(name)
				e.ResultRaw = w.text
				e.Result, e.ResultMapping = chosen(ratings, p.notes, w)
			}
		case "agent_task_completion_rating_reason", "call_completion_rating_reason":
			if text := r.Text(); text != "" {
				p.rating(strings.TrimSuffix(name, "_reason")).Rationale = text
			}
		}
	}
}

// rating returns the evaluation by one criterion, which is told in two members.
func (p *payload) rating(criterion string) *callnormv1.Evaluation {
	for _, e := range p.call.GetEvaluations() {
		if e.GetCriterion() == criterion {
			return e
		}
	}
	e := &callnormv1.Evaluation{Criterion: criterion}
	p.call.Evaluations = append(p.call.GetEvaluations(), e)
	return e
}

// readCustomData reads the answers to the customer's own questions, under names that are the customer's as well.
func (p *payload) readCustomData(r *wire.Reader) {
	r.Embedded(func(r *wire.Reader) {
		for name := range r.Members() {
			p.call.ExtractedFields = append(p.call.GetExtractedFields(), &callnormv1.ExtractedField{
				Name: name, Value: r.Value(), Source: "call_analysis.custom_analysis_data",
			})
		}
	})
}

// readLatency reads how long the caller waited for an answer. The parts of that time are kept.
func (p *payload) readLatency(r *wire.Reader) {
	for name := range r.Members() {
		if name == "e2e" {
			p.readAnsweringTime(r)
		}
	}
}

func (p *payload) readAnsweringTime(r *wire.Reader) {
	for name := range r.Members() {
		switch name {
		case "p50":
			p.quality.LatencyP50 = r.Duration(time.Millisecond)
		case "p95":
			p.quality.LatencyP95 = r.Duration(time.Millisecond)
		}
	}
}

// readHeaders reads the SIP headers of the call: those that Retell adds, ids of Twilio's that came with a call of a SIP trunk, and the
// customer's own. Letter case means nothing in the name of a header.
func (p *payload) readHeaders(r *wire.Reader) {
	for name := range r.Members() {
		switch separators.Replace(strings.ToLower(name)) {
		case "xretellaiorgid":
			p.agent.WorkspaceId = p.identify(readWord(r))
		case "xretellaicallid":
			p.sipCallID = readWord(r)
		case "xretellaidirection":
			p.sipDirection = readWord(r)
		case "xtwiliocallsid":
			p.addID("twilio.call_sid", readWord(r))
		case "xtwilioparentcallsid":
			p.addID("twilio.parent_call_sid", readWord(r))
		case "xtwilioaccountsid":
			p.call.AccountIds = p.withID(p.call.GetAccountIds(), "twilio.account_sid", readWord(r))
		default:
			p.attached = append(p.attached, r.NamedValue("custom_sip_headers."+name))
		}
	}
}

var separators = strings.NewReplacer("-", "", "_", "")

// prefixed returns values under names that tell them from the metadata, which a customer may have named alike.
func prefixed(member string, values []*callnormv1.NamedValue) []*callnormv1.NamedValue {
	for _, v := range values {
		v.Name = member + "." + v.GetName()
	}
	return values
}

func (p *payload) addID(system string, id word) {
	p.call.ExternalIds = p.withID(p.call.GetExternalIds(), system, id)
}

func (p *payload) withID(list []*callnormv1.ExternalId, system string, id word) []*callnormv1.ExternalId {
	return ids.With(list, system, p.identify(id))
}

// identify returns an id, unless a placeholder stands in its place: two deliveries with `[UUID]` are not one call.
func (p *payload) identify(id word) string {
	return p.notes.Usable(id.path, id.text)
}

// endpoint describes one side of a call, by a number or a SIP URI.
func endpoint(text string) *callnormv1.Endpoint {
	plain := strings.ToLower(strings.TrimSpace(text))
	if strings.HasPrefix(plain, "sip:") || strings.HasPrefix(plain, "sips:") {
		return &callnormv1.Endpoint{SipUri: text}
	}
	if number := phone.Parse(text); number != nil {
		return &callnormv1.Endpoint{Phone: number}
	}
	return nil
}
