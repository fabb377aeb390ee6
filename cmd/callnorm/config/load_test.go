package config

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/catalog"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/server"
	"github.com/callnorm/callnorm/server/access"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// same compares configurations as wholes, but for the keys of verifiers, which hold functions, and for warnings, which tell lines.
// An empty list is as good as none.
var same = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.Exporter(func(reflect.Type) bool { return true }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.FilterPath(func(path cmp.Path) bool {
		last := path.Last().String()
		return last == ".keys" || last == ".Warnings"
	}, cmp.Ignore()),
}

// reload prints a configuration, and reads it again in another place.
func reload(t testing.TB, config *Config, environment func(string) (string, bool), set *adapters.Set) (*Config, string) {
	t.Helper()
	var printed bytes.Buffer
	if err := config.Print(&printed); err != nil {
		t.Fatal(err)
	}
	again, err := Load(write(t, "printed.yaml", printed.String(), nil), Overrides{}, environment, set)
	if err != nil {
		t.Fatalf("%v\n%s", err, printed.String())
	}
	return again, printed.String()
}

func TestLoad(t *testing.T) {
	set := fakes(t)
	secret := map[string]string{"a.secret": "secret-of-alpha-0123456789\n", "b.secret": "secret-of-alpha-9876543210\r\n"}
	tests := map[string]struct {
		text  string
		over  Overrides
		check func(t *testing.T, config *Config)
	}{
		"nothing means a source for each provider, on loopback": {
			check: func(t *testing.T, config *Config) {
				var names []string
				for _, source := range config.Sources {
					names = append(names, source.Name+"/"+source.Adapter.Name()+"/"+source.Provider)
					if !source.Unverified || source.Disabled || source.MaxBody != 10<<20 {
						t.Errorf("%+v", source)
					}
				}
				if got := strings.Join(names, " "); got != "alpha/alpha/alpha beta/alpha/beta keyed/keyed/keyed bare/bare/bare" {
					t.Error(got)
				}
				want := server.DefaultLimits()
				if config.HTTPAddr != "127.0.0.1:8080" || config.GRPCAddr != "127.0.0.1:9090" || config.DataDir != "data" || config.Limits != want {
					t.Errorf("%+v", config)
				}
			},
		},
		"comments mean nothing": {
			text:  "# nothing\n---\n# at all\n",
			check: func(t *testing.T, config *Config) { expect(t, len(config.Sources), 4) },
		},
		"a byte order mark is passed over": {
			text:  "\ufeffdata_dir: elsewhere\n",
			check: func(t *testing.T, config *Config) { expect(t, config.DataDir, "elsewhere") },
		},
		"empty values are unset": {
			text:  "http_addr:\nlimits:\nsources:\nreaders: ~\n",
			check: func(t *testing.T, config *Config) { expect(t, config.HTTPAddr, DefaultHTTPAddr) },
		},
		"overrides win over the file": {
			text: "http_addr: 127.0.0.1:1\ngrpc_addr: nonsense\ndata_dir: a\n",
			over: Overrides{GRPCAddr: "localhost:2", DataDir: "b"},
			check: func(t *testing.T, config *Config) {
				expect(t, config.HTTPAddr+" "+config.GRPCAddr+" "+config.DataDir, "127.0.0.1:1 localhost:2 b")
			},
		},
		"a source takes the provider of its name, and the first one otherwise": {
			text: "sources: [{name: beta, adapter: alpha, unverified: true}, {name: other, adapter: alpha, unverified: true, enabled: false}]",
			check: func(t *testing.T, config *Config) {
				expect(t, config.Sources[0].Provider+" "+config.Sources[1].Provider, "beta alpha")
				expect(t, config.Sources[1].Disabled, true)
			},
		},
		"secrets lose the newline at their end and keep their order": {
			text: "sources: [{name: a, adapter: alpha, verification: {secrets: [{file: b.secret}, {file: a.secret}, {env: SALES_SECRET}]}}]",
			check: func(t *testing.T, config *Config) {
				expect(t, config.Sources[0].Verifier.Name(), "hmac-sha256")
				want := []signature.Secret{"secret-of-alpha-9876543210", "secret-of-alpha-0123456789", "secret-of-sales-0123456789"}
				if got := config.Sources[0].Secrets; !reflect.DeepEqual(got, want) {
					t.Error("other secrets")
				}
			},
		},
		"sources may share a secret": {
			text: "sources: [{name: a, adapter: alpha, verification: {secret: {file: a.secret}}}, {name: b, adapter: alpha, verification: {secret: {file: a.secret}}}]",
			check: func(t *testing.T, config *Config) {
				expect(t, config.Sources[0].Secrets[0] == config.Sources[1].Secrets[0], true)
			},
		},
		"a provider's own key needs no secret": {
			text: "sources: [{name: a, adapter: keyed, verification: {scheme: provider}}, {name: b, adapter: keyed, verification: {}}]",
			check: func(t *testing.T, config *Config) {
				expect(t, config.Sources[1].Verifier.Name(), "rsa-sha256")
				expect(t, len(config.Sources[1].Secrets), 1)
			},
		},
		"what is written refines what the adapter knows": {
			text: "sources: [{name: a, adapter: alpha, verification: {header: X-Other, hash: sha512, secret: {file: a.secret}}}]",
			check: func(t *testing.T, config *Config) {
				expect(t, config.Sources[0].Verifier.Name(), "hmac-sha512")
				expect(t, config.effective.Sources[0].Verification.Encoding, "any")
				expect(t, config.effective.Sources[0].Verification.Headers[0], "X-Other")
			},
		},
		"a public URL is the sources' default": {
			text: "public_url: https://a.example.com/\nsources: [{name: a, adapter: bare, unverified: true}, {name: b, adapter: bare, unverified: true, public_url: https://b.example.com}]",
			check: func(t *testing.T, config *Config) {
				expect(t, config.effective.Sources[0].PublicURL+" "+config.effective.Sources[1].PublicURL, "https://a.example.com/ https://b.example.com")
			},
		},
		"a public URL has the part of the path that a proxy removes": {
			text: "public_url: https://a.example.com/calls/\nsources: [{name: a, adapter: bare, verification: {scheme: twilio, secret: {file: a.secret}}}]",
			check: func(t *testing.T, config *Config) {
				platform, err := signature.New(signature.Settings{Scheme: signature.SchemeTwilio, PublicURL: "https://a.example.com"}, config.Sources[0].Secrets)
				if err != nil {
					t.Fatal(err)
				}
				request, err := platform.Sign(signature.Request{Method: http.MethodPost, Path: "/calls/v1/webhooks/a", Header: make(http.Header)})
				if err != nil {
					t.Fatal(err)
				}
				request.Path = "/v1/webhooks/a"
				if _, err := config.Sources[0].Verifier.Verify(request); err != nil {
					t.Error(err)
				}
			},
		},
		"hold is a switch or two bounds": {
			text: "hold_key: {file: a.hold}\nsources: [{name: a, adapter: alpha, hold: true, verification: {secret: {file: a.secret}}}, {name: b, adapter: alpha, hold: {requests: 5}, verification: {secret: {file: a.secret}}}, {name: c, adapter: alpha, hold: false, unverified: true}]",
			check: func(t *testing.T, config *Config) {
				expect(t, config.Sources[0].Hold, rejection.Limits{Requests: 1000, Bytes: 64 << 20})
				expect(t, config.Sources[1].Hold, rejection.Limits{Requests: 5, Bytes: 64 << 20})
				expect(t, config.Sources[2].Hold, rejection.Limits{})
			},
		},
		"sizes, times and rates are written as people write them": {
			text: "limits: {inflight_bytes: 1 GiB, header_bytes: 8192, idle_timeout: 1m30s, min_pace: 0, connections: 10, read_timeout: 5s, address_rate: {per_second: 0.5}}",
			check: func(t *testing.T, config *Config) {
				expect(t, config.Limits, server.Limits{
					Connections: 10, ConnectionsPerAddress: 10, InflightBytes: 1 << 30, AddressRate: intake.Rate{PerSecond: 0.5, Burst: 1}, HeaderBytes: 8192,
					ReadHeaderTimeout: 5e9, ReadTimeout: 5e9, WriteTimeout: 30e9, IdleTimeout: 90e9,
				})
			},
		},
		"readers open the way outside": {
			text: "http_addr: 0.0.0.0:8080\nreaders: [{name: crm, token: {file: a.secret}}]\nsources: [{name: a, adapter: bare, unverified: true}]",
			check: func(t *testing.T, config *Config) {
				expect(t, config.Readers[0].Roles[0], access.RoleRead)
				expect(t, len(config.Warnings), 1)
				expect(t, strings.Contains(config.Warnings[0], "without tls"), true)
			},
		},
		"loopback has many names": {
			text: `{http_addr: "LocalHost:8080", grpc_addr: "[::ffff:127.0.0.1]:9090"}`,
			check: func(t *testing.T, config *Config) {
				expect(t, len(config.Sources), 4)
				expect(t, len(config.Warnings), 0)
			},
		},
		"proxies are addresses and networks": {
			text: `trusted_proxies: [10.0.0.0/8, 192.0.2.7, "2001:db8::1"]`,
			check: func(t *testing.T, config *Config) {
				expect(t, config.TrustedProxies[1], netip.MustParsePrefix("192.0.2.7/32"))
				expect(t, config.TrustedProxies[2], netip.MustParsePrefix("2001:db8::1/128"))
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := write(t, "callnorm.yaml", test.text, map[string]string{
				"a.secret": secret["a.secret"], "b.secret": secret["b.secret"], "a.hold": strings.Repeat("hold", 10),
			})
			config, err := Load(file, test.over, environment, set)
			if err != nil {
				t.Fatal(err)
			}
			test.check(t, config)
			again, printed := reload(t, config, environment, set)
			if diff := cmp.Diff(config, again, same); diff != "" {
				t.Errorf("printed, it means something else: %s\n%s", diff, printed)
			}
		})
	}
}

