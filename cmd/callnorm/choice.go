package main

import (
	"slices"
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// choice chooses outcomes.
type choice struct {
	Provider     []string `placeholder:"NAME" help:"Only these providers."`
	Source       []string `placeholder:"NAME" help:"Only these sources."`
	Status       []string `placeholder:"WORD" help:"Only these statuses, such as no-answer."`
	Completeness []string `placeholder:"WORD" help:"Only these completenesses: partial, settling, final."`
	Condition    string   `placeholder:"CEL" help:"Only where this expression over the variable outcome is true."`
}

// filter returns what is chosen. The error is a usage error.
func (c choice) filter() (*callnormv1.OutcomeFilter, error) {
	statuses, err := values[callnormv1.CallStatus]("--status", "CALL_STATUS_", callnormv1.CallStatus_value, c.Status)
	if err != nil {
		return nil, err
	}
	completenesses, err := values[callnormv1.Completeness]("--completeness", "COMPLETENESS_", callnormv1.Completeness_value, c.Completeness)
	if err != nil {
		return nil, err
	}
	return &callnormv1.OutcomeFilter{
		Providers: c.Provider, Sources: c.Source, Statuses: statuses, Completenesses: completenesses, Condition: c.Condition,
	}, nil
}

// Words that --from takes for the ends of the log.
const (
	fromBeginning = "beginning"
	fromNow       = "now"
)

// values reads words of an enum: NO_ANSWER is no-answer.
func values[E ~int32](flag, prefix string, numbers map[string]int32, words []string) ([]E, error) {
	var list []E
	for _, word := range words {
		number, ok := numbers[prefix+strings.ToUpper(strings.ReplaceAll(word, "-", "_"))]
		if !ok {
			var known []string
			for name := range numbers {
				known = append(known, strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, prefix), "_", "-")))
			}
			slices.Sort(known)
			return nil, usagef("%s: there is no %q; there are: %s", flag, word, strings.Join(known, ", "))
		}
		list = append(list, E(number))
	}
	return list, nil
}
