package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// worse makes a binary whose adapter for Synthflow is an older one: it does not know a word, and fails on some bodies.
func worse(t *testing.T) string {
	t.Helper()
	overlay := make(map[string]string)
	for name, changes := range map[string][]string{
		"words.go": {`"human_goodbye": {`, `"word_of_another_year": {`},
		"synthflow.go": {
			`return "1"`, `return "0"`,
			"	defer body.release()\n", "	defer body.release()\n	if strings.Contains(string(d.Body), \"too-new\") {\n\t\treturn adapters.Result{}, stranger(\"\")\n\t}\n",
		},
	} {
		file, err := filepath.Abs(filepath.Join(folders, "synthflow", name))
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(changes); i += 2 {
			if strings.Count(string(text), changes[i]) != 1 {
				t.Fatalf("%s does not have %q once", name, changes[i])
			}
		}
		overlay[file] = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(overlay[file], []byte(strings.NewReplacer(changes...).Replace(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	binary, err := build("callnorm-worse", "-overlay", file)
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

func TestACorrectedAdapterRenormalizesWhatIsKept(t *testing.T) {
	dir := t.TempDir()
	s := serveWith(t, worse(t), "--data-dir", dir)
	live, beginning := s.follow(t, now())
	known, strange, untouched := call("known"), call("too-new"), `{"call":{"call_id":"untouched","status":"busy"}}`
	s.post(t, "synthflow", []byte(known))
	s.post(t, "synthflow", []byte(untouched))
	quarantined := s.post(t, "synthflow", []byte(strange))
	if len(quarantined.GetFaults()) != 1 || len(quarantined.GetOutcomes()) > 0 {
		t.Errorf("the worse adapter made %v", quarantined)
	}
	before, cursor := next(t, live, 2)
	if reason := before[0].GetEnd().GetReason(); reason != callnormv1.EndReason_END_REASON_OTHER {
		t.Errorf("the worse adapter made %v", reason)
	}
	s.stop(t)

	s = serve(t, "--data-dir", dir)
	s.run(t, "quarantine", "list").expect(t, 0, quarantined.GetDelivery(), "unexpected shape")
	s.run(t, "doctor").expect(t, 1, "quarantine")
	s.run(t, "quarantine", "retry", "--all").
		expect(t, 0, "deliveries normalized again: 1, new revisions: 1, still in quarantine: 0, failed: 0")
	if left := s.run(t, "quarantine", "list"); left.code != 0 || left.out != "" {
		t.Errorf("after that, quarantine lists (%d)\n%s", left.code, left.out)
	}
	s.run(t, "doctor").expect(t, 0)
	s.run(t, "renormalize", "--all", "--adapter", "synthflow").
		expect(t, 0, "deliveries normalized again: 3, new revisions: 1, still in quarantine: 0, failed: 0")

	again, _ := s.follow(t, after(beginning))
	whole, _ := next(t, again, 4)
	for i, outcome := range before {
		if outcome.GetName() != whole[i].GetName() || outcome.GetRevision() != whole[i].GetRevision() {
			t.Errorf("the log begins with %s r%d, and began with %s r%d", whole[i].GetName(), whole[i].GetRevision(), outcome.GetName(), outcome.GetRevision())
		}
	}
	later, _ := s.follow(t, after(cursor))
	revisions, _ := next(t, later, 2)
	for i, want := range []struct {
		id       string
		revision int32
	}{{"too-new", 1}, {"known", 2}} {
		got := revisions[i]
		if got.GetProviderCallId() != want.id || got.GetRevision() != want.revision ||
			got.GetRevisionCause() != callnormv1.RevisionCause_REVISION_CAUSE_RENORMALIZED ||
			got.GetEnd().GetReason() != callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP {
			t.Errorf("revision %d of %s by %s, ended by %s; want %d of %s", got.GetRevision(), got.GetProviderCallId(),
				got.GetRevisionCause(), got.GetEnd().GetReason(), want.revision, want.id)
		}
		if versions := versionsOf(got); versions != "1: 1" {
			t.Errorf("%s was read by the versions %s", want.id, versions)
		}
	}
	if versions := versionsOf(before[0]); versions != "0: 0" {
		t.Errorf("the worse adapter has the versions %s", versions)
	}

	for _, body := range []string{known, strange, untouched} {
		if answer := s.post(t, "synthflow", []byte(body)); !answer.GetDuplicate() || len(answer.GetOutcomes()) != 1 {
			t.Errorf("a repeated delivery is answered with %v", answer)
		}
	}
	s.run(t, "renormalize", "--all").expect(t, 0, "deliveries normalized again: 3, new revisions: 0")
	s.run(t, "renormalize", quarantined.GetDelivery()).expect(t, 0, "(unchanged)")
	marker := s.post(t, "synthflow", []byte(call("marker"))).GetOutcomes()[0].GetName()
	if seen, _ := read(t, later, 1); seen[0] != marker {
		t.Errorf("repeating made a revision of %s", seen[0])
	}
}

// versionsOf returns the adapter's version of an outcome, and those of its deliveries.
func versionsOf(outcome *callnormv1.CallOutcome) string {
	var list []string
	for _, delivery := range outcome.GetProvenance().GetDeliveries() {
		list = append(list, delivery.GetAdapterVersion())
	}
	return outcome.GetProvenance().GetAdapterVersion() + ": " + strings.Join(list, " ")
}
