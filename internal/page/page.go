// Package page writes the status page of a node: one column, made for a phone, whole in itself.
//
// It promises that the page works with scripts off, because it has none; that it fetches nothing, which its content
// security policy holds browsers to; that it suits light and dark screens; that it is of at most MaxBytes, whatever the
// node knows; and that what others wrote, such as the agents of peers and the symbols of subnets, is shown as text and is
// never taken for markup: only constants of this package are.
//
// It asks nobody anything: whoever serves it gives it Data, and what is nil there is not shown.
package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/power"
)

// MaxBytes bounds a page.
const MaxBytes = 60_000

// LiveSeconds is how often a page that was asked for as ?live loads itself anew.
const LiveSeconds = 20

// Data are what a page shows. Status is required.
type Data struct {
	Status  *control.Status
	Peers   *control.Peers
	Power   *control.Power
	Curve   []Point // of the last day, the oldest first
	Subnets []Subnet
	Neurons []Neuron
}

// A Point is what the meters said at one time.
type Point struct {
	Ago   time.Duration
	Level power.Level
	SoC   *float64 // percent
	PV    *float64 // W
}

// A Subnet is one that the node watches. What has not been read yet is nil, and Note says why.
type Subnet struct {
	Netuid  uint16
	Meta    *control.Metagraph
	Commits *control.Commits
	Age     time.Duration // of both
	Note    string
}

// A Neuron is a miner or a validator.
type Neuron struct {
	Name string      // "validator of subnet 18"
	Good bool        // it does what it should
	Text string      // how it is, in a few words
	Rows [][2]string // what else is known of it
}

// Handler answers GET and HEAD of / where a page of HTML is wanted, with what collect finds; it reports whether it
// answered. collect is told whether the page is one that loads itself.
func Handler(collect func(ctx context.Context) (*Data, error)) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/" || !strings.Contains(r.Header.Get("Accept"), "text/html") {
			return false
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", Policy())
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		d, err := collect(r.Context())
		if err != nil {
			h.Del("Content-Security-Policy")
			h.Set("Content-Type", "text/plain; charset=utf-8")
			http.Error(w, "the node does not answer: "+err.Error(), http.StatusServiceUnavailable)
			return true
		}
		_, live := r.URL.Query()["live"]
		b := Render(d, live)
		h.Set("Content-Length", strconv.Itoa(len(b)))
		if r.Method != http.MethodHead {
			w.Write(b)
		}
		return true
	}
}

// Policy is the content security policy of a page: its one style sheet by its hash, its icon, and nothing else.
func Policy() string {
	sum := sha256.Sum256([]byte(sheet))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// Render writes a page.
func Render(d *Data, live bool) []byte {
	w := &writer{}
	s := d.Status
	v := verdictOf(d)
	w.put(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">` +
		`<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">`)
	if live {
		w.f(`<meta http-equiv="refresh" content="%d">`, LiveSeconds)
	}
	w.f(`<title>%s · %s · taolight</title>`, cut(v.word, 40), cut(network(s), 40))
	w.f(`<link rel="icon" href="data:image/svg+xml,%%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%%3E%%3Ccircle cx='8' cy='8' r='7' fill='%s'/%%3E%%3C/svg%%3E">`, v.tone.colour())
	w.put(`<style>` + sheet + `</style></head><body><main>`)
	w.head(d, v)
	w.health(s)
	w.power(d)
	for i, n := range d.Neurons {
		if i == maxNeurons {
			break
		}
		w.neuron(&n)
	}
	for i := range d.Subnets {
		if i == maxSubnets {
			w.f(`<p class="m">%d more subnets are watched: taolight metagraph N, taolight commits N.</p>`, len(d.Subnets)-i)
			break
		}
		w.subnet(&d.Subnets[i], s)
	}
	w.peers(d)
	w.foot(d, live)
	w.put(`</main></body></html>`)
	return w.Bytes()
}

// What a page shows at most of each kind.
const (
	maxNeurons  = 3
	maxRows     = 8
	maxSubnets  = 3
	maxCommits  = 5
	maxPeers    = 8
	maxBans     = 3
	maxWarnings = 7
	maxPoints   = 150
)

func network(s *control.Status) string {
	if s.Demo {
		return "demo"
	}
	return s.Network
}

// markup is what is written as it stands. Only constants become one without being made to.
type markup string

// A writer writes HTML.
type writer struct{ bytes.Buffer }

func (w *writer) put(m markup) { w.WriteString(string(m)) }

// f writes constant markup in which %s and %d stand for arguments. Texts are escaped; markup among the arguments is not.
func (w *writer) f(format markup, args ...any) {
	s := string(format)
	for {
		i := strings.IndexByte(s, '%')
		if i < 0 || i+1 == len(s) {
			w.WriteString(s)
			return
		}
		w.WriteString(s[:i])
		verb := s[i+1]
		s = s[i+2:]
		if verb == '%' {
			w.WriteByte('%')
			continue
		}
		if len(args) == 0 {
			continue
		}
		switch a := args[0].(type) {
		case markup:
			w.put(a)
		case string:
			w.WriteString(escape(a))
		case int:
			w.WriteString(strconv.Itoa(a))
		}
		args = args[1:]
	}
}

// escape makes text of what somebody wrote: no markup, no control characters, and nothing that turns the direction of
// what follows it.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&#34;")
		case r == '\'':
			b.WriteString("&#39;")
		case r < ' ', r >= 0x7f && r < 0xa0, r == 0xfffd, r >= 0x200e && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0xfeff:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// cut shortens what somebody wrote to so many characters, and to half as many bytes more than that as they are escaped,
// so that what a page is made of bounds it.
func cut(s string, most int) string {
	runes, size := 0, 0
	for i, r := range s {
		switch {
		case strings.ContainsRune(`&<>"'`, r):
			size += 5
		default:
			size += utf8.RuneLen(r)
		}
		if runes++; runes > most || size > most+most/2 {
			return s[:i] + "…"
		}
	}
	return s
}
