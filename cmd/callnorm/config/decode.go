package config

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml/ast"
)

// custom is implemented by what is written in several ways. It tells whether it took the node, or said what is wrong with it.
type custom interface {
	decode(l *load, node ast.Node) bool
}

// document reads the root.
func (l *load) document(node ast.Node, doc *document) {
	into := reflect.ValueOf(doc).Elem()
	if node == nil {
		l.unset(into, place{})
		return
	}
	l.decode(node, into, position(node))
}

// decode reads a node into an addressable value. What does not fit is a problem and leaves the value zero.
func (l *load) decode(node ast.Node, into reflect.Value, at place) {
	_, null := node.(*ast.NullNode)
	at.set = !null
	field := into.Addr().Interface()
	l.places[field] = at
	if into.Kind() == reflect.Struct {
		l.unset(into, at)
	}
	if null {
		return
	}
	if special, ok := field.(custom); ok && special.decode(l, node) {
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		l.decode(node, into.Elem(), at)
	case reflect.Struct:
		l.decodeStruct(node, into, at)
	case reflect.Slice:
		list, ok := node.(*ast.SequenceNode)
		if !ok {
			l.rejectf(field, "takes a list")
			return
		}
		into.Set(reflect.MakeSlice(into.Type(), len(list.Values), len(list.Values)))
		for i, entry := range list.Values {
			where := position(entry)
			where.path = fmt.Sprintf("%s[%d]%s", at.path, i, title(entry))
			if _, null := entry.(*ast.NullNode); null {
				l.problemAtf(where, "is empty")
				continue
			}
			l.decode(entry, into.Index(i), where)
		}
	default:
		if wrong := scalar(node, into); wrong != "" {
			l.rejectf(field, "%s", wrong)
		}
	}
}

// key is what an unknown key may look like to be repeated.
var key = regexp.MustCompile(`^[a-z][a-z_-]{0,39}$`)

func (l *load) decodeStruct(node ast.Node, into reflect.Value, at place) {
	mapping, ok := node.(ast.MapNode)
	if !ok {
		l.rejectf(into.Addr().Interface(), "takes keys with values")
		return
	}
	fields, names := make(map[string]int), []string(nil)
	for i := range into.NumField() {
		if name := fieldName(into.Type().Field(i)); name != "" {
			fields[name] = i
			names = append(names, name)
		}
	}
	seen := make(map[string]bool)
	for entries := mapping.MapRange(); entries.Next(); {
		name, where := entries.Key().GetToken().Value, position(entries.Key())
		field, known := fields[name]
		switch {
		case !known:
			where.path = at.path
			what := "this key is not known"
			if key.MatchString(name) {
				what = fmt.Sprintf("%q is not known", name) + didYouMean(name, names)
			}
			l.problemAtf(where, "%s", what)
		case seen[name]:
			where.path = below(at.path, name)
			l.problemAtf(where, "stands here for the second time")
		default:
			seen[name] = true
			where.path = below(at.path, name)
			l.decode(entries.Value(), into.Field(field), where)
		}
	}
}

// unset notes for all fields of a struct where they would stand.
func (l *load) unset(into reflect.Value, at place) {
	for i := range into.NumField() {
		name := fieldName(into.Type().Field(i))
		if name == "" {
			continue
		}
		field, where := into.Field(i), at
		where.path, where.set = below(at.path, name), false
		l.places[field.Addr().Interface()] = where
		if field.Kind() == reflect.Struct {
			l.unset(field, where)
		}
	}
}

// fieldName returns the key of a field, or nothing where it has none.
func fieldName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
	return name
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// position returns where a node begins.
func position(node ast.Node) place {
	if mapping, ok := node.(*ast.MappingNode); ok && !mapping.IsFlowStyle && len(mapping.Values) > 0 {
		node = mapping.Values[0].Key
	} else if entry, ok := node.(*ast.MappingValueNode); ok {
		node = entry.Key
	}
	if word := node.GetToken(); word != nil {
		return place{line: word.Position.Line, column: word.Position.Column}
	}
	return place{}
}

