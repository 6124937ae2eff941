// Package storetest gives each test a database of its own, migrated, on every engine this machine has.
//
//	func TestMain(m *testing.M) { storetest.Main(m) }
//
//	func TestPosting(t *testing.T) {
//		t.Parallel()
//		storetest.Each(t, func(t *testing.T, url string) { … })
//	}
//
// The engines are TALLYSTICK_TEST_DATABASE_URL alone when it is set (a superuser's postgres:// URL), else
// CockroachDB if its binary is found, and PostgreSQL if its binaries are. There is no test without a database:
// with no engine at all the tests fail and say what to install.
//
//	first Each ──► engine started in a temporary folder ──► template database migrated, once a process
//	every Each ──► create database … template (PostgreSQL, 18 ms with dropping it) ──► test ──► drop database
//	end of Main ─► engine stopped, folder removed; a process that dies otherwise is tidied up after
//
// Database gives one such database without the subtests. These engines do not wait for the disk (fsync is off). A
// test about durability starts its own with package engine.
package storetest
