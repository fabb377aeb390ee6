package signature

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// mutation is a request beside one that is proved.
type mutation struct {
	part, what string
	request    Request
	verifier   *Verifier // where the settings or secrets are what changes
}

// TestMutations changes every part of every vector. What a signature covers must not change unnoticed; what its file says it
// does not cover must be free.
func TestMutations(t *testing.T) {
	const least = 100
	for _, f := range readVectors(t) {
		t.Run(f.name, func(t *testing.T) {
			v, tried, accepted := f.verifier(t), 0, 0
			for i, original := range f.requests {
				covered := f.covers(original)
				for _, m := range f.mutations(t, v, original, f.Vectors[i].Secret) {
					verifier := v
					if m.verifier != nil {
						verifier = m.verifier
					}
					_, err := verifier.Verify(m.request)
					verifier.Explain(m.request)
					tried++
					at := f.Vectors[i].Name + ": " + m.part + ": " + m.what
					switch {
					case slices.Contains(parts, m.part):
						if (err == nil) != f.isUncovered(m.part) {
							t.Errorf("%s: Verify: %v; the file says uncovered: %v", at, err, f.Uncovered)
						}
					case err != nil:
					case m.part != "bytes" || f.covers(m.request) != covered:
						accepted++
						t.Errorf("%s: accepted", at)
					}
				}
			}
			t.Logf("%d mutations, %d accepted", tried, accepted)
			if tried < least {
				t.Errorf("%d mutations, want %d or more", tried, least)
			}
		})
	}
}

// parts are what a file may call uncovered. Each has mutations that keep all other parts as they are.
var parts = []string{"method", "path", "query", "header", "body", "white space", "list", "boundaries"}

func (f *vectorFile) mutations(t *testing.T, v *Verifier, original Request, secret int) []mutation {
	t.Helper()
	var all []mutation
	add := func(part, what string, change func(*Request)) {
		r := clone(original)
		change(&r)
		all = append(all, mutation{part: part, what: what, request: r})
	}
	f.outer(original, add)
	f.bodies(original, add)
	if v.UsesPathToken() {
		for what, token := range garble(original.Token) {
			add("signature", what, func(r *Request) { r.Token = token })
		}
	} else {
		f.signatures(v, original, add)
	}
	if v.settings.signsTime() {
		f.times(v, original, add)
	}
	for i, name := range slices.Sorted(slices.Values(headerNames(original))) {
		if strings.HasSuffix(strings.ToLower(name), "-id") {
			add("id", fmt.Sprint("another ", i), func(r *Request) { r.Header.Set(name, r.Header.Get(name)+"0") })
			add("id", "none", func(r *Request) { r.Header.Del(name) })
			add("id", "empty", func(r *Request) { r.Header.Set(name, "") })
			add("id", "twice", func(r *Request) { r.Header.Add(name, "msg_2") })
		}
	}
	for what, other := range f.others(t, secret) {
		all = append(all, mutation{part: "secret", what: what, request: clone(original), verifier: other})
	}
	return all
}

func headerNames(r Request) []string {
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	return names
}

type adder func(part, what string, change func(*Request))

// outer changes what stands around the body.
func (f *vectorFile) outer(original Request, add adder) {
	for _, method := range []string{"PUT", "post", "DELETE"} {
		add("method", method, func(r *Request) { r.Method = method })
	}
	for _, path := range []string{"", "/", original.Path + "/", original.Path + "x", strings.ToUpper(original.Path), "/v1/webhooks/other"} {
		add("path", path, func(r *Request) { r.Path = path })
	}
	for _, query := range []string{original.Query + "&x=1", "x=1", "&" + original.Query + "&", original.Query + "#x"} {
		add("query", query, func(r *Request) { r.Query = query })
	}
	for _, value := range []string{"1", "another", ""} {
		add("header", value, func(r *Request) { r.Header.Set("X-Beside", value) })
	}
}

