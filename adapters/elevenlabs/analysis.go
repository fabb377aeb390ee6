package elevenlabs

import (
	"strconv"
	"strings"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/proto"
)

// analysis is what a language model of ElevenLabs makes of a conversation, and what the contact said of it.
type analysis struct {
	success        word
	summary, title string
	remarks        []string
	agents         []string // that asked for results
	fields         []*callnormv1.ExtractedField
	evaluations    []*callnormv1.Evaluation
	opinion        []*callnormv1.Evaluation // the contact's
}

const dataCollection = "data_collection_results"

func (a *analysis) read(r *wire.Reader, notes *wire.Notes) {
	for name := range r.Members() {
		switch name {
		case "call_successful":
			a.success = readWord(r)
		case "transcript_summary":
			a.summary = strings.TrimSpace(r.Text())
		case "call_summary_title":
			a.title = strings.TrimSpace(r.Text())
		case "scoped":
			for range r.Elements() {
				a.readScope(r, notes)
			}
		default:
			a.readResults(r, notes, name)
		}
	}
}

// readResults reads results, which stand under their ids as well as in lists.
func (a *analysis) readResults(r *wire.Reader, notes *wire.Notes, name string) {
	switch name {
	case dataCollection:
		for id := range r.Members() {
			a.addField(notes, r.Path(), readField(r, id))
		}
	case "evaluation_criteria_results":
		for id := range r.Members() {
			a.addEvaluation(notes, r.Path(), readEvaluation(r, notes, id))
		}
	case dataCollection + "_list":
		for range r.Elements() {
			a.addField(notes, r.Path(), readField(r, ""))
		}
	case "evaluation_criteria_results_list":
		for range r.Elements() {
			a.addEvaluation(notes, r.Path(), readEvaluation(r, notes, ""))
		}
	default:
		leave(r)
	}
}

// readScope reads the results that one of several agents asked for. They are told apart by that agent's id; what the conversation's
// own agent asked for is told beside it, too.
func (a *analysis) readScope(r *wire.Reader, notes *wire.Notes) {
	var scope analysis
	agent := ""
	for name := range r.Members() {
		if name == "source_agent_id" {
			agent = r.Word()
			a.agents = append(a.agents, agent)
			continue
		}
		scope.readResults(r, notes, name)
	}
	for _, field := range scope.fields {
		if !containsEqual(a.fields, field) {
			field.GroupId = agent
			a.fields = append(a.fields, field)
		}
	}
	for _, e := range scope.evaluations {
		if !containsEqual(a.evaluations, e) {
			a.evaluations = append(a.evaluations, e)
		}
	}
}

// addField adds a field, unless it is there with the same contents: a list repeats what stands under the ids.
func (a *analysis) addField(notes *wire.Notes, path string, field *callnormv1.ExtractedField) {
	if field == nil || containsEqual(a.fields, field) {
		return
	}
	for _, other := range a.fields {
		if other.GetName() == field.GetName() {
			contradict(notes, path)
			break
		}
	}
	a.fields = append(a.fields, field)
}

func (a *analysis) addEvaluation(notes *wire.Notes, path string, e *callnormv1.Evaluation) {
	if e == nil || containsEqual(a.evaluations, e) {
		return
	}
	for _, other := range a.evaluations {
		if other.GetId() == e.GetId() {
			contradict(notes, path)
			break
		}
	}
	a.evaluations = append(a.evaluations, e)
}

func contradict(notes *wire.Notes, path string) {
	notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, path, "the result is told twice, with other contents")
}

func containsEqual[M proto.Message](list []M, m M) bool {
	for _, other := range list {
		if proto.Equal(other, m) {
			return true
		}
	}
	return false
}

// readField reads a piece of data that was collected. Null says that it was looked for and not found.
func readField(r *wire.Reader, id string) *callnormv1.ExtractedField {
	field := &callnormv1.ExtractedField{Name: id, Source: dataCollection}
	if r.Kind() != '{' {
		if id == "" {
			return nil // what is no result is kept
		}
		setValue(r, field)
		return field
	}
	for name := range r.Members() {
		switch name {
		case "data_collection_id":
			field.Name = named(r, field.GetName())
		case "value":
			setValue(r, field)
		case "rationale":
			field.Rationale = r.Text()
		case "json_schema":
			readSchema(r, field)
		default:
			leave(r)
		}
	}
	return field
}

