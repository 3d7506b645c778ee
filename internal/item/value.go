package item

import (
	"fmt"
	"strconv"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
)

func plain(n uint64) Decoded { return Decoded{strconv.FormatUint(n, 10), n} }

func u16(r *scale.Reader) Decoded { return plain(uint64(r.U16())) }
func u32(r *scale.Reader) Decoded { return plain(uint64(r.U32())) }
func u64(r *scale.Reader) Decoded { return plain(r.U64()) }

func hash(r *scale.Reader) Decoded {
	var h verify.Hash
	r.Copy(h[:])
	return Decoded{h.String(), h.String()}
}

// moment is milliseconds since 1970 (pallet-timestamp).
func moment(r *scale.Reader) Decoded {
	ms := r.U64()
	text := strconv.FormatUint(ms, 10)
	if ms < 253_402_300_800_000 { // the year 10000
		text += "  " + time.UnixMilli(int64(ms)).UTC().Format("2006-01-02 15:04:05.000 UTC")
	}
	return Decoded{text, ms}
}

// tao prints an amount of rao, of which a TAO has 10⁹.
func tao(rao uint64) string { return fmt.Sprintf("%d.%09d TAO", rao/1e9, rao%1e9) }

func balance(r *scale.Reader) Decoded {
	rao := r.U64()
	return Decoded{tao(rao), rao}
}

func accountID(r *scale.Reader) Decoded {
	var id verify.AccountID
	r.Copy(id[:])
	return Decoded{id.String(), id.String()}
}

// accountInfo is frame_system::AccountInfo with pallet-balances' AccountData; amounts are in rao.
type accountInfo struct {
	Nonce       uint32 `json:"nonce"`
	Consumers   uint32 `json:"consumers"`
	Providers   uint32 `json:"providers"`
	Sufficients uint32 `json:"sufficients"`
	Free        uint64 `json:"free"`
	Reserved    uint64 `json:"reserved"`
	Frozen      uint64 `json:"frozen"`
}

func account(r *scale.Reader) Decoded {
	a := accountInfo{r.U32(), r.U32(), r.U32(), r.U32(), r.U64(), r.U64(), r.U64()}
	r.Bytes(16) // flags u128: the top bit says that the new logic of holds is in use
	return Decoded{fmt.Sprintf("free %s, reserved %s, frozen %s, nonce %d", tao(a.Free), tao(a.Reserved), tao(a.Frozen), a.Nonce), a}
}

// runtimeUpgrade is frame_system::LastRuntimeUpgradeInfo.
func runtimeUpgrade(r *scale.Reader) Decoded {
	type upgrade struct {
		SpecVersion uint64 `json:"spec_version"`
		SpecName    string `json:"spec_name"`
	}
	u := upgrade{r.Compact(), string(r.Blob(256))}
	return Decoded{fmt.Sprintf("%s, spec version %d", strconv.QuoteToASCII(u.SpecName), u.SpecVersion), u}
}

func auraList(r *scale.Reader) Decoded {
	n := r.Count(32, aura.MaxAuthorities)
	ids := make([]string, 0, n)
	for range n {
		var id aura.AuthorityID
		r.Copy(id[:])
		ids = append(ids, id.String())
	}
	return Decoded{lines(ids), ids}
}

func grandpaList(r *scale.Reader) Decoded {
	type voter struct {
		ID     string `json:"id"`
		Weight uint64 `json:"weight"`
	}
	var voters []voter
	var text []string
	for _, a := range grandpa.ReadAuthorities(r) {
		v := voter{a.ID.String(), a.Weight}
		voters = append(voters, v)
		line := v.ID
		if v.Weight != 1 {
			line += "  weight " + strconv.FormatUint(v.Weight, 10)
		}
		text = append(text, line)
	}
	return Decoded{lines(text), voters}
}

// lines prints a list: how many, and each on a line of its own.
func lines(list []string) string {
	s := strconv.Itoa(len(list))
	for _, l := range list {
		s += "\n  " + l
	}
	return s
}
