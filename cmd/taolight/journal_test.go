package main

import (
	"strings"
	"testing"
	"time"

	"github.com/taolight/taolight/lightclient"
)

// TestJournal: the first five heads, then one in ten seconds; everything else at once.
func TestJournal(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var out strings.Builder
	j := &journal{w: &out, now: func() time.Time { return now }, level: levels["info"]}
	lines := func(f func()) int {
		out.Reset()
		f()
		return strings.Count(out.String(), "\n")
	}
	head := func(n int, every time.Duration) func() {
		return func() {
			for range n {
				now = now.Add(every)
				j.note(lightclient.Note{Topic: "final", Text: "#1 0x00"})
			}
		}
	}
	if n := lines(head(20, time.Second)); n != firstHeads+1 {
		t.Errorf("%d lines for 20 heads in 20 seconds:\n%s", n, &out)
	}
	if n := lines(head(60, 2*time.Second)); n != 12 {
		t.Errorf("%d lines for two minutes of heads:\n%s", n, &out)
	}
	if n := lines(head(5, 12*time.Second)); n != 5 {
		t.Errorf("%d lines for a minute of finney's heads", n)
	}
	now = now.Add(-24 * time.Hour)
	if n := lines(head(1, 0)); n != 1 {
		t.Error("a clock that was set back silences the head")
	}
	note := func(warn bool) func() {
		return func() { j.note(lightclient.Note{Topic: "peers", Text: "joined", Warn: warn}) }
	}
	if n := lines(note(false)); n != 1 || !strings.HasSuffix(out.String(), " peers   joined\n") {
		t.Errorf("%q", &out)
	}
	j.level = levels["warn"]
	if lines(note(false)) != 0 || lines(note(true)) != 1 || lines(head(1, time.Hour)) != 0 {
		t.Error("warn lets through other than warnings")
	}
	j.level = levels["debug"]
	if n := lines(head(20, time.Second)); n != 20 {
		t.Errorf("%d of 20 heads at level debug", n)
	}
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"":             "''",
		"demo":         "demo",
		"/tmp/a-b_c.d": "/tmp/a-b_c.d",
		"two words":    "'two words'",
		"it's":         `'it'\''s'`,
		"$(reboot)":    "'$(reboot)'",
	} {
		if got := quote(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestFigures(t *testing.T) {
	for got, want := range map[string]string{
		block(0): "#0", block(999): "#999", block(1000): "#1,000", block(8867448): "#8,867,448",
		group(1<<64 - 1): "18,446,744,073,709,551,615",
		size(9999):       "9999 B", size(10_000): "10.0 kB", size(12_345_678): "12.3 MB",
		span(0.4): "0s", span(119): "119s", span(120): "2min", span(7200): "2h", span(96 * 86400): "96 days", span(-3): "-3s",
		count(1, "peer"): "1 peer", count(0, "peer"): "0 peers", count(4, "authority"): "4 authorities", count(20, "key"): "20 keys",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	text := wrap(strings.Repeat("word ", 60)+strings.Repeat("x", 200)+" end", "    ")
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if !strings.HasPrefix(line, "    ") || len(line) > 80 && strings.Contains(strings.TrimSpace(line), " ") {
			t.Errorf("line %d: %q", i, line)
		}
	}
	if got := strings.Join(strings.Fields(text), " "); strings.Count(got, "word") != 60 || !strings.HasSuffix(got, "x end") {
		t.Errorf("words are lost: %q", got)
	}
}
