package store_test

import (
	"regexp"
	"testing"

	"github.com/callnorm/callnorm/internal/store"
)

func TestIDText(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[a-z2-7]{26}$`)
	for _, id := range []store.OutcomeID{{}, {15: 1}, store.NewOutcomeID("a"), {0: 255, 15: 255}} {
		text := id.String()
		if !form.MatchString(text) {
			t.Errorf("%q is no id", text)
		}
		if parsed, err := store.ParseOutcomeID(text); err != nil || parsed != id {
			t.Errorf("%q is parsed as %v, %v", text, parsed, err)
		}
		if parsed, err := store.ParseDeliveryID(text); err != nil || parsed != store.DeliveryID(id) {
			t.Errorf("%q is parsed as %v, %v", text, parsed, err)
		}
	}
}

func TestIDMalformed(t *testing.T) {
	t.Parallel()
	good := store.NewOutcomeID("a").String()
	for name, text := range map[string]string{
		"empty":            "",
		"too short":        good[:25],
		"too long":         good + "a",
		"upper case":       "A" + good[1:],
		"another alphabet": "0" + good[1:],
		"a line break":     good[:8] + "\n" + good[8:],
		"bits left over":   "aaaaaaaaaaaaaaaaaaaaaaaaab",
		"padding":          good + "======",
	} {
		if _, err := store.ParseOutcomeID(text); err == nil {
			t.Errorf("%s: %q is an outcome's id", name, text)
		}
		if _, err := store.ParseDeliveryID(text); err == nil {
			t.Errorf("%s: %q is a delivery's id", name, text)
		}
	}
}

func TestHashesTellPartsApart(t *testing.T) {
	t.Parallel()
	outcomes := map[store.OutcomeID]string{}
	for name, parts := range map[string][]string{
		"none": {}, "empty": {""}, "two empty": {"", ""}, "ab": {"ab"}, "a b": {"a", "b"}, "ab empty": {"ab", ""}, "empty ab": {"", "ab"},
	} {
		id := store.NewOutcomeID(parts...)
		if other, ok := outcomes[id]; ok {
			t.Errorf("%s and %s have the same id", name, other)
		}
		outcomes[id] = name
	}
	keys := map[store.DeliveryKey]bool{
		store.NewDeliveryKey("a", "b", "c", "d", []byte("e")): true,
		store.NewDeliveryKey("ab", "", "c", "d", []byte("e")): true,
		store.NewDeliveryKey("a", "b", "c", "de", nil):        true,
		store.NewDeliveryKey("a", "b", "cd", "", []byte("e")): true,
	}
	if len(keys) != 4 {
		t.Error("different deliveries have the same key")
	}
}
