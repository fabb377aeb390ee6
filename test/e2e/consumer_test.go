package e2e_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	_ "modernc.org/sqlite"
)

// consumer is a running clients/go/consumer, the subscriber that docs/consuming.md shows.
type consumer struct {
	command *exec.Cmd
	said    *journal
}

func (s *service) consume(t *testing.T, binary, db string) *consumer {
	t.Helper()
	c := &consumer{command: exec.CommandContext(context.Background(), binary, "-addr", s.addr, "-db", db), said: newJournal()}
	c.command.Stdout, c.command.Stderr = c.said, c.said
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.kill() })
	return c
}

func (c *consumer) kill() {
	_ = c.command.Process.Kill() // It may have ended.
	_ = c.command.Wait()
}

// calls reads what a consumer has made of the outcomes.
func calls(t *testing.T, file string) map[string]int32 {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(t.Context(), "SELECT name, revision FROM calls")
	if err != nil {
		return nil // It has not begun.
	}
	defer func() { _ = rows.Close() }()
	have := map[string]int32{}
	for rows.Next() {
		var name string
		var revision int32
		if err := rows.Scan(&name, &revision); err != nil {
			t.Fatal(err)
		}
		have[name] = revision
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return have
}

// TestTheSubscriberOfThePageLosesNothing kills it, and the server, while calls come in, change and are deleted.
func TestTheSubscriberOfThePageLosesNothing(t *testing.T) {
	binary := filepath.Join(scratch, "consumer")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../clients/go/consumer").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	dir, db := t.TempDir(), filepath.Join(t.TempDir(), "calls.db")
	s := serve(t, "--data-dir", dir)
	c := s.consume(t, binary, db)
	want := map[string]int32{}
	post := func(n int, words string) {
		t.Helper()
		body := fmt.Sprintf(`{"call":{"call_id":"call-%d","status":"completed","transcript":"human: %s"}}`, n, words)
		for _, outcome := range s.post(t, "synthflow", []byte(body)).GetOutcomes() {
			want[outcome.GetName()] = outcome.GetRevision()
		}
	}
	for round := range 4 {
		for n := range 30 {
			post(30*round+n, "first")
			post(n, fmt.Sprint("round ", round))
		}
		switch round {
		case 0:
			c.kill()
			c = s.consume(t, binary, db)
		case 1:
			c.kill()
			s.kill(t)
			s = serve(t, "--data-dir", dir)
			c = s.consume(t, binary, db)
		case 2:
			answer := &callnormv1.DeleteCallResponse{}
			s.request(t, "POST", "/v1/calls:delete", []byte(`{"providerCallId":"call-3"}`), answer)
			delete(want, answer.GetName())
		}
	}
	// Whenever it has caught up, also with each heartbeat, it may be with all of this.
	for range 300 {
		s.await(t, c.said, "caught up")
		if maps.Equal(calls(t, db), want) {
			return
		}
	}
	t.Errorf("it has %d calls, want %d\n%s", len(calls(t, db)), len(want), c.said)
}
