package phone_test

import (
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters/internal/phone"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

func known(raw, e164, region string, valid bool) *callnormv1.PhoneNumber {
	return &callnormv1.PhoneNumber{AsReceived: raw, E164: e164, Region: region, Valid: &valid}
}

func unknown(raw string) *callnormv1.PhoneNumber { return &callnormv1.PhoneNumber{AsReceived: raw} }

func TestParse(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want *callnormv1.PhoneNumber
	}{
		"a number":                           {"+442079460123", known("+442079460123", "+442079460123", "GB", true)},
		"blanks and hyphens":                 {" +1 (202) 555-0143 ", known(" +1 (202) 555-0143 ", "+12025550143", "US", true)},
		"possible, but not assigned":         {"+15555551234", known("+15555551234", "+15555551234", "", false)},
		"a plus before nine national digits": {"+1234334546", unknown("+1234334546")},
		"a plus before all nines":            {"+1999999999", unknown("+1999999999")},
		"a plus before counted digits":       {"+1234567890", unknown("+1234567890")},
		"a test number of nine digits":       {"+1123456789", unknown("+1123456789")},
		"too long for any country":           {"+123456789012345678", unknown("+123456789012345678")},
		"no plus":                            {"61491573087", unknown("61491573087")},
		"national":                           {"(202) 555-0143", unknown("(202) 555-0143")},
		"an extension":                       {"+442079460123 ext. 12", unknown("+442079460123 ext. 12")},
		"a SIP URI":                          {"sip:+442079460123@sip.example.com", unknown("sip:+442079460123@sip.example.com")},
		"a word":                             {"anonymous", unknown("anonymous")},
		"partly masked":                      {"+1415555XXXX", unknown("+1415555XXXX")},
		"masked but for its end":             {"+1XXXXXXX132", unknown("+1XXXXXXX132")},
		"letters for digits":                 {"+1800FLOWERS", unknown("+1800FLOWERS")},
		"a placeholder":                      {"XXXXXXXX", unknown("XXXXXXXX")},
		"a number of no country":             {"+80012345678", known("+80012345678", "+80012345678", "001", true)},
		"a plus alone":                       {"+", unknown("+")},
		"no such country code":               {"+9991234567", unknown("+9991234567")},
		"a very long text":                   {"+" + strings.Repeat("1", 10_000), unknown("+" + strings.Repeat("1", 10_000))},
		"nothing":                            {"", nil},
		"blanks":                             {"  ", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, phone.Parse(test.text), protocmp.Transform()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseInternational(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want *callnormv1.PhoneNumber
	}{
		"digits that begin with the country code": {"61491573087", known("61491573087", "+61491573087", "AU", true)},
		"with a plus as well":                     {"+61491573087", known("+61491573087", "+61491573087", "AU", true)},
		"a leading zero begins no country code":   {"0491573087", unknown("0491573087")},
		"a word":                                  {"unknown", unknown("unknown")},
		"a national number without its zero":      {"491573087", unknown("491573087")},
		"the same, but the plus was sent":         {"+491573087", known("+491573087", "+491573087", "DE", false)},
		"possible abroad, but not assigned":       {"15555551234", unknown("15555551234")},
		"too short":                               {"61", unknown("61")},
		"nothing":                                 {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, phone.ParseInternational(test.text), protocmp.Transform()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
