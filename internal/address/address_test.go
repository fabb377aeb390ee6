package address_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/address"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"a number":                            {"+4930123456", "+4930123456"},
		"a number with separators":            {" +49 (30) 123-456.7 ", "+49301234567"},
		"a number with a zero not dialled":    {"+49 (0)30 123456", "+4930123456"},
		"a short number":                      {"+6834000", "+6834000"},
		"too short":                           {"+683400", ""},
		"too long":                            {"+1234567890123456", ""},
		"a country code begins with no zero":  {"+049301234567", ""},
		"without a plus":                      {"4930123456", ""},
		"with letters":                        {"+1800FLOWERS", ""},
		"two pluses":                          {"++4930123456", ""},
		"an e-mail address":                   {" Jo.Meier+x@Example.COM ", "jo.meier+x@example.com"},
		"a domain alone":                      {"@example.com", ""},
		"a domain without a dot":              {"jo@localhost", ""},
		"a domain that ends with a dot":       {"jo@example.com.", ""},
		"a domain with an empty part":         {"jo@example..com", ""},
		"two ats":                             {"jo@example.com@example.com", ""},
		"a name beside it":                    {"Jo <jo@example.com>", ""},
		"more than one":                       {"jo@example.com,al@example.com", ""},
		"a SIP URI":                           {"sip:jo@example.com", ""},
		"an address far too long":             {strings.Repeat("a", 300) + "@example.com", ""},
		"nothing":                             {"", ""},
		"bytes that are no text":              {"jo\xff@example.com", ""},
		"an e-mail address in other letters":  {"JÖRG@BÜCHER.example", "jörg@bücher.example"},
		"an e-mail address of digits":         {"4930123456@example.com", "4930123456@example.com"},
		"an e-mail address beginning a plus":  {"+jo@example.com", ""},
		"a number, then a carrier's address":  {"+4930123456@example.com", ""},
		"a number and an extension":           {"+4930123456 ext. 5", ""},
		"a number with a dash of typesetters": {"+49\u00a030\u2013123456", "+4930123456"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := address.Parse(test.text)
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("got %q and %v, want %q", got, err, test.want)
			}
			if err != nil && !errors.Is(err, address.ErrNoAddress) {
				t.Errorf("another error: %v", err)
			}
		})
	}
}

func text(s string) *callnormv1.Value {
	return &callnormv1.Value{Kind: &callnormv1.Value_StringValue{StringValue: s}}
}

