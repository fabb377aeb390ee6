package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
)

func TestReadFormRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		form   string
		reason callnormv1.FaultReason
	}{
		"nothing":                     {"", callnormv1.FaultReason_FAULT_REASON_EMPTY_BODY},
		"line ends":                   {" \r\n", callnormv1.FaultReason_FAULT_REASON_EMPTY_BODY},
		"a byte order mark alone":     {"\xef\xbb\xbf", callnormv1.FaultReason_FAULT_REASON_EMPTY_BODY},
		"a word":                      {"completed", callnormv1.FaultReason_FAULT_REASON_MALFORMED},
		"names without values":        {"a&b&c", callnormv1.FaultReason_FAULT_REASON_MALFORMED},
		"a NUL as it is":              {"a=b\x00c", callnormv1.FaultReason_FAULT_REASON_MALFORMED},
		"lines":                       {"a=b\nc=d", callnormv1.FaultReason_FAULT_REASON_MALFORMED},
		"the parts of another format": {"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--", callnormv1.FaultReason_FAULT_REASON_MALFORMED},
	} {
		t.Run(name, func(t *testing.T) {
			err := wire.ReadForm([]byte(test.form), func(*wire.Reader) { t.Error("the form is read although it is none") })
			fault := (*adapters.Error)(nil)
			if !errors.As(err, &fault) {
				t.Fatalf("got %v, want an *adapters.Error", err)
			}
			if fault.Reason != test.reason || fault.Detail == "" {
				t.Errorf("got %v", fault)
			}
		})
	}
}

// readForm returns what a function read of a form, and what was noted beside it.
func readForm[T any](t *testing.T, form string, function func(*wire.Reader) T) (T, *callnormv1.Provenance) {
	t.Helper()
	var got T
	var notes *wire.Notes
	if err := wire.ReadForm([]byte(form), func(r *wire.Reader) {
		notes = r.Notes()
		got = function(r)
	}); err != nil {
		t.Fatal(err)
	}
	return got, notes.Provenance()
}

