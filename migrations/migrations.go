// Package migrations holds the schema as numbered SQL files. It imports
// nothing of the project; ledger/store runs the files.
//
// Every file is marked NO TRANSACTION and every statement in it can be run
// again, because CockroachDB commits each schema change by itself and the
// migration lock is a lease without fencing. Until the first release the files
// are squashed into one.
package migrations

import "embed"

// FS holds the files, named NNNNN_what.sql in the order in which they run.
//
//go:embed *.sql
var FS embed.FS
