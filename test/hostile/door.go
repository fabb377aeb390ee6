package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/internal/signature"
)

// door is a source of the configuration, with what its honest senders hold.
type door struct {
	name, adapter string
	settings      signature.Settings
	scheme        string // as the configuration names it
	secret        string // as it stands in the file of the secret, or of the public key
	honest        *signature.Sender
	now           func() time.Time
	stranger      *signature.Sender // has the right scheme and the wrong secret
}

// bodyHeader is where the sources that sign the body have their signature.
const bodyHeader = "X-Signature"

// newDoors returns two doors for each adapter: one in the provider's own scheme, or with a bearer token where none is known or the
// address is signed, which this tool does not do; and one that signs the body, through which everything can be sent that a
// provider's scheme cannot sign.
func newDoors(set *adapters.Set, seed uint64) (map[string][2]*door, error) {
	doors := make(map[string][2]*door)
	for _, adapter := range set.All() {
		own := signature.Settings{Scheme: signature.SchemeBearer}
		scheme := string(own.Scheme)
		body := signature.Settings{Scheme: signature.SchemeHMAC, Headers: []string{bodyHeader}, Signed: "{body}"}
		if signed, ok := adapter.(adapters.Signed); ok {
			body = signed.Signature().Merge(body) // as the service does: what is not told stays as the provider has it
			if signed.Signature().Scheme != signature.SchemeTwilio {
				own, scheme = signed.Signature(), "provider"
			}
		}
		first, err := newDoor(adapter.Name()+"-own", adapter.Name(), scheme, own, seed)
		if err != nil {
			return nil, err
		}
		second, err := newDoor(adapter.Name()+"-body", adapter.Name(), string(body.Scheme), body, seed)
		if err != nil {
			return nil, err
		}
		doors[adapter.Name()] = [2]*door{first, second}
	}
	return doors, nil
}

func newDoor(name, adapter, scheme string, settings signature.Settings, seed uint64) (*door, error) {
	settings = settings.WithDefaults()
	d := &door{name: name, adapter: adapter, settings: settings, scheme: scheme, now: time.Now}
	var err error
	if d.honest, err = newSender(settings, fmt.Sprintf("honest %s %d", name, seed)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if d.stranger, err = newSender(settings, fmt.Sprintf("stranger %s %d", name, seed)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	d.secret = string(d.honest.Trusted())
	return d, nil
}

// newSender makes a secret out of a text, so that a run can be repeated, or a private key, which nothing makes from a seed.
func newSender(settings signature.Settings, text string) (*signature.Sender, error) {
	if sender, err := settings.NewSender(signature.Secret(hex.EncodeToString([]byte(text)))); err == nil {
		return sender, nil
	}
	key, err := settings.MakeKey()
	if err != nil {
		return nil, err
	}
	return settings.NewSender(key)
}

// sign returns the header that proves a body, or an error when the scheme cannot sign it.
func (d *door) sign(sender *signature.Sender, body []byte) (http.Header, error) {
	request, err := sender.Sign(signature.Request{Method: http.MethodPost, Body: body, Time: d.now()})
	return request.Header, err
}

// forge returns a header that proves nothing: none at all, one under another secret, garbage, half of a good one, or a good one
// beside garbage.
func (d *door) forge(r *mathrand.Rand, body []byte) http.Header {
	names := d.settings.Headers
	name := names[r.IntN(len(names))]
	header, err := d.sign(d.honest, body)
	good := ""
	if err == nil {
		good = header.Get(names[0])
	}
	switch kind := r.IntN(5); {
	case kind == 0:
		return http.Header{}
	case kind == 1:
		if header, err := d.sign(d.stranger, body); err == nil {
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
