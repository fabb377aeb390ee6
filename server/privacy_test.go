package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
)

const (
	number = "+12025550143"
	email  = "jo@example.com"
)

// reach is a call that speaks of a number and an e-mail address.
func reach(id string) *callnormv1.CallOutcome {
	return &callnormv1.CallOutcome{
		ProviderCallId: id, StartTime: at(1), ExternalIds: []*callnormv1.ExternalId{{System: "twilio.call_sid", Id: "CA-" + id}},
		Contact: &callnormv1.Contact{Phones: []*callnormv1.PhoneNumber{{E164: number}}, Emails: []string{email}},
	}
}

func TestDeleteCall(t *testing.T) {
	byID := func(id string) *callnormv1.DeleteCallRequest {
		return &callnormv1.DeleteCallRequest{Key: &callnormv1.DeleteCallRequest_ProviderCallId{ProviderCallId: id}}
	}
	tests := map[string]func(name string) *callnormv1.DeleteCallRequest{
		"by its name": func(name string) *callnormv1.DeleteCallRequest {
			return &callnormv1.DeleteCallRequest{Key: &callnormv1.DeleteCallRequest_Name{Name: name}}
		},
		"by the provider's id": func(string) *callnormv1.DeleteCallRequest {
			request := byID("c")
			request.Source = "tales"
			return request
		},
		"by another's id": func(string) *callnormv1.DeleteCallRequest {
			return &callnormv1.DeleteCallRequest{Provider: "teller", Key: &callnormv1.DeleteCallRequest_ExternalId{
				ExternalId: &callnormv1.ExternalId{System: "twilio.call_sid", Id: "CA-c"},
			}}
		},
	}
	for title, key := range tests {
		t.Run(title, func(t *testing.T) {
			s := telling(t)
			privacy := callnormv1.NewPrivacyServiceClient(s.conn)
			name := s.tell(t, "tales", reach("c"))
			other := s.tell(t, "others", reach("c"))
			if _, err := privacy.DeleteCall(t.Context(), byID("c")); status.Code(err) != codes.FailedPrecondition || reason(t, err) != "AMBIGUOUS" {
				t.Fatalf("an id of two: %v", err)
			}
			want := &callnormv1.DeleteCallResponse{Name: name, RevisionCount: 1, DeliveryCount: 1}
			request := key(name)
			for _, only := range []bool{true, true, false} {
				request.ValidateOnly = only
				got, err := privacy.DeleteCall(t.Context(), request)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
					t.Errorf("validate_only %t, -want +got:\n%s", only, diff)
				}
			}
			if cause := s.outcome(t, name).GetRevisionCause(); cause != callnormv1.RevisionCause_REVISION_CAUSE_DELETED {
				t.Errorf("%v", cause)
			}
			if listed, _ := s.list(t, &callnormv1.ListOutcomesRequest{}); len(listed) != 1 || s.outcome(t, other).GetProviderCallId() != "c" {
				t.Errorf("%v are left", listed)
			}
			again, err := privacy.DeleteCall(t.Context(), &callnormv1.DeleteCallRequest{Key: &callnormv1.DeleteCallRequest_Name{Name: name}})
			if err != nil || again.GetRevisionCount() != 0 || again.GetDeliveryCount() != 0 {
				t.Errorf("again: %v %v", again, err)
			}
		})
	}
	t.Run("nobody", func(t *testing.T) {
		s := telling(t)
		privacy := callnormv1.NewPrivacyServiceClient(s.conn)
		for _, request := range []*callnormv1.DeleteCallRequest{
			byID("x"), {Key: &callnormv1.DeleteCallRequest_Name{Name: "outcomes/aaaaaaaaaaaaaaaaaaaaaaaaaa"}},
		} {
			if _, err := privacy.DeleteCall(t.Context(), request); status.Code(err) != codes.NotFound || reason(t, err) != "OUTCOME_NOT_FOUND" {
				t.Errorf("%v", err)
			}
		}
		if _, err := privacy.DeleteCall(t.Context(), &callnormv1.DeleteCallRequest{}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v", err)
		}
	})
}

