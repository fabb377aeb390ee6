// Package e2e runs the shipped binary the way its users do: over sockets, on the providers' own sample bodies, with kill -9.
package e2e_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

const folders = "../../adapters"

// sample is a body of a provider's documentation page, and the door it goes to.
type sample struct {
	file string
	path string
	body []byte
}

// samples finds the fixtures that stand for whole documentation pages.
func samples(t *testing.T) []sample {
	t.Helper()
	files, err := filepath.Glob(folders + "/*/testdata/*_page*.json")
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{"curiousthing": "curious-thing"}
	var list []sample
	for _, file := range files {
		if _, err := os.Stat(file + ".golden"); errors.Is(err, os.ErrNotExist) {
			continue // not a body that means something
		}
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source := filepath.Base(filepath.Dir(filepath.Dir(file)))
		if other, ok := sources[source]; ok {
			source = other
		}
		if strings.Contains(file, "anunzi") {
			source = "anunzi"
		}
		list = append(list, sample{file: filepath.Base(file), path: source, body: body})
	}
	if len(list) < 4 {
		t.Fatalf("only %d samples were found", len(list))
	}
	return list
}

func TestNothingIsLostOverKillMinus9(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, "--data-dir", dir)
	live, beginning := s.follow(t, now())
	list := samples(t)
	var names []string
	states := make(map[string]*callnormv1.CallOutcome)
	for _, sample := range list {
		answer := s.post(t, sample.path, sample.body)
		if answer.GetDuplicate() || len(answer.GetOutcomes()) == 0 {
			t.Errorf("%s: %v", sample.file, answer)
		}
		for _, outcome := range answer.GetOutcomes() {
			names = append(names, outcome.GetName())
			states[outcome.GetName()] = s.get(t, outcome.GetName())
		}
	}
	seen, last := read(t, live, len(names))
	if !slices.Equal(seen, names) {
		t.Errorf("a client that was connected before saw\n%v, want\n%v", seen, names)
	}

	s.kill(t)
	s = serve(t, "--data-dir", dir)

	again, _ := s.follow(t, after(beginning))
	if seen, _ := read(t, again, len(names)); !slices.Equal(seen, names) {
		t.Errorf("a client with an older cursor saw\n%v, want\n%v", seen, names)
	}
	later, _ := s.follow(t, after(last))
	for _, sample := range list {
		answer := s.post(t, sample.path, sample.body)
		if !answer.GetDuplicate() {
			t.Errorf("%s is no duplicate any more: %v", sample.file, answer)
		}
	}
	for name, before := range states {
		if after := s.get(t, name); after.GetRevision() < before.GetRevision() {
			t.Errorf("%s went from revision %d to %d", name, before.GetRevision(), after.GetRevision())
		}
	}
	marker := s.post(t, "synthflow", []byte(call("marker"))).GetOutcomes()[0].GetName()
	if seen, _ := read(t, later, 1); seen[0] != marker {
		t.Errorf("the repeated deliveries were streamed: %v", seen)
	}
}

func TestASecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	serve(t, "--data-dir", dir)
	run(t, "serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0", "--data-dir", dir).
		expect(t, 1, "in use by another process")
}

func TestSIGTERMStopsTheService(t *testing.T) {
	s := serve(t, "--data-dir", t.TempDir())
	stream, _ := s.follow(t, &callnormv1.StreamOutcomesRequest{})
	s.signal(t, syscall.SIGTERM)
	if farewell, err := stream.Recv(); err != nil || farewell.GetCursor() == "" {
		t.Errorf("%v, %v", farewell, err)
	}
	if <-s.ended; s.exit != nil {
		t.Errorf("exit: %v", s.exit)
	}
}
