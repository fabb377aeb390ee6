package config

import (
	"slices"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/redaction"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/signature"
)

// schemeProvider takes what the adapter knows of its provider. It is the default.
const schemeProvider = "provider"

// bodiesInFlight is how many bodies of the largest size have to fit into limits.inflight_bytes.
const bodiesInFlight = 4

// sources checks the doors. Where there are none, and nobody outside reaches them, there is one for each provider.
func (l *load) sources(doc *document, local bool) []Source {
	if len(doc.Sources) == 0 {
		l.open(doc, local)
	}
	var list []Source
	names := make(map[string]bool)
	for i, configured := range doc.Sources {
		if configured == nil || l.wrong(configured) {
			continue
		}
		l.name(&configured.Name, names, "source")
		if source, ok := l.source(doc, i); ok {
			list = append(list, source)
		}
	}
	return list
}

// open adds a door for each provider that takes what anybody sends.
func (l *load) open(doc *document, local bool) {
	if !local || doc.PublicAddr != "" {
		l.problemf(&doc.Sources, "are missing: without any, there is a door for each provider that takes what anybody sends, which is for loopback alone; write "+
			"sources: [{name: NAME, adapter: ADAPTER, verification: {secret: {file: FILE}}}]")
		return
	}
	for _, adapter := range l.set.All() {
		for _, provider := range adapter.Providers() {
			doc.Sources = append(doc.Sources, &source{
				Name: provider, Adapter: adapter.Name(), Provider: provider, Enabled: true, Unverified: true,
			})
		}
	}
}

func (l *load) source(doc *document, index int) (Source, bool) {
	configured := doc.Sources[index]
	adapter, found := l.set.ByName(configured.Adapter)
	switch {
	case configured.Adapter == "":
		l.problemf(&configured.Adapter, "is missing; there are: %s", strings.Join(l.set.Names(), ", "))
	case !found:
		l.problemf(&configured.Adapter, "there is no %q; there are: %s%s", printable(configured.Adapter),
			strings.Join(l.set.Names(), ", "), didYouMean(configured.Adapter, l.set.Names()))
	case configured.Provider == "":
		configured.Provider = adapter.Providers()[0]
		if slices.Contains(adapter.Providers(), configured.Name) {
			configured.Provider = configured.Name
		}
	}
	if configured.Provider != "" && !properName.MatchString(configured.Provider) {
		l.problemf(&configured.Provider, properNames)
	}
	// See bounds.Budget: with less room than that, the largest body might always be refused.
	most := doc.Limits.InflightBytes / bodiesInFlight
	fill(l, &configured.MaxBodyBytes, min(defaultMaxBody, most))
	if configured.MaxBodyBytes < 1 || configured.MaxBodyBytes > highestMaxBody {
		l.problemf(&configured.MaxBodyBytes, "takes 1 to %d (%s)", highestMaxBody, highestMaxBody)
	} else if configured.MaxBodyBytes > most {
		l.problemf(&configured.MaxBodyBytes, "is more than a quarter of limits.inflight_bytes, %s", doc.Limits.InflightBytes)
	}
	fill(l, &configured.Enabled, true)
	l.publicURL(&configured.PublicURL)
	if configured.PublicURL == "" {
		configured.PublicURL = doc.PublicURL
	}
	source := Source{Source: intake.Source{
		Name: configured.Name, Adapter: adapter, Provider: configured.Provider, Event: configured.Event, Group: configured.Group,
		MaxBody: int64(configured.MaxBodyBytes), Disabled: !configured.Enabled, Hold: l.hold(doc, configured),
		SettleAfter: l.settleAfter(configured), Redaction: l.redaction(configured), Retention: l.retention(configured),
	}, Unverified: configured.Unverified}
	if configured.Rate != nil {
		if source.Rate = l.rate(configured.Rate); source.Rate.PerSecond == 0 && !l.has(&configured.Rate.PerSecond) {
			l.problemf(&configured.Rate.PerSecond, "is missing")
		}
	}
	switch {
	case configured.Unverified && configured.Verification != nil:
		l.problemf(&configured.Unverified, "stands beside verification: take one of them")
	case configured.Unverified:
	case configured.Verification == nil:
		l.problemf(configured, "takes verification, or unverified: true where anybody may deliver")
	default:
		source.Verifier, source.Secrets = l.verifier(configured, adapter, index)
	}
	return source, found
}

