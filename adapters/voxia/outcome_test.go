package voxia_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/voxia"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// outcome returns what a body with an id and these members means.
func outcome(t *testing.T, members string) *callnormv1.CallOutcome {
	t.Helper()
	d := adapters.Delivery{Provider: "voxia", Body: []byte(`{"id":"66f2a9c1e4b0a35d7c9e0100",` + members + `}`)}
	adaptertest.Check(t, voxia.New(), d)
	result, err := voxia.New().Normalize(d)
	if err != nil {
		t.Fatal(err)
	}
	return result.Outcomes[0].Call
}

// check compares what both sides show, in the order of the names.
func check(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s is %s, want %s", what, g, w)
	}
}

const (
	exact     = callnormv1.Mapping_MAPPING_EXACT
	heuristic = callnormv1.Mapping_MAPPING_HEURISTIC
	partial   = callnormv1.Completeness_COMPLETENESS_PARTIAL
	settling  = callnormv1.Completeness_COMPLETENESS_SETTLING
	final     = callnormv1.Completeness_COMPLETENESS_FINAL
	human     = callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN
	voicemail = callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL
)

func TestEveryWebhookEvent(t *testing.T) {
	for word, want := range map[string]struct {
		event        callnormv1.EventKind
		completeness callnormv1.Completeness
		status       callnormv1.CallStatus
		statusRaw    string // where it is not the whole word
		disposition  callnormv1.ContactDisposition
	}{
		"DIALING": {
			event: callnormv1.EventKind_EVENT_KIND_CALL_STARTED, completeness: partial,
			status: callnormv1.CallStatus_CALL_STATUS_INITIATED,
		},
		"CONNECTED": {
			event: callnormv1.EventKind_EVENT_KIND_CALL_CONNECTED, completeness: partial,
			status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS,
		},
		"FAILED": {
			event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED, completeness: final,
			status: callnormv1.CallStatus_CALL_STATUS_FAILED,
		},
		"COULD_NOT_CONNECT:BUSY": {
			event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED, completeness: final,
			status: callnormv1.CallStatus_CALL_STATUS_BUSY, statusRaw: "BUSY",
		},
		"COULD_NOT_CONNECT:NO_ANSWER": {
			event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED, completeness: final,
			status: callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, statusRaw: "NO_ANSWER",
		},
		"FORWARDED": {
			event: callnormv1.EventKind_EVENT_KIND_CALL_TRANSFERRED, completeness: partial,
			status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS,
		},
		"HANG_UP": {
			event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED, completeness: settling,
			status: callnormv1.CallStatus_CALL_STATUS_COMPLETED,
		},
		"FORWARDED_CALL_FINISHED": {
			event: callnormv1.EventKind_EVENT_KIND_TRANSFER_ENDED, completeness: settling,
			status: callnormv1.CallStatus_CALL_STATUS_COMPLETED,
		},
		"POST_PROCESSING_FINISHED:VOICE_MAIL": {
			event: callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, completeness: final,
			status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, statusRaw: "VOICE_MAIL",
		},
		"POST_PROCESSING_FINISHED:INTERESTED": {
			event: callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, completeness: final,
			status:      callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			disposition: callnormv1.ContactDisposition_CONTACT_DISPOSITION_INTERESTED,
		},
		"POST_PROCESSING_FINISHED:NOT_INTERESTED": {
			event: callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, completeness: final,
			status:      callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			disposition: callnormv1.ContactDisposition_CONTACT_DISPOSITION_NOT_INTERESTED,
		},
		"POST_PROCESSING_FINISHED:WRONG_NUMBER": {
			event: callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, completeness: final,
			status:      callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			disposition: callnormv1.ContactDisposition_CONTACT_DISPOSITION_WRONG_NUMBER,
		},
		"POST_PROCESSING_FINISHED:CALL_ME_LATER": {
			event: callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, completeness: final,
			status:      callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			disposition: callnormv1.ContactDisposition_CONTACT_DISPOSITION_CALLBACK_REQUESTED,
		},
		"POST_PROCESSING_FINISHED:DO_NOT_CALL": {
			event: callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, completeness: final,
			status:      callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			disposition: callnormv1.ContactDisposition_CONTACT_DISPOSITION_DO_NOT_CALL,
		},
	} {
		t.Run(word, func(t *testing.T) {
			o := outcome(t, fmt.Sprintf(`"webhookEvent":%q`, word))
			check(t, "event", []any{o.GetEvent(), o.GetEventRaw(), o.GetEventMapping()}, []any{want.event, word, exact})
			check(t, "completeness", o.GetCompleteness(), want.completeness)
			raw := want.statusRaw
			if raw == "" {
				raw = word
			}
			check(t, "status", []any{o.GetStatus(), o.GetStatusRaw()}, []any{want.status, raw})
			check(t, "disposition", o.GetDisposition().GetValue(), want.disposition)
			check(t, "warnings", o.GetProvenance().GetWarnings(), "[]")
			// FORWARDED names no target; events does, and what comes after the call.
			if (word == "FORWARDED_CALL_FINISHED") != (len(o.GetTransfers()) == 1) {
				t.Errorf("transfers are %v", o.GetTransfers())
			}
		})
	}
}