// bodies changes the body. What is called bytes may fall on any place in it, so only what it then means can be judged.
func (f *vectorFile) bodies(original Request, add adder) {
	body := original.Body
	for at := range body {
		for _, bit := range []byte{1, 0x20} {
			add("bytes", fmt.Sprintf("bit %d of byte %d flipped", bit, at), func(r *Request) { r.Body[at] ^= bit })
		}
		if at%5 == 0 {
			add("bytes", fmt.Sprintf("cut off at %d", at), func(r *Request) { r.Body = r.Body[:at] })
		}
	}
	for what, extra := range map[string]string{"NUL": "\x00", "brace": "}", "value": "{}", "pair": "&a=b"} {
		add("bytes", what+" appended", func(r *Request) { r.Body = append(r.Body, extra...) })
	}
	add("bytes", "twice", func(r *Request) { r.Body = append(r.Body, body...) })
	if bytes.HasPrefix(body, []byte("{")) {
		add("body", "another member", func(r *Request) { r.Body = append([]byte(`{"evil":[1,"2"],`), body[1:]...) })
		add("white space", "within", func(r *Request) { r.Body = append([]byte("{ \n"), body[1:]...) })
		add("white space", "at the end", func(r *Request) { r.Body = append(r.Body, '\n') })
		for what, prefix := range map[string]string{
			"other id beside":          `{"call_id":"victim",`,
			"other spelling beside":    `{"Call_id":"victim",`,
			"no id beside":             `{"call_id":null,`,
			"empty id beside":          `{"call_id":"",`,
			"blank id beside":          `{"call_id":" ",`,
			"number beside":            `{"call_id":1,`,
			"call twice":               `{"call":{"call_id":"victim"},`,
			"call twice, escaped":      `{"c\u0061ll":{"call_id":"victim"},`,
			"other id first in a call": `{"call":{"Call_id":"victim"},`,
		} {
			if f.isUncovered("body") && f.covers(original) != "" && bytes.Contains(body, []byte(`"call":{`)) {
				add("field", what, func(r *Request) { r.Body = append([]byte(prefix), body[1:]...) })
			}
		}
	} else if len(body) > 0 {
		add("body", "another pair", func(r *Request) { r.Body = append(r.Body, "&evil=1"...) })
		// Only where names stay in their order.
		if name, value, _ := strings.Cut(string(body), "="); strings.Count(string(body), name) == 1 {
			add("boundaries", "a value gives to its name", func(r *Request) { r.Body = []byte(name + value[:1] + "=" + value[1:]) })
		}
	}
}

// garble makes strings that are not the one given, in the ways that headers go wrong.
func garble(good string) map[string]string {
	all := map[string]string{
		"empty": "", "blank": " ", "garbage": "garbage", "CRLF": good + "\r\nX: y", "line feed": good + "\n", "NUL": good + "\x00",
		"appended": good + "A", "prepended": "A" + good, "twice": good + good, "twice in one": good + " " + good, "quoted": `"` + good + `"`,
		"other algorithm": "sha512=" + good, "null": "null", "zeros": strings.Repeat("0", len(good)), "equals": good + "=====",
	}
	for at := range good {
		other := byte('A')
		if good[at] == 'A' || good[at] == 'a' {
			other = 'B'
		}
		if good[at] != '=' {
			all[fmt.Sprintf("character %d", at)] = good[:at] + string(other) + good[at+1:]
		}
	}
	for at := 0; at < len(good); at += 3 {
		if strings.Trim(good[at:], "=") != "" {
			all[fmt.Sprintf("cut off at %d", at)] = good[:at]
		}
		if at > 0 {
			all[fmt.Sprintf("cut before %d", at)] = good[at:]
		}
	}
	return all
}

// signatures changes the header with the signature or secret.
func (f *vectorFile) signatures(v *Verifier, original Request, add adder) {
	name := ""
	for sent := range original.Header {
		if named(v.settings.Headers, sent) {
			name = sent
		}
	}
	good := original.Header.Get(name)
	listed := v.settings.SignatureKey != "" || v.settings.Scheme == SchemeStandardWebhooks
	for what, value := range garble(good) {
		if listed && (strings.HasPrefix(what, "twice") || strings.Contains(good, "v9")) {
			continue // a list may have more in it; see the part of that name
		}
		if v.settings.Scheme == SchemeStandardWebhooks && strings.Contains(good, " ") {
			continue // what stands in other entries does not count
		}
		add("signature", what, func(r *Request) { r.Header.Set(name, value) })
	}
	add("signature", "none", func(r *Request) { r.Header.Del(name) })
	add("signature", "no values", func(r *Request) { r.Header[name] = nil })
	add("signature", "renamed", func(r *Request) { r.Header.Del(name); r.Header.Set("X-Renamed", good) })
	add("signature", "the same twice", func(r *Request) { r.Header.Add(name, good) })
	add("signature", "and another", func(r *Request) { r.Header.Add(name, "garbage") })
	for _, other := range v.settings.Headers {
		if !sameHeader(other, name) {
			add("signature", "another under "+other, func(r *Request) { r.Header.Set(other, "garbage") })
			add("signature", "an empty one under "+other, func(r *Request) { r.Header.Set(other, "") })
		}
	}
	if spelling := strings.ReplaceAll(name, "-", "_"); spelling != name {
		add("signature", "another under "+spelling, func(r *Request) { r.Header.Set(spelling, "garbage") })
	}
	if listed {
		more := map[bool]string{true: ",zz=1", false: " v9,zz"}[v.settings.SignatureKey != ""]
		add("list", "one more", func(r *Request) { r.Header.Set(name, good+more) })
	}
}

