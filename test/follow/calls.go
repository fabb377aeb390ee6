package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// family is what a provider sends about one call, in one or several deliveries.
type family struct {
	// folder is the adapter's, below which files lie.
	folder, source, event string
	files                 []string
}

// Sources, each named like its provider.
const (
	voxia        = "voxia"
	synthflow    = "synthflow"
	anunzi       = "anunzi"
	curiousThing = "curious-thing"
)

// families are calls as adapters' fixtures tell them. Of Voxia's and Synthflow's, several deliveries speak of one call; a batch of
// Curious Thing speaks of several calls.
var families = []family{
	{voxia, voxia, "", []string{
		"v07_one_call_1_dialing", "v07_one_call_2_connected", "v07_one_call_3_hang_up", "v07_one_call_4_post_processing",
	}},
	{voxia, voxia, "", []string{"c00_complete_call"}},
	{synthflow, synthflow, "", []string{"s23_first_copy", "s23_sent_again_with_more"}},
	{synthflow, synthflow, "", []string{"s00_synthflow_page_2025_10"}},
	{synthflow, anunzi, "", []string{"a00_anunzi_page_2024_03"}},
	{"curiousthing", curiousThing, "call-complete", []string{"c00_call_complete_page"}},
}

// delivery is one webhook to send.
type delivery struct {
	source, event string
	body          []byte
}

// telling is one call, and what is still to be sent about it.
type telling struct {
	left []delivery
	// doomed tells that the call is to be deleted once so many deliveries are left.
	doomed   bool
	deleteAt int
}

// teller makes calls. What it makes depends on the seed and the number of the call alone.
type teller struct {
	seed   uint64
	bodies map[string][]byte
}

func newTeller(root string, seed uint64) (*teller, error) {
	t := &teller{seed: seed, bodies: make(map[string][]byte)}
	for _, f := range families {
		for _, file := range f.files {
			body, err := os.ReadFile(filepath.Join(root, f.folder, "testdata", file+".json"))
			if err != nil {
				return nil, fmt.Errorf("%w: start at the root of the repository, or set -fixtures", err)
			}
			if !ids.Match(body) {
				return nil, fmt.Errorf("%s holds no id that could be made another", file)
			}
			t.bodies[file] = body
		}
	}
	return t, nil
}

const (
	// Every so many calls, on average.
	everyUnfinished = 6
	everyShuffled   = 4
	everyDoomed     = 30
	everyRepeated   = 10
)

// call makes the n-th call: its deliveries sometimes in another order, sometimes without the last, so that the call settles by itself,
// and sometimes one of them twice.
func (t *teller) call(n uint64) *telling {
	r := rand.New(rand.NewPCG(t.seed, n)) //nolint:gosec // it has to be repeatable, not secret
	f := families[r.IntN(len(families))]
	made := &telling{}
	for _, file := range f.files {
		made.left = append(made.left, delivery{f.source, f.event, fresh(t.bodies[file], t.seed, n)})
	}
	if last := len(made.left) - 1; last > 0 && one(r, everyUnfinished) {
		made.left = made.left[:last]
	}
	if one(r, everyRepeated) {
		made.left = append(made.left, made.left[r.IntN(len(made.left))])
	}
	if one(r, everyShuffled) {
		r.Shuffle(len(made.left), func(i, k int) { made.left[i], made.left[k] = made.left[k], made.left[i] })
	}
	made.doomed, made.deleteAt = one(r, everyDoomed), r.IntN(len(made.left))
	return made
}

// one is true once in so many times.
func one(r *rand.Rand, every int) bool { return r.IntN(every) == 0 }

// ids are what providers tell calls apart by: UUIDs, 24 hexadecimal digits, two numbers with an x between, and where a documentation
// says only that there is a UUID.
var ids = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{24}\b|\b\d{13}x\d{18}\b|\[UUID\]`)

// anyUUID has the shape of one.
var anyUUID = []byte("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")

// fresh returns a body with other ids, the same ones in all bodies of a call.
func fresh(body []byte, seed, n uint64) []byte {
	return ids.ReplaceAllFunc(body, func(id []byte) []byte {
		sum := sha256.New()
		_ = binary.Write(sum, binary.BigEndian, []uint64{seed, n})
		_, _ = sum.Write(id)
		other := hex.AppendEncode(nil, sum.Sum(nil))
		if id[0] == '[' {
			id = anyUUID
		}
		made := slices.Clone(id)
		decimal := !slices.ContainsFunc(id, func(c byte) bool { return c == '-' || c >= 'a' && c <= 'f' })
		for i, c := range made {
			switch {
			case c == '-' || c == 'x':
			case decimal:
				made[i] = '1' + other[i]%9
			default:
				made[i] = other[i]
			}
		}
		return made
	})
}
