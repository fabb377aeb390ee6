package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/signature"
)

// allRefused is from how many refusals on, without a delivery that was let in between, a source is said to refuse all. One or two
// may be anybody who tried the address.
const allRefused = 3

// Diagnose says what is wrong, the gravest first.
func (s *sourceService) Diagnose(ctx context.Context, _ *callnormv1.DiagnoseRequest) (*callnormv1.DiagnoseResponse, error) {
	findings := s.trouble()
	if err := s.store.Err(); err != nil {
		findings = append(findings, &callnormv1.Finding{
			Severity: callnormv1.Severity_SEVERITY_ERROR, Kind: callnormv1.FindingKind_FINDING_KIND_STORE_UNAVAILABLE,
			Message: "the store cannot keep anything at the moment; deliveries are answered with 503",
			Advice:  "look for a full or failing disk under the data directory; the log names the cause",
		})
	}
	sources, err := s.sources(ctx)
	if err != nil {
		return nil, err
	}
	for _, source := range sources {
		findings = append(findings, examine(source)...)
	}
	slices.SortStableFunc(findings, func(a, b *callnormv1.Finding) int { return cmp.Compare(b.GetSeverity(), a.GetSeverity()) })
	return &callnormv1.DiagnoseResponse{Findings: findings}, nil
}

// examine says what there is to say about one source.
func examine(source *callnormv1.Source) []*callnormv1.Finding {
	var findings []*callnormv1.Finding
	find := func(severity callnormv1.Severity, kind callnormv1.FindingKind, message, advice string) {
		findings = append(findings, &callnormv1.Finding{
			Severity: severity, Kind: kind, Source: source.GetSource(), Message: message, Advice: advice,
		})
	}
	if waiting := source.GetQuarantinedCount(); waiting > 0 {
		find(callnormv1.Severity_SEVERITY_WARNING, callnormv1.FindingKind_FINDING_KIND_QUARANTINE,
			fmt.Sprintf("deliveries of source %s in quarantine: %d", source.GetSource(), waiting),
			"see why with: callnorm quarantine list --source "+source.GetSource())
	}
	if !source.GetEnabled() {
		return findings
	}
	refusals := int64(0)
	for _, count := range source.GetRejectionsSinceAccept() {
		refusals += count.GetCount()
	}
	switch {
	case refusals >= allRefused:
		find(callnormv1.Severity_SEVERITY_ERROR, callnormv1.FindingKind_FINDING_KIND_ALL_REFUSED, allRefusedMessage(source, refusals), adviceFor(source))
	case refusals > 0:
		find(callnormv1.Severity_SEVERITY_NOTE, callnormv1.FindingKind_FINDING_KIND_SOME_REFUSED,
			fmt.Sprintf("requests to source %s refused since %s: %d (%s)", source.GetSource(),
				clock(source.GetRefusingSinceTime().AsTime()), refusals, causesOf(source.GetRejectionsSinceAccept())), adviceFor(source))
	case source.GetAcceptTime() == nil:
		find(callnormv1.Severity_SEVERITY_NOTE, callnormv1.FindingKind_FINDING_KIND_NEVER_USED,
			fmt.Sprintf("source %s has never had a delivery", source.GetSource()),
			"set the address POST "+doorPrefix+source.GetSource()+" at the provider")
	}
	switch newest, older := unusedSecrets(source); {
	case newest:
		find(callnormv1.Severity_SEVERITY_WARNING, callnormv1.FindingKind_FINDING_KIND_SECRET_UNUSED,
			fmt.Sprintf("the newest secret of source %s never matched, an older one did", source.GetSource()),
			"the provider still signs with the older one: set the new one there, and remove the older only when the new one has matched")
	case older:
		find(callnormv1.Severity_SEVERITY_NOTE, callnormv1.FindingKind_FINDING_KIND_SECRET_UNUSED,
			fmt.Sprintf("an older secret of source %s never matched, the newest did", source.GetSource()),
			"remove it when nothing is on its way that was signed with it")
	}
	if held := source.GetHeldCount(); held > 0 {
		find(callnormv1.Severity_SEVERITY_NOTE, callnormv1.FindingKind_FINDING_KIND_REQUESTS_HELD,
			fmt.Sprintf("refused requests of source %s held: %d", source.GetSource(), held),
			"after a fix, take them in with: callnorm verify --held --source "+source.GetSource())
	}
	if lost := source.GetUnheldCount() + source.GetEvictedCount(); lost > 0 {
		find(callnormv1.Severity_SEVERITY_WARNING, callnormv1.FindingKind_FINDING_KIND_REQUESTS_NOT_HELD,
			fmt.Sprintf("refused requests of source %s not held, or no longer: %d", source.GetSource(), lost),
			"raise hold.requests and hold.bytes of the source; a hold_key that was added takes a restart")
	}
	switch {
	case source.GetVerifiedBy() == "":
		find(callnormv1.Severity_SEVERITY_NOTE, callnormv1.FindingKind_FINDING_KIND_UNVERIFIED,
			fmt.Sprintf("source %s takes deliveries from anybody", source.GetSource()),
			"configure its verification")
	case len(source.GetSignedParts()) > 0 && !signature.CoverBody(source.GetSignedParts()):
		find(callnormv1.Severity_SEVERITY_NOTE, callnormv1.FindingKind_FINDING_KIND_BODY_NOT_SIGNED,
			fmt.Sprintf("the signature at source %s covers only %s", source.GetSource(), strings.Join(source.GetSignedParts(), " and ")),
			"whoever saw one delivery can send another body for the same call: let only the provider's addresses through, or read the call again by the provider's API")
	}
	return findings
}

