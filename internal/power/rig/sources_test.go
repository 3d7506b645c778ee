package rig

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/taolight/taolight/internal/power"
)

// server answers each connection with a text, after the request's first line has come.
func server(t *testing.T, answer func(request string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(c).ReadString('\n')
			io.WriteString(c, answer(line))
			c.Close()
		}
	}()
	return l.Addr().String()
}

func list(status string, vars ...string) string {
	text := "BEGIN LIST VAR ups\n"
	for _, v := range append(vars, `ups.status "`+status+`"`) {
		text += "VAR ups " + v + "\n"
	}
	return text + "END LIST VAR ups\n"
}

// TestNUT: the statuses are those of NUT's docs/new-drivers.txt; "LB OL CHRG" at 22.8 % with a current below
// 0 and -213 °C is a report of its PiJuice driver.
func TestNUT(t *testing.T) {
	for _, c := range []struct {
		name, answer                       string
		err                                error
		soc, volts, amps                   any
		external, critical, charging, park any
	}{
		{name: "on line", answer: list("OL", `battery.charge "100"`, `battery.voltage "13.50"`), soc: 100., volts: 13.5, external: true, critical: false},
		{name: "on battery", answer: list("OB DISCHRG", `battery.charge "57.5"`), soc: 57.5, external: false, critical: false, charging: false},
		{name: "the end", answer: list("OB LB"), external: false, critical: true, charging: false, park: true},
		{name: "forced shutdown", answer: list("FSD OL"), external: false, critical: true, park: true},
		{name: "not the end", answer: list("LB OL CHRG", `battery.charge "22.8"`, `battery.current "-0.5"`, `battery.voltage "3.7"`, `battery.temperature "-213"`),
			soc: 22.8, volts: 3.7, amps: 0.5, external: true, critical: false, charging: true},
		{name: "unknown words", answer: list("OL BOOST MOON ALARM RB"), external: true, critical: false},
		{name: "nothing to infer", answer: list("WAIT", `battery.charge "80"`), soc: 80.},
		{name: "on line, but no inference", answer: list("OL LB OB WAIT")},
		{name: "absurd", answer: list("OL", `battery.charge "NaN"`, `battery.voltage "1e400"`, `battery.current ""`), external: true, critical: false},
		{name: "lead", answer: list("OB", `battery.type "PbAc"`, `battery.voltage "24.6"`), volts: 24.6, external: false, critical: false, charging: false},
		{name: "quotes", answer: list("OL", `ups.mfr "a \"b\" c\\d"`), external: true, critical: false},
		{name: "stale", answer: "ERR DATA-STALE\n", err: ErrStale},
		{name: "driver", answer: "ERR DRIVER-NOT-CONNECTED\n", err: ErrStale},
		{name: "cut", answer: "BEGIN LIST VAR ups\nVAR ups battery.charge \"1", err: io.EOF},
		{name: "nothing", answer: "", err: io.EOF},
		{name: "another", answer: "BEGIN LIST VAR other\n", err: ErrFormat},
		{name: "no begin", answer: "VAR ups battery.charge \"1\"\n", err: ErrFormat},
		{name: "web", answer: "HTTP/1.1 400 Bad Request\r\n\r\n", err: ErrFormat},
		{name: "long", answer: "BEGIN LIST VAR ups\nVAR ups x \"" + strings.Repeat("y", 5000) + "\"\n", err: bufio.ErrBufferFull},
		{name: "endless", answer: "BEGIN LIST VAR ups\n" + strings.Repeat("VAR ups x \"1\"\n", 3000), err: ErrFormat},
		{name: "open quote", answer: "BEGIN LIST VAR ups\nVAR ups x \"1\n", err: ErrFormat},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked string
			addr := server(t, func(r string) string { asked = r; return c.answer })
			r, err := New([]string{"nut:ups@" + addr}, Machine{})
			if err != nil {
				t.Fatal(err)
			}
			got := r.Poll(t.Context(), time.Minute)
			if c.err != nil {
				if err := r.Status()[0].Err; len(got) != 0 || !errors.Is(err, c.err) {
					t.Errorf("%+v, %v; want %v", got, err, c.err)
				}
				return
			}
			if len(got) != 1 || asked != "LIST VAR ups\n" {
				t.Fatalf("asked %q: %v", asked, r.Status()[0].Err)
			}
			s, _ := got[0].Sane()
			same(t, "charge", s.SoC, c.soc)
			same(t, "voltage", s.Volts, c.volts)
			same(t, "current", s.Amps, c.amps)
			is(t, "external", s.External, c.external)
			is(t, "critical", s.Critical, c.critical)
			is(t, "charging", s.Charging, c.charging)
			cfg := power.Config{Assume: power.Full}
			st, _ := power.Step(&cfg, power.State{}, power.Input{Mono: time.Minute, Samples: got})
			if parked := st.Level == power.Park; parked != (c.park != nil) {
				t.Errorf("level %v", st.Level)
			}
		})
	}
	// Nobody there, and a text that the server sends as an error is not passed on raw.
	r, err := New([]string{"nut:ups@127.0.0.1:1"}, Machine{})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Poll(t.Context(), 0); len(got) != 0 || r.Status()[0].Err == nil {
		t.Errorf("%+v", got)
	}
	addr := server(t, func(string) string { return "ERR ACCESS-DENIED \x1b[31m\n" })
	if r, err = New([]string{"nut:ups@" + addr}, Machine{}); err != nil {
		t.Fatal(err)
	}
	if r.Poll(t.Context(), 0); !strings.Contains(r.Status()[0].Err.Error(), "ACCESS-DENIED ?[31m") {
		t.Errorf("%v", r.Status()[0].Err)
	}
}

