package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/callnorm/callnorm/test/internal/process"
	"github.com/callnorm/callnorm/test/internal/report"
)

const (
	// everySalvaged is how many rounds there are to one that salvages.
	everySalvaged = 3
	// everyKilled is how many rounds there are to one that damages what a killed process has left, with a journal.
	everyKilled = 4
)

// damage damages the files of a store at rest, each time otherwise, and looks what the binary makes of them: what it serves is what was
// written, what it does not serve it names, and what is intact comes back.
func (o *options) damage(ctx context.Context, r *report.Report, progress io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "callnorm-damage-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary, err := filepath.Abs(o.binary)
	if err != nil {
		return err
	}
	d := &damager{binary: binary, dir: dir, progress: progress, counts: map[string]int{}}
	if d.closed, d.killed, err = o.fillVault(ctx, d); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(progress, "damage: %d deliveries, %d outcomes, %d revisions; killed with a journal: %d, %d, %d\n",
		len(d.closed.truth.deliveries), len(d.closed.truth.newest), len(d.closed.truth.log),
		len(d.killed.truth.deliveries), len(d.killed.truth.newest), len(d.killed.truth.log))
	random := rand.New(rand.NewPCG(o.seed, 0xda3a9e)) //nolint:gosec // it has to be repeatable, not secret
	for round := range o.damages {
		if err := d.round(ctx, random, round); err != nil {
			return fmt.Errorf("damage, round %d: %w", round, err)
		}
		if (round+1)%20 == 0 {
			_, _ = fmt.Fprintf(progress, "damage: %d rounds\n", round+1)
		}
	}
	d.report(r, o.damages)
	return nil
}

// vault is a data directory, and what the API tells of it.
type vault struct {
	dir   string
	truth *picture
}

// damager is a run.
type damager struct {
	binary, dir    string
	closed, killed vault
	progress       io.Writer
	counts         map[string]int
	examples       []string
}

// How a damage was noticed, or why it need not be.
const (
	caughtAtStart  = "caught at start: refused, and named"
	caughtTail     = "caught at start: the end is missing"
	caughtAtRead   = "caught at read: answered with a reason"
	caughtByDoctor = "caught by doctor --deep alone"
	exempt         = "exempt: nothing that is kept was changed"
	unnoticed      = "unnoticed"

	servedWrong   = "answers that are not what was written"
	silentlyShort = "logs that are shorter, and take the cursors of what is missing"
	notThere      = "answers that what is kept is not there, with doctor --deep knowing better"
	panicked      = "panics"

	salvagedRounds = "rounds that were salvaged"
	salvagedWhole  = "of these, complete"
	salvageFailed  = "salvages that failed, or that callnorm check finds broken"
	salvageWrong   = "salvaged things that are not what was written"
	salvageLess    = "salvages that lost more than was damaged"
	salvageNothing = "rounds in which not one row was left"
)

func (d *damager) count(what, detail string) {
	d.counts[what]++
	switch what {
	case unnoticed, servedWrong, silentlyShort, panicked, salvageFailed, salvageWrong, salvageLess:
		d.examples = append(d.examples, what+": "+detail)
		_, _ = fmt.Fprintf(d.progress, "damage: %s: %s\n", what, detail)
	}
}

// round damages a copy, and looks what becomes of it.
func (d *damager) round(ctx context.Context, random *rand.Rand, round int) (err error) {
	from := d.closed
	if round%everyKilled == everyKilled-1 {
		from = d.killed
	}
	served, resting := filepath.Join(d.dir, "served"), filepath.Join(d.dir, "resting")
	defer func() { err = errors.Join(err, os.RemoveAll(served), os.RemoveAll(resting)) }()
	if err := os.CopyFS(served, os.DirFS(from.dir)); err != nil {
		return err
	}
	harm, err := vandalize(served, random)
	if err != nil {
		return err
	}
	if err := os.CopyFS(resting, os.DirFS(served)); err != nil {
		return err
	}
	name := fmt.Sprintf("round %d (%s)", round, harm.what)
	verdict, err := d.serve(ctx, served, from, name)
	if err != nil {
		return err
	}
	args := []string{"doctor", "--deep", "--data-dir", resting}
	salvages := round%everySalvaged == everySalvaged-1
	salvaged := filepath.Join(d.dir, "salvaged")
	defer func() { err = errors.Join(err, os.RemoveAll(salvaged)) }()
	if salvages {
		args = append(args, "--config", filepath.Join(d.dir, damageConfig), "--salvage-to", salvaged)
	}
	doctor := d.run(ctx, args...)
	switch {
	case doctor.code != 0 && doctor.code != 1 && !salvages:
		return fmt.Errorf("%s: doctor --deep: %w", name, doctor.err())
	case verdict.how != "":
	case doctor.code == 1:
		verdict.how = caughtByDoctor
	case verdict.missing == 0:
		verdict.how = exempt
	default:
		verdict.how = unnoticed
	}
	if verdict.missing > 0 && doctor.code == 1 {
		d.count(notThere, name)
	}
	d.count(verdict.how, fmt.Sprintf("%s: %d answers that it is not there, the first is %s", name, verdict.missing, verdict.example))
	if !salvages {
		return nil
	}
	return d.judgeSalvaged(ctx, doctor, salvaged, from, harm, name)
}

// seen is what the binary makes of a damaged directory. how is empty when it tells nothing.
type seen struct {
	how     string
	missing int
	example string
}

