package bland_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/bland"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/callstate"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

// outcome returns what a body with an id and these members means.
func outcome(t *testing.T, members string) *callnormv1.CallOutcome {
	t.Helper()
	d := adapters.Delivery{Provider: "bland", Body: []byte(`{"call_id":"8a9620f6-d634-4b92-8d75-93280a894a71",` + members + `}`)}
	adaptertest.Check(t, bland.New(), d)
	result, err := adapters.Normalize(bland.New(), d)
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
	exact      = callnormv1.Mapping_MAPPING_EXACT
	prefix     = callnormv1.Mapping_MAPPING_PREFIX
	heuristic  = callnormv1.Mapping_MAPPING_HEURISTIC
	classified = callnormv1.Mapping_MAPPING_PROVIDER_CLASSIFIED
	llm        = callnormv1.Mapping_MAPPING_LLM
	none       = callnormv1.Mapping_MAPPING_NONE
	partial    = callnormv1.Completeness_COMPLETENESS_PARTIAL
	settling   = callnormv1.Completeness_COMPLETENESS_SETTLING
	final      = callnormv1.Completeness_COMPLETENESS_FINAL
	completed  = callnormv1.CallStatus_CALL_STATUS_COMPLETED
	failed     = callnormv1.CallStatus_CALL_STATUS_FAILED
	noAnswer   = callnormv1.CallStatus_CALL_STATUS_NO_ANSWER
	busy       = callnormv1.CallStatus_CALL_STATUS_BUSY
	canceled   = callnormv1.CallStatus_CALL_STATUS_CANCELED
	untold     = callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED
)

func TestEveryStatus(t *testing.T) {
	for word, want := range map[string]struct {
		status       callnormv1.CallStatus
		mapping      callnormv1.Mapping
		reason       callnormv1.EndReason
		completeness callnormv1.Completeness
		class        string
	}{
		"completed":   {status: completed, mapping: exact, completeness: final},
		"failed":      {status: failed, mapping: exact, reason: callnormv1.EndReason_END_REASON_ERROR, completeness: final, class: "failed_unknown"},
		"busy":        {status: busy, mapping: exact, reason: callnormv1.EndReason_END_REASON_BUSY, completeness: final, class: "busy"},
		"no-answer":   {status: noAnswer, mapping: exact, reason: callnormv1.EndReason_END_REASON_NO_ANSWER, completeness: final, class: "no_answer"},
		"canceled":    {status: canceled, mapping: exact, reason: callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER, completeness: final, class: "canceled"},
		"cancelled":   {status: canceled, mapping: heuristic, reason: callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER, completeness: final, class: "canceled"},
		"unknown":     {status: untold, completeness: partial},
		"in-progress": {status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, mapping: heuristic, completeness: partial},
		"queued":      {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, mapping: heuristic, completeness: partial},
		"vanished":    {status: callnormv1.CallStatus_CALL_STATUS_OTHER, mapping: none, completeness: partial},
	} {
		t.Run(word, func(t *testing.T) {
			o := outcome(t, fmt.Sprintf(`"status":%q`, word))
			check(t, "status", []any{o.GetStatus(), o.GetStatusRaw(), o.GetStatusMapping()}, []any{want.status, word, want.mapping})
			check(t, "reason", o.GetEnd().GetReason(), want.reason)
			check(t, "completeness", o.GetCompleteness(), want.completeness)
			check(t, "answered by", o.GetAnsweredBy(), (*callnormv1.AnsweredBy)(nil))
			if want.class != "" {
				adaptertest.CheckClass(t, want.class, o)
			}
			if warned := len(o.GetProvenance().GetWarnings()) > 0; warned != (want.mapping == none) {
				t.Errorf("warnings are %v", o.GetProvenance().GetWarnings())
			}
		})
	}
}

