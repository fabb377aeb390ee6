package main

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/callnorm/callnorm/test/internal/report"
	"github.com/callnorm/callnorm/test/internal/tool"
)

const (
	// inflated is how large a bomb is inside, in blocks of a megabyte.
	inflated = 10_000
	block    = 1_000_000
	// What a bomb may cost.
	bombMemory = 32 << 20
	bombTime   = 200 * time.Millisecond
	// settle is how long the process has to be done with a request that was answered.
	settle = time.Second
)

// sendBombs sends bodies of gzip that inflate to a thousand times their size, and measures what each costs the process.
func (*options) sendBombs(ctx context.Context, s *service, g *generator, _ io.Writer) (*report.Report, error) {
	ctx, cancel := s.While(ctx)
	defer cancel()
	d := g.doors["synthflow"][1]
	c := client(1)
	// What the first requests cost is none of the bombs'.
	for range 100 {
		if status, text := sendZipped(ctx, c, s, d, zipped(bytes.Repeat([]byte(" "), 100_000)), true); status != http.StatusOK {
			return nil, fmt.Errorf("an honest gzip body was answered %d: %s", status, text)
		}
	}
	one, err := bomb(inflated)
	if err != nil {
		return nil, err
	}
	member, err := bomb(inflated / 100)
	if err != nil {
		return nil, err
	}
	r := &report.Report{Title: fmt.Sprintf("gzip bodies of %.1f MB that inflate to %.0f GB", float64(len(one))/1e6, inflated*block/1e9)}
	for _, shape := range []struct {
		what     string
		wire     []byte
		declared bool
	}{
		{"one member", one, true},
		{"one member, in chunks", one, false},
		{"a hundred members", bytes.Repeat(member, 100), true},
	} {
		if err := s.Level(); err != nil {
			return nil, err
		}
		before, err := s.Peak()
		if err != nil {
			return nil, err
		}
		used, err := s.CPU()
		if err != nil {
			return nil, err
		}
		status, _ := sendZipped(ctx, c, s, d, shape.wire, shape.declared)
		if err := tool.Wait(ctx, settle); err != nil {
			return nil, err
		}
		after, err := s.Peak()
		if err != nil {
			return nil, err
		}
		spent, err := s.CPU()
		if err != nil {
			return nil, err
		}
		r.Checkf(status == http.StatusRequestEntityTooLarge, shape.what+": answer", "413", "%d", status)
		r.Checkf(after-before < bombMemory, "  growth of the peak of resident memory", "under 32 MB", "%.1f MB", float64(after-before)/(1<<20))
		r.Checkf(spent-used < bombTime, "  processor time", "under 200 ms", "%d ms", (spent - used).Milliseconds())
	}
	return r, nil
}

// sendZipped sends a compressed body that is signed as it goes over the wire.
func sendZipped(ctx context.Context, c *http.Client, s *service, d *door, wire []byte, declared bool) (status int, text []byte) {
	header, err := d.sign(d.honest, wire)
	if err != nil {
		return 0, []byte(err.Error())
	}
	header.Set("Content-Encoding", "gzip")
	var body io.Reader = bytes.NewReader(wire)
	if !declared {
		body = io.MultiReader(body) // of which nobody knows the length
	}
	return post(ctx, c, s.url(d, ""), header, body)
}

// bomb returns a gzip member that inflates to that many blocks of blanks. It is put together, as compressing all of it takes long:
// behind the first block, which has nothing before it, every block of blanks is compressed to the same bytes.
func bomb(blocks int) ([]byte, error) {
	blanks := bytes.Repeat([]byte(" "), block)
	var wire bytes.Buffer
	w, err := flate.NewWriter(&wire, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	ends := make([]int, 3)
	for i := range ends {
		if _, err := w.Write(blanks); err != nil {
			return nil, err
		}
		if err := w.Flush(); err != nil {
			return nil, err
		}
		ends[i] = wire.Len()
	}
	first, next := wire.Bytes()[:ends[0]], wire.Bytes()[ends[1]:ends[2]]
	whole := slices.Concat(first, bytes.Repeat(next, blocks-1))
	sum := uint32(0)
	for range blocks {
		sum = crc32.Update(sum, crc32.IEEETable, blanks)
	}
	head := zipped(nil)[:10]                                                 // of gzip, without its options
	whole = slices.Concat(head, whole, []byte{0x01, 0x00, 0x00, 0xff, 0xff}) // a last block, stored and empty
	whole = binary.LittleEndian.AppendUint32(whole, sum)
	return binary.LittleEndian.AppendUint32(whole, uint32(blocks*block)), nil
}
