package server_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// grown tells of a call in as many deliveries as there are summaries, and returns its name.
func (s *system) grown(t *testing.T, summaries ...string) (name string) {
	t.Helper()
	for i, summary := range summaries {
		name = s.tell(t, "tales", &callnormv1.CallOutcome{
			ProviderCallId: "c", Status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, EventTime: at(i),
			Analysis: &callnormv1.Analysis{Summary: summary},
		})
	}
	return name
}

// summaries returns what the changes of a history say of the summary, newest first.
func summaries(revisions []*callnormv1.OutcomeRevision) (list []string) {
	for _, revision := range revisions {
		said := fmt.Sprintf("r%d", revision.GetOutcome().GetRevision())
		for _, change := range revision.GetChanges() {
			if change.GetPath() == "analysis.summary" {
				said += " " + change.GetBeforeJson() + " " + change.GetAfterJson()
			}
		}
		list = append(list, said)
	}
	return list
}

func TestListOutcomeRevisions(t *testing.T) {
	s := telling(t)
	name := s.grown(t, "one", "two", "three", "four", "five")
	want := []string{`r5 "four" "five"`, `r4 "three" "four"`, `r3 "two" "three"`, `r2 "one" "two"`, `r1`}
	for _, size := range []int32{0, 1, 2, 4, 5, 100} {
		t.Run(fmt.Sprintf("pages of %d", size), func(t *testing.T) {
			var got []string
			request := &callnormv1.ListOutcomeRevisionsRequest{Name: name, PageSize: size}
			for {
				page, err := s.outcomes.ListOutcomeRevisions(t.Context(), request)
				if err != nil {
					t.Fatal(err)
				}
				if size > 0 && len(page.GetRevisions()) > int(size) {
					t.Errorf("%d revisions", len(page.GetRevisions()))
				}
				got = append(got, summaries(page.GetRevisions())...)
				if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
					break
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	t.Run("without what every revision changes", func(t *testing.T) {
		page, err := s.outcomes.ListOutcomeRevisions(t.Context(), &callnormv1.ListOutcomeRevisionsRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		for _, revision := range page.GetRevisions() {
			for _, change := range revision.GetChanges() {
				if change.GetPath() == "revision" || change.GetPath() == "revision_time" {
					t.Errorf("r%d: %v", revision.GetOutcome().GetRevision(), change)
				}
			}
		}
		if first := page.GetRevisions()[len(page.GetRevisions())-1]; len(first.GetChanges()) > 0 {
			t.Errorf("nothing was before the first: %v", first.GetChanges())
		}
	})
	t.Run("over REST", func(t *testing.T) {
		code, text := s.request(t, http.MethodGet, "/v1/"+name+":listRevisions?page_size=1", nil)
		if code != http.StatusOK || !strings.Contains(string(text), `"path":"analysis.summary","beforeJson":"\"four\"","afterJson":"\"five\""`) {
			t.Errorf("%d: %s", code, text)
		}
	})
}

func TestAHistoryOfLargeRevisionsFitsIntoMessages(t *testing.T) {
	s := telling(t)
	var texts []string
	for i := range 6 {
		texts = append(texts, strings.Repeat(fmt.Sprintf("word%d ", i), 80_000))
	}
	request := &callnormv1.ListOutcomeRevisionsRequest{Name: s.grown(t, texts...)}
	for revision := int32(len(texts)); revision > 0; {
		page, err := s.outcomes.ListOutcomeRevisions(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range page.GetRevisions() {
			if got.GetOutcome().GetRevision() != revision {
				t.Fatalf("revision %d instead of %d", got.GetOutcome().GetRevision(), revision)
			}
			revision--
		}
		if request.PageToken = page.GetNextPageToken(); (request.GetPageToken() == "") != (revision == 0) {
			t.Fatalf("token %q before revision %d", request.GetPageToken(), revision)
		}
	}
}

func TestCompareOutcomeRevisions(t *testing.T) {
	s := telling(t)
	name := s.grown(t, "one", "two", "three")
	tests := map[string]struct {
		base, revision int32
		want           string
		compared       int32
	}{
		"with the newest":          {1, 0, `"one" "three"`, 3},
		"with the next":            {1, 2, `"one" "two"`, 2},
		"backwards":                {3, 2, `"three" "two"`, 2},
		"with itself":              {2, 2, ``, 2},
		"the newest with itself":   {3, 0, ``, 3},
		"the newest with the last": {3, 3, ``, 3},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			got, err := s.outcomes.CompareOutcomeRevisions(t.Context(), &callnormv1.CompareOutcomeRevisionsRequest{
				Name: name, BaseRevision: test.base, Revision: test.revision,
			})
			if err != nil {
				t.Fatal(err)
			}
			said := ""
			for _, change := range got.GetChanges() {
				if change.GetPath() == "analysis.summary" {
					said = change.GetBeforeJson() + " " + change.GetAfterJson()
				}
			}
			if said != test.want || got.GetRevision() != test.compared {
				t.Errorf("%q, %v", said, got)
			}
			if test.want == "" && len(got.GetChanges()) > 0 {
				t.Errorf("%v", got.GetChanges())
			}
		})
	}
	t.Run("over REST", func(t *testing.T) {
		code, text := s.request(t, http.MethodGet, "/v1/"+name+":compareRevisions?base_revision=1&revision=2", nil)
		if code != http.StatusOK || !strings.Contains(string(text), `"path":"analysis.summary","beforeJson":"\"one\"","afterJson":"\"two\""`) {
			t.Errorf("%d: %s", code, text)
		}
	})
}

func TestHistoriesThatAreNotThere(t *testing.T) {
	s := telling(t)
	name := s.grown(t, "one", "two")
	const nobody = "outcomes/aaaaaaaaaaaaaaaaaaaaaaaaaa"
	list := func(name, token string) error {
		_, err := s.outcomes.ListOutcomeRevisions(t.Context(), &callnormv1.ListOutcomeRevisionsRequest{Name: name, PageToken: token})
		return err
	}
	compare := func(name string, base, revision int32) error {
		_, err := s.outcomes.CompareOutcomeRevisions(t.Context(), &callnormv1.CompareOutcomeRevisionsRequest{
			Name: name, BaseRevision: base, Revision: revision,
		})
		return err
	}
	tests := map[string]struct {
		err    error
		code   codes.Code
		reason string
	}{
		"a history of nobody":           {list(nobody, ""), codes.NotFound, "OUTCOME_NOT_FOUND"},
		"a history of no name":          {list("outcomes/x", ""), codes.NotFound, "OUTCOME_NOT_FOUND"},
		"a token that is none":          {list(name, "nonsense"), codes.InvalidArgument, "PAGE_TOKEN_MALFORMED"},
		"a token beyond all revisions":  {list(name, "AAAAAP____8"), codes.InvalidArgument, "PAGE_TOKEN_MALFORMED"},
		"a comparison of nobody":        {compare(nobody, 1, 0), codes.NotFound, "OUTCOME_NOT_FOUND"},
		"a base that is not there":      {compare(name, 3, 0), codes.NotFound, "REVISION_NOT_FOUND"},
		"a revision that is not there":  {compare(name, 1, 3), codes.NotFound, "REVISION_NOT_FOUND"},
		"the last number that there is": {compare(name, math.MaxInt32, 1), codes.NotFound, "REVISION_NOT_FOUND"},
		"no base":                       {compare(name, 0, 1), codes.InvalidArgument, "INVALID_REQUEST"},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			if status.Code(test.err) != test.code || reason(t, test.err) != test.reason {
				t.Errorf("%v", test.err)
			}
		})
	}
}
