package twilio_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/internal/sip"
	"github.com/callnorm/callnorm/adapters/twilio"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/callstate"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

const (
	exact      = callnormv1.Mapping_MAPPING_EXACT
	heuristic  = callnormv1.Mapping_MAPPING_HEURISTIC
	classified = callnormv1.Mapping_MAPPING_PROVIDER_CLASSIFIED
	none       = callnormv1.Mapping_MAPPING_NONE
	partial    = callnormv1.Completeness_COMPLETENESS_PARTIAL
	settling   = callnormv1.Completeness_COMPLETENESS_SETTLING
	final      = callnormv1.Completeness_COMPLETENESS_FINAL
)

// outcome returns what a form with an id and these pairs of names and values means.
func outcome(t *testing.T, pairs ...string) *callnormv1.CallOutcome {
	t.Helper()
	form := "CallSid=CA00000000000000000000000000000001"
	for i := 0; i < len(pairs); i += 2 {
		form += "&" + pairs[i] + "=" + url.QueryEscape(pairs[i+1])
	}
	d := adapters.Delivery{Provider: "twilio", Body: []byte(form)}
	adaptertest.Check(t, twilio.New(), d)
	result, err := twilio.New().Normalize(d)
	if err != nil {
		t.Fatal(err)
	}
	return result.Outcomes[0].Call
}

// check compares what both sides show.
func check(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s is %s, want %s", what, g, w)
	}
}

func TestEveryCallStatus(t *testing.T) {
	for word, want := range map[string]struct {
		class        string // of calls that are over
		status       callnormv1.CallStatus
		mapping      callnormv1.Mapping
		event        callnormv1.EventKind
		completeness callnormv1.Completeness
		time         string // the field that the time of the event is in
	}{
		"queued": {
			status: callnormv1.CallStatus_CALL_STATUS_QUEUED, mapping: exact,
			event: callnormv1.EventKind_EVENT_KIND_CALL_SCHEDULED, completeness: partial, time: "queue",
		},
		"initiated": {
			status: callnormv1.CallStatus_CALL_STATUS_INITIATED, mapping: exact,
			event: callnormv1.EventKind_EVENT_KIND_CALL_STARTED, completeness: partial, time: "dial",
		},
		"ringing": {
			status: callnormv1.CallStatus_CALL_STATUS_RINGING, mapping: exact,
			event: callnormv1.EventKind_EVENT_KIND_CALL_STARTED, completeness: partial, time: "ring",
		},
		"in-progress": {
			status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, mapping: exact,
			event: callnormv1.EventKind_EVENT_KIND_CALL_CONNECTED, completeness: partial, time: "answer",
		},
		"answered": {
			status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, mapping: heuristic,
			event: callnormv1.EventKind_EVENT_KIND_CALL_CONNECTED, completeness: partial, time: "answer",
		},
		"completed": {
			class: "completed", status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, mapping: exact,
			event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED, completeness: final, time: "end",
		},
		"busy": {
			class: "busy", status: callnormv1.CallStatus_CALL_STATUS_BUSY, mapping: exact,
			event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED, completeness: final, time: "end",
		},
		"no-answer": {
			class: "no_answer", status: callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, mapping: exact,
			event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED, completeness: final, time: "end",
		},
		"canceled": {
			class: "canceled", status: callnormv1.CallStatus_CALL_STATUS_CANCELED, mapping: exact,
			event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED, completeness: final, time: "end",
		},
		"cancelled": {
			class: "canceled", status: callnormv1.CallStatus_CALL_STATUS_CANCELED, mapping: heuristic,
			event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED, completeness: final, time: "end",
		},
		"failed": {
			class: "failed_telephony", status: callnormv1.CallStatus_CALL_STATUS_FAILED, mapping: exact,
			event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED, completeness: final, time: "end",
		},
		"parked": {
			status: callnormv1.CallStatus_CALL_STATUS_OTHER, mapping: none,
			event: callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS, completeness: partial,
		},
	} {
		t.Run(word, func(t *testing.T) {
			o := outcome(t, "CallStatus", word, "Timestamp", "Tue, 03 Feb 2026 10:11:12 +0000")
			check(t, "status", []any{o.GetStatus(), o.GetStatusRaw(), o.GetStatusMapping()}, []any{want.status, word, want.mapping})
			check(t, "event", []any{o.GetEvent(), o.GetEventRaw(), o.GetEventMapping()}, []any{want.event, word, heuristic})
			check(t, "completeness", o.GetCompleteness(), want.completeness)
			if want.class != "" {
				adaptertest.CheckClass(t, want.class, o)
			} else if o.GetEnd() != nil {
				t.Errorf("a call that goes on ends: %v", o.GetEnd())
			}
			if slices.Contains(o.GetPresentParts(), callnormv1.Part_PART_RESULT) != (want.completeness == final) {
				t.Errorf("present are %v", o.GetPresentParts())
			}
			times := ""
			for name, at := range map[string]interface{ AsTime() time.Time }{
				"queue": o.GetQueueTime(), "dial": o.GetDialTime(), "ring": o.GetRingTime(), "answer": o.GetAnswerTime(), "end": o.GetEndTime(),
			} {
				if at.AsTime().Unix() == 1770113472 {
					times += name
				}
			}
			check(t, "the time of the event", times, want.time)
			if o.GetStartTime() != nil || o.GetTotalDuration() != nil || o.GetBilledDuration() != nil {
				t.Errorf("nothing tells a start or a length: %v", o)
			}
		})
	}
}

