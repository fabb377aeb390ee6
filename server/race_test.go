//go:build race

package server_test

// slowness is how many times less work tests do that drive a crowd: the race detector needs few of each, and takes long for all.
const slowness = 10
