package access_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/server/access"
)

// answer tells what came through the gate.
func answer(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprintf(w, "%s %v", access.From(r.Context()).Name, r.Header["Authorization"])
}

func refuse(w http.ResponseWriter, _ *http.Request, err error) {
	code := http.StatusForbidden
	if errors.Is(err, access.ErrUnauthenticated) {
		code = http.StatusUnauthorized
	}
	http.Error(w, err.Error(), code)
}

func isDoor(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/door/") || r.URL.Path == "/livez"
}

func serve(gate *access.Gate, request *http.Request) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	gate.HTTP(http.HandlerFunc(answer), isDoor, refuse).ServeHTTP(recorder, request)
	return recorder
}

func TestHTTP(t *testing.T) {
	gate := newGate()
	for name, test := range map[string]struct {
		path, authorization string
		code                int
		body                string
	}{
		"a reader":                   {"/v1/outcomes", "Bearer read-token-1234567", http.StatusOK, "dashboard []"},
		"nobody":                     {"/v1/outcomes", "", http.StatusUnauthorized, "Authorization: Bearer TOKEN"},
		"a wrong token":              {"/v1/outcomes", "Bearer x", http.StatusUnauthorized, "Authorization: Bearer TOKEN"},
		"nobody at an unknown route": {"/unknown", "", http.StatusUnauthorized, ""},
		"nobody at the door":         {"/door/x", "", http.StatusOK, " []"},
		"nobody beside the door":     {"/door", "", http.StatusUnauthorized, ""},
		"the door's own credential":  {"/door/x", "Bearer of-the-provider", http.StatusOK, " [Bearer of-the-provider]"},
		"a reader at the door":       {"/door/x", "Bearer read-token-1234567", http.StatusOK, " [Bearer read-token-1234567]"},
		"nobody asks for life":       {"/livez", "", http.StatusOK, " []"},
	} {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequest(http.MethodPost, test.path, nil)
			if test.authorization != "" {
				request.Header.Set("Authorization", test.authorization)
			}
			recorder := serve(gate, request)
			if recorder.Code != test.code || !strings.Contains(recorder.Body.String(), test.body) {
				t.Errorf("got %d %s", recorder.Code, recorder.Body)
			}
			if challenge := recorder.Header().Get("WWW-Authenticate"); strings.HasPrefix(challenge, "Bearer") != (test.code == http.StatusUnauthorized) {
				t.Errorf("challenge %q", challenge)
			}
		})
	}
}

func TestForeign(t *testing.T) {
	const api, door = "/v1/outcomes", "/door/x"
	for name, test := range map[string]struct {
		path, host string
		header     http.Header
		domestic   bool
	}{
		"a command line":                       {api, "127.0.0.1:8080", nil, true},
		"a command line that says localhost":   {api, "localhost:8080", nil, true},
		"a command line with IPv6":             {api, "[::1]:8080", nil, true},
		"the default port":                     {api, "localhost", nil, true},
		"IPv6 on the default port":             {api, "[::1]", nil, true},
		"an address that was typed":            {api, "localhost:8080", http.Header{"Sec-Fetch-Site": {"none"}}, true},
		"a page of its own":                    {api, "localhost:8080", http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"http://localhost:8080"}}, true},
		"a name that points to loopback":       {api, "evil.example.com:8080", nil, false},
		"an address of the network":            {api, "10.0.0.1:8080", nil, false},
		"a name that begins like loopback":     {api, "127.0.0.1.example.com", nil, false},
		"a name that begins like localhost":    {api, "localhost.example.com", nil, false},
		"no host":                              {api, "", nil, false},
		"a host with a user":                   {api, "localhost@evil.example.com", nil, false},
		"a page of another site":               {api, "localhost:8080", http.Header{"Origin": {"https://evil.example.com"}}, false},
		"a page on another port":               {api, "localhost:8080", http.Header{"Origin": {"http://localhost:3000"}}, false},
		"a sandbox":                            {api, "localhost:8080", http.Header{"Origin": {"null"}}, false},
		"an empty origin":                      {api, "localhost:8080", http.Header{"Origin": {""}}, false},
		"two origins":                          {api, "localhost:8080", http.Header{"Origin": {"http://localhost:8080", "https://evil.example.com"}}, false},
		"an image on another site":             {api, "localhost:8080", http.Header{"Sec-Fetch-Site": {"cross-site"}}, false},
		"an image on another port":             {api, "localhost:8080", http.Header{"Sec-Fetch-Site": {"same-site"}}, false},
		"a webhook":                            {door, "127.0.0.1:8080", nil, true},
		"a webhook through a tunnel":           {door, "abc.tunnel.example.com", nil, true},
		"a webhook of a page":                  {door, "localhost:8080", http.Header{"Origin": {"https://evil.example.com"}}, false},
		"a webhook of a form":                  {door, "localhost:8080", http.Header{"Sec-Fetch-Site": {"cross-site"}}, false},
		"a webhook of a page that points here": {door, "evil.example.com:8080", http.Header{"Origin": {"http://evil.example.com:8080"}}, false},
		"a webhook of a sandbox":               {door, "", http.Header{"Origin": {"null"}}, false},
		"life":                                 {"/livez", "anything", nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequest(http.MethodPost, test.path, nil)
			request.Host, request.Header = test.host, test.header
			if request.Header == nil {
				request.Header = http.Header{}
			}
			open := access.New(access.Policy{OpenHouse: true})
			want := http.StatusForbidden
			if test.domestic {
				want = http.StatusOK
			}
			if recorder := serve(open, request); recorder.Code != want {
				t.Errorf("open house: got %d %s", recorder.Code, recorder.Body)
			}
			closed := newGate()
			request.Header.Set("Authorization", "Bearer read-token-1234567")
			if recorder := serve(closed, request); recorder.Code != http.StatusOK {
				t.Errorf("with a credential: got %d %s", recorder.Code, recorder.Body)
			}
		})
	}
}

func TestAClosedHouseOnLoopbackTakesNoWebhooksOfPages(t *testing.T) {
	gate := access.New(access.Policy{OpenHouse: true})
	gate.Set(readers())
	request := httptest.NewRequest(http.MethodPost, "/door/x", nil)
	request.Header.Set("Origin", "https://evil.example.com")
	if recorder := serve(gate, request); recorder.Code != http.StatusForbidden {
		t.Errorf("got %d %s", recorder.Code, recorder.Body)
	}
}
