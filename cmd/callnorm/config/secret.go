package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/callnorm/callnorm/internal/signature"
)

const (
	// maxSecret bounds a secret and a public key, in bytes.
	maxSecret = 64 << 10
	// minToken is the least number of bytes of a reader's token, minHoldKey of the key that encrypts held requests.
	minToken, minHoldKey = 16, 32
)

// variable is what the name of an environment variable looks like. Only such a one is repeated: it may be a secret gone astray.
var variable = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`)

// secret reads what a reference refers to, without the newline at its end. It makes the reference's file absolute.
func (l *load) secret(r *reference) (secret signature.Secret, ok bool) {
	if r == nil || l.wrong(r) {
		return "", false
	}
	var text string
	switch {
	case r.File != "" && r.Env != "":
		l.problemf(r, "takes either a file or an environment variable")
		return "", false
	case r.File != "":
		r.File = l.absolute(r.File)
		read, err := readFile(r.File, maxSecret)
		if err != nil {
			l.problemf(r, "%s: %v", printable(r.File), cause(err))
			return "", false
		}
		text = string(read)
	case r.Env != "":
		value, set := l.environment(r.Env)
		name := "the environment variable"
		if variable.MatchString(r.Env) {
			name += " " + r.Env
		}
		if !set {
			l.problemf(r, "%s is not set", name)
			return "", false
		}
		if len(value) > maxSecret {
			l.problemf(r, "%s is too long", name)
			return "", false
		}
		text = value
	default:
		l.problemf(r, "takes {file: ...} or {env: ...}")
		return "", false
	}
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	if text == "" {
		l.problemf(r, "is empty")
		return "", false
	}
	return signature.Secret(text), true
}

// absolute returns the place of a file that is named relative to the configuration.
func (l *load) absolute(file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(l.dir, file)
}

// guarded warns of a secret in a file that everybody can read. Groups are how a service shares a secret with its operator.
func (l *load) guarded(r *reference) { l.guardedFile(&r.File) }

func (l *load) guardedFile(file *string) {
	const others = 0o004
	if about, err := os.Stat(*file); err == nil && about.Mode().IsRegular() && about.Mode().Perm()&others != 0 {
		l.warningf(file, "%s can be read by everybody on this machine: chmod o-rwx", printable(*file))
	}
}

// owner is who has a secret.
type owner struct {
	path string
	// source is the index of a source, -1 where it is somebody else.
	source int
}

// own notes who has a secret, and refuses what would let one stand in for another. Sources may share one: that is how an
// account with a platform works.
func (l *load) own(r *reference, secret signature.Secret, source int) {
	before, taken := l.secrets[secret]
	if !taken {
		l.secrets[secret] = owner{path: l.places[r].path, source: source}
		return
	}
	if source < 0 || before.source < 0 || source == before.source {
		l.problemf(r, "is the same as %s", before.path)
	}
}

// one puts a single value in front of a list of them: "token" and "tokens" are two spellings.
func one[T comparable](l *load, single *T, list *[]T, what string) {
	var none T
	if *single == none {
		return
	}
	if l.has(list) {
		l.problemf(single, "stands beside %s: take one of them", what)
		return
	}
	*list, *single = []T{*single}, none
}

// printable cuts what stands in a message.
func printable(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}
