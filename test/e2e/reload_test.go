package e2e_test

import (
	"strings"
	"testing"
)

func TestRotatingASecretUnderLoadRefusesNoHonestRequest(t *testing.T) {
	const senders, each, rounds = 8, 20, 3
	f := newFolder(t)
	file := f.configure(t, sales("old.secret"))
	s := serve(t, "--config", file, "--data-dir", f.data())
	one, other := signer(t, oldSecret), signer(t, newSecret)
	load := s.load(t, "sales", senders, one)
	load.pass(each)
	from, to := "old.secret", "new.secret"
	for range rounds {
		f.configure(t, sales(to, from))
		s.reloaded(t)
		load.pass(each) // the provider does not know yet
		load.sign(other)
		load.pass(each)
		f.configure(t, sales(to))
		s.reloaded(t)
		load.pass(each)
		from, to, one, other = to, from, other, one
	}
	for _, failure := range load.end() {
		t.Errorf("an honest request was refused: %s", failure)
	}
	s.run(t, "doctor").expect(t, 0, "all is well")
	s.refused(t, other, call("signed-with-the-secret-that-was-removed"))
	s.deliver(t, one, call("signed-with-the-secret-of-now"))
}

func TestABrokenConfigurationKeepsTheSourcesAndSaysSo(t *testing.T) {
	good := sales("old.secret")
	tests := map[string]struct {
		text string
		says string // in the log
	}{
		"a syntax error": {"sources:\n  - name: sales\n   adapter: synthflow\n", "callnorm.yaml:3:4: is no YAML"},
		"an unknown key": {strings.Replace(good, "adapter:", "adaptr:", 1), `callnorm.yaml:4:5: sources[0] (sales): \"adaptr\" is not known`},
		"a missing secret": {
			sales("lost.secret"), "lost.secret: no such file or directory",
		},
		"no verification, and no word that none is wanted": {
			"sources: [{name: sales, adapter: synthflow}]", "takes verification, or unverified: true",
		},
		"another source beside a broken one": {
			good + "  - {name: more, adapter: synthflow, unverified: true}\n  - {name: Sales, adapter: synthflow, unverified: true}\n", "sources[2]",
		},
	}
	f := newFolder(t)
	s := serve(t, "--config", f.configure(t, good), "--data-dir", f.data())
	honest, forger := signer(t, oldSecret), signer(t, newSecret)
	s.deliver(t, honest, call("before"))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f.configure(t, test.text)
			said := s.reload(t)
			if !strings.Contains(said, "not reloaded; the one before is in force") || !strings.Contains(said, test.says) {
				t.Errorf("the log says %s", said)
			}
			if strings.Contains(said, oldSecret) {
				t.Error("the log tells the secret")
			}
			s.run(t, "doctor").expect(t, 1, "the configuration of ", "has problems; the one before is in force")
			s.run(t, "doctor", "--json").expect(t, 1, `"kind":"FINDING_KIND_CONFIGURATION"`)
			s.refused(t, forger, call("forged"))
			if code, _ := s.send(t, nil, "more", call("elsewhere")); code != 404 {
				t.Errorf("%d at a source of the broken file", code)
			}
			s.deliver(t, honest, call(name))

			f.configure(t, good)
			s.reloaded(t)
			s.run(t, "doctor").expect(t, 0, "all is well")
		})
	}
}

// TestAReloadDoesNotOpenTheHouse takes the readers out of the file of a running service on loopback.
func TestAReloadDoesNotOpenTheHouse(t *testing.T) {
	f := newReaders(t)
	s := serve(t, "--config", f.configure(t, readers+sales("old.secret")), "--data-dir", f.data())
	f.configure(t, sales("old.secret"))
	if said := s.reload(t); !strings.Contains(said, "not reloaded") || !strings.Contains(said, "no readers any more") {
		t.Error(said)
	}
	s.run(t, "doctor").expect(t, 1, "a reader's credential is needed")
	s.run(t, "doctor", "--token-file", f.file("ops.token")).expect(t, 1, "the configuration of ")
}
