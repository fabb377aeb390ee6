package elevenlabs

import (
	"time"

	"github.com/callnorm/callnorm/internal/signature"
)

// Signature tells how ElevenLabs signs: "t=1739537319,v0=<hex>", an HMAC over the time and the body, keyed with the whole secret, of
// which the prefix wsec_ is a part. Its own library accepts times of up to half an hour ago.
//
// Documentation: https://elevenlabs.io/docs/overview/administration/webhooks.
func (*Adapter) Signature() signature.Settings {
	return signature.Settings{
		Scheme:        signature.SchemeHMAC,
		Headers:       []string{"ElevenLabs-Signature"},
		SignatureKey:  "v0",
		TimestampKey:  "t",
		TimestampUnit: "s",
		Tolerance:     30 * time.Minute,
		Signed:        "{timestamp}.{body}",
	}
}
