package intake

import (
	"time"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/redaction"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/signature"
	"golang.org/x/time/rate"
)

// Source is a configured door.
type Source struct {
	// Name is its place in the URL.
	Name string
	// Adapter understands what comes in.
	Adapter adapters.Adapter
	// Provider is what the outcomes are said to come from.
	Provider string
	// Event is used where neither the path nor the body tell one.
	Event string
	// Group is shared by sources that see the same calls. Outcomes are identified within it. Empty means the source alone.
	Group string
	// MaxBody is the largest body in bytes.
	MaxBody int64
	// Disabled closes the door without forgetting the source.
	Disabled bool
	// Verifier proves where deliveries come from. Without one they are taken from anybody.
	Verifier *signature.Verifier
	// Secrets are the verifier's, newest first. They are only told apart here.
	Secrets []signature.Secret
	// Hold bounds the refused requests that are held to be verified again. Zero holds none.
	Hold rejection.Limits
	// Rate bounds how much is let in, after verification. Zero is no bound.
	Rate Rate
	// SettleAfter is how long a call that has ended waits for what its provider usually tells besides, after the last word.
	SettleAfter time.Duration
	// Redaction keeps parts of what is told out of the outcomes.
	Redaction redaction.Policy
	// Retention says how long what comes in is kept.
	Retention Retention
}

// ReadsQuery tells whether a delivery may come by GET, with everything in its query.
func (s Source) ReadsQuery() bool {
	adapter, ok := s.Adapter.(adapters.Queried)
	return ok && adapter.ReadsQuery()
}

// redact keeps out of an outcome what the source's policy says, and notes that.
func (s Source) redact(call *callnormv1.CallOutcome) {
	classes := s.Redaction.Classes()
	if len(classes) == 0 {
		return
	}
	s.Redaction.Apply(call)
	for _, class := range classes {
		call.Provenance.RedactedClasses = append(call.Provenance.RedactedClasses, string(class))
	}
}

// Rate is a token bucket.
type Rate struct {
	PerSecond float64
	Burst     int
}

// door is a source with what it needs at work.
type door struct {
	Source

	fingerprints []rejection.Fingerprint
	bucket       *rate.Limiter
}

// doors are the sources of one configuration. They never change; another configuration is another one.
type doors struct {
	list   []Source
	byName map[string]*door
}

// Reload replaces all sources at once. Requests that found their source before go on with it. A bucket goes on where it was,
// unless its rate is another one now.
func (in *Intake) Reload(sources []Source) {
	before := in.doors.Load()
	next := &doors{list: sources, byName: make(map[string]*door, len(sources))}
	for _, source := range sources {
		d := &door{Source: source}
		for _, secret := range source.Secrets {
			d.fingerprints = append(d.fingerprints, in.Rejections.Fingerprint([]byte(secret)))
		}
		if source.Rate.PerSecond > 0 {
			if old := before.byName[source.Name]; old != nil && old.Rate == source.Rate {
				d.bucket = old.bucket
			} else {
				d.bucket = rate.NewLimiter(rate.Limit(source.Rate.PerSecond), max(1, source.Rate.Burst))
			}
		}
		next.byName[source.Name] = d
	}
	in.doors.Store(next)
}

// Sources returns the sources in the order in which they were configured.
func (in *Intake) Sources() []Source { return in.doors.Load().list }

// Source returns the source of a name, ErrSourceNotFound or ErrSourceDisabled.
func (in *Intake) Source(name string) (Source, error) {
	d, err := in.door(name)
	if err != nil {
		return Source{}, err
	}
	return d.Source, nil
}

func (in *Intake) door(name string) (*door, error) {
	d, ok := in.doors.Load().byName[name]
	switch {
	case !ok:
		return nil, ErrSourceNotFound
	case d.Disabled:
		return nil, ErrSourceDisabled
	}
	return d, nil
}

// Fingerprints returns how the rejections know the secrets of a source, newest first.
func (in *Intake) Fingerprints(name string) []rejection.Fingerprint {
	if d := in.doors.Load().byName[name]; d != nil {
		return d.fingerprints
	}
	return nil
}

// admit takes a token out of the source's bucket.
func (d *door) admit(now time.Time) error {
	if d.bucket == nil {
		return nil
	}
	reservation := d.bucket.ReserveN(now, 1)
	if delay := reservation.DelayFrom(now); delay > 0 {
		reservation.CancelAt(now)
		return &BusyError{RetryAfter: delay}
	}
	return nil
}
