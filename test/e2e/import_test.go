package e2e_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/signature"
)

// past is when the archived webhooks were received.
var past = time.Date(2024, 3, 28, 17, 17, 42, 250e6, time.UTC)

// archived is the line of an archive with a webhook that a sender signed at the time of its receipt.
func archived(t *testing.T, by *signature.Verifier, received time.Time, body string) string {
	t.Helper()
	line := map[string]any{"receive_time": received, "body": body, "content_type": "application/json"}
	if by != nil {
		sealed, err := by.Sign(signature.Request{Body: []byte(body), Time: received})
		if err != nil {
			t.Fatal(err)
		}
		line["headers"] = sealed.Header
	}
	text, err := json.Marshal(line)
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

// receivedAt holds the times of receipt that an outcome tells against what they were.
func receivedAt(t *testing.T, outcome *callnormv1.CallOutcome, want time.Time) {
	t.Helper()
	list := outcome.GetProvenance().GetDeliveries()
	if len(list) != 1 || !list[0].GetReceiveTime().AsTime().Equal(want) {
		t.Errorf("%s was received %v, want %s", outcome.GetProviderCallId(), list, want)
	}
}

func TestImportOfWhatWasSignedLongAgo(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	s := serve(t, "--data-dir", f.data(), "--config", f.configure(t, `
sources:
  - name: sales
    adapter: synthflow
    verification: {scheme: hmac, header: X-Signature, signed: "{timestamp}.{body}", timestamp_header: X-Time, secrets: [{file: new.secret}]}
`))
	signed := func(secret string) *signature.Verifier {
		by, err := signature.New(signature.Settings{
			Scheme: signature.SchemeHMAC, Headers: []string{"X-Signature"}, Signed: "{timestamp}.{body}", TimestampHeader: "X-Time",
		}, []signature.Secret{signature.Secret(secret)})
		if err != nil {
			t.Fatal(err)
		}
		return by
	}
	good, bad := signed(newSecret), signed(oldSecret)
	live, _ := s.follow(t, now())
	text := archived(t, good, past, call("a")) +
		archived(t, bad, past, call("canary-1")) +
		`{"receive_time":"2024-03-28T17:17:42Z","payload":"canary-2"}` + "\n" +
		archived(t, good, past.Add(time.Second), call("b")) +
		archived(t, good, past, call("a")) +
		archived(t, good, past, "canary-3")
	file := f.write(t, "calls.jsonl", text)
	done := s.run(t, "import", "--source", "sales", file)
	done.expect(t, 1, "taken in: 3, duplicates: 1, refused: 2", "in quarantine: 1",
		file+":2: the request was not verified: ", file+`:3: unknown key "payload"`, "received: 2024-03-28T17:17:42Z to 2024-03-28T17:17:43Z")
	if strings.Contains(done.out+done.err, "canary") {
		t.Errorf("the content was printed:\n%s%s", done.out, done.err)
	}
	if _, err := os.Stat(file + ".import"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("progress is left: %v", err)
	}
	outcomes, _ := next(t, live, 2)
	for _, outcome := range outcomes {
		want := map[string]time.Time{"a": past, "b": past.Add(time.Second)}[outcome.GetProviderCallId()]
		receivedAt(t, outcome, want)
	}

	// A signature of that time is too old for the door, and so is a line that claims to be new.
	s.run(t, "import", "--source", "nobody", file).expect(t, 1, "no such source", "goes on here")
	late := strings.Replace(archived(t, good, past, call("late")), past.Format(time.RFC3339Nano), time.Now().Format(time.RFC3339Nano), 1)
	s.run(t, "import", "--source", "sales", f.write(t, "late.jsonl", late)).expect(t, 1, "taken in: 0, duplicates: 0, refused: 1")
}

func TestImportOfFilesAndStandardInput(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	s := serve(t, "--data-dir", f.data())
	live, _ := s.follow(t, now())
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write([]byte(archived(t, nil, past, call("b"))))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir := f.file("archive")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"a.json": call("a"), "b.jsonl.gz": zipped.String(), "c.json": call("c")} {
		file := f.write(t, "archive/"+name, text)
		if err := os.Chtimes(file, past, past); err != nil {
			t.Fatal(err)
		}
	}
	s.run(t, "import", "--source", "synthflow", "--parallel", "1", dir).expect(t, 0, "taken in: 3, duplicates: 0, refused: 0")
	outcomes, _ := next(t, live, 3)
	for i, id := range []string{"a", "b", "c"} {
		if got := outcomes[i].GetProviderCallId(); got != id {
			t.Errorf("outcome %d is %s, want %s", i, got, id)
		}
		receivedAt(t, outcomes[i], past)
	}

	command := exec.CommandContext(t.Context(), binary(t), "import", "--source", "synthflow", "--addr", s.addr, "--quiet", "-")
	command.Stdin = strings.NewReader(archived(t, nil, past, call("d")) + archived(t, nil, past, call("a")))
	text, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(text), "taken in: 1, duplicates: 1, refused: 0") {
		t.Errorf("%v\n%s", err, text)
	}
	outcomes, _ = next(t, live, 1)
	receivedAt(t, outcomes[0], past)

	// What was quarantined at one source goes to another as it is shown.
	waiting := s.post(t, "synthflow", []byte("odd"))
	shown := s.run(t, "quarantine", "show", "--json", waiting.GetDelivery())
	s.run(t, "import", "--source", "anunzi", f.write(t, "shown.ndjson", shown.out)).expect(t, 0, "taken in: 1,", "in quarantine: 1")
}

