//go:build race

package bankfile_test

// largeFile is the lines of a large file: the race detector makes each of them many times as dear, and there
// are no goroutines here for it to watch.
const largeFile = 10_000