// settleAfter fills in how long a call waits for more.
func (l *load) settleAfter(configured *source) time.Duration {
	const longest = 30 * day
	fill(l, &configured.SettleAfter, intake.DefaultSettleAfter)
	if configured.SettleAfter < time.Second || configured.SettleAfter > longest {
		l.problemf(&configured.SettleAfter, "takes 1s to 720h")
	}
	return configured.SettleAfter
}

// redaction reads what is kept out of outcomes.
func (l *load) redaction(configured *source) redaction.Policy {
	var classes []redaction.Class
	var known []string
	for _, group := range redaction.Groups() {
		known = append(known, string(group.Class))
	}
	for i, text := range configured.Redact {
		switch class := redaction.Class(text); {
		case !slices.Contains(known, text):
			l.problemf(&configured.Redact[i], "is none of %s%s", strings.Join(known, ", "), didYouMean(text, known))
		case slices.Contains(classes, class):
			l.problemf(&configured.Redact[i], "stands here for the second time")
		default:
			classes = append(classes, class)
		}
	}
	policy, _ := redaction.NewPolicy(classes...) // All of them are known.
	return policy
}

// retention reads how long what comes in is kept.
func (l *load) retention(configured *source) intake.Retention {
	const leastBytes size = 1 << 20
	written := configured.Retention
	if written == nil || l.wrong(written) {
		return intake.Retention{}
	}
	for _, field := range []*age{&written.Age, &written.Deliveries} {
		if l.has(field) && time.Duration(*field) < time.Minute {
			l.problemf(field, "takes at least 1m; leave it out to keep everything")
		}
	}
	if l.has(&written.Bytes) && written.Bytes < leastBytes {
		l.problemf(&written.Bytes, "takes at least %s; leave it out to keep everything", leastBytes)
	}
	if written.Age > 0 && written.Deliveries > written.Age {
		l.problemf(&written.Deliveries, "is longer than age, %s, which removes deliveries as well", written.Age)
	}
	return intake.Retention{
		Age: time.Duration(written.Age), Bytes: int64(written.Bytes), Deliveries: time.Duration(written.Deliveries),
	}
}

// hold fills in how much is held.
func (l *load) hold(doc *document, configured *source) rejection.Limits {
	if configured.Hold == nil || configured.Hold.off {
		configured.Hold = nil
		return rejection.Limits{}
	}
	fill(l, &configured.Hold.Requests, rejection.DefaultRequests)
	fill(l, &configured.Hold.Bytes, rejection.DefaultBytes)
	if configured.Hold.Requests < 1 {
		l.problemf(&configured.Hold.Requests, "takes at least 1")
	}
	if configured.Hold.Bytes < 1 {
		l.problemf(&configured.Hold.Bytes, "takes at least 1")
	}
	if configured.Unverified {
		l.problemf(&configured.Hold, "stands beside unverified, which refuses nothing")
	}
	if doc.HoldKey == nil {
		l.problemf(&configured.Hold, "takes a hold_key at the top of the file, like hold_key: {file: hold.key}: what is held is encrypted")
	}
	return rejection.Limits{Requests: configured.Hold.Requests, Bytes: int64(configured.Hold.Bytes)}
}

// verifier builds what proves where deliveries come from.
func (l *load) verifier(configured *source, adapter adapters.Adapter, index int) (*signature.Verifier, []signature.Secret) {
	written := configured.Verification
	if l.wrong(written) {
		return nil, nil
	}
	one(l, &written.Secret, &written.Secrets, "secrets")
	one(l, &written.Header, &written.Headers, "headers")
	before := len(l.problems)
	settings := l.settings(configured, adapter)
	list, public := written.Secrets, settings.Scheme == signature.SchemeRSA || settings.Scheme == signature.SchemeEd25519
	switch {
	case public && len(list) > 0:
		l.rejectf(list[0], "has no place in the scheme %s, which takes public keys under keys", settings.Scheme)
	case public:
		list = written.Keys
	case settings.Scheme != "" && l.has(&written.Keys):
		l.problemf(&written.Keys, "has no place in the scheme %s, which takes secrets", settings.Scheme)
	}
	var secrets []signature.Secret
	var read []*reference // the secrets'
	for _, r := range list {
		if secret, ok := l.secret(r); ok {
			if !public {
				l.guarded(r)
			}
			l.own(r, secret, index)
			secrets, read = append(secrets, secret), append(read, r)
		}
	}
	if settings.Scheme == "" || len(secrets) == 0 && len(list) > 0 {
		return nil, nil // what is missing was reported
	}
	l.judge(written, settings, read, secrets)
	if len(secrets) == 0 {
		for _, key := range settings.Keys {
			secrets = append(secrets, signature.Secret(key))
		}
	}
	if len(l.problems) > before {
		return nil, nil
	}
	verifier, err := signature.New(settings, secrets)
	if err != nil {
		l.problemf(written, "%v", err)
	}
	return verifier, secrets
}