func TestEveryAnswerer(t *testing.T) {
	for word, want := range map[string]struct {
		kind    callnormv1.AnsweredByKind
		mapping callnormv1.Mapping
		class   string
	}{
		"human":               {callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN, classified, "completed"},
		"machine_start":       {callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL_GREETING, classified, "voicemail"},
		"machine_end_beep":    {callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL_BEEP, classified, "voicemail"},
		"machine_end_silence": {callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL_NO_BEEP, classified, "voicemail"},
		"machine_end_other":   {callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL, classified, "voicemail"},
		"machine":             {callnormv1.AnsweredByKind_ANSWERED_BY_KIND_MACHINE, heuristic, "voicemail"},
		"unknown":             {callnormv1.AnsweredByKind_ANSWERED_BY_KIND_UNDETERMINED, classified, "completed"},
		"fax":                 {callnormv1.AnsweredByKind_ANSWERED_BY_KIND_FAX, classified, ""},
		"robot":               {callnormv1.AnsweredByKind_ANSWERED_BY_KIND_OTHER, none, "completed"},
	} {
		t.Run(word, func(t *testing.T) {
			detected := callnormv1.AnsweredBy{Value: want.kind, Raw: word, Mapping: want.mapping}
			o := outcome(t, "CallStatus", "completed", "CallDuration", "9", "AnsweredBy", word)
			if diff := cmp.Diff(&detected, o.GetAnsweredBy(), protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
			if want.class == "" {
				check(t, "end", o.GetEnd(), (*callnormv1.CallEnd)(nil))
			} else {
				adaptertest.CheckClass(t, want.class, o)
			}
			check(t, "voicemail", o.GetVoicemail().GetDetected(), want.class == "voicemail")
			if o.GetVoicemail() != nil && o.GetVoicemail().MessageLeft != nil {
				t.Error("nothing tells whether a message was left")
			}

			// Asynchronous detection has a callback of its own.
			o = outcome(t, "AnsweredBy", word, "MachineDetectionDuration", "3450")
			if diff := cmp.Diff(&detected, o.GetAnsweredBy(), protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
			check(t, "status", o.GetStatus(), callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED)
			check(t, "completeness", o.GetCompleteness(), partial)
			check(t, "event", o.GetEvent(), callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS)

			// A detection on a call that nobody answered is wrong, unless it came to no result.
			for _, status := range []string{"no-answer", "busy", "failed", "canceled"} {
				o = outcome(t, "CallStatus", status, "AnsweredBy", word)
				warned := slices.ContainsFunc(o.GetProvenance().GetWarnings(), func(w *callnormv1.Warning) bool {
					return w.GetKind() == callnormv1.WarningKind_WARNING_KIND_CONTRADICTION
				})
				check(t, "warned on "+status, warned, word != "unknown")
			}
		})
	}
}

// TestEveryCodeOfAFailure goes through the codes of SIP: CallStatus leads, and few codes say more of a failure than its reason.
func TestEveryCodeOfAFailure(t *testing.T) {
	const blocked, noAnswer = "blocked", "no_answer"
	classes := map[int]string{
		404: "invalid_number", 410: "invalid_number", 484: "invalid_number", 604: "invalid_number",
		480: noAnswer, 607: blocked, 608: blocked,
		487: "failed_telephony", 200: "failed_telephony", 499: "failed_telephony", 503: "failed_telephony", 500: "failed_telephony",
	}
	for code := 100; code <= 699; code++ {
		o := outcome(t, "CallStatus", "failed", "SipResponseCode", strconv.Itoa(code), "Direction", "outbound-api")
		check(t, "code", o.GetEnd().GetSipCode(), code)
		if class, ok := classes[code]; ok {
			adaptertest.CheckClass(t, class, o)
			delete(classes, code)
			continue
		}
		meaning, known := sip.Find(int32(code))
		want := callnormv1.EndReason_END_REASON_TELEPHONY_ERROR
		if known && meaning.Status != callnormv1.CallStatus_CALL_STATUS_COMPLETED {
			want = meaning.Reason
		}
		check(t, fmt.Sprintf("the end by %d", code), []any{o.GetStatus(), o.GetStatusMapping(), o.GetEnd().GetReason(), o.GetEnd().GetReasonMapping()},
			[]any{callnormv1.CallStatus_CALL_STATUS_FAILED, exact, want, heuristic})
	}
	check(t, "codes that were left out", len(classes), 0)
}

func TestWhoEndedACall(t *testing.T) {
	const (
		unspecified = callnormv1.EndedBy_ENDED_BY_UNSPECIFIED
		customer    = callnormv1.EndedBy_ENDED_BY_CUSTOMER
		system      = callnormv1.EndedBy_ENDED_BY_SYSTEM
		caller      = callnormv1.EndedBy_ENDED_BY_CALLER
		callee      = callnormv1.EndedBy_ENDED_BY_CALLEE
		carrier     = callnormv1.EndedBy_ENDED_BY_CARRIER
	)
	for name, test := range map[string]struct {
		pairs  []string
		by     callnormv1.EndedBy
		raw    string
		reason callnormv1.EndReason
	}{
		"a busy contact": {
			[]string{"CallStatus", "busy", "SipResponseCode", "486", "Direction", "outbound-api"},
			customer, "486", callnormv1.EndReason_END_REASON_BUSY,
		},
		"somebody busy, dialled by a <Dial>": {
			[]string{"CallStatus", "busy", "SipResponseCode", "600", "Direction", "outbound-dial"},
			callee, "600", callnormv1.EndReason_END_REASON_BUSY,
		},
		"a code that is another one's": {
			[]string{"CallStatus", "busy", "SipResponseCode", "404", "Direction", "outbound-api"},
			unspecified, "", callnormv1.EndReason_END_REASON_BUSY,
		},
		"our own time limit": {
			[]string{"CallStatus", "no-answer", "SipResponseCode", "487", "Direction", "outbound-api"},
			system, "487", callnormv1.EndReason_END_REASON_RING_TIMEOUT,
		},
		"nobody tells": {
			[]string{"CallStatus", "no-answer", "SipResponseCode", "603", "Direction", "outbound-api"},
			unspecified, "", callnormv1.EndReason_END_REASON_NO_ANSWER,
		},
		"our own cancel": {
			[]string{"CallStatus", "canceled", "SipResponseCode", "487", "Direction", "outbound-api"},
			system, "487", callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER,
		},
		"a <Dial> that was called off": {
			[]string{"CallStatus", "canceled", "SipResponseCode", "487", "Direction", "outbound-dial"},
			caller, "487", callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER,
		},
		"a contact who gave up": {
			[]string{"CallStatus", "canceled", "SipResponseCode", "487", "Direction", "inbound"},
			customer, "487", callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER,
		},
		"a contact who declined": {
			[]string{"CallStatus", "failed", "SipResponseCode", "603", "Direction", "outbound-api"},
			customer, "603", callnormv1.EndReason_END_REASON_DECLINED,
		},
		"a number that does not exist": {
			[]string{"CallStatus", "failed", "SipResponseCode", "404", "Direction", "outbound-api"},
			callnormv1.EndedBy_ENDED_BY_UNSPECIFIED, "", callnormv1.EndReason_END_REASON_INVALID_NUMBER,
		},
		"a network without room": {
			[]string{"CallStatus", "failed", "SipResponseCode", "503", "Direction", "outbound-api"},
			carrier, "503", callnormv1.EndReason_END_REASON_CONGESTION,
		},
		"a failure that was terminated": {
			[]string{"CallStatus", "failed", "SipResponseCode", "487"},
			unspecified, "", callnormv1.EndReason_END_REASON_TELEPHONY_ERROR,
		},
		"TeXML's caller, who is the contact": {
			[]string{"CallStatus", "completed", "HangupSource", "caller", "Direction", "inbound"},
			customer, "caller", callnormv1.EndReason_END_REASON_CONVERSATION_ENDED,
		},
		"TeXML's callee, who is the contact": {
			[]string{"CallStatus", "completed", "HangupSource", "callee", "Direction", "outbound"},
			customer, "callee", callnormv1.EndReason_END_REASON_CONVERSATION_ENDED,
		},
		"TeXML's caller without a direction": {
			[]string{"CallStatus", "completed", "HangupSource", "caller"},
			caller, "caller", callnormv1.EndReason_END_REASON_CONVERSATION_ENDED,
		},
		"a word of nobody": {
			[]string{"CallStatus", "completed", "HangupSource", "gremlin"},
			callnormv1.EndedBy_ENDED_BY_OTHER, "gremlin", callnormv1.EndReason_END_REASON_CONVERSATION_ENDED,
		},
	} {
		t.Run(name, func(t *testing.T) {
			end := outcome(t, test.pairs...).GetEnd()
			check(t, "the end", []any{end.GetEndedBy(), end.GetEndedByRaw(), end.GetReason()}, []any{test.by, test.raw, test.reason})
		})
	}
}

func TestCodesThatAreNone(t *testing.T) {
	for _, code := range []string{"0", "99", "700", "-1", "unspecified", "486.5"} {
		o := outcome(t, "CallStatus", "busy", "SipResponseCode", code)
		if o.GetEnd().SipCode != nil || len(o.GetProvenance().GetUnmapped()) != 1 || len(o.GetProvenance().GetWarnings()) != 1 {
			t.Errorf("%s: %v, %v", code, o.GetEnd(), o.GetProvenance())
		}
	}
}

func TestEveryDirection(t *testing.T) {
	for word, want := range map[string]struct {
		direction callnormv1.Direction
		mapping   callnormv1.Mapping
		contact   string
	}{
		"inbound":              {callnormv1.Direction_DIRECTION_INBOUND, exact, "+12025550143"},
		"outbound-api":         {callnormv1.Direction_DIRECTION_OUTBOUND, exact, "+12025550187"},
		"outbound-dial":        {callnormv1.Direction_DIRECTION_OUTBOUND, exact, ""},
		"outbound":             {callnormv1.Direction_DIRECTION_OUTBOUND, heuristic, "+12025550187"},
		"trunking-originating": {callnormv1.Direction_DIRECTION_INBOUND, heuristic, "+12025550143"},
		"trunking-terminating": {callnormv1.Direction_DIRECTION_OUTBOUND, heuristic, "+12025550187"},
		"sideways":             {callnormv1.Direction_DIRECTION_OTHER, none, ""},
		"":                     {},
	} {
		t.Run(word, func(t *testing.T) {
			o := outcome(t, "CallStatus", "completed", "Direction", word, "From", "+12025550143", "To", "+12025550187")
			check(t, "direction", []any{o.GetDirection(), o.GetDirectionRaw(), o.GetDirectionMapping()}, []any{want.direction, word, want.mapping})
			contact := ""
			for _, number := range o.GetContact().GetPhones() {
				contact += number.GetE164()
			}
			check(t, "contact", contact, want.contact)
			check(t, "sides", o.GetCaller().GetPhone().GetE164()+" "+o.GetCallee().GetPhone().GetE164(), "+12025550143 +12025550187")
		})
	}
}

func TestParties(t *testing.T) {
	for text, want := range map[string]struct {
		e164, sipURI, raw string
		channel           callnormv1.Channel
	}{
		"+12025550143":               {e164: "+12025550143", channel: callnormv1.Channel_CHANNEL_PHONE},
		" 12025550143":               {e164: "+12025550143", channel: callnormv1.Channel_CHANNEL_PHONE},
		"12025550143":                {}, // nothing tells where its country code ends
		"622180602341":               {},
		"40404":                      {},
		"anonymous":                  {},
		"Anonymous":                  {},
		"unknown":                    {},
		"unavailable":                {},
		"restricted":                 {},
		"+266696687":                 {},
		"+7378742833":                {},
		"+2562533":                   {},
		"+8656696":                   {},
		"+86282452253":               {},
		" 86282452253":               {},
		" jo":                        {},
		"client:jo":                  {raw: "client", channel: callnormv1.Channel_CHANNEL_WEB},
		"sip:jo@example.com":         {sipURI: "sip:jo@example.com", raw: "sip", channel: callnormv1.Channel_CHANNEL_SIP},
		"SIPS:+12025550143@host":     {sipURI: "SIPS:+12025550143@host", raw: "SIPS", channel: callnormv1.Channel_CHANNEL_SIP},
		"whatsapp:+12025550143":      {e164: "+12025550143", raw: "whatsapp", channel: callnormv1.Channel_CHANNEL_WHATSAPP},
		"whatsapp:":                  {},
		"conference:CF0001":          {},
		"+12025550143;phone-context": {},
	} {
		t.Run(text, func(t *testing.T) {
			o := outcome(t, "CallStatus", "completed", "Direction", "inbound", "From", text)
			caller := o.GetCaller()
			check(t, "caller", []any{caller.GetPhone().GetE164(), caller.GetSipUri()}, []any{want.e164, want.sipURI})
			if want.sipURI == "" {
				check(t, "as received", caller.GetPhone().GetAsReceived(), text)
			}
			check(t, "channel", []any{o.GetChannel(), o.GetChannelRaw()}, []any{want.channel, want.raw})
			check(t, "contact", o.GetContact() != nil, want.e164 != "")
		})
	}
}

func TestEveryDialStatus(t *testing.T) {
	for word, want := range map[string]callnormv1.TransferResult{
		"completed": callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED,
		"answered":  callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED,
		"busy":      callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"no-answer": callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"failed":    callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"canceled":  callnormv1.TransferResult_TRANSFER_RESULT_CANCELED,
		"cancelled": callnormv1.TransferResult_TRANSFER_RESULT_CANCELED,
		"screened":  callnormv1.TransferResult_TRANSFER_RESULT_OTHER,
	} {
		t.Run(word, func(t *testing.T) {
			o := outcome(t, "CallStatus", "in-progress", "DialCallStatus", word, "DialCallSid", "CA00000000000000000000000000000002", "DialCallDuration", "41")
			check(t, "transfers", len(o.GetTransfers()), 1)
			transfer := o.GetTransfers()[0]
			check(t, "transfer", []any{transfer.GetResult(), transfer.GetResultRaw(), transfer.GetDuration().AsDuration()}, []any{want, word, "41s"})
			check(t, "leg", []any{o.GetLegs()[0].GetId(), o.GetLegs()[0].GetStatusRaw()}, []any{"CA00000000000000000000000000000002", word})
			// The status is the one of the call that dialled, and so is everything else.
			check(t, "status", []any{o.GetStatus(), o.GetCompleteness(), o.GetTotalDuration() == nil},
				[]any{callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, partial, true})
		})
	}
}

func TestEveryRecordingStatus(t *testing.T) {
	for word, want := range map[string]struct {
		event callnormv1.EventKind
		there bool
	}{
		"in-progress": {callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS, false},
		"completed":   {callnormv1.EventKind_EVENT_KIND_RECORDING_READY, true},
		"absent":      {callnormv1.EventKind_EVENT_KIND_OTHER, false},
		"failed":      {callnormv1.EventKind_EVENT_KIND_OTHER, false},
		"archived":    {callnormv1.EventKind_EVENT_KIND_OTHER, false},
	} {
		t.Run(word, func(t *testing.T) {
			o := outcome(t, "RecordingSid", "RE00000000000000000000000000000001", "RecordingStatus", word)
			check(t, "event", []any{o.GetEvent(), o.GetEventRaw()}, []any{want.event, word})
			check(t, "present", slices.Contains(o.GetPresentParts(), callnormv1.Part_PART_RECORDING), want.there)
			check(t, "status", []any{o.GetStatus(), o.GetStatusRaw(), o.GetCompleteness()},
				[]any{callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED, "", partial})
			// Beside the status of a call that is over, the rest is still to come; beside its duration, that is it.
			o = outcome(t, "RecordingSid", "RE1", "RecordingStatus", word, "CallStatus", "completed")
			check(t, "completeness", []any{o.GetCompleteness(), o.GetExpectedParts()}, []any{settling, []callnormv1.Part{callnormv1.Part_PART_RESULT}})
			o = outcome(t, "RecordingSid", "RE1", "RecordingStatus", word, "CallStatus", "completed", "CallDuration", "5")
			check(t, "completeness", []any{o.GetCompleteness(), len(o.GetExpectedParts())}, []any{final, 0})
		})
	}
}

func TestRecordingsWithoutAnID(t *testing.T) {
	for name, test := range map[string]struct {
		pairs         []string
		told, present bool
	}{
		"an address alone":          {[]string{"RecordingUrl", "https://example.com/r"}, true, true},
		"a length alone":            {[]string{"RecordingDuration", "12"}, true, false},
		"an address that is empty":  {[]string{"RecordingUrl", "", "RecordingSid", "", "RecordingDuration", ""}, false, false},
		"a status without anything": {[]string{"RecordingStatus", "absent"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := outcome(t, append(test.pairs, "CallStatus", "completed")...)
			check(t, "told", len(o.GetRecordings()) == 1, test.told)
			check(t, "present", slices.Contains(o.GetPresentParts(), callnormv1.Part_PART_RECORDING), test.present)
		})
	}
}

func TestSecondsAndMinutes(t *testing.T) {
	for name, test := range map[string]struct{ seconds, minutes, total, billed string }{
		"rounded up":                      {"35", "1", "35s", "1m0s"},
		"a whole minute":                  {"60", "1", "1m0s", "1m0s"},
		"one more second":                 {"61", "2", "1m1s", "2m0s"},
		"not answered":                    {"0", "0", "0s", "0s"},
		"answered for less than one":      {"0", "1", "0s", "1m0s"},
		"not billed":                      {"35", "0", "35s", "0s"},
		"seconds in both":                 {"35", "35", "35s", "kept"},
		"seconds in both, one minute":     {"61", "61", "1m1s", "kept"},
		"one second in both":              {"1", "1", "1s", "1m0s"}, // either way it is a minute
		"no seconds":                      {"", "3", "none", "3m0s"},
		"no minutes":                      {"35", "", "35s", "none"},
		"seconds that are none":           {"-5", "1", "none", "1m0s"},
		"seconds of more than any call":   {"99999999999", "1", "none", "1m0s"},
		"seconds with a fraction, padded": {" 35.5 ", "1", "35.5s", "1m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			o := outcome(t, "CallStatus", "completed", "CallDuration", test.seconds, "Duration", test.minutes, "Timestamp", "Tue, 03 Feb 2026 10:11:12 +0000")
			total, billed := "none", "none"
			if o.GetTotalDuration() != nil {
				total = o.GetTotalDuration().AsDuration().String()
				check(t, "start", o.GetStartTime().AsTime(), o.GetEndTime().AsTime().Add(-o.GetTotalDuration().AsDuration()))
				check(t, "derived", o.GetProvenance().GetDerivedFields(), "[start_time]")
			} else if o.GetStartTime() != nil {
				t.Errorf("a start without a length: %v", o.GetStartTime())
			}
			if o.GetBilledDuration() != nil {
				billed = o.GetBilledDuration().AsDuration().String()
			} else if slices.ContainsFunc(o.GetProvenance().GetUnmapped(), func(f *callnormv1.UnmappedField) bool {
				return f.GetPath() == "Duration" && f.GetValueJson() == strconv.Quote(test.minutes)
			}) {
				billed = "kept"
			}
			check(t, "durations", total+" "+billed, test.total+" "+test.billed)
		})
	}
}

// TestCredentialsInAQueryAreLeftOut also has names that only look like those of credentials.
func TestCredentialsInAQueryAreLeftOut(t *testing.T) {
	for name, left := range map[string]bool{
		"token": true, "access_token": true, "authToken": true, "secret": true, "api-key": true, "key": true, "sig": true, "hmac": true,
		"password": true, "signature": true, "bodySHA256": true, "auth": true, "credentials": true,
		"campaign": false, "author": false, "keyword": false, "lead": false, "signal": false, "pwned": false,
	} {
		form := twilio.New().Example()
		for way, d := range map[string]adapters.Delivery{
			"beside a form": {Provider: "twilio", Body: []byte(form), Query: name + "=hunter2"},
			"in a query":    {Provider: "twilio", Query: form + "&" + name + "=hunter2"},
		} {
			result, err := twilio.New().Normalize(d)
			if err != nil {
				t.Fatal(err)
			}
			call := result.Outcomes[0].Call
			if told := strings.Contains(call.String(), "hunter2"); told == left {
				t.Errorf("%s %s: %v", name, way, call)
			}
			if !left && (len(call.GetMetadata()) != 1 || call.GetMetadata()[0].GetName() != name) {
				t.Errorf("%s %s: %v", name, way, call.GetMetadata())
			}
		}
	}
}

// TestCallbacksOfOneCallFold puts the callbacks of one call together in every order.
func TestCallbacksOfOneCallFold(t *testing.T) {
	var contributions []*callnormv1.CallOutcome
	files, err := filepath.Glob("testdata/t01_one_call_*.form")
	if err != nil || len(files) != 6 {
		t.Fatalf("%v: %v", files, err)
	}
	for i, file := range append(files, "testdata/t03_async_machine_start.form") {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		result, err := adapters.Normalize(twilio.New(), adapters.Delivery{Provider: "twilio", Body: body})
		if err != nil {
			t.Fatal(err)
		}
		if out := result.Outcomes[0]; out.Family != adapters.FamilyCall || out.CallID != "CA00000000000000000000000000000011" {
			t.Fatalf("%s is about %s %s", file, out.Family, out.CallID)
		}
		call := result.Outcomes[0].Call
		call.Provenance.Deliveries = []*callnormv1.DeliveryRef{{Delivery: "deliveries/" + strconv.Itoa(i), BodySha256: strconv.Itoa(i)}}
		contributions = append(contributions, call)
	}
	want := callstate.Fold(contributions)
	check(t, "completeness", []any{want.GetCompleteness(), want.GetExpectedParts()}, []any{final, []callnormv1.Part(nil)})
	check(t, "status", []any{want.GetStatus(), want.GetStatusRaw()}, []any{callnormv1.CallStatus_CALL_STATUS_COMPLETED, "completed"})
	check(t, "times", []any{
		want.GetQueueTime().AsTime().Unix(), want.GetDialTime().AsTime().Unix(), want.GetRingTime().AsTime().Unix(),
		want.GetAnswerTime().AsTime().Unix(), want.GetStartTime().AsTime().Unix(), want.GetEndTime().AsTime().Unix(),
	}, []any{1770113430, 1770113431, 1770113432, 1770113437, 1770113437, 1770113472})
	check(t, "answered by", want.GetAnsweredBy().GetRaw(), "machine_start")
	check(t, "recordings", []any{len(want.GetRecordings()), want.GetRecordings()[0].GetStatusRaw()}, []any{1, "completed"})
	check(t, "warnings", want.GetProvenance().GetWarnings(), "[]")
	permute(contributions, 0, func() {
		if got := callstate.Fold(contributions); !proto.Equal(want, got) {
			t.Fatal(cmp.Diff(want, got, protocmp.Transform()))
		}
	})
}

// TestTwoDialsAreTwoTransfers puts the requests together that follow two <Dial>s of one call, with its end.
func TestTwoDialsAreTwoTransfers(t *testing.T) {
	contributions := []*callnormv1.CallOutcome{
		outcome(t, "CallStatus", "in-progress", "DialCallStatus", "no-answer", "DialCallSid", "CA00000000000000000000000000000002"),
		outcome(t, "CallStatus", "in-progress", "DialCallStatus", "completed", "DialCallSid", "CA00000000000000000000000000000003", "DialCallDuration", "41"),
		outcome(t, "CallStatus", "completed", "CallDuration", "70", "Timestamp", "Tue, 03 Feb 2026 10:11:12 +0000"),
	}
	for i, call := range contributions {
		call.Provenance.Deliveries = []*callnormv1.DeliveryRef{{Delivery: "deliveries/" + strconv.Itoa(i), BodySha256: strconv.Itoa(i)}}
	}
	permute(contributions, 0, func() {
		call := callstate.Fold(contributions)
		results := map[string]callnormv1.TransferResult{}
		for _, transfer := range call.GetTransfers() {
			results[transfer.GetTargetName()] = transfer.GetResult()
		}
		check(t, "results", results, map[string]callnormv1.TransferResult{
			"CA00000000000000000000000000000002": callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
			"CA00000000000000000000000000000003": callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED,
		})
		check(t, "the call", []any{len(call.GetLegs()), call.GetCompleteness(), call.GetTotalDuration().AsDuration()}, []any{2, final, "1m10s"})
		check(t, "warnings", call.GetProvenance().GetWarnings(), "[]")
	})
}

// permute calls visit with every order of a list.
func permute[E any](list []E, from int, visit func()) {
	if from == len(list) {
		visit()
		return
	}
	for i := from; i < len(list); i++ {
		list[from], list[i] = list[i], list[from]
		permute(list, from+1, visit)
		list[from], list[i] = list[i], list[from]
	}
}
