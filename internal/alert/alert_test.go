package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

var errDown = errors.New("down")

// drain sends what can be sent now.
func drain(q *Queue, now time.Duration, err error) (codes []string) {
	for {
		m, ok := q.Next(now)
		if !ok {
			return codes
		}
		codes = append(codes, m.Code)
		q.Done(now, err)
	}
}

// TestRepeat: the same is not told twice within the time, its end is, and what was held back is told later.
func TestRepeat(t *testing.T) {
	q := Queue{Every: time.Hour}
	q.Add(0, Message{Code: "a"})
	q.Add(time.Minute, Message{Code: "a"})
	q.Add(time.Minute, Message{Code: "a", Over: true})
	q.Add(2*time.Minute, Message{Code: "b"})
	if got := fmt.Sprint(drain(&q, 2*time.Minute, nil)); got != "[a a b]" {
		t.Errorf("%v", got)
	}
	q.Add(30*time.Minute, Message{Code: "b"})
	q.Add(61*time.Minute, Message{Code: "a"})
	m, ok := q.Next(61 * time.Minute)
	if !ok || m.Code != "a" || m.Held != 1 || !strings.Contains(m.Text, "1 others") || m.Content != m.Text {
		t.Errorf("%+v %v", m, ok)
	}
	if s := q.Stats(); s.Held != 2 || s.Sent != 3 {
		t.Errorf("%+v", s)
	}
}

// TestBurst: a storm becomes a few messages, and one in each Refill from then on.
func TestBurst(t *testing.T) {
	var q Queue
	for i := range 20 {
		q.Add(0, Message{Code: fmt.Sprint(i)})
	}
	if got := len(drain(&q, 0, nil)); got != Burst {
		t.Errorf("%d at once", got)
	}
	for i := 1; i <= 3; i++ {
		if got := len(drain(&q, time.Duration(i)*Refill, nil)); got != 1 {
			t.Errorf("%d in a while", got)
		}
	}
	for i := range 1000 {
		q.Add(time.Hour, Message{Code: fmt.Sprint("x", i)})
	}
	if len(q.list) > maxWait || len(q.last) > maxCodes {
		t.Errorf("%d wait, %d are remembered", len(q.list), len(q.last))
	}
}

// TestRetry: what fails is tried again, later each time, is given up at last, and does not keep others for ever.
func TestRetry(t *testing.T) {
	var q Queue
	q.Add(0, Message{Code: "a"})
	q.Add(0, Message{Code: "b"})
	now, tries := time.Duration(0), 0
	for ; now < 6*time.Hour; now += 10 * time.Second {
		m, ok := q.Next(now)
		if !ok {
			continue
		}
		if m.Code == "b" {
			break
		}
		if _, again := q.Next(now); again {
			t.Fatal("two at a time")
		}
		tries++
		q.Done(now, errDown)
		if (q.Failing() != nil) != (tries >= 3) {
			t.Errorf("failing after %d tries: %v", tries, q.Failing())
		}
	}
	if tries != Tries || now < time.Hour {
		t.Errorf("%d tries, over %v", tries, now)
	}
	q.Done(now, nil)
	if q.Failing() != nil || q.Stats() != (Stats{Sent: 1, Failed: Tries}) {
		t.Errorf("%v %+v", q.Failing(), q.Stats())
	}
	q.Done(now, errDown) // of nothing
	if q.Stats().Failed != Tries {
		t.Error("a failure of nothing counts")
	}
}

func TestPost(t *testing.T) {
	var got Message
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good":
			if r.Method != "POST" || r.Header.Get("Content-Type") != "application/json" || json.NewDecoder(r.Body).Decode(&got) != nil {
				t.Errorf("%s %v", r.Method, r.Header)
			}
		case "/moved":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		default:
			http.Error(w, "no", http.StatusForbidden)
		}
	}))
	defer s.Close()
	t.Setenv("HTTP_PROXY", other.URL)
	ctx := context.Background()
	if err := Post(ctx, s.URL+"/good", Message{Schema: 1, Code: "commit-lost", Text: "t"}); err != nil || got.Code != "commit-lost" || got.Text != "t" {
		t.Errorf("%v %+v", err, got)
	}
	for _, path := range []string{"/moved", "/secret-token"} {
		if err := Post(ctx, s.URL+path, Message{}); err == nil || strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	s.Close()
	if err := Post(ctx, s.URL+"/secret-token", Message{}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	if elsewhere > 0 {
		t.Error("a redirect or a proxy was followed")
	}
	for _, u := range []string{"", "hook", "/hook", "ftp://a/b", "https://", "file:///etc/passwd", "http:a", "::"} {
		if !errors.Is(CheckURL(u), ErrURL) {
			t.Errorf("%q is an address", u)
		}
	}
	if err := CheckURL("https://example.org/hook?a=b"); err != nil {
		t.Error(err)
	}
}
