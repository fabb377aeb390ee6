package access

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// FileError is what is wrong with one of the files.
type FileError struct {
	// Path is the file's, as Files has it. A key that does not fit is the certificate's error.
	Path string
	// Err tells what is wrong, without the path.
	Err error
}

// Error returns PATH: WHAT.
func (e *FileError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *FileError) Unwrap() error { return e.Err }

// LoadTLS reads the files. The error joins a *FileError for each that is wrong.
func LoadTLS(files Files) (*Certificates, error) {
	c := &Certificates{files: files}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the files again. Connections made from now on use what is in them; open ones are left alone. If anything is wrong
// with a file, what was read before stays; the error is like that of LoadTLS.
func (c *Certificates) Reload() error {
	server, err := readPair(c.files.Cert, c.files.Key)
	next := &loaded{server: server, clientCAs: x509.NewCertPool()}
	if c.files.ClientCA != "" {
		err = errors.Join(err, addCAs(next.clientCAs, c.files.ClientCA))
	}
	if err != nil {
		return err
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
	certText, certErr := read(certFile)
	keyText, keyErr := read(keyFile)
	if err := errors.Join(certErr, keyErr); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		return tls.Certificate{}, &FileError{certFile, fmt.Errorf("cannot be used with the key %s: %w", keyFile, err)}
	}
	if err := valid(pair.Leaf); err != nil {
		return tls.Certificate{}, &FileError{certFile, err}
	}
	return pair, nil
}

// addCAs adds the certificates of a file. One of them has to be valid; while one replaces another, both are in the file.
func addCAs(pool *x509.CertPool, file string) error {
	text, err := read(file)
	if err != nil {
		return err
	}
	invalid := errors.New("there is no certificate in it")
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		authority, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return &FileError{file, err}
		}
		pool.AddCert(authority)
		if invalid != nil {
			invalid = valid(authority)
		}
	}
	if invalid != nil {
		return &FileError{file, invalid}
	}
	return nil
}

// read reads a file.
func read(path string) ([]byte, error) {
	const most = 1 << 20 // bytes: a configuration may name a file without end
	file, err := os.Open(path)
	if err != nil {
		return nil, &FileError{path, bare(err)}
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	switch {
	case err != nil:
		return nil, &FileError{path, bare(err)}
	case len(text) > most:
		return nil, &FileError{path, errors.New("is too long")}
	}
	return text, nil
}

// bare is what went wrong with a file, without its path.
func bare(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}

// valid tells whether a certificate is valid now.
func valid(certificate *x509.Certificate) error {
	switch now := time.Now(); {
	case now.After(certificate.NotAfter):
		return fmt.Errorf("the certificate expired at %s", certificate.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(certificate.NotBefore):
		return fmt.Errorf("the certificate is not valid before %s", certificate.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}
