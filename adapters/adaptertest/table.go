package adaptertest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters/scenario"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// Row is one line of a table: its cells by the names of the columns.
type Row map[string]string

// Table reads a table of a provider's words below ./testdata: tab-separated, with the names of the columns in the first line.
func Table(tb testing.TB, file string) []Row {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(scenario.Folder, file))
	if err != nil {
		tb.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	columns := strings.Split(lines[0], "\t")
	var rows []Row
	for i, line := range lines[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) > len(columns) {
			tb.Fatalf("%s:%d has %d cells for %d columns", file, i+2, len(cells), len(columns))
		}
		row := make(Row)
		for n, cell := range cells {
			row[columns[n]] = cell
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		tb.Fatalf("%s has no rows", file)
	}
	return rows
}

// class is what a call is in the end, as the tables of the providers' words have it: one word for what an outcome tells in three
// fields.
type class struct {
	statuses []callnormv1.CallStatus
	reasons  []callnormv1.EndReason
	// answerers is empty where the class says nothing of who answered.
	answerers []callnormv1.AnsweredByKind
}

var classes = map[string]class{
	"completed": ended(
		callnormv1.CallStatus_CALL_STATUS_COMPLETED,
		callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, callnormv1.EndReason_END_REASON_AGENT_HANGUP,
		callnormv1.EndReason_END_REASON_AGENT_GOAL_REACHED, callnormv1.EndReason_END_REASON_END_PHRASE,
		callnormv1.EndReason_END_REASON_CONVERSATION_ENDED, callnormv1.EndReason_END_REASON_CUSTOM_RULE,
		callnormv1.EndReason_END_REASON_CUT_OFF,
	),
	"transferred": ended(
		callnormv1.CallStatus_CALL_STATUS_COMPLETED,
		callnormv1.EndReason_END_REASON_TRANSFERRED, callnormv1.EndReason_END_REASON_SUPERVISOR,
	),
	"transfer_failed": ended(
		callnormv1.CallStatus_CALL_STATUS_COMPLETED,
		callnormv1.EndReason_END_REASON_TRANSFER_FAILED,
	),
	"voicemail": {
		statuses: []callnormv1.CallStatus{callnormv1.CallStatus_CALL_STATUS_COMPLETED},
		reasons: []callnormv1.EndReason{
			callnormv1.EndReason_END_REASON_VOICEMAIL, callnormv1.EndReason_END_REASON_VOICEMAIL_LEFT,
			callnormv1.EndReason_END_REASON_VOICEMAIL_DETECTED_HANGUP,
		},
		answerers: []callnormv1.AnsweredByKind{
			callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL, callnormv1.AnsweredByKind_ANSWERED_BY_KIND_MACHINE,
			callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL_GREETING, callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL_BEEP,
			callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL_NO_BEEP,
		},
	},
	"ivr": {
		statuses:  []callnormv1.CallStatus{callnormv1.CallStatus_CALL_STATUS_COMPLETED},
		reasons:   []callnormv1.EndReason{callnormv1.EndReason_END_REASON_IVR_DETECTED_HANGUP},
		answerers: []callnormv1.AnsweredByKind{callnormv1.AnsweredByKind_ANSWERED_BY_KIND_IVR},
	},
	"timeout": ended(
		callnormv1.CallStatus_CALL_STATUS_COMPLETED,
		callnormv1.EndReason_END_REASON_SILENCE_TIMEOUT, callnormv1.EndReason_END_REASON_MAX_DURATION,
		callnormv1.EndReason_END_REASON_HEARTBEAT_TIMEOUT, callnormv1.EndReason_END_REASON_TIMEOUT,
	),
	"no_answer": ended(
		callnormv1.CallStatus_CALL_STATUS_NO_ANSWER,
		callnormv1.EndReason_END_REASON_NO_ANSWER, callnormv1.EndReason_END_REASON_RING_TIMEOUT,
		callnormv1.EndReason_END_REASON_UNREACHABLE,
	),
	"busy": ended(
		callnormv1.CallStatus_CALL_STATUS_BUSY,
		callnormv1.EndReason_END_REASON_BUSY,
	),
	"rejected": ended(
		callnormv1.CallStatus_CALL_STATUS_REJECTED,
		callnormv1.EndReason_END_REASON_DECLINED, callnormv1.EndReason_END_REASON_CARRIER_REJECTED,
		callnormv1.EndReason_END_REASON_MARKED_AS_SPAM,
	),
	"blocked": ended(
		callnormv1.CallStatus_CALL_STATUS_BLOCKED,
		callnormv1.EndReason_END_REASON_BLOCKED_BY_POLICY, callnormv1.EndReason_END_REASON_CARRIER_REJECTED,
		callnormv1.EndReason_END_REASON_MARKED_AS_SPAM,
	),
	"canceled": ended(
		callnormv1.CallStatus_CALL_STATUS_CANCELED,
		callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER, callnormv1.EndReason_END_REASON_API_REQUEST,
		callnormv1.EndReason_END_REASON_MANUAL,
	),
	"abandoned": {
		statuses: []callnormv1.CallStatus{
			callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, callnormv1.CallStatus_CALL_STATUS_CANCELED,
			callnormv1.CallStatus_CALL_STATUS_NO_CONVERSATION,
		},
		reasons: []callnormv1.EndReason{
			callnormv1.EndReason_END_REASON_JOIN_TIMEOUT, callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER,
			callnormv1.EndReason_END_REASON_ABANDONED_IN_QUEUE,
		},
	},
	"invalid_number": failed(callnormv1.EndReason_END_REASON_INVALID_NUMBER),
	"failed_config":  failed(callnormv1.EndReason_END_REASON_CONFIGURATION_ERROR),
	"failed_billing": failed(
		callnormv1.EndReason_END_REASON_QUOTA_OR_BILLING, callnormv1.EndReason_END_REASON_CONCURRENCY_LIMIT,
	),
	"failed_media": failed(callnormv1.EndReason_END_REASON_MEDIA_ERROR, callnormv1.EndReason_END_REASON_PERMISSION_DENIED),
	"failed_telephony": failed(
		callnormv1.EndReason_END_REASON_TELEPHONY_ERROR, callnormv1.EndReason_END_REASON_TELEPHONY_PERMISSION,
		callnormv1.EndReason_END_REASON_UNREACHABLE, callnormv1.EndReason_END_REASON_CONGESTION,
	),
	"failed_platform": failed(callnormv1.EndReason_END_REASON_PLATFORM_ERROR),
	"failed_provider": failed(
		callnormv1.EndReason_END_REASON_LLM_ERROR, callnormv1.EndReason_END_REASON_STT_ERROR,
		callnormv1.EndReason_END_REASON_TTS_ERROR, callnormv1.EndReason_END_REASON_TOOL_ERROR,
		callnormv1.EndReason_END_REASON_AGENT_ERROR, callnormv1.EndReason_END_REASON_ERROR,
	),
	"failed_unknown": failed(callnormv1.EndReason_END_REASON_ERROR),
}

