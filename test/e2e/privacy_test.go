package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters/catalog"
	"github.com/callnorm/callnorm/adapters/scenario"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// with is a call with a contact, who is told in the fields that are meant for that, in what was said and in a field of the customer's.
func with(id, number, email string) string {
	return fmt.Sprintf(`{"call":{"call_id":%q,"status":"completed","end_call_reason":"human_goodbye","duration":42,"type_of_call":"outbound",
		"phone_number_to":%q,"phone_number_from":"+12025550100","transcript":"human: call me at %s or write to %s\nbot: Thank you"},
		"lead":{"name":"Ada Canary","phone_number":%q,"prompt_variables":{"email":%q}},
		"unheard_of":{"deep":"%s"}}`, id, number, number, email, number, email, number)
}

// traces returns the files below a folder that hold one of some texts.
func traces(t *testing.T, dir string, texts ...string) (found []string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the journal may have ended
		}
		if err != nil {
			return err
		}
		for _, text := range texts {
			if bytes.Contains(content, []byte(text)) {
				found = append(found, filepath.Base(path)+": "+text)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestADeletedContactLeavesNoTrace(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, "--data-dir", dir)
	const number, digits, email = "+12025550143", "2025550143", "ada.canary@example.com"
	live, beginning := s.follow(t, now())
	names := map[string]bool{}
	for i := range 300 { // among many others, so that pages are split and shared
		body := with(fmt.Sprint("other-", i), fmt.Sprintf("+1202555%04d", 1000+i), fmt.Sprint("other-", i, "@example.com"))
		if i%10 == 0 {
			body = with(fmt.Sprint("ada-", i), number, email)
		}
		outcome := s.post(t, "synthflow", []byte(body)).GetOutcomes()[0]
		if i%10 == 0 {
			names[outcome.GetName()] = true
		}
	}
	next(t, live, 300)
	// What made no outcome speaks of her as well: an event that is no call, and a body that cannot be understood.
	s.post(t, "synthflow", []byte(`{"event":"call_inbound","call_inbound":{"from_number":"`+number+`"}}`))
	s.post(t, "synthflow", []byte(`{"number":"`+number+`" and no more`))
	if len(traces(t, dir, digits)) == 0 {
		t.Fatal("the number is nowhere before it is deleted: the test proves nothing")
	}

	answer := &callnormv1.DeleteContactResponse{}
	s.request(t, http.MethodPost, "/v1/contacts:delete", []byte(`{"phoneNumber":"+1 (202) 555-0143","validateOnly":true}`), answer)
	if answer.GetOutcomeCount() != int64(len(names)) || answer.GetDeliveryCount() != int64(len(names))+2 {
		t.Errorf("it would delete %v", answer)
	}
	s.request(t, http.MethodPost, "/v1/contacts:delete", []byte(`{"phoneNumber":"`+number+`"}`), answer)
	if answer.GetOutcomeCount() != int64(len(names)) || answer.GetDeliveryCount() != int64(len(names))+2 || answer.GetRevisionCount() != int64(len(names)) {
		t.Errorf("it deleted %v", answer)
	}
	if found := traces(t, dir, digits, email, "ada-1", "555-0143"); len(found) > 0 {
		t.Errorf("after it, traces are left in %v", found)
	}
	if log := s.log.String() + s.out.String(); strings.Contains(log, digits) || strings.Contains(log, "canary") {
		t.Error("the log names her")
	}

	// Who was connected hears of it, and who comes later hears nothing else.
	revisions, _ := next(t, live, len(names))
	deleted := 0
	for _, revision := range revisions {
		if !names[revision.GetName()] || revision.GetRevisionCause() != callnormv1.RevisionCause_REVISION_CAUSE_DELETED || revision.GetRevision() != 2 {
			t.Errorf("%v", revision)
		}
		deleted++
	}
	again, _ := s.follow(t, after(beginning))
	later, _ := next(t, again, 300)
	for _, revision := range later {
		if names[revision.GetName()] {
			if deleted--; revision.GetRevisionCause() != callnormv1.RevisionCause_REVISION_CAUSE_DELETED {
				t.Errorf("%v", revision)
			}
		}
	}
	if deleted != 0 {
		t.Errorf("%d deletions are not streamed again", deleted)
	}

	// A late repetition brings nobody back, also after a restart.
	s.kill(t)
	s = serve(t, "--data-dir", dir)
	for _, body := range []string{with("ada-10", number, email), with("ada-10", number, "another@example.com")} {
		if late := s.post(t, "synthflow", []byte(body)); late.GetState() != callnormv1.DeliveryState_DELIVERY_STATE_DELETED || len(late.GetOutcomes()) > 0 {
			t.Errorf("%v", late)
		}
	}
	s.stop(t)
	if found := traces(t, dir, digits, email); len(found) > 0 {
		t.Errorf("after a late repetition, traces are left in %v", found)
	}
	run(t, "check", dir).expect(t, 0)
}

func TestADeletedCallIsGone(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, "--data-dir", dir)
	kept := s.post(t, "synthflow", []byte(call("kept"))).GetOutcomes()[0].GetName()
	name := s.post(t, "synthflow", []byte(with("gone-canary", "+12025550143", "x@example.com"))).GetOutcomes()[0].GetName()
	answer := &callnormv1.DeleteCallResponse{}
	s.request(t, http.MethodPost, "/v1/calls:delete", []byte(`{"providerCallId":"gone-canary","source":"synthflow"}`), answer)
	if answer.GetName() != name || answer.GetRevisionCount() != 1 || answer.GetDeliveryCount() != 1 {
		t.Errorf("%v", answer)
	}
	if left := s.get(t, name); left.GetRevisionCause() != callnormv1.RevisionCause_REVISION_CAUSE_DELETED || left.GetProviderCallId() != "" {
		t.Errorf("what is left is %v", left)
	}
	s.get(t, kept)
	if found := traces(t, dir, "gone-canary", "2025550143"); len(found) > 0 {
		t.Errorf("traces are left in %v", found)
	}
}

