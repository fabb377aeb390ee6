package signature

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // Twilio signs with it, and others offer it; as a keyed hash it is not broken.
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// proof is a signature, or the secret itself, as it was received and decoded.
type proof struct {
	version string // of Standard Webhooks
	value   []byte
}

// key is what a proof is held against.
type key interface {
	// matches returns 1 if one of the proofs is this key's for the text, otherwise 0. It holds every proof against it.
	matches(signed text, proofs []proof) int
	// size is the length of its proofs in bytes.
	size() int
}

// macKey is the secret of a keyed hash.
type macKey struct {
	hash    func() hash.Hash
	secret  []byte
	version string
}

func (k macKey) sum(signed text) []byte {
	mac := hmac.New(k.hash, k.secret)
	for _, piece := range signed {
		_, _ = mac.Write(piece)
	}
	return mac.Sum(nil)
}

func (k macKey) matches(signed text, proofs []proof) int {
	expected, match := k.sum(signed), 0
	for _, p := range proofs {
		if p.version == k.version {
			match |= subtle.ConstantTimeCompare(expected, p.value)
		}
	}
	return match
}

func (k macKey) size() int { return k.hash().Size() }

// rsaKey is a public key for RSA PKCS #1 v1.5 with SHA-256.
type rsaKey struct{ public *rsa.PublicKey }

func (k rsaKey) matches(signed text, proofs []proof) int {
	sum, match := digest(signed), 0
	for _, p := range proofs {
		if rsa.VerifyPKCS1v15(k.public, crypto.SHA256, sum, p.value) == nil {
			match = 1
		}
	}
	return match
}

func (k rsaKey) size() int { return k.public.Size() }

func digest(signed text) []byte {
	sum := sha256.New()
	for _, piece := range signed {
		_, _ = sum.Write(piece)
	}
	return sum.Sum(nil)
}

// edKey is a public key for Ed25519.
type edKey struct {
	public  ed25519.PublicKey
	version string
}

func (k edKey) matches(signed text, proofs []proof) int {
	message, match := signed.join(), 0
	for _, p := range proofs {
		if p.version == k.version && len(p.value) == ed25519.SignatureSize && ed25519.Verify(k.public, message, p.value) {
			match = 1
		}
	}
	return match
}

func (edKey) size() int { return ed25519.SignatureSize }

// plainKey is a secret that is sent as it is. Hashes are compared, so that not even its length shows in the time.
type plainKey struct{ sum [sha256.Size]byte }

func (k plainKey) matches(_ text, proofs []proof) int {
	match := 0
	for _, p := range proofs {
		sum := sha256.Sum256(p.value)
		match |= subtle.ConstantTimeCompare(k.sum[:], sum[:])
	}
	return match
}

func (plainKey) size() int { return 0 }

var hashes = map[string]func() hash.Hash{hashSHA256: sha256.New, hashSHA512: sha512.New, hashSHA1: sha1.New}

// readKeys reads the secrets of a scheme. Problems tell the place of a secret and never what it is.
func (s Settings) readKeys(secrets []Secret) ([]key, error) {
	what := "secret"
	if !s.symmetric() {
		what = "key"
		if len(secrets) == 0 {
			for _, public := range s.Keys {
				secrets = append(secrets, Secret(public))
			}
		}
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("the scheme %s needs a %s", s.Scheme, what)
	}
	var problems []error
	keys := make([]key, 0, len(secrets))
	for i, secret := range secrets {
		read, err := s.readKey(string(secret))
		if err != nil {
			problems = append(problems, fmt.Errorf("%s %d %w", what, i+1, err))
		}
		keys = append(keys, read)
	}
	return keys, errors.Join(problems...)
}

