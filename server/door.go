package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/callnorm/callnorm/internal/intake"
	"google.golang.org/protobuf/encoding/protojson"
)

// doorPrefix is where webhooks come in.
const doorPrefix = "/v1/webhooks/"

// door takes webhooks in. It is a plain handler beside the gateway's routes, because the gateway decodes bodies and a delivery
// has to be kept byte for byte, with its headers and its path as they came.
func (s *Server) door(w http.ResponseWriter, r *http.Request, params map[string]string) {
	source, err := s.intake.Source(params["source"])
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
		Source: source.Name, Event: params["event"], Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery,
		Header: r.Header, Body: body, ReceiveTime: s.now(),
	})
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	text, err := protojson.Marshal(response)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(text, '\n')) // The delivery is kept; the provider will find out by itself that we could not answer.
}

// readBody reads a body up to the source's limit. MaxBytesReader refuses more; a reader that only stops there would keep half a
// delivery and call it whole.
func readBody(w http.ResponseWriter, r *http.Request, source intake.Source) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, source.MaxBody))
	tooLarge := (*http.MaxBytesError)(nil)
	switch {
	case errors.As(err, &tooLarge):
		return nil, fmt.Errorf("%w: %q takes %d bytes", intake.ErrBodyTooLarge, source.Name, source.MaxBody)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errBodyRead, err)
	}
	return body, nil
}
