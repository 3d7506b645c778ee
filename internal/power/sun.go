package power

import (
	"fmt"
	"math"
	"time"
)

// sun tells whether the sun is up at a place and time and how long it takes until it rises: to a quarter
// of an hour, without the equation of time. In a polar night it rises in a day, as far as a budget can
// plan.
//
// The declination is 23.44° sin(2π (284 + day of the year)/365), the hour angle at the horizon arccos of
// -tan φ tan δ.
func sun(lat, lon float64, t time.Time) (up bool, rise time.Duration) {
	t = t.UTC()
	declination := 23.44 * math.Pi / 180 * math.Sin(2*math.Pi*float64(284+t.YearDay())/365)
	cos := -math.Tan(lat*math.Pi/180) * math.Tan(declination)
	half := 12 / math.Pi * math.Acos(min(max(cos, -1), 1)) // half the day's length in hours
	solar := float64(t.Hour()) + float64(t.Minute())/60 + float64(t.Second())/3600 + lon/15
	solar = math.Mod(solar+48, 24)
	if half <= 0 {
		return false, 24 * time.Hour
	}
	up = solar >= 12-half && solar < 12+half
	return up, time.Duration(math.Mod(12-half-solar+48, 24) * float64(time.Hour))
}

// night returns the highest level that the battery bears until the sun rises, with a third in reserve.
func (s *State) night(c *Config, r Reading, in Input) (Level, string) {
	if c.CapacityWh <= 0 || r.SoC == nil || c.Lat == 0 && c.Lon == 0 || !in.Trusted {
		return Full, ""
	}
	up, rise := sun(c.Lat, c.Lon, in.Wall)
	if up || r.PVWatts != nil && *r.PVWatts > 0 {
		return Full, ""
	}
	have := (*r.SoC - s.floor(c, r.Chemistry)) / 100 * c.CapacityWh
	others := 0.0 // what else hangs on the battery
	if r.Net != nil {
		others = max(-*r.Net-c.Watts(s.Level), 0)
	}
	for l := Full; l > Survive; l-- {
		if have >= 1.3*(c.Watts(l)+others)*rise.Hours() {
			return l, ""
		}
	}
	return Survive, fmt.Sprintf("%.0f Wh above the floor must last %.1f h until the sun rises", max(have, 0), rise.Hours())
}

// yield returns the highest level whose day costs no more than a share of what the panel gave yesterday.
// A battery that is nearly full need not save.
func (s *State) yield(c *Config, r Reading) (Level, string) {
	if c.YieldShare <= 0 || r.yesterday == nil || r.SoC != nil && *r.SoC >= learnHigh {
		return Full, ""
	}
	budget := c.YieldShare * *r.yesterday
	for l := Full; l > Survive; l-- {
		if 24*c.Watts(l) <= budget {
			return l, fmt.Sprintf("yesterday's sun gave %.0f Wh, of which %.0f may be spent a day", *r.yesterday, budget)
		}
	}
	return Survive, fmt.Sprintf("yesterday's sun gave %.0f Wh, of which %.0f may be spent a day", *r.yesterday, budget)
}
