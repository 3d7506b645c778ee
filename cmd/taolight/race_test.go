//go:build race

package main

// raced are the scripts that run under the race detector: those of parts that run side by side in one process. The
// others type commands that end, one after another, whose packages have their own tests under the detector; with it
// they would take five minutes.
var raced = []string{"alerts", "busy", "demo", "gossip", "localnet", "miner", "neurons", "obey", "operator", "power", "rpc", "service", "tx", "validator"}
