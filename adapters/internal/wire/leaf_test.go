package wire_test

import (
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

func TestText(t *testing.T) {
	for name, test := range map[string]struct {
		body, want string
		kept       bool
	}{
		"a text":                             {`"a b"`, "a b", false},
		"an empty text":                      {`""`, "", false},
		"escapes":                            {`"\u2019\n\"\\\/\ud83d\ude42"`, "’\n\"\\/🙂", false},
		"a number is its literal":            {`1711646262471768387119913843100`, "1711646262471768387119913843100", false},
		"an exponent is not worked out":      {`1e3`, "1e3", false},
		"a negative number":                  {`-1.50`, "-1.50", false},
		"a truth value":                      {`false`, "false", false},
		"null":                               {`null`, "", false},
		"an object":                          {`{"a":1}`, "", true},
		"a list":                             {`["a"]`, "", true},
		"the first half of a surrogate pair": {`"Bye \ud83d"`, "Bye \uFFFD", false},
		"the second half alone":              {`"\ude42!"`, "\uFFFD!", false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, read2 := range []func(*wire.Reader) string{(*wire.Reader).Text, (*wire.Reader).Word} {
				got, notes := read(t, test.body, read2)
				if got != test.want || (len(notes.GetUnmapped()) == 1) != test.kept {
					t.Errorf("got %q, %v", got, notes)
				}
			}
		})
	}
	if _, notes := read(t, `"\ud83d"`, (*wire.Reader).Text); len(warnings(notes)) != 1 {
		t.Errorf("a replaced half is worth a warning, got %v", notes)
	}
}

func TestBool(t *testing.T) {
	yes, no := true, false
	for name, test := range map[string]struct {
		body string
		want *bool
		kept bool
	}{
		"true":             {`true`, &yes, false},
		"false":            {`false`, &no, false},
		"a text":           {`"False"`, &no, false},
		"a text in blanks": {`" TRUE "`, &yes, false},
		"an empty text":    {`""`, nil, false},
		"null":             {`null`, nil, false},
		"one":              {`1`, nil, true},
		"yes":              {`"yes"`, nil, true},
		"an object":        {`{}`, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, notes := read(t, test.body, (*wire.Reader).Bool)
			if diff := cmp.Diff(test.want, got); diff != "" || (len(notes.GetUnmapped()) == 1) != test.kept {
				t.Errorf("%s%v", diff, notes)
			}
		})
	}
}

func TestInt(t *testing.T) {
	number := func(n int32) *int32 { return &n }
	for name, test := range map[string]struct {
		body string
		want *int32
		kept bool
	}{
		"zero":             {`0`, number(0), false},
		"minus zero":       {`-0`, number(0), false},
		"a text":           {`" 25 "`, number(25), false},
		"an exponent":      {`1e3`, number(1000), false},
		"the largest":      {`2147483647`, number(2147483647), false},
		"one more":         {`2147483648`, nil, true},
		"the smallest":     {`-2147483647`, number(-2147483647), false},
		"a fraction":       {`1.5`, nil, true},
		"a fraction of .0": {`1.0`, number(1), false},
		"beyond a double":  {`1e999`, nil, true},
		"null":             {`null`, nil, false},
		"an empty text":    {`""`, nil, false},
		"a word":           {`"ten"`, nil, true},
		"hexadecimal":      {`"0x10"`, nil, true},
		"NaN":              {`"NaN"`, nil, true},
		"a truth value":    {`true`, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, notes := read(t, test.body, (*wire.Reader).Int)
			if diff := cmp.Diff(test.want, got); diff != "" || (len(notes.GetUnmapped()) == 1) != test.kept {
				t.Errorf("%s%v", diff, notes)
			}
		})
	}
}

