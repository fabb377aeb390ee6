package process

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPanicsAreFoundInALog(t *testing.T) {
	p := &Process{Dir: t.TempDir()}
	log := "level=INFO msg=fine\nlevel=WARN msg=\"http: panic serving 127.0.0.1:1: nil\"\npanic: boom\nlevel=INFO msg=fine"
	if err := os.WriteFile(filepath.Join(p.Dir, LogFile), []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	if count, err := p.Panics(); count != 2 || err != nil {
		t.Errorf("%d, %v", count, err)
	}
}
