package vapi

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// conversation is what was said, and which tools were used.
type conversation struct {
	source string // path of the list of messages
	turns  []turn
	tools  []toolCall
	agents []string // the assistants who spoke, by name
	last   time.Duration
	anew   bool // the seconds have run backwards: the next assistant of a squad counts from its own beginning
	warned bool // of a role that is not known; a long call would tell of it a hundred times
}

// moment is when something was said: by the clock, and in seconds since the conversation began.
type moment struct {
	at, until time.Time
	fromStart time.Duration
	told      bool // the seconds, and they still count from the beginning
}

type turn struct {
	role, text, speaker, source string
	moment
	words []*callnormv1.TranscriptWord
}

type toolCall struct {
	id, name, kind, arguments, result string
	path                              string // where it stands by itself
	moment
	answered moment
}

func (c *conversation) empty() bool { return len(c.turns)+len(c.tools) == 0 }

// repeats tells whether a list of messages says nothing that is not known.
func (c *conversation) repeats(known *conversation) bool {
	for _, tool := range c.tools {
		told := func(other toolCall) bool {
			return tool.id == other.id && tool.name == other.name && same(tool.arguments, other.arguments) && same(tool.result, other.result)
		}
		if !slices.ContainsFunc(known.tools, told) {
			return false
		}
	}
	return slices.EqualFunc(c.turns, known.turns, func(a, b turn) bool {
		return a.role == b.role && a.text == b.text && a.speaker == b.speaker && a.source == b.source && a.moment == b.moment &&
			len(a.words) == len(b.words)
	})
}

// readMessages reads a list of messages. The older layout has it in the message as well as in the artifact; a repetition that says
// the same is left out, and any other is kept.
func (p *report) readMessages(r *wire.Reader) {
	if len(p.talk.turns) > 0 {
		var again conversation
		notes := r.Notes()
		r.NoteIn(&wire.Notes{})
		r.Peek(again.read)
		r.NoteIn(notes)
		if again.repeats(&p.talk) {
			r.Skip()
			return
		}
		if !again.empty() {
			return
		}
	}
	source := r.Path()
	p.talk.read(r)
	if p.talk.source == "" && len(p.talk.turns) > 0 {
		p.talk.source = source
	}
}

// message is one element of a list of messages, of whatever role.
type message struct {
	turn
	toolCallID, toolName, result string
	calls                        []toolCall
	agent                        string
	filtered                     bool
	content                      word // the text by its other name
}

func (c *conversation) read(r *wire.Reader) {
	for range r.Elements() {
		switch r.Kind() {
		case '{':
			c.readMessage(r)
		case 'n':
			r.Skip()
		}
	}
}

func (c *conversation) readMessage(r *wire.Reader) {
	var m message
	path := r.Path()
	for name := range r.Members() {
		switch name {
		case "role":
			m.role = r.Word()
		case "message", "content":
			switch {
			case isSystem(m.role):
				r.Skip() // a prompt, which nobody said, and which is long
			case name == "message":
				m.text = strings.TrimSpace(r.Text())
			default:
				m.content = word{path: r.Path(), text: strings.TrimSpace(r.Text())}
			}
		case "time":
			m.at = readInstant(r)
		case "endTime":
			m.until = readInstant(r)
		case "secondsFromStart":
			if d := r.Duration(time.Second); d != nil {
				m.fromStart, m.told = d.AsDuration(), true
			}
		case "duration":
			r.Skip() // of seconds or of milliseconds, as the age of the payload may be; the times tell it in one way
		case "speakerLabel":
			m.speaker = r.Text()
		case "toolCalls":
			m.readCalls(r)
		case "toolCallId":
			m.toolCallID = r.Text()
		case "name":
			m.toolName = r.Text()
		case "result":
			m.result = r.JSON()
		case "metadata":
			m.readMetadata(r)
		case "assistantName":
			m.agent = r.Word()
		case "assistantId":
			r.Skip() // the name tells them apart
		case "source":
			m.source = r.Text()
		case "isFiltered":
			if filtered := r.Bool(); filtered != nil && *filtered {
				m.filtered = true
			}
		case "detectedThreats":
			for range r.Elements() {
				filledText(r)
			}
		}
	}
	if isSystem(m.role) {
		return
	}
	if m.text == "" {
		m.text = m.content.text
	} else if m.text != m.content.text {
		m.content.keep(r.Notes())
	}
	c.add(&m, path, r.Notes())
}

