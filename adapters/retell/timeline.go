package retell

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
)

// timeline is one of the lists that tell a conversation. Retell tells it up to four times: as one text, as turns
// (transcript_object), as turns with what went on between them (transcript_with_tool_calls), and as the latter without what tells
// of persons.
type timeline struct {
	path     string
	told     bool // it has entries
	turns    []*callnormv1.TranscriptTurn
	places   []int // of the turns in the list
	cursor   int   // of the turn that the other list is about to tell again
	tools    []toolCall
	keys     []*callnormv1.KeyPress
	messages []message
	nodes    []string
}

// toolCall is the use of a tool, and when its result was there.
type toolCall struct {
	*callnormv1.ToolCall
	invoked, answered bool
	end               *durationpb.Duration
	path              string // of the result
}

// message is a text message, and when it arrived.
type message struct {
	*callnormv1.Message
	offset *durationpb.Duration
	path   string
}

// entry is one entry of a timeline. Since the order of members is free, all members of all kinds are read, and what they mean is
// decided afterwards.
type entry struct {
	role                 string
	text, result         string // `content`, and as JSON
	spoken               bool   // it has `words`, be there any or not
	words                []*callnormv1.TranscriptWord
	twin                 *callnormv1.TranscriptTurn // the same turn in the other list
	id, tool, kind       string
	arguments            string
	successful           string
	offset               *durationpb.Duration
	digit                string
	formerID, formerName string
	nodeID, nodeName     string
	transition           string
}

// How the entries are named that are no turns.
const (
	toolInvocation = "tool_call_invocation"
	toolResult     = "tool_call_result"
	nodeTransition = "node_transition"
	keyPress       = "dtmf"
	textMessage    = "sms"
	injected       = "injected" // "external context", spoken by nobody
)

// ordinary is how most steps of a workflow are reached.
const ordinary = "normal"

// read reads a list. Turns that another list has told before are shared with it, so that their words are read once.
func (l *timeline) read(r *wire.Reader, other *timeline) {
	l.path = r.Path()
	warned := false // of a role that is not known; a long call would tell of it a hundred times
	var e entry
	for i := range r.Elements() {
		if r.Kind() != '{' {
			continue // what is no entry is kept, such as the "..." of the documentation's example
		}
		l.told = true
		e = entry{}
		e.read(r, other)
		if !l.add(r.Notes(), &e, i, other) {
			e.keep(r)
		}
		if !warned && !e.known() {
			warned = true
			r.Notes().Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, r.Path()+".role", "the word is not known to this version")
		}
	}
}

// known tells whether the role is one that the documentation names, or none at all.
func (e *entry) known() bool {
	switch e.role {
	case "", toolInvocation, toolResult, nodeTransition, keyPress, textMessage, injected:
		return true
	default:
		_, _, speech := speakers.Known(e.role)
		return speech
	}
}

func (e *entry) read(r *wire.Reader, other *timeline) {
	for name := range r.Members() {
		switch name {
		case "role":
			e.role = r.Word()
		case "content":
			e.readContent(r)
		case "words":
			e.spoken = true
			if e.twin = other.find(e); e.twin != nil && len(e.twin.GetWords()) > 0 {
				r.Skip()
			} else {
				e.readWords(r)
			}
		case "metadata":
			if _, _, speech := speakers.Known(e.role); speech {
				r.Skip() // by which request to the language model it came about
			}
		case "name":
			e.tool = r.Text()
		case "arguments":
			e.arguments = r.JSON()
		case "tool_call_id":
			e.id = r.Text()
		case "type":
			e.kind = r.Word()
		case "successful":
			e.successful = r.Word()
		case "time_sec":
			e.offset = r.Duration(time.Second)
		case "thought_signature":
			r.Skip() // the language model's own, sealed
		case "digit":
			e.digit = r.Text()
		case "former_node_id":
			e.formerID = r.Word()
		case "former_node_name":
			e.formerName = r.Word()
		case "new_node_id":
			e.nodeID = r.Word()
		case "new_node_name":
			e.nodeName = r.Word()
		case "transition_type":
			e.transition = r.Word()
		}
	}
}

// readContent reads what was said, or the result of a tool, which may be anything. Which of both it is, the role tells.
func (e *entry) readContent(r *wire.Reader) {
	kind := r.Kind()
	if e.role == "" || e.role == toolResult {
		r.Peek(func(r *wire.Reader) { e.result = r.JSON() })
	}
	switch {
	case e.role == toolResult:
		r.Skip()
	case e.role == "" && (kind == '{' || kind == '['):
		e.text = e.result
		r.Skip()
	default:
		e.text = r.Text()
	}
}

func (e *entry) readWords(r *wire.Reader) {
	usual := 1 + strings.Count(e.text, " ")
	block := make([]callnormv1.TranscriptWord, usual)
	e.words = make([]*callnormv1.TranscriptWord, 0, usual)
	for range r.Elements() {
		if r.Kind() != '{' {
			continue
		}
		if len(block) == 0 {
			block = make([]callnormv1.TranscriptWord, usual)
		}
		w := &block[0]
		block = block[1:]
		for name := range r.Members() {
			switch name {
			case "word":
				w.Text = r.Word()
			case "start":
				w.StartOffset = r.Duration(time.Second)
			case "end":
				w.EndOffset = r.Duration(time.Second)
			}
		}
		e.words = append(e.words, w)
	}
}

