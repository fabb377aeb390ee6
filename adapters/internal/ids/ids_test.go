package ids_test

import (
	"testing"

	"github.com/callnorm/callnorm/adapters/internal/ids"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

func TestIsTwilioSID(t *testing.T) {
	const digits = "0123456789abcdef0123456789abcdef"
	for id, want := range map[string]bool{
		"CA" + digits: true, "AC" + digits: false, "CA" + digits[1:]: false, "CA" + digits + "0": false, "CAg" + digits[1:]: false,
		"ca" + digits: false, "CA": false, "": false,
	} {
		if got := ids.IsTwilioSID("CA", id); got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
}

func TestWith(t *testing.T) {
	var list []*callnormv1.ExternalId
	for _, add := range [][2]string{{"a", "1"}, {"a", "1"}, {"a", ""}, {"b", "1"}, {"a", "2"}} {
		list = ids.With(list, add[0], add[1])
	}
	if len(list) != 3 || list[0].GetSystem() != "a" || list[1].GetSystem() != "b" || list[2].GetId() != "2" {
		t.Errorf("got %v", list)
	}
}
