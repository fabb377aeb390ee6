package adapters_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/google/go-cmp/cmp"
)

// stub is an adapter that does what a test wants.
type stub struct {
	name      string
	providers []string
	normalize func(adapters.Delivery) (adapters.Result, error)
}

func (s stub) Name() string        { return s.name }
func (s stub) Version() string     { return "7" }
func (s stub) Providers() []string { return s.providers }
func (s stub) Example() string     { return "" }
func (stub) Scenarios() fs.FS      { return nil }
func (s stub) Normalize(d adapters.Delivery) (adapters.Result, error) {
	return s.normalize(d)
}

func TestNormalizeStampsOutcomes(t *testing.T) {
	adapter := stub{name: "stub", normalize: func(adapters.Delivery) (adapters.Result, error) {
		return adapters.Result{Outcomes: []adapters.Outcome{
			{Call: &callnormv1.CallOutcome{}},
			{Call: &callnormv1.CallOutcome{Provenance: &callnormv1.Provenance{UnmappedCount: 3}}},
		}}, nil
	}}
	result, err := adapters.Normalize(adapter, adapters.Delivery{Provider: "brand"})
	if err != nil {
		t.Fatal(err)
	}
	for _, outcome := range result.Outcomes {
		p := outcome.Call.GetProvenance()
		if outcome.Call.GetProvider() != "brand" || p.GetAdapter() != "stub" || p.GetAdapterVersion() != "7" {
			t.Errorf("got %v", outcome.Call)
		}
	}
	if result.Outcomes[1].Call.GetProvenance().GetUnmappedCount() != 3 {
		t.Error("the adapter's own provenance is lost")
	}
}

func TestNormalizeSurvivesTheAdapter(t *testing.T) {
	refused := &adapters.Error{Reason: callnormv1.FaultReason_FAULT_REASON_MALFORMED, Path: "a.b", Detail: "no JSON"}
	for name, test := range map[string]struct {
		normalize func() error
		want      callnormv1.FaultReason
	}{
		"it panics":                  {func() error { panic("secret +12025550143") }, callnormv1.FaultReason_FAULT_REASON_ADAPTER_FAILED},
		"it panics with an error":    {func() error { panic(errors.New("secret")) }, callnormv1.FaultReason_FAULT_REASON_ADAPTER_FAILED},
		"it dereferences nil":        {func() error { var d *adapters.Delivery; _ = d.Body; return nil }, callnormv1.FaultReason_FAULT_REASON_ADAPTER_FAILED},
		"it fails in its own way":    {func() error { return errors.New("secret") }, callnormv1.FaultReason_FAULT_REASON_ADAPTER_FAILED},
		"it refuses with a reason":   {func() error { return refused }, callnormv1.FaultReason_FAULT_REASON_MALFORMED},
		"it refuses in another coat": {func() error { return errors.Join(refused) }, callnormv1.FaultReason_FAULT_REASON_MALFORMED},
	} {
		t.Run(name, func(t *testing.T) {
			adapter := stub{name: "stub", normalize: func(adapters.Delivery) (adapters.Result, error) {
				return adapters.Result{Outcomes: []adapters.Outcome{{}}}, test.normalize()
			}}
			result, err := adapters.Normalize(adapter, adapters.Delivery{})
			got := (*adapters.Error)(nil)
			if !errors.As(err, &got) || got.Reason != test.want {
				t.Fatalf("got %v", err)
			}
			if len(result.Outcomes) > 0 {
				t.Error("there are outcomes beside the error")
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error repeats the cause: %v", err)
			}
		})
	}
}

func TestErrorAsFault(t *testing.T) {
	err := &adapters.Error{Reason: callnormv1.FaultReason_FAULT_REASON_MALFORMED, Path: "a.b", Detail: "no JSON"}
	if got, want := err.Error(), "FAULT_REASON_MALFORMED at a.b: no JSON"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if fault := err.Fault(); fault.Item != nil || fault.GetPath() != "a.b" || fault.GetDetail() != "no JSON" {
		t.Errorf("got %v", fault)
	}
	if fault := err.ItemFault(0); fault.Item == nil || fault.GetItem() != 0 {
		t.Errorf("the first item is told, too: %v", fault)
	}
}

func TestSet(t *testing.T) {
	one := stub{name: "one", providers: []string{"one", "brand"}}
	two := stub{name: "two", providers: []string{"two"}}
	set, err := adapters.NewSet(one, two)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"one", "two"}, set.Names()); diff != "" || len(set.All()) != 2 {
		t.Error(diff)
	}
	if adapter, ok := set.ByName("two"); !ok || adapter.Name() != "two" {
		t.Error("two is not found by its name")
	}
	if adapter, ok := set.ByProvider("brand"); !ok || adapter.Name() != "one" {
		t.Error("one is not found by its brand")
	}
	if _, ok := set.ByName("brand"); ok {
		t.Error("a brand is no name")
	}
	if _, ok := set.ByProvider("three"); ok {
		t.Error("nobody serves three")
	}
	for name, list := range map[string][]adapters.Adapter{
		"two of one name":      {one, stub{name: "one"}},
		"two for one provider": {one, stub{name: "other", providers: []string{"brand"}}},
		"one provider, twice":  {stub{name: "x", providers: []string{"x", "x"}}},
	} {
		if _, err := adapters.NewSet(list...); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
}
