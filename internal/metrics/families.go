package metrics

import (
	"slices"
	"strconv"
	"time"

	"github.com/taolight/taolight/internal/power"
)

type adder = func(value float64, labels ...string)

// Kinds of families.
const (
	gauge   = "gauge"
	counter = "counter"
)

// states are the words of lightclient.Status.State.
var states = []string{"following", "warping", "resolving", "asleep", "stale", "no peers", "upgrade", "conflict"}

// trusts are the words of a clock's trust, the least first.
var trusts = []string{"none", "floor", "witnessed", "synced"}

// governed calls f where the node looks after its power and the meters were read.
func governed(f func(r *power.Report, add adder)) func(*Snapshot, adder) {
	return func(s *Snapshot, add adder) {
		if m := s.Status.Measures; m != nil && m.Report != nil {
			f(m.Report, add)
		}
	}
}

// neurons calls f for each neuron; of two alike only the first counts.
func neurons(f func(n *Neuron, who []string, add adder)) func(*Snapshot, adder) {
	return func(s *Snapshot, add adder) {
		seen := map[string]bool{}
		for i := range s.Neurons {
			n := &s.Neurons[i]
			netuid := strconv.Itoa(int(n.Netuid))
			if key := n.Role + netuid; !seen[key] {
				seen[key] = true
				f(n, []string{"role", n.Role, "netuid", netuid}, add)
			}
		}
	}
}

func maybe[T uint64 | float64](p *T, add adder, labels ...string) {
	if p != nil {
		add(float64(*p), labels...)
	}
}

