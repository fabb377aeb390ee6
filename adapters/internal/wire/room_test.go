package wire_test

import (
	"testing"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

func TestRoomGivesEachMessageOnce(t *testing.T) {
	for _, expected := range []int{0, 1, 3, 50} {
		room := wire.RoomFor[callnormv1.Warning](expected)
		seen := map[*callnormv1.Warning]bool{}
		for range 200 {
			w := room.New()
			if seen[w] || w.GetMessage() != "" {
				t.Fatalf("with %d expected, a message comes twice", expected)
			}
			seen[w], w.Message = true, "used"
		}
	}
}
