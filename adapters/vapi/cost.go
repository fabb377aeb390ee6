package vapi

import (
	"slices"
	"strings"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// costPart is one part of what a call cost: an element of `costs`, or a member of `costBreakdown`.
type costPart struct {
	kind, word, sub, model string
	exact                  exactness // of the model
	amount                 *callnormv1.Money
	measures               []measure
}

// exactness tells how exactly something says which model was used.
type exactness int

const (
	byProvider exactness = iota
	byVoice
	byModel
)

// use keeps which model was used.
func (c *costPart) use(model string, exact exactness) {
	if model != "" && (c.model == "" || exact >= c.exact) {
		c.model, c.exact = model, exact
	}
}

// measure is how much was used of something.
type measure struct {
	unit   int // place among unitMembers
	amount string
}

// usual is more than the parts that a call has as a rule.
const usual = 12

// What parts of a cost are measured in. The order is that of the lines that they become.
var unitMembers = [...]struct{ member, unit string }{
	{"minutes", "minutes"},
	{"characters", "characters"},
	{"promptTokens", "prompt tokens"},
	{"completionTokens", "completion tokens"},
	{"cachedPromptTokens", "cached prompt tokens"},
	{"reasoningTokens", "reasoning tokens"},
	{"promptTextTokens", "prompt text tokens"},
	{"promptAudioTokens", "prompt audio tokens"},
	{"completionTextTokens", "completion text tokens"},
	{"completionAudioTokens", "completion audio tokens"},
}

func unitOf(member string) int {
	for i, known := range unitMembers {
		if known.member == member {
			return i
		}
	}
	return -1
}

// costKinds holds the types of `costs`.
var costKinds = map[string]callnormv1.CostComponent{
	"transport":           callnormv1.CostComponent_COST_COMPONENT_TELEPHONY,
	"transcriber":         callnormv1.CostComponent_COST_COMPONENT_STT,
	"model":               callnormv1.CostComponent_COST_COMPONENT_LLM,
	"voice":               callnormv1.CostComponent_COST_COMPONENT_TTS,
	"vapi":                callnormv1.CostComponent_COST_COMPONENT_PLATFORM,
	"analysis":            callnormv1.CostComponent_COST_COMPONENT_ANALYSIS,
	"voicemail-detection": callnormv1.CostComponent_COST_COMPONENT_OTHER,
	"knowledge-base":      callnormv1.CostComponent_COST_COMPONENT_OTHER,
	"chat":                callnormv1.CostComponent_COST_COMPONENT_OTHER,
}

// breakdownKinds holds the members of `costBreakdown`, by the types of `costs` that tell the same.
var breakdownKinds = map[string]string{
	"transport": "transport", "stt": "transcriber", "llm": "model", "tts": "voice", "vapi": "vapi", "chat": "chat",
	"voicemailDetectionCost": "voicemail-detection", "knowledgeBaseCost": "knowledge-base",
}

// breakdownUnits holds the members of `costBreakdown` that measure another one.
var breakdownUnits = map[string]struct{ word, unit string }{
	"llmPromptTokens":       {"llm", "promptTokens"},
	"llmCompletionTokens":   {"llm", "completionTokens"},
	"llmCachedPromptTokens": {"llm", "cachedPromptTokens"},
	"ttsCharacters":         {"tts", "characters"},
}

// analyses are the kinds of analysis whose members in the breakdown begin with their names: `summary`, `summaryPromptTokens`.
var analyses = []string{"summary", "structuredData", "successEvaluation", "structuredOutput"}

func (p *report) readCosts(r *wire.Reader) {
	if len(p.costs) > 0 {
		return
	}
	for range r.Elements() {
		if r.Kind() != '{' {
			continue
		}
		if p.costs == nil {
			p.costs = make([]costPart, 0, usual)
		}
		p.costs = append(p.costs, costPart{})
		part := &p.costs[len(p.costs)-1]
		for name := range r.Members() {
			part.member(r, name)
		}
		part.word = part.kind
	}
}

// member reads a member of one element of `costs`. Of what was used the model is told; the rest is how it is set up.
func (c *costPart) member(r *wire.Reader, name string) {
	if unit := unitOf(name); unit >= 0 {
		c.measure(unit, r.Decimal(0))
		return
	}
	switch name {
	case "type":
		c.kind = r.Word()
	case "subType", "analysisType":
		c.sub = r.Word()
	case "cost":
		c.amount = r.Money("USD", 0)
	case "provider":
		c.use(r.Word(), byProvider)
	case "transcriber", "model":
		for name := range r.Members() {
			if name == "model" {
				c.use(r.Word(), byModel)
			} else {
				r.Skip()
			}
		}
	case "voice":
		for name := range r.Members() {
			switch name {
			case "model":
				c.use(r.Word(), byModel)
			case "voiceId":
				c.use(r.Word(), byVoice)
			default:
				r.Skip()
			}
		}
	}
}

func (c *costPart) measure(unit int, amount string) {
	if amount != "" {
		c.measures = append(c.measures, measure{unit: unit, amount: amount})
	}
}

func (p *report) readBreakdown(r *wire.Reader, at *place) {
	if len(p.breakdown) > 0 {
		return
	}
	for name := range r.Members() {
		switch {
		case name == "total":
			p.tell(costTotal, at, name, r.Text())
		case breakdownKinds[name] != "":
			p.part(breakdownKinds[name], name, "").amount = r.Money("USD", 0)
		case breakdownUnits[name].word != "":
			measured := breakdownUnits[name]
			p.part(breakdownKinds[measured.word], measured.word, "").measure(unitOf(measured.unit), r.Decimal(0))
		case name == "analysisCostBreakdown":
			p.readAnalysisCosts(r)
		}
	}
}

func (p *report) readAnalysisCosts(r *wire.Reader) {
	for name := range r.Members() {
		for _, analysis := range analyses {
			rest, ok := strings.CutPrefix(name, analysis)
			if !ok {
				continue
			}
			if rest == "" {
				p.part("analysis", "analysis", analysis).amount = r.Money("USD", 0)
			} else if unit := unitOf(strings.ToLower(rest[:1]) + rest[1:]); unit >= 0 {
				p.part("analysis", "analysis", analysis).measure(unit, r.Decimal(0))
			}
			break
		}
	}
}

// part returns a part of the breakdown.
func (p *report) part(kind, word, sub string) *costPart {
	for i := range p.breakdown {
		if known := &p.breakdown[i]; known.word == word && known.sub == sub {
			return known
		}
	}
	if p.breakdown == nil {
		p.breakdown = make([]costPart, 0, usual)
	}
	p.breakdown = append(p.breakdown, costPart{kind: kind, word: word, sub: sub})
	return &p.breakdown[len(p.breakdown)-1]
}

// setCost says what the call cost, in US dollars by the documentation. The breakdown is rounded; it counts for parts that `costs` does
// not have.
func (p *report) setCost(o *callnormv1.CallOutcome) {
	total, sum := p.dollars(cost), p.dollars(costTotal)
	switch {
	case total == nil:
		total = sum
	case sum != nil && sum.GetAmount() != total.GetAmount():
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.path(costTotal), "differs from cost, which counts")
		p.notes.UnmappedText(p.path(costTotal), p.text(costTotal))
	}
	lines := costLines{list: make([]*callnormv1.CostLine, 0, len(p.costs)+len(p.breakdown))}
	for i := range p.costs {
		p.addLines(&lines, &p.costs[i])
	}
	for i := range p.breakdown {
		if !slices.ContainsFunc(p.costs, func(told costPart) bool { return told.kind == p.breakdown[i].kind }) {
			p.addLines(&lines, &p.breakdown[i])
		}
	}
	if total != nil || len(lines.list) > 0 {
		o.Cost = &callnormv1.Cost{Total: total, Lines: lines.list}
	}
}

