package config

import (
	"strings"
	"testing"
)

func TestLoadSource(t *testing.T) {
	const others = "tls: {cert_file: lost.pem, key_file: lost.key}\nhold_key: {env: LOST}\nhttp_addr: 0.0.0.0:80\nreaders: [{name: crm, token: {file: lost}}]\n"
	files := map[string]string{"a.secret": "secret-of-alpha-0123456789\n"}
	file := write(t, "c.yaml", others+"sources: [{name: other, adapter: alpha, verification: {secret: {file: lost}}},"+
		"{name: a, adapter: alpha, hold: true, verification: {secret: {file: a.secret}}}, {name: b, adapter: alpha, verification: {secret: {file: lost}}}]\n", files)
	nothing := func(string) (string, bool) { return "", false }
	source, found, err := LoadSource(file, "a", nothing, fakes(t))
	if err != nil || !found || source.Verifier == nil {
		t.Errorf("%v %t %v", source, found, err)
	}
	wide := write(t, "wide.yaml", "limits: {inflight_bytes: 256MiB}\nsources: [{name: a, adapter: alpha, unverified: true, max_body_bytes: 64MiB}]\n", nil)
	if source, found, err := LoadSource(wide, "a", nothing, fakes(t)); err != nil || !found || source.MaxBody != 64<<20 {
		t.Errorf("limits beside the source: %v %t %v", source, found, err)
	}
	if _, found, err := LoadSource(file, "nobody", nothing, fakes(t)); found || err != nil {
		t.Errorf("%t %v", found, err)
	}
	if _, _, err := LoadSource(file, "b", nothing, fakes(t)); err == nil || !strings.Contains(err.Error(), "no such file") || strings.Contains(err.Error(), "LOST") {
		t.Errorf("%v", err)
	}
	if source, found, err := LoadSource("", "beta", nothing, fakes(t)); err != nil || !found || source.Verifier != nil {
		t.Errorf("a source of the default: %v %t %v", source, found, err)
	}
}

func TestDataDir(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"named": {"data_dir: /var/lib/x\nhold_key: {env: LOST}\n", "/var/lib/x"}, "not named": {"http_addr: 127.0.0.1:1\n", DefaultDataDir},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := DataDir(write(t, "c.yaml", test.text, nil)); err != nil || got != test.want {
				t.Errorf("%q %v", got, err)
			}
		})
	}
	if got, err := DataDir(""); err != nil || got != DefaultDataDir {
		t.Errorf("%q %v", got, err)
	}
	if _, err := DataDir("/nowhere"); err == nil {
		t.Error("a file that is not there names no directory")
	}
}
