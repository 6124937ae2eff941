package chain_test

import (
	"crypto/sha256"
	"fmt"

	"tallystick/ledger/chain"
)

// A receipt is verified with the signer's key alone.
func ExampleReceipt_Verify() {
	// The ledger's side: one entry, its tree, a signed checkpoint.
	opened := with(entryOf(chain.LedgerOpened, 0), func(e *chain.Entry) { e.Ledger = sampleTerms() })
	var tree chain.Frontier
	tree.Append(opened.Hash())
	seed := sha256.Sum256([]byte("signer"))
	signer, err := chain.NewSigningKey(seed[:])
	if err != nil {
		fmt.Println(err)
		return
	}
	checkpoint, err := signer.Sign(chain.Checkpoint{Origin: opened.Ledger.Origin, Size: tree.Size(), Root: tree.Root()})
	if err != nil {
		fmt.Println(err)
		return
	}
	verifierKey, err := signer.VerifierKey(opened.Ledger.Origin)
	if err != nil {
		fmt.Println(err)
		return
	}
	file := (&chain.Receipt{Canonical: opened.AppendCanonical(nil), Checkpoint: checkpoint}).Marshal()

	// The client's side.
	key, err := chain.ParseLogKey(verifierKey)
	if err != nil {
		fmt.Println(err)
		return
	}
	receipt, err := chain.ParseReceipt(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	entry, signed, err := receipt.Verify(key)
	fmt.Println(entry.Kind, entry.Seq, signed.Origin, signed.Size, err)
	// Output: ledger_opened 0 ledger.example/01890a5d-ac96-774b-bcce-000000000001 1 <nil>
}
