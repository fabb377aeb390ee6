package signature

import (
	"crypto/sha256"
	"errors"
	"strings"
)

// Versions of signatures, and prefixes of the keys to which they belong. A key is typed by its prefix, so that no signature can
// choose how a key is used.
const (
	versionMAC = "v1"
	versionEd  = "v1a"

	prefixSecret  = "whsec_"
	prefixPublic  = "whpk_"
	prefixPrivate = "whsk_"
)

func (s Settings) readStandardKey(source string) (key, error) {
	if public, ok := strings.CutPrefix(source, prefixPublic); ok {
		k, err := readEd25519(public)
		return edKey{public: k, version: versionEd}, err
	}
	if strings.HasPrefix(source, prefixPrivate) {
		return nil, errors.New("is a private key; the public one, " + prefixPublic + ", is needed")
	}
	raw, ok := decodeBase64(strings.TrimPrefix(source, prefixSecret))
	if !ok {
		return nil, errors.New("is not base64 after " + prefixSecret)
	}
	return macKey{hash: sha256.New, secret: raw, version: versionMAC}, s.longEnough(raw)
}

// standardStem returns what stands before "signature" in the name of the header: webhook-signature comes with webhook-id and
// webhook-timestamp, svix-signature with svix-id and svix-timestamp.
func standardStem(header string) string {
	const suffix = "-signature"
	stem := len(header) - len(suffix)
	if stem < 1 || !sameHeader(header[stem:], suffix) {
		return ""
	}
	return header[:stem]
}

// siblings returns the names of the headers that come with the signature's.
func siblings(signatures []string, last string) []string {
	names := make([]string, 0, len(signatures))
	for _, name := range signatures {
		names = append(names, standardStem(name)+last)
	}
	return names
}

// standardTemplate is the text that Standard Webhooks signs.
func standardTemplate(headers []string) template {
	ids := siblings(headers, "-Id")
	return template{
		{kind: pieceHeader, text: ids[0], names: ids}, {text: "."}, {kind: pieceTimestamp}, {text: "."}, {kind: pieceBody},
	}
}

// standardProofs reads "v1,BASE64 v1a,BASE64 ...". Versions that are not known and entries that are broken are passed over: the
// standard lets senders add some.
func standardProofs(value string) []proof {
	var proofs []proof
	for entry := range strings.SplitSeq(value, " ") {
		version, signature, _ := strings.Cut(entry, ",")
		if raw, ok := decodeBase64(signature); ok && (version == versionMAC || version == versionEd) {
			proofs = append(proofs, proof{version: version, value: raw})
		}
	}
	return proofs
}
