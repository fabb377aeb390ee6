package access_test

import (
	"testing"

	"github.com/callnorm/callnorm/server/access"
)

func TestIsLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"localhost:80": true, "LocalHost:80": true, "127.0.0.1:80": true, "127.1.2.3:80": true, "[::1]:80": true,
		"[::ffff:127.0.0.1]:80": true, "[::1%lo]:80": true, "localhost:": true,
		":80": false, "0.0.0.0:80": false, "[::]:80": false, "10.0.0.1:80": false, "[::ffff:10.0.0.1]:80": false,
		"localhost.example.com:80": false, "127.0.0.1.example.com:80": false, "localhost.:80": false, "127.1:80": false,
		"0177.0.0.1:80": false, "[fe80::1%lo]:80": false, "128.0.0.1:80": false,
	} {
		if got, err := access.IsLoopback(addr); got != want || err != nil {
			t.Errorf("%q: got %v, %v; want %v", addr, got, err, want)
		}
	}
	for _, addr := range []string{"", "localhost", "127.0.0.1", "::1", "[::1]", "localhost:80:90", "::1:80"} {
		if got, err := access.IsLoopback(addr); got || err == nil {
			t.Errorf("%q: got %v, %v; want an error", addr, got, err)
		}
	}
}
