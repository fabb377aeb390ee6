package access

import "context"

// hold is a stream that stays open longer than the readers may stay the same.
type hold struct {
	shown  credential
	method string
	end    context.CancelCauseFunc
}

// hold returns a context that ends, with the reason as its cause, when the principal may no longer call the method. ctx must end
// with the stream.
func (g *Gate) hold(ctx context.Context, principal Principal, method string) context.Context {
	ctx, end := context.WithCancelCause(With(ctx, principal))
	h := &hold{principal.shown, method, end}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held[h] = struct{}{}
	h.judge(g) // The readers may have changed since the principal was found.
	context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.held, h)
	})
	return ctx
}

// judge ends the stream if its principal may no longer have it.
func (h *hold) judge(g *Gate) {
	principal, err := g.judge(h.shown)
	if err == nil {
		err = principal.May(h.method)
	}
	if err != nil {
		h.end(err)
	}
}

// ended returns the gate's reason for the end of a held context, if that is why it ended.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); denied(cause) {
		return cause
	}
	return nil
}
