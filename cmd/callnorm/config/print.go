package config

import (
	"bufio"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/token"
)

// Print writes the configuration as a file that Load reads again, with every default written down. Of secrets it tells where
// they are.
func (c *Config) Print(w io.Writer) error {
	out := bufio.NewWriter(w)
	printStruct(out, reflect.ValueOf(c.effective).Elem(), "", "")
	return out.Flush()
}

// printStruct prints a line for each field that is set. The first one may continue a line that has begun.
func printStruct(out *bufio.Writer, value reflect.Value, first, indent string) {
	if checked, ok := reflect.TypeAssert[*verification](value.Addr()); ok && checked.note != "" {
		line(out, first+"# "+checked.note)
		first = indent
	}
	for i := range value.NumField() {
		name, option, _ := strings.Cut(value.Type().Field(i).Tag.Get("yaml"), ",")
		field := value.Field(i)
		if name == "" || field.IsZero() && option != "always" || field.Kind() == reflect.Slice && field.Len() == 0 {
			continue
		}
		if field.Kind() == reflect.Pointer {
			field = field.Elem()
		}
		switch {
		case field.Type() == reflect.TypeFor[reference]():
			line(out, first+name+": "+printReference(field))
		case field.Kind() == reflect.Struct:
			line(out, first+name+":")
			printStruct(out, field, indent+"  ", indent+"  ")
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Pointer:
			line(out, first+name+":")
			printList(out, field, indent+"  ")
		case field.Kind() == reflect.Slice:
			words := make([]string, field.Len())
			for i := range words {
				words[i] = printScalar(field.Index(i))
			}
			line(out, first+name+": ["+strings.Join(words, ", ")+"]")
		default:
			line(out, first+name+": "+printScalar(field))
		}
		first = indent
	}
}

func printList(out *bufio.Writer, list reflect.Value, indent string) {
	for i := range list.Len() {
		entry := list.Index(i).Elem()
		if entry.Type() == reflect.TypeFor[reference]() {
			line(out, indent+"- "+printReference(entry))
			continue
		}
		printStruct(out, entry, indent+"- ", indent+"  ")
	}
}

func printReference(value reflect.Value) string {
	for i := range value.NumField() {
		if field := value.Field(i); field.Kind() == reflect.String && !field.IsZero() {
			return "{" + fieldName(value.Type().Field(i)) + ": " + printScalar(field) + "} # [redacted]"
		}
	}
	return "{}"
}

// plain is text that needs no quotes, unless YAML takes it for something else.
var plain = regexp.MustCompile(`^[a-z][a-z0-9/_.-]*$`)

func printScalar(value reflect.Value) string {
	switch value := value.Interface().(type) {
	case time.Duration:
		return duration(value)
	case size:
		return value.String()
	case age:
		return value.String()
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	}
	if value.Kind() != reflect.String {
		return fmt.Sprint(value.Interface())
	}
	if text := value.String(); plain.MatchString(text) && !token.IsNeedQuoted(text) {
		return text
	}
	return strconv.Quote(value.String())
}

// line writes a line. The writer keeps the first error until it is flushed.
func line(out *bufio.Writer, text string) { _, _ = out.WriteString(text + "\n") }

// duration returns a time as a person would write it.
func duration(value time.Duration) string {
	text := value.String()
	if rest, found := strings.CutSuffix(text, "m0s"); found {
		text = rest + "m"
	}
	if rest, found := strings.CutSuffix(text, "h0m"); found {
		text = rest + "h"
	}
	return text
}

// String returns the age as a person would write it.
func (a age) String() string {
	if whole := time.Duration(a); whole%day == 0 {
		return strconv.FormatInt(int64(whole/day), 10) + "d"
	}
	return duration(time.Duration(a))
}

// String returns the size as a person would write it.
func (s size) String() string {
	for _, unit := range []struct {
		name string
		size size
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if s >= unit.size && s%unit.size == 0 {
			return strconv.FormatInt(int64(s/unit.size), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
