package adaptertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/scenario"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// checkLeaves checks that no leaf of a payload vanishes: a mark put into its place must show in what the payload means, unless
// the path is listed as configuration. The list is checked as well: each line must leave something out.
func checkLeaves(t *testing.T, adapter adapters.Adapter, cases []scenario.Scenario) {
	listed := readLeftOut(t)
	used := make(map[string]bool)
	reported := make(map[string]bool)
	const mark = "zq7mark"
	for _, c := range cases {
		document := documentOf(c.Delivery)
		for _, leaf := range spread(document.leaves(), maxLeaves) {
			result, err := adapters.Normalize(adapter, document.mark(leaf, mark))
			if err != nil || len(result.Outcomes) == 0 || aside(result, leaf.item) {
				continue // What is in quarantine is not lost, either.
			}
			text, err := protojson.Marshal(Response(result))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(text, []byte(mark)) {
				continue
			}
			pattern := covering(listed, leaf.path)
			used[pattern] = true
			if path := strings.Join(leaf.path, "."); pattern == "" && !reported[path] {
				reported[path] = true
				t.Errorf("%s: %s vanishes without a trace; map it, keep it, or list it in %s", c.Name, path, scenario.LeftOutFile)
			}
		}
	}
	for _, pattern := range listed {
		if !used[pattern] {
			t.Errorf("%s: %s leaves nothing out", scenario.LeftOutFile, pattern)
		}
	}
}

func readLeftOut(tb testing.TB) []string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(scenario.Folder, scenario.LeftOutFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		tb.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list
}

// covering returns the listed pattern that a path lies under. A pattern that begins with `**` may begin anywhere in the path.
func covering(patterns []string, path []string) string {
	for _, pattern := range patterns {
		parts, starts := strings.Split(pattern, "."), 1
		if parts[0] == "**" {
			parts, starts = parts[1:], len(path)
		}
		for start := range starts {
			if under(parts, path[start:]) {
				return pattern
			}
		}
	}
	return ""
}

func under(pattern, path []string) bool {
	if len(pattern) > len(path) {
		return false
	}
	for i, part := range pattern {
		if part != "*" && part != path[i] {
			return false
		}
	}
	return true
}

// document is what a delivery carries, taken apart.
type document interface {
	// leaves returns its values.
	leaves() []leaf
	// mark returns the delivery with a text of letters and digits in the place of a leaf.
	mark(l leaf, text string) adapters.Delivery
	// without returns the delivery with nothing in the place of a leaf.
	without(l leaf) adapters.Delivery
	// odd returns the delivery with each of several odd things in the place of a leaf.
	odd(l leaf) []adapters.Delivery
	// ordered returns the delivery with its members in another order.
	ordered(order order) adapters.Delivery
}

// documentOf takes a delivery apart: a form by its content type or because it is a query, anything else as JSON. What is neither
// has no leaves.
func documentOf(d adapters.Delivery) document {
	switch {
	case len(d.Body) == 0 && d.Query != "":
		return &form{delivery: d, pairs: strings.Split(d.Query, "&"), inQuery: true}
	case d.Header.Get("Content-Type") == scenario.FormType:
		return &form{delivery: d, pairs: strings.Split(string(d.Body), "&")}
	}
	root, _ := parse(d.Body)
	return &tree{delivery: d, root: root}
}

// leaf is one value of a document.
type leaf struct {
	item int      // its place in a batch, if the document is one
	path []string // list places are `*`
	node *node    // in JSON
	pair int      // in a form
}

// tree is a JSON document.
type tree struct {
	delivery adapters.Delivery
	root     *node // nil when the body is no JSON
}

func (t *tree) mark(l leaf, text string) adapters.Delivery {
	return withBody(t.delivery, t.root.with(l, `"`+text+`"`))
}

func (t *tree) without(l leaf) adapters.Delivery { return withBody(t.delivery, t.root.with(l, "null")) }

