package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/test/internal/report"
)

// trial is a service, who loads it, who reads from it, and the court that holds what was told against what is there.
type trial struct {
	*options

	service *service
	disk    *disk // nil: the data is in the directory of the service
	load    *load
	readers []*reader
	court   *court

	newest string // cursor up to which the court knows the log
	judged int    // receipts that the court has seen
}

// newTrial makes a trial whose service does not run yet. With a size the data is on a disk of its own.
func (o *options) newTrial(ctx context.Context, size int64) (_ *trial, err error) {
	t := &trial{options: o, court: newCourt()}
	if t.service, err = newService(o.binary); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.remove(ctx))
		}
	}()
	if size > 0 {
		if t.disk, err = newDisk(ctx, t.service.Dir, size); err != nil {
			return nil, err
		}
		t.service.data = filepath.Join(t.disk.root, "data")
	}
	if t.load, err = o.newLoad(t.service, o.senders); err != nil {
		return nil, err
	}
	for range o.readers {
		t.readers = append(t.readers, &reader{})
	}
	return t, nil
}

// remove takes all of it away.
func (t *trial) remove(ctx context.Context) error {
	if t.disk != nil {
		t.service.End() // what it has open keeps the disk
	}
	var err error
	if t.disk != nil {
		err = t.disk.remove(ctx)
	}
	return errors.Join(err, t.service.remove())
}

// under runs body while senders send and readers read, and ends both when body returns. What goes wrong with them ends body.
func (t *trial) under(ctx context.Context, body func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group sync.WaitGroup
	errs := make([]error, len(t.readers)+2)
	fail := func(i int, err error) {
		if errs[i] = err; err != nil {
			stop(err)
		}
	}
	group.Go(func() { fail(0, t.load.run(ctx)) })
	for i, r := range t.readers {
		group.Go(func() { fail(i+1, r.run(ctx, t.service)) })
	}
	errs[len(errs)-1] = body(ctx)
	stop(nil)
	group.Wait()
	return errors.Join(errs...)
}

// cut cuts the power of the disk under the service.
func (t *trial) cut() error {
	t.service.dark.Store(true)
	return t.disk.cut()
}

// endangered is how many of the last entries are looked at closely after each fault. All others were there before it.
const endangered = 100

// judge reads what the log has beyond what the court knows, and holds against it what was told since the court sat last.
func (t *trial) judge(ctx context.Context) error {
	var last []id
	err := catchUp(ctx, t.service, t.newest, func(m message) {
		switch {
		case m.number != 0:
			t.court.extend(m.entry)
			for _, one := range m.deliveries {
				t.court.named[one] = struct{}{}
			}
			last = append(last, m.deliveries...)
		case t.newest == "":
			t.court.begin(m.entry.cursor)
		}
		t.newest = m.cursor
	})
	if errors.Is(err, errForeign) {
		t.court.refused++
		t.court.examplef("%v", err)
		return t.again(ctx)
	}
	if err != nil {
		return err
	}
	t.hear()
	client := callnormv1.NewDeliveryServiceClient(t.service.conn)
	for _, one := range last[max(0, len(last)-endangered):] {
		if _, err := client.GetDelivery(ctx, &callnormv1.GetDeliveryRequest{Name: deliveries + one.String()}); err != nil {
			t.court.orphans++
			t.court.examplef("delivery %s, of which an outcome is made: %v", one, err)
		}
	}
	return nil
}

// hear holds receipts and passages against the log.
func (t *trial) hear() {
	fresh := t.load.ledger.since(t.judged)
	t.judged += len(fresh)
	t.court.acknowledged(fresh)
	for _, r := range t.readers {
		for _, p := range r.passages {
			t.court.judge(p)
		}
		r.passages = nil
	}
}

// again reads the whole log from its beginning, and all deliveries, and holds everything against that which was ever told.
func (t *trial) again(ctx context.Context) error {
	var begin uint64
	var log []entry
	clear(t.court.named)
	err := catchUp(ctx, t.service, "", func(m message) {
		switch {
		case m.number != 0:
			log = append(log, m.entry)
			for _, one := range m.deliveries {
				t.court.named[one] = struct{}{}
			}
		case begin == 0:
			begin = m.entry.cursor
		}
		t.newest = m.cursor
	})
	if err != nil {
		return err
	}
	t.court.replace(begin, log)
	t.judged = 0
	t.hear()
	there, err := kept(ctx, t.service)
	if err != nil {
		return err
	}
	t.court.delivered(there, t.load.ledger.since(0))
	return nil
}

// finish judges everything once more, ends the service as an operator does, and has it check its files. What the court found is added
// by verdict.
func (t *trial) finish(ctx context.Context, r *report.Report, verdict func(*report.Report)) error {
	if err := t.judge(ctx); err != nil {
		return err
	}
	if err := t.again(ctx); err != nil {
		return err
	}
	t.service.disconnect()
	stopped := t.service.Stop(ctx)
	code, said, err := t.service.Run(ctx, "check", t.service.data)
	if err != nil {
		return err
	}
	panics, err := t.service.Panics()
	if err != nil {
		return err
	}
	r.Note("  revisions in the log", report.Grouped(len(t.court.log)))
	verdict(r)
	r.Checkf(stopped == nil && code == 0 && panics == 0, "  then SIGTERM, callnorm check, panics in the log", "exit codes 0 and 0, 0",
		"%s and %d, %d", report.ErrorOr(stopped, "exit codes 0"), code, panics)
	if code != 0 {
		r.Examplef("callnorm check: %s", said)
	}
	return nil
}

// size is how much room the store takes.
func (t *trial) size() (total int64, err error) {
	files, err := os.ReadDir(t.service.data)
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			return 0, err
		}
		total += info.Size()
	}
	return total, err
}
