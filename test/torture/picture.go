package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// fingerprint is what a message says, to the last bit.
type fingerprint [sha256.Size]byte

func fingerprintOf(m proto.Message) fingerprint {
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err) // it came over the wire
	}
	return sha256.Sum256(text)
}

// logged is one revision in the log, with the cursor behind it.
type logged struct {
	name     string
	revision int32
	says     fingerprint
	cursor   string
	position store.Position
}

// picture is everything that the API tells of a store.
type picture struct {
	deliveries map[string]fingerprint
	listed     map[string]fingerprint
	newest     map[string]fingerprint
	revisions  map[string]int32 // the newest of each outcome
	log        []logged
	places     map[string]int // in the log, by name and revision
}

func place(name string, revision int32) string { return fmt.Sprintf("%s r%d", name, revision) }

// takePicture reads everything of a store that is well.
func takePicture(ctx context.Context, a *api) (*picture, error) {
	p := &picture{
		deliveries: map[string]fingerprint{}, newest: map[string]fingerprint{}, revisions: map[string]int32{}, places: map[string]int{},
	}
	var err error
	if p.listed, err = a.list(ctx); err != nil {
		return nil, err
	}
	for name := range p.listed {
		if p.deliveries[name], err = a.delivery(ctx, name); err != nil {
			return nil, err
		}
	}
	if p.log, err = a.follow(ctx, ""); err != nil {
		return nil, err
	}
	for i, e := range p.log {
		p.places[place(e.name, e.revision)] = i
		p.revisions[e.name] = e.revision
	}
	for name := range p.revisions {
		if _, p.newest[name], err = a.outcome(ctx, name); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (a *api) delivery(ctx context.Context, name string) (fingerprint, error) {
	response, err := a.deliveries.GetDelivery(ctx, &callnormv1.GetDeliveryRequest{Name: name})
	if err != nil {
		return fingerprint{}, err
	}
	return fingerprintOf(response.GetDelivery()), nil
}

func (a *api) outcome(ctx context.Context, name string) (int32, fingerprint, error) {
	response, err := a.outcomes.GetOutcome(ctx, &callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_Name{Name: name}})
	if err != nil {
		return 0, fingerprint{}, err
	}
	return response.GetOutcome().GetRevision(), fingerprintOf(response.GetOutcome()), nil
}

// list lists all deliveries. What came before an error comes with it.
func (a *api) list(ctx context.Context) (map[string]fingerprint, error) {
	found := map[string]fingerprint{}
	for token := ""; ; {
		response, err := a.deliveries.ListDeliveries(ctx, &callnormv1.ListDeliveriesRequest{PageSize: 500, PageToken: token})
		if err != nil {
			return found, err
		}
		for _, delivery := range response.GetDeliveries() {
			found[delivery.GetName()] = fingerprintOf(delivery)
		}
		if token = response.GetNextPageToken(); token == "" {
			return found, nil
		}
	}
}

// follow reads the log to its end, from its beginning or a cursor. What came before an error comes with it.
func (a *api) follow(ctx context.Context, after string) (log []logged, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request := &callnormv1.StreamOutcomesRequest{}
	if after != "" {
		request.Start = &callnormv1.StreamOutcomesRequest_After{After: after}
	}
	stream, err := a.outcomes.StreamOutcomes(ctx, request)
	if err != nil {
		return nil, err
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			err = status.Error(codes.Unavailable, "the stream ended")
		}
		if err != nil {
			return log, err
		}
		if o := m.GetOutcome(); o != nil {
			cursor, err := store.ParseCursor(m.GetCursor())
			if err != nil {
				return log, err
			}
			log = append(log, logged{o.GetName(), o.GetRevision(), fingerprintOf(o), m.GetCursor(), cursor.Position})
		}
		if m.GetCaughtUp() {
			return log, nil
		}
	}
}

// judge holds what is answered against the truth.
type judge struct {
	truth *picture
	// salvaged tells that what is lost may be missing, and that outcomes may have newer revisions. told tells that it was said that the
	// end is missing: what is kept may be of an older time.
	salvaged, told bool

	// wrong lists answers that are not what was written, missing what is said not to be there, refused what is answered with a reason.
	wrong, missing, refused []string
	// short tells that the log ends before its end, and takes a cursor of its end.
	short bool
}

var errNoReason = errors.New("an answer without a reason")

// answered takes an error, and tells whether there was none. One that says nothing is what nobody may get.
func (j *judge) answered(what string, err error) (bool, error) {
	switch status.Code(err) {
	case codes.OK:
		return true, nil
	case codes.NotFound:
		j.missing = append(j.missing, what)
	case codes.DataLoss, codes.FailedPrecondition, codes.OutOfRange, codes.Unavailable, codes.Internal:
		if status.Code(err) == codes.Unavailable && len(status.Convert(err).Details()) == 0 {
			return false, fmt.Errorf("%s: %w", what, err) // the process is gone
		}
		j.refused = append(j.refused, fmt.Sprintf("%s: %v", what, err))
	default:
		return false, fmt.Errorf("%w: %s: %w", errNoReason, what, err)
	}
	return false, nil
}

