package signature

import (
	"cmp"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxProofs bounds the alternatives in one header.
const maxProofs = 16

// Verifier proves where requests come from. It may be used concurrently.
type Verifier struct {
	settings  Settings
	secrets   []Secret
	keys      []key
	templates []template
	bases     []string // the public URL, in the forms that the sender may have signed
	signed    []string
}

// New returns a verifier. Secrets are ordered newest first; any of them may match. For RSA and Ed25519 they are the public keys,
// in PEM or base64, and without any the settings' own are used. The error tells all problems of settings and secrets.
func New(settings Settings, secrets []Secret) (*Verifier, error) {
	err := settings.check()
	if errors.Is(err, errScheme) {
		return nil, err // what a secret must be like is not known
	}
	v := &Verifier{settings: settings.WithDefaults(), secrets: slices.Clone(secrets)}
	keys, keyErr := v.settings.readKeys(secrets)
	if err := errors.Join(err, keyErr); err != nil {
		return nil, err
	}
	v.keys = keys
	switch {
	case settings.Scheme == SchemeStandardWebhooks:
		v.templates = []template{standardTemplate(v.settings.Headers)}
	case settings.templated():
		for source := range strings.SplitSeq(v.settings.Signed, "\n") {
			t, err := parseTemplate(source)
			if err != nil {
				return nil, err
			}
			v.templates = append(v.templates, t)
		}
	}
	v.bases = []string{v.settings.PublicURL}
	if settings.Scheme == SchemeTwilio {
		v.bases = addresses(v.settings.PublicURL)
	}
	v.signed = v.parts()
	return v, nil
}

// Format prints the scheme and no secret, under every verb: fmt does not ask fields that it cannot reach how to print them.
func (v *Verifier) Format(state fmt.State, _ rune) {
	_, _ = fmt.Fprintf(state, "verifier of %s", v.Name())
}

// Name names the scheme as provenance tells it: "hmac-sha256", "hmac-sha512", "hmac-sha1", or the scheme's own name.
func (v *Verifier) Name() string {
	if v.settings.Scheme == SchemeHMAC {
		return string(SchemeHMAC) + "-" + v.settings.Hash
	}
	return string(v.settings.Scheme)
}

// Signed names the parts of a request that a signature covers: "body", "body without white space", "timestamp", "method", "url",
// "form", "header NAME", "field PATH". It is nil for credentials, which cover nothing. It must not be changed.
func (v *Verifier) Signed() []string { return v.signed }

func (v *Verifier) parts() []string {
	switch {
	case v.settings.credential():
		return nil
	case v.settings.Scheme == SchemeTwilio:
		return []string{"url", "form"}
	default:
		return covered(v.templates)
	}
}

// SignsBody tells whether no part of the body, but for white space between JSON values, can change without notice.
func (v *Verifier) SignsBody() bool { return CoverBody(v.Signed()) }

// CoverBody tells whether parts that Signed has named cover the body.
func CoverBody(parts []string) bool {
	return slices.Contains(parts, pieceBody) || slices.Contains(parts, coversCompact) || slices.Contains(parts, "form")
}

// IsCredential tells whether the secret itself is sent: that proves the sender and signs nothing.
func (v *Verifier) IsCredential() bool { return v.settings.credential() }

// IsSecretHeader tells whether the value of a header is a secret and must not be stored.
func (v *Verifier) IsSecretHeader(name string) bool {
	return v.settings.credential() && named(v.settings.Headers, name)
}

// UsesPathToken tells whether the path holds the secret.
func (v *Verifier) UsesPathToken() bool { return v.settings.Scheme == SchemePathToken }

// Verify returns the index of the secret, or public key, that proves the request. The error is a *Refusal.
func (v *Verifier) Verify(r Request) (int, error) {
	e := v.read(&r)
	if e.cause != "" {
		return -1, &Refusal{Cause: e.cause}
	}
	i, cause := v.match(&r, e)
	if cause == "" && v.settings.signsTime() {
		// Last, so that a time is only called too old when the sender wrote it.
		cause = inTime(e.skew, v.settings.Tolerance)
	}
	if cause != "" {
		return -1, &Refusal{Cause: cause}
	}
	return i, nil
}

// evidence is what a request brings to prove itself.
type evidence struct {
	proofs    []proof
	timestamp string
	skew      time.Duration
	cause     Cause // why there is none
}

// match holds the proofs against all keys, whichever matches. Only the form of the text that matched shows in the time, and that
// is no secret.
func (v *Verifier) match(r *Request, e evidence) (int, Cause) {
	var refused Cause
	for i := range v.texts() {
		signed, cause := v.text(r, e, i)
		if cause != "" {
			refused = cmp.Or(refused, cause)
			continue
		}
		refused = CauseSignatureMismatch
		found := -1
		for k, key := range slices.Backward(v.keys) {
			found = subtle.ConstantTimeSelect(key.matches(signed, e.proofs), k, found)
		}
		if found >= 0 {
			return found, ""
		}
	}
	return -1, refused
}

// texts returns how many forms of the signed text there are.
func (v *Verifier) texts() int {
	switch {
	case v.settings.credential():
		return 1
	case v.settings.Scheme == SchemeTwilio:
		return len(v.bases)
	default:
		return len(v.templates)
	}
}

// text returns one form of the signed text.
func (v *Verifier) text(r *Request, e evidence, i int) (text, Cause) {
	switch {
	case v.settings.credential():
		return nil, ""
	case v.settings.Scheme == SchemeTwilio:
		form, cause := twilioForm(r)
		return text{[]byte(address(v.bases[i], r)), []byte(form)}, cause
	default:
		return v.templates[i].fill(r, v.settings.PublicURL, e.timestamp)
	}
}

// read takes the evidence out of a request.
func (v *Verifier) read(r *Request) evidence {
	if v.settings.Scheme == SchemePathToken {
		if r.Token == "" {
			return evidence{cause: CauseSignatureMissing}
		}
		return evidence{proofs: []proof{{value: []byte(r.Token)}}}
	}
	value, cause := lookup(r.Header, v.settings.Headers, CauseSignatureMissing, CauseSignatureDuplicate)
	if cause != "" {
		return evidence{cause: cause}
	}
	var e evidence
	switch v.settings.Scheme {
	case SchemeHeader:
		e.proofs, e.cause = v.readHeader(value)
	case SchemeBearer, SchemeBasic:
		e.proofs, e.cause = v.readAuthorization(value)
	case SchemeStandardWebhooks:
		e.proofs = standardProofs(value)
		e.timestamp, e.cause = lookup(r.Header, siblings(v.settings.Headers, "-Timestamp"), CauseTimeMissing, CauseTimeMalformed)
	case SchemeTwilio:
		e.proofs = v.decode(encodingBase64, []string{value})
	default:
		e = v.readSignature(r, value)
	}
	if e.cause == "" && (len(e.proofs) == 0 || len(e.proofs) > maxProofs) {
		e.cause = CauseSignatureMalformed
	}
	if e.cause == "" && v.settings.signsTime() {
		sent, ok := millis(e.timestamp, v.settings.TimestampUnit)
		if !ok {
			e.cause = CauseTimeMalformed
		}
		e.skew = skew(sent, r.Time)
	}
	return e
}

// readSignature reads the header of a scheme that Settings.Signed describes.
func (v *Verifier) readSignature(r *Request, value string) (e evidence) {
	signatures := []string{value}
	if v.settings.SignatureKey != "" {
		signatures, e.timestamp, e.cause = list(value, v.settings.SignatureKey, v.settings.TimestampKey)
		if e.cause != "" {
			return e
		}
	}
	if v.settings.TimestampHeader != "" {
		e.timestamp, e.cause = lookup(r.Header, []string{v.settings.TimestampHeader}, CauseTimeMissing, CauseTimeMalformed)
		if e.cause != "" {
			return e
		}
	}
	e.proofs = v.decode(v.settings.Encoding, signatures)
	return e
}

// decode reads signatures, and passes those over that cannot be one.
func (v *Verifier) decode(encoding string, signatures []string) []proof {
	sizes := make([]int, 0, len(v.keys))
	for _, k := range v.keys {
		sizes = append(sizes, k.size())
	}
	var proofs []proof
	for _, signature := range signatures {
		bare, prefixed := strings.CutPrefix(signature, v.settings.Prefix)
		if value, ok := decode(encoding, bare, sizes); ok && prefixed {
			proofs = append(proofs, proof{value: value})
		}
	}
	return proofs
}

// readHeader reads a header that holds the secret.
func (v *Verifier) readHeader(value string) ([]proof, Cause) {
	secret, ok := strings.CutPrefix(value, v.settings.Prefix)
	if !ok || secret == "" {
		return nil, CauseSignatureMalformed
	}
	return []proof{{value: []byte(secret)}}, ""
}

// readAuthorization reads "Bearer SECRET" or "Basic BASE64".
func (v *Verifier) readAuthorization(value string) ([]proof, Cause) {
	word, secret, _ := strings.Cut(value, " ")
	if !strings.EqualFold(word, string(v.settings.Scheme)) || secret == "" {
		return nil, CauseSignatureMalformed
	}
	if v.settings.Scheme == SchemeBearer {
		return []proof{{value: []byte(secret)}}, ""
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(secret)
	if err != nil || strings.ContainsAny(secret, "\r\n") {
		return nil, CauseSignatureMalformed
	}
	return []proof{{value: raw}}, ""
}