func allRefusedMessage(source *callnormv1.Source, refusals int64) string {
	message := fmt.Sprintf("all deliveries of source %s have been refused since %s (%d): %s", source.GetSource(),
		clock(source.GetRefusingSinceTime().AsTime()), refusals, causesOf(source.GetRejectionsSinceAccept()))
	if secrets := source.GetSecrets(); len(secrets) > 0 && secrets[0].GetMatchTime() == nil {
		message += ", newest secret never matched"
	}
	return message
}

// clock is a time as people in a hurry read it.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// causesOf names causes in plain words.
func causesOf(list []*callnormv1.RejectionCount) string {
	words := make([]string, len(list))
	for i, count := range list {
		words[i] = plainCause(count.GetCause())
	}
	return strings.Join(words, ", ")
}

func plainCause(cause callnormv1.RejectionCause) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(cause.String(), "REJECTION_CAUSE_"), "_", " "))
}

// adviceFor says what usually helps against the most frequent cause.
func adviceFor(source *callnormv1.Source) string {
	switch source.GetRejectionsSinceAccept()[0].GetCause() {
	case callnormv1.RejectionCause_REJECTION_CAUSE_SIGNATURE_MISMATCH:
		return "compare the secret with the provider's settings; save a request and let callnorm verify --source " + source.GetSource() + " --request FILE explain it"
	case callnormv1.RejectionCause_REJECTION_CAUSE_SIGNATURE_MISSING:
		return "the provider sends no signature, or under another header: switch signing on there, or set verification.headers"
	case callnormv1.RejectionCause_REJECTION_CAUSE_TIME_TOO_OLD, callnormv1.RejectionCause_REJECTION_CAUSE_TIME_IN_FUTURE:
		return "compare this machine's clock with the world's, or widen verification.tolerance"
	case callnormv1.RejectionCause_REJECTION_CAUSE_BODY_TOO_LARGE:
		return "raise max_body_bytes of the source"
	case callnormv1.RejectionCause_REJECTION_CAUSE_RATE:
		return "raise the rate of the source"
	default:
		return "save a request and let callnorm verify --source " + source.GetSource() + " --request FILE explain it"
	}
}

// unusedSecrets tells whether the newest secret, or an older one, never matched although another one did.
func unusedSecrets(source *callnormv1.Source) (newest, older bool) {
	used := false
	for i, secret := range source.GetSecrets() {
		switch {
		case secret.GetMatchTime() != nil:
			used = true
		case i == 0:
			newest = true
		default:
			older = true
		}
	}
	return newest && used, older && used
}
