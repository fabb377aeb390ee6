package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/test/internal/process"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// service is the binary, running with a configuration and a data directory that this tool made.
type service struct {
	*process.Process

	token string

	// public, rest and grpc are its addresses. They stay the same over restarts.
	public, rest, grpc string
}

const (
	configFile = "callnorm.yaml"
	tokenFile  = "operator.token"
	holdFile   = "hold.key"
)

// newService writes the configuration into a new temporary directory.
func newService(binary string, doors map[string][2]*door) (*service, error) {
	fresh, err := process.New(binary, "hostile")
	if err != nil {
		return nil, err
	}
	s := &service{Process: fresh, token: hex.EncodeToString([]byte(rand.Text()))}
	if err := s.configure(doors); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	return s, nil
}

func (s *service) configure(doors map[string][2]*door) error {
	files := map[string]string{tokenFile: s.token, holdFile: rand.Text() + rand.Text()}
	var text strings.Builder
	_, _ = fmt.Fprintf(&text, `public_addr: 127.0.0.1:0
http_addr: 127.0.0.1:0
grpc_addr: 127.0.0.1:0
hold_key: {file: %s}
readers:
  - {name: operator, roles: [operate], token: {file: %s}}
sources:
`, holdFile, tokenFile)
	for _, pair := range doors {
		for _, d := range pair {
			file := d.name + ".secret"
			files[file] = d.secret
			where := "secret: {file: " + file + "}"
			switch {
			case d.settings.Scheme == signature.SchemeRSA:
				where = "keys: [{file: " + file + "}]"
			case d.scheme == string(signature.SchemeHMAC): // whole, as otherwise what the adapter knows of HMAC holds
				where += fmt.Sprintf(", header: %s, encoding: %s, signed: %q", d.settings.Headers[0], d.settings.Encoding, d.settings.Signed)
			}
			_, _ = fmt.Fprintf(&text, "  - {name: %s, adapter: %s, hold: true, verification: {scheme: %s, %s}}\n", d.name, d.adapter, d.scheme, where)
		}
	}
	files[configFile] = text.String()
	return s.Write(files)
}

// start starts the binary, at the addresses of the time before if there was one, and returns when it listens.
func (s *service) start(ctx context.Context) error {
	args := []string{"serve", "--config", filepath.Join(s.Dir, configFile), "--data-dir", filepath.Join(s.Dir, "data")}
	if s.public != "" {
		args = append(args, "--public-addr", s.public, "--http-addr", s.rest, "--grpc-addr", s.grpc)
	}
	found, err := s.Start(ctx, 3, args...)
	if err != nil {
		return err
	}
	s.public, s.rest, s.grpc = found[0], found[1], found[2]
	return nil
}

// url returns where a door is.
func (s *service) url(d *door, path string) string {
	return "http://" + s.public + "/v1/webhooks/" + d.name + path
}

// dial connects to gRPC as an operator.
func (s *service) dial() (*grpc.ClientConn, error) {
	return grpc.NewClient(s.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// operator returns a context with the operator's token.
func (s *service) operator(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+s.token)
}

// client returns one that keeps as many connections as there are senders.
func client(senders int) *http.Client {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	return &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, MaxIdleConnsPerHost: senders, MaxConnsPerHost: senders, DisableCompression: true,
			WriteBufferSize: 16 << 10, ReadBufferSize: 8 << 10,
		},
	}
}
