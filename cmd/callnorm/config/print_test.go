package config

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestPrintedIsRead draws configurations, and reads what they print.
func TestPrintedIsRead(t *testing.T) {
	set := fakes(t)
	dir := t.TempDir()
	for i := range 4 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.secret", i)), fmt.Appendf(nil, "%d: a secret of enough bytes, even to hold", i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		doc := drawDocument(t)
		var text bytes.Buffer
		out := bufio.NewWriter(&text)
		printStruct(out, reflect.ValueOf(doc).Elem(), "", "")
		if err := out.Flush(); err != nil {
			t.Fatal(err)
		}
		load := func(text string) *Config {
			file := filepath.Join(dir, "callnorm.yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			config, err := Load(file, Overrides{}, environment, set)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			return config
		}
		config := load(text.String())
		var printed bytes.Buffer
		if err := config.Print(&printed); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(config, load(printed.String()), same); diff != "" {
			t.Fatalf("%s\n%s", diff, printed.String())
		}
	})
}

func drawDocument(t *rapid.T) *document {
	flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
	word := rapid.StringOfN(rapid.RuneFrom(nil, unicode.Letter, unicode.Digit, unicode.Punct, unicode.Symbol, unicode.Zs), 0, 12, -1)
	number := rapid.IntRange(1, 1<<20)
	timeout := rapid.Map(rapid.Int64Range(int64(time.Second), int64(time.Hour)), func(n int64) time.Duration { return time.Duration(n) })
	draw := func() *rate {
		return &rate{PerSecond: rapid.Float64Range(0.001, 1e6).Draw(t, "rate"), Burst: number.Draw(t, "burst")}
	}
	doc := &document{
		HoldKey:        &reference{File: "0.secret"},
		Readers:        []*reader{{Name: "crm", Tokens: []*reference{{Env: "OTHER_TOKEN"}}}},
		TrustedProxies: rapid.SliceOf(rapid.SampledFrom([]string{"10.0.0.0/8", "::1", "192.0.2.7"})).Draw(t, "proxies"),
		DataDir:        word.Draw(t, "data_dir"),
		PublicURL:      rapid.SampledFrom([]string{"", "https://hooks.example.com", "http://[::1]:8080/", "https://hooks.example.com/a \"b\""}).Draw(t, "url"),
	}
	if flag("limits") {
		doc.Limits = limits{
			Connections: 1<<20 + number.Draw(t, "connections"), ConnectionsPerAddress: number.Draw(t, "per address"),
			InflightBytes: size(number.Draw(t, "inflight")) * 1000, AddressRate: *draw(), HeaderBytes: size(4096 + number.Draw(t, "header")),
			ReadTimeout: timeout.Draw(t, "read"), IdleTimeout: timeout.Draw(t, "idle"), MinPace: size(number.Draw(t, "pace")),
		}
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "sources") {
		source := &source{
			Name: fmt.Sprintf("source-%d", i), Adapter: rapid.SampledFrom([]string{"alpha", "keyed", "bare"}).Draw(t, "adapter"),
			Enabled: flag("enabled"), Event: word.Draw(t, "event"), Group: word.Draw(t, "group"), PublicURL: fmt.Sprintf("https://%d.example.com", i),
		}
		if flag("rate") {
			source.Rate = draw()
		}
		if source.Unverified = source.Adapter == "bare"; !source.Unverified {
			source.Verification = &verification{Header: "X-Signature", Encoding: rapid.SampledFrom([]string{"", "hex", "any"}).Draw(t, "encoding")}
			source.Hold = &hold{Requests: number.Draw(t, "requests"), Bytes: size(number.Draw(t, "bytes"))}
			if source.Adapter == "alpha" {
				source.Verification.Secrets = []*reference{{File: "1.secret"}, {File: "2.secret"}, {Env: "SALES_SECRET"}}[:rapid.IntRange(1, 3).Draw(t, "secrets")]
				source.Verification.Signed = text(rapid.SampledFrom([]string{"", "{body}", "a: #\"{body}\\", "{body}\n{compact}"}).Draw(t, "signed"))
			}
		}
		doc.Sources = append(doc.Sources, source)
	}
	return doc
}

