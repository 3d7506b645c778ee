package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"reflect"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
)

func (a *app) subnetsCommand() *cobra.Command {
	var t table
	cmd := a.reader(&cobra.Command{
		Use:   "subnets [NETUID]",
		Short: "all subnets, or the settings of one, proven",
		Long: `Lists the subnets of the chain, which is proven to be all: neurons, tempo, how many
epochs later commitments are revealed (open: weights are set in the open), the next
block with an epoch if nothing defers it, the alpha that each block emits to those who
take part, and what a registration burns. With a NETUID shows its owner and its
hyperparameters too; where the chain has set none, the default that holds.

What the block issued is held to the rules of emission: TAO by TotalIssuance, and the
alpha of each subnet by its own (CHECK). A rule that was broken is named.

Ends with 3 where a rule of emission was broken, with 7 where the chain runs rules that were not audited, unless --assume-rules says
which to take, and where no peer has that block's state any more.`,
		Example: `  taolight subnets
  taolight subnets 18`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("want one subnet or none, not %d", len(args))
			}
			return nil
		},
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			q, err := t.question(cmd)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				netuid, err := parseNetuid(args[0])
				if err != nil {
					return err
				}
				q.Netuid = &netuid
			}
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				s, err := who.Subnets(a.telling(ctx), q)
				if err != nil {
					return err
				}
				switch {
				case a.json:
					err = printJSON(a.stdout, s)
				case q.Netuid == nil:
					a.printSubnets(a.stdout, s)
				case len(s.List) == 1:
					a.printSubnet(a.stdout, s, &s.List[0])
				default:
					return fmt.Errorf("%w: %d subnets for one", control.ErrProtocol, len(s.List))
				}
				if err != nil {
					return err
				}
				return checked(&s.Emission)
			})
		}),
	})
	t.flags(cmd)
	return cmd
}

// crop shortens a text of others to at most n characters.
func crop(s string, n int) string {
	r := []rune(printable(s))
	if len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return string(r)
}

func (a *app) printSubnets(w io.Writer, s *control.Subnets) {
	a.from(w, networkName(s.Network, s.Demo), s.Source, s.Joined)
	rows := [][]string{{"NETUID", "NAME", "TOKEN", "NEURONS", "TEMPO", "REVEAL", "NEXT EPOCH", "EMIT α", "CHECK", "BURN τ"}}
	for _, x := range s.List {
		reveal, next, check := "open", "–", cmp.Or(x.Check, "–")
		if check == lightclient.CheckUndecided {
			check = "?"
		}
		switch {
		case x.Netuid == 0:
			reveal = "–" // nobody sets weights there
		case x.Schedule.CommitReveal:
			reveal = "+" + strconv.FormatUint(x.Schedule.RevealPeriod, 10)
		}
		if x.Schedule.NextEpoch != nil {
			next = block(*x.Schedule.NextEpoch)
		}
		rows = append(rows, []string{strconv.Itoa(int(x.Netuid)), crop(x.Name, 12), crop(x.Symbol, 5), fmt.Sprintf("%d/%d", x.Neurons, x.MaxUIDs),
			strconv.Itoa(int(x.Schedule.Tempo)), reveal, next, tao(x.Emission, 4), check, tao(x.Burn, 3)})
	}
	a.printRows(w, rows, func(i int) bool { return i == 1 || i == 2 || i == 8 })
	fmt.Fprintln(w)
	a.printEmission(w, &s.Source, &s.Emission)
}

func (a *app) printSubnet(w io.Writer, s *control.Subnets, x *lightclient.Subnet) {
	a.from(w, networkName(s.Network, s.Demo)+" "+subnetName(x.Netuid, 0), s.Source, s.Joined)
	line := func(topic, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", topic, fmt.Sprintf(format, args...))
	}
	name := "no name"
	if x.Name != "" {
		name = crop(x.Name, 48)
	}
	line("name", "%s, token %s", name, crop(x.Symbol, 16))
	line("since", "%s%s", block(uint32(x.Registered)), started(x))
	if x.Owner != "" {
		line("owner", "%s", x.Owner)
	}
	if x.OwnerHotkey != "" {
		uid := ", not registered"
		if x.OwnerUID != nil {
			uid = fmt.Sprintf(" (uid %d)", *x.OwnerUID)
		}
		line("hotkey", "%s%s", x.OwnerHotkey, uid)
	}
	line("neurons", "%d of %d", x.Neurons, x.MaxUIDs)
	open := "closed"
	if x.Open {
		open = "open, burns " + tao(x.Burn, 9) + " τ"
		if x.PowOpen {
			open += ", or work of difficulty " + group(x.Difficulty)
		}
	}
	line("register", "%s", open)
	line("", "the burn stays within %s and %s τ", tao(x.MinBurn, 4), tao(x.MaxBurn, 4))
	line("emission", "%s alpha in each block", tao(x.Emission, 9))
	if x.Pending != nil {
		line("", "%s alpha waits for the next epoch", tao(*x.Pending, 9))
	}
	line("pool", "%s τ and %s alpha; %s alpha outside", tao(x.TAO, 3), tao(x.AlphaIn, 3), tao(x.AlphaOut, 3))
	epoch := "none has run"
	if x.Netuid == 0 {
		epoch = "the root has none"
	} else if x.LastStep > 0 {
		epoch = "the last ran at " + block(uint32(x.LastStep))
	}
	if n := x.Schedule.NextEpoch; n != nil {
		epoch += ", the next is at " + block(*n) + in(x.Schedule.ETA)
	}
	line("epoch", "%s", epoch)
	fmt.Fprintln(w)
	a.printEmission(w, &s.Source, &s.Emission)
	if x.Settings == nil {
		return
	}
	fmt.Fprintf(w, "\n%s\n", a.style.bold("hyperparameters"))
	v := reflect.ValueOf(*x.Settings)
	for i := range v.NumField() {
		value := v.Field(i)
		if value.Kind() == reflect.Pointer {
			if value.IsNil() {
				continue
			}
			value = value.Elem()
		}
		fmt.Fprintf(w, "  %-31s %v\n", v.Type().Field(i).Tag.Get("json"), value.Interface())
	}
}

