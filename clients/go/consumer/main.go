// Command consumer keeps a table of calls that is always what callnorm knows, whatever ends when: this program, the server, or the
// connection between them. It writes what it made of the outcomes and the cursor behind them in one transaction, so that neither is
// ever ahead of the other.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	_ "modernc.org/sqlite"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9090", "address of the server")
	file := flag.String("db", "calls.db", "database to keep the calls in")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *addr, *file)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr, file string) error {
	// Others may read the table at any time.
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, `
		CREATE TABLE IF NOT EXISTS calls (name TEXT PRIMARY KEY, revision INTEGER, provider TEXT, call_id TEXT, status TEXT, final BOOLEAN);
		CREATE TABLE IF NOT EXISTS position (id INTEGER PRIMARY KEY CHECK (id = 1), cursor TEXT);
		INSERT OR IGNORE INTO position VALUES (1, '')`); err != nil {
		return err
	}
	// Outside loopback: credentials.NewTLS, and grpc.WithPerRPCCredentials with the reader's token.
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	client := callnormv1.NewOutcomeServiceClient(conn)
	for wait := time.Second; ; {
		progress, err := follow(ctx, client, db)
		if progress {
			wait = time.Second
		}
		switch status.Code(err) {
		case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.ResourceExhausted:
			log.Printf("coming back in %s: %v", wait, err) // with the cursor that is in the database
		case codes.OutOfRange:
			// Retention has passed us by. What is between is gone: say so to somebody, and go on with what is kept.
			log.Printf("outcomes were missed: %v", err)
			if err := move(ctx, db, oldestCursor(err)); err != nil {
				return err
			}
			continue
		default:
			// FAILED_PRECONDITION is a server with another log, such as an older backup: what we have may be more than it knows.
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
			wait = min(2*wait, time.Minute)
		}
	}
}

// follow reads until something ends, and tells whether it came further.
func follow(ctx context.Context, client callnormv1.OutcomeServiceClient, db *sql.DB) (progress bool, err error) {
	ctx, cancel := context.WithCancel(ctx) // ends the stream when we return
	defer cancel()
	request := &callnormv1.StreamOutcomesRequest{}
	var cursor string
	if err := db.QueryRowContext(ctx, "SELECT cursor FROM position").Scan(&cursor); err != nil {
		return false, err
	}
	if cursor != "" {
		request.Start = &callnormv1.StreamOutcomesRequest_After{After: cursor}
	}
	stream, err := client.StreamOutcomes(ctx, request)
	if err != nil {
		return false, err
	}
	for {
		// A transaction for many outcomes: up to 500, or until there are no more at the moment.
		done, err := batch(ctx, db, stream, 500)
		progress = progress || done
		if err != nil {
			return progress, err
		}
	}
}

func batch(
	ctx context.Context, db *sql.DB, stream grpc.ServerStreamingClient[callnormv1.StreamOutcomesResponse], most int,
) (progress bool, err error) {
	message, err := stream.Recv() // before the transaction, which should not wait for the next call
	if err != nil {
		return false, err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	for range most {
		if outcome := message.GetOutcome(); outcome != nil { // heartbeats have none, and a cursor all the same
			if err := apply(ctx, tx, outcome); err != nil {
				return false, err
			}
		}
		if message.GetCaughtUp() {
			break
		}
		next, err := stream.Recv()
		if err != nil {
			break // What was read so far is kept; the error comes again with the next batch.
		}
		message = next
	}
	if _, err := tx.ExecContext(ctx, "UPDATE position SET cursor = ?", message.GetCursor()); err != nil {
		return false, err
	}
	if err := tx.Commit(); err != nil {
		return false, err
	}
	if message.GetCaughtUp() {
		fmt.Println("caught up at", message.GetCursor())
	}
	return true, nil
}

// apply takes a revision over. A higher one replaces a lower one as a whole; one that is there already changes nothing.
func apply(ctx context.Context, tx *sql.Tx, outcome *callnormv1.CallOutcome) error {
	if outcome.GetRevisionCause() == callnormv1.RevisionCause_REVISION_CAUSE_DELETED {
		_, err := tx.ExecContext(ctx, "DELETE FROM calls WHERE name = ?", outcome.GetName())
		return err
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET revision = excluded.revision,
			provider = excluded.provider, call_id = excluded.call_id, status = excluded.status, final = excluded.final
		WHERE excluded.revision > revision`,
		outcome.GetName(), outcome.GetRevision(), outcome.GetProvider(), outcome.GetProviderCallId(), outcome.GetStatus().String(),
		outcome.GetCompleteness() == callnormv1.Completeness_COMPLETENESS_FINAL)
	return err
}

// oldestCursor is where what is kept begins.
func oldestCursor(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetMetadata()["oldest_cursor"]
		}
	}
	return ""
}

func move(ctx context.Context, db *sql.DB, cursor string) error {
	if cursor == "" {
		return errors.New("the server does not tell where what is kept begins")
	}
	_, err := db.ExecContext(ctx, "UPDATE position SET cursor = ?", cursor)
	return err
}
