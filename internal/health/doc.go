// Package health says what is not as it should be with a node, and what to do about it.
//
// Each warning is a value of a kind that stands in the table Kinds: its code, how bad it is, what causes it to be
// left out because they explain it, how long it has to last before it is told, and whom it wakes. What is looked at
// comes in as an Input, and a Watch remembers since when something is so. So whatever shows warnings, a screen, a page, a
// metric, a log or an alert, shows the same ones.
//
// It promises one warning for one cause, worst first, and a change only when something begins or ends. It depends on its
// arguments alone: it reads no clock, no file and no socket, and it decides nothing about what is true.
package health
