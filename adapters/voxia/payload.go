package voxia

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/phone"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// payload is the body of a webhook: the words that need a second look, and the call with all that needs none.
type payload struct {
	id, callID                           word // `callId` and `event` stand in the example of the page on signatures only
	webhookEvent, event                  word
	status, callStatus, postStatus, hung word
	reached                              word
	call                                 callnormv1.CallOutcome
	contact                              callnormv1.Contact
	campaign                             callnormv1.Campaign
	agent                                callnormv1.Agent
	disposition                          callnormv1.Disposition
	notes                                *wire.Notes
}

// word is a text and its place in the payload.
type word struct{ path, text string }

func readWord(r *wire.Reader) word {
	return word{path: r.Path(), text: wire.NotBlank(r.Word())}
}

// told says whether the body can be spoken of as a call of Voxia's. Only `id` and `status` are names that others use, too.
func (p *payload) told() bool {
	ours := p.webhookEvent.text + p.callStatus.text + p.postStatus.text + p.hung.text
	return ours != "" || p.id.text+p.callID.text != "" && p.status.text+p.event.text != ""
}

func (p *payload) read(r *wire.Reader) {
	p.notes = r.Notes()
	for name := range r.Members() {
		switch name {
		case "id":
			p.id = readWord(r)
		case "callId":
			p.callID = readWord(r)
		case "webhookEvent":
			p.webhookEvent = readWord(r)
		case "event":
			p.event = readWord(r)
		case "status":
			p.status = readWord(r)
		case "callStatus":
			p.callStatus = readWord(r)
		case "postProcessStatus":
			p.postStatus = readWord(r)
		case "hangUpReason":
			p.hung = readWord(r)
		case "createdAt": // "when the call was initiated": dialled, or put into the queue as NEW? So it is no dial_time
			p.call.CreateTime = r.Time(false)
		case "phoneFrom": // ours or the contact's: the direction is not told
			if number := phone.Parse(r.Text()); number != nil {
				p.call.Caller = &callnormv1.Endpoint{Phone: number}
			}
		case "duration":
			p.call.TalkDuration = r.Duration(time.Second)
		case "totalDuration":
			p.call.TotalDuration = r.Duration(time.Second)
		case "isTestCall":
			p.call.Test = r.Bool()
		case "contactStatus":
			p.readContactStatus(r)
		case "interested":
			p.readInterested(r)
		case "summary":
			p.readSummary(r)
		case "campaign":
			p.readCampaign(r)
		case "contact":
			p.readContact(r)
		case "twilio":
			p.readTwilio(r)
		case "organizationId":
			p.agent.WorkspaceId = p.identify(readWord(r))
		case "sessionId":
			p.addID("voxia.session_id", readWord(r))
		case "transcript":
			p.readTranscript(r)
		case "events":
			p.readEvents(r)
		case "variables": // version 1 only
			p.call.Variables = r.NamedValues()
		case "conversationFlow":
			for range r.Elements() {
				// Nothing says what is in it; the reader keeps each element.
			}
		case "webhookUrl", "slackUrl":
			r.Skip() // whoever knows them can post to them
		case "webhookEvents", "webhookStatuses":
			r.Skip() // what the campaign selected, not what happened
		}
	}
}

func (p *payload) readContactStatus(r *wire.Reader) {
	for name := range r.Members() {
		switch name {
		case "callMeLater":
			p.disposition.CallbackRequested = r.Bool()
		case "doNotCall":
			p.disposition.DoNotCall = r.Bool()
		case "wrongNumber":
			p.disposition.WrongNumber = r.Bool()
		}
	}
}

// readInterested reads an object, or the bare answer.
func (p *payload) readInterested(r *wire.Reader) {
	if kind := r.Kind(); kind == 't' || kind == 'f' {
		p.reached = readWord(r)
		return
	}
	for name := range r.Members() {
		switch name {
		case "description": // "The Interest Criteria defined by the user for the campaign."
			p.disposition.GoalDescription = r.Text()
		case "reached":
			p.reached = readWord(r)
		}
	}
}

// readSummary reads the key questions (https://docs.voxia.ai/using-voxia/key-questions): by name an object, or in version 1
// the answer.
func (p *payload) readSummary(r *wire.Reader) {
	for name := range r.Members() {
		field := &callnormv1.ExtractedField{Name: name, Source: "summary"}
		if r.Kind() == '{' {
			readQuestion(r, field)
		} else {
			field.Value = r.Value()
		}
		p.call.ExtractedFields = append(p.call.ExtractedFields, field)
	}
	slices.SortStableFunc(p.call.GetExtractedFields(), func(a, b *callnormv1.ExtractedField) int {
		return cmp.Compare(place(a), place(b))
	})
}

