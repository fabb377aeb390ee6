package wire

// Room allocates messages of one kind, several at once.
type Room[M any] struct{ chunk []M }

// What is allocated at once where no number is expected, or more come than were.
const (
	firstChunk   = 2
	largestChunk = 32
)

// RoomFor returns room for a number of messages, which others may follow.
func RoomFor[M any](expected int) Room[M] { return Room[M]{make([]M, 0, expected)} }

// New returns a message that is empty.
func (r *Room[M]) New() *M {
	if len(r.chunk) == cap(r.chunk) {
		r.chunk = make([]M, 0, min(max(firstChunk, 2*cap(r.chunk)), largestChunk))
	}
	r.chunk = r.chunk[:len(r.chunk)+1]
	return &r.chunk[len(r.chunk)-1]
}

// Roomy returns a list, with room for several messages when there is none in it yet.
func Roomy[T any](list []T) []T {
	const several = 8
	if list == nil {
		return make([]T, 0, several)
	}
	return list
}