func TestOf(t *testing.T) {
	t.Parallel()
	number := func(e164 string) *callnormv1.PhoneNumber {
		return &callnormv1.PhoneNumber{AsReceived: "as received", E164: e164}
	}
	for name, test := range map[string]struct {
		call *callnormv1.CallOutcome
		want []string
	}{
		"nothing": {call: &callnormv1.CallOutcome{}},
		"numbers anywhere, sorted, each once": {
			call: &callnormv1.CallOutcome{
				Caller: &callnormv1.Endpoint{Phone: number("+4930000003")}, DivertedFrom: number("+4930000001"),
				Contact:     &callnormv1.Contact{Phones: []*callnormv1.PhoneNumber{number("+4930000002"), number("+4930000003")}},
				Messages:    []*callnormv1.Message{{Sender: number("+4930000004")}},
				Legs:        []*callnormv1.CallLeg{{Callee: &callnormv1.Endpoint{Phone: number("+4930000005")}}},
				Disposition: &callnormv1.Disposition{CallbackNumber: number("+4930000006")},
			},
			want: []string{"+4930000001", "+4930000002", "+4930000003", "+4930000004", "+4930000005", "+4930000006"},
		},
		"what no adapter has a place for": {
			call: &callnormv1.CallOutcome{Provenance: &callnormv1.Provenance{Unmapped: []*callnormv1.UnmappedField{
				{Path: "second_target", ValueJson: `"+4930000001"`}, {Path: "more", ValueJson: `{"a":["Jo@Example.com",{"b":"sip:%2B4930000002@example.com"}]}`},
				{Path: "escaped", ValueJson: `"\u002b4930000003"`}, {Path: "of something else", ValueJson: `["49300000", 5, "call +4930000004 now", null]`},
			}}},
			want: []string{"+4930000001", "+4930000002", "+4930000003", "jo@example.com"},
		},
		"numbers that are not understood": {
			call: &callnormv1.CallOutcome{Contact: &callnormv1.Contact{Phones: []*callnormv1.PhoneNumber{
				{AsReceived: "+1234334546"}, {AsReceived: "sip:+4930123456@sip.example.com;transport=tls"}, {AsReceived: "anonymous"}, {AsReceived: "030123456"},
			}}},
			want: []string{"+1234334546", "+4930123456"},
		},
		"e-mail addresses": {
			call: &callnormv1.CallOutcome{
				Contact:      &callnormv1.Contact{Emails: []string{" Jo@Example.com ", "none"}},
				Participants: []*callnormv1.Participant{{Email: "al@example.com"}}, Meetings: []*callnormv1.Meeting{{Email: "JO@example.com"}},
			},
			want: []string{"al@example.com", "jo@example.com"},
		},
		"SIP URIs": {
			call: &callnormv1.CallOutcome{Transfers: []*callnormv1.Transfer{
				{Target: &callnormv1.Endpoint{SipUri: "sip:%2B4930123456@example.com:5060"}},
				{Target: &callnormv1.Endpoint{SipUri: "sips:Jo@Example.com:5061;transport=tls?subject=x"}},
				{Target: &callnormv1.Endpoint{SipUri: "tel:+49-30-123457"}},
				{Target: &callnormv1.Endpoint{SipUri: "sip:+4930123458;ext=5@example.com"}},
				{Target: &callnormv1.Endpoint{SipUri: "sip:desk"}},
			}},
			want: []string{"+4930123456", "+4930123457", "+4930123458", "jo@example.com"},
		},
		"values that are an address and nothing else": {
			call: &callnormv1.CallOutcome{
				ExtractedFields: []*callnormv1.ExtractedField{{Value: text("+49 30 123456")}, {Value: text("call +49 30 123457")}, {}},
				Variables:       []*callnormv1.NamedValue{{Value: text("jo@example.com")}, {Value: text("sip:+4930123458@example.com")}},
				Metadata:        []*callnormv1.NamedValue{{Value: text("al@example.com")}},
				Contact:         &callnormv1.Contact{Attributes: []*callnormv1.NamedValue{{Value: text("bo@example.com")}}},
				Meetings:        []*callnormv1.Meeting{{Details: []*callnormv1.NamedValue{{Value: text("cy@example.com")}}}},
			},
			want: []string{"+4930123456", "+4930123458", "al@example.com", "bo@example.com", "cy@example.com", "jo@example.com"},
		},
		"texts within a value": {
			call: &callnormv1.CallOutcome{Variables: []*callnormv1.NamedValue{{Value: &callnormv1.Value{Kind: &callnormv1.Value_JsonValue{
				JsonValue: `{"who":{"phone":"+4930123456","mail":["jo\u0040example.com"]},"n":5,"broken":"al@example.com",`,
			}}}}},
			want: []string{"+4930123456", "al@example.com", "jo@example.com"},
		},
		"what was said is no address": {
			call: &callnormv1.CallOutcome{Transcript: &callnormv1.Transcript{Text: "jo@example.com"}, Analysis: &callnormv1.Analysis{Summary: "+4930123456"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, address.Of(test.call)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestOfLooksEverywhere puts an address of its own into each field of the contract that may hold one, and expects all of them.
func TestOfLooksEverywhere(t *testing.T) {
	t.Parallel()
	call := &callnormv1.CallOutcome{}
	want := make(map[string]string) // address to path
	fill(call.ProtoReflect(), "", want)
	if len(want) < 27 {
		t.Fatalf("only %d fields may hold an address: %v", len(want), want)
	}
	for _, found := range address.Of(call) {
		delete(want, found)
	}
	for _, path := range want {
		t.Errorf("%s is not looked at", path)
	}
}

// fill puts an address into all that may hold one in a message and below it, but for the transcript: texts alone.
func fill(m protoreflect.Message, path string, into map[string]string) {
	next := func() string {
		email := fmt.Sprintf("p%d@example.com", len(into))
		into[email] = path
		return email
	}
	switch e := m.Interface().(type) {
	case *callnormv1.Transcript:
		return
	case *callnormv1.PhoneNumber:
		e.AsReceived = next()
	case *callnormv1.Value:
		e.Kind = &callnormv1.Value_JsonValue{JsonValue: `"` + next() + `"`}
		return
	case *callnormv1.UnmappedField:
		e.ValueJson = `"` + next() + `"`
	case *callnormv1.Endpoint:
		e.SipUri = "sip:" + next()
	case *callnormv1.Contact:
		e.Emails = []string{next()}
	case *callnormv1.Participant:
		e.Email = next()
	case *callnormv1.Meeting:
		e.Email = next()
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		switch field := fields.Get(i); {
		case field.Message() == nil || field.IsMap():
		case field.IsList():
			fill(m.Mutable(field).List().AppendMutable().Message(), path+"."+field.TextName(), into)
		default:
			fill(m.Mutable(field).Message(), path+"."+field.TextName(), into)
		}
	}
}

func TestMentioned(t *testing.T) {
	t.Parallel()
	const number, email = "+4930123456", "jo@example.com"
	for name, test := range map[string]struct {
		address, body string
		want          bool
	}{
		"a number in JSON":                             {number, `{"phone":"+4930123456"}`, true},
		"a number as a number":                         {number, `{"phone":4930123456}`, true},
		"a number in a form":                           {number, `From=%2B4930123456&To=x`, true},
		"a number with blanks in a form":               {number, `From=%2B49+30+123%20456`, true},
		"a number with escapes of JSON":                {number, `{"phone":"\u002b49\u00a030\/123456"}`, true},
		"a number dialled from abroad":                 {number, "0049 30 123456", true},
		"a number as it is written in its country":     {number, "(030) 123456", true},
		"a number in JSON in a form":                   {number, `payload=%7B%22a%22%3A%22%5Cu002b4930123456%22%7D`, true},
		"behind an escape that ends with digits":       {number, `a=%204930123456`, true},
		"behind a line end of JSON":                    {number, `"call\n030 123456"`, true},
		"a longer number":                              {number, `{"phone":"+49301234567"}`, false},
		"the end of a longer number":                   {number, `{"id":"994930123456"}`, false},
		"another number":                               {number, `{"phone":"+4930123457"}`, false},
		"digits on two lines":                          {number, "030\n123456", false},
		"digits on two lines of JSON":                  {number, `"030\n123456"`, false},
		"no digits":                                    {number, `{}`, false},
		"an e-mail address":                            {email, `{"mail":"Jo@Example.COM"}`, true},
		"an e-mail address in a form":                  {email, `mail=jo%40example.com&x=y`, true},
		"an e-mail address behind a blank of a form":   {email, `text=to+jo%40example.com.`, true},
		"an e-mail address with escapes of JSON":       {email, `{"mail":"jo\u0040example.com"}`, true},
		"an e-mail address behind a line end":          {email, `{"text":"write\njo@example.com"}`, true},
		"an e-mail address in JSON in JSON":            {email, `{"text":"{\"mail\":\"jo\\u0040example.com\"}"}`, true},
		"an e-mail address at the end of a sentence":   {email, `Write to jo@example.com.`, true},
		"an e-mail address in brackets":                {email, `Jo <jo@example.com>`, true},
		"another's, which ends alike":                  {email, `{"mail":"mo.jo@example.com"}`, false},
		"another's, which begins alike":                {email, `{"mail":"jo@example.com.au"}`, false},
		"another's domain":                             {email, `{"mail":"jo@example.community"}`, false},
		"the second of two that look alike":            {email, `xjo@example.com, jo@example.com`, true},
		"escapes that are none":                        {email, `%4 % \ \u00 %zz`, false},
		"no address at all is mentioned nowhere":       {"", `{}`, false},
		"an e-mail address in other letters, in small": {"jörg@example.com", `{"mail":"J\u00d6RG@example.com"}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := address.Mentioned(test.address, []byte(test.body)); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// What is indexed is found in the bytes as well, and can be asked for.
func TestAddressesStayTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		typed := rapid.OneOf(
			rapid.StringMatching(`\+[1-9][0-9 .()-]{6,18}`), rapid.StringMatching(`[A-Za-zÄöü0-9.+_%-]{1,8}@[A-Za-zß-]{1,5}\.[a-z]{2,3}`),
		).Draw(t, "typed")
		parsed, err := address.Parse(typed)
		if err != nil {
			return
		}
		if again, err := address.Parse(parsed); err != nil || again != parsed {
			t.Errorf("%q becomes %q and then %q, %v", typed, parsed, again, err)
		}
		call := &callnormv1.CallOutcome{Variables: []*callnormv1.NamedValue{{Value: text(typed)}}}
		if diff := cmp.Diff([]string{parsed}, address.Of(call)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if !address.Mentioned(parsed, []byte(typed)) {
			t.Errorf("%q is not found in %q", parsed, typed)
		}
	})
}

func FuzzMentioned(f *testing.F) {
	f.Add("+49 (0)30 123456", []byte(`From=%2B49+30+123456`))
	f.Add("Jo@Example.com", []byte(`{"mail":"jo\u0040example.com"}`))
	f.Add("+1 202-555-0143", []byte("\xff%\\u"))
	f.Fuzz(func(t *testing.T, typed string, body []byte) {
		address.Mentioned(typed, body)
		parsed, err := address.Parse(typed)
		if err != nil {
			return
		}
		address.Mentioned(parsed, body)
		if !address.Mentioned(parsed, []byte(parsed)) {
			t.Errorf("%q does not mention itself", parsed)
		}
		if again, err := address.Parse(parsed); err != nil || again != parsed {
			t.Errorf("%q becomes %q, %v", parsed, again, err)
		}
	})
}
