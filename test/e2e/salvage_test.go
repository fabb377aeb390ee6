package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// change changes bytes of a file.
func change(t *testing.T, file string, how func([]byte) []byte) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, how(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDoctorDeepNamesWhatIsDamagedAndSalvagesTheRest(t *testing.T) {
	dir, salvaged := t.TempDir(), filepath.Join(t.TempDir(), "salvaged")
	s := serve(t, "--data-dir", dir)
	live, beginning := s.follow(t, now())
	const calls = 20
	var outcomes, deliveries []string
	for n := range calls {
		answer := s.post(t, "synthflow", []byte(call(fmt.Sprintf("the-call-%02d", n))))
		outcomes, deliveries = append(outcomes, answer.GetOutcomes()[0].GetName()), append(deliveries, answer.GetDelivery())
	}
	_, last := read(t, live, calls)
	run(t, "doctor", "--deep", "--data-dir", dir).expect(t, 0, "all is well: deliveries: 20")
	run(t, "doctor", "--deep", "--data-dir", dir, "--salvage-to", salvaged).expect(t, 4, "in use by another process")
	_ = s.conn.Close()
	s.stop(t)

	// One call becomes another wherever it stands, and then the database is none any more.
	const damaged = 7
	file := filepath.Join(dir, "callnorm.db")
	change(t, file, func(text []byte) []byte { return bytes.ReplaceAll(text, []byte("the-call-07"), []byte("the-cOll-07")) })
	run(t, "doctor", "--deep", "--data-dir", dir).expect(t, 1, "stored row is corrupt", "checksum differs", "--salvage-to "+dir+".new")
	change(t, file, func(text []byte) []byte { clear(text[:100]); return text })
	run(t, "serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0", "--data-dir", dir).expect(t, 1, "not a database")
	run(t, "doctor", "--deep", "--data-dir", dir).expect(t, 1, "not a database")

	run(t, "doctor", "--deep", "--data-dir", dir, "--salvage-to", salvaged).expect(t, 1, "written: "+salvaged,
		"log: what stood at positions 8 to 8 is lost", "deliveries/", "is lost with what it said", "kept: deliveries: 19")
	run(t, "doctor", "--deep", "--data-dir", dir, "--salvage-to", salvaged).expect(t, 1, "is not empty")
	run(t, "check", salvaged).expect(t, 0, "broken: 0")
	r := serve(t, "--data-dir", salvaged)
	for n := range calls {
		if n == damaged {
			continue
		}
		r.get(t, outcomes[n])
		var delivery callnormv1.Delivery
		if r.request(t, http.MethodGet, "/v1/"+deliveries[n], nil, &delivery); string(delivery.GetBody()) != call(fmt.Sprintf("the-call-%02d", n)) {
			t.Errorf("%s came back as %v", deliveries[n], &delivery)
		}
	}
	if answer := r.post(t, "synthflow", []byte(call("the-call-00"))); !answer.GetDuplicate() {
		t.Errorf("a delivery that was kept is repeated and answered with %v", answer)
	}
	if answer := r.post(t, "synthflow", []byte(call("the-call-07"))); answer.GetDuplicate() {
		t.Errorf("what was lost is handed in again and answered with %v", answer)
	}
	if names, _ := read(t, first(r.follow(t, after(last))), 1); names[0] != outcomes[damaged] {
		t.Errorf("after the last cursor comes %s", names[0])
	}
	opened, err := r.client.StreamOutcomes(t.Context(), after(beginning))
	if err != nil {
		t.Fatal(err)
	}
	if message, err := opened.Recv(); status.Code(err) != codes.OutOfRange {
		t.Errorf("a reader before what is lost is answered with %v, %v", message, err)
	}
	if names, _ := read(t, first(r.follow(t, &callnormv1.StreamOutcomesRequest{})), damaged+1); names[damaged] != outcomes[damaged+1] {
		t.Errorf("the log goes %v", names)
	}
}

func TestALostEndIsToldAtStart(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, "--data-dir", dir)
	live, _ := s.follow(t, now())
	s.post(t, "synthflow", []byte(call("before")))
	_, before := read(t, live, 1)
	_ = s.conn.Close()
	s.stop(t)
	s = serve(t, "--data-dir", dir)
	live, _ = s.follow(t, after(before))
	s.post(t, "synthflow", []byte(call("lost")))
	_, lost := read(t, live, 1)
	s.kill(t)
	if err := os.Remove(filepath.Join(dir, "callnorm.db-wal")); err != nil {
		t.Fatal(err)
	}
	const verdict = "the end of what was kept is missing: the log had come to position 2 and ends at 1"
	run(t, "doctor", "--deep", "--data-dir", dir).expect(t, 1, verdict)
	s = serve(t, "--data-dir", dir)
	s.run(t, "doctor").expect(t, 1, "error", verdict)
	s.foreign(t, lost)
	if answer := s.post(t, "synthflow", []byte(call("lost"))); answer.GetDuplicate() {
		t.Errorf("what was lost is handed in again and answered with %v", answer)
	}
	s.foreign(t, lost)
	if names, _ := read(t, first(s.follow(t, after(before))), 1); len(names) != 1 {
		t.Errorf("after the older cursor comes %v", names)
	}
	_ = s.conn.Close()
	s.stop(t)
	s = serve(t, "--data-dir", dir)
	s.run(t, "doctor").expect(t, 0)
	s.foreign(t, lost)
}