func (s Settings) readKey(secret string) (key, error) {
	switch {
	case strings.TrimSpace(secret) == "":
		return nil, errors.New("is empty")
	case s.Scheme == SchemeRSA:
		return readRSA(secret)
	case s.Scheme == SchemeEd25519:
		public, err := readEd25519(secret)
		return edKey{public: public}, err
	case strings.TrimSpace(secret) != secret:
		return nil, errors.New("has white space around it")
	case s.Scheme == SchemeStandardWebhooks:
		return s.readStandardKey(secret)
	case s.Scheme == SchemeHMAC:
		raw, err := decodeSecret(s.SecretEncoding, secret)
		if err != nil {
			return nil, err
		}
		return macKey{hash: hashes[s.Hash], secret: raw}, s.longEnough(raw)
	case s.Scheme == SchemeTwilio:
		return macKey{hash: sha1.New, secret: []byte(secret)}, s.longEnough([]byte(secret))
	default:
		return plainKey{sum: sha256.Sum256([]byte(secret))}, s.checkCredential(secret)
	}
}

// checkCredential refuses secrets that a request cannot bring as they are.
func (s Settings) checkCredential(secret string) error {
	counted := secret
	switch s.Scheme {
	case SchemeBasic:
		_, password, ok := strings.Cut(secret, ":")
		if !ok {
			return errors.New("is not of the form user:password")
		}
		counted = password
	case SchemePathToken:
		if strings.Trim(secret, pathSymbols) != "" {
			return errors.New("has characters that a path cannot hold as they are: letters, digits, and any of -._~ are possible")
		}
	default:
		if strings.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r > '~' }) {
			return errors.New("has characters that a header cannot hold")
		}
	}
	return s.longEnough([]byte(counted))
}

const pathSymbols = "-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func (s Settings) longEnough(secret []byte) error {
	if len(secret) < s.SecretLength {
		return fmt.Errorf("is %d bytes long, and needs at least %d", len(secret), s.SecretLength)
	}
	return nil
}

func decodeSecret(encoding, secret string) ([]byte, error) {
	switch encoding {
	case encodingHex:
		raw, err := hex.DecodeString(secret)
		if err != nil {
			return nil, errors.New("is not hex")
		}
		return raw, nil
	case encodingBase64:
		raw, ok := decodeBase64(secret)
		if !ok {
			return nil, errors.New("is not base64")
		}
		return raw, nil
	default:
		return []byte(secret), nil
	}
}

// readPublic reads a public key in PEM, or in base64 without PEM's first and last line.
func readPublic(source string) (any, error) {
	var der []byte
	block, rest := pem.Decode([]byte(source))
	switch {
	case block == nil:
		raw, ok := decodeBase64(strings.Join(strings.Fields(source), ""))
		if !ok {
			return nil, errors.New("is neither PEM nor base64")
		}
		der = raw
	case len(strings.TrimSpace(string(rest))) > 0:
		return nil, errors.New("has more than one block of PEM in it; list keys one by one")
	case strings.Contains(block.Type, "PRIVATE"):
		return nil, errors.New("is a private key; the public one is needed")
	case block.Type == "RSA PUBLIC KEY":
		public, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, errors.New("is no public key")
		}
		return public, nil
	default:
		der = block.Bytes
	}
	if block == nil && len(der) == ed25519.PublicKeySize {
		return ed25519.PublicKey(der), nil
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("is no public key")
	}
	return public, nil
}

func readRSA(source string) (key, error) {
	const minBits = 2048
	public, err := readPublic(source)
	if err != nil {
		return nil, err
	}
	k, ok := public.(*rsa.PublicKey)
	switch {
	case !ok:
		return nil, errors.New("is no RSA key")
	case k.N.BitLen() < minBits:
		return nil, fmt.Errorf("has %d bits, and needs at least %d", k.N.BitLen(), minBits)
	}
	return rsaKey{public: k}, nil
}

func readEd25519(source string) (ed25519.PublicKey, error) {
	public, err := readPublic(source)
	if err != nil {
		return nil, err
	}
	k, ok := public.(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("is no Ed25519 key")
	}
	return k, nil
}
