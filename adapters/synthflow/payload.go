package synthflow

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/phone"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// payload is the body of a webhook, or an answer of the API.
type payload struct {
	event   string
	chat    bool // the body is about a chat
	inbound bool // the body asks how to route a call
	answer  bool // the body has the members of an API answer
	listed  bool // and a list of records among them
	report  report
	records []*report
}

// payloads are for reuse: what is read is put elsewhere before it becomes an outcome, and takes as much room.
var payloads = sync.Pool{New: func() any { return &payload{} }}

// release puts a payload back that has nothing in it but room.
func (p *payload) release() {
	*p = payload{report: report{
		actions:  emptied(p.report.actions),
		analysis: analysis{judgements: emptied(p.report.analysis.judgements)},
		call:     call{told: emptied(p.report.call.told)},
	}}
	payloads.Put(p)
}

// emptied returns the room of a list, unless that is more than usual.
func emptied[T any](list []T) []T {
	const usual = 64
	if cap(list) > usual {
		return nil
	}
	clear(list)
	return list[:0]
}

// report is what a webhook, or a record of the API, tells about one call.
type report struct {
	prefix       string   // of the paths of its members
	callPrefix   string   // of the paths of the call's members
	hasCall      bool     // the call is an object by itself
	twice        []string // names of the call's members that stood beside it before
	status       string
	errorMessage string
	call         call
	contact      *callnormv1.Contact
	leadName     string // of a record, as the next ones
	leadNumber   string
	leadEmail    string
	name         string
	variables    []*callnormv1.NamedValue
	metadata     []*callnormv1.NamedValue
	actions      []action
	collected    []*callnormv1.ExtractedField
	analysis     analysis
	notes        *wire.Notes

	// What counts only where another place does not tell it is put aside until all is read.
	judgeResults, promptVariables, callPromptVariables, callCollected func(func(*wire.Reader))
}

// call is the `call` object of a webhook. Records of the API have its members beside the others.
type call struct {
	told            []string // names of the members that were read
	id, otherID     string
	recordID        string
	status          string
	recordStatus    string
	endReason       string
	customEndReason string
	typeOfCall      string
	campaignType    string
	modelID         string
	timezone        string
	duration        *durationpb.Duration
	startTime       *timestamppb.Timestamp
	leg             *callnormv1.CallLeg
	ringing         *durationpb.Duration
	hangup          string
	transcript      string
	turns           []*callnormv1.TranscriptTurn // of a transcript that is a list
	recordingID     string
	recordingURI    string
	callSID         string
	externalID      string
	agents          []string
	diversion       *callnormv1.PhoneNumber
	from, to        *callnormv1.PhoneNumber
	caller, callee  *callnormv1.PhoneNumber // in another place
	agentNumber     *callnormv1.PhoneNumber
	variables       []*callnormv1.NamedValue
}

type action struct {
	path                                                        string
	key, name, kind, id, workspaceID, description, errorMessage string
	condition, arguments, result                                string
	answered, broken                                            bool              // it has a result, though it be null; it cannot be read
	values                                                      []found           // in a result that is an object
	value                                                       *callnormv1.Value // of another result
	time, naiveTime                                             *timestamppb.Timestamp
	relevant, beforeCall                                        *bool
}

type found struct {
	name  string
	value *callnormv1.Value
}

type analysis struct {
	judgements []judgement // by criterion
	all        string
	again      string // where records of the API have verdicts
}

// judgement is what the judge says about one criterion, in one member or two: `steps` and `steps_feedback`.
type judgement struct {
	criterion string
	word      string
	value     *callnormv1.Value // of a verdict that is no word
	remark    string
	again     bool // not in the analysis
}

func (p *payload) read(r *wire.Reader) {
	p.report.begin(r)
	for name := range r.Members() {
		switch name {
		case "event", "event_type":
			if p.event == "" {
				p.event = r.Word()
			}
		case "call_inbound":
			p.inbound = true
		case "chat", "chat_id":
			p.chat = true
		case "response", "calls":
			p.answer = true
		default:
			p.report.member(r, name)
		}
	}
}

