package signature

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
)

var errNoSecret = errors.New("only who has the private key can sign; see SignWith")

// Sign returns the request as a sender with the first secret would send it, at the request's time. It serves tests, load and
// samples.
func (v *Verifier) Sign(r Request) (Request, error) {
	r.Header = cloneHeader(r.Header)
	secret := string(v.firstSecret())
	switch v.settings.Scheme {
	case SchemePathToken:
		r.Token = secret
		return r, nil
	case SchemeHeader:
		withHeader(r.Header, v.settings.Headers, v.settings.Prefix+secret)
		return r, nil
	case SchemeBearer:
		withHeader(r.Header, v.settings.Headers, "Bearer "+secret)
		return r, nil
	case SchemeBasic:
		withHeader(r.Header, v.settings.Headers, "Basic "+base64.StdEncoding.EncodeToString([]byte(secret)))
		return r, nil
	default:
	}
	mac, ok := v.keys[0].(macKey)
	if !ok {
		return r, errNoSecret
	}
	return v.sign(r, mac.version, func(signed text) ([]byte, error) { return mac.sum(signed), nil })
}

// SignWith returns the request as a sender with the private key would send it.
func (v *Verifier) SignWith(r Request, private crypto.Signer) (Request, error) {
	r.Header = cloneHeader(r.Header)
	switch private.Public().(type) {
	case *rsa.PublicKey:
		if v.settings.Scheme != SchemeRSA {
			return r, errors.New("the scheme does not sign with RSA")
		}
		return v.sign(r, "", func(signed text) ([]byte, error) {
			return private.Sign(rand.Reader, digest(signed), crypto.SHA256)
		})
	case ed25519.PublicKey:
		if v.settings.Scheme != SchemeEd25519 && v.settings.Scheme != SchemeStandardWebhooks {
			return r, errors.New("the scheme does not sign with Ed25519")
		}
		return v.sign(r, versionEd, func(signed text) ([]byte, error) {
			return private.Sign(rand.Reader, signed.join(), crypto.Hash(0))
		})
	default:
		return r, errors.New("neither an RSA nor an Ed25519 key")
	}
}

func (v *Verifier) firstSecret() Secret {
	if len(v.secrets) == 0 {
		return ""
	}
	return v.secrets[0]
}

// sign writes time, id and signature into the request, whose header is a copy.
func (v *Verifier) sign(r Request, version string, seal func(text) ([]byte, error)) (Request, error) {
	s := v.settings
	e := evidence{timestamp: stamp(r.Time, s.TimestampUnit)}
	switch {
	case s.TimestampHeader != "":
		withHeader(r.Header, []string{s.TimestampHeader}, e.timestamp)
	case s.Scheme == SchemeStandardWebhooks:
		withHeader(r.Header, siblings(s.Headers, "-Timestamp"), e.timestamp)
		ids := siblings(s.Headers, "-Id")
		if _, cause := lookup(r.Header, ids, CauseFieldMissing, CauseFieldMissing); cause != "" {
			sum := sha256.Sum256(r.Body)
			withHeader(r.Header, ids, "msg_"+hex.EncodeToString(sum[:12]))
		}
	case s.Scheme == SchemeTwilio && len(r.Body) > 0 && !isForm(&r) && len(queryValues(r.Query, bodyHash)) == 0:
		sum := sha256.Sum256(r.Body)
		r.Query = strings.TrimPrefix(r.Query+"&"+bodyHash+"="+hex.EncodeToString(sum[:]), "&")
	}
	signed, cause := v.text(&r, e, 0)
	if cause != "" {
		return r, &Refusal{Cause: cause}
	}
	value, err := seal(signed)
	if err != nil {
		return r, err
	}
	encoded := s.Prefix + encode(s.Encoding, value)
	switch {
	case s.Scheme == SchemeStandardWebhooks:
		encoded = version + "," + encoded
	case s.TimestampKey != "":
		encoded = s.TimestampKey + "=" + e.timestamp + "," + s.SignatureKey + "=" + encoded
	case s.SignatureKey != "":
		encoded = s.SignatureKey + "=" + encoded
	}
	withHeader(r.Header, s.Headers, encoded)
	return r, nil
}

func cloneHeader(header http.Header) http.Header {
	if header == nil {
		return http.Header{}
	}
	return header.Clone()
}
