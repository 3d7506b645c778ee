package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
)

// nothing reads nothing of a state.
func nothing(subtensor.State) error { return nil }

// A CallQuestion asks what a runtime API answers.
type CallQuestion struct {
	Method string   `json:"method"`          // API_method
	Words  []string `json:"words,omitempty"` // its arguments, as they are typed
	Raw    bool     `json:"raw,omitempty"`   // Words is all arguments encoded, in hex, and the answer is not decoded
	At     *uint32  `json:"at,omitempty"`    // nil: the finalized head
	Bundle bool     `json:"bundle,omitempty"`
	Embed  bool     `json:"embed,omitempty"` // the bundle has the runtime's code
}

// Called is what `call --json` prints.
type Called struct {
	Schema   int    `json:"schema"`
	Network  string `json:"network"`
	Demo     bool   `json:"demo"`
	Joined   bool   `json:"joined_for_this_question"`
	Number   uint32 `json:"number"`
	Hash     string `json:"hash"`
	Trust    string `json:"trust"` // "finalized"
	Method   string `json:"method"`
	Input    string `json:"input"`
	Output   string `json:"output"`
	Type     string `json:"type,omitempty"` // of the output
	Decoded  any    `json:"decoded,omitempty"`
	Text     string `json:"text,omitempty"`
	Note     string `json:"note,omitempty"` // why it is not decoded
	CodeHash string `json:"code_hash"`
	Spec     uint32 `json:"spec_version"`
	Compiled bool   `json:"compiled"`
	Nodes    int    `json:"proof_nodes"`
	Proof    int    `json:"proof_bytes"`
	Peers    int    `json:"peers"`     // that gave a proof of the call
	OnDemand int    `json:"on_demand"` // keys that had to be asked for beside it
	Bundle   []byte `json:"bundle,omitempty"`
}

// Execute implements Answerer.
func (l *Local) Execute(ctx context.Context, q CallQuestion) (*Called, error) {
	var m *metadata.Metadata
	var method *metadata.Method
	out := &Called{Schema: Schema, Network: l.Checkpoint.Network, Demo: l.Demo, Joined: l.Joined, Trust: "finalized"}
	input, err := []byte(nil), error(nil)
	if !q.Raw {
		report(ctx, "asking the chain's runtime for its metadata")
		if m, err = l.Node.Metadata(ctx, q.At); err != nil {
			return nil, l.noRuntime(ctx, err)
		}
		var api *metadata.API
		switch api, method, err = m.Method(q.Method); {
		case err == nil:
			q.Method = api.Name + "_" + method.Name
			if input, err = m.Types.EncodeFieldWords(method.Inputs, q.Words); err != nil {
				return nil, Errorf(Usage, "%s: %w", q.Method, err).WithHint("%s(%s)", q.Method, m.Types.Signature(method.Inputs))
			}
		case len(m.APIs) > 0:
			return nil, Errorf(Usage, "%w", err).WithHint("taolight runtime show lists them")
		default:
			q.Raw, out.Note = true, fmt.Sprintf("this runtime's metadata, V%d, does not say what its APIs take and answer", m.Version)
		}
	}
	if q.Raw {
		if len(q.Words) > 1 {
			return nil, Errorf(Usage, "%s: %d arguments, want all of them encoded in one word of hex", q.Method, len(q.Words)).WithHint("%s", out.Note)
		}
		if len(q.Words) == 1 {
			if input, err = verify.ParseHex(q.Words[0]); err != nil {
				return nil, Errorf(Usage, "%s: %w", q.Method, err).WithHint("%s", out.Note)
			}
		}
	}
	report(ctx, "executing "+q.Method)
	var c *lightclient.Call
	if q.Bundle {
		b, called, err := l.Node.ProveCall(ctx, q.Method, input, q.At, q.Embed, lightclient.ProveOptions{Progress: func(line string) { report(ctx, line) }})
		if err != nil {
			return nil, l.noRuntime(ctx, err)
		}
		c, out.Bundle = called, b.Encode()
	} else if c, err = l.Node.Call(ctx, q.Method, input, q.At); err != nil {
		return nil, l.noRuntime(ctx, err)
	}
	out.Number, out.Hash = c.Block.Header.Number, c.Block.Hash.String()
	out.Method, out.Input, out.Output = c.Method, hexText(c.Input), hexText(c.Output)
	out.CodeHash, out.Spec, out.Compiled = c.Code.String(), c.Version.Spec, c.Compiled
	out.Peers, out.OnDemand, out.Nodes = c.Peers, c.OnDemand, len(c.Proof)
	for _, n := range c.Proof {
		out.Proof += len(n)
	}
	if method != nil {
		out.Type = m.Types.Name(method.Output)
		v, err := m.Types.Decode(method.Output, c.Output)
		if err != nil {
			out.Note = "not decoded: " + err.Error()
		} else if raw, err := v.MarshalJSON(); err == nil {
			out.Decoded, out.Text = json.RawMessage(raw), v.String()
		}
	}
	return out, nil
}

