package bland

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// line is an entry of `transcripts`, which the agent heard and said while the call went on. It has no end.
type line struct {
	id      string
	speaker word
	text    string
	at      *timestamppb.Timestamp
}

// segment is an entry of a transcript that is made from the recording. Its times are seconds from where the transcript begins.
type segment struct {
	path           string
	label, speaker string
	text           string
	start, end     measure
	confidence     *float64
}

func (p *payload) readLines(r *wire.Reader) {
	for range r.Elements() {
		if r.Kind() != '{' {
			continue
		}
		var l line
		for name := range r.Members() {
			switch name {
			case "user":
				l.speaker = readWord(r)
			case "text":
				l.text = strings.TrimSpace(r.Text())
			case "created_at":
				l.at = r.Time(false)
			case "id":
				l.id = r.Text()
			case "c_id": // the call's, told again
				r.Skip()
			}
		}
		p.lines = append(wire.Roomy(p.lines), l)
	}
}

func (p *payload) readSegments(r *wire.Reader) []segment {
	var segments []segment
	for range r.Elements() {
		if r.Kind() != '{' {
			continue
		}
		s := segment{path: r.Path()}
		for name := range r.Members() {
			switch name {
			case "speaker_label":
				s.label = r.Word()
			case "speaker":
				s.speaker = r.Word()
			case "text":
				s.text = strings.TrimSpace(r.Text())
			case "start":
				s.start = readMeasure(r, time.Second)
			case "end":
				s.end = readMeasure(r, time.Second)
			case "confidence":
				s.confidence = readGrade(r)
			}
		}
		segments = append(segments, s)
	}
	return segments
}

// readGrade reads a number from 0 to 1.
func readGrade(r *wire.Reader) *float64 {
	if r.Kind() == '0' {
		var literal string
		r.Peek(func(r *wire.Reader) { literal = r.Text() })
		if grade, err := strconv.ParseFloat(literal, 64); err == nil && grade >= 0 && grade <= 1 {
			r.Skip()
			return &grade
		}
	}
	return nil // the reader keeps it
}

// setTranscript takes the best of the transcripts that there are: the one that is made from the recording, or else the live one, turn by
// turn or in one text. What was said after a transfer follows it.
func (p *payload) setTranscript() {
	t, actions := &callnormv1.Transcript{}, p.lines
	switch {
	case len(p.correctedTurns) > 0:
		t.Source, t.Corrected = "corrected_transcript", true
		p.addSegments(t, p.correctedTurns, new(time.Duration), speakerAssistant)
	case len(p.lines) > 0:
		t.Source = "transcripts"
		p.addLines(t)
	case p.text.text != "":
		t.Source = "concatenated_transcript"
		actions = p.addText(t)
	}
	p.setActions(actions)
	if t.GetSource() != "concatenated_transcript" && !repeats(p.text.text, p.lines) {
		p.leaveWord(p.text)
	}
	if len(p.transferTurns) > 0 {
		t.Continuation = t.GetSource() == ""
		t.Source = strings.TrimPrefix(t.GetSource()+", post_transfer_transcript", ", ")
		p.addSegments(t, p.transferTurns, p.transferBegin(), representative)
	} else {
		p.leave(p.transferOffset)
	}
	if p.counted {
		p.notes.Derived("transcript.turns.start_offset")
	}
	if len(t.GetTurns()) > 0 {
		p.call.Transcript = t
	}
}

// transferBegin tells how long after the start of the call the transferred part began, where that is told.
func (p *payload) transferBegin() *time.Duration {
	if p.transferOffset.span != nil {
		return new(p.transferOffset.span.AsDuration())
	}
	if p.transferTime == nil || p.startTime == nil || p.transferTime.AsTime().Before(p.startTime.AsTime()) {
		return nil
	}
	return new(p.transferTime.AsTime().Sub(p.startTime.AsTime()))
}

// addSegments adds the turns of a transcript that is made from the recording. The second speaker of those before a transfer is the
// agent, and of those after it the human who took over; the first is the contact in both.
func (p *payload) addSegments(t *callnormv1.Transcript, segments []segment, begin *time.Duration, second string) {
	turns := wire.RoomFor[callnormv1.TranscriptTurn](len(segments))
	t.Turns = slices.Grow(t.GetTurns(), len(segments))
	for _, s := range segments {
		turn := turns.New()
		turn.RoleRaw, turn.Text, turn.Confidence = cmp.Or(s.label, s.speaker), s.text, s.confidence
		who := s.label
		if who == "" {
			who = map[string]string{"1": speakerUser, "2": second}[s.speaker]
		}
		turn.Role = p.role(word{path: s.path + ".speaker_label", text: cmp.Or(who, s.speaker)})
		if begin == nil { // the times count from a moment that is not told
			p.leave(s.start)
			p.leave(s.end)
		} else {
			turn.StartOffset, turn.EndOffset = later(s.start, *begin), later(s.end, *begin)
			p.counted = p.counted || *begin > 0
		}
		if turn.GetText() != "" {
			t.Turns = append(t.Turns, turn)
		} else {
			p.leaveWord(word{path: s.path + ".speaker_label", text: s.label})
		}
	}
}

