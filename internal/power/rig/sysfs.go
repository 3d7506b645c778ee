package rig

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taolight/taolight/internal/power"
)

// sysfs reads /sys/class/power_supply, INA current meters and the Raspberry Pi's under-voltage alarm, by
// what their files say they are and never by their number. It works without root and writes nothing.
//
// The rules are those of the kernel's Documentation/ABI/testing/sysfs-class-power, hwmon/ina2xx.rst,
// hwmon/ina3221.rst and drivers/hwmon/raspberrypi-hwmon.c.
type sysfs struct{ m Machine }

func (s *sysfs) Name() string { return "sysfs" }
func (s *sysfs) Close() error { return nil }

// Bounds of what is read: a uevent has some 20 lines, a machine a handful of supplies.
const (
	maxAttribute = 4096
	maxDevices   = 64
)

func (s *sysfs) Read(ctx context.Context, now time.Duration) (power.Sample, error) {
	sample := power.Sample{At: now}
	found, err := s.supplies(&sample)
	hwmon, hwErr := s.hwmon(&sample)
	if cmp.Or(sample.Source, "") == "" {
		sample.Source = "sysfs"
	}
	if !found && !hwmon {
		if err = cmp.Or(err, hwErr); err != nil {
			return power.Sample{}, err
		}
		return power.Sample{}, fmt.Errorf("no battery, supply or meter in /sys: %w", ErrAbsent)
	}
	return sample, ctx.Err()
}

// attribute reads one value. A file that is missing, cannot be read or is empty has none.
func (s *sysfs) attribute(dir, name string) (string, error) {
	f, err := s.m.Sys.Open(dir + "/" + name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxAttribute))
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(b)), nil
}

// device gives the attributes of one, from its uevent where they stand there: one read for all.
type device struct {
	s      *sysfs
	dir    string
	uevent map[string]string
	err    error // the first that is not "no such file"
}

func (s *sysfs) device(dir string) *device {
	d := &device{s: s, dir: dir, uevent: map[string]string{}}
	text, _ := s.attribute(dir, "uevent")
	for line := range strings.SplitSeq(text, "\n") {
		if key, value, ok := strings.Cut(line, "="); ok {
			d.uevent[key] = strings.TrimSpace(value)
		}
	}
	return d
}

func (d *device) text(name string) string {
	if v, ok := d.uevent["POWER_SUPPLY_"+strings.ToUpper(name)]; ok {
		return v
	}
	v, err := d.s.attribute(d.dir, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && d.err == nil {
		d.err = fmt.Errorf("%s/%s: %w", d.dir, name, err)
	}
	return v
}

// number returns an attribute divided by scale, nil where there is none.
func (d *device) number(name string, scale float64) *float64 {
	return number(d.text(name), scale)
}

// number reads a whole number as drivers write it. Anything else is no value: "", "NaN", "1e3".
func number(text string, scale float64) *float64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil
	}
	v := float64(n) / scale
	return &v
}

