package signature

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// guess is one thing that may have gone wrong. Were it so, the request would be proved by these settings and secrets.
type guess struct {
	settings Settings
	secrets  []Secret
	request  Request
	says     string
}

// holds tells whether the request would be proved. The time is told by itself, and what a secret must be like does not count.
func (g guess) holds() bool {
	if g.settings.signsTime() {
		g.settings.Tolerance = maxSkew
	}
	if g.settings.symmetric() {
		g.settings.SecretLength = 1
	}
	v, err := New(g.settings, g.secrets)
	if err != nil {
		return false
	}
	_, err = v.Verify(g.request)
	return err == nil
}

// likely tells what an operator should look at first.
func (v *Verifier) likely(r Request, x Explanation) []string {
	var likely []string
	switch {
	case x.Cause == "" && x.Secret > 0:
		return []string{"it matches " + x.secret() + ", not the newest: the sender has not changed to the new one yet"}
	case x.Cause == "":
		return nil
	case x.Cause == CauseTimeTooOld, x.Cause == CauseTimeInFuture:
		return []string{v.likelyTime(r, x)}
	case x.Cause == CauseTimeMalformed:
		likely = append(likely, "the time is not a plain number of seconds or milliseconds, or it was sent more than once")
	case x.Cause == CauseTimeMissing && v.settings.TimestampHeader != "":
		likely = append(likely, "the request has no header "+v.settings.TimestampHeader+" with the signed time")
	case x.Cause == CauseFieldMissing:
		likely = append(likely, v.likelyField(&r))
	case x.Cause == CauseSignatureDuplicate:
		likely = append(likely, "the headers disagree: the sender or a proxy sets "+strings.Join(v.settings.Headers, " or ")+" more than once")
	case x.Cause == CauseSignatureMissing && v.settings.Scheme != SchemePathToken:
		likely = append(likely, "the request has no header "+strings.Join(v.settings.Headers, " or ")+" with a value")
	}
	wrong := false
	for _, g := range v.guesses(r) {
		if g.holds() {
			likely = append(likely, g.says)
			wrong = true
		}
	}
	if !wrong && x.Cause == CauseSignatureMismatch {
		likely = append(likely, "none of the usual changes makes it match: the secret is most likely another one than the sender's, or the sender is another")
	}
	return likely
}

func (v *Verifier) likelyTime(r Request, x Explanation) string {
	for _, unit := range []string{unitSeconds, unitMillis} {
		other := *v
		other.settings.TimestampUnit = unit
		if _, err := other.Verify(r); err == nil {
			return "it matches, and would be in time if the time unit were " + unit
		}
	}
	return fmt.Sprintf("it matches, but its time lies %s, and the tolerance is %s: clock skew, a late repeat, or a replay", apart(x.Skew), x.Tolerance)
}

func (v *Verifier) likelyField(r *Request) string {
	if v.settings.Scheme == SchemeTwilio {
		return "the body is neither a form nor covered by " + bodyHash + " in the query"
	}
	for _, t := range v.templates {
		for _, p := range t {
			if _, cause := (template{p}).fill(r, "", "0"); cause != "" {
				return fmt.Sprintf("what {%s:%s} stands for is not in the request exactly once", p.kind, p.text)
			}
		}
	}
	return "a part of the request that is signed is missing"
}

// guesses lists what usually goes wrong, one thing at a time.
func (v *Verifier) guesses(r Request) []guess {
	base := guess{settings: v.settings, secrets: v.secrets, request: r}
	all := headerGuesses(base)
	if v.settings.credential() {
		return append(all, credentialGuesses(base)...)
	}
	all = append(all, bodyGuesses(base)...)
	all = append(all, urlGuesses(base)...)
	if v.settings.templated() {
		all = append(all, formGuesses(base)...)
		all = append(all, textGuesses(base)...)
	}
	if v.settings.Scheme == SchemeHMAC {
		all = append(all, secretGuesses(base)...)
	}
	return all
}

// headerGuesses looks for the signature, or the secret, in other headers.
func headerGuesses(base guess) []guess {
	if base.settings.Scheme == SchemePathToken || base.settings.Scheme == SchemeStandardWebhooks {
		return nil
	}
	var all []guess
	for _, name := range slices.Sorted(maps.Keys(base.request.Header)) {
		if named(base.settings.Headers, name) || sameHeader(name, base.settings.TimestampHeader) {
			continue
		}
		g := base
		g.settings.Headers = []string{name}
		g.says = fmt.Sprintf("it matches in the header %q, which the settings do not name", name)
		all = append(all, g)
	}
	return all
}

func credentialGuesses(base guess) []guess {
	var all []guess
	if base.settings.Scheme == SchemeHeader {
		g := base
		g.settings.Prefix = "Bearer "
		g.says = `it matches with "Bearer " before it: the scheme is bearer`
		all = append(all, g)
	}
	if base.settings.Scheme == SchemeBearer || base.settings.Prefix != "" {
		g := base
		g.settings = Settings{Scheme: SchemeHeader, Headers: base.settings.Headers}
		g.says = "it matches as the whole header, with no word before it: the scheme is header"
		all = append(all, g)
	}
	return all
}

