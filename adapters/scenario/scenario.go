// Package scenario reads deliveries that show what a provider sends: the cases that an adapter is proved with, and the samples that
// it has for people who have no account with the provider.
//
//	testdata/<name>.json           the body, byte for byte; a form ends in .form, any other extension but those below will do
//	testdata/<name>.json.delivery  optional: the provider, event, query and header that came with it, as JSON
//
// What ends in .golden or .error says what a delivery means, and left_out.txt what an adapter leaves out; folders are of other use.
package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/callnorm/callnorm/adapters"
)

// What stands beside the bodies.
const (
	Folder      = "testdata"
	GoldenExt   = ".golden"
	ErrorExt    = ".error"
	DeliveryExt = ".delivery"
	LeftOutFile = "left_out.txt"
)

// Scenario is one delivery, as a provider sends it.
type Scenario struct {
	// Name is the file's name without its extension.
	Name string
	// File is the file's path.
	File string
	// Delivery has no time of receipt.
	Delivery adapters.Delivery
}

// Of returns the scenarios of an adapter by name.
func Of(adapter adapters.Adapter) ([]Scenario, error) {
	return Read(adapter.Scenarios(), adapter.Providers()[0])
}

// Read returns the scenarios by name. What does not say which provider sent it comes from the given one.
func Read(files fs.FS, provider string) ([]Scenario, error) {
	entries, err := fs.ReadDir(files, Folder)
	if err != nil {
		return nil, err
	}
	var list []Scenario
	for _, entry := range entries {
		if entry.IsDir() || entry.Name() == LeftOutFile || IsBeside(path.Ext(entry.Name())) {
			continue
		}
		one, err := read(files, path.Join(Folder, entry.Name()), provider)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b Scenario) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// IsBeside tells whether files with this extension stand beside a body, and are none.
func IsBeside(ext string) bool { return ext == GoldenExt || ext == ErrorExt || ext == DeliveryExt }

func read(files fs.FS, file, provider string) (Scenario, error) {
	one := Scenario{Name: strings.TrimSuffix(path.Base(file), path.Ext(file)), File: file}
	d := &one.Delivery
	var err error
	if d.Body, err = fs.ReadFile(files, file); err != nil {
		return one, err
	}
	d.Provider, d.Header = provider, http.Header{"Content-Type": {contentType(file)}}
	described, err := fs.ReadFile(files, file+DeliveryExt)
	if errors.Is(err, fs.ErrNotExist) {
		return one, nil
	}
	if err != nil {
		return one, err
	}
	var more struct {
		Provider string      `json:"provider"`
		Event    string      `json:"event"`
		Query    string      `json:"query"`
		Header   http.Header `json:"header"`
	}
	decoder := json.NewDecoder(bytes.NewReader(described))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&more); err != nil {
		return one, fmt.Errorf("%s: %w", file+DeliveryExt, err)
	}
	if more.Provider != "" {
		d.Provider = more.Provider
	}
	d.Event, d.Query = more.Event, more.Query
	maps.Copy(d.Header, more.Header)
	return one, nil
}

// FormType is the media type of forms.
const FormType = "application/x-www-form-urlencoded"

func contentType(file string) string {
	if path.Ext(file) == ".form" {
		return FormType
	}
	return "application/json"
}
