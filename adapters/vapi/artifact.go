package vapi

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// Where extracted fields come from.
const (
	fromStructuredData  = "analysis.structuredData"
	fromStructuredMulti = "analysis.structuredDataMulti"
	fromOutputs         = "artifact.structuredOutputs"
	fromSkippedOutputs  = "artifact.skippedStructuredOutputs"
	fromNodes           = "artifact.nodes"
)

func (p *report) readArtifact(r *wire.Reader, rank rank) {
	p.hasArtifact = p.hasArtifact || r.Kind() == '{'
	at := p.within(r, rank)
	for name := range r.Members() {
		switch name {
		case "structuredOutputs":
			p.readOutputs(r)
		case "skippedStructuredOutputs":
			p.readSkippedOutputs(r)
		case "structuredOutputsLastUpdatedAt":
			p.tellTime(analyzedAt, at, name, r)
		case "scorecards":
			p.readScorecards(r)
		case "variableValues":
			p.readVariables(r, inVariables)
		case "variables":
			p.readVariables(r, inOlderVariables)
		case "transfers":
			p.readTransfers(r)
		case "nodes":
			p.readNodes(r)
		case "assistantActivations":
			p.readActivations(r)
		case "performanceMetrics":
			p.readMetrics(r)
		default:
			p.artifactMember(r, at, name)
		}
	}
}

// recordingMembers are the members that hold the address of a recording.
var recordingMembers = map[string]callnormv1.RecordingKind{
	"recordingUrl":          callnormv1.RecordingKind_RECORDING_KIND_MONO,
	"combinedUrl":           callnormv1.RecordingKind_RECORDING_KIND_MONO,
	"presignedMonoUrl":      callnormv1.RecordingKind_RECORDING_KIND_MONO,
	"stereoRecordingUrl":    callnormv1.RecordingKind_RECORDING_KIND_STEREO,
	"stereoUrl":             callnormv1.RecordingKind_RECORDING_KIND_STEREO,
	"presignedStereoUrl":    callnormv1.RecordingKind_RECORDING_KIND_STEREO,
	"assistantUrl":          callnormv1.RecordingKind_RECORDING_KIND_AGENT,
	"presignedAssistantUrl": callnormv1.RecordingKind_RECORDING_KIND_AGENT,
	"customerUrl":           callnormv1.RecordingKind_RECORDING_KIND_CUSTOMER,
	"presignedCustomerUrl":  callnormv1.RecordingKind_RECORDING_KIND_CUSTOMER,
	"videoRecordingUrl":     callnormv1.RecordingKind_RECORDING_KIND_VIDEO,
	"videoUrl":              callnormv1.RecordingKind_RECORDING_KIND_VIDEO,
	"presignedVideoUrl":     callnormv1.RecordingKind_RECORDING_KIND_VIDEO,
}

// artifactMember reads a member that the artifact has, and in the layout of 2024 the message itself. What is not read here the
// reader keeps, among it `videoRecordingStartDelaySeconds`: milliseconds, by the documentation, in spite of its name.
func (p *report) artifactMember(r *wire.Reader, at *place, name string) {
	if kind, ok := recordingMembers[name]; ok {
		p.readRecording(r, kind, name)
		return
	}
	switch name {
	case "messages":
		p.readMessages(r)
	case "messagesOpenAIFormatted":
		r.Skip() // the messages once more, with the prompts
	case "transcript":
		p.tell(transcript, at, name, r.Text())
	case "recording":
		for name := range r.Members() {
			switch kind, ok := recordingMembers[name]; {
			case ok:
				p.readRecording(r, kind, name)
			case name == "mono" && r.Kind() == '"':
				p.readRecording(r, callnormv1.RecordingKind_RECORDING_KIND_MONO, name)
			case name == "mono":
				for name := range r.Members() {
					if kind, ok := recordingMembers[name]; ok {
						p.readRecording(r, kind, name)
					}
				}
			}
		}
	case "presignedUrlsExpiresAt":
		if p.expires == nil {
			p.expires = r.Time(true)
		}
	case "logUrl", "pcapUrl", "presignedLogUrl", "presignedPcapUrl":
		r.Skip() // diagnostics of the platform, at addresses that are credentials
	}
}

