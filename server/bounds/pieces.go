package bounds

import "context"

const (
	firstPiece = 8 << 10  // holds most webhooks whole
	maxPiece   = 64 << 10 // a body's last piece is half empty on average, and all of it where a sender stops
	leastPiece = 512
)

// pieces are bytes of which nobody knows how many come. Each piece is as large as all before it, up to a bound, and is reserved
// before it is made. The first is reserved when its first byte has come: until then it is part of what a connection costs, and a
// sender who only declares bytes holds none.
type pieces struct {
	claim *claim
	list  [][]byte
	size  int64
	owed  int64 // of the first piece
}

// room returns where the next bytes go, at least one. Expected is how many there may be, or negative; it only ever makes a piece
// smaller.
func (p *pieces) room(ctx context.Context, expected int64) ([]byte, error) {
	if len(p.list) > 0 {
		if last := p.list[len(p.list)-1]; len(last) < cap(last) {
			return last[len(last):cap(last)], nil
		}
	}
	next := min(max(p.size, firstPiece), maxPiece)
	if expected >= 0 {
		next = min(next, max(expected, leastPiece))
	}
	if len(p.list) == 0 {
		p.owed = next
	} else if err := p.claim.grow(ctx, next); err != nil {
		return nil, err
	}
	p.list = append(p.list, make([]byte, 0, next))
	return p.list[len(p.list)-1][:next], nil
}

// add says that the first n bytes of the room are there.
func (p *pieces) add(ctx context.Context, n int) error {
	if n == 0 {
		return nil
	}
	if err := p.claim.grow(ctx, p.owed); err != nil {
		return err
	}
	p.owed = 0
	last := &p.list[len(p.list)-1]
	*last = (*last)[:len(*last)+n]
	p.size += int64(n)
	return nil
}

// join returns all bytes in one slice, and forgets the pieces.
func (p *pieces) join(ctx context.Context) ([]byte, error) {
	list := p.list
	p.list = nil
	switch {
	case p.size == 0:
		return nil, nil
	case len(list) == 1:
		return list[0], nil
	}
	if err := p.claim.grow(ctx, p.size); err != nil {
		return nil, err
	}
	whole := make([]byte, 0, p.size)
	for i, piece := range list {
		whole = append(whole, piece...)
		p.claim.shrink(int64(cap(piece)))
		list[i] = nil
	}
	return whole, nil
}
