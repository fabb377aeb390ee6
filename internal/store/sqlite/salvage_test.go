package sqlite

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	insecure "math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

// joined is a fold that says everything that was contributed, and of which outcome it speaks.
func joined(call store.Call) (store.Revision, error) {
	revision := store.Revision{Body: append([]byte{}, call.Outcome[:]...)}
	for _, c := range call.Contributions {
		revision.Body = append(append(revision.Body, '\n'), c.Body...)
	}
	keys, _, err := describeJoined(revision.Body)
	revision.Keys = keys
	return revision, err
}

func describeJoined(body []byte) (store.Keys, []string, error) {
	if len(body) < 16 {
		return store.Keys{}, nil, errors.New("too short")
	}
	id := fmt.Sprintf("%x", body[:4])
	return store.Keys{
		Provider: "provider", Source: "source", ProviderCallID: id, ExternalIDs: []store.ExternalID{{System: "s", ID: id}},
		Status: int32(body[0]), Time: time.UnixMicro(int64(body[1])).UTC(),
	}, nil, nil
}

func saysDeleted(call store.Call) (store.Revision, error) {
	return store.Revision{Body: call.Outcome[:]}, nil
}

// damaged is a store that is damaged, and what was in it.
type damaged struct {
	dir        string
	deliveries map[store.DeliveryID]store.Delivery
	removed    []store.DeliveryID
	log        map[store.Position]store.Entry
	newest     map[store.OutcomeID]store.Entry
	end        store.Cursor
}

