// Package store keeps ledgers in CockroachDB or PostgreSQL.
package store