// readAnswer reads an answer of the API. What stands around the records is noted with the first that tells of a call.
func (p *payload) readAnswer(r *wire.Reader) {
	around := r.Notes()
	for name := range r.Members() {
		switch name {
		case "calls":
			p.readRecords(r, around)
		case "response":
			if !listsCalls(r) {
				p.readRecord(r)
				continue
			}
			for inner := range r.Members() {
				if inner == "calls" {
					p.readRecords(r, around)
				}
			}
		}
	}
}

// listsCalls tells whether an answer has a list of records, and is not itself one.
func listsCalls(r *wire.Reader) (found bool) {
	if r.Kind() != '{' {
		return true // it is kept
	}
	r.Peek(func(r *wire.Reader) {
		for name := range r.Members() {
			found = found || name == "calls"
			r.Skip()
		}
	})
	return found
}

// readRecord reads an answer that is one record, if it is.
func (p *payload) readRecord(r *wire.Reader) {
	record := &report{}
	record.begin(r)
	for name := range r.Members() {
		record.member(r, name)
	}
	if record.tells() {
		p.records = append(p.records, record)
	}
}

func (p *payload) readRecords(r *wire.Reader, around *wire.Notes) {
	p.listed = p.listed || r.Kind() == '['
	for range r.Elements() {
		if slices.ContainsFunc(p.records, (*report).tells) {
			r.Fresh()
		}
		record := &report{}
		record.begin(r)
		for name := range r.Members() {
			record.member(r, name)
		}
		p.records = append(p.records, record)
	}
	r.NoteIn(around)
}

func (p *report) begin(r *wire.Reader) {
	p.notes = r.Notes()
	if path := r.Path(); path != "" {
		p.prefix = path + "."
	}
	p.callPrefix = p.prefix
}

// member reads one member of a webhook or record. The reader keeps what is not read here.
func (p *report) member(r *wire.Reader, name string) {
	switch name {
	case "status":
		p.status = wire.NotBlank(r.Word())
	case "error_message":
		p.errorMessage = r.Text()
	case "lead":
		p.readLead(r)
	case "call":
		p.hasCall, p.callPrefix = true, p.prefix+"call."
		beside := p.call.told
		for name := range r.Members() {
			switch name {
			case "prompt_variables":
				p.callPromptVariables = r.Later()
			case "collected_variables":
				p.callCollected = r.Later()
			default:
				if slices.Contains(beside, name) {
					p.twice = append(p.twice, name)
				}
				p.call.member(r, name)
			}
		}
	case "executed_actions":
		r.Embedded(p.readActions)
	case "analysis":
		r.Embedded(p.analysis.read)
	case "metadata":
		p.readMetadata(r)
	case "custom_variables":
		p.variables = append(p.variables, r.NamedValues()...)
	case "collected_variables":
		p.readCollected(r)
	case "judge_results":
		p.judgeResults = r.Later()
	case "prompt_variables":
		p.promptVariables = r.Later()
	case "lead_name":
		p.leadName = r.Text()
	case "lead_phone_number":
		p.leadNumber = r.Text()
	case "lead_email":
		p.leadEmail = r.Text()
	case "name":
		p.name = r.Text()
	default:
		if !slices.Contains(p.twice, name) {
			p.call.member(r, name)
		}
	}
}

// merge reads what was put aside.
func (p *report) merge() {
	c := &p.call
	c.from, c.to = p.number(c.from, c.caller, "phones.caller"), p.number(c.to, c.callee, "phones.callee")
	p.variables = append(p.variables, p.call.variables...)
	if p.promptVariables != nil {
		p.promptVariables(p.readVariablesAgain)
	}
	if p.callPromptVariables != nil {
		p.callPromptVariables(p.readVariablesAgain)
	}
	if p.callCollected != nil {
		p.callCollected(p.readCollectedAgain)
	}
	if p.judgeResults != nil {
		p.judgeResults(func(r *wire.Reader) { r.Embedded(p.analysis.readAgain) })
	}
}

