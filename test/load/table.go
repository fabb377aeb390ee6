package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/callnorm/callnorm/test/internal/report"
)

// results are what a run prints: a table for each part, and then the bars.
type results struct {
	tables   []*table
	memory   *table
	bars     report.Report
	progress io.Writer
}

func newResults(progress io.Writer) *results {
	return &results{
		progress: progress,
		bars:     report.Report{Title: "Bars"},
		memory:   &table{title: "Memory of the service", head: []string{"", "resident", "at most until then"}},
	}
}

// table has a column for what each row is about, and those of its head.
type table struct {
	title string
	head  []string
	rows  [][]string
}

func (r *results) table(title string, head ...string) *table {
	t := &table{title: title, head: head}
	r.tables = append(r.tables, t)
	return t
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(out io.Writer) error {
	_, _ = fmt.Fprintf(out, "%s\n\n", t.title)
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{t.head}, t.rows...) {
		_, _ = fmt.Fprintf(columns, "  %s\n", strings.Join(row, "\t"))
	}
	_, _ = fmt.Fprintln(columns)
	return columns.Flush()
}

// remember adds how much memory the service has.
func (r *results) remember(s *service, when string) error {
	now, err := s.Resident()
	if err != nil {
		return err
	}
	peak, err := s.Peak()
	r.memory.row(when, megabytes(now), megabytes(peak))
	return err
}

func (r *results) print(out io.Writer) (kept bool, err error) {
	for _, t := range append(r.tables, r.memory) {
		if err := t.print(out); err != nil {
			return false, err
		}
	}
	return r.bars.Kept(), r.bars.Print(out)
}

func megabytes(bytes int64) string { return fmt.Sprintf("%d MB", bytes>>20) }

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

func times(f float64) string { return fmt.Sprintf("%.2f", f) }

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
