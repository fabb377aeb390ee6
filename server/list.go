package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/address"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// maxPageBytes bounds the outcomes of a page, apart from a single one: a client takes messages of 4 MiB by default.
	maxPageBytes = 4<<20 - 64<<10
	// outcomeOverhead is what a list adds to an outcome, at most.
	outcomeOverhead = 16
	// listChunk bounds how many outcomes are read from the store at a time. An outcome may be as large as 1 MiB.
	listChunk = 100
	// maxListReads bounds how often one call reads from the store, when little of what it looks at passes.
	maxListReads = 32
)

// ListOutcomes reads from the store until the page is full, by number or by size, or until it has read often enough for one call.
func (s *outcomeService) ListOutcomes(ctx context.Context, r *callnormv1.ListOutcomesRequest) (*callnormv1.ListOutcomesResponse, error) {
	chosen, err := newSelection(r.GetFilter())
	if err != nil {
		return nil, err
	}
	filter, err := listFilter(r, chosen)
	if err != nil {
		return nil, err
	}
	after, err := parsePlace(r)
	if err != nil {
		return nil, err
	}
	left := room{count: cmp.Or(int(r.GetPageSize()), defaultPage), bytes: maxPageBytes}
	response := &callnormv1.ListOutcomesResponse{}
	chunk := listChunk
	for reads := 0; reads < maxListReads && left.count > 0; reads++ {
		limit := chunk
		if chosen.condition == nil {
			limit = min(limit, left.count)
		}
		page, err := s.store.List(ctx, filter, after, limit)
		if err != nil {
			return nil, fmt.Errorf("outcomes: %w", err)
		}
		outcomes, looked, rest, err := take(page.Entries, chosen, left)
		if err != nil {
			return nil, err
		}
		if looked < len(page.Entries) {
			if looked == 0 {
				break
			}
			// The place of what did not fit is the store's to tell: it is asked for no more than fits.
			chunk = looked
			continue
		}
		response.Outcomes, left, after = append(response.Outcomes, outcomes...), rest, page.Next
		if page.End {
			return response, nil
		}
	}
	response.NextPageToken = placeToken(after, r)
	return response, nil
}

// room is what a page still takes.
type room struct{ count, bytes int }

// take returns the outcomes that pass as long as there is room for them, how many of the entries it has looked at, and the room that is
// left. The first outcome of a page fits, however large it is.
func take(entries []store.Entry, chosen selection, left room) (outcomes []*callnormv1.CallOutcome, looked int, _ room, err error) {
	for i, entry := range entries {
		outcome, err := decode(entry)
		if err != nil {
			return nil, 0, left, err
		}
		// The store has seen to the rest.
		if chosen.condition != nil && !chosen.holds(outcome) {
			continue
		}
		size := len(entry.Body) + outcomeOverhead
		if left.count == 0 || size > left.bytes && left.bytes < maxPageBytes {
			return outcomes, i, left, nil
		}
		left.count, left.bytes = left.count-1, left.bytes-size
		outcomes = append(outcomes, outcome)
	}
	return outcomes, len(entries), left, nil
}

// listFilter reads what a request asks for. Nothing of its address is in an error.
func listFilter(r *callnormv1.ListOutcomesRequest, chosen selection) (store.ListFilter, error) {
	filter := store.ListFilter{
		Filter: chosen.store, DoNotCall: chosen.doNotCall,
		ProviderCallID: r.GetProviderCallId(), ExternalID: externalID(r.GetExternalId()),
	}
	for _, disposition := range chosen.dispositions {
		filter.Dispositions = append(filter.Dispositions, int32(disposition))
	}
	keys := 0
	for _, given := range []bool{r.GetAddress() != "", r.GetProviderCallId() != "", r.GetExternalId() != nil} {
		if given {
			keys++
		}
	}
	if keys > 1 {
		return filter, fmt.Errorf("%w: it takes one of address, provider_call_id and external_id", errRequest)
	}
	var err error
	if r.GetAddress() != "" {
		if filter.Address, err = address.Parse(r.GetAddress()); err != nil {
			return filter, fmt.Errorf("%w: address: %w; in a URL, the plus is written %%2B", errRequest, err)
		}
	}
	if filter.Begin, err = timeOf("begin_time", r.GetBeginTime()); err != nil {
		return filter, err
	}
	if filter.End, err = timeOf("end_time", r.GetEndTime()); err != nil {
		return filter, err
	}
	if !filter.End.IsZero() && !filter.Begin.Before(filter.End) {
		return filter, fmt.Errorf("%w: begin_time has to be before end_time", errRequest)
	}
	return filter, nil
}

// timeOf reads a time of a request; it is zero when it is not told.
func timeOf(field string, at *timestamppb.Timestamp) (time.Time, error) {
	if at == nil {
		return time.Time{}, nil
	}
	if err := at.CheckValid(); err != nil {
		return time.Time{}, fmt.Errorf("%w: %s: %w", errRequest, field, err)
	}
	return at.AsTime(), nil
}

const (
	// placeVersion begins the token of a list of outcomes.
	placeVersion = 1
	placeSize    = 1 + 8 + 8 + checkSize
	// checkSize is enough to notice another request by mistake, and too little to tell from it who was asked for.
	checkSize = 4
)

// placeToken is a place in the list that a request asks for. The next request has to ask for the same.
func placeToken(place store.Place, r *callnormv1.ListOutcomesRequest) string {
	raw := make([]byte, 0, placeSize)
	raw = append(raw, placeVersion)
	raw = binary.BigEndian.AppendUint64(raw, uint64(place.Time))
	raw = binary.BigEndian.AppendUint64(raw, uint64(place.First))
	return base64.RawURLEncoding.EncodeToString(append(raw, checkOf(r)...))
}

// parsePlace reads the token of a request; without one it is the place before the first.
func parsePlace(r *callnormv1.ListOutcomesRequest) (store.Place, error) {
	if r.GetPageToken() == "" {
		return store.Place{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(r.GetPageToken())
	if err != nil || len(raw) != placeSize || raw[0] != placeVersion {
		return store.Place{}, errPageToken
	}
	if !slices.Equal(raw[placeSize-checkSize:], checkOf(r)) {
		return store.Place{}, fmt.Errorf("%w, or of another list: all of the request but page_size has to be the same as for the page before", errPageToken)
	}
	return store.Place{
		Time: int64(binary.BigEndian.Uint64(raw[1:])), First: store.Position(binary.BigEndian.Uint64(raw[1+8:])),
	}, nil
}

// checkOf is a short hash of what a request asks for.
func checkOf(r *callnormv1.ListOutcomesRequest) []byte {
	asked := proto.CloneOf(r)
	asked.PageSize, asked.PageToken = 0, ""
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(asked)
	if err != nil {
		panic(err) // It was unmarshaled: there is nothing in it that cannot be marshaled.
	}
	sum := sha256.Sum256(text)
	return sum[:checkSize]
}
