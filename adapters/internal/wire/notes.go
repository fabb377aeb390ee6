package wire

import (
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/go-json-experiment/json/jsontext"
)

// Notes collects what a reader of an outcome should know beside its facts. They become its provenance.
type Notes struct {
	provenance callnormv1.Provenance
	bytes      int
}

// What is kept of unmapped fields in one outcome. The delivery holds all of them; they are counted all.
const (
	maxUnmapped      = 200
	maxUnmappedBytes = 64 << 10
)

// Unmapped keeps a field that has no place in the outcome.
func (n *Notes) Unmapped(path string, value jsontext.Value) {
	p := &n.provenance
	p.UnmappedCount++
	if len(p.Unmapped) >= maxUnmapped || n.bytes+len(value) > maxUnmappedBytes {
		if n.bytes <= maxUnmappedBytes {
			n.bytes = maxUnmappedBytes + 1
			n.Warn(callnormv1.WarningKind_WARNING_KIND_TRUNCATED, path, "not all unmapped fields are listed")
		}
		return
	}
	n.bytes += len(value)
	p.Unmapped = append(p.Unmapped, &callnormv1.UnmappedField{Path: path, ValueJson: compact(value)})
}

// UnmappedText keeps a text that was read and then found to have no place in the outcome.
func (n *Notes) UnmappedText(path, text string) {
	quoted, err := jsontext.AppendQuote(nil, text)
	if err == nil {
		n.Unmapped(path, quoted)
	}
}

// Warn adds a warning. The message must not repeat what the field holds.
func (n *Notes) Warn(kind callnormv1.WarningKind, path, message string) {
	const maxWarnings = 100
	if len(n.provenance.Warnings) < maxWarnings {
		n.provenance.Warnings = append(n.provenance.Warnings,
			&callnormv1.Warning{Kind: kind, Path: path, Message: message})
	}
}

// Derived says that a field of the outcome was computed from others.
func (n *Notes) Derived(field string) {
	n.provenance.DerivedFields = append(n.provenance.DerivedFields, field)
}

// Provenance returns the notes as an outcome carries them.
func (n *Notes) Provenance() *callnormv1.Provenance { return &n.provenance }

func compact(value jsontext.Value) string {
	// Compacting works in place, and the value belongs to the body.
	v := value.Clone()
	if err := v.Compact(jsontext.AllowDuplicateNames(true), jsontext.PreserveRawStrings(true)); err != nil {
		return string(value)
	}
	return string(v)
}
