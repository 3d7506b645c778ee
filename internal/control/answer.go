package control

import (
	"context"
	"io"
	"time"

	"github.com/taolight/taolight/gossip"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify/checkpoint"
)

// The questions, by the name of their method.
const (
	methodStatus = "status"
	methodPeers  = "peers"
	methodHead   = "head"
	methodRead   = "read"
	methodRoot   = "root"
	methodExport = "export"
	methodCheck  = "check"
	methodBackup = "backup"

	methodCommits = "commits"
	methodWeights = "weights"
	methodProve   = "prove"

	methodMetagraph = "metagraph"
	methodSubnets   = "subnets"
	methodAccount   = "account"
	methodYuma      = "yuma"
	methodChain     = "chain"

	methodGet     = "get"
	methodCall    = "call"
	methodRuntime = "runtime"
	methodCode    = "code"
	methodAgain   = "reexecute"

	methodGossip  = "gossip"
	methodPublish = "publish"
	methodReach   = "reach"

	methodTxBuild    = "tx build"
	methodTxInspect  = "tx inspect"
	methodTxSubmit   = "tx submit"
	methodTxStatus   = "tx status"
	methodGovernance = "governance"

	methodPower = "power"
	methodLoad  = "load"
	methodDuty  = "duty"
)

// Schema is the version of the answers' JSON form: fields are added, never renamed.
const Schema = 1

// An Answerer answers questions about one node: Local in its own process, Client from another one.
type Answerer interface {
	Status(ctx context.Context) (*Status, error)
	Peers(ctx context.Context) (*Peers, error)
	Head(ctx context.Context) (*Head, error)
	Read(ctx context.Context, keys [][]byte) (*Reading, error)
	// Get reads storage by what is typed.
	Get(ctx context.Context, q GetQuestion) (*Reading, error)
	// Call executes the chain's own runtime on proven storage.
	Execute(ctx context.Context, q CallQuestion) (*Called, error)
	// Runtime tells of the runtime in the state of a block; Code returns it, or its metadata.
	Runtime(ctx context.Context, q CodeQuestion) (*Runtime, error)
	Code(ctx context.Context, q CodeQuestion) (*CodeFile, error)
	// Export returns the finalized head as a checkpoint file.
	Export(ctx context.Context) ([]byte, error)
	// Check looks at the store's files; with readAll at every record in them.
	Check(ctx context.Context, readAll bool) (*Report, error)
	// Backup writes a copy of the store, as storage.Restore reads it.
	Backup(ctx context.Context, w io.Writer) error

	Commits(ctx context.Context, q CommitsQuestion) (*Commits, error)
	Weights(ctx context.Context, q WeightsQuestion) (*Weights, error)
	// Prove makes a bundle. What it takes of the network shows as progress (WithProgress).
	Prove(ctx context.Context, q ProveQuestion) (*Proven, error)

	Metagraph(ctx context.Context, q TableQuestion) (*Metagraph, error)
	// Subnets tells of all subnets or, with a netuid, of one and its settings.
	Subnets(ctx context.Context, q TableQuestion) (*Subnets, error)
	Account(ctx context.Context, q TableQuestion) (*Account, error)
	// Chain tells how much TAO there is, and whether the block kept to the rules of emission.
	Chain(ctx context.Context, q TableQuestion) (*Chain, error)
	// Yuma recomputes an epoch and compares it with what the chain stored.
	Yuma(ctx context.Context, q YumaQuestion) (*Yuma, error)
	// Reexecute has the chain's own code compute an epoch, and compares that.
	Reexecute(ctx context.Context, q ReexecuteQuestion) (*Reexecuted, error)

	// Gossip tells of the light nodes that this one hands proofs to.
	Gossip(ctx context.Context) (*Gossip, error)
	// Publish takes a bundle or evidence, verifies it, and hands it on.
	Publish(ctx context.Context, q PublishQuestion) (*Published, error)
	// Reach asks light nodes that are connected to reach a TCP port of this machine.
	Reach(ctx context.Context, q ReachQuestion) (*gossip.Reached, error)

	// Build makes the payload of a transaction, and Inspect tells what one of somebody else's would do.
	Build(ctx context.Context, q BuildQuestion) (*Built, error)
	Inspect(ctx context.Context, q InspectQuestion) (*Built, error)
	// Submit sends a transaction, and Transactions tells what became of it.
	Submit(ctx context.Context, q SubmitQuestion) (*Transactions, error)
	Transactions(ctx context.Context, q TxQuestion) (*Transactions, error)

	// Governance tells who governs the chain, and what is under way.
	Governance(ctx context.Context, q GovernanceQuestion) (*Governance, error)

	// Power tells of the meters, the level and what follows from it.
	Power(ctx context.Context) (*Power, error)

	// Load reads storage for a neuron, and Duty is told of its deadlines.
	Load(ctx context.Context, q LoadQuestion) (*Loaded, error)
	Duty(ctx context.Context, d Duties) (*Told, error)
}