// number returns the number that counts, or else another one that tells the same side.
func (p *report) number(counts, other *callnormv1.PhoneNumber, name string) *callnormv1.PhoneNumber {
	if counts == nil {
		return other
	}
	if other != nil && !sameNumber(counts, other) {
		p.other(p.callPrefix+name, other.GetAsReceived())
	}
	return counts
}

// keepOther keeps a value that differs from another one that counts.
func keepOther(r *wire.Reader) {
	r.Notes().Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, r.Path(), toldOtherwise)
	r.Keep()
}

// tells says whether the report is about a call at all.
func (p *report) tells() bool {
	if len(p.call.told) == 0 {
		return false
	}
	return p.call.id+p.call.otherID != "" || p.call.recordID != "" || p.call.recordStatus != "" || p.hasCall && (p.call.status != "" || p.status != "")
}

func (p *report) readLead(r *wire.Reader) {
	contact := &callnormv1.Contact{}
	for name := range r.Members() {
		switch name {
		case "name":
			contact.DisplayName = r.Text()
		case "phone_number":
			if number := phone.Parse(r.Text()); number != nil {
				contact.Phones = append(contact.Phones, number)
			}
		case "email":
			if email := r.Text(); email != "" {
				contact.Emails = append(contact.Emails, email)
			}
		case "prompt_variables":
			p.variables = append(p.variables, r.NamedValues()...)
		}
	}
	p.contact = contact
}

// readVariablesAgain reads variables of which another place may tell.
func (p *report) readVariablesAgain(r *wire.Reader) {
	known := make(map[string]*callnormv1.NamedValue, len(p.variables))
	for _, variable := range p.variables {
		known[variable.GetName()] = variable
	}
	r.Embedded(func(r *wire.Reader) {
		if r.Kind() == '[' { // whose names are not unique anyway
			p.variables = append(p.variables, slices.DeleteFunc(r.NamedValues(), func(variable *callnormv1.NamedValue) bool {
				return proto.Equal(known[variable.GetName()], variable)
			})...)
			return
		}
		for name := range r.Members() {
			var value *callnormv1.Value
			r.Peek(func(r *wire.Reader) { value = r.Value() })
			switch told := known[name]; {
			case told == nil:
				p.variables = append(p.variables, r.NamedValue(name))
				continue
			case told.GetValue() == nil:
				told.Value = value
			case value != nil && !proto.Equal(told.GetValue(), value):
				keepOther(r)
			}
			r.Skip()
		}
	})
}

// readMetadata reads what the caller of the API attached. A list of custom variables may lie within.
func (p *report) readMetadata(r *wire.Reader) {
	if r.Kind() != '{' {
		p.metadata = r.NamedValues()
		return
	}
	for name := range r.Members() {
		if name == "custom_variables" {
			p.variables = append(p.variables, r.NamedValues()...)
			continue
		}
		p.metadata = append(p.metadata, r.NamedValue(name))
	}
}

