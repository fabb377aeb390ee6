package bland

import "github.com/callnorm/callnorm/internal/signature"

// Signature tells how Bland signs, once a secret has been created: an HMAC over the payload as JSON.stringify writes it, without a
// time. The body is tried as it was sent, and then without white space, in case something on the way has laid it out anew.
// The tokens of its enterprise plan, which cover no body, are another thing; the documentation names no header for them.
//
// Documentation: https://docs.bland.ai/tutorials/webhook-signing.
func (*Adapter) Signature() signature.Settings {
	return signature.Settings{
		Scheme:  signature.SchemeHMAC,
		Headers: []string{"X-Webhook-Signature"},
		Signed:  "{body}\n{compact}",
	}
}
