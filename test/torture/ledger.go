package main

import (
	"encoding/base32"
	"fmt"
	"strings"
	"sync"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// id is what names a delivery or an outcome, as short as it can be kept: a million of them are 16 MB.
type id [16]byte

const (
	deliveries = "deliveries/"
	outcomes   = "outcomes/"
)

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func (i id) String() string { return encoding.EncodeToString(i[:]) }

// parseID reads a name of a collection.
func parseID(collection, name string) (i id, err error) {
	text, ok := strings.CutPrefix(name, collection)
	if !ok || encoding.DecodedLen(len(text)) != len(i) {
		return i, fmt.Errorf("%q is no name in %s", name, collection)
	}
	_, err = encoding.Decode(i[:], []byte(text))
	return i, err
}

// revision is one state of one outcome.
type revision struct {
	outcome id
	number  int32
}

func (r revision) String() string { return fmt.Sprintf("%s%s r%d", outcomes, r.outcome, r.number) }

// receipt is what an answer of 2xx says: that a delivery is kept, and which revision it has become.
type receipt struct {
	delivery id
	revision revision
}

func readReceipt(answer *callnormv1.IngestDeliveryResponse) (r receipt, err error) {
	if len(answer.GetOutcomes()) != 1 {
		return r, fmt.Errorf("the answer names %d outcomes, and should name one: %v", len(answer.GetOutcomes()), answer)
	}
	if r.delivery, err = parseID(deliveries, answer.GetDelivery()); err != nil {
		return r, err
	}
	one := answer.GetOutcomes()[0]
	r.revision.number = one.GetRevision()
	r.revision.outcome, err = parseID(outcomes, one.GetName())
	return r, err
}

// ledger holds all that was acknowledged.
type ledger struct {
	mu       sync.Mutex
	receipts []receipt
}

func (l *ledger) add(r receipt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receipts = append(l.receipts, r)
}

// since returns what was acknowledged after the first so many.
func (l *ledger) since(first int) []receipt {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.receipts[first:len(l.receipts):len(l.receipts)]
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.receipts)
}
