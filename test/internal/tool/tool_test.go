package tool

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/callnorm/callnorm/test/internal/process"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	none := errors.New("no such file")
	for name, test := range map[string]struct {
		args []string
		kept bool
		err  error
		code int
	}{
		"kept":                        {kept: true, code: Kept},
		"broken":                      {code: Broken},
		"nothing measured":            {err: none, code: Unmeasured},
		"nothing measured, says kept": {kept: true, err: none, code: Unmeasured},
		"the binary is gone":          {err: fmt.Errorf("at once: %w", errors.Join(none, process.ErrGone)), code: Broken},
		"help":                        {args: []string{"-h"}, code: Kept},
		"no such flag":                {args: []string{"-what"}, kept: true, code: Unmeasured},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var progress strings.Builder
			tool := Tool{Name: "some", Within: time.Minute, Flags: func(*flag.FlagSet) {}, Run: func(context.Context, io.Writer, io.Writer) (bool, error) {
				return test.kept, test.err
			}}
			if code := tool.run(t.Context(), test.args, io.Discard, &progress); code != test.code {
				t.Errorf("%d, want %d", code, test.code)
			}
			if test.err != nil && progress.String() != "some: "+test.err.Error()+"\n" {
				t.Errorf("%q", progress.String())
			}
		})
	}
}

func TestFlagsReachTheTool(t *testing.T) {
	t.Parallel()
	var binary, fixtures string
	var seed uint64
	tool := Tool{
		Name: "some", Within: time.Minute,
		Flags: func(flags *flag.FlagSet) {
			Common(flags, &binary, &fixtures)
			Seed(flags, &seed)
		},
		Run: func(ctx context.Context, _, progress io.Writer) (bool, error) {
			deadline, _ := ctx.Deadline()
			Draw(&seed, progress)
			return binary == "b" && fixtures == "adapters" && time.Until(deadline) > time.Minute && seed == 7, nil
		},
	}
	if code := tool.run(t.Context(), []string{"-binary", "b", "-within", "2m", "-seed", "7"}, io.Discard, io.Discard); code != Kept {
		t.Error(code)
	}
}

func TestADrawnSeedIsPrinted(t *testing.T) {
	t.Parallel()
	var seed uint64
	var progress strings.Builder
	if Draw(&seed, &progress); seed == 0 || progress.String() != fmt.Sprintf("seed %d\n", seed) {
		t.Errorf("%d, %q", seed, progress.String())
	}
}