func TestRedactionKeepsPeopleOutOfOutcomes(t *testing.T) {
	f := newFolder(t)
	const number, email = "+12025550143", "ada.canary@example.com"
	file := f.configure(t, `sources:
  - {name: open, adapter: synthflow, unverified: true}
  - {name: closed, adapter: synthflow, unverified: true, redact: [transcript, numbers, names, extracted_fields], retention: {deliveries: 1m}}
`)
	s := serve(t, "--config", file, "--data-dir", f.data())
	open := s.get(t, s.post(t, "open", []byte(with("open", number, email))).GetOutcomes()[0].GetName())
	if text := open.String(); !strings.Contains(text, number) || !strings.Contains(text, "Ada Canary") {
		t.Fatalf("nothing personal is in %v: the test proves nothing", open)
	}
	// What lies in the files of the other source alone, but for the delivery as it was sent, is redacted.
	closed := s.get(t, s.post(t, "closed", []byte(with("closed", number, email))).GetOutcomes()[0].GetName())
	for _, personal := range []string{number, "2025550143", email, "Ada Canary", "Canary", "call me"} {
		if strings.Contains(closed.String(), personal) {
			t.Errorf("%q is in %v", personal, closed)
		}
	}
	if closed.GetStatus() != callnormv1.CallStatus_CALL_STATUS_COMPLETED || len(closed.GetTranscript().GetTurns()) != len(open.GetTranscript().GetTurns()) ||
		len(closed.GetProvenance().GetRedactedClasses()) != 4 {
		t.Errorf("what has to stay is gone: %v", closed)
	}
	// It is found by its number, and deleted, all the same.
	list := &callnormv1.ListOutcomesResponse{}
	s.request(t, http.MethodGet, "/v1/outcomes?address=%2B12025550143&filter.sources=closed", nil, list)
	if len(list.GetOutcomes()) != 1 {
		t.Errorf("%v", list)
	}
	answer := &callnormv1.DeleteContactResponse{}
	s.request(t, http.MethodPost, "/v1/contacts:delete", []byte(`{"phoneNumber":"`+number+`"}`), answer)
	if answer.GetOutcomeCount() != 2 {
		t.Errorf("%v", answer)
	}
	if found := traces(t, f.data(), "2025550143"); len(found) > 0 {
		t.Errorf("traces are left in %v", found)
	}
}

