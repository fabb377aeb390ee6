// Package process runs the shipped binary as an operator does: it starts it in a directory of its own, kills it, stops it, and reads
// what it said.
package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"
)

// Process is the binary, in a directory of its own. Only one goroutine may start and end it.
type Process struct {
	// Dir holds all that it needs and keeps.
	Dir string
	// Under is what the binary is run by, such as a tracer with its flags. It has to become the binary, so that what is asked of the
	// process, and what is done to it, is the binary's.
	Under []string

	binary  string
	stays   bool // the directory, when it is removed
	command *exec.Cmd
	ended   chan struct{}
	exit    error // once ended
}

// LogFile is where its log is, in Dir.
const LogFile = "callnorm.log"

// New makes a temporary directory for a binary.
func New(binary, name string) (*Process, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "callnorm-"+name+"-")
	return &Process{Dir: dir, binary: binary}, err
}

// In takes a directory that stays.
func In(dir, binary string) (*Process, error) {
	binary, err := filepath.Abs(binary)
	return &Process{Dir: dir, binary: binary, stays: true}, err
}

// Write writes files into the directory, by their names.
func (p *Process) Write(files map[string]string) error {
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(p.Dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

var address = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// ErrNoAddress says that a process did not begin to serve.
var ErrNoAddress = errors.New("the service did not say where it listens")

// Start starts the binary, and returns that many addresses on loopback when it has said that it listens there.
func (p *Process) Start(ctx context.Context, addresses int, args ...string) (found []string, err error) {
	log, err := os.OpenFile(filepath.Join(p.Dir, LogFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	line := slices.Concat(p.Under, []string{p.binary}, args)
	// Not tied to ctx: when that ends, the process is still asked about its memory, and ends in Remove.
	p.command = exec.CommandContext(context.WithoutCancel(ctx), line[0], line[1:]...) //nolint:gosec // the binary is what the caller wants checked
	p.command.Stderr = log
	stdout, err := p.command.StdoutPipe()
	if err == nil {
		err = p.command.Start()
	}
	if err != nil {
		p.command = nil
		return nil, err
	}
	for lines := bufio.NewScanner(stdout); len(found) < addresses && lines.Scan(); {
		found = append(found, address.FindAllString(lines.Text(), 1)...)
	}
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		_, _ = io.Copy(io.Discard, stdout)
		p.exit = p.command.Wait()
	}()
	if len(found) < addresses {
		return nil, errors.Join(ErrNoAddress, p.Said())
	}
	return found, nil
}

// readyEvery is how often a process is asked whether it is ready.
const readyEvery = 2 * time.Millisecond

// WaitReady waits until the service says at an address that it can keep deliveries.
func (p *Process) WaitReady(ctx context.Context, address string) error {
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ended:
			return errors.Join(ErrGone, p.Said())
		case <-time.After(readyEvery):
		}
	}
}

// Run runs the binary once more, to its end, and returns its exit code and what it said.
func (p *Process) Run(ctx context.Context, args ...string) (code int, said string, err error) {
	text, err := exec.CommandContext(ctx, p.binary, args...).CombinedOutput() //nolint:gosec // the binary is what the caller wants checked
	if ended, ok := errors.AsType[*exec.ExitError](err); ok && ended.Exited() {
		return ended.ExitCode(), string(text), nil
	}
	return 0, string(text), err
}

// ErrGone says that the process ended by itself.
var ErrGone = errors.New("the process ended in the midst of it")

// While returns a context that ends with the process.
func (p *Process) While(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := p.ended
	go func() {
		select {
		case <-ended:
			cancel(ErrGone)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// grace is how long a process may take to end by itself.
const grace = time.Minute

var errLate = errors.New("it did not end after SIGTERM")

// Stop ends the process as an operator does.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	select {
	case <-p.ended:
		p.command = nil
		return p.exit
	case <-ctx.Done():
		return errLate
	}
}

// Signal sends a signal.
func (p *Process) Signal(signal os.Signal) error { return p.command.Process.Signal(signal) }

// Ended returns the exit code of the process once it has ended by itself, which is -1 when a signal has ended it.
func (p *Process) Ended(ctx context.Context) (code int, err error) {
	select {
	case <-p.ended:
		code = p.command.ProcessState.ExitCode()
		p.command = nil
		return code, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// Kill ends the process as a power cut does, as far as a process can tell.
func (p *Process) Kill() {
	_ = p.command.Process.Kill()
	<-p.ended
	p.command = nil
}

// End kills the process if it runs still.
func (p *Process) End() {
	if p.command != nil {
		p.Kill()
	}
}

// Remove ends the process if it runs still, and deletes all it kept, unless the directory stays.
func (p *Process) Remove() error {
	p.End()
	if p.stays {
		return nil
	}
	return os.RemoveAll(p.Dir)
}

// Said returns the last lines of the log as an error, for when something went wrong.
func (p *Process) Said() error {
	text, err := os.ReadFile(filepath.Join(p.Dir, LogFile))
	if err != nil {
		return err
	}
	const most = 4 << 10
	return fmt.Errorf("its log ends in:\n%s", text[max(0, len(text)-most):])
}

// Panics counts those that the log tells of.
func (p *Process) Panics() (count int, err error) {
	log, err := os.Open(filepath.Join(p.Dir, LogFile))
	if err != nil {
		return 0, err
	}
	defer func() { _ = log.Close() }()
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadBytes('\n')
		if bytes.Contains(line, []byte("panic")) || bytes.HasPrefix(line, []byte("fatal error:")) {
			count++
		}
		if errors.Is(err, io.EOF) {
			return count, nil
		}
		if err != nil {
			return count, err
		}
	}
}
