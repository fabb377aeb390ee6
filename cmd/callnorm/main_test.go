package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sample = "../../adapters/synthflow/testdata/a00_anunzi_page_2024_03.json"

// command runs the command line as a user would.
func command(t *testing.T, stdin string, args ...string) (code int, out, errors string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, streams{in: strings.NewReader(stdin), out: &stdout, err: &stderr})
	return code, stdout.String(), stderr.String()
}

func TestExitCodes(t *testing.T) {
	body, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	config := func(text string) string {
		file := filepath.Join(t.TempDir(), "callnorm.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	tests := map[string]struct {
		stdin string
		args  []string
		code  int
		out   string // on standard output
		err   string // on standard error
	}{
		"all items normalized":          {"", []string{"normalize", "--adapter", "synthflow", "--provider", "anunzi", sample}, 0, `"provider": "anunzi"`, "misplaced"},
		"from standard input":           {string(body), []string{"normalize", "--adapter=synthflow", "-"}, 0, `"provider": "synthflow"`, ""},
		"nothing to tell":               {`{"event":"call_inbound"}`, []string{"normalize", "--adapter=synthflow", "-"}, 0, "[]", "no outcome"},
		"nothing normalized":            {"hello", []string{"normalize", "--adapter=synthflow", "-"}, 1, "[]", "payload: not normalized: malformed"},
		"one of two normalized":         {`[{"time":"2022-08-31T21:46:58.621Z","phone":"61491573087","type":"inbound","campaignId":"c"},7]`, []string{"normalize", "--adapter=curious-thing", "-"}, 1, "EVENT_KIND_CALL_RECEIVED", "not normalized: unexpected shape"},
		"an unknown adapter":            {"{}", []string{"normalize", "--adapter=nobody", "-"}, 2, "", "there are: synthflow"},
		"a missing file":                {"", []string{"normalize", "--adapter=synthflow", "/nowhere"}, 2, "", "no such file"},
		"a missing flag":                {"", []string{"normalize", "-"}, 2, "", "--adapter"},
		"an unknown command":            {"", []string{"sing"}, 2, "", "sing"},
		"no command":                    {"", nil, 2, "", "--help"},
		"help":                          {"", []string{"--help"}, 0, "normalize", ""},
		"help of serve":                 {"", []string{"serve", "--help"}, 0, "Examples:", ""},
		"help of normalize":             {"", []string{"normalize", "--help"}, 0, "Examples:", ""},
		"help of tail":                  {"", []string{"tail", "--help"}, 0, "Examples:", ""},
		"help of list":                  {"", []string{"list", "--help"}, 0, "Examples:", ""},
		"help of show":                  {"", []string{"show", "--help"}, 0, "Examples:", ""},
		"help of delete call":           {"", []string{"delete", "call", "--help"}, 0, "Examples:", ""},
		"help of delete contact":        {"", []string{"delete", "contact", "--help"}, 0, "Examples:", ""},
		"a disposition that is none":    {"", []string{"list", "--disposition=gone"}, 2, "", "there are: "},
		"a time that is none":           {"", []string{"list", "--begin=yesterday"}, 2, "", "neither a date"},
		"a system without an id":        {"", []string{"list", "--external-id=CA1"}, 2, "", "SYSTEM=ID"},
		"two keys of a list":            {"", []string{"list", "--address=+12025550143", "--provider-call-id=c"}, 2, "", "together"},
		"nothing to show":               {"", []string{"show"}, 2, "", "one of NAME"},
		"two to show":                   {"", []string{"show", "outcomes/a", "--provider-call-id=c"}, 2, "", "one of NAME"},
		"no call to delete":             {"", []string{"delete", "call", "--yes"}, 2, "", "one of NAME"},
		"no contact to delete":          {"", []string{"delete", "contact", "--yes"}, 2, "", "address"},
		"a deletion without consent":    {"y\n", []string{"delete", "call", "outcomes/a"}, 2, "", "--dry-run"},
		"help of subscription list":     {"", []string{"subscription", "list", "--help"}, 0, "Examples:", ""},
		"help of subscription show":     {"", []string{"subscription", "show", "--help"}, 0, "Example:", ""},
		"help of subscription reset":    {"", []string{"subscription", "reset", "--help"}, 0, "Examples:", ""},
		"help of subscription delete":   {"", []string{"subscription", "delete", "--help"}, 0, "Example:", ""},
		"a status that is none":         {"", []string{"tail", "--status=nonsense"}, 2, "", "no-answer"},
		"a completeness that is none":   {"", []string{"tail", "--completeness=half"}, 2, "", "final"},
		"a reset to nowhere":            {"", []string{"subscription", "reset", "crm"}, 2, "", "--from"},
		"a reset to no time":            {"", []string{"subscription", "reset", "crm", "--from=yesterday"}, 2, "", "2026-01-31"},
		"help of doctor":                {"", []string{"doctor", "--help"}, 0, "Examples:", ""},
		"help of verify":                {"", []string{"verify", "--help"}, 0, "Examples:", ""},
		"help of quarantine list":       {"", []string{"quarantine", "list", "--help"}, 0, "Examples:", ""},
		"help of quarantine show":       {"", []string{"quarantine", "show", "--help"}, 0, "Examples:", ""},
		"help of import":                {"", []string{"import", "--help"}, 0, "Examples:", ""},
		"help of a retry":               {"", []string{"quarantine", "retry", "--help"}, 0, "Examples:", ""},
		"help of renormalize":           {"", []string{"renormalize", "--help"}, 0, "Examples:", ""},
		"help of backup":                {"", []string{"backup", "--help"}, 0, "Example:", ""},
		"help of check":                 {"", []string{"check", "--help"}, 0, "Examples:", ""},
		"help of restore":               {"", []string{"restore", "--help"}, 0, "Example:", ""},
		"help of config print":          {"", []string{"config", "print", "--help"}, 0, "Example:", ""},
		"help of config validate":       {"", []string{"config", "validate", "--help"}, 0, "Example:", ""},
		"the default configuration":     {"", []string{"config", "validate"}, 0, "the configuration is good", ""},
		"the configuration in force":    {"", []string{"config", "print"}, 0, "http_addr: \"127.0.0.1:8080\"", ""},
		"nothing to retry":              {"", []string{"quarantine", "retry"}, 2, "", "--all"},
		"nothing to renormalize":        {"", []string{"renormalize"}, 2, "", "--all"},
		"nothing to verify":             {"", []string{"verify", "--source=a"}, 2, "", "--request"},
		"a source without verification": {"", []string{"verify", "--source=voxia", "--request=-"}, 2, "", "takes deliveries from anybody"},
		"a source that is none":         {"", []string{"verify", "--source=nobody", "--request=-"}, 2, "", "no source"},
		"a token that would be seen":    {"", []string{"doctor", "--addr=192.0.2.1:1", "--token-file=" + sample}, 2, "", "without TLS"},
		"help of version":               {"", []string{"version", "--help"}, 0, "Example:", ""},
		"version":                       {"", []string{"version"}, 0, "adapter synthflow", ""},
		"a start that is none":          {"", []string{"tail", "--from=yesterday"}, 2, "", "beginning or now"},
		"a provider's odd name":         {"", []string{"normalize", "--adapter=synthflow", "--provider=Jane Doe", sample}, 2, "", "provider"},
		"two starts of a tail":          {"", []string{"tail", "--after=x", "--from=now"}, 2, "", "--"},
		"an unknown key":                {"", []string{"serve", "--config", config("http_adr: x")}, 2, "", "http_adr"},
		"a missing configuration":       {"", []string{"serve", "--config", "/nowhere"}, 2, "", "no such file"},
		"outside loopback":              {"", []string{"serve", "--http-addr=0.0.0.0:8080"}, 2, "", "reachable from outside"},
		"all problems at once": {"", []string{"serve", "--config", config(
			"grpc_addr: nonsense\nsources:\n- {name: Bad Name, adapter: synthflow}\n- {name: a, adapter: nobody}\n- {name: a, adapter: synthflow, max_body_bytes: 999999999}\n",
		)}, 2, "", "grpc_addr"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			code, out, errors := command(t, test.stdin, test.args...)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if !strings.Contains(out, test.out) || !strings.Contains(errors, test.err) {
				t.Errorf("standard output:\n%s\nstandard error:\n%s", out, errors)
			}
			if test.args != nil && test.args[0] == "normalize" && test.args[1] != "--help" && code < 2 && !json.Valid([]byte(out)) {
				t.Errorf("no JSON: %s", out)
			}
			if name == "all problems at once" {
				for _, part := range []string{"callnorm.yaml:3:", "sources[0].name", "nobody", "another source has it", "max_body_bytes", "unverified: true"} {
					if !strings.Contains(errors, part) {
						t.Errorf("%q is not reported", part)
					}
				}
			}
		})
	}
}
