package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/test/internal/process"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	// What is kept: calls of two to four deliveries each, some of which are deleted.
	vaultCalls   = 900
	everyDeleted = 12
	// lateCalls come before the process is killed.
	lateCalls = 150

	damageConfig = "damage.yaml"
)

// What waits for its analysis waits for longer than all of it takes, so that nothing changes by itself.
const damageSettings = `sources:
  - {name: voxia, adapter: voxia, unverified: true, settle_after: 720h}
  - {name: synthflow, adapter: synthflow, unverified: true, settle_after: 720h}
`

// tales are what is sent about one call.
var tales = []struct {
	folder string
	files  []string
}{
	{"voxia", []string{"v07_one_call_1_dialing", "v07_one_call_2_connected", "v07_one_call_3_hang_up", "v07_one_call_4_post_processing"}},
	{"synthflow", []string{"s23_first_copy", "s23_sent_again_with_more"}},
}

// vaultIDs are what these providers tell calls apart by.
var vaultIDs = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{24}\b`)

// api is a connection to a running service.
type api struct {
	*grpc.ClientConn

	outcomes      callnormv1.OutcomeServiceClient
	deliveries    callnormv1.DeliveryServiceClient
	subscriptions callnormv1.SubscriptionServiceClient
	door          string
}

func (a *api) close() error { return a.Close() }

// start serves a directory.
func (d *damager) start(ctx context.Context, dir string) (*process.Process, *api, error) {
	p, err := process.New(d.binary, "damage")
	if err != nil {
		return nil, nil, err
	}
	found, err := p.Start(ctx, 2, "serve", "--config", filepath.Join(d.dir, damageConfig), "--data-dir", dir,
		"--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0")
	if err != nil {
		return p, nil, err
	}
	const large = 64 << 20
	conn, err := grpc.NewClient(found[1], grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(large)))
	if err != nil {
		return p, nil, err
	}
	return p, &api{
		conn, callnormv1.NewOutcomeServiceClient(conn), callnormv1.NewDeliveryServiceClient(conn),
		callnormv1.NewSubscriptionServiceClient(conn), "http://" + found[0] + "/v1/webhooks/",
	}, nil
}

// fillVault fills a store, and makes two copies of it: one that was closed, and one whose process was killed with more in its journal.
func (o *options) fillVault(ctx context.Context, d *damager) (closed, killed vault, err error) {
	if err := os.WriteFile(filepath.Join(d.dir, damageConfig), []byte(damageSettings), 0o600); err != nil {
		return vault{}, vault{}, err
	}
	data := filepath.Join(d.dir, "data")
	closed.dir, killed.dir = filepath.Join(d.dir, "closed"), filepath.Join(d.dir, "killed")
	var sent []string
	if err := d.during(ctx, data, (*process.Process).Stop, func(a *api) (err error) {
		if sent, err = o.post(ctx, a, 0, vaultCalls); err != nil {
			return err
		}
		privacy := callnormv1.NewPrivacyServiceClient(a)
		for i := 0; i < vaultCalls; i += everyDeleted {
			if _, err := privacy.DeleteCall(ctx, &callnormv1.DeleteCallRequest{Key: &callnormv1.DeleteCallRequest_Name{Name: sent[i]}}); err != nil {
				return err
			}
		}
		_, err = a.subscriptions.CreateSubscription(ctx, &callnormv1.CreateSubscriptionRequest{SubscriptionId: "reader"})
		return err
	}); err != nil {
		return vault{}, vault{}, err
	}
	if err := os.CopyFS(closed.dir, os.DirFS(data)); err != nil {
		return vault{}, vault{}, err
	}
	kill := func(p *process.Process, _ context.Context) error { p.Kill(); return nil }
	if err := d.during(ctx, data, kill, func(a *api) error {
		_, err := o.post(ctx, a, vaultCalls, lateCalls)
		return err
	}); err != nil {
		return vault{}, vault{}, err
	}
	if err := os.CopyFS(killed.dir, os.DirFS(data)); err != nil {
		return vault{}, vault{}, err
	}
	for _, v := range []*vault{&closed, &killed} {
		copied := v.dir + "-read"
		if err := os.CopyFS(copied, os.DirFS(v.dir)); err != nil {
			return vault{}, vault{}, err
		}
		if err := d.during(ctx, copied, (*process.Process).Stop, func(a *api) (err error) {
			v.truth, err = takePicture(ctx, a)
			return err
		}); err != nil {
			return vault{}, vault{}, err
		}
		if err := os.RemoveAll(copied); err != nil {
			return vault{}, vault{}, err
		}
	}
	return closed, killed, nil
}

// during does something while a directory is served.
func (d *damager) during(ctx context.Context, dir string, end func(*process.Process, context.Context) error, do func(*api) error) (err error) {
	p, a, err := d.start(ctx, dir)
	if p != nil {
		defer func() { err = errors.Join(err, p.Remove()) }()
	}
	if err != nil {
		return err
	}
	if err := do(a); err != nil {
		return errors.Join(err, a.close(), p.Said())
	}
	return errors.Join(a.close(), end(p, ctx))
}

// post sends calls, and returns the names of their outcomes.
func (o *options) post(ctx context.Context, a *api, first, calls int) (names []string, err error) {
	for n := first; n < first+calls; n++ {
		random := rand.New(rand.NewPCG(o.seed, uint64(n))) //nolint:gosec // it has to be repeatable, not secret
		tale := tales[n%len(tales)]
		fresh := map[string][]byte{}
		for _, file := range tale.files {
			body, err := os.ReadFile(filepath.Join(o.fixtures, tale.folder, "testdata", file+".json"))
			if err != nil {
				return nil, fmt.Errorf("%w: start at the root of the repository, or set -fixtures", err)
			}
			body = vaultIDs.ReplaceAllFunc(body, func(id []byte) []byte {
				if fresh[string(id)] == nil {
					fresh[string(id)] = another(id, random)
				}
				return fresh[string(id)]
			})
			name, err := a.postOne(ctx, tale.folder, body)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			if file == tale.files[0] {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// another returns an id of the same shape.
func another(id []byte, random *rand.Rand) []byte {
	made := bytes.Clone(id)
	for i, c := range made {
		if c != '-' {
			made[i] = hex.EncodeToString([]byte{byte(random.Uint32())})[0]
		}
	}
	return made
}

func (a *api) postOne(ctx context.Context, source string, body []byte) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.door+source, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return "", err
	}
	found := regexp.MustCompile(`outcomes/[a-z0-9]+`).Find(text)
	if response.StatusCode != http.StatusOK || found == nil {
		return "", fmt.Errorf("answered with %s: %s", response.Status, text)
	}
	return string(found), nil
}
