// Package adaptertest proves an adapter. It finds its cases by itself: every scenario in testdata (see package scenario) is one
// delivery, and what it means stands beside it.
//
//	<case>.json         what the provider sent; <case>.form is a form, and an empty one with a query beside it came by GET
//	<case>.json.golden  what that means: a NormalizeResponse in protojson
//	<case>.json.error   or why it means nothing: reason, path and detail
//	left_out.txt        the paths of configuration that the adapter leaves out on purpose, one a line, `*` for any name
//	                    and a leading `**` for any way to them
//
// `go test -update` rewrites the goldens and errors, and never an input.
package adaptertest

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/scenario"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"
)

var update = flag.Bool("update", false, "rewrite the goldens under testdata")

// Run proves an adapter with the cases in ./testdata.
func Run(t *testing.T, adapter adapters.Adapter) {
	t.Helper()
	cases := Cases(t, adapter)
	t.Run("cases", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.Name, func(t *testing.T) { checkCase(t, adapter, c) })
		}
	})
	t.Run("example", func(t *testing.T) {
		result, err := adapters.Normalize(adapter, adapters.Delivery{Provider: adapter.Providers()[0], Body: []byte(adapter.Example())})
		if err != nil || len(result.Outcomes) != 1 || result.Outcomes[0].Call.GetProviderCallId() != "demo-1" ||
			result.Outcomes[0].Call.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_FINAL {
			t.Errorf("the example is no finished call demo-1: %v, %v", result.Outcomes, err)
		}
	})
	t.Run("scenarios", func(t *testing.T) { checkScenarios(t, adapter, cases) })
	t.Run("pure", func(t *testing.T) { checkPure(t, adapter, cases) })
	t.Run("order", func(t *testing.T) { checkOrder(t, adapter, cases) })
	t.Run("hostile", func(t *testing.T) { checkHostile(t, adapter, cases) })
	t.Run("nothing vanishes", func(t *testing.T) { checkLeaves(t, adapter, cases) })
}

// Cases returns the cases in ./testdata by name, all received at one time. Files that belong to no case fail the test.
func Cases(tb testing.TB, adapter adapters.Adapter) []scenario.Scenario {
	tb.Helper()
	checkFiles(tb)
	cases, err := scenario.Read(os.DirFS("."), adapter.Providers()[0])
	if err != nil {
		tb.Fatal(err)
	}
	if len(cases) == 0 {
		tb.Fatalf("no cases in %s", scenario.Folder)
	}
	for i := range cases {
		cases[i].Delivery.ReceiveTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	}
	return cases
}

// checkFiles checks that nothing stands beside a case that is not there, and that no case has two meanings.
func checkFiles(tb testing.TB) {
	tb.Helper()
	files, err := os.ReadDir(scenario.Folder)
	if err != nil {
		tb.Fatal(err)
	}
	names := make(map[string]bool)
	for _, file := range files {
		names[file.Name()] = true
	}
	for name := range names {
		input := strings.TrimSuffix(name, filepath.Ext(name))
		switch {
		case scenario.IsBeside(filepath.Ext(name)) && !names[input]:
			tb.Errorf("%s belongs to no case: there is no %s", name, input)
		case names[name+scenario.GoldenExt] && names[name+scenario.ErrorExt]:
			tb.Errorf("%s has both %s and %s; keep one", name, scenario.GoldenExt, scenario.ErrorExt)
		}
	}
}

// checkScenarios checks that the adapter has all its cases with it.
func checkScenarios(t *testing.T, adapter adapters.Adapter, cases []scenario.Scenario) {
	embedded, err := scenario.Of(adapter)
	if err != nil {
		t.Fatal(err)
	}
	for i := range embedded {
		embedded[i].Delivery.ReceiveTime = cases[0].Delivery.ReceiveTime
	}
	if diff := cmp.Diff(cases, embedded); diff != "" {
		t.Errorf("Scenarios leaves out what is in %s, or what stands beside it; widen its go:embed pattern (-%s +Scenarios):\n%s",
			scenario.Folder, scenario.Folder, diff)
	}
}

func checkCase(t *testing.T, adapter adapters.Adapter, c scenario.Scenario) {
	result, err := adapters.Normalize(adapter, c.Delivery)
	if err != nil {
		got := describe(t, err)
		if *update {
			write(t, c.File+scenario.ErrorExt, []byte(got))
			remove(t, c.File+scenario.GoldenExt)
		}
		want, readErr := os.ReadFile(c.File + scenario.ErrorExt)
		if readErr != nil {
			t.Fatalf("there is no error, and no %s to expect one: %v", c.File+scenario.ErrorExt, got)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.File+scenario.ErrorExt, diff)
		}
		return
	}
	checkResult(t, result)
	got := Response(result)
	if *update {
		write(t, c.File+scenario.GoldenExt, Golden(t, got))
		remove(t, c.File+scenario.ErrorExt)
	}
	text, readErr := os.ReadFile(c.File + scenario.GoldenExt)
	if readErr != nil {
		t.Fatalf("%v (go test -update writes it; then read it)", readErr)
	}
	want := &callnormv1.NormalizeResponse{}
	if err := protojson.Unmarshal(text, want); err != nil {
		t.Fatalf("%s: %v", c.File+scenario.GoldenExt, err)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", c.File+scenario.GoldenExt, diff)
	}
}

// Response returns a result as the service would answer it, but for what only the service knows.
func Response(result adapters.Result) *callnormv1.NormalizeResponse {
	response := &callnormv1.NormalizeResponse{Faults: result.Faults, Notices: result.Notices}
	for _, outcome := range result.Outcomes {
		response.Outcomes = append(response.Outcomes, outcome.Call)
	}
	return response
}

// Golden returns a response as it stands in goldens. protojson's own spacing differs between builds on purpose.
func Golden(tb testing.TB, response *callnormv1.NormalizeResponse) []byte {
	tb.Helper()
	text, err := protojson.Marshal(response)
	if err != nil {
		tb.Fatal(err)
	}
	var value json.RawMessage = text
	text, err = json.MarshalIndent(value, "", "  ")
	if err != nil {
		tb.Fatal(err)
	}
	return append(text, '\n')
}

func describe(tb testing.TB, err error) string {
	tb.Helper()
	known := (*adapters.Error)(nil)
	if !errors.As(err, &known) {
		tb.Fatalf("the error is no *adapters.Error: %v", err)
	}
	return fmt.Sprintf("reason: %s\npath: %s\ndetail: %s\n", known.Reason, known.Path, known.Detail)
}

func write(tb testing.TB, file string, text []byte) {
	tb.Helper()
	if err := os.WriteFile(file, text, 0o644); err != nil {
		tb.Fatal(err)
	}
}

func remove(tb testing.TB, file string) {
	tb.Helper()
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		tb.Fatal(err)
	}
}
