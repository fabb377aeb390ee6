package wire_test

import (
	"testing"

	"github.com/callnorm/callnorm/adapters/internal/wire"
)

func TestDecimal(t *testing.T) {
	for _, test := range []struct {
		json   string
		places int
		want   string
		noted  bool
	}{
		{"0", 0, "0", false},
		{"0.061", 0, "0.061", false},
		{"70.0", 0, "70.0", false},
		{"1e2", 0, "100", false},
		{"1.25e1", 0, "12.5", false},
		{"2.1e-05", 0, "0.000021", false},
		{"0.0e0", 0, "0.0", false},
		{"-1E-3", 0, "-0.001", false},
		{"123456789012345678901234567890.5", 0, "123456789012345678901234567890.5", false},
		{`"0.5"`, 0, "0.5", false},
		{`" 007 "`, 0, "", true}, // JSON has no such numbers, so neither has a text that holds one
		{"null", 0, "", false},
		{`""`, 0, "", false},
		{"1e400", 0, "", true},
		{"1e99999999999999999999", 0, "", true},
		{`"free"`, 0, "", true},
		{"true", 0, "", true},
		{"[]", 0, "", true},
		{"7.6", 2, "0.076", false},
		{"0", 2, "0.00", false},
		{"12", 2, "0.12", false},
		{"1234.50", 2, "12.3450", false},
		{"-5", 2, "-0.05", false},
		{"1e3", 2, "10", false},
		{"1.5e-7", 2, "0.0000000015", false},
		{"3", -2, "300", false},
	} {
		var got string
		var notes *wire.Notes
		if err := wire.Read([]byte(test.json), func(r *wire.Reader) { got, notes = r.Decimal(test.places), r.Notes() }); err != nil {
			t.Fatal(err)
		}
		if noted := notes.Provenance().GetUnmappedCount() > 0; got != test.want || noted != test.noted {
			t.Errorf("%s, %d places: got %q, kept as odd: %v", test.json, test.places, got, noted)
		}
	}
	var total, none string
	if err := wire.Read([]byte(`{"total":7.6,"none":null}`), func(r *wire.Reader) {
		for name := range r.Members() {
			if money := r.Money("USD", 2); name == "total" {
				total = money.GetCurrencyCode() + money.GetAmount()
			} else {
				none = money.String()
			}
		}
	}); err != nil || total != "USD0.076" || none != "" && none != "<nil>" {
		t.Errorf("%v, %q, %q", err, total, none)
	}
}