// TestAnImportThatIsInterruptedLosesNothing ends an import by SIGINT and by SIGKILL while the source takes no more, and goes on.
func TestAnImportThatIsInterruptedLosesNothing(t *testing.T) {
	t.Parallel()
	const all, some = 1000, 300
	f := newFolder(t)
	configure := func(rate string) string {
		return f.configure(t, "sources:\n  - {name: sales, adapter: synthflow, unverified: true"+rate+"}\n")
	}
	closes := func(after int) string { return fmt.Sprintf(", rate: {per_second: 0.000001, burst: %d}", after) }
	s := serve(t, "--data-dir", f.data(), "--config", configure(closes(some)))
	var text strings.Builder
	for i := range all {
		text.WriteString(archived(t, nil, past.Add(time.Duration(i)*time.Second), call(fmt.Sprint("c", i))))
	}
	file := f.write(t, "calls.jsonl", text.String())
	args := []string{"import", "--source", "sales", "--addr", s.addr, "--retry-for", patience.String(), file}
	interrupt := func(by os.Signal) string {
		said := newJournal()
		command := exec.CommandContext(t.Context(), binary(t), args...)
		command.Stdout, command.Stderr = said, said
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		s.await(t, said, "trying on") // the source takes no more
		if err := command.Process.Signal(by); err != nil {
			t.Fatal(err)
		}
		if err := command.Wait(); err == nil {
			t.Errorf("an import that was ended by %s says that all is done", by)
		}
		return said.String()
	}
	if said := interrupt(syscall.SIGINT); !strings.Contains(said, "the same command goes on here") {
		t.Error(said)
	}
	var progress struct {
		Tally struct {
			New int `json:"new"`
		} `json:"tally"`
	}
	kept, err := os.ReadFile(file + ".import")
	if err == nil {
		err = json.Unmarshal(kept, &progress)
	}
	// Of those that were on their way some were taken behind one that was not.
	if on := 16; err != nil || progress.Tally.New > some || progress.Tally.New < some-on {
		t.Errorf("%v: after %d were taken, progress is %s", err, some, kept)
	}
	configure(closes(some + 1))
	s.reloaded(t)
	interrupt(syscall.SIGKILL)
	configure("")
	s.reloaded(t)
	done := run(t, args...)
	done.expect(t, 0, "refused: 0")
	if _, err := os.Stat(file + ".import"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("progress is left: %v", err)
	}

	s.post(t, "sales", []byte(call("marker")))
	from, _ := s.follow(t, &callnormv1.StreamOutcomesRequest{
		Start: &callnormv1.StreamOutcomesRequest_StartAt{StartAt: callnormv1.StreamStart_STREAM_START_BEGINNING},
	})
	outcomes, _ := next(t, from, all+1)
	seen := make(map[string]*callnormv1.CallOutcome)
	for _, outcome := range outcomes {
		seen[outcome.GetProviderCallId()] = outcome
	}
	if last := outcomes[all].GetProviderCallId(); last != "marker" || len(seen) != all+1 {
		t.Fatalf("%d calls were streamed, the last is %s", len(seen), last)
	}
	for i := range all {
		outcome := seen[fmt.Sprint("c", i)]
		if outcome.GetRevision() != 1 {
			t.Errorf("c%d has revision %d", i, outcome.GetRevision())
		}
		receivedAt(t, outcome, past.Add(time.Duration(i)*time.Second))
	}
}