// A call that a voicemail took is "completed", and so is at times one that nobody answered.
func TestStatusTogetherWithAnsweredBy(t *testing.T) {
	const spoke = `,"transcripts":[{"user":"user","text":"Yes?"}]`
	for name, test := range map[string]struct {
		members    string
		status     callnormv1.CallStatus
		mapping    callnormv1.Mapping
		answeredBy callnormv1.AnsweredByKind
		by         callnormv1.Mapping
		reason     callnormv1.EndReason
		detected   bool
		warnings   int
	}{
		"a human": {
			members: `"status":"completed","answered_by":"human"`, status: completed, mapping: exact,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN, by: classified,
		},
		"a voicemail": {
			members: `"status":"completed","answered_by":"voicemail","call_ended_by":"ASSISTANT"`, status: completed, mapping: exact,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL, by: classified,
			reason: callnormv1.EndReason_END_REASON_VOICEMAIL, detected: true,
		},
		"too little to hear": {
			members: `"status":"completed","answered_by":"unknown"`, status: completed, mapping: exact,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_UNDETERMINED, by: classified,
		},
		"detection off": {members: `"status":"completed","answered_by":null`, status: completed, mapping: exact},
		"nobody": {
			members: `"status":"completed","answered_by":"no-answer"`, status: noAnswer, mapping: heuristic,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_NOT_ANSWERED, by: exact,
			reason: callnormv1.EndReason_END_REASON_NO_ANSWER, warnings: 1,
		},
		"nobody, who spoke": {
			members: `"status":"completed","answered_by":"no-answer"` + spoke, status: completed, mapping: exact,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_NOT_ANSWERED, by: exact, warnings: 1,
		},
		"nobody, by both": {
			members: `"status":"no-answer","answered_by":"no-answer"`, status: noAnswer, mapping: exact,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_NOT_ANSWERED, by: exact,
			reason: callnormv1.EndReason_END_REASON_NO_ANSWER,
		},
		"another word": {
			members: `"status":"completed","answered_by":"parrot"`, status: completed, mapping: exact,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_OTHER, by: none, warnings: 1,
		},
		"an unknown status and a human": {
			members: `"completed":true,"status":"unknown","answered_by":"human"`, status: completed, mapping: heuristic,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN, by: classified,
		},
		"an unknown status and words":      {members: `"completed":true,"status":"unknown"` + spoke, status: completed, mapping: heuristic},
		"an unknown status and nothing":    {members: `"completed":true,"status":"unknown"`, status: untold},
		"an unknown status and a no-error": {members: `"completed":true,"status":"unknown","error_message":"unknown"`, status: untold},
		"a disposition is no status":       {members: `"completed":true,"disposition_tag":"NO_ANSWER"`, status: untold},
	} {
		t.Run(name, func(t *testing.T) {
			o := outcome(t, test.members)
			check(t, "status", []any{o.GetStatus(), o.GetStatusMapping()}, []any{test.status, test.mapping})
			check(t, "answered by", []any{o.GetAnsweredBy().GetValue(), o.GetAnsweredBy().GetMapping()}, []any{test.answeredBy, test.by})
			check(t, "reason", o.GetEnd().GetReason(), test.reason)
			check(t, "warnings", len(o.GetProvenance().GetWarnings()), test.warnings)
			check(t, "completeness", o.GetCompleteness(), final)
			if o.GetVoicemail().GetDetected() != test.detected || o.GetVoicemail() != nil && o.Voicemail.MessageLeft != nil {
				t.Errorf("voicemail is %v", o.GetVoicemail())
			}
		})
	}
}

