package sip_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/internal/sip"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// The column `responsible` of the table, where it tells who stopped a call.
var by = map[string]callnormv1.EndedBy{
	"carrier": callnormv1.EndedBy_ENDED_BY_CARRIER, "callee": callnormv1.EndedBy_ENDED_BY_CALLEE, "caller": callnormv1.EndedBy_ENDED_BY_CALLER,
}

// doings are reasons by which a callee stops a call. For a number that does not exist a callee is responsible, and stops nothing.
var doings = []callnormv1.EndReason{
	callnormv1.EndReason_END_REASON_BUSY, callnormv1.EndReason_END_REASON_DECLINED, callnormv1.EndReason_END_REASON_MARKED_AS_SPAM,
}

func TestEveryCodeOfTheTable(t *testing.T) {
	for _, row := range adaptertest.Table(t, "sip_response_code.tsv") {
		code, err := strconv.ParseInt(row["value"], 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		meaning, known := sip.Find(int32(code))
		if provisional := row["suggested_class"] == ""; provisional {
			if known {
				t.Errorf("%d %s is provisional, and no outcome", code, row["name"])
			}
			continue
		}
		t.Run(row["value"], func(t *testing.T) {
			adaptertest.CheckClass(t, row["suggested_class"], &callnormv1.CallOutcome{
				Status: meaning.Status, End: &callnormv1.CallEnd{Reason: meaning.Reason},
			})
			want := by[row["responsible"]]
			if want == callnormv1.EndedBy_ENDED_BY_CALLEE && !slices.Contains(doings, meaning.Reason) {
				want = callnormv1.EndedBy_ENDED_BY_UNSPECIFIED
			}
			if meaning.By != want {
				t.Errorf("ended by %v, but %q is responsible", meaning.By, row["responsible"])
			}
		})
	}
}

func TestAnUnknownCodeMeansWhatItsHundredDoes(t *testing.T) {
	for code, class := range map[int32]string{
		299: "completed", 399: "failed_telephony", 477: "failed_telephony", 599: "failed_telephony", 699: "rejected",
	} {
		meaning, _ := sip.Find(code)
		adaptertest.CheckClass(t, class, &callnormv1.CallOutcome{Status: meaning.Status, End: &callnormv1.CallEnd{Reason: meaning.Reason}})
	}
	for _, code := range []int32{0, 99, 199, 700, 999, -1} {
		if meaning, known := sip.Find(code); known {
			t.Errorf("%d means %v", code, meaning)
		}
	}
}
