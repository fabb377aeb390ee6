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
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
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
	var list []string
	collect(call.ProtoReflect(), func(text string) {
		if address, err := Parse(text); err == nil {
			list = append(list, address)
		}
	})
	slices.Sort(list)
	return slices.Compact(list)
}

// collect calls take for each text below a message that may be an address as a whole.
func collect(m protoreflect.Message, take func(text string)) {
	switch e := m.Interface().(type) {
	case *callnormv1.PhoneNumber:
		take(e.GetE164())
		if e.GetE164() == "" {
			take(e.GetAsReceived()) // A number that no country assigns is still somebody's, or a SIP URI.
			take(user(e.GetAsReceived()))
		}
	case *callnormv1.Value:
		take(e.GetStringValue())
		take(user(e.GetStringValue()))
		collectJSON(e.GetJsonValue(), take)
	case *callnormv1.UnmappedField:
		// The adapter had no place for it, which makes it nobody else's.
		collectJSON(e.GetValueJson(), take)
	default:
		switch e := e.(type) {
		case *callnormv1.Endpoint:
			take(user(e.GetSipUri()))
		case *callnormv1.Contact:
			for _, email := range e.GetEmails() {
				take(email)
			}
		case *callnormv1.Participant:
			take(e.GetEmail())
		case *callnormv1.Meeting:
			take(e.GetEmail())
		}
		for _, field := range leading[m.Descriptor()] {
			switch {
			case !m.Has(field):
			case field.IsList():
				for list, i := m.Get(field).List(), 0; i < list.Len(); i++ {
					collect(list.Get(i).Message(), take)
				}
			default:
				collect(m.Get(field).Message(), take)
			}
		}
	}
}

// leading lists the fields of messages below which there may be an address. Looking at all others would take most of the time.
var leading = func() map[protoreflect.MessageDescriptor][]protoreflect.FieldDescriptor {
	list := make(map[protoreflect.MessageDescriptor][]protoreflect.FieldDescriptor)
	lead((&callnormv1.CallOutcome{}).ProtoReflect().Descriptor(), list)
	return list
}()

// lead adds the fields of a message and of those below it, and tells whether there may be an address in any. None is below itself.
func lead(message protoreflect.MessageDescriptor, list map[protoreflect.MessageDescriptor][]protoreflect.FieldDescriptor) (leads bool) {
	switch message.FullName() {
	case nameOf[*callnormv1.Transcript]():
		return false // Texts alone, and as many as there were words.
	case nameOf[*callnormv1.PhoneNumber](), nameOf[*callnormv1.Value](), nameOf[*callnormv1.UnmappedField](),
		nameOf[*callnormv1.Endpoint](), nameOf[*callnormv1.Contact](), nameOf[*callnormv1.Participant](), nameOf[*callnormv1.Meeting]():
		leads = true
	}
	if known, ok := list[message]; ok {
		return leads || len(known) > 0
	}
	var fields []protoreflect.FieldDescriptor
	for i := range message.Fields().Len() {
		if field := message.Fields().Get(i); field.Message() != nil && !field.IsMap() && lead(field.Message(), list) {
			fields = append(fields, field)
		}
	}
	list[message] = fields
	return leads || len(fields) > 0
}

func nameOf[M proto.Message]() protoreflect.FullName {
	var message M
	return message.ProtoReflect().Descriptor().FullName()
}

// collectJSON takes the texts of a JSON text, and of one that is broken those before it breaks.
func collectJSON(text string, take func(text string)) {
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
			take(token.String())
			take(user(token.String()))
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
