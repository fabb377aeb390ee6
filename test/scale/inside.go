package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/test/internal/fill"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// measureInside measures the store and the intake without server and sockets, for profiles.
func (o *options) measureInside(ctx context.Context, both [sides]*fill.Directory, r *table, progress io.Writer) (err error) {
	var measured [sides]*side
	for i, f := range both {
		k, err := fill.Open(ctx, f.Path)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, k.Close()) }()
		measured[i] = &side{Directory: f}
		for range crowd {
			measured[i].connections = append(measured[i].connections, inside{k})
		}
	}
	if o.profile != "" {
		file, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	return o.compare(ctx, measured, r, progress)
}

// inside is a store of this process.
type inside struct{ *fill.Kept }

func (k inside) get(ctx context.Context, request *callnormv1.GetOutcomeRequest) error {
	if id := request.GetProviderCallId(); id != "" {
		found, err := k.Store.Lookup(ctx, store.Query{ProviderCallID: id}, 2)
		if err == nil && len(found) != 1 {
			err = fmt.Errorf("%w: %d outcomes", errUnexpected, len(found))
		}
		return err
	}
	id, err := store.ParseOutcomeID(request.GetName()[len(outcomePrefix):])
	if err != nil {
		return err
	}
	_, err = k.Store.Outcome(ctx, id)
	return err
}

const outcomePrefix = "outcomes/"

// pageSize is how many outcomes a page has that nobody asked another size for.
const pageSize = 100

func (k inside) page(ctx context.Context, request *callnormv1.ListOutcomesRequest) (store.ListPage, error) {
	f := request.GetFilter()
	filter := store.ListFilter{
		Filter: store.Filter{Sources: f.GetSources()}, Address: request.GetAddress(), ProviderCallID: request.GetProviderCallId(),
		Begin: timeOf(request.GetBeginTime()), End: timeOf(request.GetEndTime()),
	}
	if f != nil {
		filter.DoNotCall = f.DoNotCall
	}
	for _, status := range f.GetStatuses() {
		filter.Statuses = append(filter.Statuses, int32(status))
	}
	for _, disposition := range f.GetDispositions() {
		filter.Dispositions = append(filter.Dispositions, int32(disposition))
	}
	var after store.Place
	if token := request.GetPageToken(); token != "" {
		if _, err := fmt.Sscan(token, &after.Time, &after.First); err != nil {
			return store.ListPage{}, err
		}
	}
	return k.Store.List(ctx, filter, after, pageSize)
}

func (k inside) list(ctx context.Context, request *callnormv1.ListOutcomesRequest) error {
	page, err := k.page(ctx, request)
	if err == nil && len(page.Entries) == 0 {
		err = errEmpty
	}
	return err
}

func (k inside) next(ctx context.Context, request *callnormv1.ListOutcomesRequest) (string, error) {
	page, err := k.page(ctx, request)
	return fmt.Sprint(page.Next.Time, " ", page.Next.First), err
}

func (k inside) post(ctx context.Context, w fill.Webhook) error {
	_, err := k.Deliver(ctx, w)
	return err
}

func timeOf(at *timestamppb.Timestamp) time.Time {
	if at == nil {
		return time.Time{}
	}
	return at.AsTime()
}
