// Package ids has what adapters say of the ids of other systems.
package ids

import (
	"slices"
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// IsTwilioSID tells Twilio's ids by their form: a prefix, such as CA for calls and AC for accounts, and 32 hexadecimal digits.
// Documentation: https://www.twilio.com/docs/glossary/what-is-a-sid.
func IsTwilioSID(prefix, id string) bool {
	rest, ok := strings.CutPrefix(id, prefix)
	return ok && len(rest) == 32 && strings.Trim(rest, "0123456789abcdef") == ""
}

// With returns a list with an id, unless it is empty or there already.
func With(list []*callnormv1.ExternalId, system, id string) []*callnormv1.ExternalId {
	same := func(known *callnormv1.ExternalId) bool { return known.GetSystem() == system && known.GetId() == id }
	if id == "" || slices.ContainsFunc(list, same) {
		return list
	}
	return append(list, &callnormv1.ExternalId{System: system, Id: id})
}
