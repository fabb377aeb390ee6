package main

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// smallTruth is a log of four revisions of two outcomes.
func smallTruth() *picture {
	log := []logged{
		{"outcomes/a", 1, fingerprint{1}, "1", 1}, {"outcomes/b", 1, fingerprint{2}, "2", 2},
		{"outcomes/a", 2, fingerprint{3}, "3", 3}, {"outcomes/b", 2, fingerprint{4}, "4", 4},
	}
	p := &picture{log: log, places: map[string]int{}, revisions: map[string]int32{"outcomes/a": 2, "outcomes/b": 2}}
	for i, e := range log {
		p.places[place(e.name, e.revision)] = i
	}
	return p
}

func TestJudgeOfALog(t *testing.T) {
	all := smallTruth().log
	changed := all[1]
	changed.says = fingerprint{9}
	for name, test := range map[string]struct {
		got            []logged
		whole          bool
		salvaged       bool
		wrong, missing int
	}{
		"all":                          {all, true, false, 0, 0},
		"an error in the midst":        {all[:2], false, false, 0, 0},
		"an end in the midst":          {all[:2], true, false, 0, 2},
		"one is left out":              {[]logged{all[0], all[2], all[3]}, true, false, 1, 1},
		"one is another":               {[]logged{all[0], changed, all[2], all[3]}, true, false, 1, 0},
		"one twice":                    {[]logged{all[0], all[0], all[1], all[2], all[3]}, true, false, 1, 0},
		"another order":                {[]logged{all[1], all[0], all[2], all[3]}, true, false, 2, 1},
		"salvaged without one":         {[]logged{all[0], all[2], all[3]}, true, true, 0, 1},
		"salvaged with one made anew":  {append(all[:3:3], logged{"outcomes/b", 3, fingerprint{5}, "", 5}), true, true, 0, 1},
		"salvaged with one of another": {append(all[:3:3], logged{"outcomes/c", 1, fingerprint{5}, "", 5}), true, true, 1, 1},
		"salvaged and another":         {[]logged{all[0], changed, all[2], all[3]}, true, true, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			j := &judge{truth: smallTruth(), salvaged: test.salvaged}
			if j.entries("the log", all, test.got, test.whole); len(j.wrong) != test.wrong || len(j.missing) != test.missing {
				t.Errorf("wrong: %q, missing: %q, want %d and %d", j.wrong, j.missing, test.wrong, test.missing)
			}
		})
	}
}

func TestJudgeOfAnOutcome(t *testing.T) {
	for name, test := range map[string]struct {
		revision       int32
		got            fingerprint
		salvaged, told bool
		wrong, missing int
	}{
		"the newest":                 {2, fingerprint{3}, false, false, 0, 0},
		"another":                    {2, fingerprint{9}, false, false, 1, 0},
		"an older one":               {1, fingerprint{1}, false, false, 1, 0},
		"an older one, as was told":  {1, fingerprint{1}, false, true, 0, 1},
		"another older one":          {1, fingerprint{9}, false, true, 1, 1},
		"a newer one":                {3, fingerprint{9}, false, true, 1, 0},
		"one that was made anew":     {3, fingerprint{9}, true, false, 0, 1},
		"salvaged, and an older one": {1, fingerprint{1}, true, false, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			j := &judge{truth: smallTruth(), salvaged: test.salvaged, told: test.told}
			if j.outcome("outcomes/a", test.revision, fingerprint{3}, test.got); len(j.wrong) != test.wrong || len(j.missing) != test.missing {
				t.Errorf("wrong: %q, missing: %q, want %d and %d", j.wrong, j.missing, test.wrong, test.missing)
			}
		})
	}
}

func TestJudgeOfAnError(t *testing.T) {
	for code, want := range map[codes.Code]struct{ missing, refused int }{
		codes.OK: {}, codes.NotFound: {1, 0}, codes.DataLoss: {0, 1}, codes.FailedPrecondition: {0, 1}, codes.OutOfRange: {0, 1},
	} {
		j := &judge{}
		ok, err := j.answered("it", status.Error(code, "why"))
		if err != nil || ok != (code == codes.OK) || len(j.missing) != want.missing || len(j.refused) != want.refused {
			t.Errorf("%s: %v, %v, missing %q, refused %q", code, ok, err, j.missing, j.refused)
		}
	}
	for _, code := range []codes.Code{codes.Unavailable, codes.Unknown} {
		if _, err := (&judge{}).answered("it", status.Error(code, "why")); err == nil {
			t.Errorf("%s is taken for an answer", code)
		}
	}
}
