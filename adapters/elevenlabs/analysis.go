package elevenlabs

import (
	"slices"
	"strconv"
	"strings"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/proto"
)

// analysis is what a language model of ElevenLabs makes of a conversation, and what the contact said of it.
type analysis struct {
	results        // the conversation's own agent asked for these
	scopes         []results
	success        word
	summary, title string
	remarks        []string
	opinion        []*callnormv1.Evaluation // the contact's
}

// results are what one agent asked for. They stand under their ids, and once more in lists.
type results struct {
	agent             string
	fields            []*callnormv1.ExtractedField
	evaluations       []*callnormv1.Evaluation
	listedFields      []listed[*callnormv1.ExtractedField]
	listedEvaluations []listed[*callnormv1.Evaluation]
}

// listed is a result in a list, and its place.
type listed[M any] struct {
	result M
	path   string
}

const dataCollection = "data_collection_results"

// read puts the results together when all are known, as they stand in any order.
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
				a.scopes = append(a.scopes, readScope(r, notes))
			}
		default:
			a.member(r, notes, name)
		}
	}
	a.addListed(notes)
	for i := range a.scopes {
		a.addScope(&a.scopes[i])
	}
}

func (s *results) member(r *wire.Reader, notes *wire.Notes, name string) {
	switch name {
	case dataCollection:
		for id := range r.Members() {
			if field := readField(r, id); field != nil {
				s.fields = append(s.fields, field)
			}
		}
	case "evaluation_criteria_results":
		for id := range r.Members() {
			if e := readEvaluation(r, notes, id); e != nil {
				s.evaluations = append(s.evaluations, e)
			}
		}
	case dataCollection + "_list":
		for range r.Elements() {
			if field := readField(r, ""); field != nil {
				s.listedFields = append(s.listedFields, listed[*callnormv1.ExtractedField]{field, r.Path()})
			}
		}
	case "evaluation_criteria_results_list":
		for range r.Elements() {
			if e := readEvaluation(r, notes, ""); e != nil {
				s.listedEvaluations = append(s.listedEvaluations, listed[*callnormv1.Evaluation]{e, r.Path()})
			}
		}
	default:
		leave(r)
	}
}

// readScope reads the results that one of several agents asked for.
func readScope(r *wire.Reader, notes *wire.Notes) results {
	var scope results
	for name := range r.Members() {
		if name == "source_agent_id" {
			scope.agent = r.Word()
		} else {
			scope.member(r, notes, name)
		}
	}
	scope.addListed(notes)
	return scope
}

// addScope adds the results of a scope. They are told apart by the id of its agent; what the conversation's own agent asked for is
// told beside it, too.
func (s *results) addScope(scope *results) {
	for _, field := range scope.fields {
		if !containsEqual(s.fields, field) {
			field.GroupId = scope.agent
			s.fields = append(s.fields, field)
		}
	}
	for _, e := range scope.evaluations {
		if !containsEqual(s.evaluations, e) {
			s.evaluations = append(s.evaluations, e)
		}
	}
}

func (s *results) addListed(notes *wire.Notes) {
	s.fields = withListed(notes, s.fields, s.listedFields, (*callnormv1.ExtractedField).GetName)
	s.evaluations = withListed(notes, s.evaluations, s.listedEvaluations, (*callnormv1.Evaluation).GetId)
}

// withListed adds what is not there with the same contents: a list repeats what stands under the ids.
func withListed[M proto.Message](notes *wire.Notes, known []M, list []listed[M], id func(M) string) []M {
	for _, l := range list {
		if containsEqual(known, l.result) {
			continue
		}
		if slices.ContainsFunc(known, func(other M) bool { return id(other) == id(l.result) }) {
			notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, l.path, "the result is told twice, with other contents")
		}
		known = append(known, l.result)
	}
	return known
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