// find looks for the turn that an entry of another list tells again, from where the last one was found on: both lists are in the
// order of the conversation.
func (l *timeline) find(e *entry) *callnormv1.TranscriptTurn {
	const farthest = 64
	for i := l.cursor; i < min(len(l.turns), l.cursor+farthest); i++ {
		if turn := l.turns[i]; turn.GetText() == e.text && turn.GetRoleRaw() == e.role {
			l.cursor = i + 1
			return turn
		}
	}
	return nil
}

// add tells whether an entry has a place.
func (l *timeline) add(notes *wire.Notes, e *entry, place int, other *timeline) bool {
	switch e.role {
	case toolInvocation:
		t := l.tool(e.id, func(t *toolCall) bool { return !t.invoked })
		t.Tool, t.KindRaw, t.ArgumentsJson, t.StartOffset, t.invoked = e.tool, e.kind, e.arguments, e.offset, true
	case toolResult:
		t := l.tool(e.id, func(t *toolCall) bool { return !t.answered })
		t.ResultJson, t.StatusRaw, t.end, t.path, t.answered = e.result, e.successful, e.offset, l.at(place), true
	case nodeTransition:
		if former := cmp.Or(e.formerName, e.formerID); len(l.nodes) == 0 || l.nodes[len(l.nodes)-1] != former {
			l.enter(former)
		}
		l.enter(cmp.Or(e.nodeName, e.nodeID))
		if e.transition != "" && e.transition != ordinary {
			notes.UnmappedText(l.at(place)+".transition_type", e.transition)
		}
	case keyPress:
		l.keys = append(l.keys, &callnormv1.KeyPress{Digits: e.digit, Offset: e.offset})
	case textMessage:
		l.messages = append(l.messages, message{path: l.at(place), offset: e.offset, Message: &callnormv1.Message{
			Direction: callnormv1.Direction_DIRECTION_INBOUND, // "received from the user during the call"
			Channel:   callnormv1.Channel_CHANNEL_SMS, KindRaw: e.role, Text: e.text,
		}})
	default:
		return l.addTurn(e, place, other)
	}
	return true
}

// enter adds a step to the way through the workflow.
func (l *timeline) enter(node string) {
	if node != "" {
		l.nodes = append(l.nodes, node)
	}
}

// tool returns the use of a tool with an id that wants what is told now: usually its result, after it was invoked.
func (l *timeline) tool(id string, wants func(*toolCall) bool) *toolCall {
	for i := range l.tools {
		if t := &l.tools[i]; id != "" && t.GetId() == id && wants(t) {
			return t
		}
	}
	l.tools = append(l.tools, toolCall{ToolCall: &callnormv1.ToolCall{Id: id}})
	return &l.tools[len(l.tools)-1]
}

// addTurn adds what somebody said. Who has words speaks, although the role be new.
func (l *timeline) addTurn(e *entry, place int, other *timeline) bool {
	role, _, known := speakers.Known(e.role)
	if !known && !e.spoken || e.text == "" && len(e.words) == 0 {
		return false
	}
	if !known {
		role = speakers.Other
	}
	if e.twin == nil {
		e.twin = other.find(e) // of an entry whose words come first, or are missing
	}
	turn := e.twin
	if turn == nil {
		turn = &callnormv1.TranscriptTurn{Role: role, RoleRaw: e.role, Text: e.text, StartOffset: e.offset}
	}
	if n := len(e.words); n > 0 {
		turn.Words = e.words
		turn.EndOffset = e.words[n-1].GetEndOffset()
		if start := e.words[0].GetStartOffset(); start != nil {
			turn.StartOffset = start
		}
	}
	l.turns, l.places = append(l.turns, turn), append(l.places, place)
	return true
}

// at returns the path of an entry.
func (l *timeline) at(place int) string { return l.path + "[" + strconv.Itoa(place) + "]" }

// keep keeps what was read of an entry that is not known. The reader has kept the rest.
func (e *entry) keep(r *wire.Reader) {
	path := r.Path()
	for _, w := range []word{
		{"role", e.role}, {"content", e.text}, {"tool_call_id", e.id}, {"name", e.tool}, {"type", e.kind}, {"arguments", e.arguments},
		{"successful", e.successful}, {"digit", e.digit}, {"former_node_id", e.formerID}, {"former_node_name", e.formerName},
		{"new_node_id", e.nodeID}, {"new_node_name", e.nodeName}, {"transition_type", e.transition},
	} {
		if w.text != "" {
			r.Notes().UnmappedText(path+"."+w.path, w.text)
		}
	}
	if e.offset != nil {
		r.Notes().Unmapped(path+".time_sec", seconds(e.offset))
	}
}

// seconds writes a span of time as Retell does.
func seconds(d *durationpb.Duration) []byte {
	return strconv.AppendFloat(nil, d.AsDuration().Seconds(), 'f', -1, 64)
}

