package wire

import "slices"

// Later puts the value aside, because what it means stands behind it, such as a `type` that comes after its `data`. The
// function that it returns reads it, with the path and the notes that it has here; a value that is never read is lost.
func (r *Reader) Later() func(read func(*Reader)) {
	v, path, notes := r.value().Clone(), slices.Clone(r.path), r.Notes()
	if v == nil {
		return func(func(*Reader)) {}
	}
	return func(read func(*Reader)) {
		readChecked(v, path, notes, read) // an error of the whole text, if there is one, tells of this value, too
	}
}
