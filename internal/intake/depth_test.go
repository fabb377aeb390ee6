package intake

import (
	"strings"
	"testing"
)

func TestDepth(t *testing.T) {
	tests := map[string]int{
		``:                                   0,
		`1`:                                  0,
		`{}`:                                 1,
		`{"a":[{}]}`:                         3,
		`[[],[[]],[]]`:                       3,
		`["[[[[", {"{{{": "}"}]`:             2,
		`["\"[[", []]`:                       2,
		`["\\", []]`:                         2,
		`["\\\"[[[", []]`:                    2,
		`["\\\\", [[]]]`:                     3,
		`["`:                                 1,
		`["\`:                                1,
		`["\"[[`:                             1,
		`"\\"[`:                              1,
		`\"[[[`:                              0,
		`}}}[`:                               0,
		strings.Repeat(`[`, 1000):            1000,
		strings.Repeat(`{"a\\\"":`, 129):     129,
		`"` + strings.Repeat(`\"`, 99) + `[`: 0,
	}
	for body, want := range tests {
		if got := depth([]byte(body)); got != want {
			t.Errorf("depth(%.30s) = %d, want %d", body, got, want)
		}
	}
}

// FuzzDepth holds depth against reading one byte after the other.
func FuzzDepth(f *testing.F) {
	f.Add([]byte(`{"a\\\"[":["\\",[{}]]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		deepest, level, quoted := 0, 0, false
		for i := 0; i < len(body); i++ {
			switch c := body[i]; {
			case c == '\\' && quoted:
				i++
			case c == '"':
				quoted = !quoted
			case quoted:
			case c == '{' || c == '[':
				level++
				deepest = max(deepest, level)
			case c == '}' || c == ']':
				level--
			}
		}
		if got := depth(body); got != deepest {
			t.Errorf("depth(%q) = %d, want %d", body, got, deepest)
		}
	})
}
