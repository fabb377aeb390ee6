package wire

import (
	"strconv"
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// Money reads an amount of a currency, also one that is written as a text. It is given in units of the currency divided by ten to
// the power of places: cents have 2.
func (r *Reader) Money(currency string, places int) *callnormv1.Money {
	amount := r.Decimal(places)
	if amount == "" {
		return nil
	}
	return &callnormv1.Money{CurrencyCode: currency, Amount: amount}
}

// Decimal reads a number with all its digits, also one that is written as a text, and divides it by ten to the power of places. An
// exponent is written out. It returns the empty text for null and the empty text.
func (r *Reader) Decimal(places int) string {
	v, literal := r.number()
	if len(literal) == 0 {
		return ""
	}
	text, ok := Decimal(string(literal), places)
	if !ok {
		r.keepOdd(v, "is no amount that can be written out")
	}
	return text
}

// Decimal writes a number with all its digits and without an exponent, divided by ten to the power of places. Binary floats would
// change it.
func Decimal(literal string, places int) (string, bool) {
	const longest = 60 // digits; no amount has more
	mantissa, power, scaled := strings.Cut(strings.ToLower(literal), "e")
	unsigned := strings.TrimPrefix(mantissa, "-")
	whole, fraction, pointed := strings.Cut(unsigned, ".")
	if !isDigits(whole) || pointed && !isDigits(fraction) || len(whole)+len(fraction) > longest {
		return "", false
	}
	if scaled {
		exponent, err := strconv.Atoi(power)
		if err != nil || exponent > longest || exponent < -longest {
			return "", false
		}
		places -= exponent
	}
	switch {
	case places > 0:
		whole = strings.Repeat("0", max(0, places-len(whole))) + whole
		whole, fraction = whole[:len(whole)-places], whole[len(whole)-places:]+fraction
	case places < 0:
		fraction += strings.Repeat("0", max(0, -places-len(fraction)))
		whole, fraction = whole+fraction[:-places], fraction[-places:]
	}
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return mantissa[:len(mantissa)-len(unsigned)] + whole, true
}

func isDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != ""
}
