package main

import "testing"

func TestMemoryIsGivenBackOnceWhenWorkHasEnded(t *testing.T) {
	var idle idleness
	given := 0
	for _, allocated := range []uint64{
		idleBelow, 3 * idleBelow, // work
		3*idleBelow + 1, 3*idleBelow + 2, // none
		5 * idleBelow, 7 * idleBelow, // work
	} {
		if idle.begins(allocated) {
			given++
		}
	}
	if given != 1 {
		t.Errorf("given back %d times", given)
	}
	if !idle.begins(7 * idleBelow) {
		t.Error("not given back when work had ended once more")
	}
}
