// Package bounds protects the door before anything is understood: how many connections there are and whose, how many bytes are
// held at a time, how large a body is and how slowly it may come, how often an address may knock. It knows HTTP and addresses; it
// decides nothing about sources, signatures or answers. Callers map its errors to codes.
package bounds

import "errors"

// Errors of reading a body. None of them repeats a byte of it, or an address.
var (
	// ErrTooLarge is a body above its limit, before or after inflation, or a gzip bomb. Sending it again does not help: 413.
	ErrTooLarge = errors.New("the body is too large")
	// ErrEncoding is a Content-Encoding other than none, identity or gzip, or more than one. It is the sender's to change: 415.
	ErrEncoding = errors.New("bodies come plain or with the one Content-Encoding gzip")
	// ErrCorrupt is a body that arrived as a whole and is not the gzip that its header says: damaged, cut before its end, or with
	// something behind it. HTTP and TCP have vouched for the bytes, so the sender made them: 400.
	ErrCorrupt = errors.New("the body is not valid gzip")
	// ErrUnreadable is a body that did not arrive as a whole: fewer bytes than declared, a broken chunk, a lost connection. The
	// network may have done that; sending it again may help: 503.
	ErrUnreadable = errors.New("the body did not arrive as a whole")
	// ErrTooSlow is a body that came slower than its pace. A sender on a bad network does better next time: 503.
	ErrTooSlow = errors.New("the body came too slowly")
	// ErrOverloaded is a body for which there was no room in time, or that came slowly while others waited for room: 503 with
	// Retry-After.
	ErrOverloaded = errors.New("too many bytes are being held at a time; try again")
)
