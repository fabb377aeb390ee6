package config

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/internal/signature"
)

var update = flag.Bool("update", false, "write the problems of testdata")

// fake is an adapter that nobody asks to normalize.
type fake struct{ providers []string }

func (f fake) Name() string                                           { return f.providers[0] }
func (fake) Version() string                                          { return "1" }
func (f fake) Providers() []string                                    { return f.providers }
func (fake) Example() string                                          { return "{}" }
func (fake) Scenarios() fs.FS                                         { return nil }
func (fake) Normalize(adapters.Delivery) (r adapters.Result, _ error) { return r, nil }

// signing is an adapter that knows how its provider signs.
type signing struct {
	fake
	settings signature.Settings
}

func (s signing) Signature() signature.Settings { return s.settings }

func fakes(t testing.TB) *adapters.Set {
	t.Helper()
	public, err := os.ReadFile("testdata/files/public.pem")
	if err != nil {
		t.Fatal(err)
	}
	set, err := adapters.NewSet(
		signing{fake{[]string{"alpha", "beta"}}, signature.Settings{Scheme: signature.SchemeHMAC, Headers: []string{"X-Alpha-Signature"}, Encoding: "any"}},
		signing{fake{[]string{"keyed"}}, signature.Settings{Scheme: signature.SchemeRSA, Headers: []string{"X-Keyed-Signature"}, Signed: "{body}\n{compact}", Keys: []string{string(public)}}},
		fake{[]string{"bare"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// environment is what the tests' process is given.
func environment(name string) (string, bool) {
	value, ok := map[string]string{
		"EMPTY_SECRET": "\n",
		"SALES_SECRET": "secret-of-sales-0123456789",
		"HOLD_SECRET":  "short",
		"OTHER_TOKEN":  "another-token-0123456789abcdef",
	}[name]
	return value, ok
}

// write writes files into a folder of their own, and returns the first one's name.
func write(t testing.TB, first, text string, more map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range more {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, first)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestProblems holds every bad file against the problems beside it.
func TestProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	here, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	for _, file := range files {
		known[file+".problems"] = true
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := Load(file, Overrides{}, environment, fakes(t))
			problems := (*Problems)(nil)
			if !errors.As(err, &problems) {
				t.Fatalf("%T: %v", err, err)
			}
			got := strings.ReplaceAll(strings.ReplaceAll(err.Error(), here, "DIR"), "testdata/", "") + "\n"
			if *update {
				if err := os.WriteFile(file+".problems", []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file + ".problems")
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			if strings.Contains(got, "Hunter2") {
				t.Error("a secret is repeated")
			}
			if lines := strings.Count(got, "\n"); lines != len(problems.Unwrap()) {
				t.Errorf("%d problems in %d lines", len(problems.Unwrap()), lines)
			}
		})
	}
	orphans, err := filepath.Glob("testdata/*.problems")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range orphans {
		if !known[file] {
			t.Errorf("%s has no file that it belongs to", file)
		}
	}
}
