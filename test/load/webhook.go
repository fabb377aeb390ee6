package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"sync/atomic"

	"github.com/callnorm/callnorm/adapters/synthflow"
	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/test/internal/fill"
)

// generator makes webhooks of Synthflow: its sample of 6.5 KB, each about a call of its own, signed as the provider does.
type generator struct {
	plain  []byte // the sample as the documentation has it
	dialed []byte // the sample with numbers in it, as the calls of filled directories have
	secret signature.Secret
	// ids turns the number of a webhook into the id of its call and back: ids are as random as those of providers, and the place of
	// each in an index as well, and yet the number is known to whoever gets one back.
	ids  cipher.Block
	next atomic.Int64
}

// Marks stand in a sample for what differs between webhooks, in the same number of bytes.
const (
	idMark      = "00000000-0000-0000-0000-000000000000"
	contactMark = "+14150000000"
)

func newGenerator(fixtures string) (*generator, error) {
	bodies, err := fill.ReadBodies(fixtures)
	if err != nil {
		return nil, err
	}
	key := make([]byte, 16)
	_, _ = rand.Read(key) // it never fails
	g := &generator{plain: bytes.ReplaceAll(bodies.Synthflow, []byte(`"call_id": "[UUID]"`), []byte(`"call_id": "`+idMark+`"`))}
	g.dialed = bytes.ReplaceAll(g.plain, []byte(`"phone_number": "XXXXXXXX"`),
		[]byte(`"phone_number": "`+contactMark+`", "phone_number_from": "`+fill.OwnNumber+`", "phone_number_to": "`+contactMark+`"`))
	if g.ids, err = aes.NewCipher(key); err != nil {
		return nil, err
	}
	if g.secret, err = synthflow.New().Signature().WithDefaults().MakeKey(); err != nil {
		return nil, err
	}
	return g, g.tested()
}

var errSignature = errors.New("this tool signs otherwise than the service does")

// tested holds the short way of signing against the one that the service shares.
func (g *generator) tested() error {
	sender, err := synthflow.New().Signature().WithDefaults().NewSender(g.secret)
	if err != nil {
		return err
	}
	w := g.webhook(g.plain, "127.0.0.1")
	w.number(g.next.Add(1))
	signed, err := sender.Sign(signature.Request{Method: http.MethodPost, Body: w.body()})
	if err != nil {
		return err
	}
	if signed.Header.Get(signatureHeader) != string(w.text[w.signature:w.signature+signatureSize]) {
		return errSignature
	}
	return nil
}

// signatureHeader has the signature, in base64.
const signatureHeader = "Synthflow-Signature"

var signatureSize = base64.StdEncoding.EncodedLen(sha256.Size)

// webhook is a whole request, which is changed in place: one for each connection.
type webhook struct {
	g                *generator
	mac              hash.Hash
	text             []byte
	head, signature  int // where the body begins, and the signature
	ids, contacts    []int
	id, plain, signs []byte // room
}

func (g *generator) webhook(body []byte, host string) *webhook {
	w := &webhook{
		g: g, mac: hmac.New(sha256.New, []byte(g.secret)),
		id: make([]byte, aes.BlockSize), plain: make([]byte, aes.BlockSize), signs: make([]byte, 0, sha256.Size),
	}
	w.text = fmt.Appendf(nil, "POST /v1/webhooks/%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s: ",
		fill.Synthflow, host, len(body), signatureHeader)
	w.signature = len(w.text)
	w.text = append(w.text, bytes.Repeat([]byte("0"), signatureSize)...)
	w.text = append(w.text, "\r\n\r\n"...)
	w.head = len(w.text)
	w.text = append(w.text, body...)
	w.ids, w.contacts = places(w.text, w.head, idMark), places(w.text, w.head, contactMark)
	return w
}

// places lists where a mark stands.
func places(text []byte, from int, mark string) (list []int) {
	for {
		at := bytes.Index(text[from:], []byte(mark))
		if at < 0 {
			return list
		}
		list = append(list, from+at)
		from += at + len(mark)
	}
}

func (w *webhook) body() []byte { return w.text[w.head:] }

// number makes it the n-th webhook.
func (w *webhook) number(n int64) {
	binary.BigEndian.PutUint64(w.plain[8:], uint64(n))
	w.g.ids.Encrypt(w.id, w.plain)
	first := w.text[w.ids[0] : w.ids[0]+len(idMark)]
	hex.Encode(first, w.id[:4])
	hex.Encode(first[9:], w.id[4:6])
	hex.Encode(first[14:], w.id[6:8])
	hex.Encode(first[19:], w.id[8:10])
	hex.Encode(first[24:], w.id[10:])
	for _, at := range w.ids[1:] {
		copy(w.text[at:], first)
	}
	for _, at := range w.contacts {
		// Seven digits behind the prefix, drawn by the id.
		for i, rest := len(contactMark)-1, binary.BigEndian.Uint32(w.id); i >= len(contactMark)-7; i, rest = i-1, rest/10 {
			w.text[at+i] = '0' + byte(rest%10)
		}
	}
	w.mac.Reset()
	w.mac.Write(first)
	base64.StdEncoding.Encode(w.text[w.signature:], w.mac.Sum(w.signs))
}

// numberOf returns the number of the webhook about a call, or false for one of another run.
func (g *generator) numberOf(id []byte) (int64, bool) {
	block, err := hex.AppendDecode(make([]byte, 0, aes.BlockSize), bytes.ReplaceAll(id, []byte("-"), nil))
	if err != nil || len(block) != aes.BlockSize {
		return 0, false
	}
	g.ids.Decrypt(block, block)
	n := int64(binary.BigEndian.Uint64(block[8:]))
	return n, binary.BigEndian.Uint64(block) == 0 && n <= g.next.Load()
}