// named reads the id that stands within a result. The one that it stands under counts.
func named(r *wire.Reader, id string) string {
	w := readWord(r)
	if id == "" {
		return w.text
	}
	if w.text != id && w.text != "" {
		r.Notes().UnmappedText(w.path, w.text)
	}
	return id
}

func setValue(r *wire.Reader, field *callnormv1.ExtractedField) {
	found := r.Kind() != 'n'
	field.Value = r.Value()
	if text, isText := field.GetValue().GetKind().(*callnormv1.Value_StringValue); isText && strings.TrimSpace(text.StringValue) == "" {
		found = false
	}
	field.Collected = &found
}

// readSchema reads what the customer asked for. The other members say how the answer may look.
func readSchema(r *wire.Reader, field *callnormv1.ExtractedField) {
	for name := range r.Members() {
		switch {
		case name == "description":
			field.Question = r.Text()
		case name == "type" && r.Kind() == '[':
			field.TypeRaw = strings.Join(r.Texts(), "|")
		case name == "type":
			field.TypeRaw = r.Word()
		default:
			r.Skip()
		}
	}
}

// readEvaluation reads the verdict on one of the customer's criteria.
func readEvaluation(r *wire.Reader, notes *wire.Notes, id string) *callnormv1.Evaluation {
	if r.Kind() != '{' && (id == "" || r.Kind() != '"') {
		leave(r)
		return nil
	}
	e := &callnormv1.Evaluation{Id: id, Criterion: id}
	result := word{}
	if r.Kind() == '"' {
		result = readWord(r)
	}
	most := word{}
	for name := range r.Members() {
		switch name {
		case "criteria_id":
			e.Id = named(r, e.GetId())
			e.Criterion = e.GetId()
		case "result":
			result = readWord(r)
		case "rationale":
			e.Rationale = r.Text()
		case "score":
			e.Value = r.Value()
		case "max_score":
			most = readWord(r)
		case "scoring_mode":
			r.Skip() // how the criterion is set up
		default:
			leave(r)
		}
	}
	e.ResultRaw = result.text
	e.Result, e.ResultMapping = judged(verdicts, notes, result)
	if limit, err := strconv.ParseFloat(most.text, 64); err == nil && isShare(e.GetValue(), limit) {
		share := e.GetValue().GetNumberValue() / limit
		e.Score = &share
	} else if most.text != "" {
		notes.UnmappedText(most.path, most.text)
	}
	return e
}

// isShare tells whether points are a share of the most that there can be.
func isShare(points *callnormv1.Value, most float64) bool {
	_, isNumber := points.GetKind().(*callnormv1.Value_NumberValue)
	return isNumber && most > 0 && points.GetNumberValue() >= 0 && points.GetNumberValue() <= most
}

// readFeedback reads what the contact thought of the conversation. Nothing was said where there is no rating and nothing is counted.
func (a *analysis) readFeedback(r *wire.Reader) {
	var rating, overall *callnormv1.Value
	comment := ""
	for name := range r.Members() {
		switch name {
		case "rating":
			rating = r.Value()
		case "overall_score":
			overall = r.Value()
		case "comment":
			comment = r.Text()
		case "likes", "dislikes":
			if count := r.Int(); count != nil && *count != 0 {
				value := &callnormv1.Value{Kind: &callnormv1.Value_NumberValue{NumberValue: float64(*count)}}
				a.opinion = append(a.opinion, &callnormv1.Evaluation{Criterion: "feedback." + name, Value: value})
			}
		default:
			leave(r)
		}
	}
	if rating != nil || comment != "" {
		a.opinion = append(a.opinion, &callnormv1.Evaluation{Criterion: "feedback.rating", Value: rating, Rationale: comment})
	}
	if overall != nil {
		a.opinion = append(a.opinion, &callnormv1.Evaluation{Criterion: "feedback.overall_score", Value: overall})
	}
}
