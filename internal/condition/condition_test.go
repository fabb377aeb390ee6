package condition_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/synthflow"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/callstate"
	"github.com/callnorm/callnorm/internal/condition"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// sample returns the outcome of the post-call webhook that Synthflow documents.
func sample(tb testing.TB) *callnormv1.CallOutcome {
	tb.Helper()
	body, err := os.ReadFile("../../adapters/synthflow/testdata/s00_synthflow_page_2025_10.json")
	if err != nil {
		tb.Fatal(err)
	}
	result, err := adapters.Normalize(synthflow.New(), adapters.Delivery{Provider: "synthflow", Body: body})
	if err != nil || len(result.Outcomes) != 1 {
		tb.Fatalf("%d outcomes, %v", len(result.Outcomes), err)
	}
	return result.Outcomes[0].Call
}

func compile(tb testing.TB, expression string) *condition.Condition {
	tb.Helper()
	c, err := condition.Compile(expression)
	if err != nil {
		tb.Fatalf("%s: %v", expression, err)
	}
	return c
}

func TestHolds(t *testing.T) {
	t.Parallel()
	yes, none := true, int32(0)
	call := &callnormv1.CallOutcome{
		Provider: "synthflow", Status: callnormv1.CallStatus_CALL_STATUS_BUSY, Test: &yes, Attempt: &none,
		TalkDuration: durationpb.New(42 * time.Second), StartTime: timestamppb.New(time.Date(2026, 7, 1, 22, 30, 0, 0, time.UTC)),
		TimeZone:    "Europe/Berlin",
		ExternalIds: []*callnormv1.ExternalId{{System: "twilio.call_sid", Id: "CA1"}, {System: "client.id", Id: "7"}},
		Disposition: &callnormv1.Disposition{DoNotCall: &yes},
		Transcript: &callnormv1.Transcript{Turns: []*callnormv1.TranscriptTurn{
			{Role: callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT, Text: "Hello"},
			{Role: callnormv1.ParticipantRole_PARTICIPANT_ROLE_CUSTOMER, Text: "Please CALL ME back"},
		}},
		PresentParts: []callnormv1.Part{callnormv1.Part_PART_RESULT},
		Provenance:   &callnormv1.Provenance{FieldSources: map[string]string{"status": "deliveries/1"}},
	}
	tests := map[string]struct {
		expression string
		want       bool
	}{
		"a text is compared":                        {`outcome.provider == 'synthflow'`, true},
		"an enum value is named by itself":          {`outcome.status == CALL_STATUS_BUSY`, true},
		"an enum value is named with its enum":      {`outcome.status == CallStatus.CALL_STATUS_BUSY`, true},
		"an enum value is named in full":            {`outcome.status == callnorm.v1.CallStatus.CALL_STATUS_BUSY`, true},
		"an enum value is a number":                 {`outcome.status == 22`, true},
		"another value is another":                  {`outcome.status == CALL_STATUS_NO_ANSWER`, false},
		"one of several values":                     {`outcome.status in [CALL_STATUS_NO_ANSWER, CALL_STATUS_BUSY]`, true},
		"a value in a list of the outcome":          {`PART_TRANSCRIPT in outcome.present_parts`, false},
		"a message is there":                        {`has(outcome.talk_duration)`, true},
		"a message is not there":                    {`has(outcome.ring_duration)`, false},
		"zero was told":                             {`has(outcome.attempt) && outcome.attempt == 0`, true},
		"nothing was told":                          {`has(outcome.simulated)`, false},
		"what is absent reads as zero":              {`outcome.ring_duration == duration('0s') && outcome.end_time == timestamp(0)`, true},
		"a duration is compared":                    {`outcome.talk_duration > duration('30s')`, true},
		"a duration in seconds":                     {`outcome.talk_duration.getSeconds() == 42`, true},
		"a time is compared":                        {`outcome.start_time >= timestamp('2026-07-01T00:00:00Z')`, true},
		"hours are UTC":                             {`outcome.start_time.getHours() == 22`, true},
		"hours are of a time zone":                  {`outcome.start_time.getHours(outcome.time_zone) == 0`, true},
		"some element":                              {`outcome.external_ids.exists(e, e.system == 'client.id' && e.id == '7')`, true},
		"no element":                                {`outcome.external_ids.exists(e, e.system == 'sip.call_id')`, false},
		"all elements":                              {`outcome.external_ids.all(e, e.id != '')`, true},
		"exactly one element":                       {`outcome.external_ids.exists_one(e, e.id.startsWith('CA'))`, true},
		"elements are counted":                      {`outcome.transcript.turns.filter(t, t.role == PARTICIPANT_ROLE_CUSTOMER).size() == 1`, true},
		"an element by its place":                   {`outcome.transcript.turns[1].text.contains('CALL')`, true},
		"a pattern that takes any case":             {`outcome.transcript.turns.exists(t, t.text.matches('(?i)call me (back|later)'))`, true},
		"a pattern as a function":                   {`matches(outcome.provider, '^synth')`, true},
		"an entry of a map":                         {`outcome.provenance.field_sources['status'] == 'deliveries/1'`, true},
		"a key of a map":                            {`'end' in outcome.provenance.field_sources`, false},
		"keys of a map":                             {`outcome.provenance.field_sources.exists(k, k.startsWith('stat'))`, true},
		"one part decides whatever the other does":  {`outcome.transcript.turns[9].text == '' || outcome.test`, true},
		"a choice":                                  {`outcome.test ? outcome.disposition.do_not_call : false`, true},
		"a message that is absent has empty fields": {`outcome.end.reason_raw == '' && outcome.end.reason == END_REASON_UNSPECIFIED`, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := compile(t, test.expression).Holds(call)
			if err != nil || got != test.want {
				t.Errorf("%s: got %v, %v", test.expression, got, err)
			}
		})
	}
}

