package intake

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/callstate"
)

// Payload is what Normalize is given. One of Source, Adapter and Provider names how to read it.
type Payload struct {
	Source, Adapter, Provider, Event, Query string
	Header                                  http.Header
	Body                                    []byte
}

// Normalize says what a payload means and keeps nothing. Items that cannot be read are part of the answer.
func (in *Intake) Normalize(payload Payload) (*callnormv1.NormalizeResponse, error) {
	source, err := in.resolve(payload)
	if err != nil {
		return nil, err
	}
	result, err := in.normalize(source, adapters.Delivery{
		Event: payload.Event, Query: payload.Query, Header: payload.Header, Body: payload.Body, ReceiveTime: in.Now(),
	})
	report := bounded(reportOf(result, err))
	response := &callnormv1.NormalizeResponse{
		Faults: report.GetFaults(), Notices: report.GetNotices(), UnlistedCount: report.GetUnlistedCount(),
	}
	for _, outcome := range result.Outcomes {
		outcome.Call.Source = source.Name
		source.redact(outcome.Call)
		response.Outcomes = append(response.Outcomes, callstate.Bound(outcome.Call))
	}
	return response, nil
}

// resolve finds the adapter and the provider's name by what the payload names, a source first.
func (in *Intake) resolve(payload Payload) (Source, error) {
	var source Source
	switch {
	case payload.Source != "":
		var err error
		if source, err = in.Source(payload.Source); err != nil {
			return Source{}, err
		}
		if payload.Adapter != "" && payload.Adapter != source.Adapter.Name() {
			return Source{}, fmt.Errorf("%w: source %q reads with adapter %q, and the request names another one", ErrNoAdapter, source.Name, source.Adapter.Name())
		}
	case payload.Adapter != "":
		adapter, ok := in.Adapters.ByName(payload.Adapter)
		if !ok {
			return Source{}, in.noAdapter("adapter")
		}
		source = Source{Adapter: adapter, Provider: adapter.Providers()[0]}
	case payload.Provider != "":
		adapter, ok := in.Adapters.ByProvider(payload.Provider)
		if !ok {
			return Source{}, in.noAdapter("provider")
		}
		source = Source{Adapter: adapter}
	default:
		return Source{}, fmt.Errorf("%w: name a source, an adapter or a provider", ErrNoAdapter)
	}
	if payload.Provider != "" {
		source.Provider = payload.Provider
	}
	return source, nil
}

// noAdapter does not repeat the name: it is whatever somebody has sent.
func (in *Intake) noAdapter(of string) error {
	return fmt.Errorf("%w of this %s; there are: %s", ErrAdapterNotFound, of, strings.Join(in.Adapters.Names(), ", "))
}

// normalize calls the source's adapter within its bounds of depth and time. What the delivery leaves open, the source tells.
func (in *Intake) normalize(source Source, delivery adapters.Delivery) (adapters.Result, error) {
	adapter := source.Adapter
	delivery.Provider = source.Provider
	if delivery.Event == "" {
		delivery.Event = source.Event
	}
	if tooDeep(delivery.Body) {
		return adapters.Result{}, &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_TOO_DEEP,
			Detail: fmt.Sprintf("the body is nested more than %d levels deep", maxDepth),
		}
	}
	type answer struct {
		result adapters.Result
		err    error
	}
	start := time.Now()
	done := make(chan answer, 1)
	go func() {
		result, err := adapters.Normalize(adapter, delivery)
		done <- answer{result, err}
	}()
	timeout := time.NewTimer(adapterIn)
	defer timeout.Stop()
	var got answer
	select {
	case got = <-done:
	case <-timeout.C:
		got.err = &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_ADAPTER_TIMEOUT,
			Detail: fmt.Sprintf("adapter %s %s took more than %s; the delivery is kept and can be normalized again",
				adapter.Name(), adapter.Version(), adapterIn),
		}
	}
	if fault := (*adapters.Error)(nil); got.err != nil && !errors.As(got.err, &fault) {
		got.err = &adapters.Error{Reason: callnormv1.FaultReason_FAULT_REASON_ADAPTER_FAILED, Detail: "the adapter failed"}
	}
	in.Observer.Normalized(adapter.Name(), time.Since(start), got.result, got.err)
	return got.result, got.err
}

// tooDeep tells whether a body is nested too deeply. Most have too few brackets for that, which is faster to find out.
func tooDeep(body []byte) bool {
	return bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) > maxDepth && depth(body) > maxDepth
}

// depth returns how deep a body is nested if it is JSON. In other formats brackets nest nothing.
func depth(body []byte) int {
	deepest, level := 0, 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			i += quoted(body[i:])
		case '{', '[':
			level++
			deepest = max(deepest, level)
		case '}', ']':
			level--
		}
	}
	return deepest
}

// quoted returns where the string ends that a text begins with: at its last quote, or with the text.
func quoted(text []byte) int {
	for end := 1; ; end++ {
		next := bytes.IndexByte(text[end:], '"')
		if next < 0 {
			return len(text)
		}
		end += next
		escapes := 0
		for text[end-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return end
		}
	}
}
