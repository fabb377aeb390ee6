//go:build !race

// Package drift holds what does not depend on the machine to what it was: how much is allocated, synced, written and asked of SQLite
// for a webhook. The figures are in figures.json; -update writes them.
package drift

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write what is measured to figures.json")

const (
	figuresFile = "figures.json"
	// tolerance is how far a figure may be from the one that is written down. What shrinks has to be written down as well: otherwise
	// it could grow back unseen.
	tolerance = 0.10
)

// TestDrift fails when a figure is another one. It does not run under the race detector, which allocates for itself.
func TestDrift(t *testing.T) {
	got := map[string]float64{}
	measureNormalize(t, got)
	measureAlone(t, got)
	measureCrowd(t, got)
	if t.Failed() {
		return
	}
	if *update {
		text, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(figuresFile, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(figuresFile)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]float64
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatalf("%s: %v", figuresFile, err)
	}
	for _, complaint := range compare(got, want) {
		t.Error(complaint)
	}
}

// compare tells what has changed, one line for each figure.
func compare(got, want map[string]float64) (complaints []string) {
	const record = "go test ./test/drift -update writes it down"
	for _, name := range slices.Sorted(maps.Keys(got)) {
		was, ok := want[name]
		switch is := got[name]; {
		case !ok:
			complaints = append(complaints, fmt.Sprintf("%s: %v, and %s has no such figure: %s", name, is, figuresFile, record))
		case is > was*(1+tolerance):
			complaints = append(complaints, fmt.Sprintf("%s: grew from %v to %v, by more than %.0f %%: find out why; where it has to be, %s",
				name, was, is, tolerance*100, record))
		case is < was*(1-tolerance):
			complaints = append(complaints, fmt.Sprintf("%s: shrank from %v to %v, by more than %.0f %%: %s, so that it cannot grow back unseen",
				name, was, is, tolerance*100, record))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, ok := got[name]; !ok {
			complaints = append(complaints, fmt.Sprintf("%s: is in %s, and nobody measures it: %s", name, figuresFile, record))
		}
	}
	return complaints
}

func TestCompare(t *testing.T) {
	t.Parallel()
	want := map[string]float64{"steady": 100, "grown": 100, "shrunk": 100, "gone": 1}
	got := map[string]float64{"steady": 109, "grown": 111, "shrunk": 89, "new": 1}
	if complaints := compare(got, want); len(complaints) != 4 {
		t.Errorf("%d complaints: %q", len(complaints), complaints)
	}
	if complaints := compare(want, want); len(complaints) != 0 {
		t.Errorf("complaints about nothing: %q", complaints)
	}
}

// rounded leaves four digits: what is behind them differs from run to run, and says nothing.
func rounded(f float64) float64 {
	if f == 0 {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(f))))
	return math.Round(f*scale) / scale
}
