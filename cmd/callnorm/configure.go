package main

import (
	"fmt"

	"github.com/callnorm/callnorm/adapters"
)

type configCommand struct {
	Validate configValidateCommand `cmd:"" help:"Check a configuration and list everything that is wrong with it."`
	Print    configPrintCommand    `cmd:"" help:"Print the configuration in force, with defaults and without secrets."`
}

type configValidateCommand struct{ configuration }

// Help shows an example.
func (configValidateCommand) Help() string {
	return `Reads the configuration as callnorm serve would, secrets and certificates included, and lists every problem with its
line. Exits with 0 when there is none, with 2 otherwise.

Example:

  callnorm config validate --config callnorm.yaml && kill -HUP $(pidof callnorm)`
}

// Run checks.
func (c configValidateCommand) Run(set *adapters.Set, streams streams) error {
	loaded, err := c.load(set)
	if err != nil {
		return err
	}
	for _, warning := range loaded.Warnings {
		_, _ = fmt.Fprintln(streams.err, "warning:", warning)
	}
	_, _ = fmt.Fprintf(streams.out, "the configuration is good; sources: %d, readers: %d\n", len(loaded.Sources), len(loaded.Readers))
	return nil
}

type configPrintCommand struct{ configuration }

// Help shows an example.
func (configPrintCommand) Help() string {
	return `Prints the configuration that callnorm serve would run with. Secrets are told by where they come from.

Example:

  callnorm config print --config callnorm.yaml`
}

// Run prints.
func (c configPrintCommand) Run(set *adapters.Set, streams streams) error {
	loaded, err := c.load(set)
	if err != nil {
		return err
	}
	return loaded.Print(streams.out)
}
