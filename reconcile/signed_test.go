package reconcile_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// Programs are told who vouches for a ledger as people are.
func TestTheJSONOfAReportSaysWhoSigned(t *testing.T) {
	t.Parallel()
	const nobody = `{"checkpoint":null,"keys_trusted":null,"pin":null,"super_log":null,"succeeds":null,"succeeded_by":[]}`
	const signed = `"origin":"$origin","size":298,"root":"$root","signed_at":"2026-03-30T11:59:00Z","shown_at":"2026-03-30T12:00:00Z","signer_apart":false,"keys":["$key"],"witnesses":`
	for _, c := range []struct {
		name   string
		commit func(*crime)
		want   string
	}{
		{"the chain's keys", func(*crime) {}, `{"checkpoint":{` + signed + `[]},"keys_trusted":"chain","pin":null,"super_log":null,"succeeds":null,"succeeded_by":[]}`},
		{"a policy's, witnesses and a pin", func(c *crime) {
			c.witness(2, "", 298)
			c.opts.Since = document("pin.cp", c.b.sign(c.t, c.key, 256))
		}, `{"checkpoint":{` + signed + `[{"name":"w1","cosigned_at":"2026-03-30T12:00:00Z"},{"name":"w2","cosigned_at":"2026-03-30T12:00:00Z"}]},` +
			`"keys_trusted":"policy","pin":{"size":256,"root":"$pinned","holds":true},"super_log":null,"succeeds":null,"succeeded_by":[]}`},
		{"the head alone", func(c *crime) { c.opts.Level = reconcile.LevelHead }, `{"checkpoint":{` + signed + `[]},"keys_trusted":"chain","pin":null,"super_log":null,"succeeds":null,"succeeded_by":[]}`},
		{"another is shown", func(c *crime) {
			c.b.show(c.t, c.conn, c.b.sign(c.t, c.key, 256), 256)
			c.do("update ops.heads set signer = 'signer'")
		}, `{"checkpoint":{` + strings.NewReplacer(`"2026-03-30T12:00:00Z","signer_apart":false`, `null,"signer_apart":null`).Replace(signed) + `[]},"keys_trusted":"chain","pin":null,"super_log":null,"succeeds":null,"succeeded_by":[]}`},
		{"a signer apart, and no super-log", func(c *crime) {
			c.do("update ops.heads set signer = 'signer'")
			c.opts.SuperLog = true
		}, `{"checkpoint":{` + strings.Replace(signed, "false", "true", 1) + `[]},"keys_trusted":"chain","pin":null,"super_log":{"leaves":0,"ledgers":0,"size":0,"keys":[],"unknown_keys":[],"successions":[]},"succeeds":null,"succeeded_by":[]}`},
		{"none by a key that counts", func(c *crime) {
			c.opts.Policy = policyOf(c.t, "log %s\nquorum none\n", verifierKey(c.t, signingKey(c.t, "other"), c.b.terms.Origin))
		}, nobody},
		{"none", func(c *crime) { c.do("delete from ops.heads", "delete from book.checkpoints") }, nobody},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				scene := &crime{t: t, conn: connect(t, url), key: signingKey(t, "signer")}
				scene.b, scene.held = sealedBook(t, scene.key, 1)
				scene.b.write(t, scene.conn)
				scene.b.seal(t, scene.conn, scene.key, sealedSizes...)
				c.commit(scene)
				report := verifyWith(t, url, scene.b.ledger, scene.opts)
				got, err := json.Marshal(report.Signed)
				if err != nil {
					t.Fatal(err)
				}
				want := strings.NewReplacer("$origin", scene.b.terms.Origin, "$root", scene.b.rootAt(298).String(), "$pinned", scene.b.rootAt(256).String(),
					"$key", verifierKey(t, scene.key, scene.b.terms.Origin).ID()).Replace(c.want)
				if string(got) != want {
					t.Errorf("%s\nwant %s", got, want)
				}
				if all, err := json.Marshal(report); err != nil || !bytes.Contains(all, got[1:len(got)-1]) {
					t.Errorf("the report is %s, %v", all, err)
				}
			})
		})
	}
}
