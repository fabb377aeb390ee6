package redaction_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/synthflow"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/mention"
	"github.com/callnorm/callnorm/internal/redaction"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"
)

var all = []redaction.Class{redaction.Transcript, redaction.Numbers, redaction.Names, redaction.ExtractedFields}

func policy(tb testing.TB, classes ...redaction.Class) redaction.Policy {
	tb.Helper()
	p, err := redaction.NewPolicy(classes...)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func text(s string) *callnormv1.Value {
	return &callnormv1.Value{Kind: &callnormv1.Value_StringValue{StringValue: s}}
}

func number(f float64) *callnormv1.Value {
	return &callnormv1.Value{Kind: &callnormv1.Value_NumberValue{NumberValue: f}}
}

func json(s string) *callnormv1.Value {
	return &callnormv1.Value{Kind: &callnormv1.Value_JsonValue{JsonValue: s}}
}

func yes() *bool { b := true; return &b }

func TestNewPolicy(t *testing.T) {
	t.Parallel()
	p := policy(t, redaction.ExtractedFields, redaction.Transcript, redaction.Transcript)
	if diff := cmp.Diff([]redaction.Class{redaction.Transcript, redaction.ExtractedFields}, p.Classes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if p != policy(t, redaction.Transcript, redaction.ExtractedFields) {
		t.Error("policies that remove the same are not equal")
	}
	if policy(t) != (redaction.Policy{}) || len(policy(t).Classes()) != 0 {
		t.Error("a policy without classes is not the zero policy")
	}
	for _, class := range []redaction.Class{"transcripts", "", "words"} {
		_, err := redaction.NewPolicy(redaction.Names, class)
		if want := fmt.Sprintf("there is no class %q to redact; there are transcript, numbers, names, extracted_fields", class); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		classes    []redaction.Class
		call, want *callnormv1.CallOutcome
	}{
		"no class changes nothing": {
			call: &callnormv1.CallOutcome{Provenance: &callnormv1.Provenance{Unmapped: []*callnormv1.UnmappedField{{Path: "a", ValueJson: "1"}}}},
			want: &callnormv1.CallOutcome{Provenance: &callnormv1.Provenance{Unmapped: []*callnormv1.UnmappedField{{Path: "a", ValueJson: "1"}}}},
		},
		"any class removes what is not mapped, and keeps its paths": {
			classes: []redaction.Class{redaction.Names},
			call:    &callnormv1.CallOutcome{Provenance: &callnormv1.Provenance{Unmapped: []*callnormv1.UnmappedField{{Path: "a.b", ValueJson: "1"}}}},
			want:    &callnormv1.CallOutcome{Provenance: &callnormv1.Provenance{Unmapped: []*callnormv1.UnmappedField{{Path: "a.b", ValueJson: `"[redacted]"`}}}},
		},
		"a transcript keeps its turns and words": {
			classes: []redaction.Class{redaction.Transcript},
			call: &callnormv1.CallOutcome{
				Transcript: &callnormv1.Transcript{Source: "s", Turns: []*callnormv1.TranscriptTurn{
					{RoleRaw: "bot", Text: "a", Words: []*callnormv1.TranscriptWord{{Text: "b"}, {Text: "c"}}}, {RoleRaw: "human", Text: "d"}, {RoleRaw: "human"},
				}},
				ToolCalls: []*callnormv1.ToolCall{{Tool: "t", ArgumentsJson: "{}", Error: "e"}},
				Analysis:  &callnormv1.Analysis{Summary: "stays"},
			},
			want: &callnormv1.CallOutcome{
				Transcript: &callnormv1.Transcript{Source: "s", Turns: []*callnormv1.TranscriptTurn{
					{RoleRaw: "bot", Text: "[redacted]", Words: []*callnormv1.TranscriptWord{{Text: "[redacted]"}, {Text: "[redacted]"}}},
					{RoleRaw: "human", Text: "[redacted]"}, {RoleRaw: "human"},
				}},
				ToolCalls: []*callnormv1.ToolCall{{Tool: "t", ArgumentsJson: `"[redacted]"`, Error: "[redacted]"}},
				Analysis:  &callnormv1.Analysis{Summary: "stays"},
			},
		},
		"a number keeps its place, its region and its line": {
			classes: []redaction.Class{redaction.Numbers},
			call: &callnormv1.CallOutcome{Contact: &callnormv1.Contact{Id: "7", Phones: []*callnormv1.PhoneNumber{
				{AsReceived: "+49 30 123456", E164: "+4930123456", Region: "DE", Valid: yes(), LineTypeRaw: "fixed"}, {AsReceived: "anonymous"}, {Region: "DE"},
			}}},
			want: &callnormv1.CallOutcome{Contact: &callnormv1.Contact{Id: "7", Phones: []*callnormv1.PhoneNumber{
				{AsReceived: "[redacted]", Region: "DE", Valid: yes(), LineTypeRaw: "fixed"}, {AsReceived: "[redacted]"}, {Region: "DE"},
			}}},
		},
		"a number that is removed is mentioned nowhere else, but in what identifies": {
			classes: []redaction.Class{redaction.Numbers},
			call: &callnormv1.CallOutcome{
				Name: "outcomes/4930123456", ProviderCallId: "4930123456", ExternalIds: []*callnormv1.ExternalId{{System: "s", Id: "+4930123456"}},
				Caller:     &callnormv1.Endpoint{Phone: &callnormv1.PhoneNumber{AsReceived: "+4930123456", E164: "+4930123456"}, DisplayName: "+49 30 123456"},
				Contact:    &callnormv1.Contact{Id: "+4930123456"},
				Transcript: &callnormv1.Transcript{Text: "It is (030) 123-456, not 030 123457."},
				ToolCalls:  []*callnormv1.ToolCall{{ArgumentsJson: `{"n": 4930123456, "t":"030\/123456", "o":1.50}`}},
				Variables: []*callnormv1.NamedValue{
					{Name: "a", Value: number(4930123456)}, {Name: "b", Value: json(`{"030123456":[49.30]}`)}, {Name: "c", Value: number(5)},
				},
				Recordings: []*callnormv1.Recording{{Uri: "https://example.com/4930123456.mp3"}},
				Provenance: &callnormv1.Provenance{Warnings: []*callnormv1.Warning{{Path: "numbers.4930123456"}}},
			},
			want: &callnormv1.CallOutcome{
				Name: "outcomes/4930123456", ProviderCallId: "4930123456", ExternalIds: []*callnormv1.ExternalId{{System: "s", Id: "+4930123456"}},
				Caller:     &callnormv1.Endpoint{Phone: &callnormv1.PhoneNumber{AsReceived: "[redacted]"}, DisplayName: "[redacted]"},
				Contact:    &callnormv1.Contact{Id: "[redacted]"},
				Transcript: &callnormv1.Transcript{Text: "It is [redacted], not 030 123457."},
				ToolCalls:  []*callnormv1.ToolCall{{ArgumentsJson: `{"n": "[redacted]", "t":"[redacted]", "o":1.50}`}},
				Variables: []*callnormv1.NamedValue{
					{Name: "a", Value: text("[redacted]")}, {Name: "b", Value: json(`{"[redacted]":[49.30]}`)}, {Name: "c", Value: number(5)},
				},
				Recordings: []*callnormv1.Recording{{Uri: "https://example.com/[redacted].mp3"}},
				Provenance: &callnormv1.Provenance{Warnings: []*callnormv1.Warning{{Path: "numbers.4930123456"}}},
			},
		},
		"a SIP URI is removed with the number in it": {
			classes: []redaction.Class{redaction.Numbers},
			call: &callnormv1.CallOutcome{
				Callee:       &callnormv1.Endpoint{SipUri: "sip:+4930123456@sip.example.com;transport=tls"},
				DivertedFrom: &callnormv1.PhoneNumber{AsReceived: "+1415XXXXXXX"},
				Analysis:     &callnormv1.Analysis{Summary: "030 123456, sip:+4930123456@sip.example.com and +1415XXXXXXX"},
			},
			want: &callnormv1.CallOutcome{
				Callee:       &callnormv1.Endpoint{SipUri: "[redacted]"},
				DivertedFrom: &callnormv1.PhoneNumber{AsReceived: "[redacted]"},
				Analysis:     &callnormv1.Analysis{Summary: "[redacted], sip:[redacted] and [redacted]"},
			},
		},
		"a name that is removed is mentioned nowhere else, but in words and in what identifies": {
			classes: []redaction.Class{redaction.Names},
			call: &callnormv1.CallOutcome{
				Name: "outcomes/julian", StatusRaw: "Julian",
				Contact:   &callnormv1.Contact{DisplayName: "Julian Möller", Emails: []string{"jm@example.com", "JM@example.com"}, Id: "jm@example.com"},
				Transfers: []*callnormv1.Transfer{{TargetName: "Ann <ann@example.com>", Reason: "ANN knows"}},
				Transcript: &callnormv1.Transcript{Turns: []*callnormv1.TranscriptTurn{
					{RoleRaw: "Julian", Text: "Perfect, Julian! I write to jm@example.com"}, {Text: "I'm möller"}, {Text: "fine"},
				}},
				ToolCalls: []*callnormv1.ToolCall{{ResultJson: `{"last":"M\u00f6ller","nested":"{\"mail\":\"jm\\u0040example.com\"}"}`}},
				Variables: []*callnormv1.NamedValue{{Name: "url", Value: text("https://example.com/?u=jm%40example.com")}},
				Agent:     &callnormv1.Agent{DisplayName: "Brian"},
			},
			want: &callnormv1.CallOutcome{
				Name: "outcomes/julian", StatusRaw: "Julian",
				Contact:   &callnormv1.Contact{DisplayName: "[redacted]", Emails: []string{"[redacted]", "[redacted]"}, Id: "[redacted]"},
				Transfers: []*callnormv1.Transfer{{TargetName: "[redacted]", Reason: "[redacted] knows"}},
				Transcript: &callnormv1.Transcript{Turns: []*callnormv1.TranscriptTurn{
					{RoleRaw: "Julian", Text: "Perfect, [redacted]! I write to [redacted]"}, {Text: "I'm [redacted]"}, {Text: "fine"},
				}},
				ToolCalls: []*callnormv1.ToolCall{{ResultJson: `{"last":"[redacted]","nested":"{\"mail\":\"[redacted]\"}"}`}},
				Variables: []*callnormv1.NamedValue{{Name: "url", Value: text("https://example.com/?u=[redacted]")}},
				Agent:     &callnormv1.Agent{DisplayName: "Brian"},
			},
		},
		"a value of any kind becomes a text, and none stays none": {
			classes: []redaction.Class{redaction.ExtractedFields},
			call: &callnormv1.CallOutcome{
				ExtractedFields: []*callnormv1.ExtractedField{{Name: "a", Question: "b?", Value: text("c"), ClassRaw: "d"}, {Name: "e"}},
				Variables:       []*callnormv1.NamedValue{{Value: number(0)}, {Value: json("{}")}, {Value: &callnormv1.Value{}}},
				Metadata:        []*callnormv1.NamedValue{{Value: &callnormv1.Value{Kind: &callnormv1.Value_BoolValue{}}}},
				Analysis:        &callnormv1.Analysis{SuccessRaw: "true", Topics: []string{"f", "g"}},
				Evaluations:     []*callnormv1.Evaluation{{Criterion: "h", ResultRaw: "true", Evidence: []string{"i"}}},
				Contact:         &callnormv1.Contact{DisplayName: "stays"},
			},
			want: &callnormv1.CallOutcome{
				ExtractedFields: []*callnormv1.ExtractedField{{Name: "a", Question: "b?", Value: text("[redacted]"), ClassRaw: "[redacted]"}, {Name: "e"}},
				Variables:       []*callnormv1.NamedValue{{Value: text("[redacted]")}, {Value: text("[redacted]")}, {Value: &callnormv1.Value{}}},
				Metadata:        []*callnormv1.NamedValue{{Value: text("[redacted]")}},
				Analysis:        &callnormv1.Analysis{SuccessRaw: "true", Topics: []string{"[redacted]", "[redacted]"}},
				Evaluations:     []*callnormv1.Evaluation{{Criterion: "h", ResultRaw: "true", Evidence: []string{"[redacted]"}}},
				Contact:         &callnormv1.Contact{DisplayName: "stays"},
			},
		},
		"text that only looks like JSON is text": {
			classes: []redaction.Class{redaction.Names},
			call: &callnormv1.CallOutcome{
				Contact:    &callnormv1.Contact{DisplayName: "Julian"},
				Transcript: &callnormv1.Transcript{Text: `[Summit] "Julian"`},
				ToolCalls:  []*callnormv1.ToolCall{{ResultJson: `{"broken": "Julian`}},
			},
			want: &callnormv1.CallOutcome{
				Contact:    &callnormv1.Contact{DisplayName: "[redacted]"},
				Transcript: &callnormv1.Transcript{Text: `[Summit] "[redacted]"`},
				ToolCalls:  []*callnormv1.ToolCall{{ResultJson: `{"broken": "[redacted]`}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy(t, test.classes...).Apply(test.call)
			if diff := cmp.Diff(test.want, test.call, protocmp.Transform()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A field that is added to the contract must be listed, or what it says of people would slip through.
func TestEveryTextIsListed(t *testing.T) {
	t.Parallel()
	listed := make(map[protoreflect.FullName]bool)
	for _, group := range redaction.AllGroups() {
		for _, field := range group.Fields {
			if listed[field] {
				t.Errorf("%s is listed twice", field)
			}
			listed[field] = true
		}
	}
	value := (&callnormv1.Value{}).ProtoReflect().Descriptor().FullName()
	known := make(map[protoreflect.FullName]bool)
	var walk func(m protoreflect.MessageDescriptor)
	walk = func(m protoreflect.MessageDescriptor) {
		if known[m.FullName()] {
			return
		}
		known[m.FullName()] = true
		for i := range m.Fields().Len() {
			field := m.Fields().Get(i)
			switch {
			case field.Message() != nil:
				walk(field.Message())
			case field.Kind() == protoreflect.BytesKind:
				t.Errorf("%s holds bytes, which Apply does not look into", field.FullName())
			case field.Kind() == protoreflect.StringKind, m.FullName() == value:
				known[field.FullName()] = true
				if !listed[field.FullName()] {
					t.Errorf("%s is not listed: put it under the class that it belongs to, or under those that say nothing of a person", field.FullName())
				}
			}
			if field.IsMap() && m.FullName() != "callnorm.v1.Provenance" {
				t.Errorf("%s is a map, which Apply does not look into", field.FullName())
			}
		}
	}
	walk((&callnormv1.CallOutcome{}).ProtoReflect().Descriptor())
	for field := range listed {
		if !known[field] {
			t.Errorf("%s is listed, and there is no such text", field)
		}
	}
}

func TestGroupsAreACopy(t *testing.T) {
	t.Parallel()
	before := redaction.Groups()
	redaction.Groups()[0].Fields[0] = "changed"
	if diff := cmp.Diff(before, redaction.Groups()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, group := range before {
		if !slices.Contains(all, group.Class) || group.Says == "" {
			t.Errorf("%q says %q", group.Class, group.Says)
		}
	}
}

// Applying a policy twice is applying it once, and what an outcome is made of stays.
func TestApplyTwice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		classes := rapid.SliceOfDistinct(rapid.SampledFrom(all), rapid.ID).Draw(t, "classes")
		p, err := redaction.NewPolicy(classes...)
		if err != nil {
			t.Fatal(err)
		}
		call := anyOutcome(t, func(field protoreflect.FieldDescriptor) string {
			return rapid.SampledFrom([]string{
				"", "a", "Julian Meier", "julian", "+4930123456", "030 123456", "call 030/123456, Julian!", "sip:+4930123456@example.com", "jo@example.com",
				`{"a":["Julian","+4930123456",4930123456]}`, `{"a":"\u004aulian`, "redacted", "[redacted]", `"[redacted]"`, "Red Acted",
			}).Draw(t, string(field.FullName()))
		})
		once := clone(call)
		p.Apply(once)
		twice := clone(once)
		p.Apply(twice)
		if diff := cmp.Diff(once, twice, protocmp.Transform()); diff != "" {
			t.Errorf("(-once +twice):\n%s", diff)
		}
		if diff := cmp.Diff(shape(call), shape(once), protocmp.Transform()); diff != "" {
			t.Errorf("another shape (-before +after):\n%s", diff)
		}
		if len(classes) == 0 && !proto.Equal(call, once) {
			t.Error("a policy without classes changed something")
		}
	})
}

// What stood in a field of a class stands nowhere afterwards, but in what identifies.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	classOf, closed := make(map[protoreflect.FullName]redaction.Class), make(map[protoreflect.FullName]bool)
	for _, group := range redaction.AllGroups() {
		for _, field := range group.Fields {
			classOf[field] = group.Class
			closed[field] = group.Class == redaction.Identity
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var planted, mentioned []string
		call := anyOutcome(t, func(field protoreflect.FieldDescriptor) string {
			n := len(planted) + 1
			mark := fmt.Sprintf("Canary%dx", n)
			switch class := classOf[field.FullName()]; {
			case class == redaction.Numbers:
				mark = fmt.Sprintf("+4930%07d", n)
				mentioned = append(mentioned, mark)
			case class == redaction.Names:
				mentioned = append(mentioned, mark+" Meier")
			case !slices.Contains(all, class):
				return "" // A second pass mentions what the first has planted.
			}
			planted = append(planted, mark)
			return mark
		})
		if len(mentioned) > 0 {
			visit(call.ProtoReflect(), func(m protoreflect.Message, field protoreflect.FieldDescriptor) {
				class := classOf[field.FullName()]
				if field.IsList() || slices.Contains(all, class) {
					return
				}
				mention := rapid.SampledFrom(mentioned).Draw(t, "mention")
				if class == redaction.Words && !strings.HasPrefix(mention, "+") {
					return // Names stay in words.
				}
				m.Set(field, protoreflect.ValueOfString("so "+strings.TrimSuffix(mention, " Meier")+"."))
			})
		}
		policy, err := redaction.NewPolicy(all...)
		if err != nil {
			t.Fatal(err)
		}
		policy.Apply(call)
		visit(call.ProtoReflect(), func(m protoreflect.Message, field protoreflect.FieldDescriptor) {
			if closed[field.FullName()] && field.Name() != "value_json" {
				return
			}
			got := mention.Fold(fmt.Sprint(m.Get(field)))
			for _, mark := range planted {
				if strings.Contains(got, mention.Fold(mark)) {
					t.Errorf("%s still holds what was planted: %s", field.FullName(), got)
				}
			}
		})
	})
}

// anyOutcome returns an outcome in which fields are there or not, with lists of up to two elements, and with texts as told.
func anyOutcome(t *rapid.T, text func(field protoreflect.FieldDescriptor) string) *callnormv1.CallOutcome {
	call := &callnormv1.CallOutcome{}
	// One draw of bits for a message: a draw for each field would exhaust what rapid has for one run.
	var fill func(m protoreflect.Message)
	fill = func(m protoreflect.Message) {
		bits := rapid.Uint64().Draw(t, string(m.Descriptor().Name()))
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			field := fields.Get(i)
			if bits>>(i%64)&1 == 0 || field.IsMap() {
				continue
			}
			value := func() protoreflect.Value {
				switch field.Kind() {
				case protoreflect.StringKind:
					return protoreflect.ValueOfString(text(field))
				case protoreflect.BoolKind:
					return protoreflect.ValueOfBool(true)
				case protoreflect.DoubleKind:
					return protoreflect.ValueOfFloat64(4930123456)
				case protoreflect.EnumKind:
					return protoreflect.ValueOfEnum(1)
				case protoreflect.Int32Kind:
					return protoreflect.ValueOfInt32(1)
				case protoreflect.Int64Kind:
					return protoreflect.ValueOfInt64(1)
				default:
					t.Fatalf("%s is of a kind that no field had before", field.FullName())
					return protoreflect.Value{}
				}
			}
			switch {
			case field.IsList():
				list := m.Mutable(field).List()
				for range 1 + bits>>((i+1)%64)&1 {
					if field.Message() != nil {
						fill(list.AppendMutable().Message())
					} else {
						list.Append(value())
					}
				}
			case field.Message() != nil:
				fill(m.Mutable(field).Message())
			default:
				m.Set(field, value())
			}
		}
	}
	fill(call.ProtoReflect())
	return call
}

// visit calls see for each text field of a message that may hold one, set or not.
func visit(m protoreflect.Message, see func(m protoreflect.Message, field protoreflect.FieldDescriptor)) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		switch field := fields.Get(i); {
		case field.IsMap():
		case field.Kind() == protoreflect.StringKind:
			if field.ContainingOneof() == nil || m.Has(field) {
				see(m, field)
			}
		case field.Message() == nil || !m.Has(field):
		case field.IsList():
			for list, i := m.Get(field).List(), 0; i < list.Len(); i++ {
				visit(list.Get(i).Message(), see)
			}
		default:
			visit(m.Get(field).Message(), see)
		}
	}
}

// shape returns an outcome with all texts made equal, and so all values and what a number has of texts.
func shape(call *callnormv1.CallOutcome) *callnormv1.CallOutcome {
	call = clone(call)
	var flatten func(m protoreflect.Message)
	flatten = func(m protoreflect.Message) {
		switch e := m.Interface().(type) {
		case *callnormv1.Value:
			if e.GetKind() != nil {
				e.Kind = text("").GetKind()
			}
			return
		case *callnormv1.PhoneNumber:
			if e.GetAsReceived()+e.GetE164() != "" {
				e.AsReceived, e.E164 = "x", ""
			}
		}
		m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
			switch {
			case field.IsMap():
			case field.Kind() == protoreflect.StringKind && field.IsList():
				for list, i := m.Mutable(field).List(), 0; i < list.Len(); i++ {
					list.Set(i, protoreflect.ValueOfString("x"))
				}
			case field.Kind() == protoreflect.StringKind:
				m.Set(field, protoreflect.ValueOfString("x"))
			case field.Message() == nil:
			case field.IsList():
				for list, i := value.List(), 0; i < list.Len(); i++ {
					flatten(list.Get(i).Message())
				}
			default:
				flatten(value.Message())
			}
			return true
		})
	}
	flatten(call.ProtoReflect())
	return call
}

