package config

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate returns a certificate that signs itself, and its key, in PEM.
func certificate(t *testing.T, from, until time.Time) (cert, key string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return text("CERTIFICATE", der), text("PRIVATE KEY", encoded)
}

// TestTLS checks certificates as the server will: what it refuses is a problem of the field that names the file.
func TestTLS(t *testing.T) {
	day := 24 * time.Hour
	good, goodKey := certificate(t, time.Now().Add(-day), time.Now().Add(day))
	_, otherKey := certificate(t, time.Now().Add(-day), time.Now().Add(day))
	old, oldKey := certificate(t, time.Now().Add(-2*day), time.Now().Add(-day))
	early, earlyKey := certificate(t, time.Now().Add(day), time.Now().Add(2*day))
	const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	tests := map[string]struct {
		cert, key, ca string
		want          []string // of each problem
	}{
		"all is well":                       {good, goodKey, good, nil},
		"an expired client CA beside a new": {good, goodKey, old + good, nil},
		"an expired certificate":            {old, oldKey, good, []string{":1:7: tls.cert_file: DIR/server.pem: the certificate expired at "}},
		"a certificate of the future":       {early, earlyKey, good, []string{":1:7: tls.cert_file: DIR/server.pem: the certificate is not valid before "}},
		"another key": {good, otherKey, good, []string{
			":1:7: tls.cert_file: DIR/server.pem: cannot be used with the key DIR/server.key: ",
		}},
		"an expired client CA":                 {good, goodKey, old, []string{":3:3: tls.client_ca_file: DIR/ca.pem: the certificate expired at "}},
		"a broken client CA beside a good one": {good, goodKey, good + broken, []string{":3:3: tls.client_ca_file: DIR/ca.pem: x509: "}},
		"certificate and client CA": {old, oldKey, "", []string{
			":1:7: tls.cert_file: DIR/server.pem: the certificate expired at ", ":3:3: tls.client_ca_file: DIR/ca.pem: there is no certificate in it",
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			const text = "tls: {cert_file: server.pem,\n  key_file: server.key,\n  client_ca_file: ca.pem}\n"
			file := write(t, "callnorm.yaml", text, map[string]string{"server.pem": test.cert, "server.key": test.key, "ca.pem": test.ca})
			config, err := Load(file, Overrides{}, environment, fakes(t))
			if test.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				expect(t, config.TLS.ClientCAFile, filepath.Join(filepath.Dir(file), "ca.pem"))
				return
			}
			problems := (*Problems)(nil)
			if !errors.As(err, &problems) || len(problems.Unwrap()) != len(test.want) {
				t.Fatal(err)
			}
			for i, problem := range problems.Unwrap() {
				if want := file + strings.ReplaceAll(test.want[i], "DIR", filepath.Dir(file)); !strings.HasPrefix(problem.Error(), want) {
					t.Errorf("got %s, want %s", problem, want)
				}
			}
		})
	}
}
