package twilio

import "github.com/callnorm/callnorm/internal/signature"

// Signature tells how Twilio signs: with the account's auth token, over the address that the customer gave it and the form. The
// public URL of that address has to be configured, since a proxy may have changed it on the way.
func (*Adapter) Signature() signature.Settings {
	return signature.Settings{Scheme: signature.SchemeTwilio}
}
