package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"
)

// year is how far the calls are spread.
const year = 365 * 24 * time.Hour

const (
	// everyVoxia is how many calls there are for one of Voxia's, and everyAsked for one of those whose contact asked never to be called
	// again.
	everyVoxia, everyAsked = 10, 3
	// callsOfContact is how often one person is called.
	callsOfContact = 3
	// late is how much the order of the calls differs from that of their times, at most.
	late = time.Hour
	// ownNumber is the one that all calls are made from.
	ownNumber = "+12125550100"
)

// set is a number of calls over a year. Everything about a call depends on its number and the size of the set alone.
type set struct {
	calls  int
	end    time.Time
	bodies bodies
}

// call is one of them.
type call struct {
	number  int
	id      string
	contact string
	begun   time.Time
}

// call makes the n-th call. Those behind the last are made now, as new webhooks are.
func (s set) call(n int) call {
	seed := sha256.Sum256(fmt.Appendf(nil, "call %d of %d", n, s.calls))
	c := call{number: n, id: fmt.Sprintf("%x-%x-%x-%x-%x", seed[:4], seed[4:6], seed[6:8], seed[8:10], seed[10:16])}
	c.contact = contactNumber(random(seed[16:]) % s.contacts())
	c.begun = s.end
	if n < s.calls {
		c.begun = s.end.Add(-year + time.Duration(float64(year)*float64(n)/float64(s.calls)) - time.Duration(random(seed[20:]))%late)
	}
	c.begun = c.begun.UTC().Truncate(time.Second)
	return c
}

func random(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

// contacts counts the people who are called.
func (s set) contacts() int { return max(1, s.calls/callsOfContact) }

func contactNumber(n int) string { return fmt.Sprintf("+1415%07d", n) }

func (c call) voxia() bool { return c.number%everyVoxia == everyVoxia-1 }

// The sources, by the names of their adapters.
const (
	sourceSynthflow = "synthflow"
	sourceVoxia     = "voxia"
)

// bodies are what a provider sends: the samples of its documentation.
type bodies struct{ synthflow, voxia []byte }

func readBodies(root string) (b bodies, err error) {
	if b.synthflow, err = os.ReadFile(filepath.Join(root, sourceSynthflow, "testdata", "s00_synthflow_page_2025_10.json")); err != nil {
		return b, fmt.Errorf("%w: start at the root of the repository, or set -fixtures", err)
	}
	b.voxia, err = os.ReadFile(filepath.Join(root, sourceVoxia, "testdata", "c00_complete_call.json"))
	return b, err
}

// webhook is a body and the source that it goes to.
type webhook struct {
	source string
	body   []byte
}

// webhooks returns what is told of a call, in the order in which it is told.
func (s set) webhooks(c call) []webhook {
	if c.voxia() {
		return s.voxia(c)
	}
	return []webhook{{sourceSynthflow, s.synthflow(c)}}
}

// synthflow is the sample with this call's id, numbers, time and status in it.
func (s set) synthflow(c call) []byte {
	body := s.bodies.synthflow
	for _, part := range [][2]string{
		{`"phone_number": "XXXXXXXX"`, `"phone_number": "` + c.contact + `"`},
		{`"status": "completed"`, `"status": "` + c.status() + `"`},
		{`"call_id": "[UUID]"`, `"call_id": "` + c.id + `"`},
		{`"start_time": "2025-10-27T10:59:46+01:00"`, `"start_time": "` + c.begun.Format(time.RFC3339) +
			`", "phone_number_from": "` + ownNumber + `", "phone_number_to": "` + c.contact + `"`},
		{`"call_sid": ""`, `"call_sid": "CA` + fmt.Sprintf("%x", sha256.Sum256([]byte(c.id)))[:32] + `"`},
	} {
		body = bytes.ReplaceAll(body, []byte(part[0]), []byte(part[1]))
	}
	return body
}

// unanswered are the statuses of every second call of Synthflow. How many there are has no divisor in common with everyVoxia.
var unanswered = []string{"no-answer", "hangup_on_voicemail", "busy"}

func (c call) status() string {
	if c.number%2 == 0 {
		return "completed"
	}
	return unanswered[c.number%len(unanswered)]
}

// voxiaResults are what the calls of Voxia led to. Every everyAsked-th contact asked never to be called again.
var voxiaResults = []string{"DO_NOT_CALL", "INTERESTED", "NOT_INTERESTED"}

// voxia tells of a call when it is connected, when it ends, and when it was looked into.
func (s set) voxia(c call) []webhook {
	fixed := map[string]any{"id": c.id, "createdAt": c.begun.Format(time.RFC3339), "phoneFrom": ownNumber}
	steps := []map[string]any{
		{"webhookEvent": "CONNECTED", "contact": map[string]any{"phoneNumber": c.contact}},
		{"webhookEvent": "HANG_UP", "duration": 128, "hangUpReason": "CALL_FINISHED"},
	}
	list := make([]webhook, 0, len(steps)+1)
	for _, step := range steps {
		maps.Copy(step, fixed)
		body, err := json.Marshal(step)
		if err != nil {
			panic(err) // texts and numbers alone
		}
		list = append(list, webhook{sourceVoxia, body})
	}
	result := voxiaResults[c.number/everyVoxia%everyAsked]
	body := s.bodies.voxia
	for _, part := range [][2]string{
		{"66f2a9c1e4b0a35d7c9effff", c.id}, {"+34912345678", ownNumber}, {"+34612345678", c.contact},
		{"2025-02-18T09:30:00.642Z", c.begun.Format(time.RFC3339)},
		{"marta.ruiz@example.com", "contact" + c.contact[1:] + "@example.com"}, {"INTERESTED", result},
	} {
		body = bytes.ReplaceAll(body, []byte(part[0]), []byte(part[1]))
	}
	if result == voxiaResults[0] {
		body = bytes.ReplaceAll(body, []byte(`"doNotCall": false`), []byte(`"doNotCall": true`))
	}
	return append(list, webhook{sourceVoxia, body})
}
