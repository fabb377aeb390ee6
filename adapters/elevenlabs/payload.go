package elevenlabs

import (
	"slices"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/ids"
	"github.com/callnorm/callnorm/adapters/internal/phone"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// payload is the body of a webhook, or a record of the API.
type payload struct {
	event     word
	enveloped bool     // it has data
	beside    []string // names of what stands at the top of a body and belongs to no envelope
	record    record
}

// word is a text and its place in the payload.
type word struct{ path, text string }

func readWord(r *wire.Reader) word {
	return word{path: r.Path(), text: wire.NotBlank(r.Word())}
}

// record is what a delivery tells about one conversation: the words that need a second look, and the call with all that needs none.
type record struct {
	id, status    word
	told          bool           // it has a part of a report on a conversation
	audio         jsontext.Value // the recording, a part of the body
	audioPath     string
	userID        word
	initialUserID word // what the conversation began with
	agentID       word
	call          callnormv1.CallOutcome
	contact       callnormv1.Contact
	campaign      callnormv1.Campaign
	agent         callnormv1.Agent
	recording     *callnormv1.Recording
	hasAudio      bool
	audioFlags    [len(audioKinds)]word // the names of those that are set
	termination   word
	failed        fault
	language      string
	phone         line
	channel       channel
	usedVoicemail bool
	usedTransfer  bool
	turnRoom      wire.Room[callnormv1.TranscriptTurn]
	turns         []*callnormv1.TranscriptTurn
	turnsPath     string
	tools         tools
	analysis      analysis
	failure       failure
	notes         *wire.Notes
}

// fault is the error that a report tells.
type fault struct {
	code, reason string
	kind         word
}

func (f fault) told() bool { return f.code+f.reason+f.kind.text != "" }

// line is the telephone call behind a conversation, or the thread of messages.
type line struct {
	direction    word
	kind         word
	ours, theirs *callnormv1.Endpoint
	oursPath     string
	callSID      word
	callID       word
	streamSID    word
	numberID     word
	// What the variables of the conversation tell: the calling and the called side, whoever that is.
	from, to    string
	variableSID word
}

// channel is what tells by what medium a conversation was held.
type channel struct {
	source        word
	authorization word
	textOnly      *bool
	phone         bool
	whatsApp      bool
	sms           bool
}

func (p *payload) read(r *wire.Reader) {
	p.record.notes = r.Notes()
	for name := range r.Members() {
		switch name {
		case "type":
			p.event = readWord(r)
		case "event_timestamp":
			p.record.call.EventTime = readTime(r)
		case "data":
			p.enveloped = true
			for name := range r.Members() {
				p.record.member(r, name)
			}
		default:
			p.beside = append(p.beside, name)
			leave(r)
		}
	}
}

func (p *payload) readRecord(r *wire.Reader) {
	p.record.notes = r.Notes()
	for name := range r.Members() {
		switch name {
		case "type":
			p.event = readWord(r)
		case "event_timestamp":
			p.record.call.EventTime = readTime(r)
		default:
			p.record.member(r, name)
		}
	}
}

// bare tells whether the body may be a record of the API, which has no envelope, or a webhook that somebody has unpacked.
func (p *payload) bare() bool {
	return !p.enveloped && slices.Contains(p.beside, "conversation_id")
}

// asksForVariables tells whether the body is what ElevenLabs sends when an inbound call begins, to be told the variables of the
// conversation.
func (p *payload) asksForVariables() bool {
	return !p.enveloped && p.event.text == "" && slices.Contains(p.beside, "caller_id") && slices.Contains(p.beside, "called_number")
}

// leave leaves a value that has no place in the outcome to the reader, which keeps it, unless it tells nothing: null, or an object or
// a list without content. Reports name every feature that the platform has, most of them with such values.
func leave(r *wire.Reader) {
	switch r.Kind() {
	case 'n':
		r.Skip()
	case '{', '[':
		empty := true
		r.Peek(func(r *wire.Reader) {
			if r.Kind() == '{' {
				for range r.Members() {
					empty = false
					r.Skip()
				}
				return
			}
			for range r.Elements() {
				empty = false
				r.Skip()
			}
		})
		if empty {
			r.Skip()
		}
	}
}

// leaveFlag leaves a flag to the reader if it is set. One that is not says that nothing out of the ordinary happened.
func leaveFlag(r *wire.Reader) {
	if r.Kind() == 'f' {
		r.Skip()
		return
	}
	leave(r)
}

// readTime reads a moment. The beginning of 1970 is no moment of a call, but a number that nobody has set.
func readTime(r *wire.Reader) *timestamppb.Timestamp {
	t := r.Time(false)
	if t.GetSeconds() == 0 && t.GetNanos() == 0 {
		return nil
	}
	return t
}

// member reads one member of the data of a webhook, whatever its event: the events share names, and have no name for two things.
func (c *record) member(r *wire.Reader, name string) {
	switch name {
	case "conversation_id":
		c.id = readWord(r)
	case "status":
		c.tell(r)
		c.status = readWord(r)
	case "user_id":
		c.userID = readWord(r)
	case "agent_id":
		c.agentID = readWord(r)
	case "agent_name":
		c.agent.DisplayName = r.Text()
	case "version_id":
		c.agent.Version = r.Text()
	case "branch_id":
		c.addRelated("elevenlabs.branch_id", readWord(r))
	case "environment":
		c.agent.Environment = r.Text()
	case "visited_agents":
		for range r.Elements() {
			c.readAgent(r)
		}
	case "transcript":
		c.tell(r)
		c.readTranscript(r)
	case "metadata":
		c.readMetadata(r)
	case "analysis":
		c.tell(r)
		c.analysis.read(r, c.notes)
	case "conversation_initiation_client_data":
		c.readClientData(r)
	case "has_audio", "has_user_audio", "has_response_audio", "has_auxiliary_audio":
		c.readAudioFlag(r, name)
	case fullAudio:
		if c.audioPath = r.Path(); r.Kind() == '"' {
			c.audio = r.Raw()
		} else {
			leave(r)
		}
	case "failure_reason":
		c.failure.told = r.Kind() != 'n'
		c.failure.reason = readWord(r)
	default:
		leave(r)
	}
}

// tell notes that the record has a part of a report.
func (c *record) tell(r *wire.Reader) { c.told = c.told || r.Kind() != 'n' }

// fits tells whether there is anything in the record that its event is about.
func (c *record) fits(s shape) bool {
	switch s {
	case shapeReport:
		return c.told
	case shapeFailure:
		return c.failure.told || c.failure.carrierTold
	default:
		return c.audio != nil || c.id.text != ""
	}
}

// shape tells the event from the contents alone.
func (c *record) shape() shape {
	for _, s := range []shape{shapeFailure, shapeReport} {
		if c.fits(s) {
			return s
		}
	}
	if c.audio != nil {
		return shapeAudio
	}
	return 0
}

// audioKinds holds the flags that tell what kinds of audio ElevenLabs has, in the order in which they are told.
var audioKinds = [...]string{"has_audio", "has_user_audio", "has_response_audio", "has_auxiliary_audio"}

// readAudioFlag reads what kinds of audio ElevenLabs has. Set ones are told with the recording.
func (c *record) readAudioFlag(r *wire.Reader, name string) {
	if r.Kind() != 't' {
		if name == "has_audio" {
			leave(r)
		} else {
			leaveFlag(r)
		}
		return
	}
	c.hasAudio = c.hasAudio || name == "has_audio"
	c.audioFlags[slices.Index(audioKinds[:], name)] = word{r.Path(), name}
	r.Skip()
}

// readAgent reads a reference to an agent.
func (c *record) readAgent(r *wire.Reader) {
	for name := range r.Members() {
		switch name {
		case "agent_id":
			c.addAgent(r.Word())
		case "workflow_node_id":
			path := c.agent.GetNodePath()
			if node := r.Word(); node != "" && (len(path) == 0 || path[len(path)-1] != node) {
				c.agent.NodePath = append(c.agent.NodePath, node)
			}
		case "branch_id", "version_id":
			if r.Kind() == '"' {
				c.addRelated("elevenlabs."+name, readWord(r))
			} else {
				leave(r)
			}
		default:
			leave(r)
		}
	}
}

// addAgent adds an agent that took part. Which of them is the conversation's own, the outcome sorts out.
func (c *record) addAgent(id string) {
	if strings.TrimSpace(id) != "" && !slices.Contains(c.agent.GetOtherAgents(), id) {
		c.agent.OtherAgents = append(c.agent.OtherAgents, id)
	}
}

// readMetadata reads the metadata of a report, or of a call that did not come about.
func (c *record) readMetadata(r *wire.Reader) {
	for name := range r.Members() {
		switch name {
		case "type", "body":
			c.failure.member(r, name)
		default:
			c.tell(r)
			c.readReportMetadata(r, name)
		}
	}
}

func (c *record) readReportMetadata(r *wire.Reader, name string) {
	switch name {
	case "start_time_unix_secs":
		c.call.StartTime = readTime(r)
	case "accepted_time_unix_secs":
		c.call.AnswerTime = readTime(r)
	case "call_duration_secs":
		c.call.TotalDuration = r.Duration(time.Second)
	case "timezone":
		c.call.TimeZone = r.Text()
	case "cost":
		if credits := r.Decimal(0); credits != "" {
			c.cost().Credits = credits
		}
	case "cost_fiat":
		if total := r.Money(dollars, 0); total != nil {
			c.cost().Total = total
		}
	case "charging":
		c.readCharging(r)
	case "phone_call":
		c.channel.phone = r.Kind() == '{'
		c.readLine(r)
	case "whatsapp":
		c.channel.whatsApp = r.Kind() == '{'
		c.readLine(r)
	case "sms":
		c.channel.sms = r.Kind() == '{'
		c.readLine(r)
	case "batch_call":
		for name := range r.Members() {
			switch name {
			case "batch_call_id":
				c.campaign.Id = c.usable(readWord(r))
			case "batch_call_recipient_id":
				c.campaign.RecordId = c.usable(readWord(r))
			}
		}
	case "termination_reason":
		c.termination = readWord(r)
	case "error":
		c.readError(r)
	case "warnings":
		c.analysis.remarks = append(c.analysis.remarks, r.Texts()...)
	case "main_language":
		c.language = r.Word()
	case "conversation_initiation_source":
		c.channel.source = readWord(r)
	case "authorization_method":
		c.channel.authorization = readWord(r)
	case "text_only":
		c.channel.textOnly = r.Bool()
	case "features_usage":
		c.readFeatures(r, "")
	case "feedback":
		c.analysis.readFeedback(r)
	case "deletion_settings":
		for name := range r.Members() {
			if strings.HasPrefix(name, "deleted_") {
				leave(r) // when something was deleted
			} else {
				r.Skip() // what the workspace wants to be deleted, and when
			}
		}
	default:
		leave(r)
	}
}

// readLine reads the telephone call, or what there is of it where the conversation was held in messages.
func (c *record) readLine(r *wire.Reader) {
	for name := range r.Members() {
		switch name {
		case "type":
			c.phone.kind = readWord(r)
		case "direction":
			c.phone.direction = readWord(r)
		case "agent_number", "agent_phone_number":
			c.phone.oursPath = r.Path()
			c.phone.ours = readEndpoint(r)
		case "external_number", "sms_user_phone_number":
			c.phone.theirs = readEndpoint(r)
		case "whatsapp_user_id":
			c.contact.Id = r.Text()
		case "phone_number_id", "whatsapp_phone_number_id":
			c.phone.numberID = readWord(r)
		case "call_sid":
			c.phone.callSID = readWord(r)
		case "call_id":
			c.phone.callID = readWord(r)
		case "stream_sid":
			c.phone.streamSID = readWord(r)
		case "sip_header_dynamic_variables":
			c.readVariables(r)
		default:
			leave(r)
		}
	}
}

// readEndpoint reads a number, or a SIP URI. A number that is no text has lost its plus.
func readEndpoint(r *wire.Reader) *callnormv1.Endpoint {
	parse := phone.Parse
	if r.Kind() == '0' {
		parse = phone.ParseInternational
	}
	text := r.Text()
	if plain := strings.ToLower(strings.TrimSpace(text)); strings.HasPrefix(plain, "sip:") || strings.HasPrefix(plain, "sips:") {
		return &callnormv1.Endpoint{SipUri: text}
	}
	if number := parse(text); number != nil {
		return &callnormv1.Endpoint{Phone: number}
	}
	return nil
}

// readError reads the error, in old reports also a bare text.
func (c *record) readError(r *wire.Reader) {
	if r.Kind() != '{' {
		c.failed.reason = r.Text()
		return
	}
	for name := range r.Members() {
		switch name {
		case "code":
			c.failed.code = r.Text()
		case "reason":
			c.failed.reason = r.Text()
		case "error_type":
			c.failed.kind = readWord(r)
		default:
			leave(r)
		}
	}
}

// readFeatures reads which features were used. That one is enabled says nothing about this conversation.
func (c *record) readFeatures(r *wire.Reader, feature string) {
	if r.Kind() != '{' {
		leaveFlag(r)
		return
	}
	for name := range r.Members() {
		switch {
		case name == "enabled":
			r.Skip()
		case name != "used":
			c.readFeatures(r, name)
		case feature == voicemailTool && r.Kind() == 't':
			r.Skip()
			c.usedVoicemail = true
		case feature == transferToNumber && r.Kind() == 't':
			r.Skip()
			c.usedTransfer = true
		default:
			leaveFlag(r)
		}
	}
}

// readClientData reads what the conversation began with.
func (c *record) readClientData(r *wire.Reader) {
	for name := range r.Members() {
		switch name {
		case "dynamic_variables":
			c.readVariables(r)
		case "custom_llm_extra_body":
			for name := range r.Members() {
				if words.Credential(name) {
					r.Skip()
				} else {
					c.call.Metadata = append(c.call.Metadata, r.NamedValue(name))
				}
			}
		case "user_id":
			c.initialUserID = readWord(r)
		case "conversation_config_override":
			r.Skip() // how the agent was set up for this conversation
		case "source_info":
			for range r.Members() {
				leave(r)
			}
		default:
			leave(r)
		}
	}
}

// readVariables reads the variables of the conversation. Those that prove something, such as secret__ ones, are there for
// the headers of requests.
func (c *record) readVariables(r *wire.Reader) {
	for name := range r.Members() {
		if words.Credential(name) {
			r.Skip()
			continue
		}
		path := r.Path()
		named := r.NamedValue(name)
		c.call.Variables = append(c.call.Variables, named)
		switch text := strings.TrimSpace(named.GetValue().GetStringValue()); name {
		case "system__caller_id":
			c.phone.from = text
		case "system__called_number":
			c.phone.to = text
		case "system__call_sid":
			c.phone.variableSID = word{path, text}
		}
	}
}

// usable returns an id, unless a placeholder stands in its place.
func (c *record) usable(id word) string { return c.notes.Usable(id.path, id.text) }

func (c *record) addExternal(system string, id word) {
	c.call.ExternalIds = c.withID(c.call.GetExternalIds(), system, id)
}

func (c *record) addRelated(system string, id word) {
	c.call.RelatedIds = c.withID(c.call.GetRelatedIds(), system, id)
}

// withID adds an id to a list that does not have it yet.
func (c *record) withID(list []*callnormv1.ExternalId, system string, id word) []*callnormv1.ExternalId {
	return ids.With(list, system, c.usable(id))
}

// carrierOf names the kind of a carrier's call id: by the type of the call, or by the id's form. SIP calls run through LiveKit, whose
// ids begin with SCL_.
func carrierOf(kind, id string) string {
	if carrier, _, ok := carriers.Known(kind); ok {
		return carrier + ".call_sid"
	}
	if strings.HasPrefix(id, "SCL_") {
		return "livekit.sip_call_id"
	}
	if ids.IsTwilioSID("CA", id) {
		return "twilio.call_sid"
	}
	return "carrier.call_sid"
}

// differs keeps a text that tells the same fact as another one which counts, if the two are not the same.
func (c *record) differs(w word, counts string) {
	if w.text != "" && words.Plain(w.text) != words.Plain(counts) {
		c.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, w.path, "differs from another field that tells the same, which counts")
		c.notes.UnmappedText(w.path, w.text)
	}
}
