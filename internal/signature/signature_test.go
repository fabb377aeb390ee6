package signature

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretsDoNotShow(t *testing.T) {
	const secret = Secret("sesame")
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("it", "secret", secret, "list", []Secret{secret})
	encoded, err := json.Marshal(map[string]any{"secret": secret, "list": []Secret{secret}})
	if err != nil {
		t.Fatal(err)
	}
	shown := logged.String() + string(encoded) + secret.String() + secret.GoString() +
		fmt.Sprintf("%s %q %v %+v %#v %x %d %T", secret, secret, secret, secret, secret, secret, secret, secret) +
		fmt.Sprint([]Secret{secret}, struct{ S Secret }{secret}, &Refusal{Cause: CauseFieldMissing})
	for _, form := range []string{"sesame", fmt.Sprintf("%x", "sesame")} {
		if strings.Contains(shown, form) {
			t.Errorf("%q shows in %s", form, shown)
		}
	}
	if !strings.Contains(shown, redacted) {
		t.Errorf("nothing says that something is hidden: %s", shown)
	}
}
