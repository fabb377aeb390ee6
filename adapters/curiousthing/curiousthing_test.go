package curiousthing_test

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/curiousthing"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/proto"
)

func TestAdapter(t *testing.T) { adaptertest.Run(t, curiousthing.New()) }

func FuzzNormalize(f *testing.F) { adaptertest.Fuzz(f, curiousthing.New()) }

func BenchmarkNormalize(b *testing.B) { adaptertest.Benchmark(b, curiousthing.New()) }

func TestReportWords(t *testing.T) {
	const (
		completed    = callnormv1.CallStatus_CALL_STATUS_COMPLETED
		notConnected = callnormv1.CallStatus_CALL_STATUS_NO_CONVERSATION
		noAnswer     = callnormv1.CallStatus_CALL_STATUS_NO_ANSWER
		other        = callnormv1.CallStatus_CALL_STATUS_OTHER
		exact        = callnormv1.Mapping_MAPPING_EXACT
		heuristic    = callnormv1.Mapping_MAPPING_HEURISTIC
		none         = callnormv1.Mapping_MAPPING_NONE
		voicemail    = callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL
		partial      = callnormv1.ContactDisposition_CONTACT_DISPOSITION_SURVEY_PARTIAL
		wrongNumber  = callnormv1.ContactDisposition_CONTACT_DISPOSITION_WRONG_NUMBER
		doNotCall    = callnormv1.ContactDisposition_CONTACT_DISPOSITION_DO_NOT_CALL
		byCustomer   = callnormv1.EndedBy_ENDED_BY_CUSTOMER
	)
	for name, test := range map[string]struct {
		status, remark string
		want           callnormv1.CallStatus
		raw            string // of the status, where it is not the status word
		mapping        callnormv1.Mapping
		disposition    callnormv1.ContactDisposition
		flag           string
		answeredBy     callnormv1.AnsweredByKind
		reason         callnormv1.EndReason
		by             callnormv1.EndedBy
		warnings       int
	}{
		"a complete flow is a completed call and survey": {
			status: "Complete", remark: "No further action", want: completed, mapping: exact,
			disposition: callnormv1.ContactDisposition_CONTACT_DISPOSITION_SURVEY_COMPLETED,
		},
		"a partial flow belongs to the group Complete": {status: "Partial", want: completed, mapping: exact, disposition: partial},
		"a customer who exits is told as who, not as how": {
			status: "Partial", remark: "Customer exited part way through", want: completed, mapping: exact,
			disposition: partial, by: byCustomer,
		},
		"not complete is no conversation": {status: "Not Complete", want: notConnected, mapping: exact},
		"not complete leaves open what a voicemail tells: the call was answered": {
			status: "Not Complete", remark: "Voicemail", want: completed, mapping: heuristic,
			answeredBy: voicemail, reason: callnormv1.EndReason_END_REASON_VOICEMAIL,
		},
		"a voicemail without a status is an answered call": {
			remark: "voicemail", want: completed, raw: "voicemail", mapping: heuristic,
			answeredBy: voicemail, reason: callnormv1.EndReason_END_REASON_VOICEMAIL,
		},
		"a voicemail as the status is an answered call": {
			status: "Voicemail", want: completed, mapping: heuristic,
			answeredBy: voicemail, reason: callnormv1.EndReason_END_REASON_VOICEMAIL,
		},
		"a voicemail as the status beside another remark": {
			status: "Voicemail", remark: "Customer hung up", want: completed, mapping: heuristic,
			answeredBy: voicemail, reason: callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, by: byCustomer,
		},
		"not complete and no answer": {
			status: "Not Complete", remark: "No answer", want: noAnswer, mapping: heuristic,
			reason: callnormv1.EndReason_END_REASON_NO_ANSWER,
		},
		"no answer as the status": {
			status: "No Answer", want: noAnswer, mapping: heuristic, reason: callnormv1.EndReason_END_REASON_NO_ANSWER,
		},
		"not complete and busy": {
			status: "Not Complete", remark: "Busy", want: callnormv1.CallStatus_CALL_STATUS_BUSY, mapping: heuristic, reason: callnormv1.EndReason_END_REASON_BUSY,
		},
		"a customer who hung up": {
			status: "Partial", remark: "Customer hung up", want: completed, mapping: exact, disposition: partial,
			reason: callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, by: byCustomer,
		},
		"a wrong number": {
			status: "Not Complete", remark: "Wrong number", want: notConnected, mapping: exact, disposition: wrongNumber, flag: "wrong number",
		},
		"a wrong number after the first question": {
			status: "Partial", remark: "wrong number", want: completed, mapping: exact, disposition: partial, flag: "wrong number",
		},
		"a wish as the status answers no status": {
			status: "Wrong number", want: other, mapping: none, disposition: wrongNumber, flag: "wrong number", warnings: 1,
		},
		"a wish not to be called": {
			status: "Not Complete", remark: "Do not call", want: notConnected, mapping: exact, disposition: doNotCall, flag: "do not call",
		},
		"a remark in which a voicemail occurs is open text": {
			status: "Not Complete", remark: "Customer asked not to leave a voicemail", want: notConnected, mapping: exact,
		},
		"an unknown remark is no unknown word":       {status: "Not Complete", remark: "Anything at all", want: notConnected, mapping: exact},
		"an unknown remark without a status as well": {remark: "Anything at all"},
		"an unknown status is other":                 {status: "Abandoned", want: other, mapping: none, warnings: 1},
		"a voicemail leaves an unknown status alone": {
			status: "Abandoned", remark: "Voicemail", want: other, mapping: none, warnings: 1,
			answeredBy: voicemail, reason: callnormv1.EndReason_END_REASON_VOICEMAIL,
		},
		"case and separators do not matter": {status: "NOT-complete", want: notConnected, mapping: exact},
		"no status is not told":             {},
	} {
		t.Run(name, func(t *testing.T) {
			call := one(t, "", `[{"eventType": "CallComplete", "data": {"sessionId": "s", "status": %q, "additionalInformation": %q}}]`,
				test.status, test.remark).Call
			if call.GetStatus() != test.want || call.GetStatusMapping() != test.mapping || call.GetStatusRaw() != cmp.Or(test.raw, test.status) {
				t.Errorf("status: %v, %v, %q", call.GetStatus(), call.GetStatusMapping(), call.GetStatusRaw())
			}
			if d := call.GetDisposition(); d.GetValue() != test.disposition || (d.GetMapping() == heuristic) != (test.disposition == wrongNumber || test.disposition == doNotCall) ||
				d.GetWrongNumber() != (test.flag == "wrong number") || d.GetDoNotCall() != (test.flag == "do not call") {
				t.Errorf("disposition: %v", d)
			}
			if call.GetAnsweredBy().GetValue() != test.answeredBy || call.GetVoicemail().GetDetected() != (test.answeredBy == voicemail) {
				t.Errorf("answered by: %v", call.GetAnsweredBy())
			}
			if end := call.GetEnd(); end.GetReason() != test.reason || end.GetEndedBy() != test.by || end.GetDetail() != test.remark {
				t.Errorf("end: %v", end)
			} else if end != nil && proto.Size(end) == 0 {
				t.Error("an end that says nothing")
			}
			if warnings := call.GetProvenance().GetWarnings(); len(warnings) != test.warnings {
				t.Errorf("warnings: %v", warnings)
			}
		})
	}
}

