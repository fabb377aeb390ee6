package mention_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/callnorm/callnorm/internal/mention"
	"pgregory.net/rapid"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ number, text, want string }{
		"as it was added":                            {"+4930123456", "call +4930123456 now", "call * now"},
		"without its plus":                           {"+4930123456", "call 4930123456 now", "call * now"},
		"dialled from abroad":                        {"+4930123456", "call 004930123456 now", "call * now"},
		"dialled from America":                       {"+4930123456", "call 011 49 30 123456 now", "call * now"},
		"national, with separators":                  {"+4930123456", "(030) 123-456 or 030/12.34.56", "* or *"},
		"national, without its zero":                 {"+4930123456", `{"code":"49","number":"30123456"}`, `{"code":"49","number":"*"}`},
		"national, where no zero is dialled":         {"+12025550143", "(202) 555-0143", "*"},
		"international, with separators":             {"+4930123456", "+49 30 123-456, +49\u00a030\u2011123456", "*, *"},
		"with a zero that is not dialled":            {"+4930123456", "+49 (0)30 123456", "*"},
		"digit by digit":                             {"+4930123456", "it is 0 3 0, no: 0 3 0 1 2 3 4 5 6 7 days", "it is 0 3 0, no: * 7 days"},
		"beside other digits":                        {"+4930123456", "5 030 123456 2024-05-01", "5 * 2024-05-01"},
		"not in the middle of other digits":          {"+4930123456", "14930123456 49301234567", "14930123456 49301234567"},
		"not over a comma or a line":                 {"+4930123456", "030,123456 030\n123456", "030,123456 030\n123456"},
		"in an address":                              {"+4930123456", "sip:+4930123456@example.com", "sip:*@example.com"},
		"added with separators":                      {" +49 (0)30 / 123 456 ", "4930123456", "*"},
		"added with what is dialled for the plus":    {"004930123456", "030 123456", "*"},
		"added nationally, found nationally":         {"030 123456", "(030) 123456", "*"},
		"added nationally, found behind a code":      {"030 123456", "+4930123456 and 004930123456", "* and *"},
		"added nationally, not behind other digits":  {"030 123456", "4930123456", "4930123456"},
		"of no country":                              {"+9991234567", "+9991234567 9991234567", "* *"},
		"a country whose numbers begin with a zero":  {"+390612345678", "06 12345678", "*"},
		"too short":                                  {"4321", "4321", "4321"},
		"no number":                                  {"anonymous", "anonymous 5", "anonymous 5"},
		"nothing":                                    {"", "0", "0"},
		"far too long":                               {"+" + strings.Repeat("1", 1000), strings.Repeat("1", 1000), "*"},
		"the same digits many times do not overlap":  {"11111", "11111 11111", "* *"},
		"a bracket that is closed later is not lost": {"+4930123456", "(call 030 123456)", "(call *)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f mention.Finder
			f.AddNumber(test.number)
			if got := mention.Replace(test.text, "*", &f); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if got, want := f.Mentions(test.text), test.text != test.want; got != want {
				t.Errorf("mentions: %v", got)
			}
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ name, text, want string }{
		"the whole name is one mention":            {"Julian Meier", "I am Julian Meier.", "I am *."},
		"its parts":                                {"Julian Meier", "julian? MEIER!", "*? *!"},
		"a genitive":                               {"Julian Meier", "Julians Termin, Meier's call", "* Termin, *'s call"},
		"parts are whole words":                    {"Ann Berg", "Annual Bergen", "Annual Bergen"},
		"a name of one word is found within words": {"Julian", "xjulian85@example.com", "*@example.com"},
		"a particle is no name":                    {"Anna von der Heide", "von der Heide, der Termin", "von der *, der Termin"},
		"in small letters all parts count":         {"julian meier", "Julian", "*"},
		"other letters":                            {"Jörg Ökçe", "JÖRG ökçe", "*"},
		"a script without capitals is not widened to sentence": {"\u7530\u4e2d", "\u79c1\u306f\u7530\u4e2d\u3067\u3059", "\u79c1\u306f*\u3067\u3059"},
		"two letters are too short":                            {"Al", "Al also", "Al also"},
		"digits are no name":                                   {"12345", "12345", "12345"},
		"joined by a hyphen":                                   {"Anne-Marie Roux", "Marie", "*"},
		"blanks":                                               {"  ", "  ", "  "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f mention.Finder
			f.AddName(test.name)
			if got := mention.Replace(test.text, "*", &f); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestFindersTogether(t *testing.T) {
	t.Parallel()
	var names, addresses mention.Finder
	if !names.Empty() || !addresses.Empty() {
		t.Error("there is something to find before anything was added")
	}
	names.AddName("Jo Meier")
	addresses.AddText("jo.meier@example.com")
	addresses.AddNumber("+4930123456")
	text := "Jo Meier <JO.MEIER@example.com> 030 123456 MEIER"
	if got, want := mention.Replace(text, "*", &names, &addresses), "* <*> * *"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		folded := mention.Fold(text)
		if len(folded) != len(text) || mention.Fold(folded) != folded || utf8.ValidString(text) != utf8.ValidString(folded) {
			t.Errorf("%q becomes %q", text, folded)
		}
	})
}

func FuzzReplace(f *testing.F) {
	f.Add("Julian Meier", "+49 (0)30 123456", "jo@example.com", "Julian: (030) 123-456, jo@example.com")
	f.Add("\u7530\u4e2d", "0301", "@", "\xff+")
	f.Fuzz(func(t *testing.T, name, number, text, where string) {
		var finder mention.Finder
		finder.AddName(name)
		finder.AddNumber(number)
		finder.AddText(text)
		for _, in := range []string{where, where + text + where, name + where} {
			got := mention.Replace(in, "\x00", &finder)
			if finder.Mentions(in) == (got == in) && !strings.Contains(in, "\x00") {
				t.Errorf("%q becomes %q", in, got)
			}
			if wanted := mention.Fold(text); wanted != "" && !strings.Contains(wanted, "\x00") && strings.Contains(mention.Fold(got), wanted) {
				t.Errorf("%q is left in %q", text, got)
			}
		}
	})
}
