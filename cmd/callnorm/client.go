package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/callnorm/callnorm/server/access"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// connection is how a command reaches a running server.
type connection struct {
	Addr      string `env:"CALLNORM_GRPC_ADDR" default:"${grpc_addr}" placeholder:"HOST:PORT" help:"Address of the server (${default})."`
	TokenFile string `name:"token-file" env:"CALLNORM_TOKEN_FILE" placeholder:"FILE" help:"File with the token of a reader."`
	TLS       bool   `name:"tls" env:"CALLNORM_TLS" help:"Connect by TLS. Implied by the flags below."`
	CAFile    string `name:"ca-file" env:"CALLNORM_CA_FILE" placeholder:"FILE" help:"Certificates that the server's is checked against; the system's without it."`
	CertFile  string `name:"cert-file" env:"CALLNORM_CERT_FILE" placeholder:"FILE" help:"Client certificate."`
	KeyFile   string `name:"key-file" env:"CALLNORM_KEY_FILE" placeholder:"FILE" help:"Its key."`
}

// reconnect is soon: the server is near, and what it missed is waiting.
var reconnect = backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}

// maxAnswer is more than a delivery with the largest body that a source may take.
const maxAnswer = 80 << 20

// dial connects lazily.
func (c connection) dial() (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
	}
	secure := c.TLS || c.CAFile != "" || c.CertFile != ""
	transport := insecure.NewCredentials()
	if secure {
		config, err := c.tlsConfig()
		if err != nil {
			return nil, &usageError{err}
		}
		transport = credentials.NewTLS(config)
	}
	options = append(options, grpc.WithTransportCredentials(transport))
	if c.TokenFile != "" {
		text, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return nil, usagef("--token-file: %w", err)
		}
		if len(bytes.TrimSpace(text)) == 0 {
			return nil, usagef("--token-file: %s is empty", c.TokenFile)
		}
		if near, err := access.IsLoopback(c.Addr); !secure && (err != nil || !near) {
			return nil, usagef("a token is not sent to %s without TLS: say --tls or --ca-file", c.Addr)
		}
		options = append(options, grpc.WithPerRPCCredentials(bearer(strings.TrimSpace(string(text)))))
	}
	conn, err := grpc.NewClient(c.Addr, options...)
	if err != nil {
		return nil, usagef("address %q: %w", c.Addr, err)
	}
	return conn, nil
}

func (c connection) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--ca-file: %s holds no certificate", c.CAFile)
		}
	}
	if c.CertFile != "" || c.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("--cert-file and --key-file: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// bearer is a token that goes with every call.
type bearer string

// GetRequestMetadata returns the token as a header.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity is false: dial has seen to it that the token goes no further than this machine without TLS.
func (bearer) RequireTransportSecurity() bool { return false }
