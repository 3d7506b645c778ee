package rig

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/taolight/taolight/internal/power"
)

// Bounds of an answer of a NUT server.
const (
	maxNUTLine = 1024
	maxNUTVars = 1000
	nutPort    = "3493"
)

// nut asks a server of Network UPS Tools for all variables of one UPS. Reading needs no login.
// The protocol is NUT's docs/net-protocol.txt.
type nut struct {
	ups, addr string
	m         Machine
}

func newNUT(spec string, m Machine) (*nut, error) {
	ups, host, ok := strings.Cut(spec, "@")
	if !ok {
		host = "localhost"
	}
	if ups == "" || host == "" || strings.ContainsAny(ups, " \t\r\n\"\\") {
		return nil, fmt.Errorf("%w: nut:%s; want nut:UPS@HOST", ErrSpec, spec)
	}
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(strings.Trim(host, "[]"), nutPort)
	}
	return &nut{ups, host, m}, nil
}

func (n *nut) Name() string { return "nut:" + n.ups + "@" + n.addr }
func (n *nut) Close() error { return nil }

func (n *nut) Read(ctx context.Context, now time.Duration) (power.Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	conn, err := n.m.Dial(ctx, "tcp", n.addr)
	if err != nil {
		return power.Sample{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := fmt.Fprintf(conn, "LIST VAR %s\n", n.ups); err != nil {
		return power.Sample{}, err
	}
	vars, err := readVars(bufio.NewReaderSize(conn, maxNUTLine), n.ups)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", ErrTimeout, err)
		}
		return power.Sample{}, err
	}
	fmt.Fprint(conn, "LOGOUT\n") // a courtesy
	s := upsSample(vars)
	s.At, s.Source = now, "nut:"+n.ups
	return s, nil
}

// readVars reads the answer to LIST VAR.
func readVars(r *bufio.Reader, ups string) (map[string]string, error) {
	vars := map[string]string{}
	begun := false
	for n := 0; n < maxNUTVars; n++ {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		words, err := splitNUT(strings.TrimRight(string(line), "\r\n"))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		switch {
		case len(words) >= 2 && words[0] == "ERR":
			if words[1] == "DATA-STALE" || words[1] == "DRIVER-NOT-CONNECTED" {
				return nil, fmt.Errorf("%w: %s", ErrStale, clean(words[1]))
			}
			return nil, fmt.Errorf("the server says %q", clean(strings.Join(words[1:], " ")))
		case len(words) == 4 && words[0] == "BEGIN" && words[1] == "LIST" && words[2] == "VAR" && words[3] == ups:
			begun = true
		case begun && len(words) == 4 && words[0] == "VAR" && words[1] == ups:
			vars[words[2]] = words[3]
		case begun && len(words) == 4 && words[0] == "END" && words[3] == ups:
			return vars, nil
		default:
			return nil, fmt.Errorf("line %d: %w: %.40q", n+1, ErrFormat, line)
		}
	}
	return nil, fmt.Errorf("%w: over %d lines", ErrFormat, maxNUTVars)
}

// splitNUT splits a line into its words; a word in quotes may hold spaces, and \" and \\ in it.
func splitNUT(line string) ([]string, error) {
	var words []string
	for i := 0; i < len(line); {
		if line[i] == ' ' {
			i++
			continue
		}
		var word []byte
		quoted := line[i] == '"'
		if quoted {
			i++
		}
		closed := false
		for i < len(line) && !closed {
			switch c := line[i]; {
			case quoted && c == '"':
				closed = true
			case !quoted && c == ' ':
				closed = true
				continue
			case c == '\\' && i+1 < len(line):
				i++
				word = append(word, line[i])
			default:
				word = append(word, c)
			}
			i++
		}
		if quoted && !closed {
			return nil, fmt.Errorf("%w: a quote that does not end", ErrFormat)
		}
		words = append(words, string(word))
	}
	return words, nil
}

// upsSample makes a sample of a UPS's variables. OL and OB speak of its input only; LB with OB, and FSD,
// are the end; LB while it charges on line is a driver's mistake. WAIT says nothing, and so do tokens that
// are not known.
func upsSample(vars map[string]string) power.Sample {
	decimal := func(name string) *float64 {
		v, err := strconv.ParseFloat(vars[name], 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		return &v
	}
	has := map[string]bool{}
	for t := range strings.FieldsSeq(vars["ups.status"]) {
		has[t] = true
	}
	var s power.Sample
	if !has["WAIT"] && (has["OL"] || has["OB"] || has["FSD"]) {
		line := has["OL"] && !has["OB"] && !has["FSD"]
		critical := has["FSD"] || has["OB"] && has["LB"]
		s.External, s.Critical = &line, &critical
		switch {
		case has["CHRG"] && !has["DISCHRG"]:
			charging := true
			s.Charging = &charging
		case has["DISCHRG"], has["OB"]:
			charging := false
			s.Charging = &charging
		}
	}
	s.SoC = decimal("battery.charge")
	switch t := strings.ToLower(vars["battery.type"]); {
	case strings.HasPrefix(t, "pb"), strings.Contains(t, "lead"), strings.Contains(t, "agm"):
		s.Chemistry = power.LeadAcid
	case strings.Contains(t, "fe"):
		s.Chemistry = power.LiFePO4
	case strings.HasPrefix(t, "li"):
		s.Chemistry = power.LiIon
	}
	// Without a charge the voltage of a battery of an unknown kind says nothing.
	if s.SoC != nil || s.Chemistry != "" {
		s.Volts = decimal("battery.voltage")
	}
	// The sign of the current is the driver's whim.
	if a := decimal("battery.current"); a != nil && s.Charging != nil {
		if (*a < 0) == *s.Charging {
			v := -*a
			a = &v
		}
		s.Amps = a
	}
	return s
}
