// Package fill makes data directories that hold as many calls as one likes: what came in over a year, as webhooks do.
package fill

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

// Year is how far the calls are spread.
const Year = 365 * 24 * time.Hour

const (
	// EveryVoxia is how many calls there are for one of Voxia's, and everyAsked for one of those whose contact asked never to be called
	// again.
	EveryVoxia, everyAsked = 10, 3
	// callsOfContact is how often one person is called.
	callsOfContact = 3
	// late is how much the order of the calls differs from that of their times, at most.
	late = time.Hour
	// OwnNumber is the one that all calls are made from.
	OwnNumber = "+12125550100"
)

// Set is a number of calls over a year. Everything about a call depends on its number and the size of the set alone.
type Set struct {
	Calls  int
	End    time.Time
	Bodies Bodies
}

// Call is one of them.
type Call struct {
	number  int
	ID      string
	Contact string
	Begun   time.Time
}

// Call makes the n-th call. Those behind the last are made now, as new webhooks are.
func (s Set) Call(n int) Call {
	seed := sha256.Sum256(fmt.Appendf(nil, "call %d of %d", n, s.Calls))
	c := Call{number: n, ID: fmt.Sprintf("%x-%x-%x-%x-%x", seed[:4], seed[4:6], seed[6:8], seed[8:10], seed[10:16])}
	c.Contact = contactNumber(random(seed[16:]) % s.contacts())
	c.Begun = s.End
	if n < s.Calls {
		c.Begun = s.End.Add(-Year + time.Duration(float64(Year)*float64(n)/float64(s.Calls)) - time.Duration(random(seed[20:]))%late)
	}
	c.Begun = c.Begun.UTC().Truncate(time.Second)
	return c
}

func random(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

// contacts counts the people who are called.
func (s Set) contacts() int { return max(1, s.Calls/callsOfContact) }

func contactNumber(n int) string { return fmt.Sprintf("+1415%07d", n) }

func (c Call) voxia() bool { return c.number%EveryVoxia == EveryVoxia-1 }

// Sources, by the names of their adapters.
const (
	Synthflow = "synthflow"
	Voxia     = "voxia"
)

// Bodies are what a provider sends: the samples of its documentation.
type Bodies struct{ Synthflow, Voxia []byte }

// ReadBodies reads them from the folder of the adapters.
func ReadBodies(root string) (b Bodies, err error) {
	if b.Synthflow, err = os.ReadFile(filepath.Join(root, Synthflow, "testdata", "s00_synthflow_page_2025_10.json")); err != nil {
		return b, fmt.Errorf("%w: start at the root of the repository, or set -fixtures", err)
	}
	b.Voxia, err = os.ReadFile(filepath.Join(root, Voxia, "testdata", "c00_complete_call.json"))
	return b, err
}

// Webhook is a body and the source that it goes to.
type Webhook struct {
	Source string
	Body   []byte
}

// Webhooks returns what is told of a call, in the order in which it is told.
func (s Set) Webhooks(c Call) []Webhook {
	if c.voxia() {
		return s.voxia(c)
	}
	return []Webhook{{Synthflow, s.synthflow(c)}}
}

// synthflow is the sample with this call's id, numbers, time and status in it.
func (s Set) synthflow(c Call) []byte {
	body := s.Bodies.Synthflow
	for _, part := range [][2]string{
		{`"phone_number": "XXXXXXXX"`, `"phone_number": "` + c.Contact + `"`},
		{`"status": "completed"`, `"status": "` + c.status() + `"`},
		{`"call_id": "[UUID]"`, `"call_id": "` + c.ID + `"`},
		{`"start_time": "2025-10-27T10:59:46+01:00"`, `"start_time": "` + c.Begun.Format(time.RFC3339) +
			`", "phone_number_from": "` + OwnNumber + `", "phone_number_to": "` + c.Contact + `"`},
		{`"call_sid": ""`, `"call_sid": "CA` + fmt.Sprintf("%x", sha256.Sum256([]byte(c.ID)))[:32] + `"`},
	} {
		body = bytes.ReplaceAll(body, []byte(part[0]), []byte(part[1]))
	}
	return body
}

// unanswered are the statuses of every second call of Synthflow. How many there are has no divisor in common with EveryVoxia.
var unanswered = []string{"no-answer", "hangup_on_voicemail", "busy"}

func (c Call) status() string {
	if c.number%2 == 0 {
		return "completed"
	}
	return unanswered[c.number%len(unanswered)]
}

// voxiaResults are what the calls of Voxia led to. Every everyAsked-th contact asked never to be called again.
var voxiaResults = []string{"DO_NOT_CALL", "INTERESTED", "NOT_INTERESTED"}

// voxia tells of a call when it is connected, when it ends, and when it was looked into.
func (s Set) voxia(c Call) []Webhook {
	fixed := map[string]any{"id": c.ID, "createdAt": c.Begun.Format(time.RFC3339), "phoneFrom": OwnNumber}
	steps := []map[string]any{
		{"webhookEvent": "CONNECTED", "contact": map[string]any{"phoneNumber": c.Contact}},
		{"webhookEvent": "HANG_UP", "duration": 128, "hangUpReason": "CALL_FINISHED"},
	}
	list := make([]Webhook, 0, len(steps)+1)
	for _, step := range steps {
		maps.Copy(step, fixed)
		body, err := json.Marshal(step)
		if err != nil {
			panic(err) // texts and numbers alone
		}
		list = append(list, Webhook{Voxia, body})
	}
	result := voxiaResults[c.number/EveryVoxia%everyAsked]
	body := s.Bodies.Voxia
	for _, part := range [][2]string{
		{"66f2a9c1e4b0a35d7c9effff", c.ID}, {"+34912345678", OwnNumber}, {"+34612345678", c.Contact},
		{"2025-02-18T09:30:00.642Z", c.Begun.Format(time.RFC3339)},
		{"marta.ruiz@example.com", "contact" + c.Contact[1:] + "@example.com"}, {"INTERESTED", result},
	} {
		body = bytes.ReplaceAll(body, []byte(part[0]), []byte(part[1]))
	}
	if result == voxiaResults[0] {
		body = bytes.ReplaceAll(body, []byte(`"doNotCall": false`), []byte(`"doNotCall": true`))
	}
	return append(list, Webhook{Voxia, body})
}