func TestEveryErrorMessage(t *testing.T) {
	for text, want := range map[string]struct {
		reason  callnormv1.EndReason
		mapping callnormv1.Mapping
		code    int32
		by      callnormv1.EndedBy
		alone   callnormv1.CallStatus // of a call without a status
	}{
		"Call failed.": {reason: callnormv1.EndReason_END_REASON_ERROR, alone: failed},
		"Call failed. The number you dialed is not found.": {
			reason: callnormv1.EndReason_END_REASON_INVALID_NUMBER, mapping: exact, code: 404, alone: failed,
		},
		"Call failed. The number you dialed is temporarily unavailable.": {
			reason: callnormv1.EndReason_END_REASON_UNREACHABLE, mapping: exact, code: 480, alone: noAnswer,
		},
		"Call failed. The number you dialed is busy. Please try again later.": {
			reason: callnormv1.EndReason_END_REASON_BUSY, mapping: exact, code: 486, by: callnormv1.EndedBy_ENDED_BY_CALLEE, alone: busy,
		},
		"Call failed. Service Provider Blocked Call due to Spam or Number Reputation. Try a different number.": {
			reason: callnormv1.EndReason_END_REASON_MARKED_AS_SPAM, mapping: exact, code: 608,
			by: callnormv1.EndedBy_ENDED_BY_CARRIER, alone: callnormv1.CallStatus_CALL_STATUS_BLOCKED,
		},
		"A database error occurred. Please contact support.": {
			reason: callnormv1.EndReason_END_REASON_PLATFORM_ERROR, mapping: exact, alone: failed,
		},
		"Unable to start call. Check the call details error_message for more details.": {
			reason: callnormv1.EndReason_END_REASON_PLATFORM_ERROR, mapping: exact, alone: failed,
		},
		"Unable to start call. No agent.":          {reason: callnormv1.EndReason_END_REASON_PLATFORM_ERROR, mapping: prefix, alone: failed},
		"unknown":                                  {reason: callnormv1.EndReason_END_REASON_ERROR},
		"Account not allowed to call +12025550101": {reason: callnormv1.EndReason_END_REASON_TELEPHONY_PERMISSION, mapping: prefix, alone: failed},
		"Call failed. The moon is full.":           {reason: callnormv1.EndReason_END_REASON_ERROR, alone: failed},
		"Something else.":                          {reason: callnormv1.EndReason_END_REASON_ERROR},
	} {
		t.Run(text, func(t *testing.T) {
			o := outcome(t, fmt.Sprintf(`"status":"failed","completed":true,"error_message":%q`, text))
			check(t, "status", []any{o.GetStatus(), o.GetStatusRaw(), o.GetStatusMapping()}, []any{failed, "failed", exact})
			check(t, "error", o.GetError().GetMessage(), text)
			raw, mapping := text, want.mapping
			if mapping == callnormv1.Mapping_MAPPING_UNSPECIFIED {
				raw, mapping = "failed", exact
			}
			end := o.GetEnd()
			check(t, "end", []any{end.GetReason(), end.GetReasonRaw(), end.GetReasonMapping()}, []any{want.reason, raw, mapping})
			check(t, "code and side", []any{end.GetSipCode(), end.GetEndedBy()}, []any{want.code, want.by})
			check(t, "warnings", o.GetProvenance().GetWarnings(), "[]")

			o = outcome(t, fmt.Sprintf(`"completed":true,"error_message":%q`, text))
			check(t, "status by the error", o.GetStatus(), want.alone)

			o = outcome(t, fmt.Sprintf(`"status":"completed","call_ended_by":"USER","error_message":%q`, text))
			check(t, "status of a good call", o.GetStatus(), completed)
			check(t, "end of a good call", o.GetEnd(), outcome(t, `"status":"completed","call_ended_by":"USER"`).GetEnd())
			check(t, "error of a good call", o.GetError().GetMessage(), text)
		})
	}
}

func TestEveryQueueStatus(t *testing.T) {
	for word, want := range map[string]struct {
		alone        callnormv1.CallStatus
		completeness callnormv1.Completeness
		reason       callnormv1.EndReason // of a failed call
		code         string
	}{
		"new":             {alone: callnormv1.CallStatus_CALL_STATUS_QUEUED, completeness: partial},
		"queued":          {alone: callnormv1.CallStatus_CALL_STATUS_QUEUED, completeness: partial},
		"allocated":       {alone: callnormv1.CallStatus_CALL_STATUS_INITIATED, completeness: partial},
		"started":         {alone: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, completeness: partial},
		"complete":        {completeness: final},
		"completed":       {completeness: final},
		"pre_queue_error": {alone: failed, completeness: final, reason: callnormv1.EndReason_END_REASON_CONFIGURATION_ERROR, code: "pre_queue_error"},
		"queue_error":     {alone: failed, completeness: final, code: "queue_error"},
		"call_error":      {alone: failed, completeness: final, code: "call_error"},
		"complete_error":  {completeness: final, code: "complete_error"},
	} {
		t.Run(word, func(t *testing.T) {
			o := outcome(t, fmt.Sprintf(`"queue_status":%q`, word))
			check(t, "status", []any{o.GetStatus(), o.GetCompleteness(), o.GetError().GetCode()}, []any{want.alone, want.completeness, want.code})
			check(t, "warnings", o.GetProvenance().GetWarnings(), "[]")

			reason := want.reason
			if reason == callnormv1.EndReason_END_REASON_UNSPECIFIED {
				reason = callnormv1.EndReason_END_REASON_ERROR
			}
			o = outcome(t, fmt.Sprintf(`"status":"failed","queue_status":%q`, word))
			check(t, "a failed call", []any{o.GetStatusMapping(), o.GetEnd().GetReason()}, []any{exact, reason})

			o = outcome(t, fmt.Sprintf(`"status":"completed","completed":true,"queue_status":%q`, word))
			check(t, "a good call", []any{o.GetStatus(), o.GetStatusMapping(), o.GetCompleteness()}, []any{completed, exact, final})

			over := want.alone
			if want.completeness == partial {
				over = untold // a call that is over neither waits nor goes on
			}
			o = outcome(t, fmt.Sprintf(`"status":"unknown","completed":true,"queue_status":%q`, word))
			check(t, "a call of an unknown end", []any{o.GetStatus(), o.GetCompleteness()}, []any{over, final})
			o = outcome(t, fmt.Sprintf(`"status":"started","completed":true,"queue_status":%q`, word))
			check(t, "a call of an old status", []any{o.GetStatus(), o.GetStatusMapping() == callnormv1.Mapping_MAPPING_UNSPECIFIED}, []any{over, over == untold})
		})
	}
	o := outcome(t, `"status":"completed","queue_status":"lost"`)
	check(t, "an unknown word", o.GetProvenance().GetUnmapped()[0].GetValueJson(), `"lost"`)
	check(t, "an unknown word", o.GetProvenance().GetWarnings()[0].GetPath(), "queue_status")
}

