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
		document, ok := parse(c.Delivery.Body)
		if !ok {
			continue
		}
		for _, leaf := range spread(leaves(document), maxLeaves) {
			result, err := adapters.Normalize(adapter, withBody(c.Delivery, document.with(leaf, `"`+mark+`"`)))
			if err != nil || len(result.Outcomes) == 0 || faulty(result, leaf.item) {
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

// node is a JSON value in which members keep their order. A leaf holds its text.
type node struct {
	text     string
	open     byte
	names    []string
	children []*node
}

type leaf struct {
	item int      // its place in a batch, if the document is one
	path []string // list places are `*`
	node *node
}

// faulty tells whether an item of a batch is in quarantine.
func faulty(result adapters.Result, item int) bool {
	return slices.ContainsFunc(result.Faults, func(fault *callnormv1.Fault) bool { return int(fault.GetItem()) == item })
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

// leaves returns the scalars and the empty objects and lists of a document. What is no JSON has none.
func leaves(root *node) []leaf {
	var list []leaf
	item := 0
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