func TestCompileFindsFaults(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("true || ", condition.MaxLength/8) + "true"
	tests := map[string]struct {
		expression   string
		line, column int
		message      string // a part of it
	}{
		"nothing":                             {"", 1, 1, "Syntax error"},
		"a parenthesis is missing":            {"outcome.external_ids.exists(e, e.id == 'x'", 1, 43, "missing ')'"},
		"an unknown field":                    {"outcome.nope == 1", 1, 8, "undefined field 'nope'"},
		"an unknown field of an element":      {"outcome.external_ids.exists(e, e.nope == 1)", 1, 33, "undefined field 'nope'"},
		"an unknown variable on another line": {"true &&\n  call.status == 1", 2, 3, "undeclared reference to 'call'"},
		"an unknown enum value":               {"outcome.status == CALL_STATUS_NOPE", 1, 19, "undeclared reference"},
		"characters are counted, not bytes":   {"'éé' == nope", 1, 9, "undeclared reference"},
		"the first of two faults":             {"outcome.a == 1 && outcome.b == 1", 1, 8, "undefined field 'a'"},
		"types that do not go together":       {"outcome.status == 'busy'", 1, 16, "no matching overload"},
		"not a bool":                          {"outcome.provider", 1, 1, "of type string"},
		"a duration that is none":             {"outcome.talk_duration > duration('30')", 1, 34, "invalid duration"},
		"a pattern that is none":              {"outcome.provider.matches('(')", 1, 26, "missing closing )"},
		"a pattern from the outcome":          {"outcome.provider.matches(outcome.source)", 1, 33, "written out"},
		"a pattern that is long":              {"outcome.provider.matches('" + strings.Repeat("a", 300) + "')", 1, 26, "at most 256 bytes"},
		"a pattern that grows":                {"outcome.provider.matches('(a{30}){30}(b{30}){30}')", 1, 26, "too large"},
		"a key from the outcome":              {"outcome.provenance.field_sources[outcome.source] == ''", 1, 41, "written out"},
		"messages are not compared":           {"outcome.end == outcome.end", 1, 13, "not compared as a whole"},
		"messages are not looked for":         {"outcome.end in [outcome.end]", 1, 13, "exists()"},
		"lists are not added":                 {"size([1] + [2]) == 2", 1, 10, "adds no lists"},
		"maps are not made":                   {"size({'a': 1}) == 1", 1, 6, "makes no maps"},
		"messages are not made":               {"ExternalId{id: 'x'}.id == 'x'", 1, 11, "makes no messages"},
		"mixed lists":                         {"size([1, 'a']) == 2", 1, 10, "expected type 'int'"},
		"no map()":                            {"size(outcome.external_ids.map(e, e.id)) == 1", 1, 30, "undeclared reference to 'map'"},
		"no dyn()":                            {"dyn(1) == 1", 1, 4, "undeclared reference to 'dyn'"},
		"too long":                            {long, 1, 1, "at most 4096"},
		"not UTF-8":                           {"outcome.provider == '\xff'", 1, 1, "not UTF-8"},
		"parentheses too deep":                {strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100), 1, 1, "recursion limit"},
		"operators too deep":                  {"0" + strings.Repeat(" + 1", 100) + " == 100", 1, 1, "recursion"},
		"loops too deep": {
			"outcome.legs.exists(a, outcome.legs.exists(b, outcome.legs.exists(c, true)))", 1, 66, "nesting limit",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := condition.Compile(test.expression)
			var fault *condition.SyntaxError
			if !errors.As(err, &fault) {
				t.Fatalf("got %v", err)
			}
			if fault.Line != test.line || fault.Column != test.column || !strings.Contains(fault.Message, test.message) {
				t.Errorf("got %v, want %d:%d: ...%s...", fault, test.line, test.column, test.message)
			}
			if !strings.HasPrefix(err.Error(), fmt.Sprintf("%d:%d: ", test.line, test.column)) {
				t.Errorf("the error does not begin with its place: %v", err)
			}
		})
	}
}

