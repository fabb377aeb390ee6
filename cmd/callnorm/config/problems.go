package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong.
type Problem struct { //nolint:errname // users are told of problems; the word says what it is
	// File is the configuration file. It is empty where there is none, or where a flag or the environment is to blame.
	File string
	// Line and Column count from 1. They are 0 where the problem is not in the file.
	Line, Column int
	// Path is the place in the configuration: "sources[1] (sales-calls).adapter". It is empty for the file as a whole.
	Path string
	// Text explains it. It never repeats a secret.
	Text string
}

// Error returns FILE:LINE:COLUMN: PATH: TEXT, without what there is not.
func (p *Problem) Error() string {
	var parts []string
	switch {
	case p.Line > 0:
		parts = append(parts, fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column))
	case p.File != "":
		parts = append(parts, p.File)
	}
	if p.Path != "" {
		parts = append(parts, p.Path)
	}
	return strings.Join(append(parts, p.Text), ": ")
}

// maxProblems bounds how many problems are told.
const maxProblems = 200

// Problems are all things that are wrong, in the order of the file. Of very many, the last one tells how many more there are.
type Problems struct{ list []error } //nolint:errname // as above

func newProblems(list []*Problem) *Problems {
	slices.SortStableFunc(list, func(a, b *Problem) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Path, b.Path))
	})
	problems := new(Problems)
	for i, problem := range list {
		if i == maxProblems {
			problem = &Problem{File: problem.File, Text: fmt.Sprintf("and %d more", len(list)-i)}
		}
		if problems.list = append(problems.list, problem); i == maxProblems {
			break
		}
	}
	return problems
}

// Error returns a line for each problem.
func (p *Problems) Error() string {
	lines := make([]string, len(p.list))
	for i, problem := range p.list {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems, each a *Problem.
func (p *Problems) Unwrap() []error { return p.list }

// place is where something stands.
type place struct {
	line, column int
	path         string
	// set tells whether it stands there at all. Otherwise the place is that of what should hold it.
	set bool
	// overridden tells that it comes from a flag or the environment.
	overridden bool
	// wrong tells that it was reported already, and what follows from it is not worth a word.
	wrong bool
}

// problemf says what is wrong with a field of the document, which is given as a pointer.
func (l *load) problemf(field any, format string, args ...any) {
	if at := l.places[field]; !at.wrong {
		l.problemAtf(at, format, args...)
	}
}

// rejectf says what is wrong with a field of the document, which is given as a pointer, and that nothing else needs to be said.
func (l *load) rejectf(field any, format string, args ...any) {
	l.problemf(field, format, args...)
	at := l.places[field]
	at.wrong = true
	l.places[field] = at
}

func (l *load) problemAtf(at place, format string, args ...any) {
	l.problems = append(l.problems, l.describe(at, fmt.Sprintf(format, args...)))
}

// warningf says what is dubious about a field of the document, which is given as a pointer.
func (l *load) warningf(field any, format string, args ...any) {
	l.warnings = append(l.warnings, l.describe(l.places[field], fmt.Sprintf(format, args...)).Error())
}

func (l *load) describe(at place, text string) *Problem {
	problem := &Problem{File: l.file, Line: at.line, Column: at.column, Path: at.path, Text: text}
	if at.overridden {
		problem.File = ""
		problem.Path += " (of a flag or the environment)"
	}
	return problem
}

// wrong tells whether a field was rejected.
func (l *load) wrong(field any) bool { return l.places[field].wrong }

// fill sets what the user did not, or not well.
func fill[T any](l *load, field *T, value T) {
	if at := l.places[field]; !at.set || at.wrong {
		*field = value
	}
}

// didYouMean returns the nearest of the words as a question, or nothing where none is near.
func didYouMean(word string, words []string) string {
	best, least := "", len(word)/3+1
	for _, candidate := range words {
		if far := distance(word, candidate, least); far < least || far == least && best == "" {
			best, least = candidate, far
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance counts the letters to change, add or leave out that turn one word into another. Beyond a limit it is only more than
// that.
func distance(a, b string, limit int) int {
	if len(a) > len(b)+limit || len(b) > len(a)+limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// has tells whether the user set a field of the document, which is given as a pointer.
func (l *load) has(field any) bool { return l.places[field].set }