func TestDuration(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		unit time.Duration
		want string
	}{
		"seconds":                   {`113`, time.Second, "1m53s"},
		"seconds as a text":         {`"25"`, time.Second, "25s"},
		"a fraction":                {`1.25`, time.Second, "1.25s"},
		"milliseconds":              {`23870`, time.Millisecond, "23.87s"},
		"minutes":                   {`0.5`, time.Minute, "30s"},
		"zero is told":              {`0`, time.Second, "0s"},
		"null is not":               {`null`, time.Second, "none"},
		"an empty text is not":      {`""`, time.Second, "none"},
		"negative":                  {`-1`, time.Second, "kept"},
		"more than a year":          {`31708800`, time.Second, "kept"},
		"beyond a double":           {`1e999`, time.Second, "kept"},
		"a word":                    {`"1 min"`, time.Second, "kept"},
		"a clock":                   {`"00:01:53"`, time.Second, "kept"},
		"a number that is not JSON": {`"Inf"`, time.Second, "kept"},
	} {
		t.Run(name, func(t *testing.T) {
			got := "none"
			_, notes := read(t, test.body, func(r *wire.Reader) any {
				if d := r.Duration(test.unit); d != nil {
					got = d.AsDuration().String()
				}
				return nil
			})
			if len(notes.GetUnmapped()) == 1 && got == "none" {
				got = "kept"
			}
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestTime(t *testing.T) {
	for name, test := range map[string]struct {
		body     string
		naiveUTC bool
		want     string
	}{
		"an offset":                       {`"2024-03-28T18:17:46.205134+01:00"`, false, "2024-03-28T17:17:46.205134Z"},
		"an offset without a colon":       {`"2024-03-28T18:17:46+0100"`, false, "2024-03-28T17:17:46Z"},
		"a negative offset":               {`"2024-03-28T18:17:46-05:00"`, false, "2024-03-28T23:17:46Z"},
		"Zulu":                            {`"2025-10-27T09:59:46Z"`, false, "2025-10-27T09:59:46Z"},
		"a blank for the T":               {`"2025-10-27 09:59:46+00:00"`, false, "2025-10-27T09:59:46Z"},
		"nanoseconds":                     {`"2025-10-27T09:59:46.123456789Z"`, false, "2025-10-27T09:59:46.123456789Z"},
		"naive where that is UTC":         {`"2025-10-27T10:01:41.665384"`, true, "2025-10-27T10:01:41.665384Z"},
		"naive with a blank":              {`"2025-10-27 10:01:41"`, true, "2025-10-27T10:01:41Z"},
		"naive where nobody knows":        {`"2025-10-27T10:01:41"`, false, "kept"},
		"epoch seconds":                   {`1761559301`, false, "2025-10-27T10:01:41Z"},
		"epoch seconds with a fraction":   {`1761559301.6653843`, false, "2025-10-27T10:01:41.665384Z"},
		"epoch seconds as a text":         {`"1761559301.5"`, false, "2025-10-27T10:01:41.5Z"},
		"epoch milliseconds":              {`1761559301665`, false, "2025-10-27T10:01:41.665Z"},
		"epoch milliseconds as a text":    {`"1761559301665"`, false, "2025-10-27T10:01:41.665Z"},
		"epoch microseconds":              {`1761559301665384`, false, "kept"},
		"a negative epoch":                {`-1`, false, "kept"},
		"beyond a double":                 {`1e999`, false, "kept"},
		"a number that is not JSON":       {`"NaN"`, true, "kept"},
		"a date alone":                    {`"2025-10-27"`, true, "kept"},
		"a day that does not exist":       {`"2025-02-30T10:00:00Z"`, true, "kept"},
		"before the year one, in UTC":     {`"0001-01-01T00:00:00+23:59"`, true, "kept"},
		"after the year 9999, in UTC":     {`"9999-12-31T23:59:59-01:00"`, true, "kept"},
		"a zone by name":                  {`"2025-10-27 09:59:46 UTC"`, true, "kept"},
		"a truth value":                   {`true`, true, "kept"},
		"an object":                       {`{}`, true, "kept"},
		"null":                            {`null`, true, "none"},
		"an empty text":                   {`" "`, true, "none"},
		"a comma for the fraction's mark": {`"2025-10-27T10:01:41,665Z"`, true, "2025-10-27T10:01:41.665Z"},
		"a blank before Zulu":             {`"2025-10-27 10:01:41.665 Z"`, true, "kept"},
		"mail":                            {`"Mon, 27 Oct 2025 10:01:41 +0000"`, false, "2025-10-27T10:01:41Z"},
		"mail with an offset":             {`"Mon, 27 Oct 2025 10:01:41 -0530"`, false, "2025-10-27T15:31:41Z"},
		"mail without a day of the week":  {`"7 Oct 2025 10:01:41 +0000"`, false, "2025-10-07T10:01:41Z"},
		"mail with a comment":             {`"Mon, 27 Oct 2025 10:01:41 +0000 (UTC)"`, false, "2025-10-27T10:01:41Z"},
		"mail with blanks":                {`" Mon,27  Oct 2025  10:01:41 +0000 "`, false, "2025-10-27T10:01:41Z"},
		"mail whose plus is a blank":      {`"Mon, 27 Oct 2025 10:01:41  0100"`, false, "2025-10-27T09:01:41Z"},
		"an HTTP header":                  {`"Mon, 27 Oct 2025 10:01:41 GMT"`, false, "2025-10-27T10:01:41Z"},
		"mail in UTC":                     {`"Mon, 27 Oct 2025 10:01:41 UTC"`, false, "2025-10-27T10:01:41Z"},
		"mail without a zone, in UTC":     {`"Mon, 27 Oct 2025 10:01:41"`, true, "2025-10-27T10:01:41Z"},
		"mail without a zone":             {`"Mon, 27 Oct 2025 10:01:41"`, false, "kept"},
		"mail in a zone by name":          {`"Mon, 27 Oct 2025 10:01:41 EST"`, true, "kept"},
		"mail with half an offset":        {`"Mon, 27 Oct 2025 10:01:41 +000"`, true, "kept"},
		"mail without a year":             {`"Mon, 27 Oct 10:01:41 +0000"`, true, "kept"},
		"mail before the year one":        {`"Sat, 01 Jan 0000 00:00:00 +0000"`, true, "kept"},
		"mail after the year 9999":        {`"Fri, 31 Dec 9999 23:59:59 -0100"`, true, "kept"},
		"mail on a day that is none":      {`"Sun, 30 Feb 2025 10:01:41 +0000"`, true, "kept"},
		"words and a clock":               {`"soon, at 10:01"`, true, "kept"},
		"a clock alone":                   {`"1:2"`, true, "kept"},
		"a colon alone":                   {`":"`, true, "kept"},
	} {
		t.Run(name, func(t *testing.T) {
			got := "none"
			_, notes := read(t, test.body, func(r *wire.Reader) any {
				if moment := r.Time(test.naiveUTC); moment != nil {
					got = moment.AsTime().Format(time.RFC3339Nano)
					if err := moment.CheckValid(); err != nil {
						t.Error(err)
					}
				}
				return nil
			})
			if len(notes.GetUnmapped()) == 1 && len(notes.GetWarnings()) == 1 && got == "none" {
				got = "kept"
			}
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func text(s string) *callnormv1.Value {
	return &callnormv1.Value{Kind: &callnormv1.Value_StringValue{StringValue: s}}
}

func number(f float64) *callnormv1.Value {
	return &callnormv1.Value{Kind: &callnormv1.Value_NumberValue{NumberValue: f}}
}

func truth(yes bool) *callnormv1.Value {
	return &callnormv1.Value{Kind: &callnormv1.Value_BoolValue{BoolValue: yes}}
}

func exact(s string) *callnormv1.Value {
	return &callnormv1.Value{Kind: &callnormv1.Value_JsonValue{JsonValue: s}}
}

func TestValue(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		want *callnormv1.Value
	}{
		"a text":                         {`"null"`, text("null")},
		"an empty text":                  {`""`, text("")},
		"a number":                       {`44`, number(44)},
		"a fraction":                     {`0.1`, number(0.1)},
		"fifteen digits":                 {`123456789012345`, number(123456789012345)},
		"a large id stays exact":         {`9007199254740993`, exact("9007199254740993")},
		"one beyond 63 bits stays exact": {`9223372036854775809`, exact("9223372036854775809")},
		"beyond a double stays exact":    {`1e999`, exact("1e999")},
		"below a double stays exact":     {`1e-999`, exact("1e-999")},
		"a truth value":                  {`false`, truth(false)},
		"null is nothing":                {`null`, nil},
		"an object":                      {`{ "a" : [1, 2] }`, exact(`{"a":[1,2]}`)},
		"a list":                         {`[ ]`, exact(`[]`)},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := read(t, test.body, (*wire.Reader).Value)
			if diff := cmp.Diff(test.want, got, protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"an object":                         {`{ "a" : 1e999 }`, `{"a":1e999}`},
		"an object within a text":           {`"{\"a\": [1]}"`, `{"a":[1]}`},
		"a list within a text":              {`" [1, 2] "`, `[1,2]`},
		"a text":                            {`"half past ten"`, `"half past ten"`},
		"a text that begins like an object": {`"{\"day\": \"Tu"`, `"{\"day\": \"Tu"`},
		"an object that names one member twice, within a text": {`"{\"a\":1,\"a\":2}"`, `"{\"a\":1,\"a\":2}"`},
		"a number":        {`12`, `12`},
		"null":            {`null`, ``},
		"without content": {`{}`, ``},
		"an empty list":   {`[ ]`, ``},
		"an empty text":   {`""`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := read(t, test.body, (*wire.Reader).JSON); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestNamedValues(t *testing.T) {
	named := func(name string, value *callnormv1.Value) *callnormv1.NamedValue {
		return &callnormv1.NamedValue{Name: name, Value: value}
	}
	for name, test := range map[string]struct {
		body     string
		want     []*callnormv1.NamedValue
		unmapped []string
		warnings []string
	}{
		"an object": {
			`{"a":"x","b":null,"c":{"d":1}}`,
			[]*callnormv1.NamedValue{named("a", text("x")), named("b", nil), named("c", exact(`{"d":1}`))}, nil, nil,
		},
		"pairs":                    {`[{"key":"a","value":1},{"name":"b","value":true}]`, []*callnormv1.NamedValue{named("a", number(1)), named("b", truth(true))}, nil, nil},
		"pairs that hold more":     {`[{"key":"a","value":1,"type":"int"}]`, []*callnormv1.NamedValue{named("a", number(1))}, []string{`[0].type="int"`}, nil},
		"a pair without a name":    {`[{"value":1}]`, []*callnormv1.NamedValue{named("", number(1))}, nil, []string{"UNREADABLE [0]"}},
		"an object within a text":  {`"{\"a\":9007199254740993}"`, []*callnormv1.NamedValue{named("a", exact("9007199254740993"))}, nil, nil},
		"a list of something else": {`["a",1]`, nil, []string{`[0]="a"`, `[1]=1`}, []string{"WRONG_TYPE [0]", "WRONG_TYPE [1]"}},
		"a text":                   {`"a=1"`, nil, []string{`="a=1"`}, []string{"UNREADABLE "}},
		"a number":                 {`5`, nil, []string{`=5`}, []string{"WRONG_TYPE "}},
		"null":                     {`null`, nil, nil, nil},
		"an empty text":            {`""`, nil, nil, nil},
		"null within a text":       {`"null"`, nil, nil, nil},
		"nothing":                  {`{}`, nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, notes := read(t, test.body, (*wire.Reader).NamedValues)
			if diff := cmp.Diff(test.want, got, protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.unmapped, unmapped(notes)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.warnings, warnings(notes)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEmbeddedKeepsThePath(t *testing.T) {
	_, notes := read(t, `{"outer":"{\"inner\":[1,{\"x\":2}]}"}`, func(r *wire.Reader) any {
		for range r.Members() {
			r.Embedded(func(r *wire.Reader) {
				for range r.Members() {
					for range r.Elements() {
					}
				}
			})
		}
		return nil
	})
	if diff := cmp.Diff([]string{"outer.inner[0]=1", `outer.inner[1]={"x":2}`}, unmapped(notes)); diff != "" {
		t.Error(diff)
	}
}

func TestTexts(t *testing.T) {
	got, notes := read(t, `["a",null,"",1,{"b":2}]`, (*wire.Reader).Texts)
	if diff := cmp.Diff([]string{"a", "1"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{`[4]={"b":2}`}, unmapped(notes)); diff != "" {
		t.Error(diff)
	}
}

func TestPlaceholder(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "  ": true, "[UUID]": true, "[REDACTED]": true, "{callId}": true, "{{call_id}}": true, "<id>": true, "XXXXXXXX": true,
		"+1 XXX-XXX": false, "xxx-xxx": true, "***": true, "----": true, "null": true, "None": true, "undefined": true, "N/A": true,
		"string": true, "UUID": true, "redacted": true,
		"${call_id}": true, "$": true, "%callId%": true, "unknown": true, "false": true, "True": true, "-1": true, "0": true,
		"00000000-0000-0000-0000-000000000000": true, "000000000000000000000000": true,
		"x": false, "1": false, "10": false, "x1": false, "nullable": false, "3f0c00b5-5d1e-4b7a-9c55-8a10c19300b5": false,
		"1711646262471x768387119913843100": false, "[a": false, "call_1": false, "Nina": false,
	} {
		if got := wire.Placeholder(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}
