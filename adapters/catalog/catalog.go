// Package catalog lists the adapters. Nothing else in the repository knows which there are.
package catalog

import (
	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/bland"
	"github.com/callnorm/callnorm/adapters/curiousthing"
	"github.com/callnorm/callnorm/adapters/elevenlabs"
	"github.com/callnorm/callnorm/adapters/retell"
	"github.com/callnorm/callnorm/adapters/synthflow"
	"github.com/callnorm/callnorm/adapters/twilio"
	"github.com/callnorm/callnorm/adapters/vapi"
	"github.com/callnorm/callnorm/adapters/voxia"
)

// Set returns the set of all adapters.
func Set() (*adapters.Set, error) {
	return adapters.NewSet(
		synthflow.New(),
		voxia.New(),
		curiousthing.New(),
		vapi.New(),
		retell.New(),
		bland.New(),
		elevenlabs.New(),
		twilio.New(),
	)
}
