package control

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// TestProgress: what a handler reports reaches the asker before the answer, in order, through the
// socket as in one process; an asker that does not listen gets the answer all the same.
func TestProgress(t *testing.T) {
	long := strings.Repeat("x", 2*maxProgress)
	h := func(ctx context.Context, method string, _ json.RawMessage) (any, error) {
		for _, line := range []string{"one", "", "two", long} {
			report(ctx, line)
		}
		if method == "fail" {
			return nil, Errorf(Stale, "too old")
		}
		return "done", nil
	}
	c := serveDir(t, shortDir(t), h)
	want := []string{"one", "two", long[:maxProgress]}
	for _, method := range []string{"good", "fail"} {
		var got []string
		ctx := WithProgress(context.Background(), func(line string) { got = append(got, line) })
		var result string
		err := c.Call(ctx, method, nil, &result)
		if (err != nil) != (method == "fail") || CodeOf(err) == Failure || err == nil && result != "done" {
			t.Errorf("%s: %q, %v", method, result, err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d lines", method, len(got))
		}
	}
	var result string
	if err := c.Call(context.Background(), "good", nil, &result); err != nil || result != "done" {
		t.Errorf("without a listener: %q, %v", result, err)
	}
}