func isSystem(role string) bool { return words.Plain(role) == "system" }

// readInstant reads a moment in milliseconds since 1970. What lies long before Vapi is none.
func readInstant(r *wire.Reader) time.Time {
	var t *timestamppb.Timestamp
	r.Peek(func(r *wire.Reader) { t = readTime(r) })
	switch {
	case t == nil:
		r.Skip()
		return time.Time{}
	case t.GetSeconds() < 1e9:
		r.Keep()
		return time.Time{}
	default:
		r.Skip()
		return t.AsTime()
	}
}

func (m *message) readCalls(r *wire.Reader) {
	for range r.Elements() {
		var call toolCall
		call.read(r)
		m.calls = append(m.calls, call)
	}
}

// read reads a call of a tool in one of the forms in which it has been sent.
func (t *toolCall) read(r *wire.Reader) {
	for name := range r.Members() {
		switch name {
		case "id":
			t.id = r.Text()
		case "type":
			t.kind = r.Word()
		case "function":
			t.read(r)
		case "name":
			t.name = r.Text()
		case "arguments", "parameters":
			t.arguments = r.JSON()
		}
	}
}

// readMetadata reads what the recogniser says of single words. The unit of their times has changed and is documented nowhere.
func (m *message) readMetadata(r *wire.Reader) {
	for name := range r.Members() {
		if name != "wordLevelConfidence" {
			continue
		}
		var room wire.Room[callnormv1.TranscriptWord]
		for range r.Elements() {
			word := room.New()
			for name := range r.Members() {
				switch name {
				case "word":
					word.Text = r.Text()
				case "confidence":
					word.Confidence = readShare(r, 1)
				case "start", "end", "punctuated_word", "punctuatedWord", "language", "speaker":
					r.Skip()
				}
			}
			m.words = append(m.words, word)
		}
	}
}

// readShare reads a number from 0 to the whole as its share of the whole, and keeps any other.
func readShare(r *wire.Reader, whole float64) *float64 {
	text := ""
	r.Peek(func(r *wire.Reader) { text = textOf(r) })
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case r.Kind() == 'n':
		r.Skip()
		return nil
	case r.Kind() != '0' || err != nil || f < 0 || f > whole:
		r.Keep()
		return nil
	}
	r.Skip()
	return new(f / whole)
}

// toolRoles are the roles of messages in which nobody speaks.
var toolRoles = []string{"tool_calls", "tool_call_result"}

// add adds a message to the conversation.
func (c *conversation) add(m *message, path string, notes *wire.Notes) {
	if m.told {
		c.anew = c.anew || m.fromStart < c.last
		c.last = m.fromStart
		m.told = !c.anew
	}
	if m.agent != "" && !slices.Contains(c.agents, m.agent) {
		c.agents = append(c.agents, m.agent)
	}
	if m.source != "" {
		notes.UnmappedText(path+".source", m.source)
	}
	if m.filtered {
		notes.UnmappedText(path+".isFiltered", "true")
	}
	for _, call := range m.calls {
		call.moment = m.moment
		c.addTool(call, path+".toolCalls", notes)
	}
	if m.toolCallID != "" || m.result != "" {
		c.addTool(toolCall{id: m.toolCallID, name: m.toolName, result: m.result, answered: m.moment}, path, notes)
	} else if m.toolName != "" {
		notes.UnmappedText(path+".name", m.toolName)
	}
	_, _, known := speakers.Known(m.role)
	switch {
	case m.text == "":
		if !known && m.role != "" && !slices.Contains(toolRoles, words.Plain(m.role)) {
			notes.UnmappedText(path+".role", m.role)
		}
		return
	case !known && m.role != "" && !c.warned:
		c.warned = true
		notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, path+".role", "the word is not known to this version")
	}
	c.turns = append(c.turns, m.turn)
}

