// Package phone reads telephone numbers.
package phone

import (
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/nyaruka/phonenumbers"
)

// Parse returns a number as it was received. It claims an E.164 form only for text that begins with a plus and has a length
// that is possible in its country; without the plus nothing tells where the country code ends. The empty text is nil.
func Parse(text string) *callnormv1.PhoneNumber {
	return parse(text, text)
}

// ParseInternational is Parse for providers whose numbers begin with the country code, with or without a plus.
func ParseInternational(text string) *callnormv1.PhoneNumber {
	digits := strings.TrimSpace(text)
	if digits != "" && digits[0] >= '1' && digits[0] <= '9' {
		digits = "+" + digits
	}
	return parse(text, digits)
}

func parse(text, international string) *callnormv1.PhoneNumber {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	number := &callnormv1.PhoneNumber{AsReceived: text}
	international = strings.TrimSpace(international)
	if !strings.HasPrefix(international, "+") {
		return number
	}
	parsed, err := phonenumbers.Parse(international, "")
	if err != nil || !phonenumbers.IsPossibleNumber(parsed) || parsed.GetExtension() != "" {
		return number
	}
	number.E164 = phonenumbers.Format(parsed, phonenumbers.E164)
	number.Region = phonenumbers.GetRegionCodeForNumber(parsed)
	valid := phonenumbers.IsValidNumberForRegion(parsed, number.GetRegion()) // IsValidNumber would look the region up again
	number.Valid = &valid
	return number
}
