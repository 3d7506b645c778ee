package rig

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/taolight/taolight/internal/power"
)

// tree makes a /sys of lines "path value"; the value's end of line is put back.
func tree(lines string) fstest.MapFS {
	m := fstest.MapFS{}
	for line := range strings.Lines(lines) {
		path, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok {
			m[path] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(value, "|", "\n") + "\n")}
		}
	}
	return m
}

func readSys(t *testing.T, fsys fs.FS, invert bool) (power.Sample, error) {
	t.Helper()
	s := &sysfs{Machine{Sys: fsys, Invert: invert}}
	return s.Read(context.Background(), time.Minute)
}

func same(t *testing.T, name string, got *float64, want any) {
	t.Helper()
	switch w := want.(type) {
	case nil:
		if got != nil {
			t.Errorf("%s is %g, want none", name, *got)
		}
	case float64:
		if got == nil || *got-w > 1e-9 || w-*got > 1e-9 {
			if got == nil {
				t.Errorf("%s is missing, want %g", name, w)
			} else {
				t.Errorf("%s is %g, want %g", name, *got, w)
			}
		}
	}
}

func is(t *testing.T, name string, got *bool, want any) {
	t.Helper()
	if want == nil && got != nil || want != nil && (got == nil || *got != want.(bool)) {
		t.Errorf("%s is %v, want %v", name, got, want)
	}
}

const supplyDir = "class/power_supply/"

