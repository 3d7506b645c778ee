package power

import (
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
