package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
)

func TestReadRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		body   string
		reason callnormv1.FaultReason
		path   string
	}{
		"nothing":                           {"", callnormv1.FaultReason_FAULT_REASON_EMPTY_BODY, ""},
		"white space":                       {" \r\n\t", callnormv1.FaultReason_FAULT_REASON_EMPTY_BODY, ""},
		"a byte order mark alone":           {"\xef\xbb\xbf", callnormv1.FaultReason_FAULT_REASON_EMPTY_BODY, ""},
		"a form":                            {"call_id=1&status=completed", callnormv1.FaultReason_FAULT_REASON_MALFORMED, ""},
		"data after the value":              {`{"a":1} {"b":2}`, callnormv1.FaultReason_FAULT_REASON_MALFORMED, ""},
		"a word after the value":            {`1 x`, callnormv1.FaultReason_FAULT_REASON_MALFORMED, ""},
		"a trailing comma":                  {`{"a":1,}`, callnormv1.FaultReason_FAULT_REASON_MALFORMED, ""},
		"a comment":                         {`{"a":1/*x*/}`, callnormv1.FaultReason_FAULT_REASON_MALFORMED, ""},
		"a control character in a text":     {"\"a\x01\"", callnormv1.FaultReason_FAULT_REASON_MALFORMED, ""},
		"a number that JSON does not have":  {`NaN`, callnormv1.FaultReason_FAULT_REASON_MALFORMED, ""},
		"a member twice":                    {`{"a":{"b":1,"b":2}}`, callnormv1.FaultReason_FAULT_REASON_DUPLICATE_MEMBER, "a.b"},
		"a member twice, escaped once":      {`{"a":1,"\u0061":2}`, callnormv1.FaultReason_FAULT_REASON_DUPLICATE_MEMBER, "a"},
		"a member twice in a list's object": {`{"l":[0,{"x y":1,"x y":2}]}`, callnormv1.FaultReason_FAULT_REASON_DUPLICATE_MEMBER, `l[1]["x y"]`},
		"a member twice in an empty text":   {`{"":1,"":2}`, callnormv1.FaultReason_FAULT_REASON_DUPLICATE_MEMBER, `[""]`},
		"a member twice, far apart":         {`{"a":1,` + numbered(200) + `,"a":2}`, callnormv1.FaultReason_FAULT_REASON_DUPLICATE_MEMBER, "a"},
		"a member twice, then a body that stops": {
			`{"a":1,"a":2,"b":`, callnormv1.FaultReason_FAULT_REASON_DUPLICATE_MEMBER, "a",
		},
		"a body that stops before a member comes twice": {`{"a":1,"b":[1,}],"a":2}`, callnormv1.FaultReason_FAULT_REASON_MALFORMED, ""},
		"bytes that are no UTF-8":                       {"{\"a\":\"\xff\"}", callnormv1.FaultReason_FAULT_REASON_INVALID_UTF8, ""},
		"a surrogate written as UTF-8":                  {"\"\xed\xa0\xbd\"", callnormv1.FaultReason_FAULT_REASON_INVALID_UTF8, ""},
		"a body that stops in an object":                {`{"a":{"b":1`, callnormv1.FaultReason_FAULT_REASON_TRUNCATED, ""},
		"a body that stops in a text":                   {`{"a":"b`, callnormv1.FaultReason_FAULT_REASON_TRUNCATED, ""},
		"a body that stops in an escape":                {`{"a":"b\`, callnormv1.FaultReason_FAULT_REASON_TRUNCATED, ""},
		"a hundred thousand levels":                     {nested(100_000), callnormv1.FaultReason_FAULT_REASON_TOO_DEEP, ""},
		"a hundred thousand open brackets":              {strings.Repeat("[", 100_000), callnormv1.FaultReason_FAULT_REASON_TOO_DEEP, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for way, read := range map[string]func(*wire.Reader){
				"kept":      func(*wire.Reader) {},
				"skipped":   (*wire.Reader).Skip,
				"walked":    walk,
				"put aside": func(r *wire.Reader) { r.Later() },
				"left": func(r *wire.Reader) {
					for range r.Members() {
						return
					}
				},
			} {
				err := wire.Read([]byte(test.body), func(r *wire.Reader) {
					if test.reason != callnormv1.FaultReason_FAULT_REASON_DUPLICATE_MEMBER {
						t.Error("the body is read although it is none")
					}
					read(r)
				})
				fault := (*adapters.Error)(nil)
				if !errors.As(err, &fault) {
					t.Fatalf("%s: got %v, want an *adapters.Error", way, err)
				}
				if fault.Reason != test.reason || fault.Path != test.path || fault.Detail == "" {
					t.Errorf("%s: got %v", way, fault)
				}
			}
		})
	}
}

// walk reads all members and elements.
func walk(r *wire.Reader) {
	if r.Kind() == '[' {
		for range r.Elements() {
			walk(r)
		}
		return
	}
	for range r.Members() {
		walk(r)
	}
}

// numbered returns as many members, each of another name.
func numbered(members int) string {
	list := make([]string, members)
	for i := range list {
		list[i] = fmt.Sprintf(`"m%d":{}`, i)
	}
	return strings.Join(list, ",")
}

func nested(levels int) string {
	return strings.Repeat(`{"a":[`, levels/2) + "1" + strings.Repeat("]}", levels/2)
}

func TestReadAccepts(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"a byte order mark":             {"\xef\xbb\xbf{\"a\":1}", `{"a":1}`},
		"white space around":            {"\r\n {\"a\" : 1 }\t\n", `{"a":1}`},
		"white space within":            {"{ \"a\" :\t[ 1 ,\n{ \"b c\" : \" d , } \" } ] }", `{"a":[1,{"b c":" d , } "}]}`},
		"quotes and backslashes":        {`{"a\"}":"\\\\\" ]","b":"\\"}`, `{"a\"}":"\\\\\" ]","b":"\\"}`},
		"a scalar":                      {` -1.50e+3 `, `-1.50e+3`},
		"a thousand levels":             {nested(1000), nested(1000)},
		"a number beyond 64 bits":       {`9223372036854775809`, `9223372036854775809`},
		"half a surrogate pair":         {`["\ud83d"]`, `["\ud83d"]`},
		"an empty name":                 {`{"":1}`, `{"":1}`},
		"one name in several objects":   {`{"a":{"a":1,"b":{"a":2}},"b":[{"a":3},{"a":4}]}`, `{"a":{"a":1,"b":{"a":2}},"b":[{"a":3},{"a":4}]}`},
		"an escaped name":               {`{"\u0061":1,"b":2}`, `{"\u0061":1,"b":2}`},
		"many names":                    {"{" + numbered(200) + "}", "{" + numbered(200) + "}"},
		"empty objects and empty lists": {`[{},[],{ },[ ]]`, `[{},[],{},[]]`},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := wire.Read([]byte(test.body), func(r *wire.Reader) {
				r.Keep()
				got = r.Notes().Provenance().GetUnmapped()[0].GetValueJson()
			}); err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// read returns what a function read of a body, and what was noted beside it.
func read[T any](t *testing.T, body string, function func(*wire.Reader) T) (T, *callnormv1.Provenance) {
	t.Helper()
	var got T
	var notes *wire.Notes
	if err := wire.Read([]byte(body), func(r *wire.Reader) {
		notes = r.Notes()
		got = function(r)
	}); err != nil {
		t.Fatal(err)
	}
	return got, notes.Provenance()
}

func unmapped(p *callnormv1.Provenance) []string {
	var list []string
	for _, field := range p.GetUnmapped() {
		list = append(list, field.GetPath()+"="+field.GetValueJson())
	}
	return list
}

func warnings(p *callnormv1.Provenance) []string {
	var list []string
	for _, warning := range p.GetWarnings() {
		list = append(list, strings.TrimPrefix(warning.GetKind().String(), "WARNING_KIND_")+" "+warning.GetPath())
	}
	return list
}

func TestWhatIsNotReadIsKept(t *testing.T) {
	const body = `{"a":1,"list":[1,[2,3],{"x":4}],"obj":{"b":5,"c d":[6]},"z":null}`
	for name, test := range map[string]struct {
		read func(*wire.Reader)
		want []string
	}{
		"nothing is read at all": {func(*wire.Reader) {}, []string{"=" + body}},
		"the members are passed over": {func(r *wire.Reader) {
			for range r.Members() {
			}
		}, []string{"a=1", "list=[1,[2,3],{\"x\":4}]", "obj={\"b\":5,\"c d\":[6]}", "z=null"}},
		"the loops are left early": {func(r *wire.Reader) {
			for name := range r.Members() {
				if name == "list" {
					for i := range r.Elements() {
						if i == 1 {
							for range r.Elements() {
								r.Skip()
								break
							}
							break
						}
						r.Skip()
					}
					break
				}
				r.Skip()
			}
		}, []string{"list[1][1]=3", "list[2]={\"x\":4}", "obj={\"b\":5,\"c d\":[6]}", "z=null"}},
		"an object is read as something else": {func(r *wire.Reader) {
			for range r.Elements() {
				t.Error("an object has no elements")
			}
		}, []string{"=" + body}},
		"some inner members are read": {func(r *wire.Reader) {
			for name := range r.Members() {
				if name != "obj" {
					r.Skip()
					continue
				}
				for name := range r.Members() {
					if name == "b" {
						r.Skip()
					}
				}
			}
		}, []string{`obj["c d"]=[6]`}},
		"a value is read twice": {func(r *wire.Reader) {
			for range r.Members() {
				r.Skip()
				if r.Text() != "" || r.Value() != nil || r.JSON() != "" || r.Time(true) != nil || r.Int() != nil || r.Bool() != nil || r.Kind() != 0 {
					t.Error("there is a value behind the value")
				}
				for range r.Members() {
					t.Error("there are members behind the value")
				}
				for range r.Elements() {
					t.Error("there are elements behind the value")
				}
				r.Embedded(func(r *wire.Reader) { r.Keep() })
				r.Keep()
			}
		}, nil},
		"a value is looked at before it is read": {func(r *wire.Reader) {
			r.Peek(func(r *wire.Reader) { r.JSON() })
			r.Skip()
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, notes := read(t, body, func(r *wire.Reader) any { test.read(r); return nil })
			if diff := cmp.Diff(test.want, unmapped(notes)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnmappedFieldsAreBounded(t *testing.T) {
	for name, test := range map[string]struct {
		body   string
		listed int
		count  int32
	}{
		"many fields":               {"[" + strings.Repeat("1,", 999) + "1]", 200, 1000},
		"a large field":             {`["` + strings.Repeat("x", 65<<10) + `",1,2]`, 2, 3},
		"large fields":              {`["` + strings.Repeat("x", 40<<10) + `","` + strings.Repeat("y", 40<<10) + `",1]`, 2, 3},
		"names count, too":          {`{"` + strings.Repeat("n", 300<<10) + `":1}`, 1, 1},
		"a field just small enough": {`["` + strings.Repeat("x", 64<<10-5) + `"]`, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, notes := read(t, test.body, func(r *wire.Reader) any {
				for range r.Elements() {
				}
				for range r.Members() {
				}
				return nil
			})
			if name == "names count, too" {
				_, notes = read(t, test.body, func(r *wire.Reader) any {
					for range r.Members() {
					}
					return nil
				})
				if path := notes.GetUnmapped()[0].GetPath(); len(path) > 600 {
					t.Errorf("a path of %d bytes", len(path))
				}
			}
			truncated := 0
			for _, warning := range notes.GetWarnings() {
				if warning.GetKind() == callnormv1.WarningKind_WARNING_KIND_TRUNCATED {
					truncated++
				}
			}
			if want := min(1, int(test.count)-test.listed); truncated != want {
				t.Errorf("%d warnings of truncation, want %d", truncated, want)
			}
			if len(notes.GetUnmapped()) != test.listed || notes.GetUnmappedCount() != test.count {
				t.Errorf("listed %d of %d, want %d of %d", len(notes.GetUnmapped()), notes.GetUnmappedCount(), test.listed, test.count)
			}
		})
	}
}

func TestWarningsAreBounded(t *testing.T) {
	_, notes := read(t, "["+strings.Repeat("{},", 999)+"{}]", func(r *wire.Reader) any {
		for range r.Elements() {
			r.Text()
		}
		return nil
	})
	last := notes.GetWarnings()[len(notes.GetWarnings())-1]
	if len(notes.GetWarnings()) != 101 || last.GetKind() != callnormv1.WarningKind_WARNING_KIND_TRUNCATED {
		t.Errorf("%d warnings, the last is %v", len(notes.GetWarnings()), last)
	}
}

func TestNotesOfItems(t *testing.T) {
	var first, second *wire.Notes
	_, _ = read(t, `{"a":1,"items":[2,3],"z":4}`, func(r *wire.Reader) any {
		first = r.Notes()
		for name := range r.Members() {
			if name != "items" {
				continue
			}
			for i := range r.Elements() {
				if i == 1 {
					second = r.Fresh()
				}
				r.Keep()
			}
			r.NoteIn(first)
		}
		return nil
	})
	if diff := cmp.Diff([]string{"a=1", "items[0]=2", "z=4"}, unmapped(first.Provenance())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"items[1]=3"}, unmapped(second.Provenance())); diff != "" {
		t.Error(diff)
	}
}

func TestNamesArePassedOnAsTheyAre(t *testing.T) {
	var names []string
	var body strings.Builder
	for i := range 3000 {
		names = append(names, fmt.Sprintf("name %d %s", i, strings.Repeat("x", i%80)))
		fmt.Fprintf(&body, ",%q:1", names[i])
	}
	for range 2 {
		got, _ := read(t, `{"é\n":1`+body.String()+"}", func(r *wire.Reader) []string {
			var got []string
			for name := range r.Members() {
				r.Skip()
				got = append(got, name)
			}
			return got
		})
		if diff := cmp.Diff(append([]string{"é\n"}, names...), got); diff != "" {
			t.Fatal(diff)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, file := range []string{"a00_anunzi_page_2024_03.json", "s00_synthflow_page_2025_10.json"} {
		body, err := os.ReadFile("../../synthflow/testdata/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	for _, body := range []string{`"\ud83d"`, `[1e999,-0,0.1]`, `{"a":"{\"b\":[1,\"2\"]}","":null}`, nested(100), `"{\"a\":\"\\ud83d\"}"`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var notes *wire.Notes
		err := wire.Read(body, func(r *wire.Reader) {
			notes = r.Notes()
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
	})
}

// explore reads a value in one way after the other.
func explore(r *wire.Reader, turn int) {
	for _, read := range []func(*wire.Reader){
		func(r *wire.Reader) { r.Text() }, func(r *wire.Reader) { r.Word() }, func(r *wire.Reader) { r.Bool() },
		func(r *wire.Reader) { r.Int() }, func(r *wire.Reader) { r.Duration(1e9) }, func(r *wire.Reader) { r.Time(true) },
		func(r *wire.Reader) { r.Value() }, func(r *wire.Reader) { r.JSON() }, func(r *wire.Reader) { r.NamedValues() },
		func(r *wire.Reader) { r.Texts() }, func(r *wire.Reader) { r.Keep() },
	} {
		r.Peek(read)
	}
	switch r.Kind() {
	case '{':
		for range r.Members() {
			explore(r, turn+1)
		}
	case '[':
		for range r.Elements() {
			explore(r, turn+1)
		}
	case '"':
		if turn < 20 {
			r.Embedded(func(r *wire.Reader) { explore(r, turn+1) })
		}
	}
}

// FuzzReadFindsRepeatedMembers compares what the reader finds in passing with what the decoder finds.
func FuzzReadFindsRepeatedMembers(f *testing.F) {
	for _, body := range []string{`{"a":1,"a":2}`, `{"a":{"b":1},"b":[{"a":1,"\u0061":1}]}`, `[{},{"":1,"":2}]`, "{" + numbered(70) + `,"m3":1}`} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, walked bool) {
		read := (*wire.Reader).Skip
		if walked {
			read = walk
		}
		valid := utf8.Valid(body) && jsontext.Value(body).IsValid(jsontext.AllowInvalidUTF8(true))
		if err := wire.Read(body, read); (err == nil) != valid && !bytes.HasPrefix(body, []byte("\xef\xbb\xbf")) {
			t.Errorf("got %v, and the decoder takes it: %t", err, valid)
		}
	})
}
