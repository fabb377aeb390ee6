package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestOnlyYesIsYes(t *testing.T) {
	tests := map[string]bool{"y\n": true, "Yes\n": true, "YES": true, "y": true, "\n": false, "": false, "n\n": false, "yep\n": false, "\ny\n": false}
	for answer, want := range tests {
		var asked bytes.Buffer
		if got := agreed(streams{in: strings.NewReader(answer), err: &asked}, "everything"); got != want {
			t.Errorf("%q is taken for %t", answer, got)
		}
		if !strings.Contains(asked.String(), "This deletes everything") {
			t.Errorf("asked: %s", asked.String())
		}
	}
}

func TestAnAddressIsNotRepeated(t *testing.T) {
	for name, args := range map[string][]string{
		"a number of one country": {"delete", "contact", "02025550143", "--yes"},
		"a number in two pieces":  {"delete", "contact", "+1202", "5550143", "--yes"},
		"no consent":              {"delete", "contact", "+12025550143"},
		"two keys":                {"list", "--address", "+12025550143", "--provider-call-id", "c"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, err := command(t, "", args...)
			if code != exitUsage || strings.Contains(out+err, "5550143") {
				t.Errorf("exit code %d: %s%s", code, out, err)
			}
		})
	}
}
