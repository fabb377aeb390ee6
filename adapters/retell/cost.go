package retell

import (
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// currency is what Retell counts in, a hundredth of it at a time.
const (
	currency = "USD"
	cents    = 2
)

// readCost reads what the call cost. The prices are those of the account, whatever the call.
func (p *payload) readCost(r *wire.Reader) {
	for name := range r.Members() {
		switch name {
		case "combined_cost":
			p.cost.Total = r.Money(currency, cents)
		case "product_costs":
			for range r.Elements() {
				if line := readCostLine(r); line != nil {
					p.cost.Lines = append(p.cost.GetLines(), line)
				}
			}
		case "total_duration_seconds":
			p.call.BilledDuration = r.Duration(time.Second)
		case "total_duration_unit_price":
			r.Skip()
		}
	}
}

func readCostLine(r *wire.Reader) *callnormv1.CostLine {
	if r.Kind() != '{' {
		return nil // what is no line is kept
	}
	line, ofTransfer := &callnormv1.CostLine{}, false
	for name := range r.Members() {
		switch name {
		case "product":
			line.ComponentRaw = r.Word()
		case "cost":
			line.Amount = r.Money(currency, cents)
		case "is_transfer_leg_cost":
			yes := r.Bool()
			ofTransfer = yes != nil && *yes
		case "unit_price":
			r.Skip()
		}
	}
	switch {
	case ofTransfer:
		line.Component = callnormv1.CostComponent_COST_COMPONENT_TRANSFER
	case line.GetComponentRaw() != "":
		line.Component = component(line.GetComponentRaw())
	}
	return wire.Filled(line)
}

// products tells what a product is part of, by what its name has in it. Retell documents no list of them, and names many after the
// models that it resells.
var products = []struct {
	part      string
	component callnormv1.CostComponent
}{
	{"post_call_analysis", callnormv1.CostComponent_COST_COMPONENT_ANALYSIS},
	{"telephony", callnormv1.CostComponent_COST_COMPONENT_TELEPHONY},
	{"_tts", callnormv1.CostComponent_COST_COMPONENT_TTS},
	{"_stt", callnormv1.CostComponent_COST_COMPONENT_STT},
	{"_asr", callnormv1.CostComponent_COST_COMPONENT_STT},
	{"voice_engine", callnormv1.CostComponent_COST_COMPONENT_PLATFORM},
	{"platform", callnormv1.CostComponent_COST_COMPONENT_PLATFORM},
	{"voice_infra", callnormv1.CostComponent_COST_COMPONENT_PLATFORM},
	{"llm", callnormv1.CostComponent_COST_COMPONENT_LLM},
	{"gpt", callnormv1.CostComponent_COST_COMPONENT_LLM},
	{"claude", callnormv1.CostComponent_COST_COMPONENT_LLM},
	{"gemini", callnormv1.CostComponent_COST_COMPONENT_LLM},
}

func component(product string) callnormv1.CostComponent {
	plain := words.Plain(product)
	for _, p := range products {
		if strings.Contains(plain, p.part) {
			return p.component
		}
	}
	return callnormv1.CostComponent_COST_COMPONENT_OTHER
}
