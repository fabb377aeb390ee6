package condition

import (
	"fmt"
	"regexp/syntax"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"
)

const (
	// maxPattern bounds a pattern in bytes, before it is compiled.
	maxPattern = 256
	// maxProgram bounds a compiled pattern in instructions.
	maxProgram = 1000
)

// affordable refuses what could cost a lot in a single step, and is of no use in a condition.
type affordable struct{}

// Name implements cel.ASTValidator.
func (affordable) Name() string { return "callnorm.affordable" }

// Validate implements cel.ASTValidator.
func (affordable) Validate(_ *cel.Env, _ cel.ValidatorConfig, checked *ast.AST, issues *cel.Issues) {
	ast.PostOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.MapKind:
			issues.ReportErrorAtID(e.ID(), "a condition makes no maps")
		case ast.StructKind:
			issues.ReportErrorAtID(e.ID(), "a condition makes no messages")
		case ast.CallKind:
			checkCall(checked, e, issues)
		}
	}))
}

func checkCall(checked *ast.AST, e ast.Expr, issues *cel.Issues) {
	call := e.AsCall()
	args := call.Args()
	if call.IsMemberFunction() {
		args = append([]ast.Expr{call.Target()}, args...)
	}
	switch call.FunctionName() {
	case operators.Equals, operators.NotEquals:
		if slices.ContainsFunc(args, func(arg ast.Expr) bool { return composite(checked.GetType(arg.ID())) }) {
			issues.ReportErrorAtID(e.ID(), "messages, lists and maps are not compared as a whole; compare their fields, or use has() and size()")
		}
	case operators.In:
		if composite(checked.GetType(args[0].ID())) {
			issues.ReportErrorAtID(e.ID(), "messages and lists are not looked for as a whole; use exists() to compare their fields")
		}
	case operators.Add:
		// filter() collects what it finds by adding lists.
		own := args[0].Kind() == ast.IdentKind && args[0].AsIdent() == parser.HiddenAccumulatorName
		if !own && slices.Contains(checked.GetOverloadIDs(e.ID()), overloads.AddList) {
			issues.ReportErrorAtID(e.ID(), "a condition adds no lists")
		}
	case operators.Index:
		if checked.GetType(args[0].ID()).Kind() == types.MapKind && args[1].Kind() != ast.LiteralKind {
			issues.ReportErrorAtID(args[1].ID(), "the key of a map has to be written out")
		}
	case overloads.Matches:
		if args[1].Kind() != ast.LiteralKind {
			issues.ReportErrorAtID(args[1].ID(), "a pattern has to be written out")
		} else if pattern, ok := args[1].AsLiteral().(types.String); ok {
			if fault := faultOf(string(pattern)); fault != "" {
				issues.ReportErrorAtID(args[1].ID(), "%s", fault)
			}
		}
	}
}

func composite(t *types.Type) bool {
	return slices.Contains([]types.Kind{types.StructKind, types.ListKind, types.MapKind}, t.Kind())
}

func faultOf(pattern string) string {
	if len(pattern) > maxPattern {
		return fmt.Sprintf("a pattern is at most %d bytes long", maxPattern)
	}
	size, err := instructions(pattern)
	switch {
	case err != nil:
		return err.Error()
	case size > maxProgram:
		return "the pattern is too large; let it repeat less"
	}
	return ""
}

// instructions returns how large a pattern is once it is compiled: as many steps it makes for each byte of a text at most.
func instructions(pattern string) (int, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0, err
	}
	return len(program.Inst), nil
}