func TestAttemptWords(t *testing.T) {
	for name, test := range map[string]struct {
		status, note string
		want         callnormv1.CallStatus
		mapping      callnormv1.Mapping
		reason       callnormv1.EndReason
	}{
		"a success says that a call was placed, not that it was answered": {
			status: "success", want: callnormv1.CallStatus_CALL_STATUS_INITIATED, mapping: callnormv1.Mapping_MAPPING_HEURISTIC,
		},
		"a failure with the documented note has a reason": {
			status: "failed", note: "invalid phone", want: callnormv1.CallStatus_CALL_STATUS_FAILED,
			mapping: callnormv1.Mapping_MAPPING_EXACT, reason: callnormv1.EndReason_END_REASON_INVALID_NUMBER,
		},
		"a failure with another note has its text only": {
			status: "failed", note: "out of hours", want: callnormv1.CallStatus_CALL_STATUS_FAILED, mapping: callnormv1.Mapping_MAPPING_EXACT,
		},
		"a failure whose note is a wish has its text only: nobody was reached": {
			status: "failed", note: "Do not call", want: callnormv1.CallStatus_CALL_STATUS_FAILED, mapping: callnormv1.Mapping_MAPPING_EXACT,
		},
		"a word of results means nothing for an attempt": {
			status: "Complete", want: callnormv1.CallStatus_CALL_STATUS_OTHER, mapping: callnormv1.Mapping_MAPPING_NONE,
		},
	} {
		t.Run(name, func(t *testing.T) {
			call := one(t, "", `[{"time": "2022-08-31T21:46:58.621Z", "status": %q, "note": %q}]`, test.status, test.note).Call
			if call.GetStatus() != test.want || call.GetStatusMapping() != test.mapping || call.GetStatusRaw() != test.status {
				t.Errorf("status: %v, %v, %q", call.GetStatus(), call.GetStatusMapping(), call.GetStatusRaw())
			}
			if call.GetDisposition() != nil {
				t.Errorf("disposition: %v", call.GetDisposition())
			}
			if call.GetEnd().GetReason() != test.reason || call.GetEnd().GetDetail() != test.note {
				t.Errorf("end: %v", call.GetEnd())
			}
			if call.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_PARTIAL || call.Attempt != nil {
				t.Errorf("an attempt is neither final nor counted: %v, %v", call.GetCompleteness(), call.GetAttempt())
			}
		})
	}
}

