package intake

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/internal/store"
)

// proof is what proves where a delivery comes from.
type proof struct {
	by     string
	signed []string
	// secret is the one that matched, if there are any.
	secret rejection.Fingerprint
	// isSecret tells which headers hold a secret. It may be nil.
	isSecret func(header string) bool
}

// verify proves where a request comes from, or refuses it.
func (in *Intake) verify(d *door, request Request) (proof, error) {
	if d.Verifier == nil {
		return proof{}, nil
	}
	signed := request.signed()
	secret, err := d.Verifier.Verify(signed)
	if err != nil && request.Wire != nil {
		// A sender that compresses may have signed before or after that.
		signed.Body = request.Wire
		if again, other := d.Verifier.Verify(signed); other == nil {
			secret, err = again, nil
		}
	}
	if err != nil {
		refusal := (*signature.Refusal)(nil)
		if !errors.As(err, &refusal) {
			return proof{}, fmt.Errorf("verify: %w", err)
		}
		cause := causes[refusal.Cause]
		in.Refuse(request, cause)
		return proof{}, &NotVerifiedError{Cause: cause, refusal: refusal}
	}
	proved := proof{by: d.Verifier.Name(), signed: d.Verifier.Signed(), isSecret: d.Verifier.IsSecretHeader}
	if secret < len(d.fingerprints) {
		proved.secret = d.fingerprints[secret]
	}
	return proved, nil
}

// signed returns what a signature may cover.
func (r Request) signed() signature.Request {
	return signature.Request{
		Method: r.Method, Path: r.Path, Query: r.Query, Token: r.Token, Header: r.Header, Body: r.Body, Time: r.ReceiveTime,
	}
}

// Explain tells a person why a request is let in at a source or not, and what may be wrong. The source has a verifier.
func Explain(source Source, request Request) signature.Explanation {
	signed := request.signed()
	explained := source.Verifier.Explain(signed)
	if explained.Cause != "" && request.Wire != nil {
		signed.Body = request.Wire
		if other := source.Verifier.Explain(signed); other.Cause == "" {
			return other
		}
	}
	return explained
}

// causes says in the contract's words why something was refused.
var causes = map[signature.Cause]callnormv1.RejectionCause{
	signature.CauseSignatureMissing:   callnormv1.RejectionCause_REJECTION_CAUSE_SIGNATURE_MISSING,
	signature.CauseSignatureDuplicate: callnormv1.RejectionCause_REJECTION_CAUSE_SIGNATURE_DUPLICATE,
	signature.CauseSignatureMalformed: callnormv1.RejectionCause_REJECTION_CAUSE_SIGNATURE_MALFORMED,
	signature.CauseSignatureMismatch:  callnormv1.RejectionCause_REJECTION_CAUSE_SIGNATURE_MISMATCH,
	signature.CauseTimeMissing:        callnormv1.RejectionCause_REJECTION_CAUSE_TIME_MISSING,
	signature.CauseTimeMalformed:      callnormv1.RejectionCause_REJECTION_CAUSE_TIME_MALFORMED,
	signature.CauseTimeTooOld:         callnormv1.RejectionCause_REJECTION_CAUSE_TIME_TOO_OLD,
	signature.CauseTimeInFuture:       callnormv1.RejectionCause_REJECTION_CAUSE_TIME_IN_FUTURE,
	signature.CauseFieldMissing:       callnormv1.RejectionCause_REJECTION_CAUSE_FIELD_MISSING,
}

// notHeld lists the causes that no other secret or setting will mend: the request is remembered, but not held.
var notHeld = []callnormv1.RejectionCause{
	callnormv1.RejectionCause_REJECTION_CAUSE_BODY_TOO_LARGE,
	callnormv1.RejectionCause_REJECTION_CAUSE_ENCODING_UNSUPPORTED,
	callnormv1.RejectionCause_REJECTION_CAUSE_RATE, // it was told to come again
}

// Refuse remembers that a request was refused, and holds it where the source wants that.
func (in *Intake) Refuse(request Request, cause callnormv1.RejectionCause) {
	if request.Held {
		return // it is remembered already
	}
	wire := request.Wire
	if wire == nil {
		wire = request.Body
	}
	refused := rejection.Rejection{
		Source: request.Source, Cause: cause.String(), Time: in.Now(), Address: rejection.ClassOf(request.Address),
		Forwarded: request.Forwarded, BodyBytes: int64(len(wire)), HeaderBytes: headerBytes(request.Header),
	}
	var held *rejection.Request
	limits := rejection.Limits{}
	if d := in.doors.Load().byName[request.Source]; d != nil && d.Hold != (rejection.Limits{}) && !slices.Contains(notHeld, cause) {
		limits = d.Hold
		held = &rejection.Request{
			Method: request.Method, Path: request.Path, Query: request.Query, Header: request.Header,
			Body: wire, ReceiveTime: request.ReceiveTime,
		}
	}
	in.Rejections.Reject(refused, held, limits)
	in.Observer.Rejected(request.Source, cause)
}

func headerBytes(header http.Header) (size int64) {
	for name, values := range header {
		for _, value := range values {
			size += int64(len(name) + len(value))
		}
	}
	return size
}

// alwaysSecret names headers that carry secrets of somebody, whatever the source's scheme.
var alwaysSecret = []string{"Authorization", "Cookie", "Proxy-Authorization"}

const redacted = "[redacted]"

// headerLines returns a header as it is kept: without secrets, which nobody needs after the verification.
func headerLines(header http.Header, isSecret func(string) bool) []store.HeaderLine {
	lines := HeaderLines(header)
	for i, line := range lines {
		if slices.Contains(alwaysSecret, line.Name) || isSecret != nil && isSecret(line.Name) {
			lines[i].Value = redacted
		}
	}
	return lines
}

// HeaderLines returns a header as lines, in the order of their names.
func HeaderLines(header http.Header) []store.HeaderLine {
	lines := make([]store.HeaderLine, 0, len(header))
	for name, values := range header {
		for _, value := range values {
			lines = append(lines, store.HeaderLine{Name: name, Value: value})
		}
	}
	slices.SortStableFunc(lines, func(a, b store.HeaderLine) int { return strings.Compare(a.Name, b.Name) })
	return lines
}

// headerOf returns a kept header as adapters see it.
func headerOf(lines []store.HeaderLine) http.Header {
	header := make(http.Header, len(lines))
	for _, line := range lines {
		header[line.Name] = append(header[line.Name], line.Value)
	}
	return header
}
