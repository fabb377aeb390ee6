package server

import (
	"context"
	"errors"
	"testing"

	"github.com/callnorm/callnorm/internal/store"
)

func TestTurns(t *testing.T) {
	t.Parallel()
	var turns turns
	first, firstDone := turns.begin(t.Context(), "a")
	other, otherDone := turns.begin(t.Context(), "b")
	second, secondDone := turns.begin(t.Context(), "a")
	if !errors.Is(context.Cause(first), errTakenOver) || second.Err() != nil || other.Err() != nil {
		t.Errorf("first: %v, second: %v, other: %v", context.Cause(first), second.Err(), other.Err())
	}
	firstDone()
	if !turns.active("a") {
		t.Error("the first has ended the turn of the second")
	}
	reset := errors.New("reset")
	turns.end("a", reset)
	if !errors.Is(context.Cause(second), reset) || turns.active("a") || !turns.active("b") {
		t.Errorf("second: %v", context.Cause(second))
	}
	secondDone()
	otherDone()
	if turns.active("b") {
		t.Error("still active")
	}
	turns.end("a", reset)
}

func TestAcknowledgementsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	written := acknowledgement{store.Cursor{Log: [8]byte{1, 2}, Position: 1 << 40, Check: 7, Trims: 3}, 1 << 50, 1 << 33, "crm-2"}
	read, err := parseAcknowledgement(written.String())
	if err != nil || read != written {
		t.Errorf("%v: %v, want %v", err, read, written)
	}
	cursor := written.cursor.String()
	for _, text := range []string{"", "x", cursor, cursor + ".0.0", "x.0.0.crm", cursor + ".?.0.crm", cursor + ".0.?.crm", written.String() + ".x"} {
		if read, err := parseAcknowledgement(text); !errors.Is(err, errAcknowledgement) {
			t.Errorf("%q: %v, %v", text, read, err)
		}
	}
}
