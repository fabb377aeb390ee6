package signature

import (
	"net/http"
	"strings"
)

// lookup returns the one value that stands under any of the names. Proxies copy headers under other spellings, so the same value
// may stand under several; two values, or a name that is sent twice, leave open which one the sender meant.
func lookup(header http.Header, names []string, missing, duplicate Cause) (string, Cause) {
	value, found := "", false
	for name, values := range header {
		if !named(names, name) || len(values) == 0 {
			continue
		}
		sent := strings.Trim(values[0], " \t")
		if len(values) > 1 || found && sent != value {
			return "", duplicate
		}
		value, found = sent, true
	}
	if value == "" {
		return "", missing
	}
	return value, ""
}

func named(names []string, name string) bool {
	for _, known := range names {
		if sameHeader(known, name) {
			return true
		}
	}
	return false
}

// sameHeader compares the names of headers. Letter case does not count, and "-" and "_" are the same.
func sameHeader(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if plain(a[i]) != plain(b[i]) {
			return false
		}
	}
	return true
}

func plain(c byte) byte {
	switch {
	case c == '_':
		return '-'
	case c >= 'A' && c <= 'Z':
		return c - 'A' + 'a'
	default:
		return c
	}
}

// withHeader sets a header in place of all that go by its name or another spelling of it.
func withHeader(header http.Header, names []string, value string) {
	for name := range header {
		if named(names, name) {
			delete(header, name)
		}
	}
	header.Set(names[0], value)
}

// list reads a header such as "t=1,v0=abc,v0=def". Keys that mean nothing here are passed over.
func list(value, signatureKey, timestampKey string) (signatures []string, timestamp string, cause Cause) {
	times := 0
	for part := range strings.SplitSeq(value, ",") {
		key, text, ok := strings.Cut(strings.Trim(part, " \t"), "=")
		switch {
		case !ok || key == "":
			return nil, "", CauseSignatureMalformed
		case key == signatureKey:
			signatures = append(signatures, text)
		case key == timestampKey:
			timestamp = text
			times++
		}
	}
	switch {
	case timestampKey != "" && (times == 0 || timestamp == ""):
		return nil, "", CauseTimeMissing
	case times > 1:
		return nil, "", CauseTimeMalformed
	case len(signatures) == 0:
		return nil, "", CauseSignatureMissing
	}
	return signatures, timestamp, ""
}
