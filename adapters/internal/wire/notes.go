package wire

import (
	"strings"
	"unicode/utf8"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Notes collects what a reader of an outcome should know beside its facts. They become its provenance.
type Notes struct {
	provenance callnormv1.Provenance
	unmapped   Room[callnormv1.UnmappedField]
	warnings   Room[callnormv1.Warning]
	bytes      int // of the unmapped fields
	truncated  bool
	read       rooms
}

// rooms are for what is read of one outcome.
type rooms struct {
	spans Room[durationpb.Duration]
	named Room[callnormv1.NamedValue]
	texts Room[textValue]
}

// textValue is a value that is a text, as most are.
type textValue struct {
	value callnormv1.Value
	kind  callnormv1.Value_StringValue
}

// What is kept of unmapped fields, warnings and paths in one outcome. The delivery holds all of them; unmapped fields are
// counted all.
const (
	maxUnmapped      = 200
	maxUnmappedBytes = 64 << 10
	maxWarnings      = 100
	maxPath          = 512
)

// Unmapped keeps a field that has no place in the outcome.
func (n *Notes) Unmapped(path string, value jsontext.Value) {
	p := &n.provenance
	p.UnmappedCount++
	path = clip(path)
	size := len(path) + len(value)
	if len(p.GetUnmapped()) >= maxUnmapped || n.bytes+size > maxUnmappedBytes {
		if !n.truncated {
			n.truncated = true
			n.warn(callnormv1.WarningKind_WARNING_KIND_TRUNCATED, path, "not all unmapped fields are listed")
		}
		return
	}
	n.bytes += size
	field := n.unmapped.New()
	field.Path, field.ValueJson = path, compact(value)
	p.Unmapped = append(Roomy(p.GetUnmapped()), field)
}

// UnmappedText keeps a text that was read and then found to have no place in the outcome.
func (n *Notes) UnmappedText(path, text string) {
	var short [64]byte
	quoted, _ := jsontext.AppendQuote(short[:0], text) // what it cannot quote it replaces
	n.Unmapped(path, quoted)
}

// Warn adds a warning. The message must not repeat what the field holds.
func (n *Notes) Warn(kind callnormv1.WarningKind, path, message string) {
	if len(n.provenance.GetWarnings()) < maxWarnings {
		n.warn(kind, clip(path), message)
	}
}

func (n *Notes) warn(kind callnormv1.WarningKind, path, message string) {
	warning := n.warnings.New()
	warning.Kind, warning.Path, warning.Message = kind, path, message
	n.provenance.Warnings = append(Roomy(n.provenance.GetWarnings()), warning)
}

// clip shortens the path of a field whose name, which the sender chose, is too long.
func clip(path string) string {
	if len(path) <= maxPath {
		return path
	}
	end := maxPath
	for !utf8.RuneStart(path[end]) {
		end--
	}
	return path[:end] + "…"
}

// Usable returns a text, unless a placeholder stands in its place: that tells nothing and, as an id, would make one call of many.
// It is warned of and kept.
func (n *Notes) Usable(path, text string) string {
	return n.UsableAt(func() string { return path }, text)
}

// UsableAt is Usable for a path that is only put together where it is told.
func (n *Notes) UsableAt(path func() string, text string) string {
	if !Placeholder(text) {
		return text
	}
	if strings.TrimSpace(text) != "" {
		at := path()
		n.Warn(callnormv1.WarningKind_WARNING_KIND_PLACEHOLDER, at, "a placeholder instead of a value; it tells nothing")
		n.UnmappedText(at, text)
	}
	return ""
}

// Derived says that a field of the outcome was computed from others.
func (n *Notes) Derived(field string) {
	n.provenance.DerivedFields = append(n.provenance.DerivedFields, field)
}

// Provenance returns the notes as an outcome carries them.
func (n *Notes) Provenance() *callnormv1.Provenance { return &n.provenance }

// compact returns a value, which must be valid JSON, without the white space between its parts.
func compact(value []byte) string {
	if kind := value[0]; kind != '{' && kind != '[' {
		return string(value)
	}
	var short [256]byte
	text := short[:0]
	for pos := 0; pos < len(value); {
		switch c := value[pos]; c {
		case ' ', '\n', '\r', '\t':
			pos++
		case '"':
			end := endOfText(value, pos)
			text = append(text, value[pos:end]...)
			pos = end
		default:
			text = append(text, c)
			pos++
		}
	}
	return string(text)
}
