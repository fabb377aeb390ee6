package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/callnorm/callnorm/internal/signature"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// service is the binary, running with a configuration and a data directory that this tool made.
type service struct {
	binary, dir string
	token       string
	command     *exec.Cmd
	ended       chan struct{}
	exit        error // once ended

	// public, rest and grpc are its addresses. They stay the same over restarts.
	public, rest, grpc string
}

const (
	configFile = "callnorm.yaml"
	tokenFile  = "operator.token"
	holdFile   = "hold.key"
	logFile    = "callnorm.log"
)

// newService writes the configuration into a new temporary directory.
func newService(binary string, doors map[string][2]*door) (*service, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "callnorm-hostile-")
	if err != nil {
		return nil, err
	}
	s := &service{binary: binary, dir: dir, token: hex.EncodeToString([]byte(rand.Text()))}
	if err := s.configure(doors); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

func (s *service) configure(doors map[string][2]*door) error {
	files := map[string]string{tokenFile: s.token, holdFile: rand.Text() + rand.Text()}
	var text strings.Builder
	_, _ = fmt.Fprintf(&text, `public_addr: 127.0.0.1:0
http_addr: 127.0.0.1:0
grpc_addr: 127.0.0.1:0
hold_key: {file: %s}
readers:
  - {name: operator, roles: [operate], token: {file: %s}}
sources:
`, holdFile, tokenFile)
	for _, pair := range doors {
		for _, d := range pair {
			file := d.name + ".secret"
			files[file] = d.secret
			where := "secret: {file: " + file + "}"
			switch {
			case d.settings.Scheme == signature.SchemeRSA:
				where = "keys: [{file: " + file + "}]"
			case d.scheme == string(signature.SchemeHMAC): // whole, as otherwise what the adapter knows of HMAC holds
				where += fmt.Sprintf(", header: %s, encoding: %s, signed: %q", d.settings.Headers[0], d.settings.Encoding, d.settings.Signed)
			}
			_, _ = fmt.Fprintf(&text, "  - {name: %s, adapter: %s, hold: true, verification: {scheme: %s, %s}}\n", d.name, d.adapter, d.scheme, where)
		}
	}
	files[configFile] = text.String()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

var address = regexp.MustCompile(`127\.0\.0\.1:\d+`)

var errNoAddress = errors.New("the service did not say where it listens")

// start starts the binary, at the addresses of the time before if there was one, and returns when it listens.
func (s *service) start(ctx context.Context) error {
	args := []string{"serve", "--config", filepath.Join(s.dir, configFile), "--data-dir", filepath.Join(s.dir, "data")}
	if s.public != "" {
		args = append(args, "--public-addr", s.public, "--http-addr", s.rest, "--grpc-addr", s.grpc)
	}
	log, err := os.OpenFile(filepath.Join(s.dir, logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	// Not tied to ctx: when that ends, the process is still asked about its memory, and ends in remove.
	s.command = exec.CommandContext(context.WithoutCancel(ctx), s.binary, args...) //nolint:gosec // the binary is what the caller wants attacked
	s.command.Stderr = log
	stdout, err := s.command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.command.Start(); err != nil {
		s.command = nil
		return err
	}
	var found []string
	for lines := bufio.NewScanner(stdout); len(found) < 3 && lines.Scan(); {
		found = append(found, address.FindAllString(lines.Text(), 1)...)
	}
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		_, _ = io.Copy(io.Discard, stdout)
		s.exit = s.command.Wait()
	}()
	if len(found) < 3 {
		return errors.Join(errNoAddress, s.said())
	}
	s.public, s.rest, s.grpc = found[0], found[1], found[2]
	return nil
}

var errGone = errors.New("the process ended in the midst of it")

// while returns a context that ends with the process.
func (s *service) while(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := s.ended
	go func() {
		select {
		case <-ended:
			cancel(errGone)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// grace is how long a process may take to end by itself.
const grace = 30 * time.Second

var errLate = errors.New("it did not end after SIGTERM")

// stop ends the process as an operator does.
func (s *service) stop(ctx context.Context) error {
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	select {
	case <-s.ended:
		s.command = nil
		return s.exit
	case <-ctx.Done():
		return errLate
	}
}

// kill ends the process as a power cut does, as far as a process can tell.
func (s *service) kill() {
	_ = s.command.Process.Kill()
	<-s.ended
	s.command = nil
}

// remove ends the process if it runs still, and deletes all it kept.
func (s *service) remove() error {
	if s.command != nil {
		s.kill()
	}
	return os.RemoveAll(s.dir)
}

// said returns the last lines of the log as an error, for when something went wrong.
func (s *service) said() error {
	text, err := os.ReadFile(filepath.Join(s.dir, logFile))
	if err != nil {
		return err
	}
	const most = 4 << 10
	return fmt.Errorf("its log ends in:\n%s", text[max(0, len(text)-most):])
}

// panics counts those that the log tells of.
func (s *service) panics() (count int, err error) {
	log, err := os.Open(filepath.Join(s.dir, logFile))
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

// url returns where a door is.
func (s *service) url(d *door, path string) string {
	return "http://" + s.public + "/v1/webhooks/" + d.name + path
}

// dial connects to gRPC as an operator.
func (s *service) dial() (*grpc.ClientConn, error) {
	return grpc.NewClient(s.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// operator returns a context with the operator's token.
func (s *service) operator(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+s.token)
}

// client returns one that keeps as many connections as there are senders.
func client(senders int) *http.Client {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	return &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, MaxIdleConnsPerHost: senders, MaxConnsPerHost: senders, DisableCompression: true,
			WriteBufferSize: 16 << 10, ReadBufferSize: 8 << 10,
		},
	}
}

// peak returns the most resident memory that the process has had, in bytes.
func (s *service) peak() (int64, error) {
	text, err := os.ReadFile(s.proc("status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errNoPeak
}

var errNoPeak = errors.New("/proc does not tell the peak of memory")

// level sets the peak back to what is resident now.
func (s *service) level() error { return os.WriteFile(s.proc("clear_refs"), []byte("5"), 0o200) }

// ticks is how many of the kernel's ticks there are in a second.
const ticks = 100

// cpu returns the processor time that the process has used, in steps of 10 ms.
func (s *service) cpu() (time.Duration, error) {
	text, err := os.ReadFile(s.proc("stat"))
	if err != nil {
		return 0, err
	}
	// The name of the process may have anything in it; utime and stime are the 12th and 13th field behind it.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, errNoTimes
	}
	var sum int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}

var errNoTimes = errors.New("/proc does not tell the processor time")

func (s *service) proc(file string) string {
	return filepath.Join("/proc", strconv.Itoa(s.command.Process.Pid), file)
}
