// Package archive reads webhooks that somebody kept: one in each file, or one in each line of a file. It reads them one after the
// other, however large the files are, and can go on where it was.
package archive

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/klauspost/compress/gzip"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// MaxBody bounds a file that is one webhook, and a line: no source takes a larger body.
	MaxBody = 15 << 20
	// ProgressSuffix ends the names of files that remember how far an import has come. Directories are read without them.
	ProgressSuffix = ".import"
	// Stdin is the name of standard input.
	Stdin = "-"
	// headBytes of a file tell it from another one of the same name and size.
	headBytes = 4 << 10
)

// Item is what stands at one place of an archive.
type Item struct {
	// File and Line tell the place. A file that is one webhook has no lines.
	File string
	Line int64
	// Request is the webhook, without the source that shall take it. It is nil where there is none: Problem then tells why, or
	// nothing does, when only Next has moved on.
	Request *callnormv1.IngestDeliveryRequest
	// Problem says why there is no webhook, without quoting what is there.
	Problem error
	// Note is something to be told to whoever waits.
	Note string
	// Bytes counts what has been read of the files since the item before, and Skipped what did not have to be read again.
	Bytes, Skipped int64
	// Next is where to go on when everything up to here is done.
	Next Mark
}

// Place tells the place to a person.
func (i Item) Place() string {
	if i.Line == 0 {
		return i.File
	}
	return fmt.Sprintf("%s:%d", i.File, i.Line)
}

// Mark is a place of an archive, before which everything was read. The zero Mark is the beginning.
type Mark struct {
	// Files counts those that are finished, and Digest covers what identifies them.
	Files  int    `json:"files"`
	Digest string `json:"digest,omitempty"`
	// File is the one that was being read, Identity what it was, Offset and Line how far that went. The offset counts the bytes
	// after decompression.
	File     string `json:"file,omitempty"`
	Identity string `json:"identity,omitempty"`
	Offset   int64  `json:"offset,omitempty"`
	Line     int64  `json:"line,omitempty"`
}

// finish returns the mark behind a file that is finished.
func (m Mark) finish(identity string) Mark {
	sum := sha256.Sum256([]byte(m.Digest + identity))
	return Mark{Files: m.Files + 1, Digest: hex.EncodeToString(sum[:])}
}

// Archive is a file, a directory with all that is in it, or standard input.
type Archive struct {
	path  string
	lines bool
	stdin *bufio.Reader
	files []string
	size  int64
}

// Open finds the files of an archive. What stands in the lines of a file is told by its name, or by lines. Directories are walked
// in the order of the names; hidden files in them, and those that remember progress, are left out.
func Open(path string, lines bool, stdin io.Reader) (*Archive, error) {
	a := &Archive{path: path, lines: lines}
	if path == Stdin {
		a.stdin, a.files, a.size = bufio.NewReaderSize(stdin, headBytes), []string{Stdin}, -1
		return a, nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		err = a.walk()
		return a, err
	case !info.Mode().IsRegular():
		a.size = -1
	default:
		a.size = info.Size()
	}
	a.files = []string{path}
	return a, nil
}

func (a *Archive) walk() error {
	// With a separator at its end, a link to a directory is that directory.
	root := a.path + string(filepath.Separator)
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch hidden := strings.HasPrefix(entry.Name(), "."); {
		case err != nil:
			return err
		case path == root:
			return nil
		case hidden && entry.IsDir():
			return fs.SkipDir
		case hidden, entry.IsDir(), strings.HasSuffix(path, ProgressSuffix):
			return nil
		}
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() {
			a.files = append(a.files, path)
			a.size += info.Size()
		}
		return err
	})
}

// Size counts the bytes of the files as they are stored, or is negative when nobody knows before the end.
func (a *Archive) Size() int64 { return a.size }

// Items reads what follows a mark, until ctx ends. An error ends it as well: then a file cannot be read.
func (a *Archive) Items(ctx context.Context, from Mark) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		next, skipped, err := a.resume(from)
		if err != nil {
			yield(Item{}, err)
			return
		}
		if from.Files > 0 {
			start := Item{File: a.path, Skipped: skipped, Next: next}
			if next == (Mark{}) {
				start.Note = a.path + " is not what it was: it is read from the beginning"
			}
			if !yield(start, nil) {
				return
			}
		}
		for _, name := range a.files[next.Files:] {
			r := &reading{archive: a, ctx: ctx, name: name, mark: next, yield: yield}
			if err := r.read(); err != nil {
				if !errors.Is(err, errEnough) {
					yield(Item{}, err)
				}
				return
			}
			next = r.mark
		}
	}
}

// resume holds the finished files of a mark against those that there are. When they differ, everything begins anew.
func (a *Archive) resume(from Mark) (next Mark, skipped int64, err error) {
	if from.Files > len(a.files) {
		return Mark{}, 0, nil
	}
	var found Mark
	for _, name := range a.files[:from.Files] {
		f, err := a.open(name)
		if err != nil {
			return Mark{}, 0, err
		}
		found = found.finish(f.identity)
		skipped += max(0, f.size)
		f.close()
	}
	if found.Digest != from.Digest {
		return Mark{}, 0, nil
	}
	return from, skipped, nil
}

