// Package adaptertest proves an adapter. It finds its cases by itself: every file in testdata is one delivery, and what it
// means stands beside it.
//
//	<case>.json           what the provider sent; any extension but those below will do
//	<case>.json.golden    what that means: a NormalizeResponse in protojson
//	<case>.json.error     or why it means nothing: reason, path and detail
//	<case>.json.delivery  optional: the provider, event, query and header that came with the body, as JSON
//	left_out.txt          the paths of configuration that the adapter leaves out on purpose, one a line, `*` for any name
//	                      and a leading `**` for any way to them
//
// `go test -update` rewrites the goldens and errors, and never an input.
package adaptertest

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"
)

var update = flag.Bool("update", false, "rewrite the goldens under testdata")

const (
	folder      = "testdata"
	goldenExt   = ".golden"
	errorExt    = ".error"
	deliveryExt = ".delivery"
	leftOutFile = "left_out.txt"
)

// Case is one delivery in testdata.
type Case struct {
	// Name is the file's name without its extension.
	Name string
	// File is the file's path.
	File     string
	Delivery adapters.Delivery
}

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
	t.Run("pure", func(t *testing.T) { checkPure(t, adapter, cases) })
	t.Run("hostile", func(t *testing.T) { checkHostile(t, adapter, cases) })
	t.Run("nothing vanishes", func(t *testing.T) { checkLeaves(t, adapter, cases) })
}

// Cases returns the cases in ./testdata by name. Files that belong to no case fail the test.
func Cases(tb testing.TB, adapter adapters.Adapter) []Case {
	tb.Helper()
	files, err := os.ReadDir(folder)
	if err != nil {
		tb.Fatal(err)
	}
	names := make(map[string]bool)
	for _, file := range files {
		if !file.IsDir() { // go's own corpus of a fuzz target is a folder
			names[file.Name()] = true
		}
	}
	var cases []Case
	for name := range maps.Keys(names) {
		input := name
		for _, ext := range []string{goldenExt, errorExt, deliveryExt} {
			input = strings.TrimSuffix(input, ext)
		}
		switch {
		case name == leftOutFile:
		case input != name:
			if !names[input] {
				tb.Errorf("%s belongs to no case: there is no %s", name, input)
			}
		default:
			if names[name+goldenExt] && names[name+errorExt] {
				tb.Errorf("%s has both %s and %s; keep one", name, goldenExt, errorExt)
			}
			cases = append(cases, readCase(tb, adapter, name))
		}
	}
	if len(cases) == 0 {
		tb.Fatalf("no cases in %s", folder)
	}
	slices.SortFunc(cases, func(a, b Case) int { return strings.Compare(a.Name, b.Name) })
	return cases
}

func readCase(tb testing.TB, adapter adapters.Adapter, name string) Case {
	tb.Helper()
	c := Case{Name: strings.TrimSuffix(name, filepath.Ext(name)), File: filepath.Join(folder, name)}
	var err error
	if c.Delivery.Body, err = os.ReadFile(c.File); err != nil {
		tb.Fatal(err)
	}
	c.Delivery.Provider = adapter.Providers()[0]
	c.Delivery.ReceiveTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c.Delivery.Header = http.Header{"Content-Type": {"application/json"}}
	described, err := os.ReadFile(c.File + deliveryExt)
	if errors.Is(err, os.ErrNotExist) {
		return c
	}
	if err != nil {
		tb.Fatal(err)
	}
	var more struct {
		Provider string      `json:"provider"`
		Event    string      `json:"event"`
		Query    string      `json:"query"`
		Header   http.Header `json:"header"`
	}
	decoder := json.NewDecoder(strings.NewReader(string(described)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&more); err != nil {
		tb.Fatalf("%s: %v", c.File+deliveryExt, err)
	}
	if more.Provider != "" {
		c.Delivery.Provider = more.Provider
	}
	c.Delivery.Event, c.Delivery.Query = more.Event, more.Query
	maps.Copy(c.Delivery.Header, more.Header)
	return c
}

func checkCase(t *testing.T, adapter adapters.Adapter, c Case) {
	result, err := adapters.Normalize(adapter, c.Delivery)
	if err != nil {
		got := describe(t, err)
		if *update {
			write(t, c.File+errorExt, []byte(got))
			remove(t, c.File+goldenExt)
		}
		want, readErr := os.ReadFile(c.File + errorExt)
		if readErr != nil {
			t.Fatalf("there is no error, and no %s to expect one: %v", c.File+errorExt, got)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.File+errorExt, diff)
		}
		return
	}
	checkResult(t, result)
	got := Response(result)
	if *update {
		write(t, c.File+goldenExt, Golden(t, got))
		remove(t, c.File+errorExt)
	}
	text, readErr := os.ReadFile(c.File + goldenExt)
	if readErr != nil {
		t.Fatalf("%v (go test -update writes it; then read it)", readErr)
	}
	want := &callnormv1.NormalizeResponse{}
	if err := protojson.Unmarshal(text, want); err != nil {
		t.Fatalf("%s: %v", c.File+goldenExt, err)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", c.File+goldenExt, diff)
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