func TestEveryCallStatus(t *testing.T) {
	for word, want := range map[string]struct {
		status       callnormv1.CallStatus
		answeredBy   callnormv1.AnsweredByKind
		end          callnormv1.EndReason
		completeness callnormv1.Completeness // of the newer version, without an event
	}{
		"NEW":         {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, completeness: partial},
		"IN_PROGRESS": {status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, completeness: partial},
		"FAILED":      {status: callnormv1.CallStatus_CALL_STATUS_FAILED, completeness: final},
		"COMPLETED":   {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, answeredBy: human, completeness: settling},
		"NO_ANSWER":   {status: callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, completeness: final},
		"BUSY":        {status: callnormv1.CallStatus_CALL_STATUS_BUSY, completeness: final},
		"VOICE_MAIL":  {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, answeredBy: voicemail, completeness: settling},
		"DO_NOT_CALL_REGISTRY_MATCHED": {
			status: callnormv1.CallStatus_CALL_STATUS_BLOCKED, end: callnormv1.EndReason_END_REASON_BLOCKED_BY_POLICY, completeness: final,
		},
	} {
		for _, field := range []string{"callStatus", "status"} {
			t.Run(field+" "+word, func(t *testing.T) {
				o := outcome(t, fmt.Sprintf(`%q:%q`, field, word))
				check(t, "status", []any{o.GetStatus(), o.GetStatusRaw(), o.GetStatusMapping()}, []any{want.status, word, exact})
				check(t, "answered by", o.GetAnsweredBy().GetValue(), want.answeredBy)
				check(t, "end", o.GetEnd().GetReason(), want.end)
				completeness := want.completeness
				if field == "status" && completeness == settling {
					completeness = final // of the older version, which delivers once
				}
				check(t, "completeness", o.GetCompleteness(), completeness)
				check(t, "event mapping", o.GetEventMapping(), heuristic)
				check(t, "disposition", o.GetDisposition(), (*callnormv1.Disposition)(nil))
				if registry := o.GetCompliance().GetDoNotCallRegistry(); registry != (word == "DO_NOT_CALL_REGISTRY_MATCHED") {
					t.Errorf("do_not_call_registry is %v", registry)
				}
			})
		}
	}
}

