// Command callnorm takes the webhooks of calling platforms in, keeps them, and hands out one canonical outcome for each call.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/callnorm/callnorm/adapters/catalog"
	"github.com/callnorm/callnorm/cmd/callnorm/config"
	"github.com/callnorm/callnorm/internal/store"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
	// exitDevice says that the disk has failed a write or a sync. Starting again is safe, and the way out.
	exitDevice = 3
	// exitLocked says that another process uses the data directory. Starting again does not help while that runs.
	exitLocked = 4
)

// commands is the command line. Each command is a file of its own.
type commands struct {
	Serve        serveCommand        `cmd:"" help:"Take webhooks in and hand outcomes out."`
	Tail         tailCommand         `cmd:"" help:"Follow the outcomes of a running server."`
	List         listCommand         `cmd:"" help:"List the outcomes of a running server."`
	Show         showCommand         `cmd:"" help:"Show one outcome, or how it came to be what it is."`
	Delete       deleteCommand       `cmd:"" help:"Delete what is known of a call or of a person."`
	Subscription subscriptionCommand `cmd:"" help:"See how far the subscriptions of a running server are, and move or delete them."`
	Doctor       doctorCommand       `cmd:"" help:"Say what is wrong with a running server, and what to do about it."`
	Verify       verifyCommand       `cmd:"" help:"Explain whether a saved request is genuine, or take refused requests in after a fix."`
	Import       importCommand       `cmd:"" help:"Take archived webhooks in, with the times at which they were received."`
	Quarantine   quarantineCommand   `cmd:"" help:"See what could not be normalized, and try again."`
	Renormalize  renormalizeCommand  `cmd:"" help:"Normalize kept deliveries again, after an adapter was corrected."`
	Backup       backupCommand       `cmd:"" help:"Write everything that is kept into one file."`
	Restore      restoreCommand      `cmd:"" help:"Make a data directory of a backup."`
	Check        checkCommand        `cmd:"" help:"Read every row of a store or a backup, and name what is broken."`
	Config       configCommand       `cmd:"" help:"Check or print the configuration."`
	Normalize    normalizeCommand    `cmd:"" help:"Normalize a payload from a file, without a server."`
	Send         sendCommand         `cmd:"" help:"Post a sample of what a provider sends to a running server."`
	Version      versionCommand      `cmd:"" help:"Print the version."`
}

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the default is restored, so that a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}

const description = `callnorm turns the webhooks of calling platforms into one canonical call outcome.

Examples:

  callnorm serve
  callnorm tail --from beginning
  callnorm normalize --adapter voxia payload.json
  callnorm serve --help`

// usageError says that a command cannot be carried out as it was given.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// exited carries the exit code of --help through kong, which wants to end the process by itself.
type exited struct{ code int }

func run(ctx context.Context, args []string, io streams) (code int) {
	defer func() {
		if cause := recover(); cause != nil {
			early, ok := cause.(exited)
			if !ok {
				panic(cause)
			}
			code = early.code
		}
	}()
	set, err := catalog.Set()
	if err != nil {
		return fail(io, err)
	}
	var line commands
	parser, err := kong.New(&line,
		kong.Name("callnorm"),
		kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.Writers(io.out, io.err),
		kong.Exit(func(code int) { panic(exited{code}) }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(io, set),
		kong.Vars{
			"http_addr": config.DefaultHTTPAddr, "grpc_addr": config.DefaultGRPCAddr, "data_dir": config.DefaultDataDir,
			"adapters": strings.Join(set.Names(), ", "),
		},
	)
	if err != nil {
		return fail(io, err)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		_, _ = fmt.Fprintf(io.err, "callnorm: %v\nTry callnorm --help.\n", err)
		return exitUsage
	}
	return fail(io, parsed.Run())
}

// fail prints an error and returns the exit code that belongs to it.
func fail(io streams, err error) int {
	usage, quiet := (*usageError)(nil), (*incompleteError)(nil)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &quiet):
		return exitError
	case errors.As(err, &usage):
		_, _ = fmt.Fprintln(io.err, "callnorm:", err)
		return exitUsage
	}
	_, _ = fmt.Fprintln(io.err, "callnorm:", err)
	switch {
	case errors.Is(err, store.ErrDevice):
		return exitDevice
	case errors.Is(err, store.ErrLocked):
		return exitLocked
	}
	return exitError
}

// incompleteError ends with exit code 1 after everything was said already.
type incompleteError struct{}

func (*incompleteError) Error() string { return "not everything was done" }