func TestEndedBy(t *testing.T) {
	for word, want := range map[string]struct {
		by      callnormv1.EndedBy
		reason  callnormv1.EndReason
		mapping callnormv1.Mapping
	}{
		"ASSISTANT": {callnormv1.EndedBy_ENDED_BY_AGENT, callnormv1.EndReason_END_REASON_AGENT_HANGUP, exact},
		"USER":      {callnormv1.EndedBy_ENDED_BY_CUSTOMER, callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, exact},
		"GOD":       {callnormv1.EndedBy_ENDED_BY_OTHER, callnormv1.EndReason_END_REASON_OTHER, none},
	} {
		end := outcome(t, fmt.Sprintf(`"status":"completed","call_ended_by":%q`, word)).GetEnd()
		check(t, word, []any{end.GetEndedBy(), end.GetEndedByRaw(), end.GetEndedByMapping()}, []any{want.by, word, want.mapping})
		check(t, word, []any{end.GetReason(), end.GetReasonRaw(), end.GetReasonMapping()}, []any{want.reason, word, want.mapping})
	}
	check(t, "nobody", outcome(t, `"status":"completed"`).GetEnd(), (*callnormv1.CallEnd)(nil))
}

func TestEveryTransferState(t *testing.T) {
	const targets = `"transferred_to":"+12025550103","transferred_at":"2025-12-17T19:18:42.525Z","post_transfer_duration":0.5`
	for word, want := range map[string]callnormv1.TransferResult{
		"STARTED":   callnormv1.TransferResult_TRANSFER_RESULT_STARTED,
		"MERGED":    callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED,
		"CANCELLED": callnormv1.TransferResult_TRANSFER_RESULT_CANCELED,
		"NO_ANSWER": callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"TIMED_OUT": callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"WAITING":   callnormv1.TransferResult_TRANSFER_RESULT_STARTED,
		"FAILED":    callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"HUNG_UP":   callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"PARKED":    callnormv1.TransferResult_TRANSFER_RESULT_OTHER,
	} {
		t.Run(word, func(t *testing.T) {
			o := outcome(t, fmt.Sprintf(`"status":"completed","call_ended_by":"USER",%s,"disposition_tag":"TRANSFERRED",
				"warm_transfer_call":{"state":%q,"proxy_agent_calls":[{"state":"QUEUED","call_id":"p-12345678","phone_number":"+12025550104"}]}`, targets, word))
			transfer := o.GetTransfers()[0]
			check(t, "transfer", []any{transfer.GetKind(), transfer.GetResult(), transfer.GetResultRaw()},
				[]any{callnormv1.TransferKind_TRANSFER_KIND_WARM, want, word})
			check(t, "target", transfer.GetTarget().GetPhone().GetE164(), "+12025550103")
			check(t, "leg", []any{o.GetLegs()[0].GetId(), o.GetLegs()[0].GetStatusRaw()}, []any{"p-12345678", "QUEUED"})
			merged := word == "MERGED"
			if (o.GetEnd().GetReason() == callnormv1.EndReason_END_REASON_TRANSFERRED) != merged ||
				(o.GetDisposition().GetValue() == callnormv1.ContactDisposition_CONTACT_DISPOSITION_ESCALATED) != merged {
				t.Errorf("end %v, disposition %v", o.GetEnd(), o.GetDisposition())
			}
			check(t, "ended by", o.GetEnd().GetEndedBy(), callnormv1.EndedBy_ENDED_BY_CUSTOMER)
			if merged {
				adaptertest.CheckClass(t, "transferred", o)
			}
		})
	}
	o := outcome(t, `"status":"completed","disposition_tag":"TRANSFERRED","transferred_to":null,"transferred_at":null,"warm_transfer_call":null`)
	if len(o.GetTransfers()) > 0 || o.GetEnd() != nil || o.GetDisposition().GetValue() != callnormv1.ContactDisposition_CONTACT_DISPOSITION_OTHER {
		t.Errorf("an opinion made a transfer: %v, %v", o.GetTransfers(), o.GetDisposition())
	}
}