func TestAFormIsAnObjectOfTexts(t *testing.T) {
	many := make([]string, 200)
	for i := range many {
		many[i] = fmt.Sprintf("n%d=%d", i%100, i%150)
	}
	for name, test := range map[string]struct{ form, want string }{
		"pairs":                             {"a=1&b=two&c=", `{"a":"1","b":"two","c":""}`},
		"blanks and escapes":                {"a=b+c%20d%2Be%26f%3D&%61b=%2b", `{"a":"b c d+e&f=","ab":"+"}`},
		"an equals sign in a value":         {"a=b=c", `{"a":"b=c"}`},
		"a name without a value":            {"a&b=1", `{"a":"","b":"1"}`},
		"a value without a name":            {"=1", `{"":"1"}`},
		"nothing between two":               {"&a=1&&b=2&", `{"a":"1","b":"2"}`},
		"a semicolon separates nothing":     {"a=1;b=2", `{"a":"1;b=2"}`},
		"quotes and backslashes":            {`a=%22\"&b%22=1`, `{"a":"\"\\\"","b\"":"1"}`},
		"control characters that are coded": {"a=%00%0A%1F%7F", `{"a":"\u0000\n\u001f` + "\x7f" + `"}`},
		"letters as they are":               {"name=José", `{"name":"José"}`},
		"letters that are coded":            {"name=Jos%C3%A9", `{"name":"José"}`},
		"a byte order mark and a line end":  {"\xef\xbb\xbfa=1\r\n", `{"a":"1"}`},
		"one value twice":                   {"a=1&a=1", `{"a":"1"}`},
		"two values":                        {"a=1&b=3&a=2&a=1", `{"a":["1","2"],"b":"3"}`},
		"two values, one of them empty":     {"a=&a=1", `{"a":["","1"]}`},
		"one name in two spellings":         {"a=1&%61=2", `{"a":["1","2"]}`},
		"names in two cases are two":        {"a=1&A=2", `{"a":"1","A":"2"}`},
	} {
		t.Run(name, func(t *testing.T) {
			_, notes := readForm(t, test.form, func(r *wire.Reader) any { r.Keep(); return nil })
			if got := unmapped(notes); len(got) != 1 || got[0] != "="+test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if len(notes.GetWarnings()) != 0 {
				t.Errorf("warnings: %v", notes.GetWarnings())
			}
		})
	}
	t.Run("many pairs", func(t *testing.T) {
		got, _ := readForm(t, strings.Join(many, "&"), (*wire.Reader).JSON)
		var values map[string]any
		if err := json.Unmarshal([]byte(got), &values); err != nil || len(values) != 100 {
			t.Fatalf("%v: %s", err, got)
		}
		if diff := cmp.Diff([]any{"60", "10"}, values["n60"]); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPairsThatCannotBeDecodedAreKept(t *testing.T) {
	for name, test := range map[string]struct{ pair, path, value string }{
		"a percent sign alone":             {"a=50%", "a", `"50%"`},
		"one digit":                        {"a=50%2", "a", `"50%2"`},
		"no digits":                        {"a=50%zz+x", "a", `"50%zz+x"`},
		"a value in Latin 1":               {"a=Jos%E9", "a", `"Jos%E9"`},
		"a value in Latin 1 as it is":      {"a=Jos\xe9", "a", `"Jos%E9"`},
		"half a surrogate pair":            {"a=%ED%A0%BD", "a", `"%ED%A0%BD"`},
		"a name that cannot be decoded":    {"a%=1", `["a%"]`, `"1"`},
		"a name in Latin 1 as it is":       {"\xe9=1", `["%E9"]`, `"1"`},
		"a decoded name, a value that not": {"a+b=%", `["a b"]`, `"%"`},
	} {
		t.Run(name, func(t *testing.T) {
			names, notes := readForm(t, "first=1&"+test.pair+"&last=2", func(r *wire.Reader) []string {
				var names []string
				for name := range r.Members() {
					r.Skip()
					names = append(names, name)
				}
				return names
			})
			if diff := cmp.Diff([]string{"first", "last"}, names); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{test.path + "=" + test.value}, unmapped(notes)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"UNREADABLE " + test.path}, warnings(notes)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLeavesOfAFormAreThoseOfAnObject reads a form and the object of the same texts with one function.
func TestLeavesOfAFormAreThoseOfAnObject(t *testing.T) {
	leaves := func(r *wire.Reader) []string {
		var list []string
		for name := range r.Members() {
			var leaf any
			switch name {
			case "text":
				leaf = r.Text()
			case "word":
				leaf = r.Word()
			case "seconds", "minutes":
				leaf = r.Duration(map[string]time.Duration{"seconds": time.Second, "minutes": time.Minute}[name]).AsDuration()
			case "int":
				leaf = r.Int()
			case "yes":
				leaf = *r.Bool()
			case "at", "other_at", "bad_at":
				leaf = r.Time(true).AsTime()
			case "json":
				leaf = r.JSON()
			case "value":
				leaf = r.Value().GetStringValue()
			case "twice":
				leaf = r.Texts()
			default:
				continue
			}
			text, err := json.Marshal(leaf)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, name+" "+string(text))
		}
		return list
	}
	fields := [][2]string{
		{"text", "a b"},
		{"word", "no-answer"},
		{"seconds", "35"},
		{"minutes", "1"},
		{"int", "200"},
		{"yes", "true"},
		{"at", "Tue, 03 Feb 2026 10:11:12 +0000"},
		{"other_at", "2021-04-28 21:51:18.731479Z"},
		{"bad_at", "yesterday"},
		{"json", `{"a":[1]}`},
		{"value", "17"},
		{"int", "many"},
		{"twice", "x"},
		{"twice", "y"},
		{"word", "busy"},
		{"new", "1"},
	}
	form, repeated := "", url.Values{}
	for _, field := range fields {
		form += "&" + field[0] + "=" + url.QueryEscape(field[1])
		repeated.Add(field[0], field[1])
	}
	object := make(map[string]any)
	for name, values := range repeated {
		if object[name] = values[0]; len(values) > 1 {
			object[name] = values
		}
	}
	text, err := json.Marshal(object) // in the order of the names
	if err != nil {
		t.Fatal(err)
	}
	fromForm, formNotes := readForm(t, form, leaves)
	fromObject, objectNotes := read(t, string(text), leaves)
	sorted := cmp.Transformer("sorted", func(list []string) map[string]bool {
		set := make(map[string]bool)
		for _, text := range list {
			set[text] = true
		}
		return set
	})
	if diff := cmp.Diff(fromObject, fromForm, sorted); diff != "" {
		t.Errorf("leaves (-object +form):\n%s", diff)
	}
	if diff := cmp.Diff(unmapped(objectNotes), unmapped(formNotes), sorted); diff != "" {
		t.Errorf("unmapped (-object +form):\n%s", diff)
	}
	if diff := cmp.Diff(warnings(objectNotes), warnings(formNotes), sorted); diff != "" {
		t.Errorf("warnings (-object +form):\n%s", diff)
	}
	want := []string{"bad_at=\"yesterday\"", `int=["200","many"]`, `word=["no-answer","busy"]`, `new="1"`}
	if diff := cmp.Diff(want, unmapped(formNotes), sorted); diff != "" {
		t.Errorf("unmapped (-want +got):\n%s", diff)
	}
}

func TestAFormThatIsNotReadIsKept(t *testing.T) {
	_, notes := readForm(t, "a=1&b=2", func(*wire.Reader) any { return nil })
	if diff := cmp.Diff([]string{`={"a":"1","b":"2"}`}, unmapped(notes)); diff != "" {
		t.Error(diff)
	}
}

func TestAFormOfManyPairsIsBounded(t *testing.T) {
	form := strings.Repeat("a=%&", 1000) + strings.Repeat("b=x&", 1000) + strings.Repeat("c&", 1000)
	_, notes := readForm(t, form, func(r *wire.Reader) any { return r.Texts() })
	if len(notes.GetUnmapped()) > 200 || notes.GetUnmappedCount() != 1001 || len(notes.GetWarnings()) > 110 {
		t.Errorf("listed %d of %d, %d warnings", len(notes.GetUnmapped()), notes.GetUnmappedCount(), len(notes.GetWarnings()))
	}
}

func FuzzReadForm(f *testing.F) {
	for _, form := range []string{
		"a=1&b=2", "a=1&a=2&a=1", "a=%ff&%=1", "a=%7B%22b%22%3A%5B1%5D%7D", "Timestamp=Tue%2C+03+Feb+2026+10%3A11%3A12+%2B0000", "=&&=", "a;b=1",
	} {
		f.Add([]byte(form))
	}
	f.Fuzz(func(t *testing.T, form []byte) {
		var notes *wire.Notes
		object := ""
		err := wire.ReadForm(form, func(r *wire.Reader) {
			notes = r.Notes()
			r.Peek(func(r *wire.Reader) { object = r.JSON() })
			explore(r, 0)
		})
		if err != nil {
			if fault := (*adapters.Error)(nil); !errors.As(err, &fault) {
				t.Fatalf("%v is no *adapters.Error", err)
			}
			return
		}
		if _, err := protojson.Marshal(notes.Provenance()); err != nil {
			t.Fatal(err)
		}
		checkAgainstURL(t, string(form), object)
	})
}

// checkAgainstURL checks that a form which the standard library can read is read in the same way.
func checkAgainstURL(t *testing.T, form, object string) {
	t.Helper()
	values, err := url.ParseQuery(strings.Trim(strings.TrimPrefix(form, "\xef\xbb\xbf"), " \t\r\n"))
	if err != nil || !json.Valid([]byte(object)) {
		return
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(object), &got); err != nil {
		t.Fatal(err)
	}
	for name, list := range values {
		list = slices.DeleteFunc(list, func(value string) bool { return !utf8.ValidString(name + value) }) // they are kept aside
		var want any
		switch distinct := distinct(list); len(distinct) {
		case 0:
		case 1:
			want = distinct[0]
		default:
			want = distinct
		}
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Fatalf("%q (-want +got):\n%s", name, diff)
		}
	}
}

func distinct(list []string) []any {
	var values []any
	for _, value := range list {
		if !slices.Contains(values, any(value)) {
			values = append(values, value)
		}
	}
	return values
}
