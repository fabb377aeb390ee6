package access

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// Files are the paths of what TLS needs, all in PEM.
type Files struct {
	// Cert is the server's certificate, with the intermediate ones after it. Key is its private key.
	Cert, Key string
	// ClientCA has the certificates that client certificates are verified with. It may be empty: then there are none.
	ClientCA string
}

// Certificates are the files as they were when they were last read. Its methods may be called from many goroutines.
type Certificates struct {
	files   Files
	current atomic.Pointer[loaded]
}

// loaded is what was in the files.
type loaded struct {
	server    tls.Certificate
	clientCAs *x509.CertPool // trusts nobody if there is no file
}

// LoadTLS reads the files.
func LoadTLS(files Files) (*Certificates, error) {
	c := &Certificates{files: files}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the files again. Connections made from now on use what is in them; open ones are left alone. If anything is wrong
// with a file, what was read before stays.
func (c *Certificates) Reload() error {
	next := &loaded{clientCAs: x509.NewCertPool()}
	var err error
	if next.server, err = readPair(c.files.Cert, c.files.Key); err != nil {
		return err
	}
	if c.files.ClientCA != "" {
		if err := addCAs(next.clientCAs, c.files.ClientCA); err != nil {
			return err
		}
	}
	c.current.Store(next)
	return nil
}

// NotAfter is when the server's certificate expires.
func (c *Certificates) NotAfter() time.Time { return c.current.Load().server.Leaf.NotAfter }

// Config returns what a listener needs. It keeps up with Reload. clients tells what is asked of clients: tls.NoClientCert on a
// public listener, tls.VerifyClientCertIfGiven where a token is an alternative, tls.RequireAndVerifyClientCert where it is not.
func (c *Certificates) Config(clients tls.ClientAuthType) *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &c.current.Load().server, nil
		},
		ClientAuth: clients,
	}
	if c.files.ClientCA == "" && clients == tls.VerifyClientCertIfGiven {
		config.ClientAuth = tls.NoClientCert // A client that has one for others is not refused for it.
	}
	outer := config.Clone()
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		inner := config.Clone()
		inner.ClientCAs = c.current.Load().clientCAs // Never nil: that would trust everyone whom the system trusts.
		return inner, nil
	}
	return outer
}

// readPair reads a certificate and its key.
func readPair(certFile, keyFile string) (tls.Certificate, error) {
	certText, err := os.ReadFile(certFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	keyText, err := os.ReadFile(keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("key: %w", err)
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
	}
	if err := valid(pair.Leaf); err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate %s: %w", certFile, err)
	}
	return pair, nil
}

// addCAs adds the certificates of a file. One of them has to be valid; while one replaces another, both are in the file.
func addCAs(pool *x509.CertPool, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("client CA: %w", err)
	}
	invalid := errors.New("there is no certificate in it")
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		authority, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("client CA %s: %w", file, err)
		}
		pool.AddCert(authority)
		if invalid != nil {
			invalid = valid(authority)
		}
	}
	if invalid != nil {
		return fmt.Errorf("client CA %s: %w", file, invalid)
	}
	return nil
}

// valid tells whether a certificate is valid now.
func valid(certificate *x509.Certificate) error {
	switch now := time.Now(); {
	case now.After(certificate.NotAfter):
		return fmt.Errorf("it expired at %s", certificate.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(certificate.NotBefore):
		return fmt.Errorf("it is not valid before %s", certificate.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}
