// Package signature proves where an HTTP request comes from: the schemes by which calling platforms sign what they send, each
// with its settings, none with a word of a provider. Adapters tell the settings of their provider, the configuration brings the
// secrets and may change the settings.
//
// Every comparison takes the same time whatever was sent. Nothing here logs, and no error repeats a secret or a body.
package signature

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Scheme names a way to prove where a request comes from.
type Scheme string

// The schemes.
const (
	// SchemeHMAC is a keyed hash over a text that Settings.Signed describes.
	SchemeHMAC Scheme = "hmac"
	// SchemeRSA is RSA PKCS #1 v1.5 with SHA-256 over the same kind of text.
	SchemeRSA Scheme = "rsa-sha256"
	// SchemeEd25519 is Ed25519 over the same kind of text.
	SchemeEd25519 Scheme = "ed25519"
	// SchemeHeader is a secret that stands in a header as it is.
	SchemeHeader Scheme = "header"
	// SchemeBearer is a secret in "Authorization: Bearer SECRET".
	SchemeBearer Scheme = "bearer"
	// SchemeBasic is "user:password" in "Authorization: Basic ...".
	SchemeBasic Scheme = "basic"
	// SchemePathToken is a secret as a segment of the path, after the source's name.
	SchemePathToken Scheme = "path-token"
	// SchemeStandardWebhooks is https://www.standardwebhooks.com, v1 and v1a.
	SchemeStandardWebhooks Scheme = "standard-webhooks"
	// SchemeTwilio is HMAC-SHA1 over the public URL and the sorted form.
	SchemeTwilio Scheme = "twilio"
)

// Settings describe one provider's use of a scheme. The zero value of each field means the scheme's default.
type Settings struct {
	Scheme Scheme
	// Headers lists the names under which the signature, or the secret itself, may come: letter case does not count, and "-"
	// and "_" are the same, because proxies change both.
	Headers []string
	// Hash is the hash of HMAC: sha256 (default), sha512 or sha1.
	Hash string
	// Encoding is the signature's: hex, base64, or any of both. HMAC's default is hex, the others' base64.
	Encoding string
	// Prefix stands before the signature, or before the secret of SchemeHeader: "sha256=".
	Prefix string
	// SignatureKey and TimestampKey take signature and time out of a header that is a list: "t=1,v0=abc". Several signatures
	// under one key are alternatives.
	SignatureKey, TimestampKey string
	// Signed describes the text that is signed: {body}, {timestamp}, {method}, {url}, {header:NAME}, {field:PATH} for a string
	// in a JSON body, where PATH is dotted and alternatives are separated by "|": those that are there must say the same.
	// {compact} is a JSON body without white space between its values, {lf} a line feed. Everything else stands for itself.
	// Several forms of the text, a line each, are tried in their order. Default "{body}".
	Signed string
	// TimestampHeader is the header that holds the time, where it stands by itself.
	TimestampHeader string
	// TimestampUnit is s, ms, or auto (default), which tells them apart by their size.
	TimestampUnit string
	// Tolerance is how far a signed time may lie from the time of receipt, both ways. Default 5 minutes. A time that is sent
	// and not signed proves nothing, so there is no place to name one.
	Tolerance time.Duration
	// SecretEncoding tells how a secret is written: text (default), base64 or hex.
	SecretEncoding string
	// SecretLength is the least number of bytes of a secret, after decoding, where the provider dictates one below 16.
	SecretLength int
	// Keys lists public keys in PEM or base64 that the provider publishes. Configured ones replace them.
	Keys []string
	// PublicURL is what stands before the request's path in the address that the provider has: "https://hooks.example.com",
	// with the part of the path that a proxy removes, if it removes one. For schemes that sign the URL.
	PublicURL string
}

// Request is what a signature may cover.
type Request struct {
	Method string
	// Path is the escaped path, Query the raw query without the question mark.
	Path, Query string
	// Token is the segment of the path that may be a secret. Only SchemePathToken reads it.
	Token  string
	Header http.Header
	Body   []byte
	// Time is when the request was received.
	Time time.Time
}

// Cause tells why a request was refused. The list is closed.
type Cause string

// The causes.
const (
	CauseSignatureMissing   Cause = "signature missing"
	CauseSignatureDuplicate Cause = "signature sent more than once"
	CauseSignatureMalformed Cause = "signature malformed"
	CauseSignatureMismatch  Cause = "signature mismatch"
	CauseTimeMissing        Cause = "signed time missing"
	CauseTimeMalformed      Cause = "signed time malformed"
	CauseTimeTooOld         Cause = "signed time too old"
	CauseTimeInFuture       Cause = "signed time in the future"
	CauseFieldMissing       Cause = "signed field missing"
)

// Refusal is the error of a request that was not proved.
type Refusal struct{ Cause Cause } //nolint:errname // "refusal" is what the door, the records and the operators call it.

// Error returns the cause.
func (r *Refusal) Error() string { return string(r.Cause) }

// Secret is a secret or a public key as it was configured. However it is printed, it is not shown.
type Secret string

const redacted = "[redacted]"

// String hides the secret.
func (Secret) String() string { return redacted }

// GoString hides the secret.
func (Secret) GoString() string { return redacted }

// Format hides the secret under every verb.
func (Secret) Format(state fmt.State, _ rune) { _, _ = fmt.Fprint(state, redacted) }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