// dollars returns the amount that a fact is.
func (p *report) dollars(n name) *callnormv1.Money {
	text := p.text(n)
	if text == "" {
		return nil
	}
	amount, ok := wire.Decimal(text, 0)
	if !ok {
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNREADABLE, p.path(n), "the value is no amount")
		p.notes.UnmappedText(p.path(n), text)
		return nil
	}
	return &callnormv1.Money{CurrencyCode: "USD", Amount: amount}
}

type costLines struct {
	room wire.Room[callnormv1.CostLine]
	list []*callnormv1.CostLine
}

func (l *costLines) add(component callnormv1.CostComponent, word, model string) *callnormv1.CostLine {
	line := l.room.New()
	line.Component, line.ComponentRaw, line.Model = component, word, model
	l.list = append(l.list, line)
	return line
}

// addLines adds the lines of a part: the first has the amount, and there is one for each thing that was measured.
func (p *report) addLines(lines *costLines, c *costPart) {
	component, known := costKinds[c.kind]
	if !known {
		component = callnormv1.CostComponent_COST_COMPONENT_OTHER
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, p.prefix+"costs", "a type of cost is not known to this version")
	}
	word := c.word
	if c.sub != "" {
		word += "." + c.sub
	}
	line := lines.add(component, word, c.model)
	line.Amount = c.amount
	slices.SortStableFunc(c.measures, func(a, b measure) int { return a.unit - b.unit })
	for i, m := range c.measures {
		if i > 0 {
			line = lines.add(component, word, c.model)
		}
		line.Units, line.Unit = m.amount, unitMembers[m.unit].unit
	}
}