// TestSysfs reads machines of each kind. MAX17040: drivers/power/supply/max17040_battery.c gives status
// Unknown, online 1 and the raw byte as capacity. The INA219's sign is of the Waveshare board, on which
// positive is draining. The laptop is laid out as node_exporter's fixture is.
func TestSysfs(t *testing.T) {
	for _, c := range []struct {
		name, tree              string
		invert                  bool
		source                  string
		soc, volts, watts, pv   any
		charging, external, sag any
		chemistry               power.Chemistry
		confidence              power.Confidence
		level                   power.Level // after three minutes of it
	}{
		{name: "max17040", tree: `
			class/power_supply/battery/type Battery
			class/power_supply/battery/status Unknown
			class/power_supply/battery/online 1
			class/power_supply/battery/capacity 104
			class/power_supply/battery/voltage_now 4180000`,
			source: "sysfs:battery", soc: 104., volts: 4.18, level: power.Full},
		{name: "ina219, other way round", invert: true, tree: `
			class/hwmon/hwmon3/name ina219
			class/hwmon/hwmon3/in0_input 3
			class/hwmon/hwmon3/in1_input 12400
			class/hwmon/hwmon3/curr1_input 310
			class/hwmon/hwmon3/power1_input 3844000`,
			source: "sysfs:ina219", volts: 12.4, watts: -3.844, level: power.Park}, // 3.10 V a cell of LiFePO4
		{name: "ina3221", tree: `
			class/hwmon/hwmon0/name cpu_thermal
			class/hwmon/hwmon1/name ina3221
			class/hwmon/hwmon1/in1_label SOLAR
			class/hwmon/hwmon1/in1_input 18540
			class/hwmon/hwmon1/curr1_input 270
			class/hwmon/hwmon1/in2_label BATTERY
			class/hwmon/hwmon1/in2_input 13320
			class/hwmon/hwmon1/curr2_input 60
			class/hwmon/hwmon1/in3_label LOAD
			class/hwmon/hwmon1/in3_input 5080
			class/hwmon/hwmon1/curr3_input 700
			class/hwmon/hwmon1/in4_input 27`,
			source: "sysfs:ina3221", volts: 13.32, watts: 0.7992, pv: 5.0058, level: power.Eco},
		{name: "rpi_volt", tree: `
			class/hwmon/hwmon0/name cpu_thermal
			class/hwmon/hwmon1/name rpi_volt
			class/hwmon/hwmon1/in0_input 850
			class/hwmon/hwmon1/in0_lcrit_alarm 1`,
			source: "sysfs", sag: true, level: power.Full},
		{name: "laptop", tree: `
			class/power_supply/AC/type Mains
			class/power_supply/AC/online 0
			class/power_supply/BAT0/type Battery
			class/power_supply/BAT0/uevent POWER_SUPPLY_NAME=BAT0|POWER_SUPPLY_STATUS=Discharging|POWER_SUPPLY_PRESENT=1|POWER_SUPPLY_TECHNOLOGY=Li-ion|POWER_SUPPLY_CYCLE_COUNT=0|POWER_SUPPLY_VOLTAGE_MIN_DESIGN=10800000|POWER_SUPPLY_VOLTAGE_NOW=12229000|POWER_SUPPLY_POWER_NOW=4830000|POWER_SUPPLY_ENERGY_FULL_DESIGN=47520000|POWER_SUPPLY_ENERGY_FULL=47390000|POWER_SUPPLY_ENERGY_NOW=40730000|POWER_SUPPLY_CAPACITY=85|POWER_SUPPLY_CAPACITY_LEVEL=Normal`,
			source: "sysfs:BAT0", soc: 85., volts: 12.229, watts: -4.83, charging: false, external: false, chemistry: power.LiIon, level: power.Full},
		{name: "mouse", tree: `
			class/power_supply/hidpp_battery_0/type Battery
			class/power_supply/hidpp_battery_0/scope Device
			class/power_supply/hidpp_battery_0/capacity 5
			class/power_supply/AC/type Mains
			class/power_supply/AC/online 1`,
			source: "sysfs", external: true, level: power.Full},
		{name: "energy only", tree: `
			class/power_supply/bat/type Battery
			class/power_supply/bat/status Charging
			class/power_supply/bat/energy_now 12000000
			class/power_supply/bat/energy_full 48000000
			class/power_supply/bat/charge_now 9
			class/power_supply/bat/technology LiFe`,
			source: "sysfs:bat", soc: 25., charging: true, chemistry: power.LiFePO4, level: power.Survive},
		{name: "charge only", tree: `
			class/power_supply/bat/type Battery
			class/power_supply/bat/charge_now 1500000
			class/power_supply/bat/charge_full_design 2000000`,
			source: "sysfs:bat", soc: 75., level: power.Full},
		{name: "level only", tree: `
			class/power_supply/bat/type Battery
			class/power_supply/bat/capacity_level Low`,
			source: "sysfs:bat", soc: 15., confidence: power.Low, level: power.Survive},
		{name: "useless capacity", tree: `
			class/power_supply/bat/type Battery
			class/power_supply/bat/capacity 90
			class/power_supply/bat/capacity_error_margin 100
			class/power_supply/bat/voltage_now 12800000`,
			source: "sysfs:bat", volts: 12.8, level: power.Park}, // 3.20 V a cell: 10 %
		{name: "two, one of them empty", tree: `
			class/power_supply/BAT0/type Battery
			class/power_supply/BAT0/energy_now 0
			class/power_supply/BAT0/energy_full 10000000
			class/power_supply/BAT1/type Battery
			class/power_supply/BAT1/energy_now 36000000
			class/power_supply/BAT1/energy_full 40000000
			class/power_supply/BAT1/status Discharging
			class/power_supply/BAT1/power_now 5000000
			class/power_supply/BAT2/type Battery
			class/power_supply/BAT2/present 0
			class/power_supply/BAT2/capacity 1`,
			source: "sysfs:BAT0+BAT1", soc: 72., watts: -5., charging: false, level: power.Full},
		{name: "lies", tree: `
			class/power_supply/a/type Battery
			class/power_supply/a/capacity NaN
			class/power_supply/a/voltage_now 1e300
			class/power_supply/b/type Battery
			class/power_supply/b/capacity -5
			class/power_supply/b/power_now 0x10
			class/power_supply/c/type Mains
			class/power_supply/c/online yes`,
			source: "sysfs:b", soc: -5., level: power.Eco}, // which package power takes for no charge at all
		{name: "5 V rail", tree: `
			class/hwmon/hwmon0/name ina226
			class/hwmon/hwmon0/in1_input 5080
			class/hwmon/hwmon0/curr1_input 700
			class/hwmon/hwmon1/name rpi_volt
			class/hwmon/hwmon1/in0_lcrit_alarm 0`,
			source: "sysfs", sag: false, level: power.Full},
		{name: "old kernel, low before", tree: `devices/platform/soc/soc:firmware/get_throttled 50000`,
			source: "sysfs", sag: false, level: power.Full},
		{name: "old kernel", tree: `devices/platform/soc/soc:firmware/get_throttled 50005`,
			source: "sysfs", sag: true, level: power.Full},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := readSys(t, tree(c.tree), c.invert)
			if err != nil {
				t.Fatal(err)
			}
			if s.Source != c.source || s.Chemistry != c.chemistry || s.Confidence != c.confidence || s.At != time.Minute {
				t.Errorf("source %q, chemistry %q, confidence %q", s.Source, s.Chemistry, s.Confidence)
			}
			same(t, "charge", s.SoC, c.soc)
			same(t, "voltage", s.Volts, c.volts)
			same(t, "power", s.Watts, c.watts)
			same(t, "panel", s.PVWatts, c.pv)
			is(t, "charging", s.Charging, c.charging)
			is(t, "external", s.External, c.external)
			is(t, "under-voltage", s.UnderVoltage, c.sag)

			cfg := power.Config{Assume: power.Full}
			var st power.State
			var a power.Actions
			for mono := time.Duration(0); mono <= 3*time.Minute; mono += 10 * time.Second {
				s.At = mono
				st, a = power.Step(&cfg, st, power.Input{Mono: mono, Samples: []power.Sample{s}})
			}
			if a.Level != c.level {
				t.Errorf("level %v because of %s, want %v", a.Level, a.Why.Text, c.level)
			}
		})
	}
}