func TestManyTermsAreNotDeep(t *testing.T) {
	t.Parallel()
	c := compile(t, strings.Repeat("outcome.provider == 'a' || ", 100)+"true")
	if got, err := c.Holds(&callnormv1.CallOutcome{}); err != nil || !got {
		t.Errorf("got %v, %v", got, err)
	}
}

// huge returns an outcome that is as large as one may be: thousands of turns and long texts.
func huge() *callnormv1.CallOutcome {
	call := &callnormv1.CallOutcome{
		StatusRaw: strings.Repeat("1", 200_000) + "a", EventRaw: strings.Repeat("1", 200_000) + "b",
		Transcript: &callnormv1.Transcript{Text: strings.Repeat("1", 300_000)},
		Provenance: &callnormv1.Provenance{FieldSources: make(map[string]string)},
	}
	for i := range 4000 {
		call.Transcript.Turns = append(call.Transcript.Turns, &callnormv1.TranscriptTurn{Text: fmt.Sprintf("turn %d", i)})
	}
	for i := range 100 {
		call.Provenance.FieldSources[fmt.Sprint(i)] = "deliveries/1"
	}
	return call
}

func TestCostIsBounded(t *testing.T) {
	t.Parallel()
	call := huge()
	if bounded := callstate.Bound(call); bounded != call {
		t.Fatal("the outcome is larger than outcomes are")
	}
	const each = "outcome.transcript.turns.all(t, "
	tests := map[string]struct {
		expression string
		affordable bool
	}{
		"one field":                         {"outcome.status == CALL_STATUS_BUSY", true},
		"each turn":                         {"outcome.transcript.turns.exists(t, t.text == 'never')", true},
		"a word in each turn":               {"outcome.transcript.turns.exists(t, t.text.contains('never'))", true},
		"turns are counted":                 {"outcome.transcript.turns.filter(t, t.text.contains('7')).size() > 4000", true},
		"a word in all the text":            {"outcome.transcript.text.contains('never')", true},
		"a small pattern":                   {"outcome.transcript.text.size() > 0 && outcome.transcript.turns[0].text.matches('^never')", true},
		"turns of turns":                    {each + "outcome.transcript.turns.all(u, u.text != ''))", false},
		"turns of turns that fail":          {each + "outcome.transcript.turns.all(u, u.text == t.text || 1/0 == 1))", false},
		"the whole text for each turn":      {each + "outcome.transcript.text.size() > 0)", false},
		"whichever way it is reached":       {each + "(t.text == '' ? outcome.transcript : outcome.transcript).text.size() > 0)", false},
		"from a list":                       {each + "[outcome.transcript.text][0].size() > 0)", false},
		"as an element":                     {each + "[outcome.transcript.text].exists(x, x.size() > 0))", false},
		"as a key":                          {each + "!(outcome.transcript.text in outcome.provenance.field_sources))", false},
		"compared with its like":            {each + "outcome.status_raw != outcome.event_raw)", false},
		"put together":                      {each + "(outcome.transcript.text + t.text).size() > 0)", false},
		"converted":                         {each + "int(outcome.transcript.text) == 0 || true)", false},
		"converted to and fro":              {each + "string(bytes(outcome.transcript.text)) != '')", false},
		"taken for a time zone":             {each + "outcome.start_time.getHours(outcome.transcript.text) == 0 || true)", false},
		"time zones for each turn":          {each + "outcome.start_time.getHours('No/Where') == 0 || true)", false},
		"the keys of a map for each turn":   {each + "outcome.provenance.field_sources.exists(k, true))", false},
		"a list for each turn":              {each + "!(t.role in outcome.present_parts) && [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15].all(n, n != 0))", false},
		"a pattern over all the text":       {"outcome.transcript.text.matches('(?i)(never|ever)')", false},
		"a pattern that keeps many states":  {"outcome.transcript.text.matches('(a?){100}(1*)*b')", false},
		"a large pattern for each turn":     {each + "t.text.matches('(a?){100}(t*)*.') || true)", false},
		"a large pattern over a fixed text": {each + "'" + strings.Repeat("1", 2000) + "'.matches('(1?){100}b') || true)", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := compile(t, test.expression).Holds(call)
			want := ""
			if !test.affordable {
				want = "the condition costs too much for this outcome"
			}
			if got := describe(t, err); got != want {
				t.Errorf("%s: got %q, want %q", test.expression, got, want)
			}
		})
	}
}