// file is an open one.
type file struct {
	io.Reader // what is in it, decompressed

	raw      *counter
	info     fs.FileInfo // nil for standard input
	size     int64       // negative when it is not known
	identity string      // of its name, size and head
	close    func()
}

// counter counts what is read.
type counter struct {
	io.Reader

	bytes int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.bytes += int64(n)
	return n, err
}

func (a *Archive) open(name string) (*file, error) {
	f := &file{size: -1, close: func() {}}
	head := a.stdin
	if name == Stdin && head != nil {
		f.raw = &counter{Reader: head}
	} else {
		opened, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		f.close = func() { _ = opened.Close() }
		if f.info, err = opened.Stat(); err != nil {
			f.close()
			return nil, err
		}
		if f.info.Mode().IsRegular() {
			f.size = f.info.Size()
		}
		head = bufio.NewReaderSize(opened, headBytes)
		f.raw = &counter{Reader: head}
	}
	begin, err := head.Peek(headBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		f.close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "%s\x00%d\x00", name, f.size)
	_, _ = sum.Write(begin)
	f.identity = hex.EncodeToString(sum.Sum(nil))
	f.Reader = f.raw
	return f, nil
}

var errEnough = errors.New("enough")

// reading is one file that is being read.
type reading struct {
	*file

	archive *Archive
	ctx     context.Context
	name    string
	mark    Mark
	told    int64 // bytes that items have told of
	yield   func(Item, error) bool
}

// item yields an item at a line, and whatever goes with it.
func (r *reading) item(item Item) error {
	item.File, item.Next, item.Bytes = r.name, r.mark, r.raw.bytes-r.told-item.Skipped
	if r.mark.File == "" && r.size >= 0 {
		item.Bytes = r.size - r.told // finished: some may have been passed over
	}
	r.told += item.Bytes + item.Skipped
	if !r.yield(item, nil) || r.ctx.Err() != nil {
		return errEnough
	}
	return nil
}

func (r *reading) read() error {
	var err error
	if r.file, err = r.archive.open(r.name); err != nil {
		return err
	}
	defer r.close()
	base, compressed := strings.CutSuffix(r.name, ".gz")
	if compressed {
		inflated, err := gzip.NewReader(r.raw)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		r.Reader = inflated
	}
	if r.archive.lines || base == Stdin || slices.Contains([]string{".jsonl", ".ndjson"}, filepath.Ext(base)) {
		return r.readLines()
	}
	return r.readBody()
}

// readBody reads a file that is one webhook. It was received when the file was written.
func (r *reading) readBody() error {
	body, err := io.ReadAll(io.LimitReader(r, MaxBody+1))
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	r.mark = r.mark.finish(r.identity)
	if len(body) > MaxBody {
		return r.item(Item{Problem: fmt.Errorf("it is larger than a body may be, %d MiB", MaxBody>>20)})
	}
	return r.item(Item{Request: &callnormv1.IngestDeliveryRequest{
		Body: &httpbody.HttpBody{Data: body}, ReceiveTime: timestamppb.New(r.info.ModTime()),
	}})
}

// readLines reads a file with a webhook in each line.
func (r *reading) readLines() error {
	if err := r.goOn(); err != nil {
		return err
	}
	lines := lineReader{in: bufio.NewReaderSize(r, 64<<10)}
	for {
		text, size, err := lines.next()
		if errors.Is(err, io.EOF) {
			r.mark = r.mark.finish(r.identity)
			return r.item(Item{})
		}
		r.mark.Offset += size
		r.mark.Line++
		item := Item{Line: r.mark.Line}
		switch {
		case errors.Is(err, errLineTooLong):
			item.Problem = err
		case err != nil:
			return fmt.Errorf("%s: after line %d: %w", r.name, r.mark.Line-1, err)
		case len(text) == 0:
			continue
		default:
			item.Request, item.Problem = parse(text)
		}
		if err := r.item(item); err != nil {
			return err
		}
	}
}

// goOn passes over what is done of this file, unless it is another one now.
func (r *reading) goOn() error {
	was := r.mark
	r.mark = Mark{Files: was.Files, Digest: was.Digest, File: r.name, Identity: r.identity}
	switch {
	case was.Offset == 0:
		return nil
	case was.Identity != r.identity:
		return r.item(Item{Note: r.name + " is not what it was: it is read from its beginning"})
	}
	if _, err := io.CopyN(io.Discard, r, was.Offset); err != nil {
		return fmt.Errorf("%s: on the way to line %d: %w", r.name, was.Line, err)
	}
	r.mark.Offset, r.mark.Line = was.Offset, was.Line
	return r.item(Item{Skipped: r.raw.bytes})
}
