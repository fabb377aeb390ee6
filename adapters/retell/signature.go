package retell

import "github.com/callnorm/callnorm/internal/signature"

// Signature tells how Retell signs: an HMAC over the body and, right behind it, the digits of the time. The key is the API key that
// carries the webhook badge in Retell's dashboard.
//
// Documentation: https://docs.retellai.com/features/secure-webhook.
func (*Adapter) Signature() signature.Settings {
	return signature.Settings{
		Scheme:        signature.SchemeHMAC,
		Headers:       []string{"X-Retell-Signature"},
		SignatureKey:  "d",
		TimestampKey:  "v",
		TimestampUnit: "ms",
		Signed:        "{body}{timestamp}",
	}
}
