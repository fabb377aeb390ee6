package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// deliveries is a server that takes deliveries as a test says.
type deliveries struct {
	callnormv1.UnimplementedNormalizationServiceServer

	answer func(body string) (*callnormv1.IngestDeliveryResponse, error)

	mutex sync.Mutex
	taken []string
}

func (d *deliveries) IngestDelivery(_ context.Context, r *callnormv1.IngestDeliveryRequest) (*callnormv1.IngestDeliveryResponse, error) {
	body := string(r.GetBody().GetData())
	answer, err := d.answer(body)
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if err == nil {
		d.taken = append(d.taken, body)
	}
	return answer, err
}

// serve serves on loopback and returns the address.
func (d *deliveries) serve(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	callnormv1.RegisterNormalizationServiceServer(server, d)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// bodies writes a file with a webhook in each line.
func bodies(t *testing.T, list ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a.jsonl")
	var text strings.Builder
	for _, body := range list {
		fmt.Fprintf(&text, "{\"receive_time\":\"2024-03-28T16:17:42Z\",\"body\":%q}\n", body)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func because(code codes.Code, reason string) error {
	s, _ := status.New(code, "the message of "+reason).WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "callnorm.dev"})
	return s.Err()
}

func TestWhatStopsAnImportAndWhatDoesNot(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err   error
		taken []string // of a, b and c, when b is answered with the error
		says  string
		kept  bool // progress
	}{
		"it was not verified":       {because(codes.Unauthenticated, "NOT_VERIFIED"), []string{"a", "c"}, "a.jsonl:2: the message", false},
		"it is not valid":           {because(codes.InvalidArgument, "INVALID_REQUEST"), []string{"a", "c"}, "taken in: 2, duplicates: 0, refused: 1", false},
		"the server failed on it":   {because(codes.Internal, "INTERNAL"), []string{"a", "c"}, "a.jsonl:2: the message", false},
		"the reader is nobody":      {because(codes.Unauthenticated, "UNAUTHENTICATED"), []string{"a"}, "the same command goes on here", true},
		"the reader may not":        {because(codes.PermissionDenied, "PERMISSION_DENIED"), []string{"a"}, "taken in: 1, duplicates: 0, refused: 0", true},
		"there is no such source":   {because(codes.NotFound, "SOURCE_NOT_FOUND"), []string{"a"}, "the message of SOURCE_NOT_FOUND", true},
		"the server is unavailable": {because(codes.Unavailable, "STORE_UNAVAILABLE"), []string{"a"}, "the server has taken nothing for 0s: the message", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &deliveries{answer: func(body string) (*callnormv1.IngestDeliveryResponse, error) {
				if body == "b" {
					return nil, test.err
				}
				return &callnormv1.IngestDeliveryResponse{}, nil
			}}
			file := bodies(t, "a", "b", "c")
			code, out, errs := command(t, "", "import", "--addr="+server.serve(t), "--source=s", "--parallel=1", "--retry-for=0s", file)
			if code != 1 || !strings.Contains(out+errs, test.says) {
				t.Errorf("exit code %d\n%s%s", code, out, errs)
			}
			if diff := cmp.Diff(test.taken, server.taken); diff != "" {
				t.Errorf("taken (-want +got):\n%s", diff)
			}
			if _, err := os.Stat(file + ".import"); (err == nil) != test.kept {
				t.Errorf("progress: %v", err)
			}
		})
	}
}

func TestAnImportTriesOnAndGoesOn(t *testing.T) {
	t.Parallel()
	var mutex sync.Mutex
	down, failures := true, 2
	server := &deliveries{}
	server.answer = func(body string) (*callnormv1.IngestDeliveryResponse, error) {
		mutex.Lock()
		defer mutex.Unlock()
		switch {
		case body == "b" && failures > 0:
			failures--
			return nil, because(codes.Unavailable, "OVERLOADED")
		case body == "d" && down:
			return nil, because(codes.NotFound, "SOURCE_DISABLED")
		}
		return &callnormv1.IngestDeliveryResponse{State: callnormv1.DeliveryState_DELIVERY_STATE_QUARANTINED}, nil
	}
	file := bodies(t, "a", "b", "c", "d", "e")
	args := []string{"import", "--addr=" + server.serve(t), "--source=s", "--parallel=1", file}
	code, out, errs := command(t, "", args...)
	if code != 1 || !strings.Contains(out, "taken in: 3,") || !strings.Contains(errs, "OVERLOADED; trying on for 2m0s") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if code, _, errs := command(t, "", append(args, "--source=other")...); code != 2 || !strings.Contains(errs, `import to source "s"`) {
		t.Errorf("another source: exit code %d\n%s", code, errs)
	}
	mutex.Lock()
	down = false
	mutex.Unlock()
	code, out, errs = command(t, "", args...)
	if code != 0 || !strings.Contains(out, "taken in: 5, duplicates: 0, refused: 0") || !strings.Contains(out, "in quarantine: 5") ||
		!strings.Contains(out, "received: 2024-03-28T16:17:42Z to 2024-03-28T16:17:42Z") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d", "e"}, server.taken); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
}