// addAll adds calls of tools from several lists, which are in the order of their paths.
func (c *conversation) addAll(calls []toolCall, notes *wire.Notes) {
	slices.SortStableFunc(calls, func(a, b toolCall) int { return cmp.Compare(listOf(a.path), listOf(b.path)) })
	if len(c.tools) == 0 {
		c.tools = calls[:0] // never gets ahead of them
	}
	for _, call := range calls {
		c.addTool(call, call.path, notes)
	}
}

func listOf(path string) string {
	list, _, _ := strings.Cut(path, "[")
	return list
}

// addTool adds a call of a tool, or what is told anew of a known one: its result, or the same once more. What differs is kept.
func (c *conversation) addTool(call toolCall, path string, notes *wire.Notes) {
	at := slices.IndexFunc(c.tools, func(known toolCall) bool { return call.id != "" && known.id == call.id })
	if at < 0 {
		c.tools = append(c.tools, call)
		return
	}
	known := &c.tools[at]
	for _, part := range []struct {
		name  string
		known *string
		again string
	}{
		{".name", &known.name, call.name},
		{".type", &known.kind, call.kind},
		{".arguments", &known.arguments, call.arguments},
		{".result", &known.result, call.result},
	} {
		switch {
		case part.again == "" || same(part.again, *part.known):
		case *part.known == "":
			*part.known = part.again
		default:
			notes.UnmappedText(path+part.name, part.again)
		}
	}
	if known.moment == (moment{}) {
		known.moment = call.moment
	}
	if known.answered == (moment{}) {
		known.answered = call.answered
	}
}

// zero returns the beginning from which the offsets count: the one that the first words with both tell, or else the start of the call.
func (c *conversation) zero(start *timestamppb.Timestamp) time.Time {
	for i := range c.turns {
		if m := &c.turns[i].moment; m.told && !m.at.IsZero() {
			return m.at.Add(-m.fromStart).Round(time.Millisecond)
		}
	}
	if start == nil {
		return time.Time{}
	}
	return start.AsTime()
}

// since returns when something began and ended, from the beginning of the call, as far as that can be told. The clock tells it better
// than the seconds do.
func (m *moment) since(zero time.Time) (begin, end *durationpb.Duration) {
	switch {
	case !m.at.IsZero() && !zero.IsZero():
		begin = span(m.at.Sub(zero))
		if !m.until.Before(m.at) {
			end = span(m.until.Sub(zero))
		}
	case m.told:
		begin = durationpb.New(m.fromStart)
	}
	return begin, end
}

func span(d time.Duration) *durationpb.Duration {
	if d < 0 {
		return nil
	}
	return durationpb.New(d)
}

// setConversation says what was said and which tools were used, and returns when the first words began and the last ones ended.
func (p *report) setConversation(o *callnormv1.CallOutcome) (first, last time.Time) {
	zero := p.talk.zero(p.times[startedAt])
	if len(p.talk.turns) > 0 {
		o.Transcript = &callnormv1.Transcript{Source: p.talk.source, Turns: make([]*callnormv1.TranscriptTurn, len(p.talk.turns))}
		turns := make([]callnormv1.TranscriptTurn, len(p.talk.turns))
		for i := range p.talk.turns {
			said, t := &p.talk.turns[i], &turns[i]
			o.Transcript.Turns[i] = t
			t.Role, t.RoleRaw, t.Text = roleOf(said.role), said.role, said.text
			t.ParticipantId, t.Words = said.speaker, said.words
			t.StartOffset, t.EndOffset = said.since(zero)
			if !said.at.IsZero() {
				t.StartTime = timestamppb.New(said.at)
				last = later(last, said.at)
			}
			last = later(last, said.until)
			p.addSpeaker(o, said)
		}
		first = zero
		if text := p.text(transcript); !p.talk.tells(text) {
			p.notes.UnmappedText(p.path(transcript), text)
		}
	} else if p.text(transcript) != "" {
		o.Transcript = divide(p.path(transcript), p.text(transcript))
	}
	measured, tools := false, wire.RoomFor[callnormv1.ToolCall](len(p.talk.tools))
	for _, call := range p.talk.tools {
		tool := tools.New()
		tool.Id, tool.Tool, tool.KindRaw = p.notes.Usable(p.prefix+"toolCallId", call.id), call.name, call.kind
		tool.ArgumentsJson, tool.ResultJson = call.arguments, call.result
		// The time would make two of a call whose request, which has none, has come by itself. The offset says the same.
		if tool.StartOffset, _ = call.since(zero); tool.GetStartOffset() == nil && !call.at.IsZero() {
			tool.StartTime = timestamppb.New(call.at)
		}
		if tool.Duration = call.took(); tool.GetDuration() != nil {
			measured = true
		}
		o.ToolCalls = append(o.ToolCalls, tool)
	}
	if measured {
		p.notes.Derived("tool_calls.duration")
	}
	return first, last
}

