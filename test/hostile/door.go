package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/curiousthing"
	"github.com/callnorm/callnorm/adapters/synthflow"
	"github.com/callnorm/callnorm/adapters/voxia"
	"github.com/callnorm/callnorm/internal/signature"
)

// formats maps the folders of the adapters to them. A folder with fixtures that is not here stops the tool.
var formats = map[string]adapters.Adapter{
	"synthflow": synthflow.New(), "voxia": voxia.New(), "curiousthing": curiousthing.New(),
}

// door is a source of the configuration, with what its honest senders hold.
type door struct {
	name, adapter string
	settings      signature.Settings
	scheme        string // as the configuration names it
	secret        string // as it stands in the file of the secret, or of the public key
	honest        signer
	stranger      signer // has the right scheme and the wrong secret
}

// signer signs requests as one sender does.
type signer struct {
	verifier *signature.Verifier
	private  crypto.Signer // for schemes with public keys
}

// bits of the RSA keys that stand for the providers' own.
const bits = 2048

// bodyHeader is where the sources that sign the body have their signature.
const bodyHeader = "X-Signature"

// newDoors returns two doors for each adapter: one in the provider's own scheme, or with a bearer token where none is known, and
// one that signs the body, through which everything can be sent that a provider's scheme cannot sign.
func newDoors(seed uint64) (map[string][2]*door, error) {
	doors := make(map[string][2]*door)
	for folder, adapter := range formats {
		own := signature.Settings{Scheme: signature.SchemeBearer}
		scheme := string(own.Scheme)
		if signed, ok := adapter.(adapters.Signed); ok {
			own, scheme = signed.Signature(), "provider"
		}
		body := signature.Settings{Scheme: signature.SchemeHMAC, Headers: []string{bodyHeader}}
		first, err := newDoor(adapter.Name()+"-own", adapter.Name(), scheme, own, seed)
		if err != nil {
			return nil, err
		}
		second, err := newDoor(adapter.Name()+"-body", adapter.Name(), string(body.Scheme), body, seed)
		if err != nil {
			return nil, err
		}
		doors[folder] = [2]*door{first, second}
	}
	return doors, nil
}

func newDoor(name, adapter, scheme string, settings signature.Settings, seed uint64) (*door, error) {
	settings = settings.WithDefaults()
	d := &door{name: name, adapter: adapter, settings: settings, scheme: scheme}
	var err error
	if d.honest, d.secret, err = newSigner(settings, fmt.Sprintf("honest %s %d", name, seed)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if d.stranger, _, err = newSigner(settings, fmt.Sprintf("stranger %s %d", name, seed)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return d, nil
}

// newSigner makes a secret out of a text, so that a run can be repeated, or an RSA key, which nothing makes from a seed.
func newSigner(settings signature.Settings, text string) (s signer, secret string, err error) {
	secret = hex.EncodeToString([]byte(text))
	if settings.Scheme == signature.SchemeRSA {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			return s, "", err
		}
		public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		if err != nil {
			return s, "", err
		}
		s.private = key
		secret = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	}
	s.verifier, err = signature.New(settings, []signature.Secret{signature.Secret(secret)})
	return s, secret, err
}

// sign returns the header that proves a body, or an error when the scheme cannot sign it.
func (s signer) sign(body []byte) (http.Header, error) {
	request := signature.Request{Method: http.MethodPost, Body: body, Time: time.Now()}
	var err error
	if s.private != nil {
		request, err = s.verifier.SignWith(request, s.private)
	} else {
		request, err = s.verifier.Sign(request)
	}
	return request.Header, err
}

// forge returns a header that proves nothing: none at all, one under another secret, garbage, half of a good one, or a good one
// beside garbage.
func (d *door) forge(r *mathrand.Rand, body []byte) http.Header {
	names := d.settings.Headers
	name := names[r.IntN(len(names))]
	header, err := d.honest.sign(body)
	good := ""
	if err == nil {
		good = header.Get(names[0])
	}
	switch kind := r.IntN(5); {
	case kind == 0:
		return http.Header{}
	case kind == 1:
		if header, err := d.stranger.sign(body); err == nil {
			return header
		}
	case kind == 2 && good != "":
		return http.Header{name: {good[:len(good)/2]}}
	case kind == 3 && good != "":
		return http.Header{name: {good, garbage(r)}}
	}
	return http.Header{name: {garbage(r)}}
}

// garbage is a text that fits into a header.
func garbage(r *mathrand.Rand) string {
	switch r.IntN(3) {
	case 0:
		return base64.StdEncoding.EncodeToString(noise(r, 32))
	case 1:
		return hex.EncodeToString(noise(r, 32))
	default:
		return strings.Repeat("\xff=,;\"v1 ", 1+r.IntN(50)) + "x"
	}
}

// noise returns random bytes.
func noise(r *mathrand.Rand, size int) []byte {
	text := make([]byte, size)
	for i := range text {
		text[i] = byte(r.Uint32())
	}
	return text
}
