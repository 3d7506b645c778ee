package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// ErrURL: no web address that something can be sent to.
var ErrURL = errors.New("want a web address like https://example.org/hook")

// sendTime is how long a web address may take.
const sendTime = 15 * time.Second

// CheckURL finds out whether something can be sent to an address, without sending anything.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return ErrURL
	}
	return nil
}

// Post sends a message to a web address, and to no other: it follows no redirect and asks no proxy. An answer of
// 200 to 299 is good. The error does not hold the address, which may be a secret.
func Post(ctx context.Context, address string, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return ErrURL
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "taolight")
	t := &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: sendTime, MaxResponseHeaderBytes: 16 << 10}
	c := http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	a, err := c.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return fmt.Errorf("webhook: %w", err)
	}
	defer a.Body.Close()
	io.CopyN(io.Discard, a.Body, 4096)
	if a.StatusCode < 200 || a.StatusCode > 299 {
		return fmt.Errorf("webhook: it answers %s", a.Status)
	}
	return nil
}
