// Package power decides how much a node may do: from what meters say it picks a level – full, eco,
// survive or park – and tells what every part of the node does at it.
//
// It promises that Step is a function of its arguments alone: the same settings, state and input give
// the same state and the same orders on every machine, so that a year of weather can be replayed. It
// never rises on old readings or without ten quiet minutes, never leaves park unless the battery is
// seen to gain, and never takes a wrong clock or a lying meter for a reason to park. What was not
// measured is nil, never 0.
//
// It reads no meter, has no clock and starts nothing: package rig asks the machine, the node obeys.
package power
