package signature

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
)

// Sender signs as a provider does, with a key that is not the provider's. It serves tests, load and samples.
type Sender struct {
	verifier *Verifier
	private  crypto.Signer // of schemes with public keys
}

const (
	rsaBits     = 2048
	secretBytes = 32

	pemPrivate = "PRIVATE KEY"
	pemPublic  = "PUBLIC KEY"
)

// MakeKey returns a new key for NewSender: a secret, or a private key in PEM where the scheme has public keys.
func (s Settings) MakeKey() (Secret, error) {
	if s.symmetric() {
		secret := make([]byte, secretBytes)
		_, _ = rand.Read(secret) // it never fails
		switch {
		case s.Scheme == SchemeBasic:
			return Secret("callnorm:" + hex.EncodeToString(secret)), nil
		case s.Scheme == SchemeStandardWebhooks, s.SecretEncoding == encodingBase64:
			return Secret(base64.StdEncoding.EncodeToString(secret)), nil
		default:
			return Secret(hex.EncodeToString(secret)), nil
		}
	}
	var private crypto.Signer
	var err error
	if s.Scheme == SchemeRSA {
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	} else {
		_, private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", err
	}
	return Secret(pem.EncodeToMemory(&pem.Block{Type: pemPrivate, Bytes: der})), nil
}

// NewSender returns a sender with a key as MakeKey makes one.
func (s Settings) NewSender(key Secret) (*Sender, error) {
	sender := &Sender{}
	trusted := key
	if !s.symmetric() {
		private, err := readPrivate(string(key))
		if err != nil {
			return nil, err
		}
		sender.private = private
		if trusted, err = publicKey(private); err != nil {
			return nil, err
		}
	}
	var err error
	sender.verifier, err = New(s, []Secret{trusted})
	return sender, err
}

func readPrivate(text string) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("the private key is not in PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the private key is not in PKCS #8")
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("the private key cannot sign")
	}
	return private, nil
}

func publicKey(private crypto.Signer) (Secret, error) {
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return "", fmt.Errorf("the public half of the key: %w", err)
	}
	return Secret(pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: der})), nil
}

// Trusted returns what a verifier has to know: the secret, or the public key in PEM.
func (s *Sender) Trusted() Secret { return s.verifier.firstSecret() }

// Sign returns the request as the provider would send it.
func (s *Sender) Sign(r Request) (Request, error) {
	if s.private != nil {
		return s.verifier.SignWith(r, s.private)
	}
	return s.verifier.Sign(r)
}
