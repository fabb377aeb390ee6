package words_test

import (
	"testing"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

func TestPlain(t *testing.T) {
	for word, want := range map[string]string{
		"no-answer": "no_answer", "no_answer": "no_answer", "No Answer": "no_answer", "NO--ANSWER": "no_answer", " busy ": "busy",
		"hangup_on_voicemail": "hangup_on_voicemail", "Failed to start outbound call": "failed_to_start_outbound_call",
		"": "", "-": "", "véto": "véto", "ÉTÉ": "été", "a.b": "a.b", "__a": "a", "a__b": "a_b", "__A": "a", "a_": "a",
	} {
		if got := words.Plain(word); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
		if !words.Is(word, want) || words.Is(word, want+"s") {
			t.Errorf("%q: its plain form is %q alone", word, want)
		}
	}
}

func TestFind(t *testing.T) {
	table := words.Table[callnormv1.CallStatus]{
		Documented: map[string]callnormv1.CallStatus{"no_answer": callnormv1.CallStatus_CALL_STATUS_NO_ANSWER},
		Seen:       map[string]callnormv1.CallStatus{"ended": callnormv1.CallStatus_CALL_STATUS_COMPLETED},
		Other:      callnormv1.CallStatus_CALL_STATUS_OTHER,
	}
	for name, test := range map[string]struct {
		word     string
		want     callnormv1.CallStatus
		mapping  callnormv1.Mapping
		warnings int
	}{
		"a documented word":            {"no_answer", callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, callnormv1.Mapping_MAPPING_EXACT, 0},
		"in another spelling":          {"No-Answer", callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, callnormv1.Mapping_MAPPING_EXACT, 0},
		"a word that others have seen": {"ended", callnormv1.CallStatus_CALL_STATUS_COMPLETED, callnormv1.Mapping_MAPPING_HEURISTIC, 0},
		"a word of nobody":             {"gone", callnormv1.CallStatus_CALL_STATUS_OTHER, callnormv1.Mapping_MAPPING_NONE, 1},
		"no word":                      {"", callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED, callnormv1.Mapping_MAPPING_UNSPECIFIED, 0},
		"a blank":                      {" ", callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED, callnormv1.Mapping_MAPPING_UNSPECIFIED, 0},
	} {
		t.Run(name, func(t *testing.T) {
			notes := &wire.Notes{}
			got, mapping := table.Find(notes, "call.status", test.word)
			warned := notes.Provenance().GetWarnings()
			if got != test.want || mapping != test.mapping || len(warned) != test.warnings {
				t.Errorf("got %v, %v, %v", got, mapping, warned)
			}
			for _, warning := range warned {
				if warning.GetPath() != "call.status" || warning.GetKind() != callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD {
					t.Errorf("got %v", warning)
				}
			}
		})
	}
}

func TestCredential(t *testing.T) {
	for name, want := range map[string]bool{
		"secret__token": true, "api_key": true, "X-Auth-Token": true, "Password": true, "sig": true, "key": true,
		"keyword": false, "customer_name": false, "signed_up": false, "author": false, "": false,
	} {
		if got := words.Credential(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