// worded counts the turns with words.
func (l *timeline) worded() int {
	n := 0
	for _, turn := range l.turns {
		if len(turn.GetWords()) > 0 {
			n++
		}
	}
	return n
}

// richer tells whether a list tells more of what was said than another one.
func (l *timeline) richer(other *timeline) bool {
	if len(l.turns) != len(other.turns) {
		return len(l.turns) > len(other.turns)
	}
	return l.worded() > other.worded()
}

// keepBeside keeps the turns that another list, which counts, does not have.
func (l *timeline) keepBeside(counts *timeline, notes *wire.Notes) {
	there := make(map[*callnormv1.TranscriptTurn]bool, len(counts.turns))
	for _, turn := range counts.turns {
		there[turn] = true
	}
	warned := false
	for i, turn := range l.turns {
		if there[turn] {
			continue
		}
		path := l.at(l.places[i])
		if !warned {
			notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, path, "the turn is not in "+counts.path+", which counts")
			warned = true
		}
		notes.UnmappedText(path+".role", turn.GetRoleRaw())
		notes.UnmappedText(path+".content", turn.GetText())
	}
}

// setTranscript takes what tells most of what was said, and of two that tell as much the list with all that went on, and the text last.
// The list without persons is for payloads that have no other.
func (p *payload) setTranscript() {
	source, beside := &p.woven, &p.spoken
	if beside.richer(source) {
		source, beside = beside, source
	}
	beside.keepBeside(source, p.notes)
	if text := p.fromText(source); text != nil && text.richer(source) {
		source.keepBeside(text, p.notes)
		source = text
	}
	more := &p.woven
	if !more.told {
		more = &p.scrubbed
	}
	p.setBetween(more)
	if len(source.turns) == 0 {
		source = &p.scrubbed
	}
	if len(source.turns) == 0 {
		if strings.TrimSpace(p.text.text) != "" {
			p.call.Transcript = &callnormv1.Transcript{Source: p.text.path, Text: p.text.text} // It has no speakers.
		}
		return
	}
	p.call.Transcript = &callnormv1.Transcript{Source: source.path, Turns: source.turns}
	if source.worded() > 0 {
		p.notes.Derived("transcript.turns.start_offset")
		p.notes.Derived("transcript.turns.end_offset")
	}
}

// setBetween takes over what went on between the turns.
func (p *payload) setBetween(l *timeline) {
	p.call.KeyPresses, p.agent.NodePath = l.keys, l.nodes
	measured := false
	for _, t := range l.tools {
		p.call.ToolCalls = append(p.call.GetToolCalls(), t.ToolCall)
		spent := t.end.AsDuration() - t.GetStartOffset().AsDuration()
		switch {
		case t.end == nil:
		case t.GetStartOffset() != nil && spent >= 0:
			t.Duration, measured = durationpb.New(spent), true
		default:
			p.notes.Unmapped(t.path+".time_sec", seconds(t.end))
		}
	}
	if measured {
		p.notes.Derived("tool_calls.duration")
	}
	for _, m := range l.messages {
		p.call.Messages = append(p.call.GetMessages(), m.Message)
		switch {
		case m.offset == nil:
		case p.call.GetStartTime() == nil:
			p.notes.Unmapped(m.path+".time_sec", seconds(m.offset))
		default:
			m.SendTime = later(p.call.GetStartTime(), m.offset)
			p.notes.Derived("messages.send_time")
		}
	}
}

// longestSpeaker is the length of the longest of the speakers, with some blanks around it.
const longestSpeaker = 20

// fromText divides the text into turns at lines that begin with a speaker, and shares with a list those that it has, too. A line
// without a speaker goes on with the turn before it. It returns nothing for a text that tells no more than the list, or that begins
// with nobody's words.
func (p *payload) fromText(list *timeline) *timeline {
	text := strings.TrimSpace(p.text.text)
	if text == "" || strings.Count(text, "\n") < len(list.turns) {
		return nil
	}
	l := &timeline{path: p.text.path}
	var turn *callnormv1.TranscriptTurn
	for line := range strings.SplitSeq(text, "\n") {
		if prefix, said, ok := strings.Cut(line, ":"); ok && len(prefix) <= longestSpeaker {
			prefix = strings.TrimSpace(prefix)
			if role, _, known := speakers.Known(prefix); known {
				turn = &callnormv1.TranscriptTurn{Role: role, RoleRaw: prefix, Text: strings.TrimSpace(said)}
				l.turns = append(l.turns, turn)
				continue
			}
		}
		switch line = strings.TrimSpace(line); {
		case line == "":
		case turn == nil:
			return nil
		default:
			turn.Text += "\n" + line
		}
	}
	l.turns = slices.DeleteFunc(l.turns, func(turn *callnormv1.TranscriptTurn) bool { return turn.GetText() == "" })
	list.cursor = 0
	for i, turn := range l.turns {
		if twin := list.find(&entry{role: words.Plain(turn.GetRoleRaw()), text: turn.GetText()}); twin != nil {
			l.turns[i] = twin
		}
	}
	return l
}
