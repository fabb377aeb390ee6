package archive

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"pgregory.net/rapid"
)

// failing is a test or a property.
type failing interface {
	Helper()
	Fatal(args ...any)
	Context() context.Context
}

// write writes a file, and compresses it when its name says so.
func write(t failing, name, text string) {
	t.Helper()
	if strings.HasSuffix(name, ".gz") {
		var zipped bytes.Buffer
		w := gzip.NewWriter(&zipped)
		_, _ = w.Write([]byte(text))
		_ = w.Close()
		text = zipped.String()
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// line is a webhook in a line.
func line(body string) string { return fmt.Sprintf("{%s,\"body\":%q}\n", at, body) }

// open opens an archive.
func open(t failing, path string) *Archive {
	t.Helper()
	a, err := Open(path, false, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// told is what a reader sees of an archive.
type told struct {
	said  []string // place and body, problem or note
	marks []Mark   // after each of them
	last  Mark
	bytes int64
}

func read(t failing, a *Archive, from Mark) told {
	t.Helper()
	var all told
	for item, err := range a.Items(t.Context(), from) {
		if err != nil {
			t.Fatal(err)
		}
		all.bytes += item.Bytes + item.Skipped
		all.last = item.Next
		place := strings.TrimPrefix(strings.TrimPrefix(item.Place(), a.path), "/")
		switch {
		case item.Request != nil:
			all.said = append(all.said, place+" "+string(item.Request.GetBody().GetData()))
		case item.Problem != nil:
			all.said = append(all.said, place+" "+item.Problem.Error())
		case item.Note != "":
			all.said = append(all.said, "note")
		default:
			continue
		}
		all.marks = append(all.marks, item.Next)
	}
	return all
}

func TestFilesOfADirectoryAreReadInTheOrderOfTheirNames(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "archive")
	for name, text := range map[string]string{
		"b.json": `{"b":1}`, "a.jsonl": line("1") + "\n\n" + `{"body":1}` + "\n" + strings.TrimSuffix(line("2"), "\n"),
		"c/z.ndjson.gz": line("3") + line("4"), "c/a.txt": "a=1", "d.json.gz": `{"d":1}`,
		".hidden": "x", ".git/config": "x", "a.jsonl.import": "{}", "e.jsonl": "",
	} {
		write(t, filepath.Join(dir, name), text)
	}
	if err := os.Symlink(filepath.Join(dir, "b.json"), filepath.Join(dir, "f.json")); err != nil {
		t.Fatal(err)
	}
	a := open(t, dir)
	got := read(t, a, Mark{})
	want := []string{
		"a.jsonl:1 1", "a.jsonl:4 body is neither a text nor an object or array", "a.jsonl:5 2", `b.json {"b":1}`,
		"c/a.txt a=1", "c/z.ndjson.gz:1 3", "c/z.ndjson.gz:2 4", `d.json.gz {"d":1}`, `f.json {"b":1}`,
	}
	if diff := cmp.Diff(want, got.said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.bytes != a.Size() {
		t.Errorf("%d bytes of %d were told of", got.bytes, a.Size())
	}
}

func TestAFileIsReceivedWhenItWasWritten(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "one.json")
	write(t, name, "{}")
	written := time.Date(2023, 5, 6, 7, 8, 9, 0, time.UTC)
	if err := os.Chtimes(name, written, written); err != nil {
		t.Fatal(err)
	}
	for item, err := range open(t, name).Items(t.Context(), Mark{}) {
		if err != nil || !item.Request.GetReceiveTime().AsTime().Equal(written) || item.Place() != name {
			t.Errorf("%v %v", item, err)
		}
	}
}

func TestWhatIsLargerThanABodyIsPassedOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fits := line(strings.Repeat("y", MaxBody-len(line(""))))
	write(t, filepath.Join(dir, "a.jsonl"), line("1")+strings.Repeat("x", MaxBody+1)+"\n"+fits+line("2"))
	write(t, filepath.Join(dir, "b.json"), strings.Repeat("x", MaxBody+1))
	a := open(t, dir)
	got := read(t, a, Mark{})
	if len(got.said) != 5 || !strings.Contains(got.said[1], "a.jsonl:2 the line is longer") || !strings.HasPrefix(got.said[2], "a.jsonl:3 yyy") ||
		got.said[3] != "a.jsonl:4 2" || !strings.Contains(got.said[4], "larger than a body") {
		for _, said := range got.said {
			t.Errorf("%.100s", said)
		}
	}
	if got.bytes != a.Size() {
		t.Errorf("%d bytes of %d were told of", got.bytes, a.Size())
	}
}

func TestReadingGoesOnAtAnyMark(t *testing.T) {
	t.Parallel()
	root, tries := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		tries++
		dir := filepath.Join(root, fmt.Sprint(tries))
		for n, lines := range rapid.SliceOfN(rapid.IntRange(-1, 4), 1, 5).Draw(t, "lines of files, or a body") {
			name := filepath.Join(dir, fmt.Sprintf("%d", n))
			text := ""
			for i := range lines {
				text += rapid.SampledFrom([]string{line(fmt.Sprint(n, i)), "\n", "no webhook\n"}).Draw(t, "line")
			}
			switch {
			case lines < 0:
				name, text = name+".json", fmt.Sprint(n)
			default:
				name += rapid.SampledFrom([]string{".jsonl", ".jsonl.gz"}).Draw(t, "name")
			}
			write(t, name, text)
		}
		all := read(t, open(t, dir), Mark{})
		for i, mark := range append(all.marks, all.last) {
			a := open(t, dir)
			rest := read(t, a, mark)
			want := all.said[min(i+1, len(all.said)):]
			if diff := cmp.Diff(append([]string{}, want...), append([]string{}, rest.said...)); diff != "" {
				t.Fatalf("after %d items (-want +got):\n%s", i+1, diff)
			}
			if rest.bytes != a.Size() {
				t.Fatalf("after %d items, %d bytes of %d were told of", i+1, rest.bytes, a.Size())
			}
		}
	})
}

