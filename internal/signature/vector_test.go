package signature

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// vectorFile is one file of testdata: a scheme as one provider uses it.
type vectorFile struct {
	Origin   string `yaml:"origin"` // published or self-made
	Source   string `yaml:"source"` // of what is published
	Settings struct {
		Scheme          Scheme        `yaml:"scheme"`
		Headers         []string      `yaml:"headers"`
		Hash            string        `yaml:"hash"`
		Encoding        string        `yaml:"encoding"`
		Prefix          string        `yaml:"prefix"`
		SignatureKey    string        `yaml:"signature_key"`
		TimestampKey    string        `yaml:"timestamp_key"`
		Signed          string        `yaml:"signed"`
		TimestampHeader string        `yaml:"timestamp_header"`
		TimestampUnit   string        `yaml:"timestamp_unit"`
		Tolerance       time.Duration `yaml:"tolerance"`
		SecretEncoding  string        `yaml:"secret_encoding"`
		SecretLength    int           `yaml:"secret_length"`
		Keys            []string      `yaml:"keys"`
		PublicURL       string        `yaml:"public_url"`
	} `yaml:"settings"`
	Secrets []string `yaml:"secrets"`
	Private string   `yaml:"private"`
	// Covers is what Signed returns. Uncovered lists everything else that may change.
	Covers    []string `yaml:"covers"`
	Uncovered []string `yaml:"uncovered"`
	Vectors   []struct {
		Name    string `yaml:"name"`
		Origin  string `yaml:"origin"` // where it differs from the file's
		Request struct {
			Method  string            `yaml:"method"`
			Path    string            `yaml:"path"`
			Query   string            `yaml:"query"`
			Token   string            `yaml:"token"`
			Headers map[string]string `yaml:"headers"`
			Body    string            `yaml:"body"`
			Time    string            `yaml:"time"`
		} `yaml:"request"`
		Secret int   `yaml:"secret"`
		Signs  *bool `yaml:"signs"` // whether Sign makes the very same request; unset is true
	} `yaml:"vectors"`

	name     string
	settings Settings
	secrets  []Secret
	requests []Request
}

// readVectors reads all files. A new one needs no more than to be there.
func readVectors(tb testing.TB) []*vectorFile {
	tb.Helper()
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(paths) == 0 {
		tb.Fatal("no vectors:", err)
	}
	files := make([]*vectorFile, 0, len(paths))
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		f := &vectorFile{name: strings.TrimSuffix(filepath.Base(path), ".yaml")}
		if err := yaml.UnmarshalWithOptions(raw, f, yaml.Strict()); err != nil {
			tb.Fatalf("%s: %v", path, err)
		}
		f.settings = Settings(f.Settings)
		for _, secret := range f.Secrets {
			f.secrets = append(f.secrets, Secret(secret))
		}
		for _, v := range f.Vectors {
			at, err := time.Parse(time.RFC3339, v.Request.Time)
			if err != nil {
				tb.Fatal(path, err)
			}
			r := Request{
				Method: v.Request.Method, Path: v.Request.Path, Query: v.Request.Query, Token: v.Request.Token,
				Header: http.Header{}, Body: []byte(v.Request.Body), Time: at,
			}
			for name, value := range v.Request.Headers {
				r.Header.Add(name, value)
			}
			f.requests = append(f.requests, r)
		}
		files = append(files, f)
	}
	return files
}

func (f *vectorFile) verifier(tb testing.TB) *Verifier {
	tb.Helper()
	v, err := New(f.settings, f.secrets)
	if err != nil {
		tb.Fatalf("%s: %v", f.name, err)
	}
	return v
}

// signer returns the private key of the file, if it has one.
func (f *vectorFile) signer(tb testing.TB) crypto.Signer {
	tb.Helper()
	if f.Private == "" {
		return nil
	}
	if seed, err := base64.StdEncoding.DecodeString(f.Private); err == nil {
		return ed25519.NewKeyFromSeed(seed)
	}
	block, _ := pem.Decode([]byte(f.Private))
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		tb.Fatal(err)
	}
	signer, _ := private.(crypto.Signer)
	return signer
}

func (f *vectorFile) isUncovered(part string) bool { return slices.Contains(f.Uncovered, part) }

func clone(r Request) Request {
	r.Header, r.Body = r.Header.Clone(), bytes.Clone(r.Body)
	return r
}

