// Package harness runs real tallystick processes for the programs under
// scripts/: it builds the binary, starts servers on free loopback ports over a
// data folder that is thrown away, kills or stops them, and asks verify for its
// verdict. What it starts it ends; it never touches a process it did not start.
//
//	Rig ── a temporary folder, a binary, an admin key
//	 ├── Serve ──► Server ── Kill (-9), Signal, Stop, AwaitReady
//	 ├── Spawn ──► any other long command, killed and stopped likewise
//	 ├── KillEngine (-9)    the database processes behind the data folder
//	 └── Verify ──► Verdict the exit code and report of `tallystick verify --json`
package harness
