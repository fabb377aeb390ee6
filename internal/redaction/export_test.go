package redaction

import "slices"

// Classes of what is never redacted for itself.
const (
	Words    = words
	Identity = identity
)

// AllGroups lists all groups, also those that are no class.
func AllGroups() []Group { return slices.Concat(groups, others) }