func TestWhatHasChangedIsReadAgain(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(t *testing.T, dir string)
		want   []string
	}{
		"nothing has": {func(*testing.T, string) {}, []string{"b.jsonl:2 3", "c.json {}"}},
		"the file that was being read, with another size": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "b.jsonl"), line("2")+line("3")+line("4"))
		}, []string{"note", "b.jsonl:1 2", "b.jsonl:2 3", "b.jsonl:3 4", "c.json {}"}},
		"the file that was being read, with another head": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "b.jsonl"), line("9")+line("3"))
		}, []string{"note", "b.jsonl:1 9", "b.jsonl:2 3", "c.json {}"}},
		"the file that was being read is gone": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "b.jsonl")); err != nil {
				t.Fatal(err)
			}
		}, []string{"c.json {}"}},
		"a file before": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "a.json"), "[1]")
		}, []string{"note", "a.json [1]", "b.jsonl:1 2", "b.jsonl:2 3", "c.json {}"}},
		"there is one more before": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "a"), "new")
		}, []string{"note", "a new", "a.json []", "b.jsonl:1 2", "b.jsonl:2 3", "c.json {}"}},
		"there is one more behind": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "d"), "new")
		}, []string{"b.jsonl:2 3", "c.json {}", "d new"}},
		"all are gone": {func(t *testing.T, dir string) {
			for _, name := range []string{"a.json", "b.jsonl", "c.json"} {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}, []string{"note"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, "a.json"), "[]")
			write(t, filepath.Join(dir, "b.jsonl"), line("2")+line("3"))
			write(t, filepath.Join(dir, "c.json"), "{}")
			mark := read(t, open(t, dir), Mark{}).marks[1]
			test.change(t, dir)
			if diff := cmp.Diff(test.want, read(t, open(t, dir), mark).said); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestStandardInputGoesOn(t *testing.T) {
	t.Parallel()
	stdin := func(text string) *Archive {
		a, err := Open(Stdin, false, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	text := line("1") + line("2") + line(strings.Repeat("3", 2*headBytes))
	all := read(t, stdin(text), Mark{})
	if got := read(t, stdin(text), all.marks[0]); len(got.said) != 2 || got.said[0] != ":2 2" {
		t.Errorf("%v", got.said)
	}
	if got := read(t, stdin(text), all.last); len(got.said) != 0 {
		t.Errorf("%v", got.said)
	}
	if got := read(t, stdin(line("0")+text), all.last); len(got.said) != 5 || got.said[0] != "note" || got.said[1] != ":1 0" {
		t.Errorf("%v", got.said)
	}
}

func TestWhatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "whole.gz"), strings.Repeat("{}", 1000))
	whole, err := os.ReadFile(filepath.Join(dir, "whole.gz"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"half.jsonl.gz": whole[:len(whole)-9], "half.json.gz": whole[:len(whole)-9], "none.gz": []byte("{}")} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var last error
		for _, err := range open(t, path).Items(t.Context(), Mark{}) {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), name) {
			t.Errorf("%s: %v", name, last)
		}
	}
	if _, err := Open(filepath.Join(dir, "nothing"), false, nil); err == nil {
		t.Error("a missing file was opened")
	}
}

func TestReadingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "a.jsonl")
	write(t, name, line("1")+line("2"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	count := 0
	for item, err := range open(t, name).Items(ctx, Mark{}) {
		if err != nil {
			t.Errorf("%s: %v", item.Place(), err)
		}
		count++
		cancel()
	}
	if count != 1 {
		t.Errorf("%d items were read", count)
	}
}