func TestColdTransfer(t *testing.T) {
	for name, test := range map[string]struct {
		members string
		want    string
	}{
		"by its time":          {`"transferred_to":"+12025550103","transferred_at":"2025-12-17T19:18:42.525Z"`, "[TRANSFER_RESULT_COMPLETED]"},
		"by its length":        {`"transferred_to":"+12025550103","post_transfer_duration":0.5`, "[TRANSFER_RESULT_COMPLETED]"},
		"without a target":     {`"transferred_at":"2025-12-17T19:18:42.525Z"`, "[TRANSFER_RESULT_UNSPECIFIED]"},
		"of no length":         {`"transferred_to":"+12025550103","transferred_at":"2025-12-17T19:18:42.525Z","post_transfer_duration":0`, "[TRANSFER_RESULT_STARTED]"},
		"a target alone":       {`"transferred_to":"+12025550103"`, "[TRANSFER_RESULT_UNSPECIFIED]"},
		"an empty target":      {`"transferred_to":""`, "[]"},
		"a length before none": {`"pre_transfer_duration":1,"post_transfer_duration":0`, "[]"},
		"what the target said": {`"transferred_to":"+12025550103","post_transfer_transcript":[{"speaker_label":"representative","text":"Hi","start":0,"end":1}]`, "[TRANSFER_RESULT_COMPLETED]"},
	} {
		t.Run(name, func(t *testing.T) {
			o := outcome(t, `"status":"completed",`+test.members)
			var results []callnormv1.TransferResult
			for _, transfer := range o.GetTransfers() {
				results = append(results, transfer.GetResult())
				check(t, "kind", transfer.GetKind(), callnormv1.TransferKind_TRANSFER_KIND_COLD)
			}
			check(t, "results", results, test.want)
		})
	}
}

func TestEveryDispositionTag(t *testing.T) {
	const other = callnormv1.ContactDisposition_CONTACT_DISPOSITION_OTHER
	rule, model := callnormv1.DecidedBy_DECIDED_BY_PROVIDER_RULE, callnormv1.DecidedBy_DECIDED_BY_PROVIDER_LLM
	for word, want := range map[string]struct {
		value   callnormv1.ContactDisposition
		mapping callnormv1.Mapping
		by      callnormv1.DecidedBy
	}{
		"INTERESTED":          {callnormv1.ContactDisposition_CONTACT_DISPOSITION_INTERESTED, llm, model},
		"NOT_INTERESTED":      {callnormv1.ContactDisposition_CONTACT_DISPOSITION_NOT_INTERESTED, llm, model},
		"FOLLOW_UP_REQUIRED":  {other, llm, model},
		"CALL_BACK_SCHEDULED": {callnormv1.ContactDisposition_CONTACT_DISPOSITION_CALLBACK_REQUESTED, llm, model},
		"TRANSFERRED":         {other, llm, model}, // without a transfer
		"OBJECTION_RAISED":    {other, llm, model},
		"NEEDS_MORE_INFO":     {other, llm, model},
		"NOT_QUALIFIED":       {callnormv1.ContactDisposition_CONTACT_DISPOSITION_NOT_QUALIFIED, llm, model},
		"NO_CONTACT_MADE":     {callnormv1.ContactDisposition_CONTACT_DISPOSITION_NO_CONTACT, llm, model},
		"COMPLETED_ACTION":    {other, llm, model},
		"DO_NOT_CONTACT":      {callnormv1.ContactDisposition_CONTACT_DISPOSITION_DO_NOT_CALL, llm, model},
		"AGENT_ENDED_CALL":    {other, llm, model},
		"NO_ANSWER":           {callnormv1.ContactDisposition_CONTACT_DISPOSITION_NO_CONTACT, exact, rule},
		"BUSY":                {callnormv1.ContactDisposition_CONTACT_DISPOSITION_NO_CONTACT, exact, rule},
		"CANCELED":            {callnormv1.ContactDisposition_CONTACT_DISPOSITION_NO_CONTACT, exact, rule},
		"FAILED":              {other, exact, rule},
		// The customer's own.
		"Booking confirmed":  {other, none, model},
		"appointment_booked": {callnormv1.ContactDisposition_CONTACT_DISPOSITION_APPOINTMENT_BOOKED, heuristic, model},
		"Wrong Number":       {callnormv1.ContactDisposition_CONTACT_DISPOSITION_WRONG_NUMBER, heuristic, model},
		"other":              {other, none, model},
		"unspecified":        {other, none, model},
	} {
		t.Run(word, func(t *testing.T) {
			o := outcome(t, fmt.Sprintf(`"status":"completed","answered_by":"human","disposition_tag":%q`, word))
			d := o.GetDisposition()
			check(t, "disposition", []any{d.GetValue(), d.GetRaw(), d.GetMapping(), d.GetDecidedBy()}, []any{want.value, word, want.mapping, want.by})
			check(t, "status", []any{o.GetStatus(), o.GetStatusRaw(), o.GetEnd()}, []any{completed, "completed", (*callnormv1.CallEnd)(nil)})
			check(t, "goal", d.GetGoal() == callnormv1.GoalResult_GOAL_RESULT_ACHIEVED, word == "COMPLETED_ACTION")
			check(t, "follow up", o.GetAnalysis().GetFollowUpRequired(), word == "FOLLOW_UP_REQUIRED")
			check(t, "do not call", d.GetDoNotCall(), word == "DO_NOT_CONTACT")
			check(t, "wrong number", d.GetWrongNumber(), word == "Wrong Number")
		})
	}
	for name, test := range map[string]struct {
		members string
		mapping callnormv1.Mapping
		by      callnormv1.DecidedBy
	}{
		"long, without a transcript":  {`"corrected_duration":121`, exact, rule},
		"short, without a transcript": {`"corrected_duration":120`, llm, model},
		"long, with a transcript":     {`"corrected_duration":121,"concatenated_transcript":"user: Hi"`, llm, model},
	} {
		t.Run(name, func(t *testing.T) {
			d := outcome(t, `"status":"completed","disposition_tag":"AGENT_ENDED_CALL",`+test.members).GetDisposition()
			check(t, "by whom", []any{d.GetMapping(), d.GetDecidedBy()}, []any{test.mapping, test.by})
		})
	}
}