// newDamaged fills a store with what there may be in one.
func newDamaged(t *testing.T, crash bool) damaged {
	t.Helper()
	d := damaged{
		dir: t.TempDir(), deliveries: map[store.DeliveryID]store.Delivery{}, log: map[store.Position]store.Entry{},
		newest: map[store.OutcomeID]store.Entry{},
	}
	s := mustOpen(t, d.dir, Settings{Describe: describeJoined})
	const calls, turns = 60, 4
	add := func(call, turn int) store.DeliveryID {
		noise := make([]byte, 300+insecure.IntN(9000)*(call%7)/6)
		rand.Read(noise)
		delivery := store.Delivery{
			Key: store.NewDeliveryKey("source", "POST", fmt.Sprint(call), fmt.Sprint(turn), noise), Source: "source", Body: noise,
			Header: []store.HeaderLine{{Name: "A", Value: "b"}}, ReceiveTime: time.UnixMicro(int64(turn)).UTC(),
		}
		name := fmt.Sprint("call ", call)
		if _, err := s.Append(t.Context(), delivery, []store.Contribution{
			{Outcome: outcome(name), Body: fmt.Append(nil, name, turn), Addresses: []string{name, "all"}},
		}, joined); err != nil {
			t.Fatal(err)
		}
		id := s.DeliveryID(delivery.Key)
		d.deliveries[id] = delivery
		return id
	}
	for turn := range turns {
		for call := range calls {
			id := add(call, turn)
			if call%10 == 3 {
				d.removed = append(d.removed, id)
			}
		}
	}
	for call := 3; call < calls; call += 10 {
		if _, err := s.Delete(t.Context(), outcome(fmt.Sprint("call ", call)), saysDeleted); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range d.removed {
		delete(d.deliveries, id)
	}
	for call := calls; call < calls+20; call++ {
		add(call, 0)
	}
	if _, _, err := s.CreateSubscription(t.Context(), store.Subscription{Name: "reader", Cursor: store.Cursor{Log: s.log}}, 9); err != nil {
		t.Fatal(err)
	}
	for cursor := (store.Cursor{Log: s.log}); ; {
		page, err := s.Read(t.Context(), cursor, store.Filter{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			d.log[e.Position], d.newest[e.Outcome] = e, e
		}
		if cursor = page.Next; page.End {
			d.end = cursor
			break
		}
	}
	if crash {
		// What a process that is killed leaves behind.
		dir := t.TempDir()
		copyFiles(t, d.dir, dir, "", "-wal")
		d.dir = dir
	} else if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return d
}

// copied returns a copy of the directory.
func (d *damaged) copied(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(d.dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// mustSalvage salvages, and holds that what comes back is what was there.
func (d *damaged) mustSalvage(t *testing.T, dir string) (Salvaged, *Store) {
	t.Helper()
	to := filepath.Join(t.TempDir(), "salvaged")
	named := 0
	salvaged, err := Salvage(t.Context(), dir, to, Salvaging{Describe: describeJoined, Fold: joined, Report: func(text string) {
		if named++; testing.Verbose() {
			t.Log(text)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if salvaged.Lost() && named == 0 {
		t.Errorf("%+v, and nothing was named", salvaged)
	}
	if checked, err := Check(t.Context(), to, func(err error) { t.Error(err) }); err != nil || checked != salvaged.Kept {
		t.Errorf("Check: %+v, %v, want %+v", checked, err, salvaged.Kept)
	}
	s := mustOpen(t, to, Settings{})
	for id, want := range d.deliveries {
		got, err := s.Delivery(t.Context(), id)
		if err == nil && (!bytes.Equal(got.Body, want.Body) || got.Key != want.Key || !got.ReceiveTime.Equal(want.ReceiveTime)) {
			t.Errorf("delivery %s is another", id)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("delivery %s: %v", id, err)
		}
	}
	for _, id := range d.removed {
		if _, err := s.Delivery(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("delivery %s was deleted and came back: %v", id, err)
		}
	}
	beginning, err := s.Beginning(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for cursor := beginning; ; {
		page, err := s.Read(t.Context(), cursor, store.Filter{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			want, ok := d.log[e.Position]
			if ok && (!bytes.Equal(e.Body, want.Body) || e.Outcome != want.Outcome || e.Revision != want.Revision) {
				t.Errorf("entry %d is another", e.Position)
			}
			if !ok && e.Position <= d.end.Position {
				t.Errorf("entry %d came back", e.Position)
			}
		}
		if cursor = page.Next; page.End {
			break
		}
	}
	// Who has seen nothing gets everything, or is told; who has seen all goes on.
	_, err = s.Resume(t.Context(), store.Cursor{Log: d.end.Log}, store.Filter{})
	if err == nil == (salvaged.Revisions > 0) {
		t.Errorf("with %d entries lost, a reader from the beginning is told %v", salvaged.Revisions, err)
	}
	for id, want := range d.newest {
		got, err := s.Outcome(t.Context(), id)
		switch {
		case errors.Is(err, store.ErrNotFound) && salvaged.Lost():
		case err != nil:
			t.Errorf("outcome %s: %v", id, err)
		case got.Position > d.end.Position && got.Revision <= want.Revision:
			t.Errorf("outcome %s has got revision %d anew, and had %d", id, got.Revision, want.Revision)
		case got.Revision < want.Revision && salvaged.Stale == 0:
			t.Errorf("outcome %s shows revision %d of %d", id, got.Revision, want.Revision)
		case got.Revision == want.Revision && !bytes.Equal(got.Body, want.Body):
			t.Errorf("revision %d of outcome %s is another", got.Revision, id)
		}
	}
	return salvaged, s
}

func TestSalvageOfWhatIsIntactLosesNothing(t *testing.T) {
	t.Parallel()
	for name, crash := range map[string]bool{"closed": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDamaged(t, crash)
			salvaged, s := d.mustSalvage(t, d.dir)
			if salvaged.Lost() || int(salvaged.Kept.Deliveries) != len(d.deliveries) {
				t.Errorf("%+v, want %d deliveries", salvaged, len(d.deliveries))
			}
			for id, delivery := range d.deliveries {
				if s.DeliveryID(delivery.Key) != id {
					t.Fatal("deliveries have other ids")
				}
			}
			if _, err := s.Resume(t.Context(), d.end, store.Filter{}); err != nil {
				t.Errorf("the last cursor: %v", err)
			}
			if page, err := s.List(t.Context(), store.ListFilter{Address: "all"}, store.Place{}, 100); err != nil || len(page.Entries) != 74 {
				t.Errorf("%d outcomes are found by an address: %v", len(page.Entries), err)
			}
			if kept, err := s.Subscription(t.Context(), "reader"); err != nil || kept.Generation != 1 {
				t.Errorf("the subscription: %+v, %v", kept, err)
			}
		})
	}
}

// flip changes one byte of a file.
func flip(t *testing.T, file string, at int64) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	b[0] ^= 1 << (at % 8)
	_, writeErr := f.WriteAt(b, at)
	if err := errors.Join(err, writeErr, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func zero(t *testing.T, file string, at, size int64) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(make([]byte, size), at)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestSalvage damages one file in one way at a time, all over it.
func TestSalvage(t *testing.T) {
	t.Parallel()
	closed, killed := newDamaged(t, false), newDamaged(t, true)
	pages := func(d damaged, suffix string) int64 {
		info, err := os.Stat(filepath.Join(d.dir, databaseFile+suffix))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size() / usualPage
	}
	const rounds = 12
	for name, test := range map[string]struct {
		of     *damaged
		damage func(t *testing.T, file string, round int64)
		// most is how many rows of a kind may be lost at most.
		most int64
	}{
		"a byte": {&closed, func(t *testing.T, file string, round int64) {
			t.Helper()
			flip(t, file, round*pages(closed, "")*usualPage/rounds+round*37%usualPage)
		}, 60},
		"a page": {&closed, func(t *testing.T, file string, round int64) {
			t.Helper()
			zero(t, file, round*pages(closed, "")/rounds*usualPage, usualPage)
		}, 60},
		"the end": {&closed, func(t *testing.T, file string, round int64) {
			t.Helper()
			if err := os.Truncate(file, (round+1)*pages(closed, "")*usualPage/(rounds+1)+round); err != nil {
				t.Fatal(err)
			}
		}, 2000},
		"a byte of the journal": {&killed, func(t *testing.T, file string, round int64) {
			t.Helper()
			flip(t, file+"-wal", round*pages(killed, "-wal")*usualPage/rounds+round*37%usualPage)
		}, 40},
	} {
		for round := range int64(rounds) {
			t.Run(fmt.Sprint(name, "/", round), func(t *testing.T) {
				t.Parallel()
				dir := test.of.copied(t)
				test.damage(t, filepath.Join(dir, databaseFile), round)
				salvaged, _ := test.of.mustSalvage(t, dir)
				if lost := int64(len(test.of.deliveries)) - salvaged.Kept.Deliveries; lost > test.most || salvaged.Revisions > test.most ||
					salvaged.Kept.Outcomes+test.most/20 < int64(len(test.of.newest)) {
					t.Errorf("%d deliveries are lost, and %+v", lost, salvaged)
				}
			})
		}
	}
}

func TestSalvageRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, Settings{})
	mustKeep(t, s, "a")
	if _, err := Salvage(t.Context(), dir, filepath.Join(t.TempDir(), "new"), Salvaging{}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("a store in use: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Salvage(t.Context(), dir, dir, Salvaging{}); err == nil {
		t.Error("the same directory is taken")
	}
	if _, err := Salvage(t.Context(), t.TempDir(), filepath.Join(t.TempDir(), "new"), Salvaging{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory without a store: %v", err)
	}
	nothing := t.TempDir()
	if err := os.WriteFile(filepath.Join(nothing, databaseFile), bytes.Repeat([]byte("nothing "), 10000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Salvage(t.Context(), nothing, filepath.Join(t.TempDir(), "new"), Salvaging{}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a file of which nothing is intact: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	parent := t.TempDir()
	if _, err := Salvage(ended, dir, filepath.Join(parent, "new"), Salvaging{}); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestSalvageHeedsTheMark salvages a store whose journal was deleted: readers of what was in it are told.
func TestSalvageHeedsTheMark(t *testing.T) {
	t.Parallel()
	running, left := t.TempDir(), t.TempDir()
	s := mustOpen(t, running, Settings{})
	const kept, lost = 5, 3
	for i := range kept {
		mustKeep(t, s, fmt.Sprint(i))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, running, Settings{})
	for i := range lost {
		mustKeep(t, s, fmt.Sprint("lost ", i))
	}
	copyFiles(t, running, left, "")
	mark, err := os.ReadFile(filepath.Join(running, markFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, markFile), mark, 0o600); err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(t.TempDir(), "made")
	if salvaged, err := Salvage(t.Context(), left, made, Salvaging{Sources: []string{"a source"}}); err != nil || salvaged.Revisions != lost {
		t.Fatalf("Salvage: %+v, %v", salvaged, err)
	}
	cursors := readLog(t, s)
	again := mustOpen(t, made, Settings{})
	for _, cursor := range cursors[:len(cursors)-1] {
		want := store.ErrCursorExpired
		if cursor.Position > kept {
			want = store.ErrCursorForeign // Nobody knows any more what stood there.
		}
		if _, err := again.Resume(t.Context(), cursor, store.Filter{}); !errors.Is(err, want) {
			t.Errorf("Resume after position %d: %v", cursor.Position, err)
		}
	}
	if head, err := again.Head(t.Context()); err != nil || head.Position != kept+lost {
		t.Errorf("Head: %+v, %v", head, err)
	}
}
