package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/callnorm/callnorm/adapters"
)

// version is set by the linker for releases.
var version = ""

type versionCommand struct{}

// Help shows an example.
func (versionCommand) Help() string { return "Example:\n\n  callnorm version" }

// Run prints the version, the adapters and their versions.
func (versionCommand) Run(set *adapters.Set, io streams) error {
	var text strings.Builder
	fmt.Fprintf(&text, "callnorm %s %s\n", buildVersion(), runtime.Version())
	for _, adapter := range set.All() {
		fmt.Fprintf(&text, "adapter %s %s\n", adapter.Name(), adapter.Version())
	}
	_, err := io.out.Write([]byte(text.String()))
	return err
}

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