// serve starts the binary on a damaged directory, and reads everything.
func (d *damager) serve(ctx context.Context, dir string, from vault, name string) (v seen, err error) {
	p, api, err := d.start(ctx, dir)
	if p != nil {
		defer func() { err = errors.Join(err, p.Remove()) }()
	}
	if err != nil {
		said, readErr := os.ReadFile(filepath.Join(p.Dir, process.LogFile))
		if readErr != nil {
			return seen{}, errors.Join(err, readErr)
		}
		if text := string(said); strings.Contains(text, "panic") || !strings.Contains(text, "callnorm: open "+dir) {
			d.count(panicked, name+": "+text)
		}
		return seen{how: caughtAtStart}, nil
	}
	defer func() { err = errors.Join(err, api.close()) }()
	told, err := d.told(p)
	if err != nil {
		return seen{}, err
	}
	j := &judge{truth: from.truth, told: told}
	if err := j.all(ctx, api); err != nil {
		return seen{}, errors.Join(fmt.Errorf("%s: %w", name, err), p.Said())
	}
	said, err := os.ReadFile(filepath.Join(p.Dir, process.LogFile))
	if err != nil {
		return seen{}, err
	}
	if strings.Contains(string(said), "panic") {
		d.count(panicked, name)
	}
	for _, wrong := range j.wrong {
		d.count(servedWrong, name+": "+wrong)
	}
	if j.short {
		d.count(silentlyShort, name)
	}
	v = seen{missing: len(j.missing)}
	if len(j.missing) > 0 {
		v.example = j.missing[0]
	}
	switch {
	case told:
		v.how = caughtTail
	case len(j.refused) > 0:
		v.how = caughtAtRead
	}
	return v, nil
}

// told tells whether the binary has said that the end is missing.
func (d *damager) told(p *process.Process) (bool, error) {
	said, err := os.ReadFile(filepath.Join(p.Dir, process.LogFile))
	return strings.Contains(string(said), "a part of what was kept is missing"), err
}

// judgeSalvaged holds a new store that was made of a damaged one against the truth.
func (d *damager) judgeSalvaged(ctx context.Context, salvaged answer, to string, from vault, harm harm, name string) (err error) {
	d.count(salvagedRounds, name)
	if strings.Contains(salvaged.said, "not one row is intact") || harm.everything {
		d.count(salvageNothing, name)
		return nil
	}
	if salvaged.code != 0 && salvaged.code != 1 || !strings.Contains(salvaged.out, "written: ") {
		d.count(salvageFailed, name+": "+salvaged.err().Error())
		return nil
	}
	if checked := d.run(ctx, "check", to); checked.code != 0 {
		d.count(salvageFailed, name+": "+checked.err().Error())
		return nil
	}
	p, api, err := d.start(ctx, to)
	if p != nil {
		defer func() { err = errors.Join(err, p.Remove()) }()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: what was salvaged is not served: %w", name, err), p.Said())
	}
	defer func() { err = errors.Join(err, api.close()) }()
	j := &judge{truth: from.truth, salvaged: true}
	if err := j.all(ctx, api); err != nil {
		return fmt.Errorf("%s: salvaged: %w", name, err)
	}
	for _, wrong := range j.wrong {
		d.count(salvageWrong, name+": "+wrong)
	}
	if len(j.refused) > 0 {
		d.count(salvageWrong, name+": "+j.refused[0])
	}
	lost := len(j.missing)
	switch {
	case lost == 0:
		d.count(salvagedWhole, name)
	case lost > harm.most(from, d.closed):
		d.count(salvageLess, fmt.Sprintf("%s: %d things are missing, such as %s\n%s", name, lost, j.missing[0], salvaged.out))
	}
	return nil
}

// answer is what a command says.
type answer struct {
	code      int
	out, said string
}

func (a answer) err() error {
	return fmt.Errorf("exit code %d: %.500s ... %s", a.code, a.said[:min(500, len(a.said))], a.out[max(0, len(a.out)-500):]+a.said[max(0, len(a.said)-500):])
}

// run runs a command of the binary to its end.
func (d *damager) run(ctx context.Context, args ...string) answer {
	command := exec.CommandContext(ctx, d.binary, args...) //nolint:gosec // the binary is what the caller wants tortured
	var out, said strings.Builder
	command.Stdout, command.Stderr = &out, &said
	code := 0
	if err := command.Run(); err != nil {
		code = -1
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			code = exit.ExitCode()
		}
	}
	return answer{code, out.String(), said.String()}
}

// report tells what was counted.
func (d *damager) report(r *report.Report, rounds int) {
	for _, what := range []string{caughtAtStart, caughtTail, caughtAtRead, caughtByDoctor, exempt} {
		r.Note("damage, "+what, report.Grouped(d.counts[what]))
	}
	r.Note("damage, "+notThere, report.Grouped(d.counts[notThere]))
	for _, what := range []string{unnoticed, servedWrong, silentlyShort, panicked} {
		r.Checkf(d.counts[what] == 0, fmt.Sprintf("damage, %s, in %d rounds", what, rounds), "0", "%s", report.Grouped(d.counts[what]))
	}
	for _, what := range []string{salvagedRounds, salvagedWhole, salvageNothing} {
		r.Note("damage, "+what, report.Grouped(d.counts[what]))
	}
	for _, what := range []string{salvageFailed, salvageWrong, salvageLess} {
		r.Checkf(d.counts[what] == 0, "damage, "+what, "0", "%s", report.Grouped(d.counts[what]))
	}
	for _, example := range d.examples {
		r.Examplef("damage, %s", example)
	}
}
