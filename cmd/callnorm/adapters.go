package main

import (
	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/curiousthing"
	"github.com/callnorm/callnorm/adapters/synthflow"
	"github.com/callnorm/callnorm/adapters/voxia"
)

// registered lists the adapters. Nothing else in the repository knows which there are.
func registered() (*adapters.Set, error) {
	return adapters.NewSet(
		synthflow.New(),
		voxia.New(),
		curiousthing.New(),
	)
}
