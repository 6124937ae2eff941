// Command runtests runs go test with the flags it is given and prints what go test prints, each package as
// it ends, the output of failed tests in full, and at the end every skipped test with its reason: a skip that
// nobody sees is a test that nobody has.
//
//	go run ./scripts/runtests -race ./...
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run returns go test's exit code, or 1 if the report knows of a failure that the code does not tell.
func run(args []string, stdout, stderr io.Writer) int {
	// Ctrl-C reaches go test too, whose end is then reported.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)

	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = stderr
	events, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(stderr, "runtests: starting go test:", err)
		return 1
	}
	r := newReport(stdout)
	readErr := r.read(events)
	waitErr := cmd.Wait()
	r.summary()
	if readErr != nil {
		fmt.Fprintln(stderr, "runtests:", readErr)
	}
	switch {
	case waitErr != nil:
		return max(1, cmd.ProcessState.ExitCode())
	case readErr != nil || r.failed > 0:
		return 1
	}
	return 0
}
