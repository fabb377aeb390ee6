package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/goccy/go-yaml"
)

const (
	defaultHTTPAddr = "127.0.0.1:8080"
	defaultGRPCAddr = "127.0.0.1:9090"
	defaultDataDir  = "data"
	defaultMaxBody  = 10 << 20
	// highestMaxBody is what a message of the gRPC server can carry.
	highestMaxBody = 15 << 20
)

// Config is what the user sets: in a file, over it by the environment, over that by flags.
type Config struct {
	// HTTPAddr and GRPCAddr are where the server listens.
	HTTPAddr string `yaml:"http_addr"`
	GRPCAddr string `yaml:"grpc_addr"`
	// DataDir holds everything that is kept.
	DataDir string `yaml:"data_dir"`
	// Sources are the doors. Without any, there is one for each provider of each adapter.
	Sources []SourceConfig `yaml:"sources"`
}

// SourceConfig is one door.
type SourceConfig struct {
	Name    string `yaml:"name"`
	Adapter string `yaml:"adapter"`
	// Provider is named in the outcomes. By default it is the source's name where the adapter serves a provider of that name,
	// and the adapter's first provider otherwise.
	Provider string `yaml:"provider"`
	// Event is used where neither path nor body tell one.
	Event string `yaml:"event"`
	// Group is shared by sources that see the same calls.
	Group string `yaml:"group"`
	// MaxBodyBytes bounds a body.
	MaxBodyBytes int64 `yaml:"max_body_bytes"`
	// Enabled closes the door when it is false.
	Enabled *bool `yaml:"enabled"`
	// Unverified says that deliveries are taken without proof of where they come from.
	Unverified bool `yaml:"unverified"`
}

// readConfig reads a file. Keys that it does not know are errors.
func readConfig(file string) (Config, error) {
	var config Config
	if file == "" {
		return config, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return config, fmt.Errorf("configuration: %w", err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return config, nil
	}
	if err := yaml.UnmarshalWithOptions(text, &config, yaml.Strict()); err != nil {
		return config, fmt.Errorf("configuration %s: %s", file, yaml.FormatError(err, false, true))
	}
	return config, nil
}

// complete fills in what was not set.
func (c *Config) complete(set *adapters.Set) {
	c.HTTPAddr = first(c.HTTPAddr, defaultHTTPAddr)
	c.GRPCAddr = first(c.GRPCAddr, defaultGRPCAddr)
	c.DataDir = first(c.DataDir, defaultDataDir)
	if len(c.Sources) == 0 {
		for _, adapter := range set.All() {
			for _, provider := range adapter.Providers() {
				c.Sources = append(c.Sources, SourceConfig{Name: provider, Adapter: adapter.Name(), Provider: provider})
			}
		}
	}
}

var sourceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// sources returns the sources, or all problems together.
func (c *Config) sources(set *adapters.Set) ([]intake.Source, error) {
	var problems []error
	for what, addr := range map[string]string{"http_addr": c.HTTPAddr, "grpc_addr": c.GRPCAddr} {
		if err := loopback(addr); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", what, err))
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	names := make(map[string]bool)
	list := make([]intake.Source, 0, len(c.Sources))
	for i, configured := range c.Sources {
		problem := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("sources[%d] (%s): %w", i, first(configured.Name, "no name"), fmt.Errorf(format, args...)))
		}
		if !sourceName.MatchString(configured.Name) {
			problem("name: takes 1 to 63 characters of a-z, 0-9 and -, and stands in the URL")
		}
		if names[configured.Name] {
			problem("name: another source has it already")
		}
		names[configured.Name] = true
		adapter, ok := set.ByName(configured.Adapter)
		if !ok {
			problem("adapter: there is no %q; there are: %v", configured.Adapter, set.Names())
			continue
		}
		provider := configured.Provider
		if provider == "" {
			provider = adapter.Providers()[0]
			if slices.Contains(adapter.Providers(), configured.Name) {
				provider = configured.Name
			}
		}
		if !sourceName.MatchString(provider) {
			problem("provider: takes 1 to 63 characters of a-z, 0-9 and -")
		}
		maxBody := configured.MaxBodyBytes
		if maxBody == 0 {
			maxBody = defaultMaxBody
		}
		if maxBody < 0 || maxBody > highestMaxBody {
			problem("max_body_bytes: takes 1 to %d", highestMaxBody)
		}
		list = append(list, intake.Source{
			Name: configured.Name, Adapter: adapter, Provider: provider, Event: configured.Event, Group: configured.Group,
			MaxBody: maxBody, Disabled: configured.Enabled != nil && !*configured.Enabled,
		})
	}
	return list, errors.Join(problems...)
}

// loopback refuses addresses that others can reach: this version cannot ask a reader for a credential.
func loopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is no address: it takes HOST:PORT", addr)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%q is reachable from outside, and this version cannot ask readers for a credential: listen on 127.0.0.1, and let a proxy with access control pass on what should come in", addr)
}

func first(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}