func TestRetentionPassesALaggingReaderByAndTellsHim(t *testing.T) {
	f := newFolder(t)
	file := f.configure(t, `sources:
  - {name: short, adapter: synthflow, unverified: true, retention: {bytes: 1MiB}}
  - {name: long, adapter: synthflow, unverified: true}
`)
	s := serve(t, "--config", file, "--data-dir", f.data())
	stream, beginning := s.follow(t, now())
	var names []string
	for i := range 4 {
		names = append(names, s.post(t, "short", []byte(call(fmt.Sprint("short-", i)))).GetOutcomes()[0].GetName())
		s.post(t, "long", []byte(call(fmt.Sprint("long-", i))))
	}
	_, lagging := next(t, stream, 2) // of eight
	// Much more than is kept.
	padding := strings.Repeat("human: noise ", 400)
	last := ""
	for i := range 400 {
		body := fmt.Sprintf(`{"call":{"call_id":"big-%d","status":"completed","transcript":"%s%d"}}`, i, padding, i)
		last = s.post(t, "short", []byte(body)).GetOutcomes()[0].GetName()
	}
	// The upkeep looks by itself, once at the start and then every half minute; a restart looks at once.
	s.stop(t)
	s = serve(t, "--config", file, "--data-dir", f.data())
	s.await(t, s.log, `retention has removed" source=short outcomes=[1-9]`)

	expired := func(cursor string, filter *callnormv1.OutcomeFilter) error {
		request := after(cursor)
		request.Filter = filter
		stream, err := s.client.StreamOutcomes(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		return err
	}
	err := expired(lagging, nil)
	if status.Code(err) != codes.OutOfRange {
		t.Fatalf("a lagging reader is told %v", err)
	}
	oldest := ""
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetReason() == "CURSOR_EXPIRED" {
			oldest = info.GetMetadata()["oldest_cursor"]
		}
	}
	if err := expired(beginning, &callnormv1.OutcomeFilter{Sources: []string{"short"}}); status.Code(err) != codes.OutOfRange {
		t.Errorf("one who reads that source alone is told %v", err)
	}
	// Who reads the other source has lost nothing, and is not troubled.
	other := after(beginning)
	other.Filter = &callnormv1.OutcomeFilter{Sources: []string{"long"}}
	calm, _ := s.follow(t, other)
	if got, _ := next(t, calm, 4); got[0].GetProviderCallId() != "long-0" || got[3].GetProviderCallId() != "long-3" {
		t.Errorf("he reads %v", got)
	}
	// From where what is kept begins, everything is there up to the end.
	again, _ := s.follow(t, after(oldest))
	for {
		got, _ := next(t, again, 1)
		if got[0].GetName() == names[0] {
			t.Error("the oldest call was not trimmed")
		}
		if got[0].GetName() == last {
			break
		}
	}
	run(t, "backup", "--data-dir", f.data(), filepath.Join(t.TempDir(), "backup")).expect(t, 0)
	s.stop(t)
	run(t, "check", f.data()).expect(t, 0)
}

// TestNoNumberOfASampleOutlivesItsDeletion takes everything that the adapters are tested with, and deletes every number that is in it:
// wherever an adapter puts a number, also where it has no place for one, it can be deleted.
func TestNoNumberOfASampleOutlivesItsDeletion(t *testing.T) {
	set, err := catalog.Set()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := serve(t, "--data-dir", dir)
	numbers := make(map[string]bool)
	number := regexp.MustCompile(`\+[1-9][0-9]{9,14}\b`)
	for _, adapter := range set.All() {
		scenarios, err := scenario.Of(adapter)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range scenarios {
			found := number.FindAllString(string(one.Delivery.Body), -1)
			if len(found) == 0 {
				continue // nothing of it could be left
			}
			s.take(t, sample{name: one.Name, provider: one.Delivery.Provider, delivery: one.Delivery})
			for _, one := range found {
				numbers[one] = true
			}
		}
	}
	if len(numbers) < 20 {
		t.Fatalf("the samples have only the numbers %v", numbers)
	}
	client := callnormv1.NewPrivacyServiceClient(s.conn)
	for number := range numbers {
		if _, err := client.DeleteContact(t.Context(), &callnormv1.DeleteContactRequest{
			Contact: &callnormv1.DeleteContactRequest_PhoneNumber{PhoneNumber: number},
		}); err != nil {
			t.Fatalf("%s: %v", number, err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for number := range numbers {
			alone := regexp.MustCompile(`(^|[^0-9])` + number[1:] + `($|[^0-9])`)
			if at := alone.FindIndex(content); at != nil {
				t.Errorf("%s is in %s, in %q", number, filepath.Base(file), content[max(0, at[0]-60):min(len(content), at[1]+20)])
			}
		}
	}
}