func failed(reasons ...callnormv1.EndReason) class {
	return ended(callnormv1.CallStatus_CALL_STATUS_FAILED, reasons...)
}

func ended(status callnormv1.CallStatus, reasons ...callnormv1.EndReason) class {
	return class{statuses: []callnormv1.CallStatus{status}, reasons: reasons}
}

// CheckClass checks that a call came out as the class says that a table of words has for the word that ended it.
func CheckClass(tb testing.TB, name string, call *callnormv1.CallOutcome) {
	tb.Helper()
	want, known := classes[name]
	if !known {
		tb.Errorf("no class is called %q", name)
		return
	}
	if !slices.Contains(want.statuses, call.GetStatus()) {
		tb.Errorf("the status of a call of class %s is %v, which is none of %v", name, call.GetStatus(), want.statuses)
	}
	if !slices.Contains(want.reasons, call.GetEnd().GetReason()) {
		tb.Errorf("the end of a call of class %s is %v, which is none of %v", name, call.GetEnd().GetReason(), want.reasons)
	}
	if len(want.answerers) > 0 && !slices.Contains(want.answerers, call.GetAnsweredBy().GetValue()) {
		tb.Errorf("a call of class %s was answered by %v, which is none of %v", name, call.GetAnsweredBy().GetValue(), want.answerers)
	}
}
