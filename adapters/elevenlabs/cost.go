package elevenlabs

import (
	"cmp"
	"slices"
	"strings"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

const (
	dollars = "USD"
	credits = "credits"
)

func (c *record) cost() *callnormv1.Cost {
	if c.call.GetCost() == nil {
		c.call.Cost = &callnormv1.Cost{}
	}
	return c.call.GetCost()
}

// components holds what the parts of the charge are for. Each has a price in dollars, or a charge in credits, or both. The charge for
// the call is ElevenLabs' own: the line is the carrier's business.
var components = map[string]callnormv1.CostComponent{
	"llm":      callnormv1.CostComponent_COST_COMPONENT_LLM,
	"call":     callnormv1.CostComponent_COST_COMPONENT_PLATFORM,
	"platform": callnormv1.CostComponent_COST_COMPONENT_PLATFORM,
	"analysis": callnormv1.CostComponent_COST_COMPONENT_ANALYSIS,
}

// readCharging reads how the cost came about. What is left is what was free, and how much of which model was used: it cost nothing
// beside the parts.
func (c *record) readCharging(r *wire.Reader) {
	for name := range r.Members() {
		component, _, _ := strings.Cut(name, "_")
		switch name {
		case "llm_price", "platform_price":
			c.readPrice(r, component)
		case "llm_charge", "call_charge", "platform_charge":
			c.readCharge(r, component)
		case "analysis":
			c.readAnalysisCost(r)
		case "dev_discount", "is_burst":
			leaveFlag(r)
		case "asr_usage":
			for name := range r.Members() {
				if name == "asr_model" {
					c.agent.SttModel = r.Text()
				} else {
					leave(r)
				}
			}
		default:
			leave(r)
		}
	}
	slices.SortFunc(c.call.GetCost().GetLines(), func(a, b *callnormv1.CostLine) int { // a charge that is put in another order is the same
		return cmp.Or(cmp.Compare(a.GetComponent(), b.GetComponent()), strings.Compare(a.GetComponentRaw(), b.GetComponentRaw()))
	})
}

// readAnalysisCost reads what all runs of the analysis cost together.
func (c *record) readAnalysisCost(r *wire.Reader) {
	for name := range r.Members() {
		if name != "total" {
			leave(r)
			continue
		}
		for name := range r.Members() {
			switch name {
			case "price":
				c.readPrice(r, "analysis")
			case "charge":
				c.readCharge(r, "analysis")
			default:
				leave(r)
			}
		}
	}
}

func (c *record) readPrice(r *wire.Reader, component string) {
	if amount := r.Money(dollars, 0); amount != nil {
		c.costLine(component).Amount = amount
	}
}

func (c *record) readCharge(r *wire.Reader, component string) {
	if units := r.Decimal(0); units != "" {
		line := c.costLine(component)
		line.Units, line.Unit = units, credits
	}
}

func (c *record) costLine(component string) *callnormv1.CostLine {
	cost := c.cost()
	for _, line := range cost.GetLines() {
		if line.GetComponentRaw() == component {
			return line
		}
	}
	line := &callnormv1.CostLine{Component: components[component], ComponentRaw: component}
	cost.Lines = append(cost.Lines, line)
	return line
}
