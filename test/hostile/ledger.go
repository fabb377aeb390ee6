package main

import (
	"context"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// name is the id of a delivery, as short as it can be kept: a million of them are 16 MB.
type name [16]byte

var nameEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func (n name) String() string { return "deliveries/" + nameEncoding.EncodeToString(n[:]) }

// parseName reads "deliveries/{id}".
func parseName(text string) (n name, err error) {
	id := strings.TrimPrefix(text, "deliveries/")
	if nameEncoding.DecodedLen(len(id)) != len(n) {
		return n, fmt.Errorf("%q names no delivery", text)
	}
	_, err = nameEncoding.Decode(n[:], []byte(id))
	return n, err
}

// ledger holds the names of all that was acknowledged, and crosses out what the store has.
type ledger struct {
	acknowledged []name // ordered, each once
	found        []bool
	// strangers are in the store, and nobody was told so.
	strangers []name
}

func newLedger(acknowledged []name) *ledger {
	slices.SortFunc(acknowledged, compareNames)
	acknowledged = slices.Compact(acknowledged)
	return &ledger{acknowledged: acknowledged, found: make([]bool, len(acknowledged))}
}

func compareNames(a, b name) int { return slices.Compare(a[:], b[:]) }

// cross crosses out a name that the store has.
func (l *ledger) cross(n name) {
	at, ok := slices.BinarySearchFunc(l.acknowledged, n, compareNames)
	if !ok {
		l.strangers = append(l.strangers, n)
		return
	}
	l.found[at] = true
}

// missing returns what was acknowledged and is not in the store.
func (l *ledger) missing() []name {
	var list []name
	for i, found := range l.found {
		if !found {
			list = append(list, l.acknowledged[i])
		}
	}
	return list
}

// kept is what the store has.
type kept struct {
	states map[callnormv1.DeliveryState]int
	faults map[callnormv1.FaultReason]int
}

// listDeliveries hands every delivery of the store to visit, oldest first.
func listDeliveries(ctx context.Context, s *service, visit func(*callnormv1.Delivery) error) (err error) {
	conn, err := s.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	client := callnormv1.NewDeliveryServiceClient(conn)
	for request := (&callnormv1.ListDeliveriesRequest{PageSize: 1000}); ; {
		page, err := client.ListDeliveries(s.operator(ctx), request)
		if err != nil {
			return fmt.Errorf("list deliveries: %w", err)
		}
		for _, delivery := range page.GetDeliveries() {
			if err := visit(delivery); err != nil {
				return err
			}
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			return nil
		}
	}
}

func newKept() *kept {
	return &kept{states: make(map[callnormv1.DeliveryState]int), faults: make(map[callnormv1.FaultReason]int)}
}

// take counts a delivery and crosses it out.
func (k *kept) take(l *ledger, delivery *callnormv1.Delivery) error {
	n, err := parseName(delivery.GetName())
	if err != nil {
		return err
	}
	l.cross(n)
	k.states[delivery.GetState()]++
	for _, fault := range delivery.GetFaults() {
		k.faults[fault.GetReason()]++
	}
	return nil
}
