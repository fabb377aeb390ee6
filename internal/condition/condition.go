// Package condition tells which outcomes a subscriber wants: a condition is a CEL expression over one outcome.
//
//	outcome.status == CALL_STATUS_BUSY
//	has(outcome.talk_duration) && outcome.talk_duration > duration('30s')
//	outcome.external_ids.exists(e, e.system == 'twilio.call_sid')
//	outcome.transcript.turns.exists(t, t.text.matches('(?i)call me (back|later)'))
//
// The expression sees one variable, outcome, the callnorm.v1.CallOutcome. Enums are numbers: a value is named by itself
// (CALL_STATUS_BUSY), with its enum (CallStatus.CALL_STATUS_BUSY) or in full (callnorm.v1.CallStatus.CALL_STATUS_BUSY). What is absent
// reads as zero, a duration as 0 s and a time as 1970; has() tells the difference. A list or map has no element where there is none:
// outcome.provenance.field_sources['status'] fails, 'status' in outcome.provenance.field_sources does not.
//
// It is CEL's standard library but for what costs more than a condition is worth: no map(), dyn() and type(); messages, lists and maps
// are not compared as a whole; lists are not added, maps and messages not made; a pattern and the key of a map are written out in the
// expression, not taken from the outcome.
package condition

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const (
	// MaxLength bounds an expression in bytes.
	MaxLength = 4 << 10
	// maxDepth bounds how deep an expression nests, in parentheses and in operators.
	maxDepth = 60
	// maxNodes bounds an expression after its macros were spelled out.
	maxNodes = 4096
	// maxLoops bounds how deep exists() and its like stand within each other: a list within a list.
	maxLoops = 2

	variable = "outcome"
)

// SyntaxError says why a text is no condition. Its message may quote the text.
type SyntaxError struct {
	// Line and Column tell where, in characters and from 1. A field is pointed at by its dot, a call by its parenthesis, and what is wrong
	// with the expression as a whole by its beginning.
	Line, Column int
	Message      string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message) }

// EvalError says why it cannot be told whether a condition holds for an outcome. It quotes nothing of the outcome.
type EvalError struct{ Message string }

func (e *EvalError) Error() string { return e.Message }

// Condition is a compiled expression. It is safe for concurrent use.
type Condition struct {
	program cel.Program
	fields  map[protowire.Number]bool // nil: all
}

// Compile reads an expression. The error is a *SyntaxError, about the first fault.
func Compile(expression string) (*Condition, error) {
	if len(expression) > MaxLength {
		return nil, &SyntaxError{1, 1, fmt.Sprintf("the expression is %d bytes long; at most %d are taken", len(expression), MaxLength)}
	}
	if !utf8.ValidString(expression) {
		return nil, &SyntaxError{1, 1, "the expression is not UTF-8"}
	}
	language, err := language()
	if err != nil {
		return nil, err
	}
	checked, issues := language.Compile(expression)
	if issues.Err() != nil {
		return nil, first(issues)
	}
	if checked.OutputType() != cel.BoolType {
		return nil, &SyntaxError{1, 1, fmt.Sprintf("the expression is of type %s; it has to be true or false", checked.OutputType())}
	}
	program, err := language.Program(checked, cel.CustomDecoratorV2(meter))
	if err != nil {
		return nil, &SyntaxError{1, 1, err.Error()}
	}
	return &Condition{program, fieldsOf(checked)}, nil
}

// Holds tells whether the condition holds for an outcome. The error is an *EvalError: the expression divided by zero, looked for what is
// not there, or would have taken more than a few milliseconds. A filter must not lose anything, so the caller lets an outcome pass
// for which that cannot be told.
func (c *Condition) Holds(outcome *callnormv1.CallOutcome) (bool, error) {
	result, _, err := c.program.Eval(&evaluation{outcome: outcome})
	if err != nil {
		return false, &EvalError{reason(err)}
	}
	return result == types.True, nil
}

// failures are how the library's messages begin; a value may follow.
var failures = []string{
	"no such key", "index out of bounds", "division by zero", "modulus by zero", "integer overflow", "unsigned integer overflow",
	"duration overflow", "timestamp overflow",
}

// reason says what went wrong in words that do not come from the outcome; those of the library may quote it.
func reason(err error) string {
	if _, ok := errors.AsType[interpreter.EvalCancelledError](err); ok {
		return "the condition costs too much for this outcome"
	}
	for _, known := range failures {
		if strings.HasPrefix(err.Error(), known) {
			return "the condition failed: " + known
		}
	}
	return "the condition failed: a value is not of the form that the condition needs"
}

// first returns the fault that stands first in the expression.
func first(issues *cel.Issues) *SyntaxError {
	var fault *SyntaxError
	for _, issue := range issues.Errors() {
		// A fault of the expression as a whole has no place.
		e := &SyntaxError{max(issue.Location.Line(), 1), max(issue.Location.Column()+1, 1), issue.Message}
		if fault == nil || e.Line < fault.Line || e.Line == fault.Line && e.Column < fault.Column {
			fault = e
		}
	}
	return fault
}

// language returns what expressions may say.
var language = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(&env.LibrarySubset{
			ExcludeMacros:    []string{"map"},
			ExcludeFunctions: []*env.Function{{Name: "dyn"}, {Name: "type"}},
		})),
		cel.Types(&callnormv1.CallOutcome{}),
		cel.Container(string(callnormv1.File_callnorm_v1_outcome_proto.Package())),
		cel.Variable(variable, cel.ObjectType(string((*callnormv1.CallOutcome)(nil).ProtoReflect().Descriptor().FullName()))),
		cel.DefaultUTCTimeZone(true),
		cel.ParserRecursionLimit(maxDepth),
		cel.ExpressionNodeLimit(maxNodes),
		cel.ASTValidators(
			cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateHomogeneousAggregateLiterals(),
			cel.ValidateComprehensionNestingLimit(maxLoops), affordable{},
		),
	}
	protoregistry.GlobalFiles.RangeFilesByPackage(callnormv1.File_callnorm_v1_outcome_proto.Package(), func(file protoreflect.FileDescriptor) bool {
		for i := range file.Enums().Len() {
			values := file.Enums().Get(i).Values()
			for j := range values.Len() {
				options = append(options, cel.Constant(string(values.Get(j).Name()), cel.IntType, types.Int(values.Get(j).Number())))
			}
		}
		return true
	})
	return cel.NewCustomEnv(options...)
})
