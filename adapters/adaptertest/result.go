package adaptertest

import (
	"slices"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// checkResult checks what must hold for every result, whatever the payload.
func checkResult(tb testing.TB, result adapters.Result) {
	tb.Helper()
	items := make(map[int]bool)
	for _, outcome := range result.Outcomes {
		items[outcome.Item] = true
		call := outcome.Call
		switch {
		case outcome.Family == "":
			tb.Errorf("item %d has no family", outcome.Item)
		case call.GetName() != "" || call.GetSource() != "" || call.GetSettleTime() != nil || len(call.GetProvenance().GetDeliveries()) > 0:
			tb.Errorf("item %d: the name, the source, the time to settle and the deliveries are not the adapter's", outcome.Item)
		case call.GetRevision() != 0 || call.GetRevisionCause() != 0 || call.GetRevisionTime() != nil || call.GetAfterFinal():
			tb.Errorf("item %d: what tells of the revision is not the adapter's", outcome.Item)
		case call.GetEvent() == callnormv1.EventKind_EVENT_KIND_UNSPECIFIED:
			tb.Errorf("item %d does not say what kind of event it is", outcome.Item)
		case call.GetCompleteness() == callnormv1.Completeness_COMPLETENESS_UNSPECIFIED:
			tb.Errorf("item %d does not say how complete it is", outcome.Item)
		case outcome.CallID != call.GetProviderCallId() && call.GetProviderCallId() != "":
			tb.Errorf("item %d is identified by another id than its provider_call_id", outcome.Item)
		}
		for _, part := range call.GetExpectedParts() {
			if slices.Contains(call.GetPresentParts(), part) {
				tb.Errorf("item %d: %s is present and still expected", outcome.Item, part)
			}
		}
		if _, err := proto.Marshal(call); err != nil {
			tb.Errorf("item %d: %v", outcome.Item, err)
		}
		checkMessage(tb, call.ProtoReflect(), "")
	}
	for _, fault := range result.Faults {
		if fault.Item == nil || items[int(fault.GetItem())] {
			tb.Errorf("a fault of a result belongs to one item, and the item has no outcome then: %v", fault)
		}
		if fault.GetReason() == callnormv1.FaultReason_FAULT_REASON_UNSPECIFIED || fault.GetDetail() == "" {
			tb.Errorf("a fault tells its reason and explains it: %v", fault)
		}
	}
	for _, notice := range result.Notices {
		if notice.GetDetail() == "" {
			tb.Errorf("a notice explains why there is no outcome: %v", notice)
		}
	}
	if len(result.Outcomes)+len(result.Faults)+len(result.Notices) == 0 {
		tb.Error("the result says nothing at all")
	}
}

// checkMessage checks that values, raw words and mappings go together: a value that claims to be mapped from a word has that
// word beside it, an unknown word has the value OTHER, and no enum has a number without a name.
func checkMessage(tb testing.TB, m protoreflect.Message, path string) {
	tb.Helper()
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		name := string(field.Name())
		switch {
		case field.IsMap():
		case field.IsList() && field.Message() != nil:
			for i := range value.List().Len() {
				checkMessage(tb, value.List().Get(i).Message(), path+name+".")
			}
		case field.Message() != nil:
			checkMessage(tb, value.Message(), path+name+".")
		case field.Enum() != nil && !field.IsList():
			if field.Enum().Values().ByNumber(value.Enum()) == nil {
				tb.Errorf("%s%s has the unknown number %d", path, name, value.Enum())
			}
			if field.Enum().FullName() == "callnorm.v1.Mapping" {
				checkMapping(tb, m, path, name, callnormv1.Mapping(value.Enum()))
			}
		}
		return true
	})
}

func checkMapping(tb testing.TB, m protoreflect.Message, path, name string, mapping callnormv1.Mapping) {
	tb.Helper()
	fields := m.Descriptor().Fields()
	base := strings.TrimSuffix(strings.TrimSuffix(name, "mapping"), "_")
	rawName, valueName := base+"_raw", base
	if base == "" {
		rawName, valueName = "raw", "value"
		if fields.ByName("value") == nil {
			valueName = "polarity"
		}
	}
	raw, valueField := fields.ByName(protoreflect.Name(rawName)), fields.ByName(protoreflect.Name(valueName))
	if raw == nil || valueField == nil {
		tb.Errorf("%s%s has no raw twin or no value", path, name)
		return
	}
	value := m.Get(valueField).Enum()
	switch mapping {
	case callnormv1.Mapping_MAPPING_EXACT, callnormv1.Mapping_MAPPING_PREFIX, callnormv1.Mapping_MAPPING_LLM,
		callnormv1.Mapping_MAPPING_PROVIDER_CLASSIFIED:
		if m.Get(raw).String() == "" {
			tb.Errorf("%s%s is %s, but %s is empty", path, name, mapping, rawName)
		}
	case callnormv1.Mapping_MAPPING_NONE:
		other := valueField.Enum().Values().ByNumber(value)
		if m.Get(raw).String() == "" || other == nil || !strings.HasSuffix(string(other.Name()), "_OTHER") {
			tb.Errorf("%s%s is %s: %s must be OTHER, and %s the word", path, name, mapping, valueName, rawName)
		}
	}
}
