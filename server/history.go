package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/change"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/protobuf/proto"
)

const (
	defaultRevisions = 20
	// revisionChunk bounds how many revisions are read from the store at a time. One may be as large as 1 MiB.
	revisionChunk = 8
)

var errNoRevision = errors.New("the outcome has no such revision, or it is not kept any more")

// ListOutcomeRevisions goes back from the newest revision, reading each together with the one before it.
func (s *outcomeService) ListOutcomeRevisions(
	ctx context.Context, r *callnormv1.ListOutcomeRevisionsRequest,
) (*callnormv1.ListOutcomeRevisionsResponse, error) {
	id, err := outcomeID(r.GetName())
	if err != nil {
		return nil, err
	}
	before, err := parsePageToken(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	if before > math.MaxInt32 {
		return nil, errPageToken
	}
	response := &callnormv1.ListOutcomeRevisionsResponse{}
	size := 0
	for left := cmp.Or(int(r.GetPageSize()), defaultRevisions); left > 0; {
		limit := min(left, revisionChunk)
		entries, err := s.store.Revisions(ctx, id, int32(before), limit+1)
		if err != nil {
			return nil, fmt.Errorf("revisions: %w", err)
		}
		for i := range entries[:min(limit, len(entries))] {
			revision, err := revisionOf(entries[i:])
			if err != nil {
				return nil, err
			}
			if size += proto.Size(revision) + outcomeOverhead; size > maxPageBytes && len(response.GetRevisions()) > 0 {
				response.NextPageToken = pageToken(before)
				return response, nil
			}
			response.Revisions = append(response.Revisions, revision)
			before = int64(entries[i].Revision)
		}
		if len(entries) <= limit {
			return response, nil
		}
		left -= limit
	}
	response.NextPageToken = pageToken(before)
	return response, nil
}

// revisionOf shows the first of some revisions, with what it changed in the second one, if that is the one before.
func revisionOf(entries []store.Entry) (*callnormv1.OutcomeRevision, error) {
	outcome, err := decode(entries[0])
	if err != nil {
		return nil, err
	}
	revision := &callnormv1.OutcomeRevision{Outcome: outcome}
	if len(entries) > 1 && entries[1].Revision == entries[0].Revision-1 {
		before, err := decode(entries[1])
		if err != nil {
			return nil, err
		}
		revision.Changes = changesOf(before, outcome)
	}
	return revision, nil
}

// CompareOutcomeRevisions tells what changed between two revisions, in the direction in which they are named.
func (s *outcomeService) CompareOutcomeRevisions(
	ctx context.Context, r *callnormv1.CompareOutcomeRevisionsRequest,
) (*callnormv1.CompareOutcomeRevisionsResponse, error) {
	id, err := outcomeID(r.GetName())
	if err != nil {
		return nil, err
	}
	newest, err := s.store.Outcome(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("outcome: %w", err)
	}
	base, err := s.revision(ctx, newest, r.GetBaseRevision())
	if err != nil {
		return nil, err
	}
	other, err := s.revision(ctx, newest, cmp.Or(r.GetRevision(), newest.Revision))
	if err != nil {
		return nil, err
	}
	return &callnormv1.CompareOutcomeRevisionsResponse{
		Changes: changesOf(base, other), Revision: other.GetRevision(),
	}, nil
}

// revision returns one revision of the outcome whose newest one is known.
func (s *outcomeService) revision(ctx context.Context, newest store.Entry, number int32) (*callnormv1.CallOutcome, error) {
	switch {
	case number == newest.Revision:
		return decode(newest)
	case number > newest.Revision:
		return nil, fmt.Errorf("%w: revision %d; the newest is %d", errNoRevision, number, newest.Revision)
	}
	entries, err := s.store.Revisions(ctx, newest.Outcome, number+1, 1)
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("revisions: %w", err)
	case len(entries) == 0 || entries[0].Revision != number:
		return nil, fmt.Errorf("%w: revision %d", errNoRevision, number)
	}
	return decode(entries[0])
}

// changesOf shows what changed, apart from what changes with every revision.
func changesOf(before, after *callnormv1.CallOutcome) []*callnormv1.FieldChange {
	var changes []*callnormv1.FieldChange
	for _, c := range change.Between(before, after, change.Bookkeeping...) {
		changes = append(changes, &callnormv1.FieldChange{Path: c.Path, BeforeJson: c.Before, AfterJson: c.After})
	}
	return changes
}
