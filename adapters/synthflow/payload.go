package synthflow

import (
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/phone"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// payload is the body of a webhook, or the answer of the API.
type payload struct {
	event        string
	status       string
	errorMessage string
	hasCall      bool
	call         call
	records      []*call // of an API answer
	contact      *callnormv1.Contact
	phoneRaw     string
	variables    []*callnormv1.NamedValue
	metadata     []*callnormv1.NamedValue
	actions      []action
	collected    []*callnormv1.ExtractedField
	analysis     analysis
	notes        *wire.Notes
}

// call is the `call` object of a webhook, or a record of the API.
type call struct {
	path              string
	seen              bool // a field of it was there
	id                string
	status, endReason string
	customEndReason   string
	typeOfCall        string
	modelID           string
	timezone          string
	duration          *durationpb.Duration
	startTime         *timestamppb.Timestamp
	leg               callnormv1.CallLeg
	hasLeg            bool
	transcript        string
	recordingID       string
	recordingURI      string
	callSID           string
	externalID        string
	agents            []string
	diversion         *callnormv1.PhoneNumber
	from, to          *callnormv1.PhoneNumber
	variables         []*callnormv1.NamedValue
	notes             *wire.Notes
}

type action struct {
	key, name, kind, id, workspaceID, description, errorMessage string
	condition, arguments, result, status                        string
	values                                                      []*callnormv1.NamedValue
	time, naiveTime                                             *timestamppb.Timestamp
	relevant, beforeCall                                        *bool
	path                                                        string
}

type analysis struct {
	verdicts []verdict
	feedback map[string]string
	all      string
}

type verdict struct {
	name  string
	word  string
	value *callnormv1.Value
}

func (p *payload) read(r *wire.Reader) {
	p.notes = r.Notes()
	for name := range r.Members() {
		switch name {
		case "event", "event_type":
			p.event = r.Text()
		case "status":
			p.status = r.Text()
		case "error_message":
			p.errorMessage = r.Text()
		case "lead":
			p.readLead(r)
		case "call":
			p.hasCall = true
			p.call.read(r)
		case "response":
			for inner := range r.Members() {
				if inner == "calls" {
					p.readRecords(r)
				}
			}
		case "calls":
			p.readRecords(r)
		case "executed_actions":
			p.readActions(r)
		case "analysis":
			r.Embedded(p.analysis.read)
		case "metadata":
			p.metadata = append(p.metadata, p.readMetadata(r)...)
		case "custom_variables":
			p.variables = append(p.variables, r.NamedValues()...)
		case "collected_variables":
			p.readCollected(r)
		default:
			p.call.member(r, name) // a record of the API, posted as it is
		}
	}
	p.call.notes = p.notes
	if !p.hasCall && p.call.status == "" {
		p.call.status, p.status = p.status, ""
	}
}

func (p *payload) readLead(r *wire.Reader) {
	p.contact = &callnormv1.Contact{}
	for name := range r.Members() {
		switch name {
		case "name":
			p.contact.DisplayName = r.Text()
		case "phone_number":
			p.phoneRaw = r.Text()
			if number := phone.Parse(p.phoneRaw); number != nil {
				p.contact.Phones = append(p.contact.Phones, number)
			}
		case "email":
			if email := r.Text(); email != "" {
				p.contact.Emails = append(p.contact.Emails, email)
			}
		case "prompt_variables":
			p.variables = append(p.variables, r.NamedValues()...)
		}
	}
}

// readMetadata reads what the caller of the API attached. A list of custom variables may lie within.
func (p *payload) readMetadata(r *wire.Reader) []*callnormv1.NamedValue {
	if r.Kind() != '{' {
		return r.NamedValues()
	}
	var list []*callnormv1.NamedValue
	for name := range r.Members() {
		if name == "custom_variables" {
			p.variables = append(p.variables, r.NamedValues()...)
			continue
		}
		list = append(list, &callnormv1.NamedValue{Name: name, Value: r.Value()})
	}
	return list
}

func (p *payload) readRecords(r *wire.Reader) {
	for i := range r.Elements() {
		// What stands around the records is noted with the first of them.
		record := &call{path: r.Path(), notes: r.Notes()}
		if i > 0 {
			record.notes = r.Fresh()
		}
		record.read(r)
		p.records = append(p.records, record)
	}
}

func (c *call) read(r *wire.Reader) {
	for name := range r.Members() {
		c.member(r, name)
	}
}

// member reads one field of a call. The reader keeps what is not read here.
func (c *call) member(r *wire.Reader, name string) {
	switch name {
	case "call_id", "_id":
		c.id = r.Text()
	case "status":
		c.status = r.Text()
	case "call_status":
		c.status = oneOrFirst(r)
	case "end_call_reason":
		c.endReason = r.Text()
	case "custom_end_call_reason":
		c.customEndReason = r.Text()
	case "type_of_call", "campaign_type":
		c.typeOfCall = r.Text()
	case "model_id":
		c.modelID = r.Text()
	case "timezone":
		c.timezone = r.Text()
	case "duration":
		c.duration = r.Duration(time.Second)
	case "start_time":
		c.startTime = r.Time(true)
	case "telephony_duration":
		c.leg.Duration, c.hasLeg = r.Duration(time.Millisecond), true
	case "telephony_start":
		c.leg.StartTime, c.hasLeg = r.Time(true), true
	case "telephony_end":
		c.leg.EndTime, c.hasLeg = r.Time(true), true
	case "transcript":
		c.transcript = r.Text()
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
	case "custom_variables":
		c.variables = append(c.variables, r.NamedValues()...)
	default:
		return
	}
	c.seen = true
}

// oneOrFirst reads a text that the API wraps into a list.
func oneOrFirst(r *wire.Reader) string {
	if r.Kind() != '[' {
		return r.Text()
	}
	first := ""
	for i := range r.Elements() {
		if i == 0 {
			first = r.Text()
		}
	}
	return first
}

// told says whether the call can be spoken of at all.
func (c *call) told() bool { return c.seen && (c.id != "" || c.status != "") }

// identity is the call's id, unless a placeholder stands in its place: two deliveries with `[UUID]` are not one call.
func (c *call) identity() string {
	if wire.Placeholder(c.id) {
		return ""
	}
	return c.id
}

// readActions reads the executed actions: a map by name, or a list where a workflow posts them.
func (p *payload) readActions(r *wire.Reader) {
	r.Embedded(func(r *wire.Reader) {
		if r.Kind() == '[' {
			for range r.Elements() {
				p.readAction(r, "")
			}
			return
		}
		for key := range r.Members() {
			p.readAction(r, key)
		}
	})
}

func (p *payload) readAction(r *wire.Reader, key string) {
	a := action{key: key, path: r.Path()}
	seen := false
	for name := range r.Members() {
		seen = true
		switch name {
		case "name":
			a.name = r.Text()
		case "action_type":
			a.kind = r.Text()
		case "action_id":
			a.id = r.Text()
		case "workspace_id":
			a.workspaceID = r.Text()
		case "description":
			a.description = r.Text()
		case "parameters_hard_coded":
			a.readParameters(r)
		case "parameters_from_llm":
			a.arguments = r.JSON()
		case "error_message":
			a.errorMessage = r.Text()
		case "return_value":
			a.readResult(r)
		case "is_relevant_action":
			a.relevant = r.Bool()
		case "run_action_before_call_start":
			a.beforeCall = r.Bool()
		case "timestamp":
			a.time = r.Time(true)
		case "timestamp_datetime":
			a.naiveTime = r.Time(true)
		case "call_id", "model_id": // the call's, told again
			r.Skip()
		case "parameters_schema", "speak_on_failure", "message_before_action", "use_hard_coded_message",
			"delay_message_time_seconds", "delay_message", "action_failed_timeout", "real_time_action", "is_interruptible":
			r.Skip() // how the action is set up
		}
	}
	if seen {
		p.actions = append(p.actions, a)
	}
}

// readParameters reads what the customer configured. The choices and examples of an extractor show what answers may look
// like; they are not answers, and hold addresses of third parties.
func (a *action) readParameters(r *wire.Reader) {
	r.Embedded(func(r *wire.Reader) {
		for name := range r.Members() {
			switch name {
			case "condition":
				a.condition = r.Text()
			case "identifier", "choices", "examples":
				r.Skip()
			}
		}
	})
}

// readResult reads what an action returned: an object, in live records also as JSON within a text.
func (a *action) readResult(r *wire.Reader) {
	switch r.Kind() {
	case '{', '"':
		a.result = r.JSON()
	default:
		a.result = r.JSON()
		return
	}
	if !strings.HasPrefix(a.result, "{") {
		return
	}
	// What was read is JSON; reading it again cannot fail.
	_ = wire.Read([]byte(a.result), func(r *wire.Reader) {
		for name := range r.Members() {
			value := &callnormv1.NamedValue{Name: name, Value: r.Value()}
			if name == "status" {
				a.status = value.GetValue().GetStringValue()
			}
			a.values = append(a.values, value)
		}
	})
}

// readCollected reads the collected variables: by name, or by agent and then by name.
func (p *payload) readCollected(r *wire.Reader) {
	r.Embedded(func(r *wire.Reader) {
		for name := range r.Members() {
			p.readCollectedField(r, "", name)
		}
	})
}

func (p *payload) readCollectedField(r *wire.Reader, agent, name string) {
	if r.Kind() != '{' {
		p.collected = append(p.collected, &callnormv1.ExtractedField{
			Name: name, Value: r.Value(), GroupId: agent, Source: "collected_variables",
		})
		return
	}
	field := &callnormv1.ExtractedField{Name: name, GroupId: agent, Source: "collected_variables"}
	isField := false
	for member := range r.Members() {
		switch {
		case member == "value":
			field.Value, isField = r.Value(), true
		case member == "collected":
			field.Collected, isField = r.Bool(), true
		case agent == "" && !isField && r.Kind() == '{':
			p.readCollectedField(r, name, member)
		}
	}
	if isField {
		p.collected = append(p.collected, field)
	}
}

// read reads the judge's verdicts. Their names are open: a customer's own criteria stand beside Synthflow's.
func (a *analysis) read(r *wire.Reader) {
	a.feedback = make(map[string]string)
	for name := range r.Members() {
		if name == "all_feedback" {
			a.all = r.Text()
			continue
		}
		if base, ok := strings.CutSuffix(name, "_feedback"); ok {
			a.feedback[base] = r.Text()
			continue
		}
		v := verdict{name: name, value: r.Value()}
		switch kind := v.value.GetKind().(type) {
		case *callnormv1.Value_StringValue:
			v.word = kind.StringValue
		case *callnormv1.Value_BoolValue:
			v.word = map[bool]string{true: "true", false: "false"}[kind.BoolValue]
		}
		a.verdicts = append(a.verdicts, v)
	}
}
