package change_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/change"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"
)

func turns(texts ...string) *callnormv1.CallOutcome {
	call := &callnormv1.CallOutcome{Transcript: &callnormv1.Transcript{}}
	for _, text := range texts {
		call.Transcript.Turns = append(call.Transcript.Turns, &callnormv1.TranscriptTurn{Text: text, RoleRaw: "bot"})
	}
	return call
}

func TestBetween(t *testing.T) {
	t.Parallel()
	zero, one, yes := int32(0), int32(1), true
	size := int64(9007199254740993)
	tests := map[string]struct {
		before, after *callnormv1.CallOutcome
		except        []string
		want          []change.Change
	}{
		"nothing is nothing": {before: nil, after: &callnormv1.CallOutcome{}},
		"a text": {
			before: &callnormv1.CallOutcome{StatusRaw: "busy"}, after: &callnormv1.CallOutcome{StatusRaw: "no \"answer\""},
			want: []change.Change{{"status_raw", `"busy"`, `"no \"answer\""`}},
		},
		"an enum has its name": {
			before: &callnormv1.CallOutcome{}, after: &callnormv1.CallOutcome{Status: callnormv1.CallStatus_CALL_STATUS_BUSY},
			want: []change.Change{{"status", "", `"CALL_STATUS_BUSY"`}},
		},
		"zero is not absent": {
			before: &callnormv1.CallOutcome{Attempt: &one}, after: &callnormv1.CallOutcome{Attempt: &zero, Test: &yes},
			want: []change.Change{{"attempt", "1", "0"}, {"test", "", "true"}},
		},
		"what is gone": {
			before: &callnormv1.CallOutcome{Attempt: &zero}, after: &callnormv1.CallOutcome{},
			want: []change.Change{{"attempt", "0", ""}},
		},
		"times and durations are values": {
			before: &callnormv1.CallOutcome{StartTime: timestamppb.New(time.Unix(0, 0)), TalkDuration: durationpb.New(time.Second)},
			after:  &callnormv1.CallOutcome{StartTime: timestamppb.New(time.Unix(1, 0)), TalkDuration: durationpb.New(1500 * time.Millisecond)},
			want: []change.Change{
				{"start_time", `"1970-01-01T00:00:00Z"`, `"1970-01-01T00:00:01Z"`}, {"talk_duration", `"1s"`, `"1.500s"`},
			},
		},
		"a message on both sides is compared by its fields": {
			before: &callnormv1.CallOutcome{Disposition: &callnormv1.Disposition{Raw: "a", Goal: callnormv1.GoalResult_GOAL_RESULT_OTHER}},
			after:  &callnormv1.CallOutcome{Disposition: &callnormv1.Disposition{Raw: "b", Goal: callnormv1.GoalResult_GOAL_RESULT_OTHER, DoNotCall: &yes}},
			want:   []change.Change{{"disposition.raw", `"a"`, `"b"`}, {"disposition.do_not_call", "", "true"}},
		},
		"a message on one side is one change": {
			before: &callnormv1.CallOutcome{Disposition: &callnormv1.Disposition{Raw: "a", DoNotCall: &yes}}, after: &callnormv1.CallOutcome{Error: &callnormv1.CallError{}},
			want: []change.Change{{"disposition", `{"raw":"a","do_not_call":true}`, ""}, {"error", "", "{}"}},
		},
		"an element that changed": {
			before: turns("a", "b", "c"), after: turns("a", "B", "c"),
			want: []change.Change{{"transcript.turns[1].text", `"b"`, `"B"`}},
		},
		"an element that was appended": {
			before: turns("a"), after: turns("a", "b"),
			want: []change.Change{{"transcript.turns[1]", "", `{"role_raw":"bot","text":"b"}`}},
		},
		"an element that came before others": {
			before: turns("a", "b", "c"), after: turns("x", "a", "b", "c"),
			want: []change.Change{{"transcript.turns[0]", "", `{"role_raw":"bot","text":"x"}`}},
		},
		"elements that went from the middle": {
			before: turns("a", "b", "c", "d", "e"), after: turns("a", "c", "e"),
			want: []change.Change{
				{"transcript.turns[1]", `{"role_raw":"bot","text":"b"}`, ""}, {"transcript.turns[3]", `{"role_raw":"bot","text":"d"}`, ""},
			},
		},
		"one went, another changed and one came": {
			before: turns("a", "b", "c", "d"), after: turns("b", "C", "d", "e"),
			want: []change.Change{
				{"transcript.turns[0]", `{"role_raw":"bot","text":"a"}`, ""}, {"transcript.turns[1].text", `"c"`, `"C"`},
				{"transcript.turns[3]", "", `{"role_raw":"bot","text":"e"}`},
			},
		},
		"a list that came and one that went": {
			before: &callnormv1.CallOutcome{PresentParts: []callnormv1.Part{callnormv1.Part_PART_RESULT}},
			after:  &callnormv1.CallOutcome{ExpectedParts: []callnormv1.Part{callnormv1.Part_PART_COST}},
			want:   []change.Change{{"present_parts[0]", `"PART_RESULT"`, ""}, {"expected_parts[0]", "", `"PART_COST"`}},
		},
		"values in a list": {
			before: &callnormv1.CallOutcome{PresentParts: []callnormv1.Part{callnormv1.Part_PART_RESULT, callnormv1.Part_PART_COST}},
			after:  &callnormv1.CallOutcome{PresentParts: []callnormv1.Part{callnormv1.Part_PART_ANALYSIS, callnormv1.Part_PART_COST}},
			want:   []change.Change{{"present_parts[0]", `"PART_RESULT"`, `"PART_ANALYSIS"`}},
		},
		"one of several kinds of value": {
			before: &callnormv1.CallOutcome{Metadata: []*callnormv1.NamedValue{{Name: "n", Value: &callnormv1.Value{Kind: &callnormv1.Value_StringValue{StringValue: ""}}}}},
			after:  &callnormv1.CallOutcome{Metadata: []*callnormv1.NamedValue{{Name: "n", Value: &callnormv1.Value{Kind: &callnormv1.Value_NumberValue{NumberValue: 1.5}}}}},
			want:   []change.Change{{"metadata[0].value.string_value", `""`, ""}, {"metadata[0].value.number_value", "", "1.5"}},
		},
		"a large number is a text in JSON": {
			before: &callnormv1.CallOutcome{Recordings: []*callnormv1.Recording{{Id: "r"}}},
			after:  &callnormv1.CallOutcome{Recordings: []*callnormv1.Recording{{Id: "r", SizeBytes: &size}}},
			want:   []change.Change{{"recordings[0].size_bytes", "", `"9007199254740993"`}},
		},
		"entries of a map by their keys": {
			before: &callnormv1.CallOutcome{Provenance: &callnormv1.Provenance{FieldSources: map[string]string{"b": "1", "c.d": "1", "e": "1"}}},
			after:  &callnormv1.CallOutcome{Provenance: &callnormv1.Provenance{FieldSources: map[string]string{"a": "2", "c.d": "2", "e": "1"}}},
			want: []change.Change{
				{`provenance.field_sources["a"]`, "", `"2"`}, {`provenance.field_sources["b"]`, `"1"`, ""}, {`provenance.field_sources["c.d"]`, `"1"`, `"2"`},
			},
		},
		"bookkeeping may be left out": {
			before: &callnormv1.CallOutcome{Revision: 1, RevisionTime: timestamppb.New(time.Unix(1, 0)), StatusRaw: "a"},
			after:  &callnormv1.CallOutcome{Revision: 2, RevisionTime: timestamppb.New(time.Unix(2, 0)), StatusRaw: "b"},
			except: change.Bookkeeping,
			want:   []change.Change{{"status_raw", `"a"`, `"b"`}},
		},
		"what JSON cannot spell": {
			before: &callnormv1.CallOutcome{}, after: &callnormv1.CallOutcome{EndTime: &timestamppb.Timestamp{Seconds: 1 << 40}},
			want: []change.Change{{"end_time", "", `"wgMHCICAgICAIA=="`}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, change.Between(test.before, test.after, test.except...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBookkeepingNamesFields(t *testing.T) {
	t.Parallel()
	for _, name := range change.Bookkeeping {
		if (*callnormv1.CallOutcome)(nil).ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name)) == nil {
			t.Errorf("an outcome has no field %s", name)
		}
	}
}

// long returns an outcome of many turns; no turn of one kind is a turn of the other.
func long(kind string, n int) *callnormv1.CallOutcome {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("%s %d", kind, i)
	}
	return turns(texts...)
}

func TestLongLists(t *testing.T) {
	t.Parallel()
	const n = 2_000
	before, after := long("one", n), long("other", n)
	if got := change.Between(before, after); len(got) != n || got[n-1].Path != fmt.Sprintf("transcript.turns[%d].text", n-1) {
		t.Errorf("%d changes, the last %v", len(got), got[len(got)-1])
	}
	after = proto.CloneOf(before)
	after.Transcript.Turns = append([]*callnormv1.TranscriptTurn{{Text: "first"}}, after.GetTranscript().GetTurns()...)
	after.Transcript.Turns[n/2].Text = "changed"
	after.Transcript.Turns = append(after.Transcript.Turns, &callnormv1.TranscriptTurn{Text: "last"})
	// Too long to be aligned: what both begin and end with is no change all the same.
	if got := change.Between(before, after); len(got) == 0 || got[len(got)-1].Path != fmt.Sprintf("transcript.turns[%d]", n+1) {
		t.Errorf("%d changes", len(got))
	}
}

// filled draws some fields of a message. Few different values are drawn, so that equal ones meet.
func filled(t *rapid.T, m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for range rapid.IntRange(0, 4).Draw(t, "fields") {
		field := fields.Get(rapid.IntRange(0, fields.Len()-1).Draw(t, "field"))
		switch {
		case field.IsMap():
			key := protoreflect.ValueOfString(rapid.SampledFrom([]string{"a", "b.c", `"`}).Draw(t, "key")).MapKey()
			entries := m.Mutable(field).Map()
			entries.Set(key, drawn(t, field.MapValue(), entries.NewValue(), depth))
		case field.IsList():
			for range rapid.IntRange(0, 4).Draw(t, "elements") {
				list := m.Mutable(field).List()
				list.Append(drawn(t, field, list.NewElement(), depth))
			}
		default:
			m.Set(field, drawn(t, field, m.NewField(field), depth))
		}
	}
}

func drawn(t *rapid.T, field protoreflect.FieldDescriptor, fresh protoreflect.Value, depth int) protoreflect.Value {
	n := rapid.IntRange(0, 2).Draw(t, "value")
	switch field.Kind() {
	case protoreflect.MessageKind:
		if depth > 0 {
			filled(t, fresh.Message(), depth-1)
		}
		return fresh
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n == 1)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(n))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(rapid.Float64().Draw(t, "number"))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(strings.Repeat("x", n))
	default:
		t.Fatalf("%s: a kind that the contract did not have", field.FullName())
		return fresh
	}
}

