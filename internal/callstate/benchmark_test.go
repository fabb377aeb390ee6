package callstate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/callstate"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// BenchmarkFold measures what the commit of one more delivery waits for. All contributions say the same with equal standing, so
// that nothing but the hash of the body is left to decide, and each is looked at for each field: the worst that can be sent.
// With event times, which put them in order, it is as it should be.
func BenchmarkFold(b *testing.B) {
	text, err := os.ReadFile(filepath.Join("..", "..", "adapters", "synthflow", "testdata", "a00_anunzi_page_2024_03.json.golden"))
	if err != nil {
		b.Fatal(err)
	}
	response := &callnormv1.NormalizeResponse{}
	if err := protojson.Unmarshal(text, response); err != nil {
		b.Fatal(err)
	}
	for _, timed := range []bool{false, true} {
		for _, n := range []int{1, 6, 50, 200} {
			calls := make([]*callnormv1.CallOutcome, n)
			for i := range calls {
				calls[i] = said(i, proto.CloneOf(response.GetOutcomes()[0]))
				calls[i].Provenance.Deliveries[0].BodySha256 = fmt.Sprintf("%064d", i)
				if timed {
					calls[i].EventTime = timestamppb.New(time.Unix(int64(i), 0))
				}
			}
			b.Run(fmt.Sprintf("contributions=%d/event_times=%t", n, timed), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					callstate.Fold(calls)
				}
			})
		}
	}
}
