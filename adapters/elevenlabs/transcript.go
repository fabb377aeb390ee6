package elevenlabs

import (
	"slices"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// readTranscript reads the turns. A turn without text, in which the agent does nothing but use tools, is none; its tool calls are told
// by themselves.
func (c *record) readTranscript(r *wire.Reader) {
	c.turnsPath = r.Path()
	warned := false // of one role that is not known; a long call would tell of it a hundred times
	for range r.Elements() {
		if r.Kind() != '{' {
			continue
		}
		path := r.Path()
		turn := c.readTurn(r)
		role, _, known := speakers.Known(turn.GetRoleRaw())
		if !known && turn.GetRoleRaw() != "" {
			role = speakers.Other
			if !warned {
				c.notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, path+".role", "the word is not known to this version")
			}
			warned = true
		}
		turn.Role = role
		if turn.GetText() == "" && turn.GetOriginalText() == "" {
			if turn.GetRoleRaw() != "" && role != callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT {
				c.notes.UnmappedText(path+".role", turn.GetRoleRaw())
			}
			continue
		}
		c.turns = append(c.turns, turn)
	}
	c.tools.endTranscript(c.notes)
}

func (c *record) readTurn(r *wire.Reader) *callnormv1.TranscriptTurn {
	turn := c.turnRoom.New()
	parts, partsPath := "", ""
	first := len(c.tools.list)
	for name := range r.Members() {
		switch name {
		case "role":
			turn.RoleRaw = r.Word()
		case "message":
			turn.Text = strings.TrimSpace(r.Text())
		case "original_message":
			turn.OriginalText = strings.TrimSpace(r.Text())
		case "multivoice_message":
			partsPath = r.Path()
			parts = readParts(r)
		case "time_in_call_secs":
			turn.StartOffset = r.Duration(time.Second)
		case "interrupted":
			turn.Interrupted = r.Bool()
		case "tool_calls":
			for range r.Elements() {
				if id := c.tools.readCall(r); id != "" {
					turn.ToolCallIds = append(turn.ToolCallIds, id)
				}
			}
		case "tool_results":
			for range r.Elements() {
				c.tools.readResult(r)
			}
		case "agent_metadata":
			c.readAgent(r)
		case "producing_llm":
			c.readModel(r)
		case "source_medium":
			if w := readWord(r); w.text != "audio" && w.text != "" { // as in any call
				c.notes.UnmappedText(w.path, w.text)
			}
		case "ignored_as_backchannel", "reasoned":
			leaveFlag(r)
		default:
			leave(r)
		}
	}
	c.tools.endTurn(c.notes)
	for _, t := range c.tools.list[first:] {
		t.call.StartOffset = turn.GetStartOffset()
	}
	switch {
	case turn.GetText() == "":
		turn.Text = parts
	case parts != "" && parts != turn.GetText():
		c.notes.UnmappedText(partsPath, parts)
	}
	return turn
}

// readParts reads what an agent of several voices says.
func readParts(r *wire.Reader) string {
	var texts []string
	for name := range r.Members() {
		if name != "parts" {
			leave(r)
			continue
		}
		for range r.Elements() {
			for name := range r.Members() {
				if name == "text" {
					texts = append(texts, strings.TrimSpace(r.Text()))
				} else {
					leave(r)
				}
			}
		}
	}
	return strings.TrimSpace(strings.Join(texts, " "))
}

// readModel reads which language model made a turn. The first is the agent's; others are kept.
func (c *record) readModel(r *wire.Reader) {
	switch w := readWord(r); {
	case c.agent.GetLlmModel() == "":
		c.agent.LlmModel = w.text
	case w.text != "" && w.text != c.agent.GetLlmModel():
		c.notes.UnmappedText(w.path, w.text)
	}
}

// Names of the tools that say something about the call.
const (
	voicemailTool    = "voicemail_detection"
	endCallTool      = "end_call"
	transferToNumber = "transfer_to_number"
	transferToAgent  = "transfer_to_agent"
)

