package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/callnorm/callnorm/test/internal/report"
)

// The two sides of each comparison.
const (
	small = iota
	large
	sides
)

// Bars.
const (
	maxRatio        = 1.3 // one at a time
	maxCrowdedRatio = 2   // at many connections
	maxStart        = 2 * time.Second
	maxMemory       = 150 << 20
)

// table is what was measured.
type table struct {
	figures []figure
	ratios  []ratio
}

// figure is one that both sides have, with a bar for each of them or none.
type figure struct {
	what     string
	measured [sides]string
	bar      string
	broken   bool
}

// ratio compares the times of both sides.
type ratio struct {
	what     string
	p50, p99 [sides]time.Duration
	ratio    float64
	bar      float64
}

func (r ratio) broken() bool { return r.bar > 0 && r.ratio > r.bar }

func (r *table) kept() bool {
	return !slices.ContainsFunc(r.figures, func(f figure) bool { return f.broken }) && !slices.ContainsFunc(r.ratios, ratio.broken)
}

func (r *table) print(out io.Writer, sizes [sides]int) error {
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(r.figures) > 0 {
		_, _ = fmt.Fprintf(columns, "\t%s calls\t%s calls\tpromised\t\n", report.Grouped(sizes[small]), report.Grouped(sizes[large]))
	}
	for _, f := range r.figures {
		_, _ = fmt.Fprintf(columns, "%s\t%s\t%s\t%s\t%s\n", f.what, f.measured[small], f.measured[large], f.bar, verdict(f.bar != "", f.broken))
	}
	_, _ = fmt.Fprintf(columns, "\t\t\t\t\n\tp50, p99 of %s\tof %s\tratio of p50\tpromised\t\n", report.Grouped(sizes[small]), report.Grouped(sizes[large]))
	for _, m := range r.ratios {
		bar := ""
		if m.bar > 0 {
			bar = fmt.Sprintf("at most %.1f", m.bar)
		}
		_, _ = fmt.Fprintf(columns, "%s\t%s, %s\t%s, %s\t%.2f\t%s\t%s\n", m.what,
			milliseconds(m.p50[small]), milliseconds(m.p99[small]), milliseconds(m.p50[large]), milliseconds(m.p99[large]),
			m.ratio, bar, verdict(m.bar > 0, m.broken()))
	}
	return columns.Flush()
}

func verdict(promised, broken bool) string {
	switch {
	case broken:
		return "BROKEN"
	case promised:
		return "kept"
	}
	return ""
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 2, 64) + " ms"
}

// quantile returns the least of sorted values that a share of them does not exceed.
func quantile[T any](sorted []T, share float64) T {
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}