// same compares an answer with the truth.
func (j *judge) same(what string, known bool, want, got fingerprint) {
	switch {
	case !known:
		j.wrong = append(j.wrong, what+" was not there")
	case want != got:
		j.wrong = append(j.wrong, what+" is another")
	}
}

// all asks for everything.
func (j *judge) all(ctx context.Context, a *api) error {
	for name, want := range j.truth.deliveries {
		got, err := a.delivery(ctx, name)
		ok, err := j.answered(name, err)
		if err != nil {
			return err
		}
		if ok {
			j.same(name, true, want, got)
		}
	}
	for name, want := range j.truth.newest {
		revision, got, err := a.outcome(ctx, name)
		ok, err := j.answered(name, err)
		if err != nil {
			return err
		}
		if ok {
			j.outcome(name, revision, want, got)
		}
	}
	listed, err := a.list(ctx)
	if _, err := j.answered("the list of deliveries", err); err != nil {
		return err
	}
	for name, got := range listed {
		want, known := j.truth.listed[name]
		j.same(name+" in the list", known, want, got)
	}
	if err == nil && !j.salvaged {
		for name := range j.truth.listed {
			if _, ok := listed[name]; !ok {
				j.missing = append(j.missing, name+" in the list")
			}
		}
	}
	if err := j.logs(ctx, a); err != nil {
		return err
	}
	_, err = a.subscriptions.GetSubscription(ctx, &callnormv1.GetSubscriptionRequest{Name: "subscriptions/reader"})
	_, err = j.answered("the subscription", err)
	return err
}

// outcome judges the newest revision of an outcome.
func (j *judge) outcome(name string, revision int32, want, got fingerprint) {
	newest := j.truth.revisions[name]
	switch {
	case revision == newest:
		j.same(name, true, want, got)
	case revision > newest && j.salvaged:
		// It was made anew.
		j.missing = append(j.missing, place(name, newest))
	case revision < newest && (j.salvaged || j.told):
		j.missing = append(j.missing, place(name, newest))
		at, known := j.truth.places[place(name, revision)]
		if known {
			want = j.truth.log[at].says
		}
		j.same(place(name, revision), known, want, got)
	default:
		j.wrong = append(j.wrong, fmt.Sprintf("%s is at revision %d and not at %d", name, revision, newest))
	}
}

// logs follows the log from its beginning, and from cursors that were handed out.
func (j *judge) logs(ctx context.Context, a *api) error {
	all := j.truth.log
	got, err := a.follow(ctx, "")
	whole, err := j.answered("the log", err)
	if err != nil {
		return err
	}
	end := j.entries("the log", all, got, whole)
	for _, at := range []int{len(all) / 2, len(all) - 1} {
		got, err := a.follow(ctx, all[at].cursor)
		accepted, err := j.resumed(err)
		if err != nil {
			return err
		}
		if whole && accepted && end <= at && !j.salvaged {
			j.short = true
		}
		what := fmt.Sprintf("the log after entry %d", at)
		if before := len(j.missing); j.entries(what, all[at+1:], got, accepted) >= 0 && j.salvaged && len(j.missing) > before {
			// Who comes back gets all that follows, or is told.
			j.wrong = append(j.wrong, what+" leaves something out")
		}
	}
	return nil
}

// resumed takes the error of a stream that goes on after a cursor, which may well be refused.
func (j *judge) resumed(err error) (bool, error) {
	before := len(j.refused)
	ok, err := j.answered("a cursor", err)
	if j.salvaged {
		j.refused = j.refused[:before]
	}
	return ok, err
}

// entries compares a piece of the log with what it was. It returns how far it came.
func (j *judge) entries(what string, want, got []logged, whole bool) int {
	at := 0
	for _, e := range got {
		if j.salvaged && e.position > j.truth.log[len(j.truth.log)-1].position && j.truth.revisions[e.name] > 0 {
			continue // It was made anew, behind the end. What it came to is seen in the newest.
		}
		next := at + slices.IndexFunc(want[at:], func(w logged) bool { return w.name == e.name && w.revision == e.revision })
		if next < at {
			j.wrong = append(j.wrong, fmt.Sprintf("%s has %s, which was not there", what, place(e.name, e.revision)))
			continue
		}
		if next > at {
			if !j.salvaged {
				j.wrong = append(j.wrong, fmt.Sprintf("%s leaves %s out", what, place(want[at].name, want[at].revision)))
			}
			for _, left := range want[at:next] {
				j.missing = append(j.missing, place(left.name, left.revision))
			}
		}
		j.same(what+": "+place(e.name, e.revision), true, want[next].says, e.says)
		at = next + 1
	}
	if whole {
		for _, left := range want[at:] {
			j.missing = append(j.missing, place(left.name, left.revision))
		}
	}
	return at
}
