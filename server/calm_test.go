package server

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestALogSaysTheSameOnlySoOften(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	now := time.Unix(0, 0)
	log := newCalm(slog.New(slog.NewTextHandler(&text, nil)), func() time.Time { return now }).With("a", 1).WithGroup("g")
	for range 1000 {
		log.Warn("refused")
	}
	log.Warn("another")
	if lines := strings.Count(text.String(), "\n"); lines != linesAtOnce+1 {
		t.Errorf("%d lines", lines)
	}
	now = now.Add(time.Second)
	text.Reset()
	log.Warn("refused")
	log.Warn("refused")
	if got := text.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "unsaid=980") {
		t.Errorf("%s", got)
	}
}
