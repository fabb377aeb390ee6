package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// patience is how long an event may take that comes at once in a program that works. Nothing is measured by it.
const patience = time.Minute

// scratch holds the binaries.
var scratch string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if scratch, err = os.MkdirTemp("", "callnorm-e2e-"); err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(scratch) }()
		return m.Run()
	}())
}

// build makes a binary.
func build(name string, flags ...string) (string, error) {
	file := filepath.Join(scratch, name)
	args := slices.Concat([]string{"build", "-o", file}, flags, []string{"../../cmd/callnorm"})
	output, err := exec.CommandContext(context.Background(), "go", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, output)
	}
	return file, nil
}

var shipped = sync.OnceValues(func() (string, error) { return build("callnorm") })

// binary is what is shipped, made once for all tests.
func binary(t *testing.T) string {
	t.Helper()
	file, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// result is what became of a command.
type result struct {
	code     int
	out, err string
}

// run runs a command of the binary to its end.
func run(t *testing.T, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	command := exec.CommandContext(t.Context(), binary(t), args...)
	command.Stdout, command.Stderr = &out, &errs
	err := command.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{code: command.ProcessState.ExitCode(), out: out.String(), err: errs.String()}
}

// expect holds a result against an exit code, and parts of what was printed on either stream.
func (r result) expect(t *testing.T, code int, parts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d\n%s%s", r.code, code, r.out, r.err)
	}
	for _, part := range parts {
		if !strings.Contains(r.out+r.err, part) {
			t.Errorf("%q was not printed:\n%s%s", part, r.out, r.err)
		}
	}
}

// journal is what a process prints, line by line.
type journal struct {
	mutex sync.Mutex
	text  []byte
	read  int           // bytes that were awaited already
	grown chan struct{} // closed and replaced by each write
}

func newJournal() *journal { return &journal{grown: make(chan struct{})} }

// Write adds what was printed.
func (j *journal) Write(text []byte) (int, error) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.text = append(j.text, text...)
	close(j.grown)
	j.grown = make(chan struct{})
	return len(text), nil
}

// String returns all that was printed.
func (j *journal) String() string {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return string(j.text)
}

// next returns the next line that fits, or a channel that is closed when there is more to read.
func (j *journal) next(pattern *regexp.Regexp) (match []string, more <-chan struct{}) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	for {
		end := bytes.IndexByte(j.text[j.read:], '\n')
		if end < 0 {
			return nil, j.grown
		}
		line := string(j.text[j.read : j.read+end])
		j.read += end + 1
		if match := pattern.FindStringSubmatch(line); match != nil {
			return match, nil
		}
	}
}

// service is a running `callnorm serve`.
type service struct {
	process *os.Process
	ended   chan struct{}
	exit    error // once it has ended
	out     *journal
	log     *journal

	public string // HOST:PORT of the doors alone; empty without such a listener
	http   string // HOST:PORT of doors and REST
	addr   string // HOST:PORT of gRPC
	url    string // of doors and REST
	conn   *grpc.ClientConn
	client callnormv1.OutcomeServiceClient
}

// serve starts the shipped binary. Addresses that are not told are free ports of loopback.
func serve(t *testing.T, args ...string) *service {
	t.Helper()
	return serveWith(t, binary(t), args...)
}

func serveWith(t *testing.T, file string, args ...string) *service {
	t.Helper()
	for _, flag := range []string{"--http-addr", "--grpc-addr"} {
		if !slices.Contains(args, flag) {
			args = append(args, flag, "127.0.0.1:0")
		}
	}
	s := &service{ended: make(chan struct{}), out: newJournal(), log: newJournal()}
	command := exec.CommandContext(context.Background(), file, append([]string{"serve"}, args...)...)
	command.Stdout, command.Stderr = s.out, s.log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	s.process = command.Process
	go func() {
		s.exit = command.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		_ = s.process.Kill()
		<-s.ended
		if t.Failed() {
			t.Logf("the log of serve %v:\n%s", args, s.log)
		}
	})
	if slices.Contains(args, "--public-addr") {
		s.public = s.await(t, s.out, `webhooks alone +https?://(\S+)`)[1]
	}
	found := s.await(t, s.out, `webhooks and REST +((?:https?)://(\S+))`)
	s.url, s.http = found[1], found[2]
	s.addr = s.await(t, s.out, `gRPC +(\S+:\d+)`)[1]
	var err error
	if s.conn, err = grpc.NewClient(s.addr, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.conn.Close() })
	s.client = callnormv1.NewOutcomeServiceClient(s.conn)
	return s
}

