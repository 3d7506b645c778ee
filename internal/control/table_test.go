package control

import (
	"context"
	"reflect"
	"testing"
	"time"
)

// TestTables asks for the tables in this process and over the socket: the answers are equal, and so
// are the refusals.
func TestTables(t *testing.T) {
	net := network(t)
	l := local(t, net)
	c := serveDir(t, l.DataDir, l.Handle)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.Node.WaitFinal(ctx); err != nil {
		t.Fatal(err)
	}
	settled(t, ctx, l, net)
	one, none := uint16(1), uint16(2)
	above := net.Finalized().Header.Number + 100
	var tables [2][]any
	for i, who := range []Answerer{l, c} {
		m, err := who.Metagraph(ctx, TableQuestion{Netuid: &one})
		if err != nil || m.Schema != Schema || !m.Demo || len(m.Neurons) != 16 {
			t.Fatalf("metagraph: %+v, %v", m, err)
		}
		all, err := who.Subnets(ctx, TableQuestion{})
		if err != nil || len(all.List) != 3 || all.List[1].Settings != nil || !all.Demo {
			t.Fatalf("subnets: %+v, %v", all, err)
		}
		s, err := who.Subnets(ctx, TableQuestion{Netuid: &one})
		if err != nil || len(s.List) != 1 || s.List[0].Settings == nil {
			t.Fatalf("subnet: %+v, %v", s, err)
		}
		a, err := who.Account(ctx, TableQuestion{Address: m.Neurons[0].Coldkey})
		if err != nil || len(a.Hotkeys) != 1 || len(a.Hotkeys[0].Neurons) != 1 {
			t.Fatalf("account: %+v, %v", a, err)
		}
		tables[i] = []any{m, all, s, a}

		for name, ask := range map[string]func() error{
			"no such subnet":     func() error { _, err := who.Metagraph(ctx, TableQuestion{Netuid: &none}); return err },
			"none of that":       func() error { _, err := who.Subnets(ctx, TableQuestion{Netuid: &none}); return err },
			"above the head":     func() error { _, err := who.Subnets(ctx, TableQuestion{At: &above}); return err },
			"account then":       func() error { _, err := who.Account(ctx, TableQuestion{Address: a.Address, At: &above}); return err },
			"metagraph of which": func() error { _, err := who.Metagraph(ctx, TableQuestion{}); return err },
			"account of whom":    func() error { _, err := who.Account(ctx, TableQuestion{Address: "x"}); return err },
		} {
			want := Failure
			if name == "metagraph of which" || name == "account of whom" {
				want = Usage
			}
			if err := ask(); CodeOf(err) != want {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if !reflect.DeepEqual(tables[0], tables[1]) {
		t.Errorf("here  %+v\nthere %+v", tables[0], tables[1])
	}
}
