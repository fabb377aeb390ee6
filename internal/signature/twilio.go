package signature

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"mime"
	"net/url"
	"slices"
	"strings"
)

// Twilio signs the URL of the request and what the form in its body says, without anything between names and values. So a
// signature does not cover where a name ends and its value begins, nor the method; and since each text is also that of another
// URL without a form, only the address that the source has makes the difference.
//
// Bodies that are no forms are covered by their hash, which stands in the query. A body that is covered by neither is refused.

const bodyHash = "bodySHA256"

// twilioForm returns what is signed after the URL.
func twilioForm(r *Request) (string, Cause) {
	if sums := queryValues(r.Query, bodyHash); len(sums) > 0 {
		sum := sha256.Sum256(r.Body)
		if len(sums) > 1 || !strings.EqualFold(sums[0], hex.EncodeToString(sum[:])) {
			return "", CauseSignatureMismatch
		}
		return "", ""
	}
	if len(r.Body) == 0 {
		return "", ""
	}
	if !isForm(r) {
		return "", CauseFieldMissing
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return "", CauseFieldMissing
	}
	return sortedForm(form), ""
}

// queryValues returns the values of one name. Parts of the query that cannot be read have none; they are signed as they are.
func queryValues(query, name string) []string {
	values, _ := url.ParseQuery(query) // what it returns beside an error is what it could read
	return values[name]
}

// isForm tells whether the body is read as a form.
func isForm(r *Request) bool {
	value, cause := lookup(r.Header, []string{"Content-Type"}, CauseFieldMissing, CauseFieldMissing)
	if cause != "" {
		return false
	}
	kind, _, err := mime.ParseMediaType(value)
	return err == nil && kind == "application/x-www-form-urlencoded"
}

// sortedForm writes names and values by name. Of a name that is sent several times, the values are sorted and each is written
// once, as Twilio's own libraries for Python and Node do it; the one for Go takes one value for each name.
func sortedForm(form url.Values) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(form)) {
		values := slices.Clone(form[name])
		slices.Sort(values)
		for _, value := range slices.Compact(values) {
			b.WriteString(name)
			b.WriteString(value)
		}
	}
	return b.String()
}

// addresses returns the public URL as it is, without a port and with the scheme's own: Twilio signs with either.
func addresses(base string) []string {
	u, err := url.Parse(base)
	if err != nil {
		return []string{base}
	}
	bare, own := *u, *u
	bare.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
	own.Host = bare.Host + map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	all := []string{base}
	for _, other := range []string{bare.String(), own.String()} {
		if !slices.Contains(all, other) && (other != own.String() || u.Port() == "") {
			all = append(all, other)
		}
	}
	return all
}
