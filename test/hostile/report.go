package main

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// report is what a mode measured, one row for each figure.
type report struct {
	title string
	rows  []row
	// examples show single failures.
	examples []string
}

type row struct {
	what, measured, promised string
	broken                   bool
}

// note adds a figure that nobody promised anything about.
func (r *report) note(what, measured string) {
	r.rows = append(r.rows, row{what: what, measured: measured})
}

// checkf adds a figure and whether it is as promised.
func (r *report) checkf(kept bool, what, promised, format string, args ...any) {
	r.rows = append(r.rows, row{what: what, measured: fmt.Sprintf(format, args...), promised: promised, broken: !kept})
}

// examplef shows a failure, if there are not enough already.
func (r *report) examplef(format string, args ...any) {
	const most = 10
	if len(r.examples) < most {
		r.examples = append(r.examples, fmt.Sprintf(format, args...))
	}
}

func (r *report) kept() bool {
	for _, row := range r.rows {
		if row.broken {
			return false
		}
	}
	return true
}

func (r *report) print(out io.Writer) error {
	_, _ = fmt.Fprintf(out, "%s\n\n", r.title)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprint(table, "  \tmeasured\tpromised\t\n")
	for _, row := range r.rows {
		verdict := ""
		switch {
		case row.broken:
			verdict = "BROKEN"
		case row.promised != "":
			verdict = "kept"
		}
		_, _ = fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", row.what, row.measured, row.promised, verdict)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, text := range r.examples {
		_, _ = fmt.Fprintf(out, "  ! %s\n", text)
	}
	_, err := fmt.Fprintln(out)
	return err
}

// grouped writes a count with commas.
func grouped[N int | int64](n N) string {
	text := strconv.FormatInt(int64(n), 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
