package doctor

import (
	"net/netip"
	"regexp"
	"strings"
)

// A Redactor takes out of a text what strangers need not know: the last parts of addresses, names of people and machines
// in paths, and all but the beginning of keys, hashes and ids.
type Redactor struct {
	names *strings.Replacer
}

// NewRedactor knows the machine's own names: the home directory, its user, and the host. Empty ones are left out, and so are
// those that are words of their own everywhere.
func NewRedactor(home, user, host string) *Redactor {
	var pairs []string
	if len(home) > 1 {
		pairs = append(pairs, home, "~")
	}
	for name, with := range map[string]string{user: "USER", host: "HOST"} {
		if len(name) > 2 && name != "root" && name != "taolight" && name != "localhost" {
			pairs = append(pairs, name, with)
		}
	}
	return &Redactor{strings.NewReplacer(pairs...)}
}

var (
	anyHome = regexp.MustCompile(`/(home|Users|media|run/media)/[^/\s"']+`)
	four    = regexp.MustCompile(`\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b`)
	six     = regexp.MustCompile(`[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*`)
	long    = regexp.MustCompile(`\b(0x)?[0-9a-fA-F]{40,}\b`)
	base58  = regexp.MustCompile(`\b[1-9A-HJ-NP-Za-km-z]{44,}\b`)
	secret  = regexp.MustCompile(`(?i)([a-z]+://)[^\s"']+`)
)

// Redact returns the text without them.
func (r *Redactor) Redact(text string) string {
	text = secret.ReplaceAllString(text, "${1}…")
	text = r.names.Replace(text)
	text = anyHome.ReplaceAllString(text, "/$1/…")
	text = four.ReplaceAllStringFunc(text, func(s string) string {
		a, err := netip.ParseAddr(s)
		if err != nil || a.IsLoopback() || a.IsUnspecified() {
			return s
		}
		parts := strings.Split(s, ".")
		return parts[0] + "." + parts[1] + ".x.x"
	})
	text = six.ReplaceAllStringFunc(text, func(s string) string {
		a, err := netip.ParseAddr(s)
		if err != nil || a.IsLoopback() || a.IsUnspecified() || !a.Is6() {
			return s
		}
		full := a.StringExpanded()
		return full[:9] + ":x"
	})
	text = long.ReplaceAllStringFunc(text, func(s string) string { return s[:10] + "…" })
	text = base58.ReplaceAllStringFunc(text, func(s string) string { return s[:7] + "…" })
	return text
}
