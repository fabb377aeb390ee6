package adapters

import "github.com/callnorm/callnorm/internal/signature"

// Signed is an optional interface of adapters whose providers prove where their deliveries come from. Without it, a source has to
// describe its verification itself.
type Signed interface {
	// Signature returns how the provider signs. Secrets come from the configuration, which may change the settings, too.
	Signature() signature.Settings
}