// await returns the next line that fits, with its groups.
func (s *service) await(t *testing.T, in *journal, pattern string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for compiled := regexp.MustCompile(pattern); ; {
		match, more := in.next(compiled)
		if match != nil {
			return match
		}
		select {
		case <-more:
		case <-s.ended:
			if match, _ := in.next(compiled); match != nil {
				return match
			}
			t.Fatalf("the process ended (%v) and did not print %q:\n%s%s", s.exit, pattern, s.out, s.log)
		case <-ctx.Done():
			t.Fatalf("%q was not printed:\n%s", pattern, in)
		}
	}
}

// reload has the configuration read again, and returns what the log says of that.
func (s *service) reload(t *testing.T) string {
	t.Helper()
	s.signal(t, syscall.SIGHUP)
	return s.await(t, s.log, `.*the configuration was (not )?reloaded.*`)[0]
}

// reloaded has a good configuration read again.
func (s *service) reloaded(t *testing.T) {
	t.Helper()
	if said := s.reload(t); strings.Contains(said, "not reloaded") {
		t.Fatal(said)
	}
}

// stop ends the process as an operator does.
func (s *service) stop(t *testing.T) {
	t.Helper()
	s.signal(t, syscall.SIGTERM)
	if <-s.ended; s.exit != nil {
		t.Errorf("exit: %v", s.exit)
	}
}

// kill ends the process as a crash does.
func (s *service) kill(t *testing.T) {
	t.Helper()
	s.signal(t, syscall.SIGKILL)
	<-s.ended
}

func (s *service) signal(t *testing.T, what os.Signal) {
	t.Helper()
	if err := s.process.Signal(what); err != nil {
		t.Fatal(err)
	}
}

// run runs a command that asks the server.
func (s *service) run(t *testing.T, args ...string) result {
	t.Helper()
	return run(t, append(args, "--addr", s.addr)...)
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
	code, text := do(t, http.DefaultClient, request)
	if code != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, code, text)
	}
	if err := protojson.Unmarshal(text, answer); err != nil {
		t.Fatal(err)
	}
}

// do sends a request and returns the code and the text of the answer.
func do(t *testing.T, client *http.Client, request *http.Request) (code int, text []byte) {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if text, err = io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, text
}

type stream = grpc.ServerStreamingClient[callnormv1.StreamOutcomesResponse]

// follow opens a stream and returns its first cursor.
func (s *service) follow(t *testing.T, request *callnormv1.StreamOutcomesRequest) (stream, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	opened, err := s.client.StreamOutcomes(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	first, err := opened.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return opened, first.GetCursor()
}

// now is where a stream begins with what is new.
func now() *callnormv1.StreamOutcomesRequest {
	return &callnormv1.StreamOutcomesRequest{
		Start: &callnormv1.StreamOutcomesRequest_StartAt{StartAt: callnormv1.StreamStart_STREAM_START_NOW},
	}
}

// after is where a stream goes on.
func after(cursor string) *callnormv1.StreamOutcomesRequest {
	return &callnormv1.StreamOutcomesRequest{Start: &callnormv1.StreamOutcomesRequest_After{After: cursor}}
}

// next returns the next n revisions, and the cursor after the last one.
func next(t *testing.T, from stream, n int) (revisions []*callnormv1.CallOutcome, cursor string) {
	t.Helper()
	for len(revisions) < n {
		message, err := from.Recv()
		if err != nil {
			t.Fatalf("after %d of %d: %v", len(revisions), n, err)
		}
		if message.GetOutcome() != nil {
			revisions = append(revisions, message.GetOutcome())
		}
		cursor = message.GetCursor()
	}
	return revisions, cursor
}

// read returns the names of the next n outcomes, and the cursor after the last one.
func read(t *testing.T, from stream, n int) (names []string, cursor string) {
	t.Helper()
	revisions, cursor := next(t, from, n)
	for _, outcome := range revisions {
		names = append(names, outcome.GetName())
	}
	return names, cursor
}