func TestDeleteContact(t *testing.T) {
	tests := map[string]*callnormv1.DeleteContactRequest{
		"by telephone number":     {Contact: &callnormv1.DeleteContactRequest_PhoneNumber{PhoneNumber: number}},
		"by a number with blanks": {Contact: &callnormv1.DeleteContactRequest_PhoneNumber{PhoneNumber: "+1 202 555 0143"}},
		"by e-mail address":       {Contact: &callnormv1.DeleteContactRequest_Email{Email: "Jo@Example.com"}},
	}
	for title, request := range tests {
		t.Run(title, func(t *testing.T) {
			s := telling(t)
			privacy := callnormv1.NewPrivacyServiceClient(s.conn)
			for i := range 3 {
				s.tell(t, "tales", reach(fmt.Sprint(i)))
			}
			s.tell(t, "tales", &callnormv1.CallOutcome{ProviderCallId: "another", StartTime: at(2)})
			want := &callnormv1.DeleteContactResponse{OutcomeCount: 3, RevisionCount: 3, DeliveryCount: 3}
			for _, only := range []bool{true, false} {
				request.ValidateOnly = only
				got, err := privacy.DeleteContact(t.Context(), request)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
					t.Errorf("validate_only %t, -want +got:\n%s", only, diff)
				}
			}
			if got, _ := s.list(t, &callnormv1.ListOutcomesRequest{}); !cmp.Equal(got, []string{"another"}) {
				t.Errorf("%v are left", got)
			}
			again, err := privacy.DeleteContact(t.Context(), request)
			if diff := cmp.Diff(&callnormv1.DeleteContactResponse{}, again, protocmp.Transform()); diff != "" || err != nil {
				t.Errorf("again: %v %s", err, diff)
			}
			if log := s.log.String(); strings.Contains(log, "5550143") || strings.Contains(strings.ToLower(log), email) {
				t.Error("the log tells the address")
			}
		})
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	s := telling(t)
	privacy := callnormv1.NewPrivacyServiceClient(s.conn)
	tests := map[string]*callnormv1.DeleteContactRequest{
		"nobody":                        {},
		"a number of one country":       {Contact: &callnormv1.DeleteContactRequest_PhoneNumber{PhoneNumber: "0202 5550143"}},
		"an e-mail address as number":   {Contact: &callnormv1.DeleteContactRequest_PhoneNumber{PhoneNumber: email}},
		"a number as e-mail address":    {Contact: &callnormv1.DeleteContactRequest_Email{Email: number}},
		"a name as e-mail address":      {Contact: &callnormv1.DeleteContactRequest_Email{Email: "jo@example"}},
		"a number that is far too long": {Contact: &callnormv1.DeleteContactRequest_PhoneNumber{PhoneNumber: number + strings.Repeat("0", 40)}},
	}
	for title, request := range tests {
		t.Run(title, func(t *testing.T) {
			_, err := privacy.DeleteContact(t.Context(), request)
			if status.Code(err) != codes.InvalidArgument || reason(t, err) != "INVALID_REQUEST" {
				t.Fatalf("%v", err)
			}
			if strings.Contains(err.Error(), "5550143") {
				t.Errorf("the error repeats the address: %v", err)
			}
		})
	}
}

func TestOnlyOperatorsDelete(t *testing.T) {
	ca := newAuthority(t)
	s := guarded(t, ca)
	call := &callnormv1.DeleteCallRequest{Key: &callnormv1.DeleteCallRequest_ProviderCallId{ProviderCallId: "c"}}
	contact := &callnormv1.DeleteContactRequest{Contact: &callnormv1.DeleteContactRequest_Email{Email: email}}
	tests := map[string]struct {
		token         string
		call, contact codes.Code
		rest          int // of the contact
	}{
		"a reader":    {readerToken, codes.PermissionDenied, codes.PermissionDenied, http.StatusForbidden},
		"a relay":     {ingestToken, codes.PermissionDenied, codes.PermissionDenied, http.StatusForbidden},
		"an operator": {operatorToken, codes.NotFound, codes.OK, http.StatusOK},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			caller := caller{token: test.token}
			privacy := callnormv1.NewPrivacyServiceClient(caller.dial(t, ca, s.address))
			ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+test.token)
			if _, err := privacy.DeleteCall(ctx, call); status.Code(err) != test.call {
				t.Errorf("%v", err)
			}
			if _, err := privacy.DeleteContact(ctx, contact); status.Code(err) != test.contact {
				t.Errorf("%v", err)
			}
			code, _, text := caller.send(t, caller.client(t, ca), http.MethodPost, s.url+"/v1/contacts:delete", strings.NewReader(`{"email":"`+email+`"}`), 0)
			if code != test.rest {
				t.Errorf("%d: %s", code, text)
			}
		})
	}
}
