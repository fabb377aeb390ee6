package server

import (
	"fmt"
	"sync"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/server/access"
)

// certificateWarning is how long before its end a certificate is spoken of.
const certificateWarning = 14 * 24 * time.Hour

// trouble is what is wrong with the process itself.
type trouble struct {
	// lost is what was missing of the store when it was opened, or nil.
	lost error

	mutex    sync.Mutex
	reload   error
	reloaded time.Time
}

// Reloaded tells how the last reload of the configuration went, for the diagnosis. What is in err is not shown.
func (s *Server) Reloaded(err error) {
	s.trouble.mutex.Lock()
	defer s.trouble.mutex.Unlock()
	s.trouble.reload, s.trouble.reloaded = err, s.now()
}

// findings says what is wrong now.
func (t *trouble) findings(now time.Time, certificates *access.Certificates) []*callnormv1.Finding {
	var list []*callnormv1.Finding
	if t.lost != nil {
		list = append(list, &callnormv1.Finding{
			Severity: callnormv1.Severity_SEVERITY_ERROR, Kind: callnormv1.FindingKind_FINDING_KIND_STORE_DAMAGED,
			Message: "when the store was opened: " + t.lost.Error(),
			Advice:  "hand in again what came since, with callnorm import or from the providers; readers who had come further are refused. This is told until the next start",
		})
	}
	t.mutex.Lock()
	if t.reload != nil {
		list = append(list, &callnormv1.Finding{
			Severity: callnormv1.Severity_SEVERITY_WARNING, Kind: callnormv1.FindingKind_FINDING_KIND_CONFIGURATION,
			Message: fmt.Sprintf("the configuration of %s has problems; the one before is in force", clock(t.reloaded)),
			Advice:  "the log lists the problems, and so does callnorm config validate",
		})
	}
	t.mutex.Unlock()
	if certificates == nil {
		return list
	}
	end := certificates.NotAfter()
	finding := &callnormv1.Finding{
		Kind:   callnormv1.FindingKind_FINDING_KIND_CERTIFICATE,
		Advice: "put a new certificate in its place and send SIGHUP",
	}
	switch left := end.Sub(now); {
	case left <= 0:
		finding.Severity, finding.Message = callnormv1.Severity_SEVERITY_ERROR, "the certificate expired at "+clock(end)
	case left < certificateWarning:
		finding.Severity, finding.Message = callnormv1.Severity_SEVERITY_WARNING, "the certificate expires at "+clock(end)
	default:
		return list
	}
	return append(list, finding)
}
