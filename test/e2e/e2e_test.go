// Package e2e runs the shipped binary the way its users do: over sockets, on the providers' own sample bodies, with kill -9.
package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const adapters = "../../adapters"

// build makes the binary once for a test.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "callnorm")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/callnorm").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return binary
}

// service is a running `callnorm serve`.
type service struct {
	command *exec.Cmd
	url     string
	conn    *grpc.ClientConn
	client  callnormv1.OutcomeServiceClient
}

var address = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// serve starts the binary on free ports and reads their addresses from what it prints.
func serve(t *testing.T, binary, dir string) *service {
	t.Helper()
	s := &service{command: exec.Command(binary, "serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0", "--data-dir", dir)}
	s.command.Stderr = os.Stderr
	stdout, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.command.Process.Kill(); _ = s.command.Wait() })
	var found []string
	for lines := bufio.NewScanner(stdout); len(found) < 2 && lines.Scan(); {
		found = append(found, address.FindAllString(lines.Text(), 1)...)
	}
	if len(found) < 2 {
		t.Fatal("the server did not say where it listens")
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	s.url = "http://" + found[0]
	if s.conn, err = grpc.NewClient(found[1], grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.conn.Close() })
	s.client = callnormv1.NewOutcomeServiceClient(s.conn)
	return s
}

func (s *service) post(t *testing.T, path string, body []byte) *callnormv1.IngestDeliveryResponse {
	t.Helper()
	answer := &callnormv1.IngestDeliveryResponse{}
	s.request(t, http.MethodPost, "/v1/webhooks/"+path, body, answer)
	return answer
}

func (s *service) get(t *testing.T, name string) *callnormv1.CallOutcome {
	t.Helper()
	outcome := &callnormv1.CallOutcome{}
	s.request(t, http.MethodGet, "/v1/"+name, nil, outcome)
	return outcome
}

func (s *service) request(t *testing.T, method, path string, body []byte, answer proto.Message) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v %s %s", err, response.Status, text)
	}
	if err := protojson.Unmarshal(text, answer); err != nil {
		t.Fatal(err)
	}
}

// follow opens a stream and returns its first cursor.
func (s *service) follow(t *testing.T, request *callnormv1.StreamOutcomesRequest) (grpc.ServerStreamingClient[callnormv1.StreamOutcomesResponse], string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	stream, err := s.client.StreamOutcomes(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return stream, first.GetCursor()
}

// read returns the names of the next n outcomes, and the cursor after the last one.
func read(t *testing.T, stream grpc.ServerStreamingClient[callnormv1.StreamOutcomesResponse], n int) (names []string, cursor string) {
	t.Helper()
	for len(names) < n {
		message, err := stream.Recv()
		if err != nil {
			t.Fatalf("after %d of %d: %v", len(names), n, err)
		}
		if message.GetOutcome() != nil {
			names = append(names, message.GetOutcome().GetName())
		}
		cursor = message.GetCursor()
	}
	return names, cursor
}

// sample is a body of a provider's documentation page, and the door it goes to.
type sample struct {
	file string
	path string
	body []byte
}

// samples finds the fixtures that stand for whole documentation pages.
func samples(t *testing.T) []sample {
	t.Helper()
	files, err := filepath.Glob(adapters + "/*/testdata/*_page*.json")
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
	binary, dir := build(t), t.TempDir()
	s := serve(t, binary, dir)
	live, beginning := s.follow(t, &callnormv1.StreamOutcomesRequest{
		Start: &callnormv1.StreamOutcomesRequest_StartAt{StartAt: callnormv1.StreamStart_STREAM_START_NOW},
	})
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

	if err := s.command.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = s.command.Wait()
	s = serve(t, binary, dir)

	again, _ := s.follow(t, &callnormv1.StreamOutcomesRequest{Start: &callnormv1.StreamOutcomesRequest_After{After: beginning}})
	if seen, _ := read(t, again, len(names)); !slices.Equal(seen, names) {
		t.Errorf("a client with an older cursor saw\n%v, want\n%v", seen, names)
	}
	later, _ := s.follow(t, &callnormv1.StreamOutcomesRequest{Start: &callnormv1.StreamOutcomesRequest_After{After: last}})
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
	marker := s.post(t, "synthflow", []byte(`{"call":{"call_id":"marker","status":"completed"}}`)).GetOutcomes()[0].GetName()
	if seen, _ := read(t, later, 1); seen[0] != marker {
		t.Errorf("the repeated deliveries were streamed: %v", seen)
	}
}

func TestASecondProcessIsRefused(t *testing.T) {
	binary, dir := build(t), t.TempDir()
	serve(t, binary, dir)
	output, err := exec.CommandContext(t.Context(), binary, "serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0", "--data-dir", dir).CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(output), "in use by another process") {
		t.Errorf("%v\n%s", err, output)
	}
}

func TestSIGTERMStopsTheService(t *testing.T) {
	s := serve(t, build(t), t.TempDir())
	stream, _ := s.follow(t, &callnormv1.StreamOutcomesRequest{})
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if farewell, err := stream.Recv(); err != nil || farewell.GetCursor() == "" {
		t.Errorf("%v, %v", farewell, err)
	}
	if err := s.command.Wait(); err != nil {
		t.Errorf("exit: %v", err)
	}
}
