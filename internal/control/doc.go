// Package control lets a command ask the node that runs beside it, over a socket in the node's data
// directory.
//
// It promises that a question and its answer have the same form whether the node answers in this
// process (Local) or in another one (Client), that both sides bound what they read and how long they
// wait, and that the socket can be reached by the node's own user only (a private directory, mode
// 0600). A socket that a dead process left is replaced; one that answers is not.
//
// It does not prove anything to the asker: whoever may write to the data directory is believed.
//
// It never listens on a network, and never hands out a key.
//
// One connection carries one question: a line of JSON {"method", "params"}, answered by a line
// {"result"} or {"error", "hint", "code"}, where code is the exit code that a command ends with. Lines
// {"progress"} may come before it. After the answer to "backup" the copy itself follows, up to the end
// of the connection.
package control