// noRuntime gives errors of executing their codes and hints.
func (l *Local) noRuntime(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, lightclient.ErrNoRuntime) && l.Demo:
		return Errorf(Undecided, "%w", err).WithHint("the plain demo chain has no runtime: give run --chain-spec a raw chain spec that has one")
	case errors.Is(err, lightclient.ErrNoRuntime), errors.Is(err, lightclient.ErrNoEngine):
		return Errorf(Undecided, "%w", err)
	case errors.Is(err, runtime.ErrNoMethod):
		return Errorf(Usage, "%w", err).WithHint("taolight runtime show lists what it has")
	case errors.Is(err, runtime.ErrTrap), errors.Is(err, runtime.ErrTimeout), errors.Is(err, runtime.ErrMemory),
		errors.Is(err, runtime.ErrHost), errors.Is(err, runtime.ErrUnknownImport), errors.Is(err, runtime.ErrIncomplete):
		return Errorf(Undecided, "%w", err)
	}
	return l.whyNot(ctx, err)
}

// A CodeQuestion asks for the runtime in the state of a block.
type CodeQuestion struct {
	At       *uint32 `json:"at,omitempty"` // nil: the finalized head
	Metadata bool    `json:"metadata,omitempty"`
}

// A CodeFile is a runtime, or its metadata, as the chain has it.
type CodeFile struct {
	Number uint32 `json:"number"`
	Hash   string `json:"hash"`
	File   []byte `json:"file"`
}

// Code implements Answerer.
func (l *Local) Code(ctx context.Context, q CodeQuestion) (*CodeFile, error) {
	if q.Metadata {
		at, raw, err := l.Node.RawMetadata(ctx, q.At)
		if err != nil {
			return nil, l.noRuntime(ctx, err)
		}
		return &CodeFile{at.Header.Number, at.Hash.String(), raw}, nil
	}
	code, at, err := l.Node.Code(ctx, q.At)
	if err != nil {
		return nil, l.noRuntime(ctx, err)
	}
	return &CodeFile{at.Header.Number, at.Hash.String(), code}, nil
}

// Runtime is what `runtime show --json` prints.
type Runtime struct {
	Schema      int      `json:"schema"`
	Network     string   `json:"network"`
	Demo        bool     `json:"demo"`
	Joined      bool     `json:"joined_for_this_question"`
	Number      uint32   `json:"number"`
	Hash        string   `json:"hash"`
	Trust       string   `json:"trust"` // "finalized"
	CodeHash    string   `json:"code_hash"`
	CodeBytes   int      `json:"code_bytes"`
	SpecName    string   `json:"spec_name"`
	ImplName    string   `json:"impl_name"`
	Spec        uint32   `json:"spec_version"`
	Impl        uint32   `json:"impl_version"`
	Authoring   uint32   `json:"authoring_version"`
	Transaction uint32   `json:"transaction_version"`
	State       uint8    `json:"state_version"`
	Engine      string   `json:"engine"` // "compiled", "interpreter"
	Interprets  string   `json:"interprets,omitempty"`
	APIs        []API    `json:"apis"`
	Metadata    int      `json:"metadata_version"`
	Digest      string   `json:"metadata_hash,omitempty"` // RFC-78, as CheckMetadataHash wants it
	NoDigest    string   `json:"no_metadata_hash,omitempty"`
	Pallets     []string `json:"pallets"`
	Items       int      `json:"storage_items"`
	Types       int      `json:"types"`
	Audited     bool     `json:"rules_audited"`
	Ceiling     uint32   `json:"audited_to"`
	Differs     []string `json:"layout_differs"` // storage that typed reads find otherwise than this program has it built in
}