// TestSecretsStayHidden puts a marked secret into every place that takes one, and prints what comes out in every way.
func TestSecretsStayHidden(t *testing.T) {
	const mark = "CANARY"
	files := make(map[string]string)
	for _, name := range []string{"hold", "token-1", "token-2", "secret-1", "secret-2", "basic"} {
		files[name] = name + ":" + mark + strings.Repeat("-x", 20) + "\n"
	}
	environment := func(name string) (string, bool) { return name + mark + strings.Repeat("-y", 20), true }
	file := write(t, "callnorm.yaml", `
hold_key: {file: hold}
readers:
  - {name: a, token: {file: token-1}}
  - {name: b, tokens: [{file: token-2}, {env: TOKEN}]}
sources:
  - {name: a, adapter: alpha, hold: true, verification: {secrets: [{file: secret-1}, {file: secret-2}, {env: SECRET}]}}
  - {name: b, adapter: bare, verification: {scheme: basic, secret: {file: basic}}}
  - {name: c, adapter: bare, verification: {scheme: path-token, secret: {env: PATH_TOKEN}}}
`, files)
	config, err := Load(file, Overrides{}, environment, fakes(t))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(config.HoldKey), mark) || !strings.Contains(string(config.Sources[0].Secrets[2]), mark) {
		t.Fatal("no marks to look for")
	}
	var out bytes.Buffer
	if err := config.Print(&out); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "[redacted]"); got != 9 {
		t.Errorf("%d references are printed", got)
	}
	for _, value := range []any{config, *config, config.Sources, config.Sources[0], config.Readers, config.Readers[0], config.HoldKey, config.Sources[0].Verifier, config.effective} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			_, _ = fmt.Fprintf(&out, verb+"\n", value)
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(encoded)
		slog.New(slog.NewTextHandler(&out, nil)).Info("", "value", value)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("", "value", value)
	}
	for _, form := range []string{mark, fmt.Sprintf("%x", mark), fmt.Sprintf("%X", mark), "67 65 78 65"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("%s shows in\n%s", form, out.String())
		}
	}
}

// TestMisplacedSecretsStayHidden puts a secret where it does not belong: into every value of a file that is otherwise good.
func TestMisplacedSecretsStayHidden(t *testing.T) {
	const secret = "Hunter2/secret+0123456789="
	lines := strings.Split(strings.NewReplacer("# tls:", "tls:", "# trusted_proxies:", "trusted_proxies:").Replace(Example), "\n")
	for i, line := range lines {
		key, _, found := strings.Cut(line, ": ")
		if !found || strings.Contains(key, "#") {
			continue
		}
		switch strings.Trim(key, " -") {
		case "http_addr", "grpc_addr", "public_addr", "adapter", "scheme", "signed", "header", "data_dir":
			continue // repeated on purpose, as nothing there is near a secret
		}
		for _, value := range []string{secret, "{" + secret + ": x}", "[" + secret + "]", "{value: " + secret + "}", "{env: " + secret + "}"} {
			changed := append([]string(nil), lines...)
			changed[i] = key + ": " + value
			_, err := Load(write(t, "callnorm.yaml", strings.Join(changed, "\n"), nil), Overrides{}, environment, fakes(t))
			if err == nil || strings.Contains(err.Error(), "Hunter2") {
				t.Errorf("%s: %v", changed[i], err)
			}
		}
	}
}

// FuzzLoad reads anything. It must end with problems that can be shown, or with a configuration that prints as it is.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(Example)
	f.Add("trusted_proxies: []")
	f.Add("{public_url: https://hooks.example.com/calls/, tls: {cert_file: /dev/zero, key_file: /dev/null, client_ca_file: .}}")
	f.Add("sources: [{name: a, adapter: alpha, hold: false, verification: {secret: {env: SALES_SECRET}}}]")
	set := fakes(f)
	f.Fuzz(func(t *testing.T, text string) {
		config, err := Load(write(t, "callnorm.yaml", text, nil), Overrides{}, environment, set)
		if err != nil {
			problems := (*Problems)(nil)
			if !errors.As(err, &problems) || len(problems.Unwrap()) == 0 {
				t.Fatalf("%T", err)
			}
			for _, problem := range problems.Unwrap() {
				if strings.ContainsFunc(problem.Error(), unicode.IsControl) {
					t.Fatalf("%q", problem.Error())
				}
			}
			return
		}
		again, printed := reload(t, config, environment, set)
		if diff := cmp.Diff(config, again, same); diff != "" {
			t.Fatalf("%s\n%s", diff, printed)
		}
	})
}