func TestEveryHangUpReason(t *testing.T) {
	for word, want := range map[string]struct {
		reason     callnormv1.EndReason
		by         callnormv1.EndedBy
		answeredBy callnormv1.AnsweredByKind
	}{
		"USER_REQUESTED_HANGUP": {
			reason: callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, by: callnormv1.EndedBy_ENDED_BY_CUSTOMER, answeredBy: human,
		},
		"ADMIN_MANUAL_HANGUP": {
			reason: callnormv1.EndReason_END_REASON_MANUAL, by: callnormv1.EndedBy_ENDED_BY_HUMAN_OPERATOR, answeredBy: human,
		},
		"USER_MANUAL_HANGUP": {
			reason: callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, by: callnormv1.EndedBy_ENDED_BY_CUSTOMER, answeredBy: human,
		},
		"CALL_FINISHED":       {reason: callnormv1.EndReason_END_REASON_CONVERSATION_ENDED, answeredBy: human},
		"CALL_FORWARDED":      {reason: callnormv1.EndReason_END_REASON_TRANSFERRED, answeredBy: human},
		"VOICE_MAIL_DETECTED": {reason: callnormv1.EndReason_END_REASON_VOICEMAIL, answeredBy: voicemail},
		"SILENCE_DETECTED": {
			reason: callnormv1.EndReason_END_REASON_SILENCE_TIMEOUT, by: callnormv1.EndedBy_ENDED_BY_SYSTEM, answeredBy: human,
		},
		"CONVERSATION_LLM_TECHNICAL_ISSUES": {
			reason: callnormv1.EndReason_END_REASON_LLM_ERROR, by: callnormv1.EndedBy_ENDED_BY_SYSTEM, answeredBy: human,
		},
		"OTHER_TECHNICAL_ISSUES": {
			reason: callnormv1.EndReason_END_REASON_PLATFORM_ERROR, by: callnormv1.EndedBy_ENDED_BY_SYSTEM, answeredBy: human,
		},
		"UNKNOWN":             {answeredBy: human},
		"SOCKET_DISCONNECTED": {reason: callnormv1.EndReason_END_REASON_CUT_OFF, answeredBy: human},
	} {
		for _, field := range []string{"hangUpReason", "status"} {
			t.Run(field+" "+word, func(t *testing.T) {
				o := outcome(t, fmt.Sprintf(`"callStatus":"COMPLETED","webhookEvent":"HANG_UP",%q:%q`, field, word))
				end := o.GetEnd()
				check(t, "end", []any{end.GetReason(), end.GetReasonRaw(), end.GetReasonMapping()}, []any{want.reason, word, exact})
				check(t, "ended by", end.GetEndedBy(), want.by)
				check(t, "answered by", o.GetAnsweredBy().GetValue(), want.answeredBy)
				check(t, "status", o.GetStatusRaw(), "COMPLETED")
				check(t, "warnings", o.GetProvenance().GetWarnings(), "[]")
				if (word == "CALL_FORWARDED") != (len(o.GetTransfers()) == 1) {
					t.Errorf("transfers are %v", o.GetTransfers())
				}
			})
		}
	}
}

func TestEveryContactResponse(t *testing.T) {
	for word, want := range map[string]struct {
		disposition  callnormv1.ContactDisposition
		completeness callnormv1.Completeness
	}{
		"INTERESTED":     {callnormv1.ContactDisposition_CONTACT_DISPOSITION_INTERESTED, final},
		"NOT_INTERESTED": {callnormv1.ContactDisposition_CONTACT_DISPOSITION_NOT_INTERESTED, final},
		"CALL_ME_LATER":  {callnormv1.ContactDisposition_CONTACT_DISPOSITION_CALLBACK_REQUESTED, final},
		"WRONG_NUMBER":   {callnormv1.ContactDisposition_CONTACT_DISPOSITION_WRONG_NUMBER, final},
		"DO_NOT_CALL":    {callnormv1.ContactDisposition_CONTACT_DISPOSITION_DO_NOT_CALL, final},
		"PENDING":        {callnormv1.ContactDisposition_CONTACT_DISPOSITION_REQUEUED, settling},
	} {
		for _, field := range []string{"postProcessStatus", "status"} {
			t.Run(field+" "+word, func(t *testing.T) {
				o := outcome(t, fmt.Sprintf(`"callStatus":"COMPLETED","webhookEvent":"HANG_UP",%q:%q`, field, word))
				d := o.GetDisposition()
				check(t, "disposition", []any{d.GetValue(), d.GetRaw(), d.GetMapping()}, []any{want.disposition, word, exact})
				check(t, "completeness", o.GetCompleteness(), want.completeness)
				check(t, "warnings", o.GetProvenance().GetWarnings(), "[]")
				if d.CallbackRequested != nil || d.DoNotCall != nil || d.WrongNumber != nil {
					t.Errorf("flags that were not sent: %v", d)
				}
			})
		}
	}
}