func started(x *lightclient.Subnet) string {
	switch {
	case x.Netuid == 0:
		return ""
	case x.First == nil:
		return ", not started by its owner"
	}
	return ", emits from " + block(uint32(*x.First))
}

func (a *app) accountCommand() *cobra.Command {
	var t table
	cmd := a.reader(&cobra.Command{
		Use:   "account ADDRESS",
		Short: "balance, stake and neurons of an address, proven",
		Long: `Shows what the chain has of a coldkey or a hotkey: the balance; of a coldkey its hotkeys,
and what it has staked to them and to others; of a hotkey its coldkey and all that is
staked to it; and the neurons on all subnets. That there is nothing else is proven too.

Stake is kept as shares of a hotkey's total. Where the address has all of the shares, the
figure is exact; else it is marked with ~, and what the chain pays out may differ in the
last places.

Ends with 7 where the chain runs rules that were not audited, unless --assume-rules says
which to take, and where no peer has that block's state any more.`,
		Example: `  taolight account 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("want one address, not %d", len(args))
			}
			return nil
		},
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			q, err := t.question(cmd)
			if err != nil {
				return err
			}
			id, err := verify.ParseAccount(args[0])
			if err != nil {
				return usage("account: %w", err)
			}
			q.Address = id.String()
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				s, err := who.Account(a.telling(ctx), q)
				if err != nil {
					return err
				}
				if a.json {
					return printJSON(a.stdout, s)
				}
				a.printAccount(a.stdout, s)
				return nil
			})
		}),
	})
	t.flags(cmd)
	return cmd
}

func (a *app) printAccount(w io.Writer, s *control.Account) {
	a.from(w, networkName(s.Network, s.Demo)+" account", s.Source, s.Joined)
	fmt.Fprintln(w, s.Address)
	if s.Exists {
		fmt.Fprintf(w, "balance    %s τ free, %s reserved, %s frozen; nonce %d\n", tao(s.Free, 9), tao(s.Reserved, 3), tao(s.Frozen, 3), s.Nonce)
	} else {
		fmt.Fprintf(w, "balance    none: that the chain has no such account is proven\n")
	}
	if s.Coldkey != "" {
		fmt.Fprintf(w, "coldkey    %s\n", s.Coldkey)
	}
	if len(s.Hotkeys) == 0 {
		fmt.Fprintf(w, "hotkeys    none, and it is none\n")
	}
	for _, h := range s.Hotkeys {
		whose := "of somebody else"
		switch {
		case h.Itself:
			whose = "itself"
		case h.Owned:
			whose = "its own"
		}
		fmt.Fprintf(w, "\n%s  %s\n", a.style.bold("hotkey"), h.Hotkey+"  "+whose)
		for _, x := range h.Stakes {
			unit := "alpha"
			if x.Netuid == 0 {
				unit = "τ"
			}
			switch {
			case x.Share == nil:
				fmt.Fprintf(w, "  stake    on %d: %s %s, of all who staked to it\n", x.Netuid, tao(x.Total, 9), unit)
			case x.Whole:
				fmt.Fprintf(w, "  stake    on %d: %s %s, all that it has\n", x.Netuid, tao(*x.Share, 9), unit)
			default:
				fmt.Fprintf(w, "  stake    on %d: ~%s %s, of the hotkey's %s\n", x.Netuid, tao(*x.Share, 9), unit, tao(x.Total, 3))
			}
		}
		if len(h.Neurons) == 0 {
			continue
		}
		rows := [][]string{{"  NETUID", "UID", "STAKE", "VTRUST", "CONS", "INCENT", "DIVID", "EMIT", "UPD", "ACT", "PMT", "AXON"}}
		for i := range h.Neurons {
			n := &h.Neurons[i]
			row := []string{strconv.Itoa(int(n.Netuid))}
			for _, c := range columns {
				for _, name := range rows[0][1:] {
					if c.name == name {
						row = append(row, c.show(&n.Neuron))
					}
				}
			}
			rows = append(rows, row)
		}
		a.printRows(w, rows, func(i int) bool { return i == 11 })
	}
	if s.More > 0 {
		fmt.Fprintf(w, "\n%s more were not looked at\n", count(s.More, "hotkey"))
	}
}
