package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// fixture is a body that a provider sent, or an adapter's test has made up.
type fixture struct {
	name   string // folder/file
	folder string
	event  string // that the path named
	body   []byte
	ids    []span // values of ids
	values []span // all values that are no objects and no lists
}

// span is a part of a body.
type span struct{ from, to int }

// expected are the extensions of what stands beside a fixture.
var expected = []string{".golden", ".error", ".delivery", "left_out.txt"}

// readFixtures finds all fixtures of all adapters, ordered by name.
func readFixtures(root string) ([]*fixture, error) {
	files, err := filepath.Glob(filepath.Join(root, "*", "testdata", "*"))
	if err != nil {
		return nil, err
	}
	var list []*fixture
	for _, file := range files {
		about, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		if about.IsDir() || slices.ContainsFunc(expected, func(end string) bool { return strings.HasSuffix(file, end) }) {
			continue
		}
		f, err := readFixture(file)
		if err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s/*/testdata has no fixtures: start at the root of the repository, or set -fixtures", root)
	}
	return list, nil
}

func readFixture(file string) (*fixture, error) {
	folder := filepath.Base(filepath.Dir(filepath.Dir(file)))
	body, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f := &fixture{name: folder + "/" + filepath.Base(file), folder: folder, body: body}
	for _, at := range ids.FindAllSubmatchIndex(body, -1) {
		f.ids = append(f.ids, span{at[2], at[3]})
	}
	for _, at := range values.FindAllSubmatchIndex(body, -1) {
		f.values = append(f.values, span{at[2], at[3]})
	}
	described, err := os.ReadFile(file + ".delivery")
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	var delivery struct {
		Event string `json:"event"`
	}
	if err := json.Unmarshal(described, &delivery); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	f.event = delivery.Event
	return f, nil
}

// What to put something else in the place of. Fixtures that are no JSON are read as far as they look like it.
var (
	ids    = regexp.MustCompile(`"\w*[iI]d"\s*:\s*("(?:[^"\\]|\\.)*")`)
	values = regexp.MustCompile(`[:\[,]\s*("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null)\s*[,}\]]`)
	names  = regexp.MustCompile(`"((?:[^"\\]|\\.){1,60})"\s*:`)
)
