package signature

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	defaultTolerance = 5 * time.Minute
	// minSecret is the least number of bytes of a secret, unless the provider dictates a lower one.
	minSecret = 16
)

// Words of the settings.
const (
	hashSHA256 = "sha256"
	hashSHA512 = "sha512"
	hashSHA1   = "sha1"

	encodingHex    = "hex"
	encodingBase64 = "base64"
	encodingAny    = "any"
	encodingText   = "text"

	unitSeconds = "s"
	unitMillis  = "ms"
	unitAuto    = "auto"

	bodyAlone = "{body}"
)

// Merge returns the settings with those replaced that over has set: so the configuration refines what an adapter tells. Another
// scheme shares nothing with the first one but the public URL, and a signed text without a time needs nothing about the time.
func (s Settings) Merge(over Settings) Settings {
	if over.Scheme != "" && over.Scheme != s.Scheme {
		s = Settings{PublicURL: s.PublicURL}
	}
	if over.Signed != "" && !strings.Contains(over.Signed, "{timestamp}") {
		s.TimestampHeader, s.TimestampKey, s.TimestampUnit, s.Tolerance = "", "", "", 0
	}
	pick(&s.Scheme, over.Scheme)
	pick(&s.Hash, over.Hash)
	pick(&s.Encoding, over.Encoding)
	pick(&s.Prefix, over.Prefix)
	pick(&s.SignatureKey, over.SignatureKey)
	pick(&s.TimestampKey, over.TimestampKey)
	pick(&s.Signed, over.Signed)
	pick(&s.TimestampHeader, over.TimestampHeader)
	pick(&s.TimestampUnit, over.TimestampUnit)
	pick(&s.Tolerance, over.Tolerance)
	pick(&s.SecretEncoding, over.SecretEncoding)
	pick(&s.SecretLength, over.SecretLength)
	pick(&s.PublicURL, over.PublicURL)
	if len(over.Headers) > 0 {
		s.Headers = over.Headers
	}
	if len(over.Keys) > 0 {
		s.Keys = over.Keys
	}
	return s
}

func pick[T comparable](value *T, over T) {
	var unset T
	if over != unset {
		*value = over
	}
}

// WithDefaults returns the settings with every default written out that counts for the scheme.
func (s Settings) WithDefaults() Settings {
	var defaults Settings
	switch s.Scheme {
	case SchemeHMAC:
		defaults = Settings{Hash: hashSHA256, Encoding: encodingHex, Signed: bodyAlone, SecretEncoding: encodingText}
	case SchemeRSA, SchemeEd25519:
		defaults = Settings{Encoding: encodingBase64, Signed: bodyAlone}
	case SchemeBearer, SchemeBasic:
		defaults = Settings{Headers: []string{"Authorization"}}
	case SchemeStandardWebhooks:
		defaults = Settings{Headers: []string{"Webhook-Signature", "Svix-Signature"}, TimestampUnit: unitSeconds}
	case SchemeTwilio:
		defaults = Settings{Headers: []string{"X-Twilio-Signature"}}
	case SchemeHeader, SchemePathToken:
	}
	if s.signsTime() {
		defaults.Tolerance = defaultTolerance
		if defaults.TimestampUnit == "" {
			defaults.TimestampUnit = unitAuto
		}
	}
	if s.symmetric() {
		defaults.SecretLength = minSecret
	}
	defaults.Scheme = s.Scheme
	return defaults.Merge(s)
}

// signsTime tells whether the signed text has a time in it.
func (s Settings) signsTime() bool {
	return s.Scheme == SchemeStandardWebhooks || s.templated() && strings.Contains(s.Signed, "{timestamp}")
}

// templated tells whether Signed describes the signed text.
func (s Settings) templated() bool {
	return s.Scheme == SchemeHMAC || s.Scheme == SchemeRSA || s.Scheme == SchemeEd25519
}

// symmetric tells whether the scheme's secrets are secret. Those of Standard Webhooks may be of both kinds.
func (s Settings) symmetric() bool { return s.Scheme != SchemeRSA && s.Scheme != SchemeEd25519 }

// credential tells whether the secret itself is sent.
func (s Settings) credential() bool {
	return s.Scheme == SchemeHeader || s.Scheme == SchemeBearer || s.Scheme == SchemeBasic || s.Scheme == SchemePathToken
}

var errScheme = errors.New("the scheme is not known")