// TestProgressStaysBeforeWhatIsNotDone has the first of several deliveries fail after all others were taken.
func TestProgressStaysBeforeWhatIsNotDone(t *testing.T) {
	t.Parallel()
	var others sync.WaitGroup
	others.Add(3)
	var mutex sync.Mutex
	fails := true
	server := &deliveries{}
	server.answer = func(body string) (*callnormv1.IngestDeliveryResponse, error) {
		mutex.Lock()
		failing := fails
		mutex.Unlock()
		switch {
		case !failing:
		case body == "a":
			others.Wait()
			return nil, because(codes.NotFound, "SOURCE_DISABLED")
		default:
			others.Done()
		}
		return &callnormv1.IngestDeliveryResponse{}, nil
	}
	args := []string{"import", "--addr=" + server.serve(t), "--source=s", "--parallel=4", bodies(t, "a", "b", "c", "d")}
	if code, out, errs := command(t, "", args...); code != 1 || !strings.Contains(out, "taken in: 0,") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	mutex.Lock()
	fails = false
	mutex.Unlock()
	if code, out, errs := command(t, "", args...); code != 0 || !strings.Contains(out, "taken in: 4,") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// TestAStoppedImportDoesNotWaitForStandardInput has standard input stay open after the server said no.
func TestAStoppedImportDoesNotWaitForStandardInput(t *testing.T) {
	t.Parallel()
	server := &deliveries{answer: func(string) (*callnormv1.IngestDeliveryResponse, error) {
		return nil, because(codes.NotFound, "SOURCE_NOT_FOUND")
	}}
	file := bodies(t, "a", strings.Repeat("b", 8<<10))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	input, output, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = output.Close() }()
	if _, err := output.Write(text); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	code := run(t.Context(), []string{"import", "--addr=" + server.serve(t), "--source=s", "-"}, streams{in: input, out: &said, err: &said})
	if code != 1 || !strings.Contains(said.String(), "begins anew") {
		t.Errorf("exit code %d\n%s", code, &said)
	}
}

func TestImportUsage(t *testing.T) {
	t.Parallel()
	file := bodies(t, "a")
	broken := filepath.Join(t.TempDir(), "progress")
	if err := os.WriteFile(broken, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"a missing file":             {[]string{"/nowhere"}, "no such file"},
		"nothing on its way":         {[]string{"--parallel=0", file}, "--parallel"},
		"progress that is none":      {[]string{"--progress=" + broken, file}, "does not hold the progress"},
		"nowhere to remember":        {[]string{"--progress=/nowhere/progress", file}, "name another by --progress"},
		"a format that there is not": {[]string{"--format=xml", file}, "--format"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, _, errs := command(t, "", append([]string{"import", "--source=s", "--addr=127.0.0.1:1"}, test.args...)...)
			if code != 2 || !strings.Contains(errs, test.want) {
				t.Errorf("exit code %d\n%s", code, errs)
			}
		})
	}
}

func TestMeter(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 21, 14, 2, 0, 0, time.UTC)
	tests := map[string]struct {
		total          int64
		before, after  tally
		bytes, skipped int64
		want           string
	}{
		"half of it":         {2e9, tally{}, tally{New: 90, Duplicates: 8, Refused: 2}, 1e9, 0, "[=====     ] 50%, 1.0 GB of 2.0 GB, 10/s, 10s left, 8 duplicates, 2 refused"},
		"after it went on":   {1e3, tally{New: 900}, tally{New: 950}, 50, 800, "[========  ] 85%, 850 B of 1.0 kB, 5/s, 30s left, 0 duplicates, 0 refused"},
		"nothing yet":        {1e3, tally{}, tally{}, 0, 0, "[          ] 0%, 0 B of 1.0 kB, 0/s, 0 duplicates, 0 refused"},
		"all of it":          {1e3, tally{}, tally{New: 10}, 1e3, 0, "[==========] 100%, 1.0 kB of 1.0 kB, 1/s, 0 duplicates, 0 refused"},
		"nobody knows":       {-1, tally{}, tally{New: 10}, 1e3, 0, "1.0 kB, 1/s, 0 duplicates, 0 refused"},
		"more than there is": {1e3, tally{}, tally{New: 10}, 2e3, 0, "[==========] 100%, 2.0 kB of 1.0 kB, 1/s, 0 duplicates, 0 refused"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMeter(&strings.Builder{}, false, test.total, test.before, start)
			m.advance(test.after, test.bytes, test.skipped)
			if got := m.line(start.Add(10 * time.Second)); got != test.want {
				t.Errorf("%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestMeterDrawsOneLineAgain(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	m := newMeter(&out, false, -1, tally{}, time.Time{})
	m.terminal = true
	m.advance(tally{Refused: 10}, 1e3, 0)
	m.show(time.Time{}.Add(time.Second))
	m.advance(tally{}, 0, 0)
	m.show(time.Time{}.Add(time.Second))
	m.note("a.jsonl:1: no")
	want := "\r1.0 kB, 10/s, 0 duplicates, 10 refused\r1.0 kB, 0/s, 0 duplicates, 0 refused  \r" + strings.Repeat(" ", 36) + "\ra.jsonl:1: no\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
