// Package phone reads telephone numbers.
package phone

import (
	"strings"
	"unicode"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/nyaruka/phonenumbers"
)

// Parse returns a number as it was received. It claims an E.164 form only for text that begins with a plus and has a length
// that is possible in its country; without the plus nothing tells where the country code ends. The empty text is nil.
func Parse(text string) *callnormv1.PhoneNumber {
	return parse(text, strings.TrimSpace(text), false)
}

// ParseInternational is Parse for providers whose numbers begin with the country code, with or without a plus. Without one the
// number must be valid: a national number may have slipped in, and with a plus it would be possible somewhere.
func ParseInternational(text string) *callnormv1.PhoneNumber {
	digits := strings.TrimSpace(text)
	if digits != "" && digits[0] >= '1' && digits[0] <= '9' {
		return parse(text, "+"+digits, true)
	}
	return parse(text, digits, false)
}

func parse(text, international string, onlyValid bool) *callnormv1.PhoneNumber {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	number := &callnormv1.PhoneNumber{AsReceived: text}
	// The library reads letters as the keys they stand on, and would make a stranger's number of `+1415555XXXX`.
	if !strings.HasPrefix(international, "+") || strings.ContainsFunc(international, unicode.IsLetter) {
		return number
	}
	parsed, err := phonenumbers.Parse(international, "")
	if err != nil || !phonenumbers.IsPossibleNumber(parsed) || parsed.GetExtension() != "" {
		return number
	}
	region := phonenumbers.GetRegionCodeForNumber(parsed)
	valid := phonenumbers.IsValidNumberForRegion(parsed, region) // IsValidNumber would look the region up again
	if onlyValid && !valid {
		return number
	}
	number.E164 = phonenumbers.Format(parsed, phonenumbers.E164)
	number.Region, number.Valid = region, &valid
	return number
}
