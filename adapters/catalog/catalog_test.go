package catalog_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/catalog"
	"github.com/google/go-cmp/cmp"
)

// pages is where the documentation says what each adapter covers.
const pages = "../../docs/coverage"

// TestCoverage holds the pages to what the adapters do. -update, which make generate sets, writes them.
func TestCoverage(t *testing.T) {
	update := flag.Lookup("update").Value.String() == "true"
	set, err := catalog.Set()
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	for _, adapter := range set.All() {
		known[adapter.Name()] = true
		t.Run(adapter.Name(), func(t *testing.T) {
			t.Parallel()
			file, page := filepath.Join(pages, adapter.Name()+".md"), adaptertest.Coverage(t, adapter)
			if update {
				if err := os.WriteFile(file, page, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v (make generate writes it)", err)
			}
			if diff := cmp.Diff(string(want), string(page)); diff != "" {
				t.Errorf("%s is not what the adapter does; make generate (-page +adapter):\n%s", file, diff)
			}
		})
	}
	files, err := os.ReadDir(pages)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name, ok := strings.CutSuffix(file.Name(), ".md"); !ok || !known[name] {
			t.Errorf("%s belongs to no adapter", file.Name())
		}
	}
}