func later(m measure, begin time.Duration) *durationpb.Duration {
	if m.span == nil || begin == 0 {
		return m.span
	}
	return durationpb.New(m.span.AsDuration() + begin)
}

// addLines adds the turns of the live transcript.
func (p *payload) addLines(t *callnormv1.Transcript) {
	turns := wire.RoomFor[callnormv1.TranscriptTurn](len(p.lines))
	t.Turns = make([]*callnormv1.TranscriptTurn, 0, len(p.lines))
	for _, l := range p.lines {
		switch {
		case l.speaker.plain() == agentAction:
			continue
		case l.text == "":
			p.leaveWord(l.speaker)
			continue
		}
		turn := turns.New()
		turn.Role, turn.RoleRaw, turn.Text = p.role(l.speaker), l.speaker.text, l.text
		turn.StartTime, turn.StartOffset = l.at, p.sinceStart(l.at)
		p.counted = p.counted || turn.GetStartOffset() != nil
		t.Turns = append(t.Turns, turn)
	}
}

// sinceStart counts from the start of the call.
func (p *payload) sinceStart(at *timestamppb.Timestamp) *durationpb.Duration {
	if at == nil || p.startTime == nil || at.AsTime().Before(p.startTime.AsTime()) {
		return nil
	}
	return durationpb.New(at.AsTime().Sub(p.startTime.AsTime()))
}

// addText divides one text into turns at lines that begin with a speaker. A line without one goes on with the turn before it.
// It returns what the agent did.
func (p *payload) addText(t *callnormv1.Transcript) []line {
	var actions []line
	var turn *callnormv1.TranscriptTurn
	for spoken := range strings.SplitSeq(p.text.text, "\n") {
		spoken = strings.TrimSpace(spoken)
		if who, said, ok := cutSpeaker(spoken); ok {
			l := line{speaker: word{path: p.text.path, text: who}, text: said}
			turn = nil
			switch {
			case l.speaker.plain() == agentAction:
				actions = append(actions, l)
			case said != "":
				turn = &callnormv1.TranscriptTurn{Role: p.role(l.speaker), RoleRaw: who, Text: said}
				t.Turns = append(t.Turns, turn)
			}
			continue
		}
		switch {
		case spoken == "":
		case turn == nil:
			turn = &callnormv1.TranscriptTurn{Text: spoken}
			t.Turns = append(t.Turns, turn)
		default:
			turn.Text += "\n" + spoken
		}
	}
	return actions
}

// cutSpeaker divides a line of the text, such as `agent-action: Ended call`. Older texts have a blank before the colon.
func cutSpeaker(spoken string) (who, said string, ok bool) {
	const longest = len("representative ")
	who, said, ok = strings.Cut(spoken, ":")
	who = strings.TrimSpace(who)
	if _, _, known := speakers.Known(who); !ok || len(who) > longest || !known {
		return "", "", false
	}
	return who, strings.TrimSpace(said), true
}

// role returns the part that a speaker plays. In a call to a human agent, who answers is that agent.
func (p *payload) role(speaker word) callnormv1.ParticipantRole {
	if speaker.text == "" {
		return callnormv1.ParticipantRole_PARTICIPANT_ROLE_UNSPECIFIED
	}
	role, _, known := speakers.Known(speaker.text)
	switch {
	case !known:
		if !p.strangerSpoke { // a long call would tell of it a hundred times
			p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, speaker.path, "the word is not known to this version")
		}
		p.strangerSpoke = true
		return speakers.Other
	case p.proxy && role == callnormv1.ParticipantRole_PARTICIPANT_ROLE_CUSTOMER:
		return callnormv1.ParticipantRole_PARTICIPANT_ROLE_HUMAN_AGENT
	default:
		return role
	}
}

// setActions lists what the agent did. It stands among the turns, and is no speech.
func (p *payload) setActions(lines []line) {
	counted := false
	for _, l := range lines {
		if l.speaker.plain() != agentAction || l.text == "" {
			continue
		}
		action := &callnormv1.ToolCall{
			Id: l.id, KindRaw: l.speaker.text, Description: l.text, StartTime: l.at, StartOffset: p.sinceStart(l.at),
		}
		counted = counted || action.GetStartOffset() != nil
		p.call.ToolCalls = append(p.call.ToolCalls, action)
	}
	if counted {
		p.notes.Derived("tool_calls.start_offset")
	}
}

// repeats tells whether a text consists of these lines, with nothing but blanks between them.
func repeats(text string, lines []line) bool {
	for _, l := range lines {
		for _, part := range [...]string{l.speaker.text, ":", l.text} {
			rest, ok := strings.CutPrefix(strings.TrimLeft(text, blanks), part)
			if !ok {
				return false
			}
			text = rest
		}
	}
	return strings.Trim(text, blanks) == ""
}

const blanks = " \t\r\n"

// spoke tells whether the other side said anything.
func (p *payload) spoke() bool {
	return slices.ContainsFunc(p.call.GetTranscript().GetTurns(), func(turn *callnormv1.TranscriptTurn) bool {
		return turn.GetRole() == callnormv1.ParticipantRole_PARTICIPANT_ROLE_CUSTOMER
	})
}