// at adds a moment in seconds since 1970.
func at(text *string, add adder) {
	if text != nil {
		if t, err := time.Parse(time.RFC3339, *text); err == nil {
			add(float64(t.Unix()))
		}
	}
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Families are all that can be written, in this order. It is read only.
var Families = []Family{
	{"build_info", gauge, "1; which taolight this is, and of which network", func(s *Snapshot, add adder) {
		add(1, "version", s.Status.Version, "go", s.Go, "network", s.Status.Network, "demo", strconv.FormatBool(s.Status.Demo))
	}},
	{"uptime_seconds", gauge, "since the start of the node", func(s *Snapshot, add adder) { add(s.Status.Uptime) }},
	{"state", gauge, "1 for the state that the node is in, 0 for the others", func(s *Snapshot, add adder) {
		for _, name := range states {
			add(truth(name == s.Status.State), "state", name)
		}
	}},
	{"warning", gauge, "1 for each kind of warning that holds; taolight status tells the remedy", func(s *Snapshot, add adder) {
		seen := map[string]bool{}
		for _, w := range s.Status.Health {
			if !seen[w.Code] {
				seen[w.Code] = true
				add(1, "code", w.Code, "severity", w.Severity)
			}
		}
	}},

	{"finalized_number", gauge, "newest finalized block", func(s *Snapshot, add adder) {
		if f := s.Status.Finalized; f != nil {
			add(float64(f.Number))
		}
	}},
	{"finalized_age_seconds", gauge, "since the finalized head last moved", func(s *Snapshot, add adder) {
		if s.Status.Finalized != nil {
			add(s.Status.FinalizedAge)
		}
	}},
	{"finalized_slot_age_seconds", gauge, "since the slot of the finalized head, where the clock can be believed", func(s *Snapshot, add adder) { maybe(s.Status.SlotAge, add) }},
	{"best_number", gauge, "newest block known, which may still be replaced", func(s *Snapshot, add adder) {
		if b := s.Status.Best; b != nil {
			add(float64(b.Number))
		}
	}},
	{"authority_set_id", gauge, "GRANDPA set that finalizes next", func(s *Snapshot, add adder) {
		if s.Status.Finalized != nil {
			add(float64(s.Status.SetID))
		}
	}},
	{"authorities", gauge, "keys in that set", func(s *Snapshot, add adder) {
		if s.Status.Voters > 0 {
			add(float64(s.Status.Voters))
		}
	}},
	{"checkpoint_age_seconds", gauge, "of what is trusted to begin with, in whole days", func(s *Snapshot, add adder) {
		if d := s.Status.Trust.AgeDays; d != nil {
			add(float64(*d) * 86400)
		}
	}},
	{"set_changes_verified_total", counter, "changes of the authority set proven since the checkpoint", func(s *Snapshot, add adder) { add(float64(s.Status.Trust.SetChanges)) }},

	{"peers", gauge, "peers of the chain", func(s *Snapshot, add adder) {
		p := s.Status.Peers
		add(float64(p.Open), "kind", "open")
		add(float64(p.Wanted), "kind", "wanted")
		add(float64(p.Known), "kind", "known")
		add(float64(p.Banned), "kind", "banned")
	}},
	{"gossip_neighbours", gauge, "light nodes that proofs are handed to", func(s *Snapshot, add adder) {
		if s.Gossip != nil {
			add(float64(s.Gossip.Neighbours))
		}
	}},
	{"gossip_messages_total", counter, "messages of light nodes, by what became of them", func(s *Snapshot, add adder) {
		if s.Gossip != nil {
			add(float64(s.Gossip.Messages.Accepted), "result", "accepted")
			add(float64(s.Gossip.Messages.Rejected), "result", "rejected")
		}
	}},
	{"bytes_total", counter, "moved by libp2p since the start; gossip is at least this, other at most", func(s *Snapshot, add adder) {
		if m := s.Status.Measures; m != nil {
			for _, dir := range sorted(m.Bytes) {
				for _, class := range sorted(m.Bytes[dir]) {
					add(float64(m.Bytes[dir][class]), "dir", dir, "class", class)
				}
			}
			return
		}
		add(float64(s.Status.Traffic.In), "dir", "in", "class", "all")
		add(float64(s.Status.Traffic.Out), "dir", "out", "class", "all")
	}},
	{"data_left_bytes", gauge, "of the day's limit on traffic", governed(func(r *power.Report, add adder) {
		if r.Metered != nil {
			add(float64(r.Metered.Left))
		}
	})},

	{"store_bytes", gauge, "size of the database", func(s *Snapshot, add adder) {
		if d := s.Status.Disk; d != nil {
			add(float64(d.FileBytes))
		}
	}},
	{"archive_bytes", gauge, "kept of watched subnets", func(s *Snapshot, add adder) {
		if d := s.Status.Disk; d != nil && s.Status.Watch != nil {
			add(float64(d.ArchiveBytes))
		}
	}},
	{"db_bytes_written_total", counter, "handed to the operating system by the store since the start", func(s *Snapshot, add adder) {
		if d := s.Status.Disk; d != nil {
			add(float64(d.BytesWritten))
		}
	}},
	{"fsync_total", counter, "syncs of the store since the start", func(s *Snapshot, add adder) {
		if d := s.Status.Disk; d != nil {
			add(float64(d.Syncs))
		}
	}},
	{"unclean_starts_total", counter, "starts after an end that wrote nothing, such as a power cut", func(s *Snapshot, add adder) {
		if m := s.Status.Measures; m != nil {
			maybe(m.Unclean, add)
		}
	}},

	{"memory_bytes", gauge, "that the process has of the system, by Go's count", func(s *Snapshot, add adder) { add(float64(s.Status.Memory)) }},
	{"cpu_seconds_total", counter, "of all threads", func(s *Snapshot, add adder) {
		if m := s.Status.Measures; m != nil {
			maybe(m.CPU, add)
		}
	}},
	{"wakeups_per_second", gauge, "voluntary context switches of all threads since this was last asked", func(s *Snapshot, add adder) {
		if m := s.Status.Measures; m != nil {
			maybe(m.Wakeups, add)
		}
	}},

	{"clock_trust", gauge, "0 none, 1 floor, 2 witnessed, 3 synced", func(s *Snapshot, add adder) {
		if i := slices.Index(trusts, s.Status.Clock.Trust); i >= 0 {
			add(float64(i))
		}
	}},
	{"clock_step_total", counter, "times that the clock was set", func(s *Snapshot, add adder) {
		if m := s.Status.Measures; m != nil {
			add(float64(m.ClockStep))
		}
	}},

	{"power_level", gauge, "0 park, 1 survive, 2 eco, 3 full", governed(func(r *power.Report, add adder) { add(float64(r.Level)) })},
	{"level_seconds_total", counter, "spent at each level, over restarts", governed(func(r *power.Report, add adder) {
		for _, name := range sorted(r.Levels) {
			add(float64(r.Levels[name]), "level", name)
		}
	})},
	{"power_soc", gauge, "charge of the battery in percent, measured", governed(func(r *power.Report, add adder) { maybe(r.SoC, add) })},
	{"power_soc_by_volts_est", gauge, "the same by its voltage, where none is measured", governed(func(r *power.Report, add adder) {
		if r.SoC == nil {
			maybe(r.ByVolts, add)
		}
	})},
	{"power_watts_net", gauge, "W into the battery", governed(func(r *power.Report, add adder) { maybe(r.Net, add) })},
	{"power_watts_pv", gauge, "W from the panel", governed(func(r *power.Report, add adder) { maybe(r.PV, add) })},
	{"power_source", gauge, "1 for the meter that counts", governed(func(r *power.Report, add adder) {
		if r.Source != nil {
			add(1, "name", r.Source.Name, "conf", string(r.Source.Conf))
		}
	})},
	{"power_source_age_seconds", gauge, "of its last sample", governed(func(r *power.Report, add adder) {
		if r.Source != nil {
			add(r.Source.Age)
		}
	})},
	{"energy_wh_today", gauge, "self_est: of this node by estimate; measured: of all that hangs on the battery", governed(func(r *power.Report, add adder) {
		add(r.Energy.Self, "kind", "self_est")
		maybe(r.Energy.Measured, add, "kind", "measured")
	})},
	{"level_changes_today", gauge, "of the power level", governed(func(r *power.Report, add adder) { add(float64(r.Changes)) })},
	{"undervoltage_events_total", counter, "times that the board's supply sagged", governed(func(r *power.Report, add adder) { maybe(r.Sags, add) })},
	{"uplink_seconds_total", counter, "that the switched link was on", governed(func(r *power.Report, add adder) { maybe(r.Uplink, add) })},
	{"link_open", gauge, "1 while connections may be open", governed(func(r *power.Report, add adder) { add(truth(r.Link)) })},
	{"next_wake_at", gauge, "when the link opens again, in seconds since 1970", governed(func(r *power.Report, add adder) { at(r.WakeAt, add) })},
	{"next_deadline_at", gauge, "when something has to be done on the chain, in seconds since 1970", governed(func(r *power.Report, add adder) { at(r.Deadline, add) })},
	{"deadline_missed_total", counter, "what was not done in time", func(s *Snapshot, add adder) {
		if m := s.Status.Measures; m != nil {
			maybe(m.Missed, add)
		}
	}},

	{"watch_commitments", gauge, "weight commitments of watched subnets: pending now, others since the start", func(s *Snapshot, add adder) {
		if w := s.Status.Watch; w != nil {
			add(float64(w.Pending), "state", "pending")
			add(float64(w.Revealed), "state", "revealed")
			add(float64(w.Lost), "state", "lost")
			add(float64(w.Unproven), "state", "unproven")
		}
	}},
	{"neuron_registered", gauge, "1 for each neuron beside the node whose hotkey has a uid, else 0", neurons(func(n *Neuron, who []string, add adder) {
		add(truth(n.Registered), who...)
	})},
	{"neuron_deadline_seconds", gauge, "until something has to be done on the chain", neurons(func(n *Neuron, who []string, add adder) {
		for _, d := range n.Deadlines {
			add(d.Seconds, append(who, "name", d.Name)...)
		}
	})},
	{"neuron_deadline_missed_total", counter, "what was not done in time", neurons(func(n *Neuron, who []string, add adder) {
		add(float64(n.Missed), who...)
	})},
	{"rpc_connections", gauge, "of tools", func(s *Snapshot, add adder) {
		if s.RPC != nil {
			add(float64(s.RPC.Conns))
		}
	}},
	{"rpc_subscriptions", gauge, "of tools", func(s *Snapshot, add adder) {
		if s.RPC != nil {
			add(float64(s.RPC.Subscriptions))
		}
	}},
	{"rpc_requests_total", counter, "of tools, those in batches each", func(s *Snapshot, add adder) {
		if s.RPC != nil {
			add(float64(s.RPC.Requests))
		}
	}},
	{"alerts_total", counter, "to the owner: sent, failed tries, and held back by the limit", func(s *Snapshot, add adder) {
		if a := s.Alerts; a != nil {
			add(float64(a.Sent), "result", "sent")
			add(float64(a.Failed), "result", "failed")
			add(float64(a.Held), "result", "held")
		}
	}},
}
