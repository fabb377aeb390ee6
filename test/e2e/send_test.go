package e2e_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/catalog"
	"github.com/callnorm/callnorm/adapters/scenario"
)

// TestEveryProviderCanBeSeenAtWork goes the way of a newcomer for every adapter: look at what there is to send, send it to a server
// without a configuration, make a key, configure the source as printed, and send again what has to be genuine now.
func TestEveryProviderCanBeSeenAtWork(t *testing.T) {
	set, err := catalog.Set()
	if err != nil {
		t.Fatal(err)
	}
	open := serve(t, "--data-dir", t.TempDir())
	for _, adapter := range set.All() {
		t.Run(adapter.Name(), func(t *testing.T) {
			t.Parallel()
			provider, name := adapter.Providers()[0], finished(t, adapter)
			run(t, "send", "--provider", provider).expect(t, 0, name)
			first := run(t, "send", "--provider", provider, "--scenario", name, "--url", open.url)
			first.expect(t, 0, "200 OK", `"duplicate":false`, `"state":"DELIVERY_STATE_NORMALIZED"`)
			again := run(t, "send", "--provider", provider, "--scenario", name, "--url", open.url)
			again.expect(t, 0, "200 OK", `"duplicate":false`)
			if outcome := regexp.MustCompile(`outcomes/\w+`); outcome.FindString(first.out) == outcome.FindString(again.out) {
				t.Error("the next run speaks of the same call")
			}
			told := []string{"send", "--provider", provider, "--scenario", name, "--url", open.url, "--run", "one"}
			run(t, told...).expect(t, 0, `"duplicate":false`)
			run(t, told...).expect(t, 0, `"duplicate":true`)

			if _, signs := adapter.(adapters.Signed); !signs {
				return
			}
			f := newFolder(t)
			key := f.file("key.pem")
			made := run(t, "send", "--provider", provider, "--scenario", name, "--url", open.url, "--key", key)
			made.expect(t, 0, "a configuration of the server that trusts it", "200 OK")
			_, sources, _ := strings.Cut(made.err, "sources:")
			sources, _, _ = strings.Cut(sources, "\n\n")
			file := f.configure(t, "public_url: https://hooks.example.com\nsources:"+sources+"\n")
			closed := serve(t, "--data-dir", f.data(), "--config", file)
			proof := []string{"--config", file}
			if strings.Contains(sources, "keys:") { // only who has the private key can sign
				proof = []string{"--key", key}
			}
			told = []string{"send", "--provider", provider, "--scenario", name, "--url", closed.url}
			run(t, append(told, proof...)...).expect(t, 0, "200 OK", `"state":"DELIVERY_STATE_NORMALIZED"`)
			run(t, told...).expect(t, 1, "401 Unauthorized", "trusts another key")
		})
	}
	run(t, "send", "--provider", "nobody").expect(t, 2, "takes one of")
	run(t, "send", "--provider", "voxia", "--scenario", "none", "--url", open.url).expect(t, 2, "lists what there is")
}

// finished returns the name of a scenario with the final report of one call.
func finished(t *testing.T, adapter adapters.Adapter) string {
	t.Helper()
	scenarios, err := scenario.Of(adapter)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range scenarios {
		result, err := adapters.Normalize(adapter, one.Delivery)
		if err == nil && len(result.Outcomes) == 1 && strings.Contains(one.Name, "_page") && one.Delivery.Provider == adapter.Providers()[0] {
			return one.Name
		}
	}
	t.Fatal("no page of the documentation is among the scenarios")
	return ""
}