// A CommitsQuestion asks for the weight commitments of a mechanism of a subnet.
type CommitsQuestion struct {
	Netuid      uint16  `json:"netuid"`
	Mecid       uint8   `json:"mecid"`
	Hotkey      string  `json:"hotkey,omitempty"` // only this one's; SS58 or hex
	UID         *uint16 `json:"uid,omitempty"`    // only this one's
	Epochs      int     `json:"epochs,omitempty"` // how many reveals to look back at; 0: the usual, negative: none
	AssumeRules uint32  `json:"assume_rules,omitempty"`
}

// Commits is what `commits --json` prints.
type Commits struct {
	lightclient.Commitments
	Demo   bool `json:"demo"`
	Joined bool `json:"joined_for_this_question"`
}

// A WeightsQuestion asks for rows of weights at the finalized head.
type WeightsQuestion struct {
	Netuid uint16  `json:"netuid"`
	Mecid  uint8   `json:"mecid"`
	UID    *uint16 `json:"uid,omitempty"` // nil: of all neurons
	At     *uint32 `json:"at,omitempty"`  // nil: the finalized head

	AssumeRules uint32 `json:"assume_rules,omitempty"`
}

// Weights is what `weights --json` prints.
type Weights struct {
	lightclient.Weights
	Demo   bool `json:"demo"`
	Joined bool `json:"joined_for_this_question"`
}

// What a bundle can be made of.
const (
	ProveHeader     = "header"
	ProveStorage    = "storage"
	ProveCommitment = "commitment"
	ProveWeights    = "weights"
	ProveSubnet     = "subnet"
	ProveEpoch      = "epoch" // At is the block of the epoch; nil: the last that ran
)

// A ProveQuestion asks for a bundle. Which fields count depends on What.
type ProveQuestion struct {
	What        string   `json:"what"`
	At          *uint32  `json:"at,omitempty"`    // block; nil: the finalized head
	Words       []string `json:"words,omitempty"` // of ProveStorage: keys as in a GetQuestion, but no maps
	Netuid      uint16   `json:"netuid,omitempty"`
	Mecid       uint8    `json:"mecid,omitempty"`
	UID         *uint16  `json:"uid,omitempty"`
	Hotkey      string   `json:"hotkey,omitempty"`
	Epoch       *uint64  `json:"epoch,omitempty"` // of ProveCommitment
	Made        *uint32  `json:"made,omitempty"`  // the block that it was made in, of ProveCommitment
	Still       bool     `json:"still,omitempty"` // of ProveCommitment: also that the weights are still those
	AssumeRules uint32   `json:"assume_rules,omitempty"`
}

// Proven is a bundle that was made.
type Proven struct {
	Schema  int    `json:"schema"`
	Network string `json:"network"`
	Demo    bool   `json:"demo"`
	Joined  bool   `json:"joined_for_this_question"`
	Bundle  []byte `json:"bundle"` // base64 in JSON
}

// Status is what `status --json` prints.
type Status struct {
	lightclient.Status
	Joined  bool   `json:"joined_for_this_question"` // no node ran: one was started to answer
	Root    string `json:"checkpoint_from"`          // who brought the checkpoint, in words
	DataDir string `json:"data_dir"`
	PID     int    `json:"pid"`
	Disk    *Disk  `json:"disk"` // null: nothing is kept
	Gossip  *Talk  `json:"gossip,omitempty"`
	*Measures
}