// tools are the uses of tools. A result comes in the same turn as its call or in another one, and carries the same id.
type tools struct {
	room  wire.Room[callnormv1.ToolCall]
	list  []*tool
	open  map[string][]*tool // calls without a result, by id, or by name where there is none
	early []*tool            // results of a turn whose calls were not read yet
}

type tool struct {
	call      *callnormv1.ToolCall
	path      string
	alone     bool // a result without a call
	answered  bool
	failed    bool
	notCalled bool
	result    toolResult
}

// toolResult is what a tool of ElevenLabs' own says beside its result.
type toolResult struct {
	path                                  string
	kind, status, reason                  string
	number, fromAgent, toAgent, condition string
	conference                            string
	errorText, details                    string
	voicemailTold                         bool // it says what was left on the voicemail, though it be nothing
	voicemailMessage                      string
}

// readCall reads a call, and returns its id.
func (l *tools) readCall(r *wire.Reader) string {
	if r.Kind() != '{' {
		return "" // what is no call is kept
	}
	t := &tool{call: l.room.New(), path: r.Path()}
	for name := range r.Members() {
		switch name {
		case "type":
			t.call.KindRaw = r.Word()
		case "request_id":
			t.call.Id = r.Text()
		case "tool_name":
			t.call.Tool = r.Word()
		case "params_as_json":
			t.call.ArgumentsJson = r.JSON()
		case "tool_has_been_called":
			called := r.Bool()
			t.notCalled = called != nil && !*called
		case "tool_details":
			r.Skip() // where a request is sent, with headers that may hold secrets
		default:
			leave(r)
		}
	}
	l.add(t)
	if l.open == nil {
		l.open = make(map[string][]*tool)
	}
	key := t.key()
	l.open[key] = append(l.open[key], t)
	return t.call.GetId()
}

func (l *tools) add(t *tool) {
	if l.list == nil {
		const usual = 8
		l.list = make([]*tool, 0, usual)
	}
	l.list = append(l.list, t)
}

func (t *tool) key() string {
	if id := t.call.GetId(); id != "" {
		return "id " + id
	}
	return "name " + t.call.GetTool()
}

// readResult reads a result, and joins it with its call.
func (l *tools) readResult(r *wire.Reader) {
	if r.Kind() != '{' {
		return
	}
	t := &tool{call: &callnormv1.ToolCall{}, path: r.Path(), answered: true}
	var whole, errorType, rawError string
	blocked := false
	for name := range r.Members() {
		switch name {
		case "type":
			t.call.KindRaw = r.Word()
		case "request_id":
			t.call.Id = r.Text()
		case "tool_name":
			t.call.Tool = r.Word()
		case "result_value":
			t.call.ResultJson = r.JSON()
		case "is_error":
			failed := r.Bool()
			t.failed = failed != nil && *failed
		case "is_blocked":
			yes := r.Bool()
			blocked = yes != nil && *yes
		case "tool_has_been_called":
			called := r.Bool()
			t.notCalled = called != nil && !*called
		case "tool_latency_secs":
			t.call.Duration = r.Duration(time.Second)
		case "error_type":
			errorType = r.Text()
		case "raw_error_message":
			rawError = r.Text()
		case "result":
			whole = t.readSystemResult(r)
		default:
			leave(r)
		}
	}
	if t.call.GetResultJson() == "" {
		t.call.ResultJson = whole
	}
	t.result.reread(t.call)
	t.call.StatusRaw, t.call.Description = t.result.kind, t.result.reason
	switch status := t.result.status; {
	case t.call.GetStatusRaw() != "":
		if t.result.path != "" && status != "" && !strings.HasSuffix(t.result.kind, status) {
			r.Notes().UnmappedText(t.result.path+".status", status)
		}
	case status != "":
		t.call.StatusRaw = status
	case blocked:
		t.call.StatusRaw = "is_blocked"
	case t.failed:
		t.call.StatusRaw = "is_error"
	}
	var faults []string
	for _, text := range []string{errorType, rawError, t.result.errorText, t.result.details} {
		if strings.TrimSpace(text) != "" {
			faults = append(faults, text)
		}
	}
	t.call.Error = strings.Join(faults, ": ")
	if t.failed && t.call.GetError() == "" {
		t.call.Error = strings.Trim(t.call.GetResultJson(), `"`)
	}
	if !l.join(r.Notes(), t) {
		l.early = append(l.early, t)
	}
}