// member reads one member of a call. The reader keeps what is not read here, and what was told before in another place: some
// members have been seen in the call as well as beside it.
func (c *call) member(r *wire.Reader, name string) {
	if slices.Contains(c.told, name) {
		return
	}
	switch name {
	case "call_id":
		c.id = wire.NotBlank(r.Text())
	case "Call_id":
		c.otherID = wire.NotBlank(r.Text())
	case "_id":
		c.recordID = wire.NotBlank(r.Text())
	case "status":
		c.status = wire.NotBlank(r.Word())
	case "call_status":
		c.recordStatus = readRecordStatus(r)
	case "end_call_reason":
		c.endReason = wire.NotBlank(r.Word())
	case "custom_end_call_reason":
		c.customEndReason = wire.NotBlank(r.Text())
	case "type_of_call":
		c.typeOfCall = r.Word()
	case "campaign_type":
		c.campaignType = r.Word()
	case "model_id":
		c.modelID = r.Word()
	case "timezone":
		c.timezone = r.Word()
	case "duration":
		c.duration = r.Duration(time.Second)
	case "start_time":
		c.startTime = readTime(r)
	case "telephony_duration":
		if d := r.Duration(time.Millisecond); d != nil {
			c.telephony().Duration = d
		}
	case "telephony_ringing_duration": // in milliseconds, as the other one
		c.ringing = r.Duration(time.Millisecond)
	case "telephony_hangup":
		c.hangup = wire.NotBlank(r.Word())
	case "telephony_start":
		if t := readTime(r); t != nil {
			c.telephony().StartTime = t
		}
	case "telephony_end":
		if t := readTime(r); t != nil {
			c.telephony().EndTime = t
		}
	case "transcript":
		if r.Kind() == '[' {
			c.turns = readTurns(r)
		} else {
			c.transcript = r.Text()
		}
	case "recording_sid":
		c.recordingID = r.Text()
	case "recording_url":
		c.recordingURI = r.Text()
	case "call_sid":
		c.callSID = r.Text()
	case "external_id":
		c.externalID = r.Text()
	case "agents_used":
		c.agents = r.Texts()
	case "diversion":
		c.diversion = phone.Parse(r.Text())
	case "phone_number_from":
		c.from = phone.Parse(r.Text())
	case "phone_number_to":
		c.to = phone.Parse(r.Text())
	case "agent_phone_number":
		c.agentNumber = phone.Parse(r.Text())
	case "phones": // where a workflow posts the call
		for side := range r.Members() {
			switch side {
			case "callee":
				c.callee = phone.Parse(r.Text())
			case "caller":
				c.caller = phone.Parse(r.Text())
			}
		}
	case "custom_variables":
		c.variables = r.NamedValues()
	default:
		return
	}
	if c.told == nil {
		c.told = make([]string, 0, 24)
	}
	c.told = append(c.told, name)
}

// telephony is the leg that records of the API measure.
func (c *call) telephony() *callnormv1.CallLeg {
	if c.leg == nil {
		c.leg = &callnormv1.CallLeg{KindRaw: "telephony"}
	}
	return c.leg
}

// readTime reads a moment. The beginning of 1970 is no moment of a call, but a number that nobody has set.
func readTime(r *wire.Reader) *timestamppb.Timestamp {
	t := r.Time(true)
	if t.GetSeconds() == 0 && t.GetNanos() == 0 {
		return nil
	}
	return t
}

// readRecordStatus reads a status that the API wraps into a list. What several words in it mean is not documented: the last
// one counts, since a list of states grows at its end, unless an earlier one says more. The others are kept.
func readRecordStatus(r *wire.Reader) string {
	if r.Kind() != '[' {
		return wire.NotBlank(r.Word())
	}
	counts, countsPath, warned := "", "", false
	list, notes := r.Path(), r.Notes()
	for range r.Elements() {
		word, path := wire.NotBlank(r.Word()), r.Path()
		if counts == "" {
			counts, countsPath = word, path
			continue
		}
		if word == "" || words.Plain(word) == words.Plain(counts) {
			continue
		}
		if !warned {
			warned = true
			notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, list, "several statuses, of which one counts")
		}
		if says(word) >= says(counts) {
			word, counts, path, countsPath = counts, word, countsPath, path
		}
		notes.UnmappedText(path, word)
	}
	return counts
}

// says grades how much a status says: a call that is over does not begin again, and an unknown word says least.
func says(status string) int {
	switch meaning, _, known := statuses.Known(status); {
	case !known:
		return 0
	case meaning.open:
		return 1
	default:
		return 2
	}
}

// readActions reads the executed actions: a map by name, or a list where a workflow posts them.
func (p *report) readActions(r *wire.Reader) {
	if r.Kind() == '[' {
		for range r.Elements() {
			p.readAction(r, "")
		}
		return
	}
	for key := range r.Members() {
		p.readAction(r, key)
	}
}