// Disk is how much the store has written since the start, and holds.
type Disk struct {
	FileBytes    int64  `json:"file_bytes"`
	BytesWritten uint64 `json:"written_bytes"`
	Syncs        uint64 `json:"syncs"`
	Commits      uint64 `json:"commits"`
	Pending      int    `json:"pending_records"`
	// What is kept of the subnets that are watched, and how much that may come to.
	ArchiveBytes int64 `json:"archive_bytes"`
	ArchiveLimit int64 `json:"archive_limit"`
}

// Peers is what `peers --json` prints.
type Peers struct {
	Schema  int                      `json:"schema"`
	Network string                   `json:"network"`
	Demo    bool                     `json:"demo"`
	Joined  bool                     `json:"joined_for_this_question"`
	Open    []lightclient.PeerStatus `json:"peers"`
	Banned  []lightclient.BanStatus  `json:"banned"`
}

// Head is what `head --json` prints: the finalized block, and how it was proven.
type Head struct {
	Schema         int                      `json:"schema"`
	Network        string                   `json:"network"`
	Demo           bool                     `json:"demo"`
	Joined         bool                     `json:"joined_for_this_question"`
	Number         uint32                   `json:"number"`
	Hash           string                   `json:"hash"`
	Trust          string                   `json:"trust"` // "finalized", or "checkpoint" while nothing newer is proven
	ParentHash     string                   `json:"parent_hash"`
	StateRoot      string                   `json:"state_root"`
	ExtrinsicsRoot string                   `json:"extrinsics_root"`
	Slot           uint64                   `json:"slot,omitempty"`
	Time           *time.Time               `json:"time,omitempty"`   // of the slot's start, as the chain counts
	Age            float64                  `json:"age_seconds"`      // since the head last moved here, by a clock of our own
	SlotAge        *float64                 `json:"slot_age_seconds"` // of the slot; null while the clock is not to be trusted
	SetID          uint64                   `json:"set_id"`           // of the set that finalizes the next block
	Voters         int                      `json:"authorities"`
	Round          uint64                   `json:"round,omitempty"`
	Signers        int                      `json:"signers,omitempty"`
	Stale          bool                     `json:"stale"`
	State          string                   `json:"state"` // as in Status
	Header         string                   `json:"header_scale"`
	Best           *lightclient.BlockStatus `json:"best"`
	Health         []lightclient.Warning    `json:"health"`
	Chain          *Chain                   `json:"chain,omitempty"` // of `head --chain`
}

// Reading is storage at a finalized block. Keys and proof have the names that `verify --kind proof`
// reads.
type Reading struct {
	Schema    int      `json:"schema"`
	Network   string   `json:"network"`
	Demo      bool     `json:"demo"`
	Joined    bool     `json:"joined_for_this_question"`
	Number    uint32   `json:"number"`
	Hash      string   `json:"hash"`
	Trust     string   `json:"trust"` // "finalized"
	StateRoot string   `json:"state_root"`
	Peers     int      `json:"peers"`            // that gave nodes of the proof
	Error     string   `json:"error,omitempty"`  // why some keys are incomplete
	Layout    string   `json:"layout,omitempty"` // by what items were found and values decoded
	Notes     []string `json:"notes,omitempty"`
	Items     []Item   `json:"items"`
	Keys      []string `json:"keys"`
	// Values are those of the keys, null where absence is proven. They and the proof are left out if
	// any key is incomplete. The proof is minimal: no node that these keys do not need.
	Values []*string `json:"values,omitempty"`
	Proof  []string  `json:"proof,omitempty"`
}

// An Item is what a proof says of one key.
type Item struct {
	Name    string `json:"item,omitempty"`
	Key     string `json:"key"`
	Outcome string `json:"outcome"`         // "present", "absent", "incomplete"
	Value   string `json:"value,omitempty"` // hex, if present; an empty value is "0x"
	Decoded any    `json:"decoded,omitempty"`
	Text    string `json:"text,omitempty"` // decoded, in words
}

// Root is the checkpoint that a node started from.
type Root struct {
	Checkpoint *checkpoint.Checkpoint `json:"checkpoint"`
	From       string                 `json:"from"` // who brought it, in words
	Demo       bool                   `json:"demo"`
}