func readQuestion(r *wire.Reader, field *callnormv1.ExtractedField) {
	for name := range r.Members() {
		switch name {
		case "description":
			field.Question = r.Text()
		case "type":
			field.TypeRaw = r.Word()
		case "order":
			field.Order = r.Int()
		case "value":
			field.Value = r.Value()
		case "options":
			r.Skip() // the answers that the customer allows
		}
	}
}

// place returns where a question stands. Questions without a place come last, as they were sent.
func place(field *callnormv1.ExtractedField) int32 {
	if field.Order == nil {
		return math.MaxInt32
	}
	return field.GetOrder()
}

func (p *payload) readCampaign(r *wire.Reader) {
	for name := range r.Members() {
		switch name {
		case "id":
			p.campaign.Id = p.identify(readWord(r))
		case "name":
			p.campaign.DisplayName = p.displayName(r)
		}
	}
}

func (p *payload) readContact(r *wire.Reader) {
	for name := range r.Members() {
		switch name {
		case "id":
			p.contact.Id = p.identify(readWord(r))
		case "name":
			p.contact.DisplayName = p.displayName(r)
		case "phoneNumber":
			if number := phone.Parse(r.Text()); number != nil {
				p.contact.Phones = append(p.contact.Phones, number)
			}
		case "data": // whatever the customer's list of contacts has; only an e-mail address can be told by its name
			for _, value := range r.NamedValues() {
				text := value.GetValue().GetStringValue()
				if key := words.Plain(value.GetName()); strings.Contains(text, "@") && (key == "email" || key == "e_mail" || key == "email_address") {
					p.contact.Emails = append(p.contact.Emails, text)
				} else {
					p.contact.Attributes = append(p.contact.Attributes, value)
				}
			}
		}
	}
}

func (p *payload) readTwilio(r *wire.Reader) {
	for name := range r.Members() {
		switch name {
		case "accountSid":
			p.call.AccountIds = p.withID(p.call.GetAccountIds(), "twilio.account_sid", readWord(r))
		case "callSessionId":
			p.addID("twilio.call_sid", readWord(r))
		}
	}
}

func (p *payload) addID(system string, id word) {
	p.call.ExternalIds = p.withID(p.call.GetExternalIds(), system, id)
}

func (p *payload) withID(list []*callnormv1.ExternalId, system string, id word) []*callnormv1.ExternalId {
	if text := p.identify(id); text != "" {
		list = append(list, &callnormv1.ExternalId{System: system, Id: text})
	}
	return list
}

// identify returns an id, unless a placeholder stands in its place: two deliveries with `{callId}` are not one call.
func (p *payload) identify(id word) string {
	return p.notes.Usable(id.path, id.text)
}

// displayName reads a name, unless it is one of a template's. Less counts as a placeholder than for ids: somebody may be called
// Null, and a campaign [Test].
func (p *payload) displayName(r *wire.Reader) string {
	w := word{path: r.Path(), text: r.Text()}
	bare := strings.TrimPrefix(strings.TrimSpace(w.text), "$")
	if !strings.HasPrefix(bare, "{") || !strings.HasSuffix(bare, "}") {
		return w.text
	}
	return p.notes.Usable(w.path, w.text)
}

// roles holds the roles that are not the agent's. The agent goes by the name of its brand, which is another under a white label,
// so any other word is its own; "user" is the contact under all of them. The others are not documented, but stand for the same
// with every language model.
var roles = words.Table[callnormv1.ParticipantRole]{Documented: map[string]callnormv1.ParticipantRole{
	"user":     callnormv1.ParticipantRole_PARTICIPANT_ROLE_CUSTOMER,
	"human":    callnormv1.ParticipantRole_PARTICIPANT_ROLE_CUSTOMER,
	"system":   callnormv1.ParticipantRole_PARTICIPANT_ROLE_SYSTEM,
	"tool":     callnormv1.ParticipantRole_PARTICIPANT_ROLE_TOOL,
	"function": callnormv1.ParticipantRole_PARTICIPANT_ROLE_TOOL,
}}

// readTranscript reads who said what.
func (p *payload) readTranscript(r *wire.Reader) {
	t := &callnormv1.Transcript{Source: "transcript"}
	var turns wire.Room[callnormv1.TranscriptTurn]
	for range r.Elements() {
		turn := turns.New()
		for name := range r.Members() {
			switch name {
			case "role":
				turn.RoleRaw = r.Word()
			case "content":
				turn.Text = r.Text()
			}
		}
		role, _, known := roles.Known(turn.GetRoleRaw())
		switch {
		case turn.GetRoleRaw() == "" && turn.GetText() == "":
			continue
		case known:
			turn.Role = role
		case turn.GetRoleRaw() != "":
			turn.Role = callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT
		}
		t.Turns = append(wire.Roomy(t.GetTurns()), turn)
	}
	if len(t.GetTurns()) > 0 {
		p.call.Transcript = t
	}
}

