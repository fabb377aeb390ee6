package wire_test

import (
	"testing"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

func TestLaterReadsWithThePathAndNotesOfThePlace(t *testing.T) {
	body := `[{"data":{"to":"a","odd":[1, 2],"number":"x"},"type":"known"},{"data":{"to":"b"},"type":"new"},{"data":"c"}]`
	var to []string
	var notes *wire.Notes
	err := wire.Read([]byte(body), func(r *wire.Reader) {
		notes = r.Notes()
		for range r.Elements() {
			kind, data := "", func(func(*wire.Reader)) {}
			for name := range r.Members() {
				switch name {
				case "type":
					kind = r.Text()
				case "data":
					data = r.Later()
				}
			}
			if kind != "known" {
				data((*wire.Reader).Keep)
				continue
			}
			data(func(r *wire.Reader) {
				for name := range r.Members() {
					switch name {
					case "to":
						to = append(to, r.Text())
					case "number":
						r.Int()
					}
				}
			})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(to) != 1 || to[0] != "a" {
		t.Errorf("read %q, want the data of the known type only", to)
	}
	want := map[string]string{
		"[0].data.odd": `[1,2]`, "[0].data.number": `"x"`, "[1].data": `{"to":"b"}`, "[2].data": `"c"`,
	}
	got := notes.Provenance().GetUnmapped()
	if len(got) != len(want) {
		t.Errorf("unmapped: %v", got)
	}
	for _, field := range got {
		if want[field.GetPath()] != field.GetValueJson() {
			t.Errorf("%s is kept as %s, want %s", field.GetPath(), field.GetValueJson(), want[field.GetPath()])
		}
	}
	warnings := notes.Provenance().GetWarnings()
	if len(warnings) != 1 || warnings[0].GetKind() != callnormv1.WarningKind_WARNING_KIND_WRONG_TYPE {
		t.Errorf("warnings: %v", warnings)
	}
}

func TestLaterOfABrokenValueReadsNothing(t *testing.T) {
	err := wire.Read([]byte(`{"data":{"to":`), func(r *wire.Reader) {
		for range r.Members() {
			r.Later()(func(*wire.Reader) { t.Error("a value that is not there was read") })
		}
	})
	if err == nil {
		t.Error("the body is truncated, and there is no error")
	}
}