// readSystemResult reads the result of a tool of ElevenLabs' own, and returns the whole of it, which stands as the result where no
// other does.
func (t *tool) readSystemResult(r *wire.Reader) (whole string) {
	if r.Kind() != '{' {
		leave(r)
		return ""
	}
	r.Peek(func(r *wire.Reader) { whole = r.JSON() })
	t.result.path = r.Path()
	for name := range r.Members() {
		t.result.member(r, name)
	}
	return whole
}

// reread looks for the result of a tool of ElevenLabs' own in its text, where it stands in reports of an older layout.
func (s *toolResult) reread(call *callnormv1.ToolCall) {
	switch call.GetTool() {
	case voicemailTool, endCallTool, transferToNumber, transferToAgent:
	default:
		return
	}
	if s.path != "" || !strings.HasPrefix(call.GetResultJson(), "{") {
		return
	}
	_ = wire.Read([]byte(call.GetResultJson()), func(r *wire.Reader) { // what it does not take is in the result anyway
		for name := range r.Members() {
			s.member(r, name)
		}
	})
}

func (s *toolResult) member(r *wire.Reader, name string) {
	switch name {
	case "result_type":
		s.kind = r.Word()
	case "status":
		s.status = r.Word()
	case "reason":
		s.reason = r.Text()
	case "voicemail_message":
		s.voicemailTold = r.Kind() != 'n'
		s.voicemailMessage = strings.TrimSpace(r.Text())
	case "transfer_number":
		s.number = r.Text()
	case "from_agent":
		s.fromAgent = r.Word()
	case "to_agent":
		s.toAgent = r.Word()
	case "condition":
		s.condition = r.Text()
	case "conference_name":
		s.conference = r.Text()
	case "error":
		s.errorText = r.Text()
	case "details":
		s.details = r.Text()
	default:
		leave(r)
	}
}

// endTurn joins results with calls that stand behind them in their turn, whose members have no order. A result whose call is not told
// stands for the call as well.
func (l *tools) endTurn(notes *wire.Notes) {
	for _, result := range l.early {
		if !l.join(notes, result) {
			result.alone = true
			l.add(result)
		}
	}
	l.early = l.early[:0]
}

// endTranscript joins results with calls of later turns. Without an id they are two uses of one tool.
func (l *tools) endTranscript(notes *wire.Notes) {
	l.list = slices.DeleteFunc(l.list, func(t *tool) bool { return t.alone && t.call.GetId() != "" && l.join(notes, t) })
}

// join joins a result with the first call that waits for it, and tells whether there is one.
func (l *tools) join(notes *wire.Notes, result *tool) bool {
	key := result.key()
	waiting := l.open[key]
	if len(waiting) == 0 {
		return false
	}
	l.open[key] = waiting[1:]
	t := waiting[0]
	told, said := t.call, result.call
	t.answered, t.failed, t.notCalled, t.result = true, result.failed, result.notCalled, result.result
	told.Tool = merge(notes, result.path+".tool_name", told.GetTool(), said.GetTool())
	told.KindRaw = merge(notes, result.path+".type", told.GetKindRaw(), said.GetKindRaw())
	told.ResultJson, told.StatusRaw, told.Error, told.Duration = said.GetResultJson(), said.GetStatusRaw(), said.GetError(), said.GetDuration()
	told.Description = said.GetDescription()
	return true
}

// merge returns what the call says or, where it says nothing, its result. What the result says otherwise is kept.
func merge(notes *wire.Notes, path, call, result string) string {
	switch {
	case call == "":
		return result
	case result != "" && result != call:
		notes.UnmappedText(path, result)
	}
	return call
}
