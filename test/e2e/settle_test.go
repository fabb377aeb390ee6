package e2e_test

import (
	"os"
	"path/filepath"
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// TestACallSettlesOverARestart kills the process while a call waits for more than its end.
func TestACallSettlesOverARestart(t *testing.T) {
	f := newFolder(t)
	file := f.configure(t, `sources:
  - {name: voxia, adapter: voxia, unverified: true, settle_after: 1s}
  - {name: marker, adapter: synthflow, unverified: true}
`)
	body, err := os.ReadFile(filepath.Join(folders, "voxia", "testdata", "v07_one_call_3_hang_up.json"))
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, "--config", file, "--data-dir", f.data())
	_, beginning := s.follow(t, now())
	name := s.post(t, "voxia", body).GetOutcomes()[0].GetName()
	s.kill(t)
	s = serve(t, "--config", file, "--data-dir", f.data())
	stream, _ := s.follow(t, after(beginning))
	revisions, _ := next(t, stream, 2)
	ended, final := revisions[0], revisions[1]
	if ended.GetName() != name || ended.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_SETTLING || len(ended.GetExpectedParts()) == 0 {
		t.Errorf("at first it is %v", ended)
	}
	if final.GetName() != name || final.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_FINAL || final.GetRevision() != 2 ||
		final.GetRevisionCause() != callnormv1.RevisionCause_REVISION_CAUSE_SETTLED || final.GetRevisionTime().AsTime().Before(ended.GetSettleTime().AsTime()) {
		t.Errorf("at last it is %v", final)
	}
	// It settles once: what is told after another restart is the next entry of the log.
	s.kill(t)
	s = serve(t, "--config", file, "--data-dir", f.data())
	marker := s.post(t, "marker", []byte(call("marker"))).GetOutcomes()[0].GetName()
	stream, _ = s.follow(t, after(beginning))
	if revisions, _ = next(t, stream, 3); revisions[2].GetName() != marker {
		t.Errorf("it settled again: %v", revisions[2])
	}
}
