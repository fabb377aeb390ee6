package process

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Resident returns the resident memory of the process, in bytes.
func (p *Process) Resident() (int64, error) { return p.memory("VmRSS:") }

// Peak returns the most resident memory that the process has had, in bytes.
func (p *Process) Peak() (int64, error) { return p.memory("VmHWM:") }

// Level sets the peak back to what is resident now.
func (p *Process) Level() error { return os.WriteFile(p.Proc("clear_refs"), []byte("5"), 0o200) }

func (p *Process) memory(name string) (int64, error) {
	text, err := os.ReadFile(p.Proc("status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errNoMemory
}

var errNoMemory = errors.New("/proc does not tell the resident memory")

// ticks is how many of the kernel's ticks there are in a second.
const ticks = 100

// CPU returns the processor time that the process has used, in steps of 10 ms.
func (p *Process) CPU() (time.Duration, error) {
	text, err := os.ReadFile(p.Proc("stat"))
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

// Proc returns the path of what the kernel tells about the process.
func (p *Process) Proc(file string) string {
	return filepath.Join("/proc", strconv.Itoa(p.command.Process.Pid), file)
}