func FuzzNUT(f *testing.F) {
	f.Add([]byte(list("OB LB", `battery.charge "50"`, `x "\"\\"`)))
	f.Add([]byte("ERR \n"))
	f.Add([]byte(list("OL", `battery.charge "NaN"`, `battery.voltage "-Inf"`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		vars, err := readVars(bufio.NewReaderSize(bytes.NewReader(b), maxNUTLine), "ups")
		if err == nil {
			if len(vars) > maxNUTVars {
				t.Fatal(len(vars))
			}
			if _, err := json.Marshal(upsSample(vars)); err != nil { // as the command shows it
				t.Fatal(err)
			}
		}
	})
}

func TestFile(t *testing.T) {
	wall := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	fsys := fstest.MapFS{}
	put := func(text string, made time.Time) {
		fsys["run/power.json"] = &fstest.MapFile{Data: []byte(text), ModTime: made}
	}
	r, err := New([]string{"file:/run/power.json"}, Machine{Files: fsys, Wall: func() time.Time { return wall }})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Duration(0)
	poll := func() *power.Sample {
		now += time.Minute
		if got := r.Poll(t.Context(), now); len(got) == 1 && r.Status()[0].Err == nil {
			return &got[0]
		}
		return nil
	}
	if poll() != nil || !errors.Is(r.Status()[0].Err, os.ErrNotExist) {
		t.Errorf("%v", r.Status()[0].Err)
	}
	// A file that was there before is as old as it is.
	put(`{"soc":90}`, wall.Add(-time.Hour))
	if s := poll(); s == nil || now-s.At <= power.StaleAfter {
		t.Errorf("%+v", s)
	}
	put(`{"soc":87,"volts":13.2,"watts":-4.1,"source":"bms","pv_watts":null,"charging":false,"chemistry":"LiFePO4","other":[1]}`, wall)
	s := poll()
	if s == nil || s.At != now || s.Source != "file (bms)" || s.Chemistry != power.LiFePO4 || s.PVWatts != nil || s.Amps != nil {
		t.Fatalf("%+v, %v", s, r.Status()[0].Err)
	}
	same(t, "charge", s.SoC, 87.)
	same(t, "power", s.Watts, -4.1)
	is(t, "charging", s.Charging, false)
	first := now
	if s = poll(); s.At != first {
		t.Errorf("read again it is of %v, was of %v", s.At, first)
	}
	put(`{"soc":86}`, wall.Add(-24*time.Hour)) // changed, whatever the clocks say
	if s = poll(); s.At != now {
		t.Errorf("of %v, now is %v", s.At, now)
	}
	// With a time in it that counts, not the file's.
	put(`{"soc":86,"ts":1780000000}`, wall)
	poll()
	first = now
	put(`{"soc":85,"ts":1780000000}`, wall.Add(time.Minute))
	if s = poll(); s.At != first {
		t.Errorf("of %v, want %v", s.At, first)
	}
	for _, text := range []string{"", "{", "null x", `{"soc":"NaN"}`, `{"soc":NaN}`, `{"soc":1e999}`, "[]", `{"soc":1}{"soc":2}`, `{"soc":` + strings.Repeat(" ", maxReading) + `1}`, "\x00"} {
		put(text, wall)
		if s := poll(); s != nil || !errors.Is(r.Status()[0].Err, ErrFormat) {
			t.Errorf("%.20q: %+v, %v", text, s, r.Status()[0].Err)
		}
	}
	fsys["run/power.json"] = &fstest.MapFile{Data: []byte(`{"soc":1}`), Mode: os.ModeNamedPipe}
	if poll() != nil {
		t.Error("a pipe is read")
	}
}

func FuzzReading(f *testing.F) {
	f.Add([]byte(`{"soc":87,"volts":13.2,"watts":-4.1,"source":"x","ts":1e9,"charging":true}`))
	f.Add([]byte(`{"ts":-1e308,"source":"\u0000"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseReading(b)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		s := r.sample("file")
		s.Sane()
		if r.TS != nil {
			stamp(*r.TS)
		}
		if len(s.Source) > 64 {
			t.Fatal(s.Source)
		}
	})
}

// script makes a command of a shell's text.
func script(t *testing.T, text string) string {
	t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("no shell")
	}
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExec(t *testing.T) {
	for _, c := range []struct {
		text string
		err  error
		says string
	}{
		{`echo '{"soc":42}'`, nil, ""},
		{`echo oops >&2; exit 3`, ErrCommand, "oops"},
		{`echo '{"soc":'`, ErrFormat, ""},
		{`while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done`, ErrCommand, "printed over 16384 bytes"},
	} {
		r, err := New([]string{"exec:" + script(t, c.text)}, Machine{})
		if err != nil {
			t.Fatal(err)
		}
		got := r.Poll(t.Context(), time.Minute)
		err = r.Status()[0].Err
		if !errors.Is(err, c.err) || c.err != nil && !strings.Contains(err.Error(), c.says) || c.err == nil && (len(got) != 1 || *got[0].SoC != 42 || got[0].At != time.Minute) {
			t.Errorf("%s: %+v, %v", c.text, got, err)
		}
	}
}

// wait ticks a hook until a command has ended.
func wait(t *testing.T, h *Hook) HookResult {
	t.Helper()
	h.mu.Lock()
	end := h.running
	h.mu.Unlock()
	if end != nil {
		<-end
	}
	return h.Result()
}

func TestHook(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	note := func(word string) []string {
		return []string{script(t, "echo "+word+" $TAOLIGHT_STATE $EXTRA >>"+log)}
	}
	h := NewHook(HookConfig{Commands: map[string][]string{"on": note("1"), "off": note("0")}})
	now := time.Minute
	if h.Tick(t.Context(), now, "on", "EXTRA=x") {
		t.Error("on at once")
	}
	if h.Tick(t.Context(), now, "off") || h.Tick(t.Context(), now, "on") {
		t.Error("another while one runs")
	}
	wait(t, h)
	if !h.Tick(t.Context(), now+time.Second, "on") {
		t.Error("not reached")
	}
	// Too soon, and then what is wanted by then only.
	for s := range 29 {
		h.Tick(t.Context(), now+time.Duration(s)*time.Second, []string{"off", "on"}[s%2])
	}
	if r := wait(t, h); r.Runs != 1 {
		t.Errorf("%d runs", r.Runs)
	}
	h.Tick(t.Context(), now+30*time.Second, "off")
	wait(t, h)
	h.Tick(t.Context(), now+time.Hour, "on")
	wait(t, h)
	if err := h.Close(t.Context(), "off"); err != nil {
		t.Error(err)
	}
	if err := h.Close(t.Context(), "off"); err != nil {
		t.Error(err)
	}
	b, _ := os.ReadFile(log)
	if got := string(b); got != "1 on x\n0 off\n1 on\n0 off\n" {
		t.Errorf("%q", got)
	}
}

func TestHookFails(t *testing.T) {
	h := NewHook(HookConfig{Any: []string{script(t, "exit 1")}, First: "full"})
	if !h.Tick(t.Context(), 0, "full") {
		t.Error("the first state needs no command")
	}
	h.Tick(t.Context(), 0, "eco")
	if r := wait(t, h); r.Err == nil || r.State != "eco" {
		t.Errorf("%+v", r)
	}
	if h.Tick(t.Context(), 29*time.Second, "eco") || wait(t, h).Runs != 1 {
		t.Error("tried again too soon")
	}
	h.Tick(t.Context(), 30*time.Second, "eco")
	if wait(t, h).Runs != 2 {
		t.Error("not tried again")
	}
	if err := h.Close(t.Context(), "off"); !errors.Is(err, ErrCommand) {
		t.Error(err)
	}
	// After a failure nothing is known of the state, not even that it is still the old one.
	h = NewHook(HookConfig{Commands: map[string][]string{"on": {script(t, "true")}, "off": {script(t, "exit 1")}}})
	h.Tick(t.Context(), 0, "on")
	wait(t, h)
	h.Tick(t.Context(), time.Minute, "off")
	wait(t, h)
	if h.Tick(t.Context(), 2*time.Minute, "on") || wait(t, h).Runs != 3 {
		t.Error("on is taken for reached after a failed off")
	}
	// What a command leaves in the background goes on, and is no failure.
	if _, err := run(t.Context(), []string{script(t, "sleep 3 &")}, nil, 5*time.Second, 100); err != nil {
		t.Error(err)
	}
	// One that hangs ends at its limit, or with the context.
	h = NewHook(HookConfig{Any: []string{script(t, "sleep 600")}, Limit: 200 * time.Millisecond})
	h.Tick(t.Context(), 0, "on")
	if r := wait(t, h); !errors.Is(r.Err, ErrCommand) {
		t.Errorf("%+v", r)
	}
	h = NewHook(HookConfig{Any: []string{script(t, "sleep 600")}})
	ctx, cancel := context.WithCancel(t.Context())
	h.Tick(ctx, 0, "on")
	cancel()
	if r := wait(t, h); r.Err == nil {
		t.Errorf("%+v", r)
	}
	if NewHook(HookConfig{}).Tick(t.Context(), 0, "x") != true {
		t.Error("without a command a state is reached at once")
	}
}

// fakePort answers each write.
type fakePort struct {
	answer func([]byte) []byte
	out    []byte
	piece  int // bytes a read
}

func (p *fakePort) Read(b []byte) (int, error) {
	n := copy(b[:min(len(b), p.piece)], p.out)
	p.out = p.out[n:]
	return n, nil
}
func (p *fakePort) Write(b []byte) (int, error) {
	p.out = append(p.out, p.answer(b)...)
	return len(b), nil
}
func (p *fakePort) Close() error                       { return nil }
func (p *fakePort) SetReadTimeout(time.Duration) error { return nil }
func (p *fakePort) ResetInputBuffer() error            { p.out = nil; return nil }

// TestOldBytes: what waited in a port's buffer before the question is no answer to it.
func TestOldBytes(t *testing.T) {
	port := &fakePort{out: []byte(dayBlock), piece: 64}
	r, err := New([]string{"vedirect:/dev/null"}, Machine{Serial: func(string, int) (Port, error) { return port, nil }})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Poll(t.Context(), 0); len(got) != 0 || !errors.Is(r.Status()[0].Err, ErrTimeout) {
		t.Errorf("%+v, %v", got, r.Status()[0].Err)
	}
}

// TestEPEver: requests and answers with their CRC-16/MODBUS, worked out by hand.
func TestEPEver(t *testing.T) {
	answers := map[string]string{
		"0104331a00039e88": "010406" + "0530" + "ffab" + "ffff" + "6086", // 13.28 V, -0.85 A
		"0104311a00011ef1": "0104020057f8ce",                             // 87 %
	}
	for _, piece := range []int{1, 7, 100} {
		for name, c := range map[string]struct {
			spoil func(request, answer string) string
			err   error
			soc   any
		}{
			"right": {func(_, a string) string { return a }, nil, 87.},
			"exception": {func(r, a string) string {
				return map[bool]string{true: a, false: "018402c2c1"}[r == "0104331a00039e88"]
			}, nil, nil},
			"wrong CRC": {func(_, a string) string { return strings.Replace(a, "0530", "0531", 1) }, ErrFormat, nil},
			"half":      {func(_, a string) string { return a[:len(a)/4*2] }, ErrTimeout, nil},
			"refused":   {func(string, string) string { return "018402c2c1" }, ErrModbus, nil},
		} {
			port := &fakePort{piece: piece, answer: func(b []byte) []byte {
				request := hex.EncodeToString(b)
				answer, ok := answers[request]
				if !ok {
					answer = "018402c2c1" // no such register
				}
				out, err := hex.DecodeString(c.spoil(request, answer))
				if err != nil {
					t.Fatal(err)
				}
				return out
			}}
			r, err := New([]string{"epever:/dev/null"}, Machine{Serial: func(_ string, baud int) (Port, error) {
				if baud != 115200 {
					t.Errorf("%d baud", baud)
				}
				return port, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			got := r.Poll(t.Context(), time.Minute)
			if err := r.Status()[0].Err; !errors.Is(err, c.err) || (len(got) == 1) != (c.err == nil) {
				t.Errorf("%s by %d: %+v, %v", name, piece, got, err)
				continue
			}
			if c.err == nil {
				same(t, "voltage", got[0].Volts, 13.28)
				same(t, "current", got[0].Amps, -0.85)
				same(t, "charge", got[0].SoC, c.soc)
			}
		}
	}
	// The panel's block: 18.54 V, 1.20 A, 22.24 W.
	b, _ := hex.DecodeString("010410073e007808b00000053400a5089500005" + "5c2")
	if regs, done, err := rtuAnswer(b, 1, readInput, 8); err != nil || !done || regs[0] != 1854 || regs[2] != 2224 {
		t.Errorf("%v, %v, %v", regs, done, err)
	}
	if got := hex.EncodeToString(rtuRequest(1, readInput, 0x3100, 8)); got != "010431000008ff30" {
		t.Errorf("%s", got)
	}
}

func TestVenus(t *testing.T) {
	right := "0001" + "0000" + "0019" + "64" + "03" + "16" + "0084" + "ffd8" + "ffcb" + "0057" + "0002" + "0000000000000000" + "0000" + "0078"
	for name, c := range map[string]struct {
		answer string
		err    error
	}{
		"right": {right, nil}, "cut": {right[:30], io.ErrUnexpectedEOF}, "exception": {"0001" + "0000" + "0003" + "64" + "83" + "0b", ErrModbus},
		"another": {"0002" + right[4:], ErrFormat}, "short": {"0001" + "0000" + "0005" + "6403" + "02" + "0084", ErrFormat}, "long": {"00010000ffff6403", ErrFormat},
	} {
		client, device := net.Pipe()
		go func() {
			request := make([]byte, 12)
			io.ReadFull(device, request)
			if got := hex.EncodeToString(request); got != "00010000000664030348000b" {
				device.Close()
				t.Errorf("asked %s", got)
				return
			}
			b, _ := hex.DecodeString(c.answer)
			device.Write(b)
			device.Close()
		}()
		r, err := New([]string{"venus:gx.local"}, Machine{Dial: func(_ context.Context, _, addr string) (net.Conn, error) {
			if addr != "gx.local:502" {
				return nil, fmt.Errorf("dials %s", addr)
			}
			return client, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		got := r.Poll(t.Context(), 0)
		if err := r.Status()[0].Err; !errors.Is(err, c.err) || (len(got) == 1) != (c.err == nil) {
			t.Errorf("%s: %+v, %v", name, got, err)
			continue
		}
		if c.err == nil { // 13.2 V, -4.0 A, -53 W, 87 %, draining, 120 W of sun
			same(t, "voltage", got[0].Volts, 13.2)
			same(t, "current", got[0].Amps, -4.)
			same(t, "power", got[0].Watts, -53.)
			same(t, "charge", got[0].SoC, 87.)
			same(t, "panel", got[0].PVWatts, 120.)
			is(t, "charging", got[0].Charging, false)
		}
	}
}

func FuzzModbus(f *testing.F) {
	f.Add([]byte{1, 4, 2, 0, 0x57, 0xf8, 0xce}, uint16(1))
	f.Add([]byte{1, 0x84, 2, 0xc2, 0xc1}, uint16(3))
	f.Fuzz(func(t *testing.T, b []byte, count uint16) {
		count %= maxRegisters + 1
		if regs, done, err := rtuAnswer(b, 1, readInput, count); err == nil && done && len(regs) != int(count) {
			t.Fatal(regs)
		}
		if regs, err := tcpAnswer(bytes.NewReader(b), 1, venusUnit, readHolding, venusCount); err == nil {
			s := venusSample(regs)
			s.Sane()
		}
	})
}

func TestSpecs(t *testing.T) {
	for _, spec := range []string{"", "sysfs:x:", "vedirect:", "vedirect", "nut", "nut:@h", "nut:a b@h", "nut:ups@", "file:", "mqtt:host", "exec:", "usb"} {
		r, err := New([]string{spec}, Machine{})
		if spec == "sysfs:x:" {
			continue
		}
		if !errors.Is(err, ErrSpec) {
			t.Errorf("%q: %+v, %v", spec, r, err)
		}
	}
	for spec, name := range map[string]string{"nut:ups@host": "nut:ups@host:3493", "nut:ups": "nut:ups@localhost:3493", "nut:ups@[::1]:1": "nut:ups@[::1]:1", "nut:ups@::1": "nut:ups@[::1]:3493"} {
		r, err := New([]string{spec}, Machine{})
		if err != nil || r.Status()[0].Name != name {
			t.Errorf("%s: %+v, %v", spec, r, err)
		}
	}
	if r, err := New([]string{None}, Machine{}); err != nil || len(r.Poll(t.Context(), 0)) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := New([]string{None, "sysfs"}, Machine{}); !errors.Is(err, ErrSpec) {
		t.Errorf("none beside another: %v", err)
	}
}

func TestBoard(t *testing.T) {
	for text, want := range map[string]string{
		"Raspberry Pi Zero 2 W Rev 1.0\x00": "Pi Zero 2 W", "Raspberry Pi 4 Model B Rev 1.4\x00": "Pi 4 Model B", "Raspberry Pi 5 Model B Rev 1.0\x00": "Pi 5", "Radxa ROCK\x00": "", "": "",
	} {
		name, b := Board(Machine{Files: fstest.MapFS{"proc/device-tree/model": {Data: []byte(text)}}})
		if b.Name != want || name != strings.TrimRight(text, "\x00") {
			t.Errorf("%q: %q, %+v", text, name, b)
		}
	}
	if name, _ := Board(Machine{Files: fstest.MapFS{}}); name != "" {
		t.Error(name)
	}
}

// TestKernelSynced only tells that the call works: what the answer is depends on the machine.
func TestKernelSynced(t *testing.T) {
	if s := KernelSynced(); s != nil {
		t.Logf("synchronized: %v", *s)
	} else {
		t.Log("the kernel does not say")
	}
}