// readRecording reads the address of a recording. One that is signed works without credentials until it expires; the others last, and
// whether they need credentials depends on the account.
func (p *report) readRecording(r *wire.Reader, kind callnormv1.RecordingKind, name string) {
	uri := r.Text()
	if uri == "" {
		return
	}
	same := func(other *callnormv1.Recording) bool { return other.GetUri() == uri && other.GetKind() == kind }
	at := slices.IndexFunc(p.recordings, same)
	if at < 0 {
		at = len(p.recordings)
		p.recordings = append(p.recordings, &callnormv1.Recording{Kind: kind, Uri: uri})
	}
	recording := p.recordings[at]
	if known := recording.GetKindRaw(); len(name) > len(known) || len(name) == len(known) && name < known { // the longest tells most
		recording.KindRaw = name
	}
	if strings.HasPrefix(name, "presigned") {
		recording.AuthRequired = new(false)
	}
}

func (p *report) readAnalysis(r *wire.Reader, rank rank) {
	at := p.within(r, rank)
	for name := range r.Members() {
		switch name {
		case "summary":
			p.tell(summary, at, name, r.Text())
		case "successEvaluation":
			p.tell(successEvaluation, at, name, r.Text())
		case "structuredData":
			if !p.has(fromStructuredData) {
				p.readFields(r, fromStructuredData, "", name)
			}
		case "structuredDataMulti":
			if !p.has(fromStructuredMulti) {
				p.readMulti(r)
			}
		}
	}
}

// has tells whether fields from a place were read before. The reader keeps what is told once more.
func (p *report) has(source string) bool {
	return slices.ContainsFunc(p.fields, func(field *callnormv1.ExtractedField) bool { return field.GetSource() == source })
}

// readFields reads the members of an object that was extracted, or a value that is none.
func (p *report) readFields(r *wire.Reader, source, group, name string) {
	text := ""
	r.Peek(func(r *wire.Reader) { text = strings.TrimSpace(textOf(r)) })
	if r.Kind() == '"' && !strings.HasPrefix(text, "{") {
		if value := r.Value(); text != "" {
			p.fields = append(p.fields, &callnormv1.ExtractedField{Name: name, Value: value, GroupId: group, Source: source})
		}
		return
	}
	r.Embedded(func(r *wire.Reader) {
		if r.Kind() != '{' {
			if value := r.Value(); value != nil {
				p.fields = append(p.fields, &callnormv1.ExtractedField{Name: name, Value: value, GroupId: group, Source: source})
			}
			return
		}
		for name := range r.Members() {
			p.fields = append(p.fields, &callnormv1.ExtractedField{Name: name, Value: r.Value(), GroupId: group, Source: source})
		}
	})
}

// readMulti reads what several plans extracted: a list of objects by the key of the plan.
func (p *report) readMulti(r *wire.Reader) {
	r.Embedded(func(r *wire.Reader) {
		if r.Kind() == '{' {
			p.readPlans(r)
			return
		}
		for range r.Elements() {
			p.readPlans(r)
		}
	})
}

func (p *report) readPlans(r *wire.Reader) {
	for key := range r.Members() {
		p.readFields(r, fromStructuredMulti, key, key)
	}
}

func (p *report) readOutputs(r *wire.Reader) {
	if p.has(fromOutputs) {
		return
	}
	for id := range r.Members() {
		field := &callnormv1.ExtractedField{GroupId: id, Source: fromOutputs}
		for name := range r.Members() {
			switch name {
			case "name":
				field.Name = r.Text()
			case "result":
				field.Value = r.Value()
			}
		}
		if field.GetName() == "" {
			field.Name = id
		}
		p.fields = append(p.fields, field)
	}
}

// readSkippedOutputs reads what was not extracted, and the condition that was not met.
func (p *report) readSkippedOutputs(r *wire.Reader) {
	if p.has(fromSkippedOutputs) {
		return
	}
	for id := range r.Members() {
		field := &callnormv1.ExtractedField{Name: id, GroupId: id, Source: fromSkippedOutputs, Collected: new(false)}
		for name := range r.Members() {
			switch name {
			case "name":
				field.Name = r.Text()
			case "unmetCondition":
				field.Rationale = r.JSON()
			}
		}
		p.fields = append(p.fields, field)
	}
}