func TestDurations(t *testing.T) {
	for name, test := range map[string]struct {
		members            string
		total, talk, after string
		warnings           int
	}{
		"seconds in a text":           {members: `"corrected_duration":"115"`, total: "1m55s"},
		"seconds in a number":         {members: `"corrected_duration":115`, total: "1m55s"},
		"minutes":                     {members: `"call_length":0.316666666666667`, total: "19s"},
		"both":                        {members: `"call_length":3.26666666666667,"corrected_duration":"196"`, total: "3m16s"},
		"both, apart":                 {members: `"call_length":7.099,"corrected_duration":"71"`, total: "1m11s", warnings: 1},
		"no seconds":                  {members: `"corrected_duration":"0"`, total: "0s"},
		"the limit is no length":      {members: `"max_duration":12`},
		"parts of a transferred call": {members: `"call_length":2,"transferred_at":"2025-12-17T19:18:42Z","pre_transfer_duration":1.5,"post_transfer_duration":0.5`, total: "2m0s", talk: "1m30s", after: "30s"},
		"parts longer than the whole": {members: `"corrected_duration":"11","transferred_at":"2025-12-17T19:18:42Z","pre_transfer_duration":0.3955,"post_transfer_duration":0.5`, total: "11s", talk: "23.73s", after: "30s", warnings: 1},
		"a part without a transfer":   {members: `"corrected_duration":"11","pre_transfer_duration":0.1`, total: "11s"},
	} {
		t.Run(name, func(t *testing.T) {
			o := outcome(t, `"status":"completed",`+test.members)
			total, talk, after := "", "", ""
			if o.GetTotalDuration() != nil {
				total = o.GetTotalDuration().AsDuration().String()
			}
			if o.GetTalkDuration() != nil {
				talk = o.GetTalkDuration().AsDuration().String()
			}
			for _, transfer := range o.GetTransfers() {
				after = transfer.GetDuration().AsDuration().String()
			}
			check(t, "durations", []string{total, talk, after}, []string{test.total, test.talk, test.after})
			check(t, "warnings", len(o.GetProvenance().GetWarnings()), test.warnings)
		})
	}
}

func TestPrice(t *testing.T) {
	for literal, want := range map[string]string{
		`0.017`: "0.017", `0`: "0", `12`: "12", `"0.090"`: "0.090", `2.9e-2`: "0.029", `1.4600000000000001E-2`: "0.014600000000000001",
		`15e1`: "150", `-0.5`: "-0.5", `-5e-1`: "-0.5", `1.25e0`: "1.25", `0e0`: "0", `1e-30`: "0.000000000000000000000000000001",
		`null`: "", `""`: "", `"free"`: "", `1e99`: "", `1e-99`: "", `1234567890123`: "1234567890123", `true`: "", `"1e"`: "", `"0x10"`: "", `"."`: "", `"1."`: "",
	} {
		cost := outcome(t, `"status":"completed","price":`+literal).GetCost()
		if want == "" {
			check(t, literal, cost, (*callnormv1.Cost)(nil))
			continue
		}
		check(t, literal, []any{cost.GetTotal().GetAmount(), cost.GetTotal().GetCurrencyCode(), len(cost.GetLines())}, []any{want, "USD", 0})
	}
}