// TestSysfsAlarm: the alarm comes and goes between polls.
func TestSysfsAlarm(t *testing.T) {
	fsys := tree("class/hwmon/hwmon1/name rpi_volt\nclass/hwmon/hwmon1/in0_lcrit_alarm 0")
	for _, v := range []string{"0", "1", "1", "0", ""} {
		fsys["class/hwmon/hwmon1/in0_lcrit_alarm"] = &fstest.MapFile{Data: []byte(v + "\n")}
		s, err := readSys(t, fsys, false)
		if v == "" {
			if !errors.Is(err, ErrAbsent) {
				t.Errorf("an empty alarm: %+v, %v", s, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		is(t, "under-voltage", s.UnderVoltage, v == "1")
	}
}

// TestSagging: the flag is seen by whatever would tell of it, and by nothing else.
func TestSagging(t *testing.T) {
	low, calm := tree("class/hwmon/hwmon1/name rpi_volt\nclass/hwmon/hwmon1/in0_lcrit_alarm 1"), tree("class/hwmon/hwmon1/name rpi_volt\nclass/hwmon/hwmon1/in0_lcrit_alarm 0")
	files := fstest.MapFS{"low.json": {Data: []byte(`{"undervolts":true}`)}, "calm.json": {Data: []byte(`{"soc":3}`)}}
	serial := func(string, int) (Port, error) { t.Error("a serial port was opened"); return nil, ErrAbsent }
	for _, c := range []struct {
		specs []string
		sys   fs.FS
		want  bool
	}{
		{nil, low, true}, {[]string{Auto}, low, true}, {[]string{"vedirect:/dev/ttyUSB0", "sysfs"}, low, true},
		{[]string{Auto}, calm, false}, {nil, fstest.MapFS{}, false}, {[]string{None}, low, false}, {[]string{"vedirect:/dev/ttyUSB0"}, low, false},
		{[]string{"file:/calm.json"}, low, false}, {[]string{"file:/calm.json", "file:/low.json"}, calm, true}, {[]string{"file:/none.json"}, low, false},
	} {
		if got := Sagging(t.Context(), c.specs, Machine{Sys: c.sys, Files: files, Serial: serial}); got != c.want {
			t.Errorf("%v: %v", c.specs, got)
		}
	}
}

// failing is a tree of which some files cannot be read.
type failing struct {
	fs.FS
	paths string
}

type failingFile struct{ fs.File }

func (failingFile) Read([]byte) (int, error) { return 0, syscall.EIO }

func (f failing) Open(name string) (fs.File, error) {
	file, err := f.FS.Open(name)
	if err == nil && slices.Contains(strings.Fields(f.paths), name) {
		return failingFile{file}, nil
	}
	return file, err
}

// TestSysfsEIO: a chip that does not answer on its bus is an error where nothing else is known of the
// battery, and no value where something is.
func TestSysfsEIO(t *testing.T) {
	all := tree(`
		class/power_supply/bat/type Battery
		class/power_supply/bat/capacity 50
		class/power_supply/bat/voltage_now 13200000`)
	if s, err := readSys(t, failing{all, supplyDir + "bat/capacity"}, false); err != nil || s.SoC != nil || s.Volts == nil {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := readSys(t, failing{all, supplyDir + "bat/capacity " + supplyDir + "bat/voltage_now"}, false); !errors.Is(err, syscall.EIO) || errors.Is(err, ErrAbsent) {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestSysfsEmpty(t *testing.T) {
	for name, fsys := range map[string]fs.FS{"empty": fstest.MapFS{}, "folders": fstest.MapFS{"class/power_supply": {Mode: fs.ModeDir}, "class/hwmon": {Mode: fs.ModeDir}},
		"deep": tree("class/power_supply/x/y/type Battery")} {
		s, err := readSys(t, fsys, false)
		if !errors.Is(err, ErrAbsent) || s.Source != "" {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	r, err := New([]string{"sysfs"}, Machine{Sys: fstest.MapFS{}})
	if err != nil || r.Explicit {
		t.Fatalf("%+v, %v", r, err)
	}
	if list := r.Poll(t.Context(), 0); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	cfg := power.Config{Assume: power.Full, Explicit: r.Explicit}
	if _, a := power.Step(&cfg, power.State{}, power.Input{}); a.Level != power.Full || a.Reading.Source != "" {
		t.Errorf("%+v", a)
	}
}

// FuzzSysfs: whatever drivers write, nothing panics and no number is made up.
func FuzzSysfs(f *testing.F) {
	f.Add("Battery", "Discharging", "104", "-1", "4180000", "POWER_SUPPLY_CAPACITY=7", "12400")
	f.Add("Mains", "NaN", "1e9", "", "\x00", "=\n==", "-9223372036854775808")
	f.Fuzz(func(t *testing.T, kind, status, capacity, current, volts, uevent, mv string) {
		file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
		fsys := fstest.MapFS{
			supplyDir + "x/type": file(kind), supplyDir + "x/status": file(status), supplyDir + "x/capacity": file(capacity), supplyDir + "x/current_now": file(current),
			supplyDir + "x/voltage_now": file(volts), supplyDir + "x/uevent": file(uevent), supplyDir + "x/energy_now": file(current), supplyDir + "x/energy_full": file(mv),
			"class/hwmon/hwmon0/name": file("ina219"), "class/hwmon/hwmon0/in1_input": file(mv), "class/hwmon/hwmon0/curr1_input": file(current),
			"class/hwmon/hwmon1/name": file("rpi_volt"), "class/hwmon/hwmon1/in0_lcrit_alarm": file(status),
		}
		s, err := (&sysfs{Machine{Sys: fsys}}).Read(context.Background(), 0)
		if err != nil {
			return
		}
		sane, _ := s.Sane()
		if v := sane.SoC; v != nil && !(*v >= 0 && *v <= 100) {
			t.Fatalf("charge %v", *v)
		}
	})
}