// judge reports what is wrong with the settings, and with each secret at its place.
func (l *load) judge(written *verification, settings signature.Settings, list []*reference, secrets []signature.Secret) {
	_, err := signature.New(settings, nil)
	general := each(err)
	for i, secret := range secrets {
		_, err := signature.New(settings, []signature.Secret{secret})
		own := each(err)
		for _, text := range own {
			if !slices.Contains(general, text) {
				l.problemf(list[i], "%s", strings.TrimPrefix(strings.TrimPrefix(text, "secret 1 "), "key 1 "))
			}
		}
		// What having one secret cured is none of the settings' fault.
		general = slices.DeleteFunc(general, func(text string) bool { return !slices.Contains(own, text) })
	}
	for _, text := range general {
		l.problemf(written, "%s", text)
	}
}

// each returns what each of joined errors says.
func each(err error) []string {
	var list []string
	for _, err := range leaves(err) {
		list = append(list, err.Error())
	}
	return list
}

// leaves takes joined errors apart.
func leaves(err error) []error {
	if err == nil {
		return nil
	}
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var list []error
	for _, err := range several.Unwrap() {
		list = append(list, leaves(err)...)
	}
	return list
}

// settings returns what a verification says, over what its adapter knows, and writes down what came out. Without a scheme the
// problem was reported.
func (l *load) settings(configured *source, adapter adapters.Adapter) signature.Settings {
	written := configured.Verification
	fill(l, &written.Scheme, schemeProvider)
	var known signature.Settings
	if able, ok := adapter.(adapters.Signed); ok {
		known = able.Signature()
	}
	scheme := signature.Scheme(written.Scheme)
	if scheme == schemeProvider {
		switch scheme = known.Scheme; {
		case adapter == nil:
			return signature.Settings{} // reported
		case scheme == "":
			l.problemf(written, "the adapter %s knows of no signature: set scheme to what its provider offers, one of %s", adapter.Name(), schemes)
			return signature.Settings{}
		}
		written.note = string(scheme) + ", as the adapter " + adapter.Name() + " knows it"
	}
	settings := known.Merge(signature.Settings{
		Scheme: scheme, Headers: written.Headers, Hash: written.Hash, Encoding: written.Encoding, Prefix: written.Prefix,
		SignatureKey: written.SignatureKey, TimestampKey: written.TimestampKey, Signed: string(written.Signed),
		TimestampHeader: written.TimestampHeader, TimestampUnit: written.TimestampUnit, Tolerance: written.Tolerance,
		SecretEncoding: written.SecretEncoding, PublicURL: configured.PublicURL,
	})
	if l.has(&written.Tolerance) && written.Tolerance == 0 {
		l.problemf(&written.Tolerance, "takes more than 0: no clock is exact")
	}
	if (scheme == signature.SchemeTwilio || strings.Contains(settings.Signed, "{url}")) && settings.PublicURL == "" {
		l.problemf(&configured.PublicURL, "is missing: the scheme %s signs the URL that the platform sees", scheme)
		settings.PublicURL = unknownURL
	}
	whole := settings.WithDefaults()
	written.Headers, written.Hash, written.Encoding, written.Prefix = whole.Headers, whole.Hash, whole.Encoding, whole.Prefix
	written.SignatureKey, written.TimestampKey, written.Signed = whole.SignatureKey, whole.TimestampKey, text(whole.Signed)
	written.TimestampHeader, written.TimestampUnit, written.Tolerance = whole.TimestampHeader, whole.TimestampUnit, whole.Tolerance
	written.SecretEncoding = whole.SecretEncoding
	return settings
}

// schemes lists what can be written instead of the provider's own.
const schemes = signature.SchemeHMAC + ", " + signature.SchemeRSA + ", " + signature.SchemeEd25519 + ", " + signature.SchemeHeader + ", " +
	signature.SchemeBearer + ", " + signature.SchemeBasic + ", " + signature.SchemePathToken + ", " + signature.SchemeStandardWebhooks + ", " +
	signature.SchemeTwilio