func (p *report) readAction(r *wire.Reader, key string) {
	if r.Kind() != '{' {
		return // what is no action is kept
	}
	if p.actions == nil {
		p.actions = make([]action, 0, 4)
	}
	p.actions = append(p.actions, action{key: key, path: r.Path()})
	a := &p.actions[len(p.actions)-1]
	for name := range r.Members() {
		switch name {
		case "name":
			a.name = r.Word()
		case "action_type":
			a.kind = r.Word()
		case "action_id":
			a.id = r.Word()
		case "workspace_id":
			a.workspaceID = r.Word()
		case "description":
			a.description = r.Text()
		case "parameters_hard_coded":
			r.Embedded(a.readParameters)
		case "parameters_from_llm":
			a.arguments = r.JSON()
		case "error_message":
			a.errorMessage = r.Text()
		case "return_value":
			a.readResult(r)
		case "return_value_status": // what it tells where it is not empty is not known
			if status := wire.NotBlank(r.Word()); status != "" {
				r.Notes().UnmappedText(a.path+".return_value_status", status)
			}
		case "is_relevant_action":
			a.relevant = r.Bool()
		case "run_action_before_call_start":
			a.beforeCall = r.Bool()
		case "timestamp":
			a.time = readTime(r)
		case "timestamp_datetime":
			a.naiveTime = readTime(r)
		case "call_id", "model_id": // the call's, told again
			r.Skip()
		case "parameters_schema", "speak_on_failure", "message_before_action", "use_hard_coded_message",
			"delay_message_time_seconds", "delay_message", "action_failed_timeout", "real_time_action", "is_interruptible":
			r.Skip() // how the action is set up
		}
	}
}

// readParameters reads what the customer configured. The choices and examples of an extractor show what answers may look
// like; they are not answers, and hold addresses of third parties.
func (a *action) readParameters(r *wire.Reader) {
	for name := range r.Members() {
		switch name {
		case "condition":
			a.condition = r.Text()
		case "identifier", "choices", "examples":
			r.Skip()
		}
	}
}

// readResult reads what an action returned: an object, in live records also as JSON within a text.
func (a *action) readResult(r *wire.Reader) {
	a.answered = true
	r.Peek(func(r *wire.Reader) { a.result = r.JSON() })
	if strings.HasPrefix(a.result, `"`) || r.Kind() != '"' && r.Kind() != '{' {
		a.value = r.Value()
	} else {
		r.Embedded(a.readValues)
	}
	switch text := strings.TrimSpace(a.value.GetStringValue()); {
	case text == "null": // as JSON within a text
		a.value, a.result = nil, ""
	case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
		a.value, a.broken = nil, true
		r.Notes().Warn(callnormv1.WarningKind_WARNING_KIND_UNREADABLE, a.path+".return_value", "the text begins like JSON, but is none")
	}
}

func (a *action) readValues(r *wire.Reader) {
	if r.Kind() != '{' {
		a.value = r.Value()
		return
	}
	for name := range r.Members() {
		a.values = append(a.values, found{name, r.Value()})
	}
}

// readCollected reads the collected variables: by name, or by agent and then by name.
func (p *report) readCollected(r *wire.Reader) {
	r.Embedded(func(r *wire.Reader) {
		for name := range r.Members() {
			p.readCollectedField(r, "", name)
		}
	})
}

// readCollectedAgain reads collected variables of which another place may tell.
func (p *report) readCollectedAgain(r *wire.Reader) {
	known := make(map[[2]string]*callnormv1.ExtractedField, len(p.collected))
	for _, field := range p.collected {
		known[[...]string{field.GetGroupId(), field.GetName()}] = field
	}
	r.Embedded(func(r *wire.Reader) {
		for name := range r.Members() {
			before, differs := len(p.collected), false
			r.Peek(func(r *wire.Reader) { p.readCollectedField(r, "", name) })
			untold := slices.DeleteFunc(p.collected[before:], func(field *callnormv1.ExtractedField) bool {
				told := known[[...]string{field.GetGroupId(), field.GetName()}]
				differs = differs || told != nil && !proto.Equal(told, field)
				return told != nil
			})
			if p.collected = p.collected[:before+len(untold)]; differs {
				keepOther(r)
			}
			r.Skip()
		}
	})
}