func TestEventNames(t *testing.T) {
	const message = `{"from": "1", "to": "2", "message": "m"}`
	for name, test := range map[string]struct {
		path, body string
		want       callnormv1.EventKind
		mapping    callnormv1.Mapping
	}{
		"as documented":                       {path: "SMSSent", body: message, want: callnormv1.EventKind_EVENT_KIND_MESSAGE_SENT, mapping: callnormv1.Mapping_MAPPING_EXACT},
		"with hyphens":                        {path: "sms-received", body: message, want: callnormv1.EventKind_EVENT_KIND_MESSAGE_RECEIVED, mapping: callnormv1.Mapping_MAPPING_EXACT},
		"with underscores":                    {path: "SMS_SENT", body: message, want: callnormv1.EventKind_EVENT_KIND_MESSAGE_SENT, mapping: callnormv1.Mapping_MAPPING_EXACT},
		"by members that two events have":     {body: message, want: callnormv1.EventKind_EVENT_KIND_MESSAGE_EXCHANGED, mapping: callnormv1.Mapping_MAPPING_HEURISTIC},
		"by the envelope, against the path":   {path: "SMSSent", body: `{"eventType": "SMSReceived", "data": ` + message + `}`, want: callnormv1.EventKind_EVENT_KIND_MESSAGE_RECEIVED, mapping: callnormv1.Mapping_MAPPING_EXACT},
		"by the members, against the path":    {path: "CallComplete", body: message, want: callnormv1.EventKind_EVENT_KIND_MESSAGE_EXCHANGED, mapping: callnormv1.Mapping_MAPPING_HEURISTIC},
		"by the path, where members fit none": {path: "callcomplete", body: `{"phone": "61491573087"}`, want: callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, mapping: callnormv1.Mapping_MAPPING_EXACT},
		"by the envelope, beside a session":   {body: `{"eventType": "CallAttempted", "data": {"status": "failed", "sessionId": "s"}}`, want: callnormv1.EventKind_EVENT_KIND_CALL_ATTEMPTED, mapping: callnormv1.Mapping_MAPPING_EXACT},
		"by the path, beside a session":       {path: "CallReceived", body: `{"phone": "61491573087", "sessionId": "s"}`, want: callnormv1.EventKind_EVENT_KIND_CALL_RECEIVED, mapping: callnormv1.Mapping_MAPPING_EXACT},
		"by the members, beside a session":    {body: `{"type": "inbound", "sessionId": "s"}`, want: callnormv1.EventKind_EVENT_KIND_CALL_RECEIVED, mapping: callnormv1.Mapping_MAPPING_HEURISTIC},
		"by a session alone":                  {body: `{"sessionId": "s"}`, want: callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, mapping: callnormv1.Mapping_MAPPING_HEURISTIC},
		"by an envelope in another case":      {body: `{"eventType": "call_attempted", "data": {"status": "failed"}}`, want: callnormv1.EventKind_EVENT_KIND_CALL_ATTEMPTED, mapping: callnormv1.Mapping_MAPPING_EXACT},
	} {
		t.Run(name, func(t *testing.T) {
			call := one(t, test.path, "[%s]", test.body).Call
			if call.GetEvent() != test.want || call.GetEventMapping() != test.mapping {
				t.Errorf("%v, %v", call.GetEvent(), call.GetEventMapping())
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	const at = `"time": "2022-08-31T21:46:58.621Z"`
	for name, test := range map[string]struct {
		body   string
		family adapters.Family
		want   string
	}{
		"a result is known by its session": {
			`{"id": "e", "eventType": "CallComplete", "data": {"sessionId": "s", "callResultId": "r", "correlationId": "c"}}`,
			adapters.FamilyCall, "s",
		},
		"a result without a session is known by itself": {
			`{"id": "e", "eventType": "CallComplete", "data": {"callResultId": "r", "correlationId": "c"}}`, adapters.FamilyCall, "r",
		},
		"a result without ids is known by its event": {
			`{"id": "e", "eventType": "CallComplete", "data": {"status": "Complete", "correlationId": "c"}}`, adapters.FamilyCall, "event/e",
		},
		"a placeholder identifies nothing": {
			`{"id": "[UUID]", "eventType": "CallComplete", "data": {"sessionId": "[UUID]"}}`, adapters.FamilyCall, "",
		},
		"a record alone does not tell its attempts apart": {`{"eventType": "CallAttempted", "correlationId": "c"}`, adapters.FamilyAttempt, ""},
		"an attempt is known by its record and time": {
			`{` + at + `, "status": "failed", "correlationId": "c"}`, adapters.FamilyAttempt, "correlation/c/2022-08-31T21:46:58.621Z",
		},
		"an attempt without a record is known by nothing": {`{` + at + `, "status": "failed", "phone": "61491573087"}`, adapters.FamilyAttempt, ""},
		"an attempt in an envelope is known by its event": {
			`{"id": "e", "eventType": "CallAttempted", "data": {` + at + `, "status": "failed", "correlationId": "c"}}`,
			adapters.FamilyAttempt, "event/e",
		},
		"a call back is known by its record and time": {
			`{` + at + `, "type": "outbound-callback", "correlationId": "c"}`, adapters.FamilyCall, "correlation/c/2022-08-31T21:46:58.621Z",
		},
		"a bare message is known by nothing, since several may be sent at a time": {
			`{` + at + `, "from": "1", "to": "2", "message": "m", "correlationId": "c"}`, adapters.FamilyMessage, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			outcome := one(t, "", "%s", test.body)
			if outcome.Family != test.family || outcome.CallID != test.want {
				t.Errorf("%s, %q", outcome.Family, outcome.CallID)
			}
		})
	}
}

// This is no case under testdata: what stands in an item that is no object has no path of its own that left_out.txt could list.
func TestBadItemsLeaveTheOthersAlone(t *testing.T) {
	body := []byte(`[null, {"sessionId": "s", "status": "Complete"}, 5, "CallComplete", [], {}, {"eventType": "Other", "data": {"sessionId": "t"}}]`)
	result, err := curiousthing.New().Normalize(adapters.Delivery{Provider: "curious-thing", Body: body})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Outcomes) != 1 || result.Outcomes[0].Item != 1 || result.Outcomes[0].CallID != "s" {
		t.Errorf("outcomes: %v", result.Outcomes)
	}
	var faults []string
	for _, fault := range result.Faults {
		faults = append(faults, fmt.Sprint(fault.GetItem(), " ", strings.TrimPrefix(fault.GetReason().String(), "FAULT_REASON_")))
	}
	const want = "0 UNEXPECTED_SHAPE, 2 UNEXPECTED_SHAPE, 3 UNEXPECTED_SHAPE, 4 UNEXPECTED_SHAPE, 5 UNEXPECTED_SHAPE, 6 UNKNOWN_EVENT"
	if got := strings.Join(faults, ", "); got != want {
		t.Errorf("faults: %s", got)
	}
}

func one(t *testing.T, pathEvent, body string, args ...any) adapters.Outcome {
	t.Helper()
	result, err := curiousthing.New().Normalize(adapters.Delivery{
		Provider: "curious-thing", Event: pathEvent, Body: fmt.Appendf(nil, body, args...),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Outcomes) != 1 || len(result.Faults)+len(result.Notices) != 0 {
		t.Fatalf("there is not one outcome: %v", result)
	}
	return result.Outcomes[0]
}
