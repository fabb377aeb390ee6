package twilio

import (
	"slices"
	"strings"

	"github.com/callnorm/callnorm/adapters/internal/phone"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// hidden holds what stands in the place of a number that the caller withheld: the keys under the letters of RESTRICTED, BLOCKED,
// UNKNOWN, ANONYMOUS and UNAVAILABLE. They are nobody's numbers.
var hidden = []string{"+7378742833", "+2562533", "+8656696", "+266696687", "+86282452253"}

// number reads a telephone number, or the word that stands in the place of one. A blank before digits is a plus that was put into a
// form without being encoded.
func number(text string) *callnormv1.PhoneNumber {
	sent := strings.TrimSpace(text)
	if strings.HasPrefix(text, " ") && sent != "" && strings.Trim(sent, "0123456789") == "" {
		sent = "+" + sent
	}
	if slices.Contains(hidden, sent) {
		return &callnormv1.PhoneNumber{AsReceived: text}
	}
	parsed := phone.Parse(sent)
	if parsed != nil {
		parsed.AsReceived = text
	}
	return parsed
}

// endpoint reads a party into an endpoint: a number or a word in the place of one, the address of a SIP phone, the name of a browser or app that is
// logged in (`client:jo`), or a number of WhatsApp. It returns by what medium such a party is connected, and the word for that.
func endpoint(party *callnormv1.Endpoint, text string) (*callnormv1.Endpoint, callnormv1.Channel, string) {
	if scheme, rest, found := strings.Cut(strings.TrimSpace(text), ":"); found {
		switch strings.ToLower(scheme) {
		case "sip", "sips":
			party.SipUri = text
			return party, callnormv1.Channel_CHANNEL_SIP, scheme
		case "client":
			party.Phone = &callnormv1.PhoneNumber{AsReceived: text}
			return party, callnormv1.Channel_CHANNEL_WEB, scheme
		case "whatsapp":
			if party.Phone = number(rest); party.GetPhone() != nil {
				party.Phone.AsReceived = text
				return party, callnormv1.Channel_CHANNEL_WHATSAPP, scheme
			}
		}
	}
	party.Phone = number(text)
	switch {
	case party.GetPhone() == nil:
		return nil, callnormv1.Channel_CHANNEL_UNSPECIFIED, ""
	case party.GetPhone().GetE164() == "":
		return party, callnormv1.Channel_CHANNEL_UNSPECIFIED, ""
	default:
		return party, callnormv1.Channel_CHANNEL_PHONE, ""
	}
}

// setParties reads who called whom, and says who of them is the contact. Of a leg that a <Dial> made that cannot be told: the
// contact may have been dialled, or somebody of ours for the contact.
func (p *payload) setParties(o *callnormv1.CallOutcome, made *parts) {
	o.DirectionRaw = p.direction
	o.Direction, o.DirectionMapping = directions.Find(p.notes, p.at("Direction"), p.direction)
	caller, callerChannel, callerWord := endpoint(&made.caller, p.party(&p.from))
	callee, calleeChannel, calleeWord := endpoint(&made.callee, p.party(&p.to))
	if p.callerName != "" {
		caller = &made.caller
		caller.DisplayName = p.callerName
	}
	switch {
	case p.attestation == "":
	case caller.GetPhone() == nil:
		p.notes.UnmappedText(p.at("StirVerstat"), p.attestation)
	default:
		caller.Phone.StirAttestation = p.attestation
	}
	p.setGeography(&p.from, caller.GetPhone())
	p.setGeography(&p.to, callee.GetPhone())
	o.Caller, o.Callee = caller, callee

	far, channel, word := caller, callerChannel, callerWord
	switch o.GetDirection() {
	case callnormv1.Direction_DIRECTION_INBOUND:
	case callnormv1.Direction_DIRECTION_OUTBOUND:
		far, channel, word = callee, calleeChannel, calleeWord
	default:
		far, channel = nil, callnormv1.Channel_CHANNEL_UNSPECIFIED
	}
	if channel != callnormv1.Channel_CHANNEL_UNSPECIFIED {
		o.Channel, o.ChannelRaw, o.ChannelMapping = channel, word, callnormv1.Mapping_MAPPING_HEURISTIC
	}
	if words.Plain(p.direction) != outboundDial {
		setContact(o, made, far)
	}
}

// setContact makes a contact of the party at the far end, if a number or a name tells who that is.
func setContact(o *callnormv1.CallOutcome, made *parts, far *callnormv1.Endpoint) {
	contact := &made.contact
	contact.DisplayName = far.GetDisplayName()
	if far.GetPhone().GetE164() != "" {
		contact.Phones = append(made.phones[:0], far.GetPhone())
	}
	if contact.GetDisplayName() != "" || len(contact.GetPhones()) > 0 {
		o.Contact = contact
	}
}

// party returns a side's party. The older copy is the same unless something is wrong.
func (p *payload) party(s *side) string {
	if s.party == "" {
		return s.copied
	}
	p.differs(s.copyName, s.copied, s.party)
	return s.party
}

// differs keeps a text that tells the same fact as another one which counts, if the two are not the same.
func (p *payload) differs(name, text, counts string) {
	if text != "" && text != counts {
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.at(name), "differs from another field that tells the same, which counts")
		p.notes.UnmappedText(p.at(name), text)
	}
}

// setGeography reads where a number belongs by its numbering plan. Nothing but the country has a place in an outcome, and the
// number itself tells that mostly; the rest is kept, but for the copies.
func (p *payload) setGeography(s *side, of *callnormv1.PhoneNumber) {
	for i, at := range s.places {
		part := strings.TrimPrefix(strings.TrimPrefix(at.name, s.copyName), s.name)
		told := func(other place) bool { return other.text == at.text && strings.HasSuffix(other.name, part) }
		switch {
		case slices.ContainsFunc(s.places[:i], told):
		case part == "Country" && of.GetE164() != "" && of.GetRegion() == at.text:
		case part == "Country" && of.GetE164() != "" && of.GetRegion() == "" && isRegion(at.text):
			of.Region = at.text
		default:
			p.notes.UnmappedText(p.at(at.name), at.text)
		}
	}
}

func isRegion(text string) bool {
	return len(text) == 2 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
