package archive

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"
)

var errLineTooLong = fmt.Errorf("the line is longer than a body may be, %d MiB; keep this webhook in a file of its own", MaxBody>>20)

// lineReader reads lines that are bounded.
type lineReader struct {
	in  *bufio.Reader
	buf []byte
}

// next returns the next line without white space around it, valid until the next call, and how many bytes it took. A line that is
// too long is passed over.
func (l *lineReader) next() (line []byte, size int64, err error) {
	l.buf = l.buf[:0]
	for {
		part, err := l.in.ReadSlice('\n')
		size += int64(len(part))
		if size <= MaxBody {
			l.buf = append(l.buf, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || size == 0):
			return nil, size, err
		case size > MaxBody:
			return nil, size, errLineTooLong
		}
		return bytes.TrimSpace(l.buf), size, nil
	}
}

// parse reads a line. It keeps nothing of the text. Its errors name keys, and never quote values.
func parse(text []byte) (*callnormv1.IngestDeliveryRequest, error) {
	// What stands in a body is for an adapter to judge.
	in := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if in.PeekKind() != '{' {
		return nil, errors.New("the line is not a JSON object")
	}
	if _, err := in.ReadToken(); err != nil {
		return nil, notJSON(err)
	}
	request := &callnormv1.IngestDeliveryRequest{Body: &httpbody.HttpBody{}}
	seen := make(map[string]bool)
	for in.PeekKind() != '}' {
		token, err := in.ReadToken()
		if err != nil {
			return nil, notJSON(err)
		}
		key := token.String()
		value, err := in.ReadValue()
		switch {
		case err != nil:
			return nil, notJSON(err)
		case seen[key]:
			return nil, fmt.Errorf("the key %.100q stands twice", key)
		case len(seen) == 0 && (key == "name" || key == "delivery"):
			return parseDelivery(text, key == "delivery")
		}
		seen[key] = true
		if err := set(request, key, value); err != nil {
			return nil, err
		}
	}
	if _, err := in.ReadToken(); err != nil {
		return nil, notJSON(err)
	}
	if _, err := in.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the line holds more than one object")
	}
	switch {
	case !seen["receive_time"]:
		return nil, errors.New("receive_time is missing: an import knows no other time")
	case seen["body"] == seen["body_base64"]:
		return nil, errors.New("one of body and body_base64 is needed")
	}
	return request, nil
}

// set takes the value of a key over.
func set(request *callnormv1.IngestDeliveryRequest, key string, value jsontext.Value) error {
	var err error
	switch key {
	case "receive_time":
		err = setTime(request, value)
	case "body":
		request.Body.Data, err = body(value)
	case "body_base64":
		var encoded string
		if encoded, err = text(value); err != nil {
			break
		}
		if request.Body.Data, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			err = errors.New("is not base64 (with + and /, and padded)")
		}
	case "headers":
		request.Headers, err = headers(value)
	case "query":
		request.Query, err = text(value)
	case "event":
		request.Event, err = text(value)
	case "content_type":
		request.Body.ContentType, err = text(value)
	default:
		return fmt.Errorf("unknown key %.100q; there are receive_time, body, body_base64, headers, query, event and content_type", key)
	}
	if err != nil {
		return fmt.Errorf("%s %w", key, err)
	}
	return nil
}

func setTime(request *callnormv1.IngestDeliveryRequest, value jsontext.Value) error {
	said, err := text(value)
	if err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339Nano, said)
	if err != nil {
		return errors.New("is no time of RFC 3339, such as 2026-11-21T14:02:00.25Z")
	}
	request.ReceiveTime = timestamppb.New(at)
	return nil
}

// body returns the body that a text is, or the bytes of an object or array as they stand there.
func body(value jsontext.Value) ([]byte, error) {
	switch value.Kind() {
	case '"':
		unquoted, err := text(value)
		return []byte(unquoted), err
	case '{', '[':
		return bytes.Clone(value), nil
	default:
		return nil, errors.New("is neither a text nor an object or array")
	}
}

func text(value jsontext.Value) (string, error) {
	if value.Kind() != '"' {
		return "", errors.New("is not a text")
	}
	unquoted, err := jsontext.AppendUnquote(nil, []byte(value))
	if err != nil {
		return "", errors.New("is not valid UTF-8; for a body there is body_base64")
	}
	return string(unquoted), nil
}

// headers reads an object with a text or an array of texts for each name.
func headers(value jsontext.Value) ([]*callnormv1.HttpHeader, error) {
	if value.Kind() != '{' {
		return nil, errors.New("is not an object")
	}
	var lines []*callnormv1.HttpHeader
	in := jsontext.NewDecoder(bytes.NewBuffer(value), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := in.ReadToken(); err != nil {
		return nil, err
	}
	for in.PeekKind() == '"' {
		token, err := in.ReadToken()
		if err != nil {
			return nil, err
		}
		name, several := token.String(), in.PeekKind() == '['
		if several {
			if _, err := in.ReadToken(); err != nil {
				return nil, err
			}
		}
		for in.PeekKind() != ']' {
			value, err := in.ReadValue()
			if err != nil {
				return nil, err
			}
			line, err := text(value)
			if err != nil {
				return nil, fmt.Errorf("have a value that %w, or an array of texts", err)
			}
			lines = append(lines, &callnormv1.HttpHeader{Name: name, Value: line})
			if !several {
				break
			}
		}
		if several {
			if _, err := in.ReadToken(); err != nil {
				return nil, err
			}
		}
	}
	return lines, nil
}

// parseDelivery reads what `callnorm quarantine show --json` and GetDelivery print.
func parseDelivery(text []byte, wrapped bool) (*callnormv1.IngestDeliveryRequest, error) {
	response := &callnormv1.GetDeliveryResponse{Delivery: &callnormv1.Delivery{}}
	var err error
	if wrapped {
		err = protojson.Unmarshal(text, response)
	} else {
		err = protojson.Unmarshal(text, response.GetDelivery())
	}
	delivery := response.GetDelivery()
	if err != nil || delivery.GetReceiveTime() == nil {
		return nil, errors.New("the line is no delivery as callnorm quarantine show --json prints it")
	}
	return &callnormv1.IngestDeliveryRequest{
		Body: &httpbody.HttpBody{Data: delivery.GetBody()}, Headers: delivery.GetHeaders(), Query: delivery.GetQuery(),
		Event: delivery.GetEvent(), ReceiveTime: delivery.GetReceiveTime(),
	}, nil
}

// notJSON says where a line stops being JSON.
func notJSON(err error) error {
	if at := (*jsontext.SyntacticError)(nil); errors.As(err, &at) {
		return fmt.Errorf("the line is not JSON at byte %d", at.ByteOffset+1)
	}
	return errors.New("the line is not JSON")
}