// By durations alone a transfer is derived only from a conversation: the total includes the ringing and the rounding as well.
func TestTransferByDurations(t *testing.T) {
	const processed, durations = `"webhookEvent":"POST_PROCESSING_FINISHED",`, `"duration":20,"totalDuration":45`
	for name, test := range map[string]struct {
		members  string
		transfer bool
		duration string
	}{
		"COMPLETED":                      {processed + `"callStatus":"COMPLETED",` + durations, true, "25s"},
		"COMPLETED by the older version": {`"status":"COMPLETED",` + durations, true, "25s"},
		"COMPLETED only by the event":    {processed + durations, false, ""},
		"NO_ANSWER":                      {processed + `"callStatus":"NO_ANSWER",` + durations, false, ""},
		"BUSY":                           {processed + `"callStatus":"BUSY",` + durations, false, ""},
		"FAILED":                         {processed + `"callStatus":"FAILED",` + durations, false, ""},
		"blocked":                        {processed + `"callStatus":"DO_NOT_CALL_REGISTRY_MATCHED",` + durations, false, ""},
		"an unknown status":              {processed + `"callStatus":"DONE",` + durations, false, ""},
		"a voicemail":                    {processed + `"callStatus":"VOICE_MAIL",` + durations, false, ""},
		"a voicemail found out by the processing": {
			`"webhookEvent":"POST_PROCESSING_FINISHED:VOICE_MAIL","callStatus":"COMPLETED",` + durations, false, "",
		},
		"a voicemail in the composite status": {processed + `"callStatus":"COMPLETED","status":"VOICE_MAIL",` + durations, false, ""},
		"a voicemail as the hang-up reason": {
			processed + `"callStatus":"COMPLETED","hangUpReason":"VOICE_MAIL_DETECTED",` + durations, false, "",
		},
		"no conversation":            {processed + `"callStatus":"COMPLETED","duration":0,"totalDuration":25`, false, ""},
		"rounding":                   {processed + `"callStatus":"COMPLETED","duration":20.2,"totalDuration":21`, false, ""},
		"a second between roundings": {processed + `"callStatus":"COMPLETED","duration":20,"totalDuration":21`, false, ""},
		"two seconds":                {processed + `"callStatus":"COMPLETED","duration":20,"totalDuration":22`, true, "2s"},
		"the reason tells of it":     {processed + `"hangUpReason":"CALL_FORWARDED",` + durations, true, "25s"},
		"the event tells of it":      {`"webhookEvent":"FORWARDED_CALL_FINISHED",` + durations, true, "25s"},
		"a reason without durations": {processed + `"hangUpReason":"CALL_FORWARDED"`, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := outcome(t, test.members)
			if (len(o.GetTransfers()) == 1) != test.transfer {
				t.Fatalf("transfers are %v", o.GetTransfers())
			}
			for _, transfer := range o.GetTransfers() {
				duration := ""
				if transfer.GetDuration() != nil {
					duration = transfer.GetDuration().AsDuration().String()
				}
				check(t, "duration", duration, test.duration)
				if transfer.GetKindRaw() != "" || transfer.GetTarget() != nil {
					t.Errorf("an inferred transfer names something: %v", transfer)
				}
			}
		})
	}
}