// check returns what is wrong with the settings, by themselves and together. It takes them without defaults.
func (s Settings) check() error {
	schemes := []Scheme{
		SchemeHMAC, SchemeRSA, SchemeEd25519, SchemeHeader, SchemeBearer, SchemeBasic, SchemePathToken, SchemeStandardWebhooks,
		SchemeTwilio,
	}
	if !slices.Contains(schemes, s.Scheme) {
		return fmt.Errorf("%w: %q is none of %v", errScheme, s.Scheme, schemes)
	}
	var problems []error
	complain := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	oneOf := func(name, value string, values ...string) {
		if value != "" && !slices.Contains(values, value) {
			complain("%s %q is none of %s", name, value, strings.Join(values, ", "))
		}
	}
	oneOf("hash", s.Hash, hashSHA256, hashSHA512, hashSHA1)
	oneOf("encoding", s.Encoding, encodingHex, encodingBase64, encodingAny)
	oneOf("timestamp unit", s.TimestampUnit, unitSeconds, unitMillis, unitAuto)
	oneOf("secret encoding", s.SecretEncoding, encodingText, encodingBase64, encodingHex)

	// A setting that does nothing is worse than a missing one: who wrote it relies on it.
	idle := func(name string, set, used bool) {
		if set && !used {
			complain("%s means nothing to the scheme %s", name, s.Scheme)
		}
	}
	idle("hash", s.Hash != "", s.Scheme == SchemeHMAC)
	idle("encoding", s.Encoding != "", s.templated())
	idle("prefix", s.Prefix != "", s.templated() || s.Scheme == SchemeHeader)
	idle("signature key", s.SignatureKey != "", s.templated())
	idle("timestamp key", s.TimestampKey != "", s.templated())
	idle("signed", s.Signed != "", s.templated())
	idle("timestamp header", s.TimestampHeader != "", s.templated())
	idle("secret encoding", s.SecretEncoding != "", s.Scheme == SchemeHMAC)
	idle("secret length", s.SecretLength != 0, s.symmetric())
	idle("keys", len(s.Keys) > 0, !s.symmetric())
	idle("headers", len(s.Headers) > 0, s.Scheme != SchemePathToken)
	switch {
	case s.Tolerance < 0:
		complain("tolerance is negative")
	case s.Tolerance > 0 && !s.signsTime():
		complain("tolerance is set, but no time is signed")
	}
	if s.TimestampUnit != "" && !s.signsTime() {
		complain("timestamp unit is set, but no time is signed")
	}
	if s.SecretLength < 0 {
		complain("secret length is negative")
	}
	problems = append(problems, s.checkTime(), s.checkHeaders())
	if s.templated() {
		for t := range strings.SplitSeq(s.WithDefaults().Signed, "\n") {
			if _, err := parseTemplate(t); err != nil {
				problems = append(problems, err)
			}
		}
	}
	switch {
	case s.PublicURL != "":
		problems = append(problems, checkBase(s.PublicURL))
	case s.Scheme == SchemeTwilio, s.templated() && strings.Contains(s.Signed, "{url}"):
		complain("the URL is signed, so the public URL must be set")
	}
	return errors.Join(problems...)
}

// checkTime holds the places of the time and of the signed text together: a time that is not signed proves nothing.
func (s Settings) checkTime() error {
	if !s.templated() {
		return nil
	}
	placed, signed := s.TimestampHeader != "" || s.TimestampKey != "", s.signsTime()
	switch {
	case s.TimestampHeader != "" && s.TimestampKey != "":
		return errors.New("timestamp header and timestamp key are both set; the time stands in one place")
	case s.TimestampKey != "" && s.SignatureKey == "":
		return errors.New("timestamp key is set without a signature key")
	case s.TimestampKey != "" && s.TimestampKey == s.SignatureKey:
		return errors.New("timestamp key and signature key are the same")
	case placed && !signed:
		return errors.New("a time that is not signed proves nothing: put {timestamp} into signed, or leave the time out")
	case signed && !placed:
		return errors.New("signed has {timestamp}, but neither timestamp header nor timestamp key says where it stands")
	}
	if signed {
		for t := range strings.SplitSeq(s.Signed, "\n") {
			if !strings.Contains(t, "{timestamp}") {
				return errors.New("one form of signed has {timestamp} and another has not")
			}
		}
	}
	return nil
}

func (s Settings) checkHeaders() error {
	if s.Scheme != SchemePathToken && len(s.WithDefaults().Headers) == 0 {
		return fmt.Errorf("the scheme %s needs the name of a header", s.Scheme)
	}
	var problems []error
	for _, name := range slices.Concat(s.Headers, []string{s.TimestampHeader}) {
		if strings.Trim(name, nameSymbols) != "" {
			problems = append(problems, fmt.Errorf("%q is no name of a header", name))
		}
	}
	for i, name := range s.Headers {
		switch {
		case name == "":
			problems = append(problems, errors.New("a header has no name"))
		case s.Scheme == SchemeStandardWebhooks && standardStem(name) == "":
			problems = append(problems, fmt.Errorf("header %q does not end in -signature, so -id and -timestamp cannot be told", name))
		case sameHeader(name, s.TimestampHeader):
			problems = append(problems, errors.New("signature and time cannot stand in the same header as wholes"))
		case slices.ContainsFunc(s.Headers[:i], func(other string) bool { return sameHeader(name, other) }):
			problems = append(problems, fmt.Errorf("header %q is listed twice", name))
		}
	}
	return errors.Join(problems...)
}

// nameSymbols are what a header's name may consist of.
const nameSymbols = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func checkBase(base string) error {
	u, err := url.Parse(base)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return errors.New("the public URL is not like https://hooks.example.com")
	case u.User != nil:
		return errors.New("the public URL has a user or password in it")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(base, "#"):
		return errors.New("the public URL has a query or fragment")
	}
	return nil
}