// took returns how long a tool worked: from its call until its answer.
func (t *toolCall) took() *durationpb.Duration {
	switch {
	case !t.at.IsZero() && !t.answered.at.IsZero():
		return span(t.answered.at.Sub(t.at))
	case t.told && t.answered.told:
		return span(t.answered.fromStart - t.fromStart)
	default:
		return nil
	}
}

// tells reports whether the turns say all that a text says, which is made of them by the documentation: each of its lines is in one of
// the turns, or one of the turns in it, in their order.
func (c *conversation) tells(text string) bool {
	at := 0
	for line := range strings.SplitSeq(text, "\n") {
		if prefix, said, ok := strings.Cut(line, ":"); ok && len(prefix) <= longestSpeaker {
			if _, _, known := speakers.Known(strings.TrimSpace(prefix)); known {
				line = said
			}
		}
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		for ; at < len(c.turns); at++ {
			if said := strings.TrimSpace(c.turns[at].text); strings.Contains(said, line) || said != "" && strings.Contains(line, said) {
				break
			}
		}
		if at == len(c.turns) {
			return false
		}
	}
	return true
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func roleOf(word string) callnormv1.ParticipantRole {
	if role, _, known := speakers.Known(word); known {
		return role
	}
	if word == "" {
		return callnormv1.ParticipantRole_PARTICIPANT_ROLE_UNSPECIFIED
	}
	return speakers.Other
}

// addSpeaker adds one of several speakers whom the recogniser told apart by their voices.
func (p *report) addSpeaker(o *callnormv1.CallOutcome, said *turn) {
	known := func(one *callnormv1.Participant) bool { return one.GetId() == said.speaker }
	if said.speaker == "" || slices.ContainsFunc(o.GetParticipants(), known) {
		return
	}
	o.Participants = append(o.Participants, &callnormv1.Participant{Id: said.speaker, Role: roleOf(said.role), RoleRaw: said.role})
}

// longestSpeaker is the length of the longest of the speakers, with some blanks around it.
const longestSpeaker = 16

// divide divides a transcript into turns at lines that begin with a speaker. A line without one goes on with the turn before it. Where
// a speaker stands within a line, who said what cannot be told, and the text stays whole.
func divide(source, text string) *callnormv1.Transcript {
	t := &callnormv1.Transcript{Source: source}
	var turn *callnormv1.TranscriptTurn
	for line := range strings.SplitSeq(text, "\n") {
		if prefix, said, ok := strings.Cut(line, ":"); ok && len(prefix) <= longestSpeaker {
			if role, _, known := speakers.Known(strings.TrimSpace(prefix)); known {
				turn = &callnormv1.TranscriptTurn{Role: role, RoleRaw: strings.TrimSpace(prefix)}
				t.Turns = append(t.Turns, turn)
				line = said
			}
		}
		if strings.Contains(line, " User: ") || strings.Contains(line, " AI: ") {
			turn = nil
		}
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if turn == nil {
			return &callnormv1.Transcript{Source: source, Text: text}
		}
		if turn.GetText() != "" {
			turn.Text += "\n"
		}
		turn.Text += line
	}
	t.Turns = slices.DeleteFunc(t.GetTurns(), func(turn *callnormv1.TranscriptTurn) bool { return turn.GetText() == "" })
	if len(t.GetTurns()) == 0 {
		return nil
	}
	return t
}