// describe returns the text of an *EvalError, and "" for none.
func describe(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var failure *condition.EvalError
	if !errors.As(err, &failure) {
		t.Fatalf("%v is no EvalError", err)
	}
	return failure.Error()
}

func TestFailuresQuoteNothing(t *testing.T) {
	t.Parallel()
	attempt := int32(-1234567)
	call := &callnormv1.CallOutcome{StatusRaw: "+4915112345678", Attempt: &attempt}
	tests := map[string]struct{ expression, want string }{
		"a key that is not there":     {"outcome.provenance.field_sources['status'] == 'x'", "the condition failed: no such key"},
		"a place beyond the end":      {"outcome.external_ids[0].id == 'x'", "the condition failed: index out of bounds"},
		"a place from the outcome":    {"outcome.external_ids[outcome.attempt].id == 'x'", "the condition failed: index out of bounds"},
		"a text that is no number":    {"int(outcome.status_raw + 'x') == 1", "the condition failed: a value is not of the form that the condition needs"},
		"a text that is no time":      {"timestamp(outcome.status_raw) > timestamp(0)", "the condition failed: a value is not of the form that the condition needs"},
		"a text that is no time zone": {"outcome.start_time.getHours(outcome.status_raw) == 1", "the condition failed: a value is not of the form that the condition needs"},
		"division":                    {"1 / (outcome.attempt + 1234567) == 1", "the condition failed: division by zero"},
		"remainder":                   {"1 % (outcome.attempt + 1234567) == 1", "the condition failed: modulus by zero"},
		"too large a number":          {"outcome.attempt * 9223372036854775807 == 1", "the condition failed: integer overflow"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := compile(t, test.expression).Holds(call)
			if diff := cmp.Diff(test.want, describe(t, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	c := compile(t, "outcome.transcript.text.matches('r 1$')")
	dear, cheap := huge(), &callnormv1.CallOutcome{Transcript: &callnormv1.Transcript{Text: "r 1"}}
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for range 20 {
				if _, err := c.Holds(dear); err == nil {
					t.Error("the dear outcome was affordable")
				}
				if got, err := c.Holds(cheap); err != nil || !got {
					t.Errorf("got %v, %v", got, err)
				}
			}
		})
	}
	workers.Wait()
}

// FuzzCompile reads anything: what comes of it is a condition that can be asked, or an error with a place in the text.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		"outcome.status == CALL_STATUS_BUSY", "has(outcome.talk_duration) && outcome.talk_duration > duration('30s')",
		"outcome.external_ids.exists(e, e.system == 'x')", "outcome.transcript.turns.filter(t, t.text.matches('(?i)a|b')).size() > 1",
		"outcome.provenance.field_sources['a'] == ''", "outcome.test ? [1, 2][outcome.attempt] == 1 : 1 / 0 in [1]",
		"((((", "{{{{", "[[[[", "'''", "\n\n\t?", "a.b.c(d)[e]", "b'\\xff' == b\"\"", "-9223372036854775808 == 1u", "outcome.all(o, o)",
	} {
		f.Add(seed)
	}
	call := sample(f)
	f.Fuzz(func(t *testing.T, expression string) {
		c, err := condition.Compile(expression)
		if err == nil {
			if _, err = c.Holds(call); err != nil {
				describe(t, err)
			}
			return
		}
		var fault *condition.SyntaxError
		if !errors.As(err, &fault) {
			t.Fatal(err)
		}
		lines := strings.Split(expression, "\n")
		if fault.Line < 1 || fault.Line > len(lines) || fault.Column < 1 || fault.Column > utf8.RuneCountInString(expression)+1 {
			t.Errorf("%q: no such place: %v", expression, fault)
		}
	})
}

// BenchmarkHolds asks the outcome of Synthflow's sample.
func BenchmarkHolds(b *testing.B) {
	call := sample(b)
	for _, benchmark := range []struct{ name, expression string }{
		{"status", "outcome.status == CALL_STATUS_BUSY"},
		{"several", "outcome.status == CALL_STATUS_COMPLETED && outcome.talk_duration >= duration('0s') && outcome.external_ids.exists(e, e.system == 'x')"},
		{"transcript", "outcome.transcript.turns.exists(t, t.text.matches('(?i)never said'))"},
	} {
		b.Run(benchmark.name, func(b *testing.B) {
			c := compile(b, benchmark.expression)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Holds(call); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
