// Package engine runs the database that a Tallystick server brings along: PostgreSQL or a single
// CockroachDB node, started from the binaries found on the machine, with its files under the data folder.
// It knows processes, files and sockets, and no SQL.
//
//	data/                       the data folder; stays with whoever runs the server, 0700
//	├── engine.lock             held while a process starts, attaches to or stops the engine
//	├── engine.users            held shared by every process that uses the engine
//	├── postgres.log            what the engine writes to stderr
//	└── postgres/               owned by the user the engine runs as, 0700
//	    ├── data/               PGDATA, and the working folder of every process of the engine
//	    └── socket/             the only door: a Unix socket in a closed folder
//
// # The life of an engine
//
//	Start ── lock ── anyone in data/? ──no──► clear leftovers ► initdb once ► write settings ► launch ─┐
//	                      │ yes                                                                        │
//	                      ├─ ready ─────────────────────────► attach ──────────────────────────────────┤
//	                      └─ starting, stopping, leftover ──► look again                               ▼
//	Stop ─── lock ── another process in engine.users? ──yes──► leave it running            in use ── unlock
//	                      └─ no ──► SIGINT, bounded wait, SIGQUIT, bounded wait
//
// The engine belongs to the data folder, not to the process that started it: the last user out stops it.
// Being a user is a shared flock, which the kernel drops with the process, so a server killed with -9 needs
// no clean-up: its engine goes on, the next Start attaches, and that one's Stop ends it. Two servers and a
// verify on one folder share one engine, and stopping the first server does not pull it away from the rest.
//
// Whether an engine runs is read from the kernel, not from pid files, which outlive their process and then
// name another: its processes are those whose working folder is the store. PostgreSQL backends that survive
// a kill -9 of their postmaster are seen the same way, and waited for, because a new postmaster refuses to
// start beside them; one that has not noticed after orphanBound is killed. Only when nobody is left are stale
// pid and socket files removed.
//
// # Running as root
//
// PostgreSQL refuses root, and an unprivileged user cannot reach a store below /root or below our own 0700
// data folder. Instead of opening those folders, the store is opened by us and inherited: the engine gets
// /proc/self/fd/3 as its path, which leads to the folder without passing its parents. Its socket is bound
// relative to its working folder (../socket), which also keeps deep data folders below the 107 bytes a socket
// path may have; a client of a deep folder goes through a short symbolic link.
//
// The engine runs in a session of its own, so that Ctrl-C on the terminal reaches the server alone, which
// finishes its requests first and then stops the engine.
package engine
