//go:build !race

package bankfile_test

// largeFile is the lines of a large file.
const largeFile = 100_000
