package e2e_test

import (
	"regexp"
	"strings"
	"testing"
)

func TestConfigValidateListsAllProblemsWithTheirLines(t *testing.T) {
	f := newFolder(t)
	f.write(t, "short.secret", "fifteen-bytes-x")
	file := f.configure(t, `http_adr: 127.0.0.1:8080
grpc_addr: nonsense
sources:
  - name: sales
    adapter: synthflow
    verification: {secrets: [{file: short.secret}, {file: lost.secret}, {env: CALLNORM_E2E_UNSET}]}
  - name: sales
    adapter: nobody
    unverified: true
  - name: bare
    adapter: voxia
`)
	result := run(t, "config", "validate", "--config", file)
	result.expect(t, 2, "the configuration has problems:", `"http_adr" is not known`, "needs at least 16", "no such file", "CALLNORM_E2E_UNSET is not set", "unverified")
	for _, line := range []string{"1:1", "2:1", "6:30", "6:52", "6:73", "7:5", "8:5", "10:5"} {
		if !strings.Contains(result.err, "\n"+file+":"+line+": ") {
			t.Errorf("no problem is told at %s:\n%s", line, result.err)
		}
	}
	if strings.Contains(result.err, "fifteen-bytes-x") {
		t.Error("the secret was printed")
	}
	run(t, "serve", "--config", file, "--data-dir", f.data()).expect(t, 2, strings.TrimPrefix(result.err, "callnorm: "))
	run(t, "config", "validate", "--config", f.configure(t, sales("old.secret"))).expect(t, 0, "the configuration is good; sources: 1, readers: 0")
}

func TestConfigPrintTellsNoSecretAndCanBeReadAgain(t *testing.T) {
	f := newFolder(t)
	f.write(t, "crm.token", "token-of-the-crm-0123456789")
	t.Setenv("CALLNORM_E2E_SECRET", "secret-of-the-environment-01")
	file := f.configure(t, `readers: [{name: crm, token: {file: crm.token}}]
`+holding("hold.key", "old.secret}, {env: CALLNORM_E2E_SECRET"))
	printed := run(t, "config", "print", "--config", file)
	printed.expect(t, 0, "name: sales", "[redacted]", "max_body_bytes: 10MiB", "http_addr:", "{env: \"CALLNORM_E2E_SECRET\"}")
	for _, secret := range []string{oldSecret, holdKey, "token-of-the-crm", "secret-of-the-environment"} {
		if strings.Contains(printed.out+printed.err, secret) {
			t.Errorf("%s is printed", regexp.MustCompile(`\d+`).ReplaceAllString(secret, ""))
		}
	}
	again := run(t, "config", "print", "--config", f.write(t, "printed.yaml", printed.out))
	if again.expect(t, 0); again.out != printed.out {
		t.Errorf("what was printed is printed as\n%s, and was\n%s", again.out, printed.out)
	}
}
