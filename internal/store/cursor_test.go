package store_test

import (
	"encoding/base64"
	"errors"
	"math"
	"net/url"
	"testing"

	"github.com/callnorm/callnorm/internal/store"
)

func TestCursorText(t *testing.T) {
	t.Parallel()
	for name, cursor := range map[string]store.Cursor{
		"zero":      {},
		"some":      {Log: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, Position: 42, Check: 0xdeadbeef},
		"the last":  {Log: [8]byte{255, 255, 255, 255, 255, 255, 255, 255}, Position: math.MaxInt64, Check: math.MaxUint32},
		"only bits": {Position: 1 << 40, Check: 1 << 31, Trims: 1 << 63},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := cursor.String()
			if escaped := url.QueryEscape(text); escaped != text {
				t.Errorf("%q is %q in a URL", text, escaped)
			}
			if parsed, err := store.ParseCursor(text); err != nil || parsed != cursor {
				t.Errorf("%q is parsed as %+v, %v, want %+v", text, parsed, err, cursor)
			}
		})
	}
}

func TestCursorOfVersion1(t *testing.T) {
	t.Parallel()
	const text = "AQECAwQFBgcIAAAAAAAAACreAL7v"
	want := store.Cursor{Log: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, Position: 42, Check: 0xde00beef}
	if got, err := store.ParseCursor(text); err != nil || got != want {
		t.Errorf("%q is parsed as %+v, %v, want %+v", text, got, err, want)
	}
}

func TestCursorMalformed(t *testing.T) {
	t.Parallel()
	good := store.Cursor{Position: 7, Check: 9}.String()
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(at int, to byte) string {
		b := append([]byte(nil), raw...)
		b[at] = to
		return base64.RawURLEncoding.EncodeToString(b)
	}
	for name, text := range map[string]string{
		"empty":             "",
		"blank":             " ",
		"a blank around":    good + " ",
		"a line break":      good[:8] + "\n" + good[8:],
		"padding":           good + "=",
		"too short":         good[:len(good)-1],
		"too long":          good + "A",
		"another alphabet":  "+" + good[1:],
		"no text":           "\x00\xff",
		"a later version":   changed(0, 3),
		"negative position": changed(9, 0x80),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if cursor, err := store.ParseCursor(text); !errors.Is(err, store.ErrCursorMalformed) || cursor != (store.Cursor{}) {
				t.Errorf("%q is parsed as %+v, %v", text, cursor, err)
			}
		})
	}
}

// FuzzParseCursor checks that a text is either refused or the one text of its cursor.
func FuzzParseCursor(f *testing.F) {
	f.Add("")
	f.Add(store.Cursor{}.String())
	f.Add(store.Cursor{Log: [8]byte{1}, Position: 1, Check: 1}.String())
	f.Fuzz(func(t *testing.T, text string) {
		cursor, err := store.ParseCursor(text)
		switch {
		case err != nil && !errors.Is(err, store.ErrCursorMalformed):
			t.Errorf("%q: %v", text, err)
		case err == nil && cursor.String() != text:
			t.Errorf("%q is parsed as what is written %q", text, cursor)
		}
	})
}
