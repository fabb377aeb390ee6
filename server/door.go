package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/callnorm/callnorm/internal/intake"
)

// doorPrefix is where webhooks come in.
const doorPrefix = "/v1/webhooks/"

// door takes webhooks in. It stands before the gateway, which decodes bodies and rewrites methods: a delivery has to be kept byte
// for byte, with its headers and its path as they came.
func (s *Server) door(w http.ResponseWriter, r *http.Request) {
	name, event, err := doorParts(r.URL.EscapedPath())
	if err == nil && r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		err = fmt.Errorf("%w: webhooks come in by POST", errMethod)
	}
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	source, err := s.intake.Source(name)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	body, err := readBody(w, r, source)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	response, err := s.intake.Deliver(r.Context(), intake.Request{
		Source: source.Name, Event: event, Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery,
		Header: r.Header, Body: body, ReceiveTime: s.now(),
	})
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	text, err := s.json.Marshal(response)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // The delivery is kept; the provider will find out by itself that we could not answer.
}

// doorParts returns the source and the event that a path of the door names.
func doorParts(path string) (source, event string, err error) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, doorPrefix), "/")
	second := strings.TrimSuffix(rest, "/")
	source, sourceErr := url.PathUnescape(first)
	event, eventErr := url.PathUnescape(second)
	if sourceErr != nil || eventErr != nil || strings.Contains(second, "/") || !utf8.ValidString(source+event) {
		return "", "", fmt.Errorf("%w: webhooks come in at %s{source} or %s{source}/{event}", errRoute, doorPrefix, doorPrefix)
	}
	return source, event, nil
}

// readBody reads a body up to the source's limit.
func readBody(w http.ResponseWriter, r *http.Request, source intake.Source) ([]byte, error) {
	body, err := readUpTo(w, r, source.MaxBody)
	if errors.Is(err, intake.ErrBodyTooLarge) {
		return nil, fmt.Errorf("%w: %q takes %d bytes", intake.ErrBodyTooLarge, source.Name, source.MaxBody)
	}
	return body, err
}

// readUpTo reads a body up to a limit. MaxBytesReader refuses more; a reader that only stops there would keep half a delivery and
// call it whole.
func readUpTo(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit { // before the sender is told to go on
		return nil, intake.ErrBodyTooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	tooLarge := (*http.MaxBytesError)(nil)
	switch {
	case errors.As(err, &tooLarge):
		return nil, intake.ErrBodyTooLarge
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errBodyRead, err)
	}
	return body, nil
}
