// Package address tells by which addresses a person is found again: telephone numbers and e-mail addresses, each in one canonical
// form.
package address

import (
	"errors"
	"slices"
	"strings"
	"unicode"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/mention"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// A number of E.164 has at most 15 digits. The shortest that is in use with its country code has 7.
	minDigits, maxDigits = 7, 15
	// maxEmail is the longest path that SMTP transports, without its angle brackets.
	maxEmail = 254
)

// ErrNoAddress says what an address looks like. It does not repeat the text, which may be about a person.
var ErrNoAddress = errors.New("neither a telephone number in E.164 form, such as +442079460123 " +
	"(a plus, the country code and the number: 7 to 15 digits), nor an e-mail address, such as jo@example.com")

// Parse returns the canonical form of an address: a plus and 7 to 15 digits, or an e-mail address in small letters.
func Parse(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, "+"):
		if digits, ok := mention.Digits(text); ok && len(digits) >= minDigits && len(digits) <= maxDigits && digits[0] != '0' {
			return "+" + digits, nil
		}
	case isEmail(text):
		return mention.Fold(text), nil
	}
	return "", ErrNoAddress
}

func isEmail(text string) bool {
	local, domain, ok := strings.Cut(text, "@")
	return ok && local != "" && len(text) <= maxEmail && strings.Contains(domain, ".") && !strings.Contains(domain, "..") &&
		!strings.HasPrefix(domain, ".") && !strings.HasSuffix(domain, ".") && !strings.ContainsFunc(text, outsideEmail) &&
		!strings.ContainsAny(domain, "@+%_")
}

// outsideEmail tells which characters end an address in running text. Some of them may stand in a quoted local part, which nobody uses.
func outsideEmail(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar || strings.ContainsRune(`"'(),:;<>[\]/?=&{}|`, r)
}

// Of returns all addresses by which a person is found again in what an outcome says, sorted, each once: of numbers, e-mail
// addresses and SIP URIs anywhere, and of values that hold an address and nothing else. Addresses in the middle of a text, such as
// a transcript, are not among them.
func Of(call *callnormv1.CallOutcome) []string {
	var f finder
	f.outcome(call)
	slices.Sort(f.found)
	return slices.Compact(f.found)
}

// finder looks for the addresses in an outcome, wherever there may be one. Reflection would take four times as long.
type finder struct{ found []string }

// take adds a text that is an address as a whole.
func (f *finder) take(text string) {
	if address, err := Parse(text); err == nil {
		f.found = append(f.found, address)
	}
}

func (f *finder) outcome(call *callnormv1.CallOutcome) {
	f.endpoint(call.GetCaller())
	f.endpoint(call.GetCallee())
	f.phone(call.GetDivertedFrom())
	f.phone(call.GetDisposition().GetCallbackNumber())
	f.contact(call.GetContact())
	for _, leg := range call.GetLegs() {
		f.endpoint(leg.GetCaller())
		f.endpoint(leg.GetCallee())
	}
	for _, participant := range call.GetParticipants() {
		f.take(participant.GetEmail())
		f.endpoint(participant.GetEndpoint())
	}
	for _, transfer := range call.GetTransfers() {
		f.endpoint(transfer.GetTarget())
	}
	for _, message := range call.GetMessages() {
		f.phone(message.GetSender())
		f.phone(message.GetRecipient())
	}
	for _, meeting := range call.GetMeetings() {
		f.take(meeting.GetEmail())
		f.named(meeting.GetDetails())
	}
	for _, field := range call.GetExtractedFields() {
		f.value(field.GetValue())
	}
	for _, evaluation := range call.GetEvaluations() {
		f.value(evaluation.GetValue())
	}
	f.named(call.GetVariables())
	f.named(call.GetMetadata())
	for _, field := range call.GetProvenance().GetUnmapped() {
		f.json(field.GetValueJson()) // The adapter had no place for it, which makes it nobody else's.
	}
}

func (f *finder) contact(contact *callnormv1.Contact) {
	for _, phone := range contact.GetPhones() {
		f.phone(phone)
	}
	for _, email := range contact.GetEmails() {
		f.take(email)
	}
	f.named(contact.GetAttributes())
}

func (f *finder) endpoint(endpoint *callnormv1.Endpoint) {
	f.take(user(endpoint.GetSipUri()))
	f.phone(endpoint.GetPhone())
}

func (f *finder) phone(phone *callnormv1.PhoneNumber) {
	f.take(phone.GetE164())
	if phone.GetE164() == "" {
		f.take(phone.GetAsReceived()) // A number that no country assigns is still somebody's, or a SIP URI.
		f.take(user(phone.GetAsReceived()))
	}
}

func (f *finder) named(values []*callnormv1.NamedValue) {
	for _, named := range values {
		f.value(named.GetValue())
	}
}

func (f *finder) value(value *callnormv1.Value) {
	f.take(value.GetStringValue())
	f.take(user(value.GetStringValue()))
	f.json(value.GetJsonValue())
}

// json takes the texts of a JSON text, and of one that is broken those before it breaks.
func (f *finder) json(text string) {
	if !strings.ContainsAny(text, `+@%\`) {
		return // Most have nothing that an address could be made of.
	}
	decoder := jsontext.NewDecoder(strings.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		token, err := decoder.ReadToken()
		if err != nil {
			return
		}
		if token.Kind() == jsontext.KindString {
			f.take(token.String())
			f.take(user(token.String()))
		}
	}
}

// user returns the address that a SIP or telephone URI stands for: the number where its user part is one, the user at the host
// otherwise. It is empty for any other text.
func user(uri string) string {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(uri), ":")
	switch {
	case !ok:
		return ""
	case strings.EqualFold(scheme, "sip"), strings.EqualFold(scheme, "sips"), strings.EqualFold(scheme, "tel"):
	default:
		return ""
	}
	rest, _, _ = strings.Cut(rest, "?")
	name, host, _ := strings.Cut(rest, "@")
	name, _, _ = strings.Cut(name, ";")
	if name = strings.ReplaceAll(strings.ReplaceAll(name, "%2B", "+"), "%2b", "+"); strings.HasPrefix(name, "+") {
		return name
	}
	host, _, _ = strings.Cut(host, ";")
	host, _, _ = strings.Cut(host, ":") // the port
	return name + "@" + host
}
