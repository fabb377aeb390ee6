package vapi

import "github.com/callnorm/callnorm/internal/signature"

// Signature tells how Vapi proves itself where nothing else was set up: by the secret of the server URL in a header of its own. It
// signs nothing. A server URL may have a credential instead; the configuration of the source then names that: the scheme `bearer`
// for a bearer token or OAuth 2, or `hmac` with the header, the hash and the text that the credential was given.
//
// Documentation: https://docs.vapi.ai/server-url/server-authentication.
func (*Adapter) Signature() signature.Settings {
	return signature.Settings{Scheme: signature.SchemeHeader, Headers: []string{"X-Vapi-Secret"}}
}
