package main

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/lightclient"
)

// largest is a metagraph with the widest values that a subnet of finney has.
func largest() *control.Metagraph {
	m := new(control.Metagraph)
	m.Network, m.Netuid, m.Block.Number, m.Block.Trust, m.Rules, m.MaxUIDs = "finney", 64, 8_912_400, "finalized", "spec 425", 256
	m.Symbol, m.LastStep, m.Proof = "</title>&\x1b[31m", 8_912_300, 88_000
	trust := uint16(65535)
	for uid := range uint16(256) {
		m.Neurons = append(m.Neurons, lightclient.Neuron{
			UID: uid, Hotkey: "5F3sa2TJAWMqDhXG6jhV4N8ko9SxwGy8TpaNS1repo5EYjQX", Coldkey: "5F3sa2TJAWMqDhXG6jhV4N8ko9SxwGy8TpaNS1repo5EYjQX",
			Stake: 1_234_567_999_999_999, Alpha: 1, Root: 2_000_000_000, StakeWeight: uid, VTrust: 65535, Trust: &trust, Rank: &trust, Consensus: 65535,
			Incentive: uid * 200, Dividends: 65535 - uid, Emission: 148_123_456_789, LastUpdate: 1, Updated: 8_912_399, Active: true, Permit: true,
			Axon: &lightclient.Axon{Address: "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
		})
	}
	return m
}

func TestMetagraphFits(t *testing.T) {
	var b bytes.Buffer
	a := &app{}
	m := largest()
	m.Symbol = "α"
	a.printMetagraph(&b, m, false)
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != 3+256 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if want := "255 1,234,567 1.0000 1.0000 1.0000 0.7782 0.9961 148.12  8M   *   * *    5F3sa…"; lines[258] != want {
		t.Errorf("row\n%s, want\n%s", lines[258], want)
	}
	b.Reset()
	a.printMetagraph(&b, m, true)
	for _, want := range []string{"STAKE_WEIGHT", "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535", m.Neurons[0].Coldkey} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("wide lacks %s", want)
		}
	}
}

func TestMetagraphCSV(t *testing.T) {
	var b bytes.Buffer
	m := largest()
	m.Neurons[3].Trust, m.Neurons[3].Axon = nil, nil
	if err := printCSV(&b, m.Neurons); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 257 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	cells := map[string]string{}
	for i, name := range rows[0] {
		cells[name] = rows[4][i]
	}
	for name, want := range map[string]string{"uid": "3", "stake": "1234567.999999999", "alpha": "0.000000001", "trust": "", "vtrust": "1.000000",
		"incent": "0.009155", "upd": "8912399", "act": "1", "axon": "", "hotkey": m.Neurons[3].Hotkey} {
		if cells[name] != want {
			t.Errorf("%s is %q, want %q", name, cells[name], want)
		}
	}
}

func TestSortNeurons(t *testing.T) {
	for name, first := range map[string]uint16{"UID": 0, "INCENT": 255, "DIVID": 0, "STAKE": 0, "UPD": 0} {
		m := largest()
		for _, c := range columns {
			if c.name == name {
				sortNeurons(m.Neurons, c)
			}
		}
		if m.Neurons[0].UID != first {
			t.Errorf("by %s uid %d is first, want %d", name, m.Neurons[0].UID, first)
		}
	}
}

// TestMetagraphSVG: the picture is well-formed XML whatever the chain has, with a bar for each that is
// not 0.
func TestMetagraphSVG(t *testing.T) {
	hostile := largest()
	hostile.Network = "</title><script>\x00\x1b&'\""
	empty := &control.Metagraph{}
	for _, m := range []*control.Metagraph{largest(), hostile, empty} {
		d := xml.NewDecoder(bytes.NewReader(metagraphSVG(m)))
		elements := map[string]int{}
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if s, ok := token.(xml.StartElement); ok {
				elements[s.Name.Local]++
				for _, at := range s.Attr {
					if at.Name.Local == "href" || at.Name.Local == "src" {
						t.Errorf("it fetches %s", at.Value)
					}
				}
			}
		}
		bars := 0
		for _, n := range m.Neurons {
			if n.Incentive > 255 { // at most 51000 is half of the height
				bars++
			}
			bars++
		}
		if got := elements["rect"] - 1; elements["svg"] != 1 || elements["script"] != 0 || elements["g"] != len(m.Neurons) || got < bars-2 || got > bars+2 {
			t.Errorf("%v, want about %d bars", elements, bars)
		}
	}
}

// TestSubnetsFit: the widest list of subnets fits a terminal, and so do the checks below it.
func TestSubnetsFit(t *testing.T) {
	s := new(control.Subnets)
	s.Network, s.Block.Number, s.Block.Trust, s.Rules, s.Proof = "finney", 8_912_400, "finalized", "spec 425 assumed for spec 467", 88_000
	s.Assumed = true
	next, rao, most := uint32(8_999_999), int64(20_999_999_123_456_789), uint64(21_000_000_000_000_000)
	for i, check := range []string{"", lightclient.CheckOK, lightclient.CheckDiffers, lightclient.CheckUndecided} {
		netuid := uint16(i * 1365)
		x := lightclient.Subnet{Netuid: netuid, Name: "a name that is too long", Symbol: "ααααααααα", Neurons: 256, MaxUIDs: 256, Emission: 1_000_000_000,
			Check: check, Burn: 100_000_000_000}
		x.Schedule.Tempo, x.Schedule.CommitReveal, x.Schedule.RevealPeriod, x.Schedule.NextEpoch = 50_400, true, 100, &next
		s.List = append(s.List, x)
		c := lightclient.Check{Name: "alpha", Netuid: &netuid, Finding: check, Chain: &rao, Rule: &most}
		if check == lightclient.CheckUndecided {
			c.Chain, c.Rule, c.Why = nil, nil, "state of #8912399 is pruned: 8 peers asked keep 256 blocks; an archive peer or a bundle is needed"
		}
		s.Emission.Checks = append(s.Emission.Checks, c)
	}
	for _, name := range []string{"issuance", "balances", "growth", "mint"} {
		s.Emission.Checks = append(s.Emission.Checks, lightclient.Check{Name: name, Finding: lightclient.CheckDiffers, Chain: &rao, Rule: &most})
	}
	s.Emission.Issued, s.Emission.Balances = most-1, most-1
	s.Emission.Halving = &lightclient.Halving{At: most - most>>6, Emission: 15_625_000, Left: most>>6 - 1, Blocks: 1 << 40}
	s.Emission.Before = &lightclient.BlockStatus{Number: 8_912_399}
	var b bytes.Buffer
	(&app{}).printSubnets(&b, s)
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, want := range []string{" 4095 a name that…", " ? ", " differs ", "undecided alpha     of subnet 4095: state of #8912399 is pruned"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %q in\n%s", want, b.String())
		}
	}
}
