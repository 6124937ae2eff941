package client

import (
	"math/bits"
	"strconv"
	"time"
)

// Latencies is a histogram of durations with logarithmic buckets, each divided
// into 128 equal parts: a percentile read from it is at most 0.8 % above the
// true one, whatever the range, in 16 KiB. The zero value is ready for use. It
// is for one goroutine; merge those of several with Merge.
type Latencies struct {
	counts [latencyBuckets]uint32
	total  int64
	max    time.Duration
}

const (
	latencyParts   = 128
	latencyOctaves = 31 // up to 128 ns << 31, about 274 s; longer ones count as that
	latencyBuckets = latencyParts * (latencyOctaves + 1)
)

// Add records one duration; negative ones count as 0.
func (l *Latencies) Add(d time.Duration) {
	l.counts[latencyBucket(d)]++
	l.total++
	l.max = max(l.max, d)
}

// Merge adds everything recorded in other.
func (l *Latencies) Merge(other *Latencies) {
	for i, n := range other.counts {
		l.counts[i] += n
	}
	l.total += other.total
	l.max = max(l.max, other.max)
}

// Count returns how many durations were recorded.
func (l *Latencies) Count() int64 { return l.total }

// Max returns the longest duration recorded, exactly.
func (l *Latencies) Max() time.Duration { return l.max }

// Percentile returns the duration that p of 100 recorded ones do not exceed,
// rounded up to its bucket's end; 0 when nothing was recorded.
func (l *Latencies) Percentile(p int) time.Duration {
	rank := (l.total*int64(p) + 99) / 100
	if rank == 0 {
		return 0
	}
	var seen int64
	for i, n := range l.counts {
		seen += int64(n)
		if seen >= rank {
			return min(latencyBucketEnd(i), l.max)
		}
	}
	return l.max
}

// latencyBucket numbers the buckets: 0–127 are single nanoseconds, then every
// doubling has 128 parts.
func latencyBucket(d time.Duration) int {
	if d < 0 {
		d = 0
	}
	v := uint64(d)
	if v < latencyParts {
		return int(v)
	}
	octave := bits.Len64(v) - 8 // v>>octave lies in 128..255
	if octave >= latencyOctaves {
		return latencyBuckets - 1
	}
	return octave*latencyParts + int(v>>octave)
}

// latencyBucketEnd returns the longest duration that counts in bucket i.
func latencyBucketEnd(i int) time.Duration {
	if i < 2*latencyParts {
		return time.Duration(i)
	}
	octave := i/latencyParts - 1
	return time.Duration((i-octave*latencyParts+1)<<octave - 1)
}

// Millis prints a duration in milliseconds with three decimals, in JSON too.
type Millis time.Duration

// String returns for example "4.137".
func (m Millis) String() string {
	us := time.Duration(m).Microseconds()
	return strconv.FormatInt(us/1000, 10) + "." + strconv.FormatInt(1000+us%1000, 10)[1:]
}

// MarshalJSON writes a JSON number such as 4.137.
func (m Millis) MarshalJSON() ([]byte, error) { return []byte(m.String()), nil }
