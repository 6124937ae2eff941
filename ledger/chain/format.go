package chain

import _ "embed" // of FORMAT.md

// Format is FORMAT.md, the specification of everything that is hashed or signed,
// for those who are handed it with an evidence bundle.
//
//go:embed FORMAT.md
var Format []byte
