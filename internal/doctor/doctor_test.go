package doctor

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

var errNo = errors.New("no")

func ptr[T any](v T) *T { return &v }

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func one(list []Check) Check { return list[len(list)-1] }

// TestChecks: what is good is ok, what is not has a remedy, and what is not known is not called good.
func TestChecks(t *testing.T) {
	now, past := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	ctx := context.Background()
	found := func(context.Context, string) error { return nil }
	lost := func(context.Context, string) error { return errNo }
	never := func(context.Context, string) error { t.Error("a name is asked for where none is needed"); return nil }
	const conf = "# x\nnameserver 192.0.2.1\nsearch lan\n"
	names := []string{"bootnode.example"}
	ms := func(n ...int) (list []time.Duration) {
		for _, x := range n {
			list = append(list, time.Duration(x)*time.Millisecond)
		}
		return list
	}
	for i, c := range []struct {
		got         Check
		state, text string
	}{
		{Clock(now, past, ptr(true), true), OK, "set by a time service"},
		{Clock(now, past, ptr(false), false), Warn, "nothing sets it; no clock goes on without power"},
		{Clock(now, past, nil, true), Skip, "cannot be told"},
		{Clock(past.Add(-time.Hour), past, ptr(true), true), Warn, "before 2026-08-01"},
		{one(DNS(ctx, conf, nil, names, found)), OK, "bootnode.example is found"},
		{one(DNS(ctx, conf, nil, names, lost)), Warn, "bootnode.example: no"},
		{DNS(ctx, "", nil, names, lost)[0], Warn, "names no server"},
		{DNS(ctx, "", errNo, names, lost)[0], Warn, "no /etc/resolv.conf"},
		{one(DNS(ctx, "", nil, nil, never)), OK, "needs no names"},
		{Port("JSON-RPC", "a:1", nil, false, false, "rpc-listen"), OK, "free"},
		{Port("JSON-RPC", "a:1", nil, false, true, "rpc-listen"), Warn, "does not listen"},
		{Port("JSON-RPC", "a:1", errNo, true, true, "rpc-listen"), OK, "as it should be"},
		{Port("JSON-RPC", "a:1", errNo, true, false, "rpc-listen"), Warn, "something else"},
		{Port("JSON-RPC", "a:1", errNo, false, false, "rpc-listen"), Warn, "no"},
		{NAT(addrs("127.0.0.1", "fe80::1%eth0", "192.168.1.5"), 30334), OK, "192.168.1.5 is private"},
		{NAT(addrs("10.0.0.1", "203.0.113.9"), 30334), OK, "203.0.113.9 is public"},
		{NAT(addrs("100.72.1.1"), 30334), OK, "provider"},
		{NAT(addrs("fd00::7"), 30334), OK, "private"},
		{NAT(addrs("::1", "127.0.0.1"), 30334), Warn, "no network"},
		{LAN(true, []string{"eth0"}), OK, "eth0"},
		{LAN(true, nil), Warn, "multicast"},
		{LAN(false, nil), OK, "by the settings"},
		{Card("/d", ms(5, 1, 3), nil, 1<<33), OK, "3ms"},
		{Card("/d", ms(500, 400, 300), nil, 0), Warn, "400ms"},
		{Card("/d", nil, errNo, 0), Warn, "cannot be written"},
		{Card("/d", ms(1), nil, 1<<20), Warn, "1 MB are left"},
		{Card("/d", nil, nil, 1<<33), Skip, "not tried"},
		{Memory(ptr(uint64(512<<20)), ptr(uint64(100<<20)), false), OK, "100 of 512"},
		{Memory(ptr(uint64(512<<20)), ptr(uint64(10<<20)), false), Warn, "10 of 512"},
		{Memory(ptr(uint64(512<<20)), ptr(uint64(10<<20)), true), OK, ""},
		{Memory(nil, nil, false), Skip, ""},
		{Checkpoint("#1", 91, true), Warn, "91 days"},
		{Checkpoint("#1", 90, true), OK, "90 days"},
		{Checkpoint("#1", 0, false), OK, "cannot be told"},
	} {
		if c.got.State != c.state || !strings.Contains(c.got.Text, c.text) || c.got.Name == "" || (c.got.State == Warn) && c.got.Remedy == "" {
			t.Errorf("%d: %+v, want %s and %q", i, c.got, c.state, c.text)
		}
	}
	if !Good([]Check{{State: OK}, {State: Skip}}) || Good([]Check{{State: OK}, {State: Warn}}) {
		t.Error("Good")
	}
}

func TestMeasure(t *testing.T) {
	dir := t.TempDir()
	s, err := Measure(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.Justification <= 0 || s.Signatures <= 0 || s.Pulse <= 0 || s.Hash <= 0 || s.Sync <= 0 || s.Share <= 0 || s.Share > 1 {
		t.Errorf("%+v", s)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v is left behind", left)
	}
	if _, err := Sync(dir + "/none"); err == nil {
		t.Error("a folder that is not there is written")
	}
	for _, c := range []struct {
		share float64
		total uint64
		want  string
	}{{0.01, 8 << 30, "full"}, {0.01, 0, "full"}, {0.2, 8 << 30, "eco"}, {0.01, 128 << 20, "eco"}} {
		if got, why := Suggest(&Speed{Share: c.share}, c.total); got != c.want || why == "" {
			t.Errorf("%+v: %s, %s", c, got, why)
		}
	}
}

func TestRedact(t *testing.T) {
	r := NewRedactor("/home/alice", "alice", "solarpi")
	for _, c := range []struct{ in, want string }{
		{"peer at 203.0.113.77:30333", "peer at 203.0.x.x:30333"},
		{"/ip4/203.0.113.77/tcp/30333/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp", "/ip4/203.0.x.x/tcp/30333/p2p/12D3Koo…"},
		{"2001:db8:1:2::7 and fe80::1", "2001:0db8:x and fe80:0000:x"},
		{"127.0.0.1 ::1 0.0.0.0", "127.0.0.1 ::1 0.0.0.0"},
		{"at 18:41:23, version 0.1.0", "at 18:41:23, version 0.1.0"},
		{"/home/alice/.local/share, /home/bob/x, /media/carol/stick", "~/.local/share, /home/…/x, /media/…/stick"},
		{"solarpi: user alice", "HOST: user USER"},
		{"5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty", "5FHneW4…"},
		{"0x398f0c28f98885e046333d4a41c19cee4c37368a9832c6502f6cfd182e2aef89", "0x398f0c28…"},
		{"398f0c28f98885e046333d4a41c19cee4c37368a9832c6502f6cfd182e2aef89", "398f0c28f9…"},
		{"https://hooks.example.org/T0/secret?x=y", "https://…"},
		{"ws://127.0.0.1:9944", "ws://…"},
		{"#8,912,406 set 6", "#8,912,406 set 6"},
	} {
		if got := r.Redact(c.in); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
	if got := NewRedactor("/", "root", "").Redact("root is root"); got != "root is root" {
		t.Errorf("%q", got)
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("203.0.113.77 [2001:db8::1]:5 /home/x/y 0x00")
	f.Fuzz(func(t *testing.T, s string) {
		r := NewRedactor("/home/alice", "alice", "solarpi")
		if got := r.Redact(s + " 198.51.100.23 2001:db8:5:6::9 /home/alice/secret "); strings.Contains(got, "100.23 ") || strings.Contains(got, "::9") || strings.Contains(got, "/home/alice") {
			t.Errorf("%q: %q", s, got)
		}
	})
}
