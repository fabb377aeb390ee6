package bounds

import (
	"bytes"
	"context"
	"net/http"
)

// Inflate returns what is in a body that was received before, under the limits of content. Errors are those of Read.
func Inflate(ctx context.Context, wire []byte, header http.Header, limits BodyLimits) ([]byte, error) {
	limits.Pace = Pace{} // nobody is waited for
	in := &reading{
		ctx: ctx, source: bytes.NewReader(wire), declared: int64(len(wire)), limits: limits, claim: &claim{budget: limits.Budget},
		control: http.NewResponseController(nil),
	}
	in.wire.claim, in.content.claim = in.claim, in.claim
	defer in.claim.release()
	body, err := in.body(header)
	return body.Content, err
}