func (p *report) readCollectedField(r *wire.Reader, agent, name string) {
	if r.Kind() != '{' {
		p.collected = append(p.collected, &callnormv1.ExtractedField{
			Name: name, Value: r.Value(), GroupId: agent, Source: "collected_variables",
		})
		return
	}
	field := &callnormv1.ExtractedField{Name: name, GroupId: agent, Source: "collected_variables"}
	isField, empty := false, true
	for member := range r.Members() {
		empty = false
		switch {
		case member == "value":
			field.Value, isField = r.Value(), true
		case member == "collected":
			field.Collected, isField = r.Bool(), true
		case agent == "" && !isField && r.Kind() == '{':
			p.readCollectedField(r, name, member)
		}
	}
	if isField || empty {
		p.collected = append(p.collected, field)
	}
}

// read reads the judge's verdicts. Their names are open: a customer's own criteria stand beside Synthflow's.
func (a *analysis) read(r *wire.Reader) {
	const usual = 24
	if a.judgements = a.judgements[:0]; cap(a.judgements) == 0 {
		a.judgements = make([]judgement, 0, usual)
	}
	for name := range r.Members() {
		if name == "all_feedback" {
			a.all = r.Text()
			continue
		}
		a.judgements = append(a.judgements, judgement{})
		if last := len(a.judgements) - 1; !a.judgements[last].read(r, name) {
			a.judgements = a.judgements[:last]
		}
	}
	a.sort()
}

// read reads one member of the judge's verdicts. A remark without a text is none.
func (j *judgement) read(r *wire.Reader, name string) bool {
	if criterion, ok := strings.CutSuffix(name, "_feedback"); ok {
		j.criterion, j.remark = criterion, r.Text()
		return j.remark != ""
	}
	j.criterion = name
	switch kind := r.Kind(); {
	case strings.HasPrefix(name, "judge_found_"): // what the judge found is no criterion that a call meets
		if yes := r.Bool(); yes != nil {
			j.value = &callnormv1.Value{Kind: &callnormv1.Value_BoolValue{BoolValue: *yes}}
		}
	case kind == '"', kind == 't', kind == 'f':
		j.word = r.Word()
	default:
		j.value = r.Value()
	}
	return true
}

// readAgain reads the judge's verdicts where records of the API have them. The analysis counts.
func (a *analysis) readAgain(r *wire.Reader) {
	a.again = r.Path()
	known := make(map[string]int, len(a.judgements)) // by the name of the member
	for i, j := range a.judgements {
		name := j.criterion
		if j.remark != "" {
			name += "_feedback"
		}
		known[name] = i
	}
	for name := range r.Members() {
		if name == "all_feedback" {
			var text string
			r.Peek(func(r *wire.Reader) { text = r.Text() })
			if a.all = cmp.Or(a.all, text); text != "" && text != a.all {
				keepOther(r)
			}
			r.Skip()
			continue
		}
		v, ok := judgement{again: true}, false
		r.Peek(func(r *wire.Reader) { ok = v.read(r, name) })
		switch i, told := known[name]; {
		case ok && !told:
			a.judgements = append(a.judgements, v)
		case ok && a.judgements[i].untold():
			a.judgements[i] = v
		case ok && !v.untold() && !v.repeats(&a.judgements[i]):
			keepOther(r)
		}
		r.Skip()
	}
	a.sort()
}

func (j *judgement) untold() bool { return j.word == "" && j.value == nil && j.remark == "" }

func (j *judgement) repeats(other *judgement) bool {
	return repeats(j.word, other.word) && j.remark == other.remark && proto.Equal(j.value, other.value)
}

func (a *analysis) sort() {
	slices.SortFunc(a.judgements, func(a, b judgement) int {
		if c := strings.Compare(a.criterion, b.criterion); c != 0 {
			return c
		}
		return strings.Compare(a.remark, b.remark) // the verdict first
	})
}
