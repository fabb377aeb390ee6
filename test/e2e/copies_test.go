package e2e_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// copies posts a delivery so many times at once, each over a connection of its own, and returns the answers of 200.
func (s *service) copies(t *testing.T, path string, body []byte, n int) []*callnormv1.IngestDeliveryResponse {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var sending sync.WaitGroup
	answers, begin := make(chan *callnormv1.IngestDeliveryResponse, n), make(chan struct{})
	for range n {
		sending.Go(func() {
			request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.url+"/v1/webhooks/"+path, bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			<-begin
			response, err := client.Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = response.Body.Close() }()
			answer := &callnormv1.IngestDeliveryResponse{}
			text, err := io.ReadAll(response.Body)
			if err == nil {
				err = protojson.Unmarshal(text, answer)
			}
			if response.StatusCode != http.StatusOK || err != nil {
				t.Errorf("%s %s %v", response.Status, text, err)
				return
			}
			answers <- answer
		})
	}
	close(begin)
	sending.Wait()
	close(answers)
	var list []*callnormv1.IngestDeliveryResponse
	for answer := range answers {
		list = append(list, answer)
	}
	return list
}

func TestAThousandCopiesMakeOneRevisionAlsoOverRestarts(t *testing.T) {
	const copies, restarts = 1000, 3
	body, err := os.ReadFile(folders + "/synthflow/testdata/a00_anunzi_page_2024_03.json")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	name, delivery := "", ""
	for restart := range restarts + 1 {
		s := serve(t, "--data-dir", dir)
		answers := s.copies(t, "anunzi", body, copies)
		if len(answers) != copies {
			t.Fatalf("%d answers of 200", len(answers))
		}
		first := 0
		for _, answer := range answers {
			if !answer.GetDuplicate() {
				first++
			}
			if len(answer.GetOutcomes()) != 1 {
				t.Fatal(answer)
			}
			outcome := answer.GetOutcomes()[0]
			if name == "" {
				name, delivery = outcome.GetName(), answer.GetDelivery()
			}
			if outcome.GetName() != name || answer.GetDelivery() != delivery || outcome.GetRevision() != 1 {
				t.Fatalf("%s of %s is told as %v", name, delivery, answer)
			}
		}
		if want := map[bool]int{true: 1}[restart == 0]; first != want {
			t.Errorf("after %d restarts %d of the copies were new, want %d", restart, first, want)
		}
		// The log has one revision, and then what comes next.
		marker := s.post(t, "synthflow", []byte(call("marker"))).GetOutcomes()[0].GetName()
		log, _ := s.follow(t, &callnormv1.StreamOutcomesRequest{
			Start: &callnormv1.StreamOutcomesRequest_StartAt{StartAt: callnormv1.StreamStart_STREAM_START_BEGINNING},
		})
		if names, _ := read(t, log, 2); names[0] != name || names[1] != marker {
			t.Errorf("the log is %v", names)
		}
		s.kill(t)
	}
}