// readEvents reads what happened beside the conversation. The documentation lists "FORWARDED CALL", its example and the
// OpenAPI file have FORWARD; `data` may be missing.
func (p *payload) readEvents(r *wire.Reader) {
	for range r.Elements() {
		kind, data := word{}, func(func(*wire.Reader)) {}
		for name := range r.Members() {
			switch name {
			case "type":
				kind = readWord(r)
			case "data":
				data = r.Later()
			}
		}
		switch words.Plain(kind.text) {
		case "sms":
			message := &callnormv1.Message{
				Direction: callnormv1.Direction_DIRECTION_OUTBOUND, Channel: callnormv1.Channel_CHANNEL_SMS,
			}
			data(func(r *wire.Reader) { p.readMessage(r, message) })
			p.call.Messages = append(p.call.Messages, message)
		case "forward", "forwarded_call":
			transfer := &callnormv1.Transfer{KindRaw: kind.text}
			data(func(r *wire.Reader) { readTransfer(r, transfer) })
			p.call.Transfers = append(p.call.Transfers, transfer)
		case "meeting":
			meeting := &callnormv1.Meeting{}
			data(func(r *wire.Reader) { readMeeting(r, meeting, "") })
			p.call.Meetings = append(p.call.Meetings, meeting)
		default:
			if kind.text != "" {
				p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, kind.path, "the word is not known to this version")
				p.notes.UnmappedText(kind.path, kind.text)
			}
			data((*wire.Reader).Keep)
		}
	}
}

func (p *payload) readMessage(r *wire.Reader, m *callnormv1.Message) {
	for name := range r.Members() {
		switch name {
		case "smsSid":
			m.Id = p.identify(readWord(r))
		case "sent": // true beside the status "queued": handed over, not delivered
			m.Sent = r.Bool()
		case "status":
			m.StatusRaw = r.Text()
		case "sentAt": // no time of the call: in the documentation's example it lies eight months behind it
			m.SendTime = r.Time(false)
		case "sentFrom":
			m.Sender = phone.Parse(r.Text())
		case "sentTo":
			m.Recipient = phone.Parse(r.Text())
		case "text":
			m.Text = r.Text()
		case "uri":
			m.Uri = p.identify(readWord(r))
		}
	}
}

func readTransfer(r *wire.Reader, t *callnormv1.Transfer) {
	for name := range r.Members() {
		switch name {
		case "phoneNumber":
			if number := phone.Parse(r.Text()); number != nil {
				t.Target = &callnormv1.Endpoint{Phone: number}
			}
		case "contactAsCallerId":
			t.ContactAsCallerId = r.Bool()
		}
	}
}

// readMeeting reads what is only described: "Data regarding slot booked, date sent and destination email." What name and value
// make plain is taken, and the rest kept by name.
func readMeeting(r *wire.Reader, m *callnormv1.Meeting, prefix string) {
	for name := range r.Members() {
		if r.Kind() == '{' {
			readMeeting(r, m, prefix+name+".")
			continue
		}
		value := r.Value()
		text := value.GetStringValue()
		at := moment(text)
		switch strings.ReplaceAll(words.Plain(name), "_", "") {
		case "slot", "slotbooked", "start", "starttime", "startat", "startsat", "startdate", "date", "datetime":
			if at != nil && m.GetStartTime() == nil {
				m.StartTime = at
				continue
			}
		case "end", "endtime", "endat", "endsat", "enddate":
			if at != nil && m.GetEndTime() == nil {
				m.EndTime = at
				continue
			}
		case "sentat", "datesent", "sentdate", "senddate":
			if at != nil && m.GetSendTime() == nil {
				m.SendTime = at
				continue
			}
		case "email", "destinationemail", "sentto":
			if strings.Contains(text, "@") && m.GetEmail() == "" {
				m.Email = text
				continue
			}
		}
		m.Details = append(m.Details, &callnormv1.NamedValue{Name: prefix + name, Value: value})
	}
}

// moment reads a time that says where on Earth it holds.
func moment(text string) *timestamppb.Timestamp {
	t, err := time.Parse(time.RFC3339, text)
	if at := timestamppb.New(t); err == nil && at.IsValid() {
		return at
	}
	return nil
}
