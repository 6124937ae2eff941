package api

import (
	"testing"

	"tallystick/ledger/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }
