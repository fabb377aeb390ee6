// Package report prints what a check measured, and whether it is as promised.
package report

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// Report is what a check measured, one row for each figure.
type Report struct {
	// Title says what was done.
	Title string

	rows []row
	// examples show single failures.
	examples []string
}

type row struct {
	what, measured, promised string
	broken                   bool
}

// Note adds a figure that nobody promised anything about.
func (r *Report) Note(what, measured string) {
	r.rows = append(r.rows, row{what: what, measured: measured})
}

// Checkf adds a figure and whether it is as promised.
func (r *Report) Checkf(kept bool, what, promised, format string, args ...any) {
	r.rows = append(r.rows, row{what: what, measured: fmt.Sprintf(format, args...), promised: promised, broken: !kept})
}

// Examplef shows a failure, if there are not enough already.
func (r *Report) Examplef(format string, args ...any) {
	const most = 10
	if len(r.examples) < most {
		r.examples = append(r.examples, fmt.Sprintf(format, args...))
	}
}

// Kept tells whether all is as promised.
func (r *Report) Kept() bool { return len(r.Broken()) == 0 }

// Broken returns the names of the figures that are not as promised.
func (r *Report) Broken() []string {
	var list []string
	for _, row := range r.rows {
		if row.broken {
			list = append(list, row.what)
		}
	}
	return list
}

// Print writes a table.
func (r *Report) Print(out io.Writer) error {
	_, _ = fmt.Fprintf(out, "%s\n\n", r.Title)
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

// Grouped writes a count with commas.
func Grouped[N int | int64](n N) string {
	text := strconv.FormatInt(int64(n), 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// ErrorOr returns what an error says, or a text when there is none.
func ErrorOr(err error, text string) string {
	if err != nil {
		return err.Error()
	}
	return text
}