func expect[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestProblemsWithoutPlace(t *testing.T) {
	tests := map[string]struct {
		file string
		over Overrides
		want string
	}{
		"a file that is not there":   {"/nowhere/callnorm.yaml", Overrides{}, "/nowhere/callnorm.yaml: no such file or directory"},
		"a folder":                   {"testdata", Overrides{}, "testdata: is a directory"},
		"a file without end":         {"/dev/zero", Overrides{}, "/dev/zero: is too long"},
		"a flag that is no address":  {"", Overrides{HTTPAddr: "nonsense"}, `http_addr (of a flag or the environment): "nonsense" is no address: it takes HOST:PORT`},
		"a flag that leads outside":  {"", Overrides{GRPCAddr: ":9090"}, "is reachable from outside"},
		"no sources for the public":  {"", Overrides{PublicAddr: "127.0.0.1:8443"}, "sources: are missing"},
		"a flag that names no place": {"", Overrides{PublicAddr: "127.0.0.1:8080"}, "is taken by http_addr"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Load(test.file, test.over, environment, fakes(t))
			problems := (*Problems)(nil)
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), test.want) {
				t.Error(err)
			}
		})
	}
}

// TestHugeFiles reads what would exhaust stack, memory or time.
func TestHugeFiles(t *testing.T) {
	tests := map[string]string{
		"nested lists":     "[",
		"nested maps":      "{a: ",
		"nested blocks":    "- ",
		"nested keys":      "? ",
		"aliases":          "*a ",
		"documents":        "--- a\n",
		"keys":             "aaaaaaaa: 1\n",
		"entries":          "- a: b\n",
		"quotes":           "\"",
		"text":             "x",
		"lines":            "x\n",
		"block texts":      "a: |\n b\n",
		"too many, nested": "[a, ",
	}
	for name, unit := range tests {
		for _, length := range []int{maxFile, maxFile + 1, maxTokens} {
			t.Run(name, func(t *testing.T) {
				text := strings.Repeat(unit, length/len(unit)+1)[:length]
				if _, err := Load(write(t, "callnorm.yaml", text, nil), Overrides{}, environment, fakes(t)); err == nil {
					t.Error("is taken")
				} else if len(err.Error()) > 1<<17 {
					t.Errorf("says %d bytes", len(err.Error()))
				}
			})
		}
	}
}

