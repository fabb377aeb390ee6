package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/callnorm/callnorm/cmd/callnorm/config"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/internal/store/sqlite"
)

// directory names a data directory: by itself, or by the configuration of the server that uses it.
type directory struct {
	DataDir string `name:"data-dir" env:"CALLNORM_DATA_DIR" placeholder:"DIR" help:"Data directory (${data_dir})."`
	Config  string `env:"CALLNORM_CONFIG" placeholder:"FILE" help:"Configuration file that names it."`
}

func (d directory) path() (string, error) {
	if d.DataDir != "" {
		return d.DataDir, nil
	}
	path, err := config.DataDir(d.Config)
	if err != nil {
		return "", &usageError{err}
	}
	return path, nil
}

type backupCommand struct {
	directory

	File string `arg:"" placeholder:"FILE" help:"Where to write; it must not exist."`
}

// Help shows examples.
func (backupCommand) Help() string {
	return `Writes everything that is kept into one file, while the server goes on. Every delivery that was acknowledged before it
began is in it. Requests that were refused and held are not.

Example:

  callnorm backup --data-dir /var/lib/callnorm /backup/callnorm-$(date +%F).db`
}

// Run backs up.
func (c backupCommand) Run(ctx context.Context, streams streams) error {
	from, err := c.path()
	if err != nil {
		return err
	}
	if err := sqlite.Backup(ctx, from, c.File); err != nil {
		return fmt.Errorf("backup of %s: %w", from, err)
	}
	_, _ = fmt.Fprintln(streams.out, "written:", c.File)
	return nil
}

type restoreCommand struct {
	directory

	File string `arg:"" placeholder:"FILE" help:"What callnorm backup wrote."`
}

// Help shows examples.
func (restoreCommand) Help() string {
	return `Checks every row of a backup and makes a data directory of it. Subscribers go on with cursors from before the backup;
later ones are refused, and those subscribers start again at a time before it. The directory must hold no store yet.

Example:

  callnorm restore --data-dir /var/lib/callnorm /backup/callnorm-2026-11-21.db`
}

// Run restores.
func (c restoreCommand) Run(ctx context.Context, streams streams) error {
	to, err := c.path()
	if err != nil {
		return err
	}
	if err := sqlite.Restore(ctx, c.File, to); err != nil {
		return fmt.Errorf("restore into %s: %w", to, err)
	}
	_, _ = fmt.Fprintln(streams.out, "restored:", to)
	return nil
}

type checkCommand struct {
	Path string `arg:"" optional:"" default:"${data_dir}" placeholder:"PATH" help:"A data directory, which a server may be using, or a backup (${default})."`
}

// Help shows examples.
func (checkCommand) Help() string {
	return `Reads every row of a store or a backup and compares it with its checksum and with what refers to it. Takes minutes for a
million deliveries. Exits with 1 when something is broken, and names it.

Examples:

  callnorm check /var/lib/callnorm
  callnorm check /backup/callnorm-2026-11-21.db`
}

// Run checks.
func (c checkCommand) Run(ctx context.Context, streams streams) error {
	checked, err := sqlite.Check(ctx, c.Path, func(broken error) { _, _ = fmt.Fprintln(streams.err, broken) })
	if err != nil && !errors.Is(err, store.ErrCorrupt) {
		return fmt.Errorf("check: %w", err)
	}
	_, _ = fmt.Fprintf(streams.out, "deliveries: %d, contributions: %d, outcomes: %d, revisions: %d, broken: %d\n",
		checked.Deliveries, checked.Contributions, checked.Outcomes, checked.Entries, checked.Broken)
	if err != nil {
		return &incompleteError{}
	}
	return nil
}
