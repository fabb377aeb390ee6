package server

import (
	"context"
	"fmt"
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/address"
	"github.com/callnorm/callnorm/internal/store"
)

// eraser is what PrivacyService needs of the intake.
type eraser interface {
	// DeleteCall deletes one outcome, or tells what that would remove.
	DeleteCall(ctx context.Context, id store.OutcomeID, validateOnly bool) (store.Removed, error)
	// DeleteContact deletes all that speaks of an address in its canonical form, or tells what that would remove.
	DeleteContact(ctx context.Context, address string, validateOnly bool) (store.Removed, error)
}

type privacyService struct {
	callnormv1.UnimplementedPrivacyServiceServer

	store  finder
	intake eraser
}

func (s *privacyService) DeleteCall(ctx context.Context, r *callnormv1.DeleteCallRequest) (*callnormv1.DeleteCallResponse, error) {
	entry, err := find(ctx, s.store, r)
	if err != nil {
		return nil, err
	}
	name := outcomeName(entry.Outcome)
	removed, err := s.intake.DeleteCall(ctx, entry.Outcome, r.GetValidateOnly())
	if err != nil {
		// Once it is deleted, it is found by its name alone.
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &callnormv1.DeleteCallResponse{Name: name, RevisionCount: removed.Revisions, DeliveryCount: removed.Deliveries}, nil
}

// DeleteContact tells nobody the address, in no error either.
func (s *privacyService) DeleteContact(ctx context.Context, r *callnormv1.DeleteContactRequest) (*callnormv1.DeleteContactResponse, error) {
	field, text := "phone_number", r.GetPhoneNumber()
	if text == "" {
		field, text = "email", r.GetEmail()
	}
	contact, err := address.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errRequest, field, err)
	}
	if strings.HasPrefix(contact, "+") != (field == "phone_number") {
		return nil, fmt.Errorf("%w: %s holds the other kind of address", errRequest, field)
	}
	removed, err := s.intake.DeleteContact(ctx, contact, r.GetValidateOnly())
	if err != nil {
		return nil, err
	}
	return &callnormv1.DeleteContactResponse{
		OutcomeCount: removed.Outcomes, RevisionCount: removed.Revisions, DeliveryCount: removed.Deliveries,
	}, nil
}