// Report is what `check --json` prints.
type Report struct {
	Schema    int            `json:"schema"`
	Network   string         `json:"network"`
	Demo      bool           `json:"demo"`
	Dir       string         `json:"data_dir"`
	Running   bool           `json:"running"` // a node has it open
	ReadAll   bool           `json:"read_all"`
	OK        bool           `json:"ok"`
	Head      uint32         `json:"head"`
	HeadHash  string         `json:"head_hash,omitempty"`
	Slots     []string       `json:"slots"`
	Unclean   bool           `json:"unclean"`
	FileBytes int64          `json:"file_bytes"`
	Records   map[string]int `json:"records,omitempty"`
	Problems  []Problem      `json:"problems"`
	More      int            `json:"more_problems,omitempty"`
}

// Problem is one finding of a check.
type Problem struct {
	Place string `json:"place"`
	Text  string `json:"text"`
}

type readParams struct {
	Keys []string `json:"keys"`
}

type checkParams struct {
	ReadAll bool `json:"read_all"`
}

type exportResult struct {
	File string `json:"file"`
}

// Status asks the other process.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	return call[Status](ctx, c, methodStatus, nil)
}

// Peers asks the other process.
func (c *Client) Peers(ctx context.Context) (*Peers, error) {
	return call[Peers](ctx, c, methodPeers, nil)
}

// Head asks the other process.
func (c *Client) Head(ctx context.Context) (*Head, error) { return call[Head](ctx, c, methodHead, nil) }

// Read asks the other process.
func (c *Client) Read(ctx context.Context, keys [][]byte) (*Reading, error) {
	p := readParams{Keys: make([]string, len(keys))}
	for i, k := range keys {
		p.Keys[i] = hexText(k)
	}
	return call[Reading](ctx, c, methodRead, p)
}

// Get asks the other process.
func (c *Client) Get(ctx context.Context, q GetQuestion) (*Reading, error) {
	return call[Reading](ctx, c, methodGet, q)
}

// Execute asks the other process.
func (c *Client) Execute(ctx context.Context, q CallQuestion) (*Called, error) {
	return call[Called](ctx, c, methodCall, q)
}

// Reexecute asks the other process.
func (c *Client) Reexecute(ctx context.Context, q ReexecuteQuestion) (*Reexecuted, error) {
	return call[Reexecuted](ctx, c, methodAgain, q)
}

// Runtime asks the other process.
func (c *Client) Runtime(ctx context.Context, q CodeQuestion) (*Runtime, error) {
	return call[Runtime](ctx, c, methodRuntime, q)
}

// Code asks the other process.
func (c *Client) Code(ctx context.Context, q CodeQuestion) (*CodeFile, error) {
	return call[CodeFile](ctx, c, methodCode, q)
}

// Root asks the other process.
func (c *Client) Root(ctx context.Context) (*Root, error) { return call[Root](ctx, c, methodRoot, nil) }

// Export asks the other process.
func (c *Client) Export(ctx context.Context) ([]byte, error) {
	r, err := call[exportResult](ctx, c, methodExport, nil)
	if err != nil {
		return nil, err
	}
	return []byte(r.File), nil
}

// Check asks the other process.
func (c *Client) Check(ctx context.Context, readAll bool) (*Report, error) {
	return call[Report](ctx, c, methodCheck, checkParams{readAll})
}

// Backup asks the other process. What is written to w is not checked here: a cut is found by reading
// the copy.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	return c.Stream(ctx, methodBackup, nil, w)
}

// Commits asks the other process.
func (c *Client) Commits(ctx context.Context, q CommitsQuestion) (*Commits, error) {
	return call[Commits](ctx, c, methodCommits, q)
}

// Weights asks the other process.
func (c *Client) Weights(ctx context.Context, q WeightsQuestion) (*Weights, error) {
	return call[Weights](ctx, c, methodWeights, q)
}

// Prove asks the other process.
func (c *Client) Prove(ctx context.Context, q ProveQuestion) (*Proven, error) {
	return call[Proven](ctx, c, methodProve, q)
}

func call[T any](ctx context.Context, c *Client, method string, params any) (*T, error) {
	v := new(T)
	if err := c.Call(ctx, method, params, v); err != nil {
		return nil, err
	}
	return v, nil
}