func TestVectors(t *testing.T) {
	for _, f := range readVectors(t) {
		v := f.verifier(t)
		if f.Origin != "self-made" && (f.Origin != "published" || !strings.HasPrefix(f.Source, "https://")) {
			t.Errorf("%s does not say where it comes from", f.name)
		}
		if got := v.Signed(); !slices.Equal(got, f.Covers) {
			t.Errorf("%s: Signed() = %q, want %q", f.name, got, f.Covers)
		}
		if v.IsCredential() != (len(f.Covers) == 0) {
			t.Errorf("%s: IsCredential() = %v", f.name, v.IsCredential())
		}
		if v.SignsBody() == f.isUncovered("body") {
			t.Errorf("%s: SignsBody() = %v", f.name, v.SignsBody())
		}
		for i, r := range f.requests {
			vector := f.Vectors[i]
			t.Run(f.name+"/"+vector.Name, func(t *testing.T) {
				before := clone(r)
				secret, err := v.Verify(r)
				if err != nil || secret != vector.Secret {
					t.Fatalf("Verify = %d, %v, want %d\n%s", secret, err, vector.Secret, v.Explain(r))
				}
				if !bytes.Equal(before.Body, r.Body) || !maps.EqualFunc(before.Header, r.Header, slices.Equal) {
					t.Error("Verify changed the request")
				}
				if vector.Signs == nil || *vector.Signs {
					checkSigned(t, f, v, r)
				}
			})
		}
	}
}

// checkSigned signs what is left of a request without its signature, and expects the request.
func checkSigned(t *testing.T, f *vectorFile, v *Verifier, want Request) {
	t.Helper()
	bare := clone(want)
	for name := range bare.Header {
		if named(v.settings.Headers, name) || strings.Contains(strings.ToLower(name), "timestamp") {
			delete(bare.Header, name)
		}
	}
	bare.Token = ""
	before := clone(bare)
	got, err := v.Sign(bare)
	if signer := f.signer(t); signer != nil {
		if err == nil {
			t.Error("Sign signs with a public key")
		}
		got, err = v.SignWith(bare, signer)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(got.Header, want.Header, slices.Equal) || got.Token != want.Token || got.Query != want.Query {
		t.Errorf("signed:\n got %v %q\nwant %v %q", got.Header, got.Token, want.Header, want.Token)
	}
	if !maps.EqualFunc(before.Header, bare.Header, slices.Equal) {
		t.Error("Sign changed the request that it was given")
	}
}

// covers returns what a signature of the file's scheme covers in a request. It shares no code with the verifier, so that it can
// judge it: whatever is accepted beside a vector must be equal to it in this.
func (f *vectorFile) covers(r Request) string {
	var all []string
	header := func(suffix string) string {
		for name, values := range r.Header {
			if strings.HasSuffix(strings.ToLower(strings.ReplaceAll(name, "_", "-")), suffix) {
				return strings.Trim(values[0], " \t")
			}
		}
		return ""
	}
	for _, part := range f.Covers {
		value := ""
		switch kind, argument, _ := strings.Cut(part, " "); {
		case part == "body":
			value = string(r.Body)
		case part == "body without white space":
			var compact bytes.Buffer
			if value = string(r.Body); json.Compact(&compact, r.Body) == nil {
				value = compact.String()
			}
		case part == "timestamp" && f.settings.TimestampKey != "":
			if m := regexp.MustCompile(`(?:^|,)[ \t]*[tv]=([0-9]+)`).FindStringSubmatch(header("-signature")); m != nil {
				value = m[1]
			}
		case part == "timestamp":
			value = header("-timestamp")
		case part == "method":
			value = r.Method
		case part == "url":
			value = r.Path + "?" + r.Query
		case part == "form":
			// Nothing stands between URL, names and values, so all of it is one text.
			if strings.Contains(r.Query, "bodySHA256") {
				value = string(r.Body)
				break
			}
			form, _ := url.ParseQuery(string(r.Body))
			for _, name := range slices.Sorted(maps.Keys(form)) {
				for _, v := range slices.Compact(slices.Sorted(slices.Values(form[name]))) {
					value += name + v
				}
			}
			all[len(all)-1] = strings.TrimSuffix(all[len(all)-1], "?") + value
			continue
		case kind == "header":
			value = header("-id")
			_ = argument
		case kind == "field":
			value = fieldOf(r.Body)
		}
		all = append(all, value)
	}
	return strings.Join(all, "\x00")
}

// fieldOf reads the id of a call as Synthflow's adapter does: the first that is there.
func fieldOf(body []byte) string {
	var whole struct {
		Call struct {
			ID string `json:"call_id"`
		} `json:"call"`
		ID string `json:"call_id"`
	}
	if err := json.Unmarshal(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), &whole); err != nil {
		return err.Error()
	}
	if whole.Call.ID != "" {
		return whole.Call.ID
	}
	return whole.ID
}
