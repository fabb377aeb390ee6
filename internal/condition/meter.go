package condition

import (
	"regexp"

	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// A unit of cost is what reading one field takes, about 100 ns. The library can count costs too, but it charges for a call
// when it is over, takes no account of a call whose arguments it did not see, and slows down with each round of a loop.
const (
	// budget bounds one evaluation.
	budget = 60_000
	// bytesPerUnit is how much text is walked through for a unit.
	bytesPerUnit = 64
	// conversion is how many times the cost of walking through a text it costs to convert it, or to quote it in an error.
	conversion = 16
	// stepsPerUnit is how many steps of a pattern's program are made for a unit.
	stepsPerUnit = 16
	// entryCost is the cost of an entry of a map: its keys are listed before the first is looked at.
	entryCost = 4
	// zoneCost is the cost of reading a time zone's rules from the disk, or of not finding them.
	zoneCost = 1000

	meterName = "@meter" // no identifier of the language
)

// evaluation is one outcome under a condition, and what that has cost so far.
type evaluation struct {
	outcome *callnormv1.CallOutcome
	spent   int
}

// ResolveName implements interpreter.Activation.
func (e *evaluation) ResolveName(name string) (any, bool) {
	switch name {
	case variable:
		return e.outcome, true
	case meterName:
		return e, true
	default:
		return nil, false
	}
}

// Parent implements interpreter.Activation.
func (*evaluation) Parent() interpreter.Activation { return nil }

// price is what a value costs when it comes out of a node of the expression: before what reads it begins.
type price struct {
	base int
	// perByte multiplies the cost of a text, for what does more than walk through it.
	perByte int
	// elements charges for the elements of a list, for what looks at them all.
	elements bool
}

func (p *price) charge(frame *interpreter.ExecutionFrame, value ref.Val) {
	cost := p.base
	switch v := value.(type) {
	case types.String:
		cost += len(v) * p.perByte / bytesPerUnit
	case types.Bytes:
		cost += len(v) * p.perByte / bytesPerUnit
	case traits.Mapper:
		cost += sizeOf(v) * entryCost
	case traits.Lister:
		if p.elements {
			cost += sizeOf(v)
		}
	}
	found, _ := frame.ResolveName(meterName)
	meter, _ := found.(*evaluation)
	if meter.spent += cost; meter.spent > budget {
		// The way out that the library takes and knows: an error would be swallowed by || and exists().
		panic(interpreter.EvalCancelledError{Cause: interpreter.CostLimitExceeded, Message: "budget exceeded"})
	}
}

func sizeOf(value traits.Sizer) int {
	size, _ := value.Size().(types.Int)
	return int(size)
}

// metered is a node that charges for its value.
type metered struct {
	interpreter.InterpretableV2
	price
}

// Exec implements interpreter.InterpretableV2.
func (m *metered) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	value := m.InterpretableV2.Exec(frame)
	m.charge(frame, value)
	return value
}

// Eval implements interpreter.Interpretable.
func (m *metered) Eval(vars interpreter.Activation) ref.Val { return m.Exec(interpreter.AsFrame(vars)) }

// meteredAttribute is a field, or a variable, that charges for its value. The planner goes on adding fields to it.
type meteredAttribute struct {
	interpreter.InterpretableAttribute
	price
}

// Exec implements interpreter.InterpretableV2.
func (m *meteredAttribute) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	value := m.InterpretableAttribute.Exec(frame)
	m.charge(frame, value)
	return value
}

// Eval implements interpreter.Interpretable.
func (m *meteredAttribute) Eval(vars interpreter.Activation) ref.Val {
	return m.Exec(interpreter.AsFrame(vars))
}

// AddQualifier implements interpreter.InterpretableAttribute.
func (m *meteredAttribute) AddQualifier(q interpreter.Qualifier) (interpreter.Attribute, error) {
	m.base++
	if place, ok := q.(*meteredAttribute); ok {
		m.base += place.base
	}
	_, err := m.InterpretableAttribute.AddQualifier(q)
	return m, err
}

// meter puts a price on a node that was just planned; those below it have one already.
func meter(node interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	p := price{base: 1, perByte: 1}
	switch n := node.(type) {
	case *metered, *meteredAttribute, interpreter.InterpretableConst:
		return n, nil
	case interpreter.InterpretableAttribute:
		return &meteredAttribute{n, p}, nil
	case interpreter.InterpretableCall:
		call, err := priced(n, &p)
		return &metered{call, p}, err
	default:
		return &metered{n, p}, nil
	}
}

// priced raises the prices of what a call reads, by what it does with it.
func priced(call interpreter.InterpretableCall, own *price) (interpreter.InterpretableV2, error) {
	args := call.Args()
	switch call.Function() {
	case operators.In:
		raise(args[1], func(p *price) { p.elements = true }, own)
	case overloads.Matches:
		pattern, _ := args[1].(interpreter.InterpretableConst)
		text, _ := pattern.Value().(types.String)
		compiled, err := regexp.Compile(string(text))
		if err != nil {
			return nil, err
		}
		size, err := instructions(string(text))
		if err != nil {
			return nil, err
		}
		raise(args[0], func(p *price) { p.base, p.perByte = p.base+size/stepsPerUnit, size*bytesPerUnit/stepsPerUnit }, own)
		return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), args, func(values ...ref.Val) ref.Val {
			if text, ok := values[0].(types.String); ok {
				return types.Bool(compiled.MatchString(string(text)))
			}
			return types.NoSuchOverloadErr()
		}), nil
	case overloads.TypeConvertTimestamp, overloads.TypeConvertDuration, overloads.TypeConvertInt, overloads.TypeConvertUint,
		overloads.TypeConvertDouble, overloads.TypeConvertBool, overloads.TypeConvertString, overloads.TypeConvertBytes:
		raise(args[0], func(p *price) { p.perByte = conversion }, own)
	case overloads.TimeGetFullYear, overloads.TimeGetMonth, overloads.TimeGetDate, overloads.TimeGetDayOfMonth, overloads.TimeGetDayOfWeek,
		overloads.TimeGetDayOfYear, overloads.TimeGetHours, overloads.TimeGetMinutes, overloads.TimeGetSeconds, overloads.TimeGetMilliseconds:
		if len(args) > 1 {
			own.base += zoneCost
			raise(args[1], func(p *price) { p.perByte = conversion }, own)
		}
	}
	return call, nil
}

// raise changes the price of an argument.
func raise(arg interpreter.InterpretableV2, change func(*price), own *price) {
	switch a := arg.(type) {
	case *metered:
		change(&a.price)
	case *meteredAttribute:
		change(&a.price)
	case interpreter.InterpretableConst:
		// It is never charged for by itself.
		p := price{perByte: 1}
		change(&p)
		if text, ok := a.Value().(types.String); ok {
			own.base += p.base + len(text)*p.perByte/bytesPerUnit
		}
	}
}
