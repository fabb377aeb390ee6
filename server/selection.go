package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/condition"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// selection is what an OutcomeFilter passes: by what the store finds in its columns, and by what only the outcome itself tells.
type selection struct {
	store        store.Filter
	dispositions []callnormv1.ContactDisposition
	doNotCall    *bool
	condition    *condition.Condition // nil: there is none
}

// newSelection reads a filter; nil passes everything. The error is a *conditionError, or errRequest.
func newSelection(filter *callnormv1.OutcomeFilter) (selection, error) {
	chosen, err := columns(filter)
	if err != nil {
		return selection{}, err
	}
	s := selection{store: chosen, dispositions: filter.GetDispositions()}
	if filter != nil {
		s.doNotCall = filter.DoNotCall
	}
	if filter.GetCondition() != "" {
		compiled, err := condition.Compile(filter.GetCondition())
		syntax := (*condition.SyntaxError)(nil)
		switch {
		case errors.As(err, &syntax):
			return selection{}, &conditionError{syntax}
		case err != nil:
			return selection{}, fmt.Errorf("condition: %w", err)
		}
		s.condition = compiled
	}
	return s, nil
}

// columns reads what the store looks at of a filter. The error is errRequest.
func columns(filter *callnormv1.OutcomeFilter) (store.Filter, error) {
	chosen := store.Filter{Providers: filter.GetProviders(), Sources: filter.GetSources()}
	for _, status := range filter.GetStatuses() {
		chosen.Statuses = append(chosen.Statuses, int32(status))
	}
	for _, completeness := range filter.GetCompletenesses() {
		chosen.Completeness = append(chosen.Completeness, int32(completeness))
	}
	for i, name := range filter.GetNames() {
		id, err := store.ParseOutcomeID(strings.TrimPrefix(name, "outcomes/"))
		if err != nil {
			return store.Filter{}, fmt.Errorf("%w: filter.names[%d]: %w", errRequest, i, err)
		}
		chosen.Outcomes = append(chosen.Outcomes, id)
	}
	return chosen, nil
}

// whole tells whether what the store passes is all there is to ask: no outcome has to be decoded.
func (s selection) whole() bool {
	return len(s.dispositions) == 0 && s.doNotCall == nil && s.condition == nil
}

// passes tells whether an entry that the store has passed passes as a whole. It decodes only what it has to.
func (s selection) passes(entry store.Entry) (bool, error) {
	if entry.Deleted || s.whole() {
		return true, nil
	}
	if s.condition != nil {
		// Most of an outcome is a transcript, which most conditions do not look at.
		entry.Body = s.condition.Partly(entry.Body, dispositionField)
	}
	outcome, err := decode(entry)
	if err != nil {
		return false, err
	}
	return s.holds(outcome), nil
}

// dispositionField is what a selection looks at besides its condition.
var dispositionField = (&callnormv1.CallOutcome{}).ProtoReflect().Descriptor().Fields().ByName("disposition").Number()

// holds tells whether an outcome that the store has passed, and that is not deleted, passes as a whole. One for which the condition
// cannot be worked out does: a filter loses nothing.
func (s selection) holds(outcome *callnormv1.CallOutcome) bool {
	disposition := outcome.GetDisposition()
	switch {
	case len(s.dispositions) > 0 && !slices.Contains(s.dispositions, disposition.GetValue()),
		s.doNotCall != nil && *s.doNotCall != disposition.GetDoNotCall():
		return false
	case s.condition == nil:
		return true
	}
	held, err := s.condition.Holds(outcome)
	return held || err != nil
}

// conditionError says that the condition of a filter cannot be understood.
type conditionError struct{ syntax *condition.SyntaxError }

func (e *conditionError) Error() string {
	return fmt.Sprintf("the filter's condition cannot be understood: line %d, column %d: %s", e.syntax.Line, e.syntax.Column, e.syntax.Message)
}

// status points at the field.
func (e *conditionError) status() *status.Status {
	return with(codes.InvalidArgument, callnormv1.ErrorReason_ERROR_REASON_CONDITION_INVALID, e.Error(), nil,
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{
			Field:       "filter.condition",
			Description: fmt.Sprintf("line %d, column %d: %s", e.syntax.Line, e.syntax.Column, e.syntax.Message),
		}}})
}
