package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/signature"
	"google.golang.org/protobuf/encoding/protojson"
)

// Secrets of senders.
const (
	oldSecret = "old-secret-0123456789"
	newSecret = "new-secret-9876543210"
	holdKey   = "hold-key-0123456789-0123456789-0123456789"
)

// folder holds a configuration and what that refers to.
type folder string

// newFolder returns a folder with a file for each secret.
func newFolder(t *testing.T) folder {
	t.Helper()
	f := folder(t.TempDir())
	f.write(t, "old.secret", oldSecret+"\n")
	f.write(t, "new.secret", newSecret+"\n")
	f.write(t, "hold.key", holdKey+"\n")
	return f
}

// write writes a file and returns its path.
func (f folder) write(t *testing.T, name, text string) string {
	t.Helper()
	file := f.file(name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// configure writes a configuration and returns its path.
func (f folder) configure(t *testing.T, text string) string {
	t.Helper()
	return f.write(t, "callnorm.yaml", text)
}

// file is the path of a file.
func (f folder) file(name string) string { return filepath.Join(string(f), name) }

// data is a directory for what is kept.
func (f folder) data() string { return f.file("data") }

// sales is a source that takes what is signed with one of the secrets, newest first.
func sales(secrets ...string) string {
	references := make([]string, len(secrets))
	for i, file := range secrets {
		references[i] = "{file: " + file + "}"
	}
	return `
sources:
  - name: sales
    adapter: synthflow
    verification: {scheme: hmac, header: X-Signature, signed: "{body}", secrets: [` + strings.Join(references, ", ") + "]}\n"
}

// signer signs as a sender with a secret.
func signer(t *testing.T, secret string) *signature.Verifier {
	t.Helper()
	verifier, err := signature.New(signature.Settings{
		Scheme: signature.SchemeHMAC, Headers: []string{"X-Signature"}, Signed: "{body}",
	}, []signature.Secret{signature.Secret(secret)})
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

// call is the body about a call that has ended.
func call(id string) string {
	return fmt.Sprintf(`{"call":{"call_id":%q,"status":"completed","end_call_reason":"human_goodbye","duration":42}}`, id)
}

// signed is a request to a source. Without a signer it is not signed.
func (s *service) signed(ctx context.Context, by *signature.Verifier, source, body string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/webhooks/"+source, strings.NewReader(body))
	if err != nil || by == nil {
		return request, err
	}
	sealed, err := by.Sign(signature.Request{
		Method: request.Method, Path: request.URL.EscapedPath(), Header: request.Header, Body: []byte(body), Time: time.Now(),
	})
	request.Header = sealed.Header
	return request, err
}

// send posts a signed body, and returns the code and the text of the answer.
func (s *service) send(t *testing.T, by *signature.Verifier, source, body string) (code int, text []byte) {
	t.Helper()
	request, err := s.signed(t.Context(), by, source, body)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, http.DefaultClient, request)
}

// deliver posts a signed body that the source sales takes.
func (s *service) deliver(t *testing.T, by *signature.Verifier, body string) *callnormv1.IngestDeliveryResponse {
	t.Helper()
	code, text := s.send(t, by, "sales", body)
	answer := &callnormv1.IngestDeliveryResponse{}
	if err := protojson.Unmarshal(text, answer); code != http.StatusOK || err != nil {
		t.Fatalf("%d %s", code, text)
	}
	return answer
}

// refused posts a signed body that the source sales refuses.
func (s *service) refused(t *testing.T, by *signature.Verifier, body string) {
	t.Helper()
	if code, text := s.send(t, by, "sales", body); code != http.StatusUnauthorized {
		t.Errorf("%d %s", code, text)
	}
}

// load is a number of senders who post one call after the other until it ends. The first answer but 200 ends a sender.
type load struct {
	service *service
	source  string
	name    string // of its calls
	client  *http.Client
	ended   sync.WaitGroup

	mutex    sync.Mutex
	changed  *sync.Cond
	signer   *signature.Verifier
	answers  []int // by sender
	kept     []string
	failures []string
	stopping bool
}

// load starts senders.
func (s *service) load(t *testing.T, source string, senders int, by *signature.Verifier) *load {
	t.Helper()
	l := &load{
		service: s, source: source, name: rand.Text(), signer: by, answers: make([]int, senders),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}},
	}
	l.changed = sync.NewCond(&l.mutex)
	for sender := range senders {
		l.ended.Go(func() { l.send(sender) })
	}
	t.Cleanup(func() { l.end() })
	return l
}

func (l *load) send(sender int) {
	for n := 0; ; n++ {
		l.mutex.Lock()
		by, stopping := l.signer, l.stopping
		l.mutex.Unlock()
		if stopping {
			return
		}
		delivery, err := l.post(by, l.call(sender, n))
		l.mutex.Lock()
		l.answers[sender]++
		if err != nil {
			l.failures = append(l.failures, err.Error())
			l.stopping = true
		} else {
			l.kept = append(l.kept, delivery)
		}
		l.changed.Broadcast()
		l.mutex.Unlock()
	}
}

// call is the n-th body of a sender.
func (l *load) call(sender, n int) string { return call(fmt.Sprintf("%s-%d-%d", l.name, sender, n)) }

func (l *load) post(by *signature.Verifier, body string) (delivery string, err error) {
	request, err := l.service.signed(context.Background(), by, l.source, body)
	if err != nil {
		return "", err
	}
	response, err := l.client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s %s", response.Status, bytes.TrimSpace(text))
	}
	answer := &callnormv1.IngestDeliveryResponse{}
	err = protojson.Unmarshal(text, answer)
	return answer.GetDelivery(), err
}

// sign has the senders sign with another secret from their next request on.
func (l *load) sign(by *signature.Verifier) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.signer = by
}

// pass returns after each sender has had answers to so many requests that it began after now, or false when the load has ended.
func (l *load) pass(n int) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	until := make([]int, len(l.answers))
	for sender, answers := range l.answers {
		until[sender] = answers + n + 1 // one may be on its way
	}
	for !l.stopping {
		open := false
		for sender, answers := range l.answers {
			open = open || answers < until[sender]
		}
		if !open {
			return true
		}
		l.changed.Wait()
	}
	return false
}

// acknowledged lists the deliveries that were acknowledged until now.
func (l *load) acknowledged() []string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return append([]string(nil), l.kept...)
}

// end ends the senders and returns what answers but 200 they had.
func (l *load) end() (failures []string) {
	l.mutex.Lock()
	l.stopping = true
	l.mutex.Unlock()
	l.ended.Wait()
	l.client.CloseIdleConnections()
	return l.failures
}
