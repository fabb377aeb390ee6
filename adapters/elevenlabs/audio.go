package elevenlabs

import (
	"bytes"
	"encoding/base64"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

const fullAudio = "full_audio"

// formats tells recordings apart by the three bytes with which they begin. The documentation speaks of MP3.
var formats = []struct{ start, contentType string }{
	{"ID3", mp3},
	{"\xff\xfb", mp3},
	{"\xff\xfa", mp3},
	{"\xff\xf3", mp3},
	{"\xff\xf2", mp3},
	{"RIF", "audio/wav"},
	{"Ogg", "audio/ogg"},
}

const mp3 = "audio/mpeg"

// setAudio describes the recording that a body carries, without a copy of it: it has many megabytes, and the delivery holds them.
func (c *record) setAudio() {
	if len(c.audio) <= len(`""`) {
		return
	}
	text := c.audio[1 : len(c.audio)-1]
	c.recording = &callnormv1.Recording{KindRaw: fullAudio}
	var start [3]byte
	n, _ := base64.StdEncoding.Decode(start[:], text[:min(len(text), 4)]) // what is no base64 begins like no format
	for _, format := range formats {
		if bytes.HasPrefix(start[:n], []byte(format.start)) {
			c.recording.ContentType = format.contentType
			break
		}
	}
	if size, ok := decodedSize(text); ok {
		c.recording.SizeBytes = &size
		return
	}
	c.notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNREADABLE, c.audioPath, "the recording is not in plain base64, so that its size is not told")
	const longestAddress = 4096
	if len(text) <= longestAddress {
		c.notes.Unmapped(c.audioPath, c.audio)
	}
}

// decodedSize returns the number of bytes that a text of base64 stands for.
func decodedSize(text []byte) (int64, bool) {
	const characters, bytesOf = 4, 3
	text = bytes.TrimRight(text, "=")
	for _, c := range text {
		if !inBase64[c] {
			return 0, false
		}
	}
	return int64(len(text)) * bytesOf / characters, true
}

var inBase64 = func() (in [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		in[c] = true
	}
	return in
}()