func (s *sysfs) list(dir string) []string {
	entries, err := fs.ReadDir(s.m.Sys, dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries[:min(len(entries), maxDevices)] {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names
}

// A battery is one of perhaps several in a machine.
type battery struct {
	name              string
	soc, volts, watts *float64
	room              float64 // Wh or Ah; 0: unknown
	charging          *bool
	chemistry         power.Chemistry
	lowConfidence     bool
}

// supplies reads what is in class/power_supply.
func (s *sysfs) supplies(sample *power.Sample) (found bool, err error) {
	var list []battery
	for _, name := range s.list("class/power_supply") {
		d := s.device("class/power_supply/" + name)
		if d.text("scope") == "Device" { // of a mouse or a keyboard
			continue
		}
		switch kind := d.text("type"); kind {
		case "Battery", "UPS":
			if d.text("present") == "0" {
				continue
			}
			b := readBattery(name, d)
			if b.soc == nil && b.volts == nil {
				err = cmp.Or(err, d.err)
				continue
			}
			list = append(list, b)
		case "Mains", "USB", "Wireless", "USB_PD", "USB_C":
			if on := d.number("online", 1); on != nil {
				external := *on > 0 || sample.External != nil && *sample.External
				sample.External = &external
				found = true
			}
		}
	}
	if len(list) == 0 {
		return found, err
	}
	merge(list, sample)
	return true, nil
}

var technologies = map[string]power.Chemistry{
	"Li-ion": power.LiIon, "Li-poly": power.LiIon, "LiMn": power.LiIon, "LiFe": power.LiFePO4,
}

func readBattery(name string, d *device) battery {
	b := battery{name: name, chemistry: technologies[d.text("technology")]}
	yes, no := true, false
	switch d.text("status") {
	case "Charging":
		b.charging = &yes
	case "Discharging":
		b.charging = &no
	}
	b.volts = first(d.number("voltage_now", 1e6), d.number("voltage_avg", 1e6))
	current := first(d.number("current_now", 1e6), d.number("current_avg", 1e6))
	b.watts = d.number("power_now", 1e6)
	if b.watts == nil && current != nil && b.volts != nil {
		w := *current * *b.volts
		b.watts = &w
	}
	// Below 0 is draining by the ABI, but some drivers give the magnitude alone.
	if b.watts != nil && b.charging != nil {
		w := math.Abs(*b.watts)
		if !*b.charging {
			w = -w
		}
		b.watts = &w
	} else if b.watts != nil && current == nil {
		b.watts = nil // power_now has no sign where the status has none
	}

	energy, energyFull := d.number("energy_now", 1e6), first(d.number("energy_full", 1e6), d.number("energy_full_design", 1e6))
	charge, chargeFull := d.number("charge_now", 1e6), first(d.number("charge_full", 1e6), d.number("charge_full_design", 1e6))
	ratio := func(now, full *float64) *float64 {
		if now == nil || full == nil || *full <= 0 {
			return nil
		}
		v := *now / *full * 100
		return &v
	}
	if full := first(energyFull, chargeFull); full != nil && *full > 0 {
		b.room = *full
	}
	capacity := d.number("capacity", 1)
	if margin := d.number("capacity_error_margin", 1); margin != nil && *margin >= 50 {
		capacity = nil
	}
	var word *float64
	if v, ok := capacityLevels[d.text("capacity_level")]; ok {
		word, b.lowConfidence = &v, true
	}
	b.soc = first(capacity, ratio(energy, energyFull), ratio(charge, chargeFull))
	if b.soc != nil {
		b.lowConfidence = false
	} else {
		b.soc = word
	}
	return b
}

var capacityLevels = map[string]float64{"Critical": 5, "Low": 15, "Normal": 50, "High": 80, "Full": 100}

func first(list ...*float64) *float64 {
	for _, p := range list {
		if p != nil {
			return p
		}
	}
	return nil
}

// merge makes one battery of several: each counts by its size, or if one's size is not known the emptiest
// counts.
func merge(list []battery, sample *power.Sample) {
	var names []string
	var sum, room, watts, lowest float64
	sized, known, powered := true, false, false
	for _, b := range list {
		names = append(names, b.name)
		if b.watts != nil {
			watts, powered = watts+*b.watts, true
		}
		if sample.Volts == nil {
			sample.Volts = b.volts
		}
		if sample.Chemistry == "" {
			sample.Chemistry = b.chemistry
		}
		if b.charging != nil && (sample.Charging == nil || !*b.charging) {
			sample.Charging = b.charging
		}
		if b.soc == nil {
			continue
		}
		if b.lowConfidence {
			sample.Confidence = power.Low
		}
		if !known || *b.soc < lowest {
			lowest = *b.soc
		}
		known = true
		sized = sized && b.room > 0
		sum, room = sum+*b.soc*b.room, room+b.room
	}
	sample.Source = "sysfs:" + strings.Join(names, "+")
	if powered {
		sample.Watts = &watts
	}
	if known {
		soc := lowest
		if sized && len(list) > 1 {
			soc = sum / room
		}
		sample.SoC = &soc
	}
}

// railLeast and railMost bound the voltage of a board's own 5 V: a meter there sees no battery.
const (
	railLeast = 4.4
	railMost  = 5.6
)

// hwmon reads meters and the alarm in class/hwmon.
func (s *sysfs) hwmon(sample *power.Sample) (found bool, err error) {
	alarm := false
	for _, name := range s.list("class/hwmon") {
		dir := "class/hwmon/" + name
		kind, readErr := s.attribute(dir, "name")
		if readErr != nil {
			continue
		}
		d := &device{s: s, dir: dir}
		switch {
		case kind == "rpi_volt":
			if v := d.number("in0_lcrit_alarm", 1); v != nil {
				low := *v != 0
				sample.UnderVoltage = &low
				found, alarm = true, true
			}
		case kind == "ina3221":
			found = s.ina3221(d, sample) || found
		case inaMeters[kind]:
			found = s.ina(kind, d, sample) || found
		}
		err = cmp.Or(err, d.err)
	}
	if !alarm {
		// Only where the alarm is missing: a kernel complains once about whoever reads this file.
		if text, e := s.attribute("devices/platform/soc/soc:firmware", "get_throttled"); e == nil {
			if bits, e := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 32); e == nil {
				low := bits&1 != 0
				sample.UnderVoltage = &low
				found = true
			}
		}
	}
	return found, err
}

var inaMeters = map[string]bool{"ina209": true, "ina219": true, "ina220": true, "ina226": true, "ina230": true, "ina231": true, "ina232": true, "ina233": true, "ina234": true, "ina260": true}

func (s *sysfs) sign(amps *float64) *float64 {
	if amps == nil || !s.m.Invert {
		return amps
	}
	v := -*amps
	return &v
}

// ina takes a meter in the line of the battery. A supply that the kernel knows knows its battery better.
func (s *sysfs) ina(kind string, d *device, sample *power.Sample) bool {
	volts, amps := d.number("in1_input", 1e3), s.sign(d.number("curr1_input", 1e3))
	if volts == nil && amps == nil || volts != nil && *volts > railLeast && *volts < railMost {
		return false
	}
	s.take(kind, volts, amps, sample)
	return true
}

func (s *sysfs) take(kind string, volts, amps *float64, sample *power.Sample) {
	if sample.Source == "" {
		sample.Source = "sysfs:" + kind
	}
	if sample.Volts == nil {
		sample.Volts = volts
	}
	if sample.Watts == nil && volts != nil && amps != nil {
		w := *volts * *amps
		sample.Amps, sample.Watts = amps, &w
	}
}

// ina3221 has three channels, of which the labels say which is the battery and which the panel; without a
// label the first is the battery.
func (s *sysfs) ina3221(d *device, sample *power.Sample) bool {
	best := ""
	found := false
	for _, ch := range []string{"1", "2", "3"} {
		volts, amps := d.number("in"+ch+"_input", 1e3), d.number("curr"+ch+"_input", 1e3)
		if volts == nil || amps == nil {
			continue
		}
		label := strings.ToLower(d.text("in" + ch + "_label"))
		switch {
		case strings.Contains(label, "sol") || strings.Contains(label, "pv") || strings.Contains(label, "panel"):
			w := math.Abs(*volts * *amps)
			sample.PVWatts = &w
			found = true
		case strings.Contains(label, "bat") || best == "" && (label == "" || label == "channel "+ch || label == "ch"+ch) && ch == "1":
			if *volts > railLeast && *volts < railMost {
				continue
			}
			best = ch
			s.take("ina3221", volts, s.sign(amps), sample)
			found = true
		}
	}
	return found
}
