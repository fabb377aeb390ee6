package signature

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzVerify changes any part of any vector. Nothing panics, and nothing is accepted that differs from the vector in what a
// signature covers.
func FuzzVerify(f *testing.F) {
	files := readVectors(f)
	verifiers := make([]*Verifier, 0, len(files))
	known := make([]map[string]bool, 0, len(files)) // what a valid signature exists for
	for i, file := range files {
		verifiers = append(verifiers, file.verifier(f))
		known = append(known, map[string]bool{})
		for _, r := range file.requests {
			known[i][file.covers(r)] = true
			var header strings.Builder
			for name, values := range r.Header {
				fmt.Fprintf(&header, "%s: %s\n", name, values[0])
			}
			f.Add(uint8(i), r.Method, r.Path, r.Query, r.Token, header.String(), r.Body, r.Time.UnixMilli())
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, method, path, query, token, header string, body []byte, at int64) {
		i := int(which) % len(files)
		r := Request{Method: method, Path: path, Query: query, Token: token, Header: http.Header{}, Body: body, Time: time.UnixMilli(at)}
		for line := range strings.Lines(header) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			r.Header.Add(name, value)
		}
		secret, err := verifiers[i].Verify(r)
		if err == nil && !known[i][files[i].covers(r)] {
			t.Errorf("%s accepts what nobody signed: secret %d, %q", files[i].name, secret, files[i].covers(r))
		}
		if x := verifiers[i].Explain(r); (x.Cause == "") != (err == nil) {
			t.Errorf("%s: Explain says %q, Verify %v", files[i].name, x.Cause, err)
		} else if text := x.String(); strings.ContainsAny(text, "\x1b\r\x00") {
			t.Errorf("%s: the explanation commands the terminal: %q", files[i].name, text)
		}
	})
}