func TestGuardedFiles(t *testing.T) {
	tests := map[string]struct {
		mode     fs.FileMode
		warnings int
	}{
		"the owner alone":  {0o600, 0},
		"a group":          {0o640, 0},
		"everybody's file": {0o644, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := write(t, "callnorm.yaml", "readers: [{name: crm, token: {file: crm.token}}]\nsources: [{name: a, adapter: bare, unverified: true}]", map[string]string{"crm.token": "0123456789abcdef"})
			if err := os.Chmod(filepath.Join(filepath.Dir(file), "crm.token"), test.mode); err != nil {
				t.Fatal(err)
			}
			config, err := Load(file, Overrides{}, environment, fakes(t))
			if err != nil {
				t.Fatal(err)
			}
			if len(config.Warnings) != test.warnings {
				t.Errorf("%q", config.Warnings)
			}
		})
	}
}

// TestExample reads the example as a user would who followed its comments.
func TestExample(t *testing.T) {
	set, err := catalog.Set()
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, "callnorm.yaml", Example, map[string]string{
		"hold.key": "bWFkZSBieSBvcGVuc3NsIHJhbmQgLWJhc2U2NCAzMg==\n", "crm.token": "made-by-openssl-rand-hex-32\n", "sales.secret": "a-secret-of-the-platform\n",
	})
	environment := func(name string) (string, bool) { return "the-secret-before", name == "SALES_SECRET_BEFORE" }
	config, err := Load(file, Overrides{}, environment, set)
	if err != nil {
		t.Fatal(err)
	}
	again, printed := reload(t, config, environment, set)
	if diff := cmp.Diff(config, again, same); diff != "" {
		t.Error(diff)
	}
	t.Log(printed)

	uncommented := strings.NewReplacer("# tls:", "tls:", "# trusted_proxies:", "trusted_proxies:").Replace(Example)
	problems := (*Problems)(nil)
	if _, err = Load(write(t, "callnorm.yaml", uncommented, nil), Overrides{}, environment, set); !errors.As(err, &problems) {
		t.Fatal(err)
	}
	for _, problem := range problems.Unwrap() {
		if !strings.Contains(problem.Error(), "no such file") {
			t.Error(problem)
		}
	}
}
