package server

import (
	"net/http"
	"time"
)

// patient gives each write of an answer the same time. One deadline for all would end streams, none at all would let a reader who
// stops reading hold a connection for ever.
type patient struct {
	http.ResponseWriter

	within time.Duration
}

// Write writes within the time.
func (p *patient) Write(data []byte) (int, error) {
	p.extend()
	return p.ResponseWriter.Write(data)
}

// FlushError flushes within the time.
func (p *patient) FlushError() error {
	p.extend()
	return http.NewResponseController(p.ResponseWriter).Flush()
}

// Flush is what older code asks for.
func (p *patient) Flush() { _ = p.FlushError() }

// Unwrap lets http.ResponseController through to the connection.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *patient) extend() {
	if p.within > 0 {
		// A writer without deadlines is one of a test.
		_ = http.NewResponseController(p.ResponseWriter).SetWriteDeadline(time.Now().Add(p.within))
	}
}
