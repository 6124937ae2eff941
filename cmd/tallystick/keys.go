package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/store"
)

const (
	// keyBytes is how much randomness a generated key has.
	keyBytes = 32
	// keyConnections bounds the connections of the commands about keys.
	keyConnections = 2
)

// keyName is what a key may be called; a UUID is not a name, but an id.
var keyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// makeKey returns a fresh API key.
func makeKey() (string, error) {
	var random [keyBytes]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("making an API key: %w", err)
	}
	return "tallystick_" + base64.RawURLEncoding.EncodeToString(random[:]), nil
}

// undefinedTable is the SQLSTATE of a database that was never migrated.
const undefinedTable = "42P01"

// withKeys runs do on the database.
func (d *Database) withKeys(ctx context.Context, do func(*store.DB) error) error {
	db, disconnect, err := d.Connect(ctx, store.RoleApp, keyConnections)
	if err != nil {
		return err
	}
	defer disconnect()
	err = do(db)
	state, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err)
	if ok && state.SQLState() == undefinedTable {
		return fmt.Errorf("%w\nhint: bring the database to the newest schema first: tallystick migrate", err)
	}
	return err
}

// keysCreateCommand makes an API key.
type keysCreateCommand struct {
	Database `embed:""`
	Name     string   `arg:"" help:"What the key is called: A-Z, a-z, 0-9, '.', '_', '-'; at most 64 of them."`
	Scope    []string `required:"" enum:"read,post,approve,admin" placeholder:"SCOPE" help:"What the key may do, several times for several: ${enum}. Each holds those before it."`
	JSON     bool     `name:"json" help:"Print one JSON object."`
}

// Run makes the key, and prints it this once: only its hash is kept.
func (c *keysCreateCommand) Run(ctx context.Context) error {
	if !keyName.MatchString(c.Name) || uuid.Validate(c.Name) == nil {
		return fmt.Errorf("reading the name %q: it is 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', begins with a letter or digit and is no UUID", c.Name)
	}
	var scopes store.Scopes
	for _, word := range c.Scope {
		scope, err := store.ParseScope(word)
		if err != nil {
			return err
		}
		scopes |= scope
	}
	key, err := makeKey()
	if err != nil {
		return err
	}
	var p store.Principal
	err = c.withKeys(ctx, func(db *store.DB) (err error) {
		p, err = db.CreateKey(ctx, sha256.Sum256([]byte(key)), c.Name, scopes)
		return err
	})
	if errors.Is(err, store.ErrKeyName) {
		return fmt.Errorf("%w\nhint: choose another name, or end that key first: tallystick keys revoke %s", err, c.Name)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(map[string]any{
			"id": p.ID.String(), "name": c.Name, "scopes": p.Scopes.Words(), "key": key,
		})
	} else {
		_, err = fmt.Println(key)
	}
	if err != nil {
		return fmt.Errorf("printing the API key: %w\nhint: it is lost; end it with tallystick keys revoke %s", err, p.ID)
	}
	fmt.Fprintf(os.Stderr, "API key %s, id %s, may %s; it is shown this once\n", c.Name, p.ID, p.Scopes)
	return nil
}

// keysListCommand lists the API keys.
type keysListCommand struct {
	Database `embed:""`
	JSON     bool `name:"json" help:"Print one JSON object."`
}

// Run lists every key there ever was: the entries of a revoked one still name
// it.
func (c *keysListCommand) Run(ctx context.Context) error {
	var keys []store.APIKey
	err := c.withKeys(ctx, func(db *store.DB) (err error) {
		keys, err = db.Keys(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printKeysJSON(keys)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSCOPES\tCREATED\tREVOKED")
	for _, k := range keys {
		revoked := "-"
		if k.RevokedAt != nil {
			revoked = k.RevokedAt.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, strings.Join(k.Scopes.Words(), ","), k.CreatedAt.UTC().Format(time.RFC3339), revoked)
	}
	return w.Flush()
}

func printKeysJSON(keys []store.APIKey) error {
	type listed struct {
		ID        string     `json:"id"`
		Name      string     `json:"name"`
		Scopes    []string   `json:"scopes"`
		CreatedAt time.Time  `json:"created_at"`
		RevokedAt *time.Time `json:"revoked_at"`
	}
	all := make([]listed, len(keys))
	for i, k := range keys {
		all[i] = listed{k.ID.String(), k.Name, k.Scopes.Words(), k.CreatedAt.UTC(), nil}
		if k.RevokedAt != nil {
			revoked := k.RevokedAt.UTC()
			all[i].RevokedAt = &revoked
		}
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"keys": all})
}

// keysRevokeCommand ends an API key.
type keysRevokeCommand struct {
	Database `embed:""`
	Key      string `arg:"" name:"id|name" help:"Id or name of the key; the id when several keys have the name."`
}

// Run ends the key for ever. It asks nothing.
func (c *keysRevokeCommand) Run(ctx context.Context) error {
	var inFile uuid.UUID
	var k store.APIKey
	err := c.withKeys(ctx, func(db *store.DB) (err error) {
		inFile = c.keyInFile(ctx, db)
		k, err = db.RevokeKey(ctx, c.choose)
		return err
	})
	switch {
	case errors.Is(err, store.ErrLastAdmin):
		return fmt.Errorf("%w\nhint: make another one first: tallystick keys create NAME --scope admin", err)
	case err != nil:
		return err
	}
	fmt.Fprintf(os.Stderr, "API key %s, id %s, is revoked; servers refuse it within seconds\n", k.Name, k.ID)
	if k.ID.UUID == inFile {
		fmt.Fprintf(os.Stderr, "It was the one in %s: delete that file, and the next start of the server makes a new key\n", c.keyFile())
	}
	return nil
}

// choose finds the key among those in force.
func (c *keysRevokeCommand) choose(keys []store.APIKey) (store.APIKey, error) {
	var found []store.APIKey
	var ids []string
	for _, k := range keys {
		if k.Name == c.Key || strings.EqualFold(k.ID.String(), c.Key) {
			found = append(found, k)
			ids = append(ids, k.ID.String()+" of "+k.CreatedAt.UTC().Format(time.RFC3339))
		}
	}
	switch len(found) {
	case 0:
		return store.APIKey{}, fmt.Errorf("no key in force has the id or name %q\nhint: tallystick keys list", c.Key)
	case 1:
		return found[0], nil
	}
	return store.APIKey{}, fmt.Errorf("%d keys have the name %s\nhint: revoke one by its id: %s", len(found), c.Key, strings.Join(ids, ", "))
}

func (c *keysRevokeCommand) keyFile() string { return filepath.Join(c.DataDir, adminKeyFile) }

// keyInFile returns the id of the admin key in the data folder, if it is in
// force.
func (c *keysRevokeCommand) keyInFile(ctx context.Context, db *store.DB) uuid.UUID {
	content, err := os.ReadFile(c.keyFile())
	if err != nil {
		return uuid.Nil // there is none to warn of
	}
	p, err := db.KeyByHash(ctx, sha256.Sum256([]byte(strings.TrimSpace(string(content)))))
	if err != nil {
		return uuid.Nil
	}
	return p.ID.UUID
}
