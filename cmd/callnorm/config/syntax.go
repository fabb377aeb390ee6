package config

import (
	"bytes"
	"errors"
	"io"
	"os"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	// maxFile bounds the file, in bytes.
	maxFile = 1 << 20
	// maxTokens bounds the words and signs in it: the time that the parser takes grows with their square. It is good for a
	// thousand sources.
	maxTokens = 60_000
	// maxDepth bounds how deep the file may be nested. The keys need 6.
	maxDepth = 32
	// maxIndent is the rightmost column in which a block may begin. It bounds the nesting of blocks.
	maxIndent = 200
)

// read reads the file into the document, and tells whether there is one to go on with.
func (l *load) read(doc *document) bool {
	text, ok := l.text()
	if !ok {
		return false
	}
	body, ok := l.parse(text)
	if !ok {
		return false
	}
	l.document(body, doc)
	return true
}

// text returns what is in the file.
func (l *load) text() (text []byte, ok bool) {
	if l.file == "" {
		return nil, true
	}
	text, err := readFile(l.file, maxFile)
	switch {
	case err != nil:
		l.problemAtf(place{}, "%v", cause(err))
		return nil, false
	case !utf8.Valid(text):
		valid := bytes.ToValidUTF8(text, []byte{0})
		before := valid[:bytes.IndexByte(valid, 0)]
		line := before[bytes.LastIndexByte(before, '\n')+1:]
		l.problemAtf(place{line: bytes.Count(before, []byte("\n")) + 1, column: utf8.RuneCount(line) + 1}, "is not UTF-8")
		return nil, false
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), true
}

// parse returns what the file says, nil where it says nothing. Anchors, aliases, tags and the like are refused before they are
// looked at: nothing in a configuration needs them, and they make small files big.
func (l *load) parse(text []byte) (body ast.Node, ok bool) {
	tokens := lexer.Tokenize(string(text))
	if len(tokens) > maxTokens {
		l.problemAtf(place{}, "has more than %d words and signs", maxTokens)
		return nil, false
	}
	flow, found, begun, deep := 0, len(l.problems), false, false
	for _, word := range tokens {
		refuse := func(text string) {
			l.problemAtf(place{line: word.Position.Line, column: word.Position.Column}, "%s", text)
		}
		switch word.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			refuse("anchors and aliases are not read here: write it out")
		case token.TagType, token.DirectiveType, token.MappingKeyType:
			refuse("tags, directives and keys after a question mark are not read here")
		case token.DocumentEndType:
			refuse("documents need no end here")
		case token.DocumentHeaderType:
			if begun {
				refuse("begins a second document; there can be one")
			}
		case token.SequenceStartType, token.MappingStartType:
			if flow++; flow > maxDepth && !deep {
				deep = true
				refuse("is nested too deep")
			}
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingValueType:
			block := word.Position.IndentNum
			if word.Type == token.SequenceEntryType {
				block = word.Position.Column
			}
			if block > maxIndent && !deep {
				deep = true
				refuse("begins too far to the right")
			}
		}
		begun = begun || word.Type != token.CommentType
	}
	if len(l.problems) > found {
		return nil, false
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		at, wrong := place{}, (*yaml.SyntaxError)(nil)
		text := "is no YAML"
		if errors.As(err, &wrong) {
			text += ": " + wrong.Message
			if wrong.Token != nil {
				at = place{line: wrong.Token.Position.Line, column: wrong.Token.Position.Column}
			}
		}
		l.problemAtf(at, "%s", text)
		return nil, false
	}
	for _, part := range file.Docs {
		if part.Body != nil {
			body = part.Body
		}
	}
	return body, true
}

var errTooLong = errors.New("is too long")

// readFile reads a file that may be a pipe, up to a length in bytes.
func readFile(name string, limit int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, errTooLong
	}
	return text, nil
}

// cause is what went wrong with a file, without its name.
func cause(err error) error {
	if failed := (*os.PathError)(nil); errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