func TestChangesAreWhatDiffers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		before, after := &callnormv1.CallOutcome{}, &callnormv1.CallOutcome{}
		filled(t, before.ProtoReflect(), 3)
		if rapid.Bool().Draw(t, "related") {
			after = proto.CloneOf(before)
		}
		filled(t, after.ProtoReflect(), 3)
		if same := change.Between(before, proto.CloneOf(before)); len(same) != 0 {
			t.Fatalf("an outcome differs from itself: %v", same)
		}
		changes := change.Between(before, after)
		if proto.Equal(before, after) != (len(changes) == 0) {
			t.Fatalf("equal: %v, changes: %v", proto.Equal(before, after), changes)
		}
		if diff := cmp.Diff(changes, change.Between(before, after)); diff != "" {
			t.Fatalf("asked twice: %s", diff)
		}
		for _, c := range changes {
			if c.Before == c.After {
				t.Fatalf("no change: %v", c)
			}
			for _, text := range []string{c.Before, c.After} {
				var compact bytes.Buffer
				if text != "" && (json.Compact(&compact, []byte(text)) != nil || compact.String() != text) {
					t.Fatalf("no compact JSON: %q", text)
				}
			}
		}
	})
}

// BenchmarkBetween compares outcomes of about 1 MiB that have no turn in common, and such that have all but one.
func BenchmarkBetween(b *testing.B) {
	before := long(strings.Repeat("one", 30), 8000)
	almost := proto.CloneOf(before)
	almost.Transcript.Turns = slices.Delete(almost.GetTranscript().GetTurns(), 4000, 4001)
	for name, after := range map[string]*callnormv1.CallOutcome{"different": long(strings.Repeat("two", 30), 8000), "similar": almost} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				change.Between(before, after)
			}
		})
	}
}
