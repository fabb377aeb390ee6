package signature

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Explanation tells a person why a request was proved or refused. It holds the body, and signatures that would be accepted for
// it: it is for the eyes of whoever has the secrets, and for no log.
type Explanation struct {
	// Scheme is the verifier's name, and Covers what its signatures cover.
	Scheme string
	Covers []string
	// Cause is why the request was refused. Empty, it was proved.
	Cause Cause
	// Secret is the index of the secret that matches, or -1. Also a request that comes too late may have one. Secrets is how
	// many there are.
	Secret, Secrets int
	// Texts holds the signed text in the forms that were tried. Credentials have none.
	Texts []SignedText
	// Received is the header with the signature, as it was sent. Credentials are not shown.
	Received string
	// Timestamp is the signed time as it was sent, and Skew how far it lies before the time of receipt: negative means in the
	// future. Without a timestamp there is no skew.
	Timestamp string
	Skew      time.Duration
	// Tolerance is how large the skew may be.
	Tolerance time.Duration
	// Likely tells what may be wrong, in sentences.
	Likely []string
}

// SignedText is one form of the text that is signed.
type SignedText struct {
	Text string
	// Expected holds the signature under each secret. Who has only public keys cannot tell.
	Expected []string
}

// Explain verifies a request and tells what it saw. It tries what usually goes wrong, so it takes far longer than Verify.
func (v *Verifier) Explain(r Request) Explanation {
	secret, err := v.Verify(r)
	x := Explanation{Scheme: v.Name(), Covers: v.Signed(), Secret: secret, Secrets: len(v.keys), Tolerance: v.settings.Tolerance}
	if refusal, ok := err.(*Refusal); ok { //nolint:errorlint // Verify returns nothing else.
		x.Cause = refusal.Cause
	}
	e := v.read(&r)
	if x.Cause == CauseTimeTooOld || x.Cause == CauseTimeInFuture {
		x.Secret, _ = v.match(&r, e)
	}
	if e.timestamp != "" && e.cause == "" {
		x.Timestamp, x.Skew = e.timestamp, e.skew
	}
	if !v.settings.credential() {
		x.Received, _ = lookup(r.Header, v.settings.Headers, CauseSignatureMissing, CauseSignatureDuplicate)
		x.Texts = v.explainTexts(&r, e, v.spelling(x.Received))
	}
	x.Likely = v.likely(r, x)
	return x
}

// spelling returns the encoding in which a signature is compared with one that came: its own, where any is taken.
func (v *Verifier) spelling(received string) string {
	if _, err := hex.DecodeString(strings.TrimPrefix(received, v.settings.Prefix)); v.settings.Encoding == encodingAny && received != "" && err == nil {
		return encodingHex
	}
	return v.settings.Encoding
}

func (v *Verifier) explainTexts(r *Request, e evidence, encoding string) []SignedText {
	if v.settings.signsTime() && e.timestamp == "" {
		return nil
	}
	var texts []SignedText
	for i := range v.texts() {
		signed, cause := v.text(r, e, i)
		if cause != "" {
			continue
		}
		t := SignedText{Text: string(signed.join())}
		for _, k := range v.keys {
			if mac, ok := k.(macKey); ok {
				t.Expected = append(t.Expected, encode(encoding, mac.sum(signed)))
			}
		}
		texts = append(texts, t)
	}
	return texts
}

// maxShown is how much of a text is printed.
const maxShown = 4096

// String prints the explanation, a fact a line. What the sender chose is quoted, so that it cannot command a terminal.
func (x Explanation) String() string {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "%-10s %s\n", name, value) }
	line("scheme", x.Scheme)
	switch {
	case x.Cause == "":
		line("result", "proved by "+x.secret())
	case x.Secret >= 0:
		line("result", "refused: "+string(x.Cause)+"; otherwise proved by "+x.secret())
	default:
		line("result", "refused: "+string(x.Cause))
	}
	if len(x.Covers) > 0 {
		line("covers", strings.Join(x.Covers, ", "))
	} else {
		line("covers", "nothing: it proves the sender alone")
	}
	if x.Timestamp != "" {
		line("time", strconv.Quote(x.Timestamp)+", "+apart(x.Skew))
	}
	for _, t := range x.Texts {
		line("signed", shown(t.Text))
		for i, expected := range t.Expected {
			line("expected", fmt.Sprintf("%s (secret %d)", expected, i+1))
		}
	}
	if x.Received != "" {
		line("received", shown(x.Received))
	}
	for _, cause := range x.Likely {
		line("likely", cause)
	}
	return b.String()
}

func (x Explanation) secret() string { return fmt.Sprintf("secret %d of %d", x.Secret+1, x.Secrets) }

func shown(value string) string {
	if len(value) <= maxShown {
		return strconv.Quote(value)
	}
	return fmt.Sprintf("%q and %d bytes more", value[:maxShown], len(value)-maxShown)
}

func apart(skew time.Duration) string {
	switch {
	case skew >= maxSkew:
		return "more than 100 years before the time of receipt"
	case skew <= -maxSkew:
		return "more than 100 years after the time of receipt"
	case skew < 0:
		return (-skew).String() + " after the time of receipt"
	default:
		return skew.String() + " before the time of receipt"
	}
}