// bodyGuesses undoes what tools and proxies do to bodies.
func bodyGuesses(base guess) []guess {
	body := base.request.Body
	changes := []struct {
		says string
		body []byte
	}{
		{"it matches with the line ending at the end of the body removed: saving the body has added one", bytes.TrimRight(body, "\r\n")},
		{"it matches with a line ending at the end of the body: saving the body has removed it", append(bytes.Clone(body), '\n')},
		{"it matches with LF for each CRLF in the body: its line endings were changed", bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))},
		{"it matches with CRLF for each LF in the body: its line endings were changed", bytes.ReplaceAll(body, []byte("\n"), []byte("\r\n"))},
		{"it matches without the byte order mark at the start of the body", bytes.TrimPrefix(body, []byte(byteOrderMark))},
		{"it matches without white space in the body: the body was re-serialised on the way, or the sender signs another form than it sends",
			layout(body, jsontext.Multiline(false))},
		{`it matches with a blank after each ":" and ",": the body was re-serialised on the way, or the sender signs another form than it sends`,
			layout(body, jsontext.SpaceAfterColon(true), jsontext.SpaceAfterComma(true))},
		{"it matches with the shortest escapes in its strings: the body was re-serialised on the way, or the sender signs another form than it sends",
			layout(body, jsontext.PreserveRawStrings(false))},
	}
	var all []guess
	for _, change := range changes {
		if change.body == nil || bytes.Equal(change.body, body) {
			continue
		}
		g := base
		g.request.Body, g.says = change.body, change.says
		all = append(all, g)
	}
	return all
}

// layout writes a JSON body in another way.
func layout(body []byte, options ...jsontext.Options) []byte {
	value := jsontext.Value(bytes.Clone(body))
	options = append([]jsontext.Options{
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true),
	}, options...)
	if err := value.Format(options...); err != nil {
		return nil
	}
	return value
}

// urlGuesses varies the address.
func urlGuesses(base guess) []guess {
	if base.settings.PublicURL == "" {
		return nil
	}
	swapped := base
	if rest, ok := strings.CutPrefix(base.settings.PublicURL, "https:"); ok {
		swapped.settings.PublicURL = "http:" + rest
	} else {
		swapped.settings.PublicURL = "https:" + strings.TrimPrefix(base.settings.PublicURL, "http:")
	}
	swapped.says = "it matches with the public URL " + swapped.settings.PublicURL
	slash := base
	if path, ok := strings.CutSuffix(base.request.Path, "/"); ok {
		slash.request.Path, slash.says = path, `it matches without the "/" at the end of the path`
	} else {
		slash.request.Path, slash.says = base.request.Path+"/", `it matches with a "/" at the end of the path`
	}
	bare := base
	bare.request.Query, bare.says = "", "it matches without the query"
	return []guess{swapped, slash, bare}
}

// formGuesses varies how the signature is written.
func formGuesses(base guess) []guess {
	var all []guess
	for _, encoding := range []string{encodingHex, encodingBase64} {
		g := base
		g.settings.Encoding = encoding
		g.says = fmt.Sprintf("it matches the %s form, and the settings say %s", encoding, base.settings.Encoding)
		all = append(all, g)
	}
	for _, prefix := range []string{"", "sha256=", "sha512=", "sha1=", "v1=", "v0=", "v1,"} {
		g := base
		g.settings.Prefix = prefix
		g.says = fmt.Sprintf("it matches with the prefix %q, and the settings say %q", prefix, base.settings.Prefix)
		all = append(all, g)
	}
	if base.settings.Scheme == SchemeHMAC {
		for _, hash := range []string{hashSHA256, hashSHA512, hashSHA1} {
			g := base
			g.settings.Hash = hash
			g.says = fmt.Sprintf("it matches with the hash %s, and the settings say %s", hash, base.settings.Hash)
			all = append(all, g)
		}
	}
	return all
}

// textGuesses varies the text that is signed.
func textGuesses(base guess) []guess {
	forms := []string{"{timestamp}.{body}", "{timestamp}{body}", "{body}{timestamp}", "{timestamp}|{body}", "{timestamp}:{body}"}
	var all []guess
	add := func(g guess) {
		if g.settings.Signed != base.settings.Signed {
			all = append(all, g)
		}
	}
	bare := base
	bare.settings = base.settings.Merge(Settings{Signed: bodyAlone})
	bare.says = "it matches if the body alone is signed: {body}"
	add(bare)
	for _, form := range forms {
		g := base
		g.settings.Signed = form
		g.says = "it matches if the signed text is " + form
		if base.settings.signsTime() {
			add(g)
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(base.request.Header)) {
			if strings.Contains(strings.ToLower(name), "timestamp") {
				h := g
				h.settings.TimestampHeader = name
				h.says += fmt.Sprintf(" with the time in the header %q", name)
				add(h)
			}
		}
	}
	return all
}

// secretGuesses varies how the secret is read.
func secretGuesses(base guess) []guess {
	var all []guess
	for _, encoding := range []string{encodingText, encodingBase64, encodingHex} {
		g := base
		g.settings.SecretEncoding = encoding
		g.says = fmt.Sprintf("it matches with the secret read as %s, and the settings say %s", encoding, base.settings.SecretEncoding)
		all = append(all, g)
		g.secrets = nil
		for _, secret := range base.secrets {
			_, bare, _ := strings.Cut(string(secret), "_")
			g.secrets = append(g.secrets, Secret(bare))
		}
		g.says = "it matches with the secret without what stands before its first underscore, read as " + encoding
		all = append(all, g)
	}
	return all
}