func clone(call *callnormv1.CallOutcome) *callnormv1.CallOutcome {
	cloned, _ := proto.Clone(call).(*callnormv1.CallOutcome)
	return cloned
}

// sample returns what Synthflow's documentation shows.
func sample(tb testing.TB) *callnormv1.CallOutcome {
	tb.Helper()
	body, err := os.ReadFile("../../adapters/synthflow/testdata/s00_synthflow_page_2025_10.json")
	if err != nil {
		tb.Fatal(err)
	}
	result, err := adapters.Normalize(synthflow.New(), adapters.Delivery{Provider: "synthflow", Body: body})
	if err != nil {
		tb.Fatal(err)
	}
	call := result.Outcomes[0].Call
	call.Contact.DisplayName = "Julian Example"
	call.Contact.Phones = []*callnormv1.PhoneNumber{{AsReceived: "+442079460123", E164: "+442079460123", Region: "GB"}}
	return call
}

func TestSample(t *testing.T) {
	t.Parallel()
	call := sample(t)
	if !strings.Contains(prototext.Format(call), "Julian") {
		t.Fatal("the sample does not mention the name")
	}
	policy(t, redaction.Names).Apply(call)
	if text := prototext.Format(call); strings.Contains(text, "Julian") || !strings.Contains(text, "Perfect, [redacted]!") {
		t.Errorf("the name is still there:\n%s", text)
	}
}

func BenchmarkApply(b *testing.B) {
	whole := sample(b)
	for name, classes := range map[string][]redaction.Class{
		"none": nil, "transcript": {redaction.Transcript}, "numbers": {redaction.Numbers}, "names": {redaction.Names}, "all": all,
	} {
		b.Run(name, func(b *testing.B) {
			p := policy(b, classes...)
			b.ReportAllocs()
			for b.Loop() {
				p.Apply(clone(whole)) // with the copy, which is all that "none" takes: stopping the clock would take longer
			}
		})
	}
}
