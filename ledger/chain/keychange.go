package chain

// The words of key_changed entries, see FORMAT.md.
const (
	KeyAdd    = "add"    // valid from here on
	KeyRetire = "retire" // not used from here on; what it signed stays good
	KeyRevoke = "revoke" // compromised

	RoleSigner = "signer" // signs checkpoints
	RoleAPI    = "api"    // posts
)
