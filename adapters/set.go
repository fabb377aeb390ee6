package adapters

import (
	"fmt"
	"slices"
)

// Set holds adapters by name.
type Set struct {
	list       []Adapter
	byName     map[string]Adapter
	byProvider map[string]Adapter
}

// NewSet returns a set of adapters. Names and providers must be unique.
func NewSet(list ...Adapter) (*Set, error) {
	set := &Set{list: slices.Clone(list), byName: make(map[string]Adapter), byProvider: make(map[string]Adapter)}
	for _, adapter := range list {
		if set.byName[adapter.Name()] != nil {
			return nil, fmt.Errorf("two adapters are called %q", adapter.Name())
		}
		set.byName[adapter.Name()] = adapter
		for _, provider := range adapter.Providers() {
			if other := set.byProvider[provider]; other != nil {
				return nil, fmt.Errorf("adapters %q and %q both serve provider %q", other.Name(), adapter.Name(), provider)
			}
			set.byProvider[provider] = adapter
		}
	}
	return set, nil
}

// All returns the adapters in the order in which they were given.
func (s *Set) All() []Adapter { return s.list }

// Names returns the names of the adapters in the order in which they were given.
func (s *Set) Names() []string {
	names := make([]string, len(s.list))
	for i, adapter := range s.list {
		names[i] = adapter.Name()
	}
	return names
}

// ByName returns the adapter with this name.
func (s *Set) ByName(name string) (Adapter, bool) {
	adapter, ok := s.byName[name]
	return adapter, ok
}

// ByProvider returns the adapter that serves a provider by default.
func (s *Set) ByProvider(provider string) (Adapter, bool) {
	adapter, ok := s.byProvider[provider]
	return adapter, ok
}
