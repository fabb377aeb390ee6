package server

import (
	"strconv"
	"time"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/server/bounds"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics counts what happens. Labels are names of providers, adapters and states, never anything that a payload holds.
type Metrics struct {
	registry    *prometheus.Registry
	deliveries  *prometheus.CounterVec
	normalized  *prometheus.HistogramVec
	unmapped    *prometheus.CounterVec
	faults      *prometheus.CounterVec
	commits     *prometheus.CounterVec
	commitTime  prometheus.Histogram
	commitGroup prometheus.Histogram
	streams     prometheus.Gauge
	rejected    *prometheus.CounterVec
	connections *prometheus.CounterVec
	denied      *prometheus.CounterVec
	settled     *prometheus.CounterVec
	trimmed     *prometheus.CounterVec
}

// sourceLabel names the source, as the configuration does.
const sourceLabel = "source"

// NewMetrics returns metrics in a registry of their own.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callnorm_deliveries_total", Help: "Deliveries that were kept, by what became of them.",
		}, []string{"provider", "state", "duplicate"}),
		normalized: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "callnorm_normalize_seconds", Help: "Time that adapters took.",
			Buckets: prometheus.ExponentialBuckets(1e-5, 4, 9),
		}, []string{"adapter"}),
		unmapped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callnorm_unmapped_fields_total", Help: "Fields that providers sent and this version does not map.",
		}, []string{"provider"}),
		faults: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callnorm_faults_total", Help: "Items that could not be normalized, by reason.",
		}, []string{"adapter", "reason"}),
		commits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callnorm_commits_total", Help: "Transactions of the store.",
		}, []string{"result"}),
		commitTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "callnorm_commit_seconds", Help: "Time that transactions took, with their fsync.",
			Buckets: prometheus.ExponentialBuckets(1e-4, 3, 10),
		}),
		commitGroup: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "callnorm_commit_deliveries", Help: "Deliveries that shared one transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "callnorm_streams", Help: "Open outcome streams.",
		}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callnorm_rejections_total", Help: "Requests that were refused at the door, by source and cause.",
		}, []string{sourceLabel, "cause"}),
		denied: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callnorm_denied_total", Help: "Calls and routes that readers were kept out of, by code.",
		}, []string{"code"}),
		settled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callnorm_settled_total", Help: "Calls that became final because the time to wait for more had passed.",
		}, []string{sourceLabel}),
		trimmed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callnorm_trimmed_total", Help: "What retention has removed: outcomes, revisions and deliveries.",
		}, []string{sourceLabel, "what"}),
		connections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callnorm_refused_connections_total", Help: "Connections beyond the limits, in total or of one address.",
		}, []string{"limit"}),
	}
	m.registry.MustRegister(
		m.deliveries, m.normalized, m.unmapped, m.faults, m.commits, m.commitTime, m.commitGroup, m.streams, m.rejected, m.connections, m.denied,
		m.settled, m.trimmed,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Delivered counts a delivery, and the fields that it brought and nobody mapped.
func (m *Metrics) Delivered(provider string, state callnormv1.DeliveryState, duplicate bool, unmapped int) {
	m.deliveries.WithLabelValues(provider, state.String(), strconv.FormatBool(duplicate)).Inc()
	if !duplicate && unmapped > 0 {
		m.unmapped.WithLabelValues(provider).Add(float64(unmapped))
	}
}

// Normalized counts what an adapter made of a payload.
func (m *Metrics) Normalized(adapter string, took time.Duration, result adapters.Result, err error) {
	m.normalized.WithLabelValues(adapter).Observe(took.Seconds())
	for _, fault := range result.Faults {
		m.faults.WithLabelValues(adapter, fault.GetReason().String()).Inc()
	}
	if fault, ok := err.(*adapters.Error); ok { //nolint:errorlint // the intake returns nothing else
		m.faults.WithLabelValues(adapter, fault.Reason.String()).Inc()
	}
}

// Committed counts a transaction of the store.
func (m *Metrics) Committed(deliveries int, took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.commits.WithLabelValues(result).Inc()
	m.commitTime.Observe(took.Seconds())
	m.commitGroup.Observe(float64(deliveries))
}

// Rejected counts a request that was refused. Sources are named by the configuration, never by a request.
func (m *Metrics) Rejected(source string, cause callnormv1.RejectionCause) {
	m.rejected.WithLabelValues(source, cause.String()).Inc()
}

// Settled counts a call that became final by itself.
func (m *Metrics) Settled(source string) { m.settled.WithLabelValues(source).Inc() }

// Trimmed counts what retention has removed.
func (m *Metrics) Trimmed(source string, removed store.Removed) {
	m.trimmed.WithLabelValues(source, "outcomes").Add(float64(removed.Outcomes))
	m.trimmed.WithLabelValues(source, "revisions").Add(float64(removed.Revisions))
	m.trimmed.WithLabelValues(source, "deliveries").Add(float64(removed.Deliveries))
}

func (m *Metrics) refusedConnection(limit string) { m.connections.WithLabelValues(limit).Inc() }

// observe shows how much of bodies is in memory.
func (m *Metrics) observe(budget *bounds.Budget) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "callnorm_inflight_bytes", Help: "Bytes of bodies that are in memory.",
	}, func() float64 { return float64(budget.InFlight()) }))
}
