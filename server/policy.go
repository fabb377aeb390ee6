package server

import (
	"net/http"
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/server/access"
)

// Policy says which role each method needs. Health and reflection need to read; what is not listed needs to operate.
func Policy(openHouse bool) access.Policy {
	return access.Policy{OpenHouse: openHouse, Methods: map[string]access.Role{
		callnormv1.NormalizationService_Normalize_FullMethodName:      access.RoleRead,
		callnormv1.NormalizationService_IngestDelivery_FullMethodName: access.RoleIngest,

		callnormv1.OutcomeService_GetOutcome_FullMethodName:              access.RoleRead,
		callnormv1.OutcomeService_ListOutcomes_FullMethodName:            access.RoleRead,
		callnormv1.OutcomeService_ListOutcomeRevisions_FullMethodName:    access.RoleRead,
		callnormv1.OutcomeService_CompareOutcomeRevisions_FullMethodName: access.RoleRead,
		callnormv1.OutcomeService_StreamOutcomes_FullMethodName:          access.RoleRead,

		// Whose subscription it is decides the service.
		callnormv1.SubscriptionService_CreateSubscription_FullMethodName:      access.RoleRead,
		callnormv1.SubscriptionService_GetSubscription_FullMethodName:         access.RoleRead,
		callnormv1.SubscriptionService_ListSubscriptions_FullMethodName:       access.RoleRead,
		callnormv1.SubscriptionService_DeleteSubscription_FullMethodName:      access.RoleRead,
		callnormv1.SubscriptionService_StreamSubscription_FullMethodName:      access.RoleRead,
		callnormv1.SubscriptionService_AcknowledgeSubscription_FullMethodName: access.RoleRead,
		callnormv1.SubscriptionService_ResetSubscription_FullMethodName:       access.RoleRead,

		readyPath:   access.RoleRead,
		metricsPath: access.RoleRead,
	}}
}

// Paths that are no RPCs.
const (
	livePath    = "/livez"
	readyPath   = "/readyz"
	metricsPath = "/metrics"
)

// isDoor tells webhooks from everything else. They come before any mux: those clean paths, rewrite methods and read forms.
func isDoor(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, doorPrefix) }

// isPublic tells what needs no credential of a reader.
func isPublic(r *http.Request) bool { return isDoor(r) || r.URL.Path == livePath }

// may asks for the role that a path needs.
func (s *Server) may(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := access.From(r.Context()).May(r.URL.Path); err != nil {
			s.writeError(w, r, err)
			return
		}
		next(w, r)
	}
}
