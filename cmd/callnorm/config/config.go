// Package config reads what the user sets in a file, and checks it as a whole: every problem is found at once, each with its
// place. What comes out is resolved: defaults are filled in, secrets are read, verifiers are built.
//
// Secrets never stand in the file, only where they are: {file: ...} or {env: ...}. No problem, no warning and nothing that is
// printed repeats one.
package config

import (
	"cmp"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/server"
	"github.com/callnorm/callnorm/server/access"
)

// What holds without a word of the user.
const (
	DefaultHTTPAddr = "127.0.0.1:8080"
	DefaultGRPCAddr = "127.0.0.1:9090"
	DefaultDataDir  = "data"

	defaultMaxBody size = 10 << 20
	// highestMaxBody is for platforms that post recordings. What is larger than 15 MiB comes through the door alone, since a message
	// of the gRPC server cannot carry it.
	highestMaxBody size = 64 << 20
)

// Config is what the user set, resolved. It holds secrets, and prints none of them.
type Config struct {
	// PublicAddr is where doors and liveness alone are served, HOST:PORT. Empty: there is no such listener, and HTTPAddr serves
	// everything.
	PublicAddr string
	// HTTPAddr and GRPCAddr are where the server listens, HOST:PORT.
	HTTPAddr, GRPCAddr string
	// DataDir holds everything that is kept. Unlike the files that the configuration names it is relative to the working
	// directory, as on the command line.
	DataDir string
	// TLS is zero where there is none. Where it is set, all listeners speak TLS.
	TLS TLS
	// TrustedProxies are believed when they say whom they forward for.
	TrustedProxies []netip.Prefix
	// HoldKey encrypts requests that are held, at least 32 bytes. It is empty where no source holds any.
	HoldKey signature.Secret
	Limits  server.Limits
	Readers []access.Reader
	Sources []Source
	// Warnings are worth a line of the log each. They have the form of a problem.
	Warnings []string

	// effective is the file as it would be with every default written down. It has no secret, only where they are.
	effective *document
}

// TLS names files in PEM, as absolute paths. CertFile and KeyFile are set together. When it was checked, access.LoadTLS
// took them.
type TLS struct {
	CertFile, KeyFile string
	// ClientCAFile signs the certificates of readers. It may be empty.
	ClientCAFile string
}

// Source is one door, with what only the configuration needs to know of it.
type Source struct {
	intake.Source

	// Unverified says that deliveries are taken without proof of where they come from. Then there is no Verifier.
	Unverified bool
}

// IsName tells whether a text can name a source, a provider or a reader.
func IsName(text string) bool { return properName.MatchString(text) }

// Overrides win over the file. What is empty does not.
type Overrides struct {
	PublicAddr, HTTPAddr, GRPCAddr, DataDir string
}

// Load reads a file, or only fills in the defaults where file is empty. The error is a *Problems with everything that is wrong.
func Load(file string, over Overrides, environment func(string) (string, bool), set *adapters.Set) (*Config, error) {
	l, doc := newLoad(file, environment, set), new(document)
	if l.read(doc) {
		l.override(doc, over)
		config := l.resolve(doc)
		if len(l.problems) == 0 {
			return config, nil
		}
	}
	return nil, newProblems(l.problems)
}

// LoadSource reads a file as Load does, but of all that it refers to only what one source needs: whoever looks into that one may not
// have the other secrets. It returns false where the file has no such source.
func LoadSource(file, name string, environment func(string) (string, bool), set *adapters.Set) (Source, bool, error) {
	l, doc := newLoad(file, environment, set), new(document)
	if !l.read(doc) {
		return Source{}, false, newProblems(l.problems)
	}
	if len(doc.Sources) > 0 {
		doc.Sources = slices.DeleteFunc(doc.Sources, func(configured *source) bool { return configured == nil || configured.Name != name })
		if len(doc.Sources) == 0 {
			return Source{}, false, nil
		}
	}
	only := &document{PublicURL: doc.PublicURL, Limits: doc.Limits, Sources: doc.Sources}
	for _, configured := range only.Sources {
		configured.Hold = nil
	}
	l.move(reflect.ValueOf(&doc.Limits).Elem(), reflect.ValueOf(&only.Limits).Elem())
	config := l.resolve(only)
	if len(l.problems) > 0 {
		return Source{}, false, newProblems(l.problems)
	}
	for _, source := range config.Sources {
		if source.Name == name {
			return source, true, nil
		}
	}
	return Source{}, false, nil
}

// move says of the fields of a copy where they were set, which is known of the original.
func (l *load) move(from, to reflect.Value) {
	for i := range from.NumField() {
		if at, ok := l.places[from.Field(i).Addr().Interface()]; ok {
			l.places[to.Field(i).Addr().Interface()] = at
		}
		if from.Field(i).Kind() == reflect.Struct {
			l.move(from.Field(i), to.Field(i))
		}
	}
}

// DataDir reads where a file says that everything is kept, and nothing else of it.
func DataDir(file string) (string, error) {
	l, doc := newLoad(file, func(string) (string, bool) { return "", false }, nil), new(document)
	if !l.read(doc) {
		return "", newProblems(l.problems)
	}
	return cmp.Or(doc.DataDir, DefaultDataDir), nil
}

func newLoad(file string, environment func(string) (string, bool), set *adapters.Set) *load {
	dir := filepath.Dir(file)
	if absolute, err := filepath.Abs(dir); err == nil {
		dir = absolute
	}
	return &load{
		file: file, dir: dir, environment: environment, set: set,
		places: make(map[any]place), secrets: make(map[signature.Secret]owner),
	}
}

// load is the state of one Load.
type load struct {
	file, dir   string
	environment func(string) (string, bool)
	set         *adapters.Set
	// places tells where each field of the document stands. Keys are pointers to the fields.
	places   map[any]place
	problems []*Problem
	warnings []string
	// secrets tells who has a secret already.
	secrets map[signature.Secret]owner
}

// override puts what flags and environment say over the file.
func (l *load) override(doc *document, over Overrides) {
	for field, value := range map[*string]string{
		&doc.PublicAddr: over.PublicAddr, &doc.HTTPAddr: over.HTTPAddr, &doc.GRPCAddr: over.GRPCAddr, &doc.DataDir: over.DataDir,
	} {
		if value != "" {
			*field = value
			l.places[field] = place{path: l.places[field].path, set: true, overridden: true}
		}
	}
}
