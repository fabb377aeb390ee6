package signature

import (
	"strconv"
	"time"
)

const (
	// firstMillis divides seconds from milliseconds: as seconds it lies in the year 5138, as milliseconds in 1973.
	firstMillis = 100_000_000_000
	// lastMillis is the end of the year 9999. What lies behind it counts like it, so that nothing overflows.
	lastMillis = 253_402_300_799_999
	// maxSkew is the largest skew that is told.
	maxSkew = 100 * 365 * 24 * time.Hour
)

// millis reads a time in decimal digits and nothing else: no sign, no fraction, no exponent.
func millis(text, unit string) (int64, bool) {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, false
	}
	if unit == unitSeconds || unit == unitAuto && n < firstMillis {
		n = min(n, lastMillis/1000) * 1000
	}
	return min(n, lastMillis), true
}

// skew returns how far a time lies before the time of receipt. It is negative for times in the future.
func skew(sent int64, received time.Time) time.Duration {
	limit := maxSkew.Milliseconds()
	return time.Duration(max(-limit, min(limit, received.UnixMilli()-sent))) * time.Millisecond
}

// inTime tells whether a skew is small enough.
func inTime(skew, tolerance time.Duration) Cause {
	switch {
	case skew > tolerance:
		return CauseTimeTooOld
	case skew < -tolerance:
		return CauseTimeInFuture
	default:
		return ""
	}
}

// stamp writes a time as a sender would.
func stamp(at time.Time, unit string) string {
	if unit == unitMillis {
		return strconv.FormatInt(at.UnixMilli(), 10)
	}
	return strconv.FormatInt(at.Unix(), 10)
}
