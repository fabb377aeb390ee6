//go:build !race

package server_test

const slowness = 1
