package miner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
)

// address finds what to announce.
func (m *Miner) address() (Address, error) {
	port := m.cfg.ToldOn
	if port == 0 {
		port = m.bound.Port()
	}
	return FindAddress(m.cfg.Told, m.bound.Addr(), port, m.cfg.Own())
}

// decide keeps the chain's entry true. It reports whether to look again with the next block.
func (m *Miner) decide(ctx context.Context, off string) (soon bool) {
	me := m.view.Of(m.cfg.Hotkey)
	m.tellStanding(me)
	at, err := m.address()
	if errors.Is(err, ErrNoAddress) {
		err = fmt.Errorf("%w: give it with --axon.external_ip, and forward the port in your router if it has another", err)
	}
	if i := m.intent; i != nil && m.fate != Good {
		hash, f, text, ferr := m.cfg.Chain.Fate(ctx, i)
		if ferr == nil {
			m.fate, m.why = f, text
			if hash != "" && hash != i.Hash {
				i.Hash = hash
				m.keep(i) // without it nothing is lost: it is found again
			}
		}
	}
	s := Situation{Block: m.view.Block, Me: me, Want: at.At, Version: m.cfg.Version, NoWant: err, Limit: m.view.ServingRateLimit, Intent: m.intent, Fate: m.fate,
		FateText: m.why, Failed: m.failed, Serves: m.close != nil, Off: off, DryRun: m.cfg.DryRun}
	if s.Intent == nil {
		s.Gate = m.cfg.Gate.MaySign()
	}
	d := Decide(&s)
	switch d.Step {
	case Forget:
		if d.State == "failed" {
			m.failed, m.why = m.view.Block, d.Why
		} else {
			m.failed = 0
		}
		m.forget()
		soon = true
	case Send:
		if err := m.send(ctx, at.At); err != nil {
			d.State, d.Why = "failed", err.Error()
		}
		soon = true
	}
	soon = soon || d.State == "sent" || d.State == "waits" || d.State == "failed"
	m.set(func(st *Status) {
		st.Announce, st.Why, st.After, st.Hash = d.State, d.Why, d.After, ""
		if st.Address, st.How, st.Warning = "", at.How, at.Warning; err == nil {
			st.Address = at.At.String()
		}
		if m.intent != nil {
			st.Hash = m.intent.Hash
		}
	})
	switch d.State {
	case "true":
		m.note("announce", false, "the chain says where the axon is: %s", at.At)
	case "unregistered":
	case "sent": // an intent that was found at the start is news, one that goes its way is not
		as := fmt.Sprint("sent ", at.At)
		if i := m.intent; i != nil {
			as = fmt.Sprint("sent ", i.At)
		}
		m.noteAs("announce", as, false, "announcement: "+d.Why)
	case "waits", "closed":
		m.noteAs("announce", fmt.Sprint(d.State, d.After, s.Gate, off), false, "announcement: "+d.Why)
	default:
		m.note("announce", d.State != "would send", "announcement: %s: %s", d.State, d.Why)
	}
	if at.Warning != "" {
		m.note("address", true, "%s", at.Warning)
	}
	return soon
}

// tellStanding tells what the hotkey is on the subnet, when that changes.
func (m *Miner) tellStanding(me *Neuron) {
	if me == nil {
		m.noteAs("standing", "none", true, fmt.Sprintf("%v is not registered on this subnet at #%d: its coldkey registers it, and this waits for that", m.cfg.Hotkey, m.view.Block))
		return
	}
	m.noteAs("standing", fmt.Sprint("uid ", me.UID), false, fmt.Sprintf("%v has uid %d at #%d", m.cfg.Hotkey, me.UID, m.view.Block))
	r := RiskOf(m.view, m.cfg.Hotkey)
	switch {
	case r.Before != nil && *r.Before < 3 && r.Full:
		m.noteAs("risk", fmt.Sprint("near ", *r.Before), true, "deregistration is near: "+r.Line())
	case r.Full && r.Immune > 0 && r.Immune < 300: // an hour
		m.noteAs("risk", "immunity", true, fmt.Sprintf("immunity ends in less than an hour, at #%d: place %d of %d by emission", uint64(m.view.Block)+r.Immune, r.Rank, r.Of))
	default:
		m.note("risk", false, "")
	}
}

// keep writes the intent to disk. It fails if that is not sure to have reached it.
func (m *Miner) keep(i *Intent) error {
	b, err := json.Marshal(i)
	if err == nil {
		err = m.cfg.Store.Put(kind, intentKey, b)
	}
	if err == nil {
		err = m.cfg.Store.Commit()
	}
	return err
}

func (m *Miner) forget() {
	m.intent, m.fate = nil, Unknown
	err := m.cfg.Store.Delete(kind, intentKey)
	if err == nil {
		err = m.cfg.Store.Commit()
	}
	if err != nil { // after a crash it is looked at again, and forgotten then
		m.note("store", true, "an announcement that is done is still kept: %v", err)
	}
}

// send writes the intent down, and announces.
func (m *Miner) send(ctx context.Context, at netip.AddrPort) error {
	i := &Intent{At: at, Version: m.cfg.Version, Block: m.view.Block}
	if err := m.keep(i); err != nil {
		m.cfg.Store.Delete(kind, intentKey)
		m.failed, m.why = m.view.Block, fmt.Sprintf("nothing is signed, for the intent cannot be written down: %v", err)
		return errors.New(m.why)
	}
	m.intent, m.fate = i, Unknown
	hash, err := m.cfg.Chain.Announce(ctx, at, m.cfg.Version)
	switch {
	case errors.Is(err, ErrNotSent):
		m.forget()
		m.failed, m.why = m.view.Block, err.Error()
		return err
	case err != nil:
		return nil // it may have been sent: Decide waits
	}
	i.Hash = hash
	m.keep(i)
	return nil
}