// What comes after the report adds to it, and takes nothing from it, in whatever order they arrive.
func TestEventsFoldWithTheReport(t *testing.T) {
	const id = `"call_id":"8a9620f6-d634-4b92-8d75-93280a894a71",`
	bodies := []string{
		`{` + id + `"completed":false,"queue_status":"started","created_at":"2025-09-19T18:22:06.984+00:00"}`,
		`{` + id + `"status":"completed","completed":true,"answered_by":"human","call_ended_by":"USER","transferred_to":"+12025550103",
			"transcripts":[{"id":1,"user":"user","text":"Hello"}],"variables":{"plan":"annual"},"summary":"Short.","disposition_tag":"INTERESTED"}`,
		`{` + id + `"event_type":"citations","timestamp":"2025-09-19T18:23:00Z","citations":[{"variable_name":"height","value":true,"schema_id":"s"}]}`,
		`{` + id + `"event_type":"post_transfer_transcript","transfer_offset_seconds":9,"post_transfer_transcript":[{"speaker_label":"representative","text":"Hi","start":0,"end":1}]}`,
		`{` + id + `"event_type":"dispositions","timestamp":"2025-09-19T18:43:00Z","agent_dispositions":[{"disposition_id":"d","disposition_key":"k","payload":1}]}`,
		`{` + id + `"event_type":"evals","status":"FAILED","error_message":"a judge failed","timestamp":"2025-09-19T18:53:00Z"}`,
	}
	var contributions []*callnormv1.CallOutcome
	for i, body := range bodies {
		result, err := adapters.Normalize(bland.New(), adapters.Delivery{Provider: "bland", Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		call := result.Outcomes[0].Call
		call.Provenance.Deliveries = []*callnormv1.DeliveryRef{{Delivery: fmt.Sprint("deliveries/", i), BodySha256: fmt.Sprint(i)}}
		contributions = append(contributions, call)
	}
	alone := contributions[1]
	want := callstate.Fold(contributions)
	for _, contribution := range contributions {
		check(t, "family and id", contribution.GetProviderCallId(), alone.GetProviderCallId())
	}
	check(t, "completeness", []any{want.GetCompleteness(), want.GetExpectedParts()}, []any{final, "[]"})
	check(t, "status", []any{want.GetStatus(), want.GetStatusRaw()}, []any{completed, "completed"})
	check(t, "error", want.GetError(), (*callnormv1.CallError)(nil))
	for what, pair := range map[string][2]any{
		"end":         {want.GetEnd(), alone.GetEnd()},
		"answered by": {want.GetAnsweredBy(), alone.GetAnsweredBy()},
		"disposition": {want.GetDisposition(), alone.GetDisposition()},
		"analysis":    {want.GetAnalysis(), alone.GetAnalysis()},
	} {
		if diff := cmp.Diff(pair[1], pair[0], protocmp.Transform()); diff != "" {
			t.Errorf("%s (-report +fold):\n%s", what, diff)
		}
	}
	var names []string
	for _, field := range want.GetExtractedFields() {
		names = append(names, field.GetName())
	}
	slices.Sort(names)
	check(t, "extracted fields", names, "[height k plan]")
	var said []string
	for _, turn := range want.GetTranscript().GetTurns() {
		said = append(said, turn.GetText())
	}
	check(t, "what was said, after the transfer as well", said, "[Hello Hi]")
	check(t, "transfers", len(want.GetTransfers()), 1)
	check(t, "the transfer that the target's words prove", want.GetTransfers()[0].GetResult(), callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED)
	for range contributions {
		contributions = append(contributions[1:], contributions[0])
		if diff := cmp.Diff(want, callstate.Fold(contributions), protocmp.Transform()); diff != "" {
			t.Fatalf("another order means something else:\n%s", diff)
		}
		slices.Reverse(contributions)
		if diff := cmp.Diff(want, callstate.Fold(contributions), protocmp.Transform()); diff != "" {
			t.Fatalf("another order means something else:\n%s", diff)
		}
	}
}

func TestEveryEventType(t *testing.T) {
	for word, want := range map[string]struct {
		kind         callnormv1.EventKind
		mapping      callnormv1.Mapping
		completeness callnormv1.Completeness
		expected     string
	}{
		"citations":                   {callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, exact, settling, "[PART_RESULT]"},
		"corrected_transcript":        {callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, exact, settling, "[PART_RESULT]"},
		"post_transfer_transcript":    {callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, exact, settling, "[PART_RESULT]"},
		"live_translation_transcript": {callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, exact, settling, "[PART_RESULT]"},
		"dispositions":                {callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, exact, settling, "[PART_RESULT]"},
		"evals":                       {callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, exact, settling, "[PART_RESULT]"},
		"multiple":                    {callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, exact, settling, "[PART_RESULT]"},
		"sentiment":                   {callnormv1.EventKind_EVENT_KIND_OTHER, none, partial, "[]"},
	} {
		t.Run(word, func(t *testing.T) {
			o := outcome(t, fmt.Sprintf(`"event_type":%q`, word))
			check(t, "event", []any{o.GetEvent(), o.GetEventRaw(), o.GetEventMapping()}, []any{want.kind, word, want.mapping})
			check(t, "completeness", []any{o.GetCompleteness(), o.GetExpectedParts(), o.GetStatus()}, []any{want.completeness, want.expected, untold})

			o = outcome(t, fmt.Sprintf(`"status":"completed","completed":true,"event_type":%q`, word))
			mapping := want.mapping
			if mapping == none {
				mapping = heuristic
			}
			check(t, "a report", []any{o.GetEvent(), o.GetEventMapping(), o.GetCompleteness(), o.GetStatus()},
				[]any{callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, mapping, final, completed})
		})
	}
}

func TestEverySpeaker(t *testing.T) {
	for word, want := range map[string][2]callnormv1.ParticipantRole{ // of a call, and of one to a human agent
		"user":           {callnormv1.ParticipantRole_PARTICIPANT_ROLE_CUSTOMER, callnormv1.ParticipantRole_PARTICIPANT_ROLE_HUMAN_AGENT},
		"assistant":      {callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT, callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT},
		"robot":          {callnormv1.ParticipantRole_PARTICIPANT_ROLE_OTHER, callnormv1.ParticipantRole_PARTICIPANT_ROLE_OTHER},
		"representative": {callnormv1.ParticipantRole_PARTICIPANT_ROLE_TRANSFER_TARGET, callnormv1.ParticipantRole_PARTICIPANT_ROLE_TRANSFER_TARGET},
		"parrot":         {callnormv1.ParticipantRole_PARTICIPANT_ROLE_OTHER, callnormv1.ParticipantRole_PARTICIPANT_ROLE_OTHER},
	} {
		for i, proxy := range []bool{false, true} {
			turn := outcome(t, fmt.Sprintf(`"status":"completed","is_proxy_agent_call":%v,"transcripts":[{"user":%q,"text":"Hi"}]`, proxy, word)).GetTranscript().GetTurns()[0]
			check(t, word, []any{turn.GetRole(), turn.GetRoleRaw()}, []any{want[i], word})
		}
	}
	o := outcome(t, `"status":"completed","transcripts":[{"user":"agent-action","text":"Ended call","id":7}]`)
	check(t, "an action", []any{o.GetTranscript(), o.GetToolCalls()[0].GetId(), o.GetToolCalls()[0].GetDescription()},
		[]any{(*callnormv1.Transcript)(nil), "7", "Ended call"})
}

// The call to a human agent is a call of its own. Nobody on it is the contact, and it says nothing of the customer's call.
func TestProxyAgentCall(t *testing.T) {
	o := outcome(t, `"status":"completed","inbound":false,"from":"+12025550102","to":"+12025550103","is_proxy_agent_call":true,
		"call_ended_by":"USER","disposition_tag":"COMPLETED_ACTION","answered_by":"human"`)
	check(t, "direction", o.GetDirection(), callnormv1.Direction_DIRECTION_INTERNAL)
	check(t, "contact and disposition", []any{o.GetContact(), o.GetDisposition()}, []any{(*callnormv1.Contact)(nil), (*callnormv1.Disposition)(nil)})
	check(t, "ended by", []any{o.GetEnd().GetEndedBy(), o.GetEnd().GetReason()},
		[]any{callnormv1.EndedBy_ENDED_BY_HUMAN_OPERATOR, callnormv1.EndReason_END_REASON_UNSPECIFIED})
	check(t, "human agent", o.GetParticipants()[1].GetEndpoint().GetPhone().GetE164(), "+12025550103")
}

// Bland has no limit to what a call may hold. One that does not fit into `unmapped` is counted and told of.
func TestLongPathwayLogsAreNotCopied(t *testing.T) {
	log := `{"role":"user","text":"` + strings.Repeat("x", 1000) + `","chosen_node_id":"1"}`
	o := outcome(t, `"status":"completed","pathway_logs":[`+strings.Repeat(log+",", 100)+log+`]`)
	check(t, "unmapped", []any{len(o.GetProvenance().GetUnmapped()), o.GetProvenance().GetUnmappedCount()}, []any{0, 1})
	check(t, "node path", o.GetAgent().GetNodePath(), "[1]")
}
