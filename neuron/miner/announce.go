package miner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// address finds what to announce.
func (m *Miner) address() (Address, error) {
	port := m.cfg.ToldOn
	if port == 0 {
		port = m.bound.Port()
	}
	return FindAddress(m.cfg.Told, m.bound.Addr(), port, m.cfg.Own())
}

// stale is how many blocks old a view may be by which something is announced, unregistered by which a hotkey has no uid.
const (
	stale        = 5
	unregistered = 50
)

// situation puts together what the decision depends on, by the view that there is.
func (m *Miner) situation(plan *Plan, at Address, noAddress error, off string) *Situation {
	s := &Situation{Block: max(m.view.Block, plan.Block), Me: m.view.Of(m.cfg.Hotkey), Want: at.At, Version: m.cfg.Version, NoWant: noAddress,
		Limit: m.view.ServingRateLimit, Intent: m.intent, Fate: m.fate, FateText: m.why, Failed: m.failed, Serves: m.close != nil, Off: off, DryRun: m.cfg.DryRun}
	if s.Intent == nil {
		s.Gate = m.cfg.Gate.MaySign()
	}
	return s
}

// wants reports whether the view is too old for what is to be decided. A look costs more than all else, so nothing is
// looked at while it could only say what is known.
func (m *Miner) wants(s *Situation, d *Decision) bool {
	old := s.Block > m.view.Block
	if i := s.Intent; i != nil {
		// That it is final, or that it cannot be any more, shows in a state that is younger than that.
		return old && (s.Fate == Good || s.Block > i.lapses() || i.Hash == "" && s.Block >= m.view.Block+2*stale)
	}
	if s.Me == nil { // somebody waits for its registration to count
		return s.Block >= m.view.Block+unregistered
	}
	return d.Step == Send && s.Block > m.view.Block+stale
}

// decide keeps the chain's entry true. It reports whether to see again with the next block.
func (m *Miner) decide(ctx context.Context, plan *Plan, off string) (soon bool) {
	if now := m.cfg.Now(); m.view == nil || !now.Before(m.due) || m.due.Sub(now) > time.Duration(plan.Every)*m.cfg.Block { // or the clock was set back
		m.look(ctx, plan.Every)
	}
	if m.view == nil {
		return false
	}
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
	s := m.situation(plan, at, err, off)
	d := Decide(s)
	if m.wants(s, &d) {
		m.look(ctx, plan.Every)
		s = m.situation(plan, at, err, off)
		d = Decide(s)
		if m.wants(s, &d) { // it could not be read
			return false
		}
	}
	m.tellStanding(s.Me)
	switch d.Step {
	case Forget:
		if d.State == "failed" {
			m.failed, m.why = s.Block, d.Why
		} else {
			m.failed = 0
		}
		m.forget()
	case Send:
		if err := m.send(ctx, at.At, s.Block); err != nil {
			d.State, d.Why = "failed", err.Error()
		}
	}
	m.set(func(st *Status) {
		st.Announce, st.Why, st.After, st.Hash = d.State, d.Why, d.After, ""
		if st.Address, st.How, st.Warning = "", at.How, at.Warning; err == nil {
			st.Address = at.At.String()
		}
		if m.intent != nil {
			st.Hash = m.intent.Hash
		}
	})
	m.tellAnnounce(s, &d, off)
	if at.Warning != "" {
		m.note("address", true, "%s", at.Warning)
	}
	return d.Step != Rest || d.State == "sent" || d.State == "waits" && (s.Gate != nil || d.After <= s.Block+m.cfg.Tick)
}

// tellAnnounce tells how the chain's entry stands, when that changes.
func (m *Miner) tellAnnounce(s *Situation, d *Decision, off string) {
	switch d.State {
	case "true":
		m.note("announce", false, "the chain says where the axon is: %s", s.Me.Axon.At)
	case "unregistered":
	case "sent": // an intent that was found at the start is news, one that goes its way is not
		as := fmt.Sprint("sent ", s.Want)
		if i := m.intent; i != nil {
			as = fmt.Sprint("sent ", i.At)
		}
		m.noteAs("announce", as, false, "announcement: "+d.Why)
	case "waits", "closed":
		m.noteAs("announce", fmt.Sprint(d.State, d.After, s.Gate, off), false, "announcement: "+d.Why)
	default:
		m.note("announce", d.State != "would send", "announcement: %s: %s", d.State, d.Why)
	}
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
func (m *Miner) send(ctx context.Context, at netip.AddrPort, block uint32) error {
	i := &Intent{At: at, Version: m.cfg.Version, Block: block}
	if err := m.keep(i); err != nil {
		m.cfg.Store.Delete(kind, intentKey)
		m.failed, m.why = block, fmt.Sprintf("nothing is signed, for the intent cannot be written down: %v", err)
		return errors.New(m.why)
	}
	m.intent, m.fate = i, Unknown
	hash, err := m.cfg.Chain.Announce(ctx, at, m.cfg.Version)
	switch {
	case errors.Is(err, ErrNotSent):
		m.forget()
		m.failed, m.why = block, err.Error()
		return err
	case err != nil:
		return nil // it may have been sent: Decide waits
	}
	i.Hash = hash
	m.keep(i)
	return nil
}
