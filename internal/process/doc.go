// Package process identifies processes so that a pid used again by another
// process is never taken for the first, sends them signals and waits for them,
// and knows the names of the signals.
//
// A pid alone means nothing once its process has been waited for by someone
// else. What is written to disk is therefore an [ID]: pid and start time. What
// is acted on is a pidfd ([ID.Open]), which cannot come to mean another
// process.
package process
