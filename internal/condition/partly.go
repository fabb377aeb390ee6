package condition

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/encoding/protowire"
)

// fieldsOf returns the numbers of the outcome's own fields that an expression looks at, or nil when it looks at the outcome as a whole.
func fieldsOf(checked *cel.Ast) map[protowire.Number]bool {
	known := (&callnormv1.CallOutcome{}).ProtoReflect().Descriptor().Fields()
	numbers, whole := make(map[protowire.Number]bool), false
	root := ast.NavigateAST(checked.NativeRep())
	for _, node := range append(ast.MatchDescendants(root, ast.KindMatcher(ast.IdentKind)), root) {
		if node.Kind() != ast.IdentKind || strings.TrimPrefix(node.AsIdent(), ".") != variable {
			continue
		}
		parent, inside := node.Parent()
		if !inside || parent.Kind() != ast.SelectKind {
			whole = true
			continue
		}
		// What has the same name within a loop has other fields; those that the outcome has as well do no harm.
		field := known.ByTextName(parent.AsSelect().FieldName())
		if field == nil {
			whole = true
			continue
		}
		numbers[field.Number()] = true
	}
	if whole {
		return nil
	}
	return numbers
}

// Partly returns those fields of an encoded outcome that the condition looks at, and others as well: of what several conditions ask,
// each holds for this as for the whole. What cannot be read is returned as it is.
func (c *Condition) Partly(encoded []byte, others ...protowire.Number) []byte {
	if c.fields == nil {
		return encoded
	}
	return partly(encoded, func(number protowire.Number) bool {
		return c.fields[number] || slices.Contains(others, number)
	})
}

func partly(encoded []byte, wanted func(protowire.Number) bool) []byte {
	part := make([]byte, 0, 512)
	for rest := encoded; len(rest) > 0; {
		number, _, size := protowire.ConsumeField(rest)
		if size < 0 {
			return encoded
		}
		if wanted(number) {
			part = append(part, rest[:size]...)
		}
		rest = rest[size:]
	}
	return part
}
