package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/lightclient"
)

// checked is what a command ends with after the checks of a block's emission.
func checked(e *lightclient.Emission) error {
	switch e.Finding() {
	case lightclient.CheckOK:
		return nil
	case lightclient.CheckDiffers:
		return quiet(control.Unproven)
	}
	return quiet(control.Undecided)
}

// printEmission prints how much is issued, and each check of it. Those of subnets that hold are told
// together.
func (a *app) printEmission(w io.Writer, s *lightclient.Source, e *lightclient.Emission) {
	from := ""
	if e.Before != nil {
		from = fmt.Sprintf(", against %s", block(e.Before.Number))
	}
	fmt.Fprintf(w, "%s   %s %s%s\n", a.style.bold("emission"), s.Block.Trust, block(s.Block.Number), from)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("rules", "%s", s.Rules)
	if s.Rules != unknownRules {
		line("issued", "%s τ; by the balances %s τ", exact(e.Issued), exact(e.Balances))
		line("next block", "emits %s τ", exact(e.Next))
		if h := e.Halving; h != nil {
			line("halving", "to %s τ once %s τ are issued: %s τ more,", exact(h.Emission), exact(h.At), tao(h.Left, 3))
			line("", "which takes %s, or more if any is recycled", count(int(min(h.Blocks, 1<<31-1)), "block"))
		} else {
			line("halving", "none: all is issued")
		}
	}
	good := 0
	for _, c := range e.Checks {
		if c.Netuid != nil && c.Finding == lightclient.CheckOK {
			good++
		}
	}
	said := false
	for _, c := range e.Checks {
		if c.Netuid != nil && c.Finding == lightclient.CheckOK && good > 1 {
			if !said {
				a.printCheck(w, c.Finding, c.Name, fmt.Sprintf("of %s: what the issuance of each calls for", count(good, "subnet")))
			}
			said = true
			continue
		}
		a.printCheck(w, c.Finding, c.Name, checkText(c))
	}
}

// unknownRules is what a Source has for rules that were not audited.
const unknownRules = "unknown"

func (a *app) printCheck(w io.Writer, finding, name, text string) {
	word := fmt.Sprintf("%-9s", finding)
	if finding == lightclient.CheckOK {
		word = a.style.good(word)
	} else {
		word = a.style.bad(word)
	}
	const indent = "                      "
	fmt.Fprintf(w, "  %s %-9s %s", word, name, strings.TrimPrefix(wrap(text, indent), indent))
}

// checkText says what a check compares.
func checkText(c lightclient.Check) string {
	if c.Chain == nil || c.Rule == nil {
		text := printable(c.Why)
		if c.Netuid != nil {
			text = fmt.Sprintf("of subnet %d: %s", *c.Netuid, text)
		}
		return text
	}
	chain, rule := exact(uint64(max(*c.Chain, 0))), exact(*c.Rule)
	switch c.Name {
	case "issuance", "balances":
		return fmt.Sprintf("%s τ of at most %s τ", chain, rule)
	case "growth":
		return fmt.Sprintf("%s τ issued by the block, its emission is %s τ", chain, rule)
	case "mint":
		return fmt.Sprintf("%s τ issued by the block, %s τ were left", chain, rule)
	case "alpha":
		return fmt.Sprintf("of subnet %d: %s emitted, by its issuance %s", *c.Netuid, chain, rule)
	}
	return fmt.Sprintf("%s, the rule says %s", chain, rule)
}

// exact prints an amount with all of its decimals but the zeros at the end.
func exact(v uint64) string { return strings.TrimSuffix(strings.TrimRight(tao(v, 9), "0"), ".") }