// times changes the signed time, and the time of receipt.
func (f *vectorFile) times(v *Verifier, original Request, add adder) {
	e := v.read(&original)
	beyond := v.settings.Tolerance + time.Second
	sent := original.Time.Add(-e.skew)
	add("time", "too late", func(r *Request) { r.Time = sent.Add(beyond) })
	add("time", "too early", func(r *Request) { r.Time = sent.Add(-beyond) })
	add("time", "a year later", func(r *Request) { r.Time = sent.AddDate(1, 0, 0) })
	add("time", "at no time", func(r *Request) { r.Time = time.Time{} })
	add("time", "at the end of time", func(r *Request) { r.Time = time.Unix(1<<62, 0) })
	for _, value := range []string{
		"", "0", "-1", "+" + e.timestamp, " ", "1.72E12", e.timestamp + ".0", "0x1", "99999999999999999999", "9223372036854775807",
		"18446744073709551615", "-9223372036854775808", "0" + e.timestamp, e.timestamp + "0", e.timestamp + "000", "now",
		stamp(sent.Add(time.Second), v.settings.TimestampUnit), stamp(sent.Add(beyond), v.settings.TimestampUnit),
		stamp(sent.Add(-beyond), v.settings.TimestampUnit), e.timestamp + "\n", "١٧٦٧٣٢٣٠٤٥",
	} {
		add("timestamp", value, func(r *Request) {
			for name := range r.Header {
				switch {
				case strings.Contains(strings.ToLower(name), "timestamp"):
					r.Header.Set(name, value)
				case v.settings.TimestampKey != "" && named(v.settings.Headers, name):
					key := v.settings.TimestampKey + "="
					r.Header.Set(name, strings.Replace(r.Header.Get(name), key+e.timestamp, key+value, 1))
				}
			}
		})
	}
	add("timestamp", "none, or two", func(r *Request) {
		for name := range r.Header {
			switch {
			case strings.Contains(strings.ToLower(name), "timestamp"):
				delete(r.Header, name)
			case v.settings.TimestampKey != "" && named(v.settings.Headers, name):
				r.Header.Set(name, v.settings.TimestampKey+"="+e.timestamp+","+r.Header.Get(name))
			}
		}
	})
}

// others returns verifiers that must refuse what the secret at the index proves: with other secrets, and with other settings.
func (f *vectorFile) others(t *testing.T, secret int) map[string]*Verifier {
	t.Helper()
	all := map[string]*Verifier{}
	add := func(what string, s Settings, secrets []Secret) {
		if v, err := New(s, secrets); err == nil {
			all[what] = v
		}
	}
	good := string(f.secrets[secret])
	for at := range good {
		other := byte('b')
		if good[at] == 'b' || good[at] == 'B' {
			other = 'c'
		}
		if f.settings.symmetric() && !strings.HasPrefix(good, prefixPublic) && (at < len(good)-2 || f.settings.SecretEncoding == "") {
			add(fmt.Sprintf("character %d", at), f.settings, []Secret{Secret(good[:at] + string(other) + good[at+1:])})
		}
	}
	without := slices.Delete(slices.Clone(f.secrets), secret, secret+1)
	add("removed", f.settings, without)
	add("reversed", f.settings, []Secret{Secret(reversed(good))})
	add("a zero more", f.settings, []Secret{Secret(good + "0")})
	s := f.settings
	for _, hash := range []string{"sha1", "sha256", "sha512"} {
		if s.Hash = hash; hash != f.settings.WithDefaults().Hash {
			add("hash "+hash, s, f.secrets)
		}
	}
	for _, signed := range []string{"{body}.", "{body}{body}", "{method}{body}", ".{body}", "{lf}{body}"} {
		if f.settings.templated() {
			add("signed "+signed, f.settings.Merge(Settings{Signed: signed}), f.secrets)
		}
	}
	return all
}

func reversed(text string) string {
	all := []byte(text)
	slices.Reverse(all)
	return string(all)
}
