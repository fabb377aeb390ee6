package e2e_test

import (
	"regexp"
	"testing"
)

func TestDoctorTellsWhichSourceRefusesEverythingSinceWhen(t *testing.T) {
	f := newFolder(t)
	file := f.configure(t, sales("old.secret"))
	s := serve(t, "--config", file, "--data-dir", f.data())
	provider := signer(t, newSecret)
	s.run(t, "doctor").expect(t, 0, "source sales has never had a delivery")
	s.refused(t, provider, call("1"))
	s.run(t, "doctor").expect(t, 0, "requests to source sales refused since")
	for _, id := range []string{"2", "3", "4"} {
		s.refused(t, provider, call(id))
	}
	verdict := regexp.MustCompile(`error +all deliveries of source sales have been refused since \d{4}-\d\d-\d\d \d\d:\d\d UTC \(4\): ` +
		`signature mismatch, newest secret never matched\n`)
	before := s.run(t, "doctor")
	if before.expect(t, 1, "callnorm verify --source sales"); !verdict.MatchString(before.out) {
		t.Errorf("doctor says\n%s", before.out)
	}

	s.stop(t)
	s = serve(t, "--config", file, "--data-dir", f.data())
	if again := s.run(t, "doctor"); again != before {
		t.Errorf("after a restart doctor says (%d)\n%s, before\n%s", again.code, again.out, before.out)
	}

	f.configure(t, sales("new.secret"))
	s.reloaded(t)
	s.deliver(t, provider, call("5"))
	s.run(t, "doctor").expect(t, 0, "all is well")
	s.refused(t, signer(t, oldSecret), call("6"))
	s.run(t, "doctor").expect(t, 0, "requests to source sales refused since")
}

func TestDoctorTellsANewestSecretThatNeverMatchedWhileTheOlderDoes(t *testing.T) {
	f := newFolder(t)
	file := f.configure(t, sales("new.secret", "old.secret"))
	s := serve(t, "--config", file, "--data-dir", f.data())
	s.deliver(t, signer(t, oldSecret), call("1"))
	const verdict = "the newest secret of source sales never matched, an older one did"
	s.run(t, "doctor").expect(t, 1, "warning", verdict)
	s.stop(t)
	s = serve(t, "--config", file, "--data-dir", f.data())
	s.run(t, "doctor").expect(t, 1, "warning", verdict)
	s.deliver(t, signer(t, newSecret), call("2"))
	s.run(t, "doctor").expect(t, 0, "all is well")
}

func TestDoctorTellsOfQuarantine(t *testing.T) {
	f := newFolder(t)
	s := serve(t, "--config", f.configure(t, sales("old.secret")), "--data-dir", f.data())
	answer := s.deliver(t, signer(t, oldSecret), `{"nothing":"of a call"}`)
	s.run(t, "doctor").expect(t, 1, "warning", "deliveries of source sales in quarantine: ", "callnorm quarantine list --source sales")
	s.run(t, "quarantine", "list", "--source", "sales").expect(t, 0, answer.GetDelivery(), "unexpected shape")
}
