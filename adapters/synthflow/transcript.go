package synthflow

import (
	"strings"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// longestSpeaker is the length of the longest of the speakers, with some blanks around it.
const longestSpeaker = 16

// transcript divides the text into turns at lines that begin with a speaker. What a line says may itself hold colons and
// brackets; a line without a speaker goes on with the turn before it.
func (p *report) transcript() *callnormv1.Transcript {
	text := strings.TrimSpace(p.call.transcript)
	t := &callnormv1.Transcript{Source: p.callPrefix + "transcript", Turns: p.call.turns}
	if text == "" {
		if len(t.GetTurns()) == 0 {
			return nil
		}
		return t
	}
	const usual = 32
	expected := min(usual, 1+strings.Count(text, "\n"))
	turns := wire.RoomFor[callnormv1.TranscriptTurn](expected)
	t.Turns = make([]*callnormv1.TranscriptTurn, 0, expected)
	var turn *callnormv1.TranscriptTurn
	var lines []string // of the turn
	begin := func(next *callnormv1.TranscriptTurn) {
		if turn != nil {
			turn.Text = strings.Join(lines, "\n")
			t.Turns = append(t.Turns, turn)
		}
		turn, lines = next, lines[:0]
	}
	for line := range strings.SplitSeq(text, "\n") {
		if prefix, said, ok := strings.Cut(line, ":"); ok && len(prefix) <= longestSpeaker {
			prefix = strings.TrimSpace(prefix)
			if role, _, known := speakers.Known(prefix); known {
				begin(turns.New())
				turn.Role, turn.RoleRaw = role, prefix
				line = said
			}
		}
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if turn == nil {
			begin(turns.New())
		}
		lines = append(lines, line)
	}
	begin(nil)
	return t
}

// readTurns reads a transcript that is a list of turns. What has no text is no turn, and is kept.
func readTurns(r *wire.Reader) []*callnormv1.TranscriptTurn {
	var turns []*callnormv1.TranscriptTurn
	warned := false // of one role that is not known; a long call would tell of it a hundred times
	for range r.Elements() {
		if r.Kind() != '{' {
			continue
		}
		turn, path, text := &callnormv1.TranscriptTurn{}, r.Path(), ""
		for name := range r.Members() {
			switch name {
			case "role":
				turn.RoleRaw = strings.TrimSpace(r.Word())
			case "content":
				turn.Text = strings.TrimSpace(r.Text())
			case "text":
				text = strings.TrimSpace(r.Text())
			}
		}
		switch {
		case turn.GetText() == "":
			turn.Text = text
		case text != "" && text != turn.GetText():
			r.Notes().UnmappedText(path+".text", text)
		}
		if turn.GetText() == "" {
			if turn.GetRoleRaw() != "" {
				r.Notes().UnmappedText(path+".role", turn.GetRoleRaw())
			}
			continue
		}
		role, _, known := speakers.Known(turn.GetRoleRaw())
		if !known && turn.GetRoleRaw() != "" {
			role = speakers.Other
			if !warned {
				r.Notes().Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, path+".role", "the word is not known to this version")
			}
			warned = true
		}
		turn.Role = role
		turns = append(turns, turn)
	}
	return turns
}
