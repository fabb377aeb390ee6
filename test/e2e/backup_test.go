package e2e_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestABackupUnderLoadRestoresAllThatWasAcknowledgedBefore(t *testing.T) {
	const senders, each = 8, 100
	dir, backup, other := t.TempDir(), filepath.Join(t.TempDir(), "backup.db"), filepath.Join(t.TempDir(), "restored")
	s := serve(t, "--data-dir", dir)
	live, beginning := s.follow(t, now())
	load := s.load(t, "synthflow", senders, nil)
	load.pass(each)
	_, before := read(t, live, each)
	acknowledged := load.acknowledged()
	run(t, "backup", "--data-dir", dir, backup).expect(t, 0, "written: "+backup)
	load.pass(each)
	if failures := load.end(); len(failures) > 0 {
		t.Errorf("during the backup senders were told %v", failures)
	}
	marker := s.post(t, "synthflow", []byte(call("after-the-backup"))).GetOutcomes()[0].GetName()
	var later string // a cursor that the backup knows nothing of
	whole, _ := s.follow(t, after(before))
	var rest []string // what comes after the first cursor
	for len(rest) == 0 || rest[len(rest)-1] != marker {
		names, cursor := read(t, whole, 1)
		rest, later = append(rest, names...), cursor
	}
	run(t, "backup", "--data-dir", dir, backup).expect(t, 1)
	run(t, "restore", "--data-dir", dir, backup).expect(t, 4)
	_ = s.conn.Close() // nobody reads the streams any more
	s.stop(t)
	run(t, "restore", "--data-dir", dir, backup).expect(t, 1)
	s = serve(t, "--data-dir", dir)
	s.get(t, marker) // refusing did no harm

	run(t, "restore", "--data-dir", other, backup).expect(t, 0, "restored: "+other)
	run(t, "restore", "--data-dir", other, backup).expect(t, 1)
	r := serve(t, "--data-dir", other)
	for _, delivery := range acknowledged {
		var restored callnormv1.Delivery
		if r.request(t, http.MethodGet, "/v1/"+delivery, nil, &restored); len(restored.GetBody()) == 0 {
			t.Errorf("%s came back as %v", delivery, &restored)
		}
	}
	if len(acknowledged) < senders*each {
		t.Errorf("only %d deliveries were acknowledged before the backup", len(acknowledged))
	}
	if answer := r.post(t, "synthflow", []byte(load.call(0, 0))); !answer.GetDuplicate() {
		t.Errorf("the first delivery is repeated and answered with %v", answer)
	}

	// What follows the older cursor is what followed it in the first log, as far as the backup goes.
	kept := 0
	for resumed, _ := r.follow(t, after(before)); ; kept++ {
		if kept == len(rest) {
			t.Fatal("the backup has what came after it")
		}
		message, err := resumed.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if message.GetOutcome() == nil {
			break // caught up
		}
		if message.GetOutcome().GetName() != rest[kept] {
			t.Fatalf("entry %d after the cursor is %s, and was %s", kept, message.GetOutcome().GetName(), rest[kept])
		}
		if message.GetCaughtUp() {
			kept++
			break
		}
	}
	if all, _ := r.follow(t, after(beginning)); all != nil {
		if names, _ := read(t, all, each+kept); names[each+kept-1] != rest[kept-1] {
			t.Error("the log of the backup is another one from the beginning")
		}
	}

	r.foreign(t, later)
	growth := r.load(t, "synthflow", senders, nil)
	for len(growth.acknowledged()) <= len(rest)-kept {
		if !growth.pass(each) {
			break
		}
	}
	if failures := growth.end(); len(failures) > 0 {
		t.Errorf("after the restore senders were told %v", failures)
	}
	r.foreign(t, later)
	run(t, "restore", "--data-dir", other, backup).expect(t, 4)
	r.kill(t)
	r = serve(t, "--data-dir", other)
	r.foreign(t, later)

	// A backup of what was restored knows both logs; the first backup knows nothing of the second log.
	grown := r.post(t, "synthflow", []byte(call("in-the-second-log"))).GetOutcomes()[0].GetName()
	var newest string
	for names, from := []string{""}, first(r.follow(t, after(before))); names[0] != grown; {
		names, newest = read(t, from, 1)
	}
	second := filepath.Join(t.TempDir(), "second.db")
	run(t, "backup", "--data-dir", other, second).expect(t, 0)
	for file, good := range map[string]bool{second: true, backup: false} {
		dir := filepath.Join(t.TempDir(), "restored")
		run(t, "restore", "--data-dir", dir, file).expect(t, 0)
		r := serve(t, "--data-dir", dir)
		if names, _ := read(t, first(r.follow(t, after(before))), 1); names[0] != rest[0] {
			t.Errorf("after the oldest cursor comes %s, and came %s", names[0], rest[0])
		}
		r.foreign(t, later)
		if !good {
			r.foreign(t, newest)
			continue
		}
		marker := r.post(t, "synthflow", []byte(call("in-the-third-log"))).GetOutcomes()[0].GetName()
		if names, _ := read(t, first(r.follow(t, after(newest))), 1); names[0] != marker {
			t.Errorf("after the newest cursor comes %s, and not %s", names[0], marker)
		}
	}
}

// first leaves the cursor of a stream's beginning out.
func first(opened stream, _ string) stream { return opened }

// foreign holds that a cursor is refused.
func (s *service) foreign(t *testing.T, cursor string) {
	t.Helper()
	opened, err := s.client.StreamOutcomes(t.Context(), after(cursor))
	if err != nil {
		t.Fatal(err)
	}
	if message, err := opened.Recv(); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a cursor of what was lost is answered with %v, %v", message, err)
	}
}

func TestADamagedBackupIsNotRestored(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, "--data-dir", dir)
	const id = "a-call-to-damage"
	s.post(t, "synthflow", []byte(call(id)))
	s.kill(t) // a backup needs nobody to have tidied up
	backup := filepath.Join(t.TempDir(), "backup.db")
	run(t, "backup", "--data-dir", dir, backup).expect(t, 0)
	text, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(id)) {
		t.Fatal("the backup does not show the id of the call")
	}
	for name, damaged := range map[string][]byte{
		"cut":          text[:len(text)/2],
		"empty":        {},
		"no backup":    []byte("hello"),
		"another byte": bytes.Replace(text, []byte(id), []byte("b-call-to-damage"), 1),
	} {
		t.Run(name, func(t *testing.T) {
			file, target := filepath.Join(t.TempDir(), "damaged.db"), filepath.Join(t.TempDir(), "restored")
			if err := os.WriteFile(file, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, "restore", "--data-dir", target, file).expect(t, 1)
			run(t, "restore", "--data-dir", target, backup).expect(t, 0)
		})
	}
	run(t, "restore", "--data-dir", filepath.Join(t.TempDir(), "restored"), "/nowhere").expect(t, 1, "no such file")
}