// readScorecards reads the points that a call got, in all and for each of the outputs that they rest on.
func (p *report) readScorecards(r *wire.Reader) {
	if len(p.evaluations) > 0 {
		return
	}
	for id := range r.Members() {
		card := &callnormv1.Evaluation{Id: id}
		p.evaluations = append(p.evaluations, card)
		for name := range r.Members() {
			switch name {
			case "name":
				card.Criterion = r.Text()
			case "score":
				card.Value = r.Value()
			case "scoreNormalized":
				card.Score = readShare(r, 100)
			case "metricPoints":
				for metric := range r.Members() {
					p.evaluations = append(p.evaluations, &callnormv1.Evaluation{
						Id: id + "/" + metric, Criterion: metric, Value: r.Value(),
					})
				}
			}
		}
	}
}

// readVariables reads the variables of the conversation. Some are set by Vapi, and say again who takes part.
func (p *report) readVariables(r *wire.Reader, rank rank) {
	at := p.within(r, rank)
	r.Embedded(func(r *wire.Reader) {
		for name := range r.Members() {
			switch object := r.Kind() == '{'; {
			case object && name == "customer":
				p.readCustomer(r, rank)
			case object && name == "phoneNumber":
				p.readPhoneNumber(r, rank)
			case object && name == "transport":
				p.readTransport(r, rank)
			default:
				p.addNamed(variables, at, name, r.Value())
			}
		}
	})
}

// readNodes reads the steps of a workflow. What was said in each stands among the messages.
func (p *report) readNodes(r *wire.Reader) {
	if len(p.nodes) > 0 {
		return
	}
	for range r.Elements() {
		node := ""
		var values func(func(*wire.Reader))
		for name := range r.Members() {
			switch name {
			case "nodeName", "name":
				node = r.Text()
			case "messages":
				r.Skip()
			case "variableValues":
				values = r.Later()
			}
		}
		if node != "" {
			p.nodes = append(p.nodes, node)
		}
		if values != nil {
			values(func(r *wire.Reader) { p.readFields(r, fromNodes, node, node) })
		}
	}
}

// activation is an assistant that took part.
type activation struct {
	name                      string
	id, version, squadVersion word
}

// readActivations reads which assistants took part, in their order.
func (p *report) readActivations(r *wire.Reader) {
	for range r.Elements() {
		var a activation
		for name := range r.Members() {
			switch name {
			case "assistantName":
				a.name = r.Text()
			case "assistantId":
				a.id = readWord(r)
			case "assistantVersion":
				a.version = readWord(r)
			case "squadVersion":
				a.squadVersion = readWord(r)
			}
		}
		p.activations = append(p.activations, a)
	}
}

// readMetrics reads how long the agent took to answer, in milliseconds. The averages, and what each delay consists of, have no place.
func (p *report) readMetrics(r *wire.Reader) {
	for name := range r.Members() {
		switch name {
		case "numUserInterrupted":
			p.interrupted[0] = r.Int()
		case "numAssistantInterrupted":
			p.interrupted[1] = r.Int()
		case "turnLatencies":
			notes := r.Notes()
			r.NoteIn(&wire.Notes{})
			r.Peek(p.readTurnDelays)
			r.NoteIn(notes)
			if r.Kind() != '[' || len(p.turnDelays) > 0 {
				r.Keep()
			} else {
				r.Skip()
			}
		}
	}
}

func (p *report) readTurnDelays(r *wire.Reader) {
	for range r.Elements() {
		for name := range r.Members() {
			if name != "turnLatency" {
				continue
			}
			if d := r.Duration(time.Millisecond); d != nil {
				p.turnDelays = append(p.turnDelays, d.AsDuration())
			}
		}
	}
	slices.Sort(p.turnDelays)
}

// percentile returns the delay that so many percent of the turns did not exceed.
func percentile(sorted []time.Duration, percent float64) time.Duration {
	rank := int(math.Ceil(percent / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}