// An API is a runtime API.
type API struct {
	Name    string   `json:"name,omitempty"` // empty if the metadata does not tell it
	ID      string   `json:"id"`
	Version uint32   `json:"version"`
	Methods []string `json:"methods,omitempty"`
}

// Runtime implements Answerer.
func (l *Local) Runtime(ctx context.Context, q CodeQuestion) (*Runtime, error) {
	report(ctx, "asking the chain's runtime for its metadata")
	s, err := l.Node.Runtime(ctx, q.At)
	if err != nil {
		return nil, l.noRuntime(ctx, err)
	}
	v, m := &s.Version, s.Metadata
	out := &Runtime{
		Schema: Schema, Network: l.Checkpoint.Network, Demo: l.Demo, Joined: l.Joined,
		Number: s.Block.Header.Number, Hash: s.Block.Hash.String(), Trust: "finalized",
		CodeHash: s.Hash.String(), CodeBytes: s.Size,
		SpecName: v.SpecName, ImplName: v.ImplName, Spec: v.Spec, Impl: v.Impl, Authoring: v.Authoring, Transaction: v.Transaction, State: v.State,
		Engine: "interpreter", Interprets: s.Interprets, Metadata: int(m.Version), Types: m.Types.Len(),
		APIs: []API{}, Pallets: []string{}, Differs: s.Layout.Differs(), Ceiling: rules.Ceiling,
	}
	if s.Compiled {
		out.Engine = "compiled"
	}
	_, err = rules.For(v.Spec)
	out.Audited = err == nil
	for i := range m.Pallets {
		out.Pallets = append(out.Pallets, m.Pallets[i].Name)
		out.Items += len(m.Pallets[i].Items)
	}
	for _, a := range v.APIs {
		api := API{ID: hexText(a.ID[:]), Version: a.Version, Name: apiName(a.ID)}
		for i := range m.APIs {
			if runtime.APIID(m.APIs[i].Name) != a.ID {
				continue
			}
			api.Name = m.APIs[i].Name
			for _, method := range m.APIs[i].Methods {
				api.Methods = append(api.Methods, fmt.Sprintf("%s_%s(%s) → %s", api.Name, method.Name, strings.TrimPrefix(m.Types.Signature(method.Inputs), "none"), m.Types.Name(method.Output)))
			}
		}
		out.APIs = append(out.APIs, api)
	}
	out.Digest, out.NoDigest = digest(m)
	return out, nil
}

// apiNames are those of the runtime APIs that Substrate and subtensor have had, for runtimes whose metadata, V14, has
// none. A Version has a hash of each.
var apiNames = strings.Fields(`Core Metadata BlockBuilder TaggedTransactionQueue OffchainWorkerApi AuraApi BabeApi GrandpaApi
	SessionKeys AccountNonceApi TransactionPaymentApi TransactionPaymentCallApi GenesisBuilder Benchmark TryRuntime
	EthereumRuntimeRPCApi ConvertTransactionRuntimeApi ContractsApi DelegateInfoRuntimeApi NeuronInfoRuntimeApi
	SubnetInfoRuntimeApi StakeInfoRuntimeApi SubnetRegistrationRuntimeApi SwapRuntimeApi ShieldApi ProxyFilterRuntimeApi`)

func apiName(id [8]byte) string {
	for _, name := range apiNames {
		if runtime.APIID(name) == id {
			return name
		}
	}
	return ""
}

// What the runtime was built with (subtensor runtime/build.rs, enable_metadata_hash).
const (
	tokenSymbol   = "TAO"
	tokenDecimals = 9
)

// digest returns the RFC-78 digest of metadata, or why it has none.
func digest(m *metadata.Metadata) (hash, why string) {
	info, err := m.Info(tokenDecimals, tokenSymbol)
	if err != nil {
		return "", err.Error()
	}
	d, err := m.Digest(info)
	if err != nil {
		return "", err.Error()
	}
	return verify.Hash(d).String(), ""
}
