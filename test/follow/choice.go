package main

import (
	"net/url"
	"slices"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// choice is a filter, and what it means, written down a second time.
type choice struct {
	name   string
	filter *callnormv1.OutcomeFilter
	passes func(*callnormv1.CallOutcome) bool
}

// longTalk is how long a conversation is that a condition asks for. The fixtures talk shorter and longer.
const longTalk = 45 * time.Second

// choices are what readers ask for. A revision passes that says that an outcome was deleted, unless its provider is not asked for.
var choices = []choice{
	{"all", nil, func(*callnormv1.CallOutcome) bool { return true }},
	{
		"one provider", &callnormv1.OutcomeFilter{Providers: []string{voxia}},
		func(o *callnormv1.CallOutcome) bool { return o.GetProvider() == voxia },
	},
	{
		"only final", &callnormv1.OutcomeFilter{Completenesses: []callnormv1.Completeness{callnormv1.Completeness_COMPLETENESS_FINAL}},
		func(o *callnormv1.CallOutcome) bool { return isFinal(o) || isDeleted(o) },
	},
	{
		"a condition", &callnormv1.OutcomeFilter{Condition: "outcome.talk_duration > duration('45s')"},
		func(o *callnormv1.CallOutcome) bool { return talksLong(o) || isDeleted(o) },
	},
	{
		"two sources, a completeness and a condition",
		&callnormv1.OutcomeFilter{
			Sources:        []string{synthflow, curiousThing},
			Completenesses: []callnormv1.Completeness{callnormv1.Completeness_COMPLETENESS_FINAL},
			Condition:      "outcome.talk_duration > duration('45s')",
		},
		func(o *callnormv1.CallOutcome) bool {
			return slices.Contains([]string{synthflow, curiousThing}, o.GetSource()) && (isFinal(o) && talksLong(o) || isDeleted(o))
		},
	},
}

func isDeleted(o *callnormv1.CallOutcome) bool {
	return o.GetRevisionCause() == callnormv1.RevisionCause_REVISION_CAUSE_DELETED
}

func isFinal(o *callnormv1.CallOutcome) bool {
	return o.GetCompleteness() == callnormv1.Completeness_COMPLETENESS_FINAL
}

func talksLong(o *callnormv1.CallOutcome) bool { return o.GetTalkDuration().AsDuration() > longTalk }

// query writes a filter as the parameters of a URL.
func query(filter *callnormv1.OutcomeFilter) url.Values {
	values := url.Values{}
	for _, provider := range filter.GetProviders() {
		values.Add("filter.providers", provider)
	}
	for _, source := range filter.GetSources() {
		values.Add("filter.sources", source)
	}
	for _, completeness := range filter.GetCompletenesses() {
		values.Add("filter.completenesses", completeness.String())
	}
	if condition := filter.GetCondition(); condition != "" {
		values.Set("filter.condition", condition)
	}
	return values
}
