package voxia

import "github.com/callnorm/callnorm/internal/signature"

// Signature tells how Voxia signs: with the key that it publishes, over the payload as JSON.stringify writes it. The prose of the
// documentation speaks of HMAC, its code of RSA. The body is tried as it was sent, and then without white space, in case
// something on the way has laid it out anew. White labels use the second header.
//
// Documentation: https://docs.voxia.ai/documentation/webhook/validating-webhook-signatures.
func (*Adapter) Signature() signature.Settings {
	return signature.Settings{
		Scheme:  signature.SchemeRSA,
		Headers: []string{"X-Voxia-Signature", "X-Signature"},
		Signed:  "{body}\n{compact}",
		Keys:    []string{publicKey},
	}
}

const publicKey = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqlIbBLMO6BYo8qiVke3o
oGnKikX1n+htu/TQN6IaPF81+4puf6wdSf4aQkh+PkbWeVExsazpoKr/EOWAXsGy
DxYuoROtRhfo/nskQDjfk78DZRWkj7RW7lMLe+MilUaMPQnDQtDAIc9d/9yoGGjt
GRHmfgfswt6f+zOyqqbOzoGD5kDdw8d5ZBiwNGFv1BFkDN5Ivj5fsMrGc3nFpaHI
kSC8beE0NQdDbN9k4GV9C6OOEoDJvZiQwg3Ck3hTO44mOXj+yQKdPm7bdShd4Ap6
wgfVDVU4LvvRLEn1fW0n58f7nBA5f9SNpE6NTipjg0qWIcilZtL/Lj90XroHCqZi
7QIDAQAB
-----END PUBLIC KEY-----
`
