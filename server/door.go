package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/server/bounds"
)

const (
	// doorPrefix is where webhooks come in.
	doorPrefix = "/v1/webhooks/"
	// maxRatio is how many bytes one byte of a compressed body may stand for. JSON of real calls stays below 20.
	maxRatio = 100
)

// door takes webhooks in. It stands before the gateway, which decodes bodies and rewrites methods: a delivery has to be kept byte
// for byte, with its headers and its path as they came.
func (s *Server) door(w http.ResponseWriter, r *http.Request) {
	response, err := s.deliver(w, r)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	text, err := s.answer(response)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // The delivery is kept; the provider will find out by itself that we could not answer.
}

// answer is a response as protojson writes it. It takes five times as long as encoding/json, which can do the same where there is
// nothing to report but names: as a rule.
func (s *Server) answer(response *callnormv1.IngestDeliveryResponse) ([]byte, error) {
	state, known := callnormv1.DeliveryState_name[int32(response.GetState())]
	if !known || len(response.GetFaults()) > 0 || len(response.GetNotices()) > 0 || response.GetUnlistedCount() > 0 {
		return s.json.Marshal(response)
	}
	text, err := json.Marshal(struct {
		Delivery  string                         `json:"delivery"`
		Duplicate bool                           `json:"duplicate"`
		State     string                         `json:"state"`
		Outcomes  []*callnormv1.DeliveredOutcome `json:"outcomes,omitempty"`
	}{response.GetDelivery(), response.GetDuplicate(), state, response.GetOutcomes()})
	return append(text, '\n'), err
}

func (s *Server) deliver(w http.ResponseWriter, r *http.Request) (*callnormv1.IngestDeliveryResponse, error) {
	address, forwarded := s.proxies.Client(r)
	if ok, wait := s.rates.Allow(address, s.now()); !ok {
		return nil, &intake.BusyError{RetryAfter: wait}
	}
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		return nil, onlyPost(w)
	}
	segments, err := doorSegments(r.URL.EscapedPath())
	if err != nil {
		return nil, err
	}
	source, err := s.intake.Source(segments[0])
	if err != nil {
		return nil, err
	}
	if r.Method == http.MethodGet && (!source.ReadsQuery() || r.URL.RawQuery == "") {
		return nil, onlyPost(w)
	}
	request, err := requestOf(source, segments, r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header)
	if err != nil {
		return nil, err
	}
	request.ReceiveTime, request.Address, request.Forwarded = s.now(), address, forwarded
	body, err := bounds.Read(w, r, bounds.BodyLimits{Max: source.MaxBody, Ratio: maxRatio, Budget: s.budget, Pace: s.pace})
	if err != nil {
		return nil, s.unread(source, request, err)
	}
	defer body.Release()
	request.Body = body.Content
	if request.Encoded() {
		request.Wire = body.Wire
	}
	return s.intake.Deliver(r.Context(), request)
}

func onlyPost(w http.ResponseWriter) error {
	w.Header().Set("Allow", http.MethodPost)
	return fmt.Errorf("%w: webhooks come in by POST, and by GET only where the provider puts all it says into the query", errMethod)
}

// unread remembers a body that the source will never take.
func (s *Server) unread(source intake.Source, request intake.Request, err error) error {
	switch {
	case errors.Is(err, bounds.ErrTooLarge):
		s.intake.Refuse(request, callnormv1.RejectionCause_REJECTION_CAUSE_BODY_TOO_LARGE)
		return fmt.Errorf("%w: %q takes %d bytes", err, source.Name, source.MaxBody)
	case errors.Is(err, bounds.ErrEncoding), errors.Is(err, bounds.ErrCorrupt):
		s.intake.Refuse(request, callnormv1.RejectionCause_REJECTION_CAUSE_ENCODING_UNSUPPORTED)
	}
	return err
}

// doorSegments returns what comes after the prefix: the source, and up to two more.
func doorSegments(path string) ([]string, error) {
	var segments []string
	for escaped := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(path, doorPrefix), "/"), "/") {
		name, err := url.PathUnescape(escaped)
		if err != nil || !utf8.ValidString(name) || len(segments) == 3 {
			return nil, errDoorRoute
		}
		segments = append(segments, name)
	}
	return segments, nil
}

var errDoorRoute = fmt.Errorf("%w: webhooks come in at %s{source} or %s{source}/{event}", errRoute, doorPrefix, doorPrefix)

// RequestAt reads the request line and header of a request as its source means it: the path's secret first, where there is one, then
// the event.
func RequestAt(source intake.Source, method, path, query string, header http.Header) (intake.Request, error) {
	segments, err := doorSegments(path)
	if err != nil {
		return intake.Request{}, err
	}
	return requestOf(source, segments, method, path, query, header)
}

func requestOf(source intake.Source, segments []string, method, path, query string, header http.Header) (intake.Request, error) {
	request := intake.Request{Source: source.Name, Method: method, Path: path, Query: query, Header: header}
	rest, secret := segments[1:], source.Verifier != nil && source.Verifier.UsesPathToken()
	if secret && len(rest) > 0 {
		request.Token, rest = rest[0], rest[1:]
	}
	if len(rest) > 1 {
		return intake.Request{}, errDoorRoute
	}
	if len(rest) == 1 {
		request.Event = rest[0]
	}
	if secret {
		request.KeptPath = doorPath(source.Name, request.Event)
	}
	return request, nil
}

// addressOf returns the peer's address of a gRPC call, or none.
func addressOf(peer string) netip.Addr {
	address, err := netip.ParseAddrPort(peer)
	if err != nil {
		return netip.Addr{}
	}
	return address.Addr()
}
