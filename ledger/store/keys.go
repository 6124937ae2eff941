package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
)

// Scopes are what an API key may do: a set of scopes.
type Scopes uint8

// The scopes; each holds those before it.
const (
	ScopeRead    Scopes = 1 << iota // sees everything
	ScopePost                       // moves money, opens accounts
	ScopeApprove                    // closes periods, posts into closed ones, changes accounts
	ScopeAdmin                      // opens ledgers

	allScopes = ScopeRead | ScopePost | ScopeApprove | ScopeAdmin
)

// scopeWords names the scopes, in the order of their bits.
var scopeWords = [...]string{"read", "post", "approve", "admin"}

// ParseScope returns the scope of a word such as "post".
func ParseScope(word string) (Scopes, error) {
	for i, w := range scopeWords {
		if w == word {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("reading scope %q: it is one of %s", word, strings.Join(scopeWords[:], ", "))
}

// storedScopes reads what is stored. A word of a later version grants nothing
// here.
func storedScopes(text string) Scopes {
	var s Scopes
	for word := range strings.FieldsSeq(text) {
		if scope, err := ParseScope(word); err == nil {
			s |= scope
		}
	}
	return s
}

// Has reports whether the set holds every scope of needed, by itself or
// through a higher one.
func (s Scopes) Has(needed Scopes) bool { return s.implied()&needed == needed }

// implied adds to each scope those that it holds.
func (s Scopes) implied() Scopes {
	s &= allScopes
	s |= s >> 1
	return s | s>>2
}

// Words returns the names of the scopes in the set, lowest first.
func (s Scopes) Words() []string {
	words := []string{}
	for i, w := range scopeWords {
		if s&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	return words
}

// String returns the words with a space between, or "none".
func (s Scopes) String() string {
	if s&allScopes == 0 {
		return "none"
	}
	return strings.Join(s.Words(), " ")
}

// Principal is who asks: an API key that is in force, and what it may do.
type Principal struct {
	ID     ledger.KeyID
	Scopes Scopes
}

// APIKey is what is known about an API key. The key itself is never stored.
type APIKey struct {
	Principal
	Name      string
	CreatedAt time.Time
	RevokedAt *time.Time // nil while it is in force
}

// Reasons why a key is not made or not revoked.
var (
	// ErrKeyRevoked: the key was revoked; it will not be in force again.
	ErrKeyRevoked = errors.New("this API key was revoked")
	// ErrKeyName: a key of this name is in force already.
	ErrKeyName = errors.New("an API key of this name is in force")
	// ErrLastAdmin: without this key nobody could administer.
	ErrLastAdmin = errors.New("this is the last API key with the scope admin")
)

const insertKeySQL = `
insert into ops.api_keys (key_id, key_hash, name, created_at, scopes)
values ($1::uuid, $2::bytea, $3::text, $4::timestamptz, $5::text) on conflict (key_hash) do nothing`

const keyByHashSQL = `select key_id, scopes, revoked_at is not null from ops.api_keys where key_hash = $1::bytea`

// EnsureKey makes sure that the API key with this SHA-256 is known, and returns
// who it stands for: a key that is known already keeps its name and scopes. A
// revoked one is ErrKeyRevoked.
func (db *DB) EnsureKey(ctx context.Context, hash [sha256.Size]byte, name string, scopes Scopes) (Principal, error) {
	var p Principal
	id, err := ledger.NewKeyID()
	if err != nil {
		return p, err
	}
	var revoked bool
	err = db.transact(ctx, func(tx pgx.Tx) error {
		if err := insertKey(ctx, tx, id, hash, name, scopes); err != nil {
			return err
		}
		p, revoked, err = scanPrincipal(tx.QueryRow(ctx, keyByHashSQL, hash[:]))
		return err
	})
	if err == nil && revoked {
		err = ErrKeyRevoked
	}
	if err != nil {
		return Principal{}, fmt.Errorf("storing the API key %s: %w", name, err)
	}
	return p, nil
}

func insertKey(ctx context.Context, tx pgx.Tx, id ledger.KeyID, hash [sha256.Size]byte, name string, scopes Scopes) error {
	_, err := tx.Exec(ctx, insertKeySQL, uuidOf(&id.UUID), hash[:], name, time.Now(), strings.Join(scopes.Words(), " "))
	return err
}

func scanPrincipal(row pgx.Row) (p Principal, revoked bool, err error) {
	var scopes string
	err = row.Scan((*[16]byte)(&p.ID.UUID), &scopes, &revoked)
	p.Scopes = storedScopes(scopes)
	return p, revoked, err
}

// KeyByHash returns who the API key with this SHA-256 stands for; ErrNotFound
// when it is not known or was revoked.
func (db *DB) KeyByHash(ctx context.Context, hash [sha256.Size]byte) (Principal, error) {
	p, revoked, err := scanPrincipal(db.pool.QueryRow(ctx, keyByHashSQL, hash[:]))
	if err == nil && revoked {
		err = ErrNotFound
	}
	if err != nil {
		return Principal{}, fmt.Errorf("looking for an API key: %w", notFound(err))
	}
	return p, nil
}

const keyNameTakenSQL = `select exists (select 1 from ops.api_keys where name = $1::text and revoked_at is null)`

// CreateKey makes the API key with this SHA-256 known. A name that a key in
// force has is ErrKeyName.
func (db *DB) CreateKey(ctx context.Context, hash [sha256.Size]byte, name string, scopes Scopes) (Principal, error) {
	p := Principal{Scopes: scopes}
	var err error
	if p.ID, err = ledger.NewKeyID(); err != nil {
		return Principal{}, err
	}
	err = db.transact(ctx, func(tx pgx.Tx) error {
		var taken bool
		if err := tx.QueryRow(ctx, keyNameTakenSQL, name).Scan(&taken); err != nil {
			return err
		}
		if taken {
			return ErrKeyName
		}
		return insertKey(ctx, tx, p.ID, hash, name, scopes)
	})
	if err != nil {
		return Principal{}, fmt.Errorf("making the API key %s: %w", name, err)
	}
	return p, nil
}

const keysSQL = `
select key_id, name, scopes, created_at, revoked_at from ops.api_keys order by created_at, key_id`

// Keys returns every API key there ever was, oldest first.
func (db *DB) Keys(ctx context.Context) ([]APIKey, error) {
	rows, err := db.pool.Query(ctx, keysSQL)
	if err != nil {
		return nil, fmt.Errorf("listing API keys: %w", err)
	}
	keys, err := pgx.CollectRows(rows, scanKey)
	if err != nil {
		return nil, fmt.Errorf("listing API keys: %w", err)
	}
	return keys, nil
}

func scanKey(row pgx.CollectableRow) (k APIKey, err error) {
	var scopes string
	err = row.Scan((*[16]byte)(&k.ID.UUID), &k.Name, &scopes, &k.CreatedAt, &k.RevokedAt)
	k.Scopes = storedScopes(scopes)
	return k, err
}

// The locks make sure that of two last admin keys not both are revoked at once.
const lockKeysSQL = `
select key_id, name, scopes, created_at, revoked_at from ops.api_keys
where revoked_at is null order by key_id for update`

const revokeKeySQL = `update ops.api_keys set revoked_at = $2::timestamptz where key_id = $1::uuid`

// RevokeKey ends the API key that choose picks among those in force, and
// returns it. The last key with the scope admin is ErrLastAdmin. Servers notice
// within seconds.
func (db *DB) RevokeKey(ctx context.Context, choose func([]APIKey) (APIKey, error)) (APIKey, error) {
	var chosen APIKey
	err := db.transact(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, lockKeysSQL)
		if err != nil {
			return err
		}
		keys, err := pgx.CollectRows(rows, scanKey)
		if err != nil {
			return err
		}
		if chosen, err = choose(keys); err != nil {
			return err
		}
		others := slices.ContainsFunc(keys, func(k APIKey) bool { return k.ID != chosen.ID && k.Scopes.Has(ScopeAdmin) })
		if chosen.Scopes.Has(ScopeAdmin) && !others {
			return ErrLastAdmin
		}
		now := time.Now()
		chosen.RevokedAt = &now
		_, err = tx.Exec(ctx, revokeKeySQL, uuidOf(&chosen.ID.UUID), now)
		return err
	})
	if err != nil {
		return APIKey{}, fmt.Errorf("revoking an API key: %w", err)
	}
	return chosen, nil
}