// oddValues take the place of leaves.
var oddValues = [...]string{
	`null`, `true`, `0`, `-1`, `1e999`, `9223372036854775808`, `1.5`, `""`, `" "`, `"x"`, `"[UUID]"`, `[]`, `{}`, `[[]]`,
	`{"a":{"b":[1,"2",null]}}`, `"\ud834\udd1e"`, `"\ud834"`, `"{\"a\":1}"`, `"[1"`, `"NaN"`,
	`"2024-13-45T99:99:99Z"`, `"0001-01-01T00:00:00+23:59"`,
}

func (t *tree) odd(l leaf) []adapters.Delivery {
	var list []adapters.Delivery
	for _, value := range oddValues {
		list = append(list, withBody(t.delivery, t.root.with(l, value)))
	}
	return list
}

func (t *tree) ordered(order order) adapters.Delivery {
	if t.root == nil {
		return t.delivery
	}
	return withBody(t.delivery, t.root.ordered(order).with(leaf{}, ""))
}

// ordered returns the value with the members of all its objects in another order.
func (n *node) ordered(order order) *node {
	result := &node{text: n.text, open: n.open}
	places := make([]int, len(n.children))
	for i := range places {
		places[i] = i
	}
	if n.open == '{' {
		places = ordered(n.names, order)
	}
	for _, i := range places {
		if n.open == '{' {
			result.names = append(result.names, n.names[i])
		}
		result.children = append(result.children, n.children[i].ordered(order))
	}
	return result
}

// node is a JSON value in which members keep their order. A leaf holds its text.
type node struct {
	text     string
	open     byte
	names    []string
	children []*node
}

// aside tells whether an item of a batch is in quarantine, or tells of no call.
func aside(result adapters.Result, item int) bool {
	return slices.ContainsFunc(result.Faults, func(fault *callnormv1.Fault) bool { return int(fault.GetItem()) == item }) ||
		slices.ContainsFunc(result.Notices, func(notice *callnormv1.Notice) bool { return int(notice.GetItem()) == item })
}

// parse reads a body as JSON. Forms and damaged bodies are no JSON.
func parse(body []byte) (*node, bool) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	root, err := parseNode(decoder)
	if err != nil {
		return nil, false
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, false
	}
	return root, true
}

func parseNode(decoder *json.Decoder) (*node, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	open, ok := token.(json.Delim)
	if !ok {
		text, err := json.Marshal(token)
		return &node{text: string(text)}, err
	}
	n := &node{open: byte(open)}
	for decoder.More() {
		if n.open == '{' {
			name, err := decoder.Token()
			if err != nil {
				return nil, err
			}
			text, _ := name.(string)
			n.names = append(n.names, text)
		}
		child, err := parseNode(decoder)
		if err != nil {
			return nil, err
		}
		n.children = append(n.children, child)
	}
	_, err = decoder.Token()
	return n, err
}

// leaves returns the scalars and the empty objects and lists. What is no JSON has none.
func (t *tree) leaves() []leaf {
	var list []leaf
	root, item := t.root, 0
	var walk func(n *node, path []string)
	walk = func(n *node, path []string) {
		if len(n.children) == 0 {
			list = append(list, leaf{item: item, path: path, node: n})
			return
		}
		for i, child := range n.children {
			if n == root && n.open == '[' {
				item = i
			}
			name := "*"
			if n.open == '{' {
				name = n.names[i]
			}
			walk(child, append(slices.Clip(path), name))
		}
	}
	if root != nil {
		walk(root, nil)
	}
	return list
}

// with returns the document with another text in the place of one leaf.
func (n *node) with(l leaf, text string) []byte {
	var b bytes.Buffer
	n.write(&b, l.node, text)
	return b.Bytes()
}

func (n *node) write(b *bytes.Buffer, replaced *node, text string) {
	switch {
	case n == replaced:
		b.WriteString(text)
	case n.open == 0:
		b.WriteString(n.text)
	default:
		b.WriteByte(n.open)
		for i, child := range n.children {
			if i > 0 {
				b.WriteByte(',')
			}
			if n.open == '{' {
				name, _ := json.Marshal(n.names[i]) //nolint:errchkjson // a string can always be marshalled
				b.Write(name)
				b.WriteByte(':')
			}
			child.write(b, replaced, text)
		}
		b.WriteByte(n.open + 2) // '{' and '}', '[' and ']' are two apart
	}
}