// title returns the name that an entry of a list has, in brackets.
func title(node ast.Node) string {
	mapping, ok := node.(ast.MapNode)
	if !ok {
		return ""
	}
	for entries := mapping.MapRange(); entries.Next(); {
		value, isText := entries.Value().(*ast.StringNode)
		if isText && entries.Key().GetToken().Value == "name" && properName.MatchString(value.Value) {
			return " (" + value.Value + ")"
		}
	}
	return ""
}

var lines = reflect.TypeFor[text]()

var sizes = regexp.MustCompile(`^([0-9]{1,9}) ?([KMG])iB$`)

const day = 24 * time.Hour

var days = regexp.MustCompile(`^([0-9]{1,5}) ?d$`)

// scalar reads a single value, or says what it should be. It never repeats the value: a secret may have gone astray.
func scalar(node ast.Node, into reflect.Value) (wrong string) {
	written, isText := "", true
	switch node := node.(type) {
	case *ast.StringNode:
		written = node.Value
	case *ast.LiteralNode:
		written = node.Value.Value
	default:
		isText = false
	}
	switch into.Interface().(type) {
	case string, text:
		if _, single := node.(ast.ScalarNode); !isText && single {
			return "takes text: put it into quotes"
		} else if !isText {
			return "takes text"
		}
		if strings.ContainsFunc(written, func(char rune) bool { return unicode.IsControl(char) && (char != '\n' || into.Type() != lines) }) {
			return "takes text without line breaks and other control characters"
		}
		into.SetString(written)
	case bool:
		value, ok := node.(*ast.BoolNode)
		if !ok {
			return "takes true or false"
		}
		into.SetBool(value.Value)
	case int:
		value, ok := integer(node)
		if !ok || value > math.MaxInt32 {
			return "takes a whole number from 0 to 2147483647"
		}
		into.SetInt(value)
	case float64:
		value, ok := integer(node)
		number := float64(value)
		if exact, isFloat := node.(*ast.FloatNode); isFloat {
			number, ok = exact.Value, exact.Value >= 0 && !math.IsInf(exact.Value, 0)
		}
		if !ok {
			return "takes a number like 50 or 0.5"
		}
		into.SetFloat(number)
	case size:
		value, ok := integer(node)
		if parts := sizes.FindStringSubmatch(written); parts != nil {
			value, _ = strconv.ParseInt(parts[1], 10, 64) // 9 digits
			value, ok = value<<map[string]int{"K": 10, "M": 20, "G": 30}[parts[2]], true
		}
		if !ok {
			return "takes a number of bytes, or one with KiB, MiB or GiB"
		}
		into.SetInt(value)
	case time.Duration:
		value, err := time.ParseDuration(written)
		if !isText || err != nil || value < 0 {
			return "takes a time with its unit, like 500ms, 30s or 5m"
		}
		into.SetInt(int64(value))
	case age:
		value, err := time.ParseDuration(written)
		if parts := days.FindStringSubmatch(written); parts != nil {
			number, _ := strconv.ParseInt(parts[1], 10, 64) // 5 digits
			value, err = time.Duration(number)*day, nil
		}
		if !isText || err != nil || value < 0 {
			return "takes a time with its unit, like 90d or 36h"
		}
		into.SetInt(int64(value))
	}
	return ""
}

// integer returns a whole number that is not negative.
func integer(node ast.Node) (value int64, ok bool) {
	number, ok := node.(*ast.IntegerNode)
	if !ok {
		return 0, false
	}
	switch written := number.Value.(type) {
	case int64:
		return written, written >= 0
	case uint64:
		return int64(written), written <= math.MaxInt64
	}
	return 0, false
}

// decode reads true and false.
func (h *hold) decode(_ *load, node ast.Node) bool {
	value, ok := node.(*ast.BoolNode)
	if ok {
		h.off = !value.Value
	}
	return ok
}

// decode refuses everything but the two keys, without repeating anything: it may be the secret.
func (r *reference) decode(l *load, node ast.Node) bool {
	mapping, ok := node.(ast.MapNode)
	if !ok {
		l.rejectf(r, "takes {file: ...} or {env: ...}; it never stands in the configuration itself")
		return true
	}
	for entries := mapping.MapRange(); entries.Next(); {
		if name := entries.Key().GetToken().Value; name != "file" && name != "env" {
			l.rejectf(r, "takes {file: ...} or {env: ...}, and no other key")
			return true
		}
	}
	return false
}