func TestCompleteness(t *testing.T) {
	for name, test := range map[string]struct {
		members  string
		want     callnormv1.Completeness
		expected string
	}{
		"a result while the status is behind": {
			`"webhookEvent":"HANG_UP","callStatus":"IN_PROGRESS","postProcessStatus":"INTERESTED"`, settling, "[]",
		},
		"no result yet":                              {`"webhookEvent":"HANG_UP","callStatus":"COMPLETED"`, settling, "[PART_ANALYSIS]"},
		"nobody answered, and called again":          {`"webhookEvent":"COULD_NOT_CONNECT:BUSY","callStatus":"BUSY","status":"PENDING"`, settling, "[]"},
		"called again after a failure":               {`"webhookEvent":"FAILED","postProcessStatus":"PENDING"`, settling, "[]"},
		"called again, by the older version":         {`"hangUpReason":"CALL_FINISHED","status":"PENDING"`, settling, "[PART_ANALYSIS]"},
		"called again, and the call was processed":   {`"callStatus":"COMPLETED","postProcessStatus":"CALL_ME_LATER","status":"PENDING"`, final, "[]"},
		"called again, and the processing is over":   {`"webhookEvent":"POST_PROCESSING_FINISHED:VOICE_MAIL","status":"PENDING"`, settling, "[]"},
		"called again, although a result is told":    {`"webhookEvent":"POST_PROCESSING_FINISHED:CALL_ME_LATER","callStatus":"COMPLETED","status":"PENDING"`, settling, "[]"},
		"called again, after the processing's field": {`"postProcessStatus":"CALL_ME_LATER","callStatus":"COMPLETED","status":"PENDING"`, final, "[]"},
		"an unknown end, by the older version":       {`"status":"UNKNOWN"`, final, "[]"},
		"a forwarded call, by the older version":     {`"status":"CALL_FORWARDED"`, final, "[]"},
		"an unknown end while the call goes on":      {`"callStatus":"IN_PROGRESS","hangUpReason":"UNKNOWN"`, partial, "[]"},
		"an unknown end without a status or event":   {`"hangUpReason":"UNKNOWN"`, final, "[]"},
		"an unknown end of a call that is connected": {`"webhookEvent":"CONNECTED","hangUpReason":"UNKNOWN"`, partial, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			o := outcome(t, test.members)
			check(t, "completeness", o.GetCompleteness(), test.want)
			check(t, "expected parts", o.GetExpectedParts(), test.expected)
		})
	}
}

func TestEveryKindOfKeyQuestion(t *testing.T) {
	for kind, value := range map[string]string{
		"OPEN_QUESTION": `"by the end of the year"`, "SINGLE_CHOICE": `"A"`, "MULTIPLE_CHOICE": `["A","C"]`, "YES_NO": `true`,
		"NUMBER": `12`, "DATE": `"2025-03-01"`, "TIME": `"15:00"`, "SOMETHING_NEW": `{"a":1}`,
	} {
		o := outcome(t, fmt.Sprintf(`"callStatus":"COMPLETED","summary":{"Q":{"description":"Q?","options":["A"],"order":1,"type":%q,"value":%s}}`, kind, value))
		field := o.GetExtractedFields()[0]
		check(t, "question", []any{field.GetName(), field.GetQuestion(), field.GetOrder(), field.GetTypeRaw()}, []any{"Q", "Q?", 1, kind})
		if field.GetValue().GetKind() == nil {
			t.Errorf("%s has no value", kind)
		}
	}
}

// The address of the webhook and that of the Slack integration let anybody post who knows them.
func TestSecretsDoNotReachTheOutcome(t *testing.T) {
	for _, c := range adaptertest.Cases(t, voxia.New()) {
		result, err := adapters.Normalize(voxia.New(), c.Delivery)
		if err != nil {
			continue
		}
		if text := string(adaptertest.Golden(t, adaptertest.Response(result))); strings.Contains(text, "hooks.") {
			t.Errorf("%s: the outcome holds a secret address", c.Name)
		}
	}
}
