package signature

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
)

// decode reads a signature that must have one of the sizes. "any" is hex if it can be: no size that is used looks like both.
func decode(encoding, text string, sizes []int) ([]byte, bool) {
	if encoding == encodingHex || encoding == encodingAny {
		if value, err := hex.DecodeString(text); err == nil && slices.Contains(sizes, len(value)) {
			return value, true
		}
	}
	if encoding == encodingBase64 || encoding == encodingAny {
		if value, ok := decodeBase64(text); ok && slices.Contains(sizes, len(value)) {
			return value, true
		}
	}
	return nil, false
}

// decodeBase64 reads the standard and the URL-safe alphabet, padded or not. Each value has one spelling in each: neither line
// breaks nor loose bits are taken, both of which the standard library overlooks.
func decodeBase64(text string) ([]byte, bool) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	encoding := base64.StdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.URLEncoding
	}
	if !strings.HasSuffix(text, "=") {
		encoding = encoding.WithPadding(base64.NoPadding)
	}
	value, err := encoding.Strict().DecodeString(text)
	return value, err == nil
}

func encode(encoding string, value []byte) string {
	if encoding == encodingHex {
		return hex.EncodeToString(value)
	}
	return base64.StdEncoding.EncodeToString(value)
}
