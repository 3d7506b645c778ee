//go:build !race

package main

// raced is nil without the race detector: all scripts run.
var raced []string
