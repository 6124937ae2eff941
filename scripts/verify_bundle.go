package scripts

import _ "embed" // of the verifier

// VerifyBundle is verify_bundle.py, the verifier of evidence bundles that needs
// nothing but Python 3. Bundles hold it.
//
//go:embed verify_bundle.py
var VerifyBundle []byte
