package main

import (
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/uuid"

	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

// keyRow is a key as keys list --json prints it.
type keyRow struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Scopes    []string `json:"scopes"`
	CreatedAt string   `json:"created_at"`
	RevokedAt *string  `json:"revoked_at"`
}

func listKeys(t *testing.T, url string) map[string]keyRow {
	t.Helper()
	code, out, errors := command(t, "keys", "list", "--database-url", url, "--json")
	var list struct {
		Keys []keyRow `json:"keys"`
	}
	if err := json.Unmarshal([]byte(out), &list); code != exitFine || err != nil {
		t.Fatalf("keys list: exit code %d, %s%s: %v", code, out, errors, err)
	}
	byName := map[string]keyRow{}
	for _, k := range list.Keys {
		byName[k.Name] = k
	}
	return byName
}

func TestAKeyIsMadeListedAndRevoked(t *testing.T) {
	url := storetest.Database(t)
	db, err := store.Open(t.Context(), url, store.RoleApp, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()

	code, out, told := command(t, "keys", "create", "till-7", "--scope", "post", "--scope", "read", "--database-url", url)
	key := strings.TrimSuffix(out, "\n")
	if code != exitFine || strings.ContainsAny(key, " \n") || checkKey(key) != nil || strings.Contains(told, key) {
		t.Fatalf("exit code %d, %q, %s", code, out, told)
	}
	p, err := db.KeyByHash(t.Context(), sha256.Sum256([]byte(key)))
	if err != nil || p.Scopes != store.ScopeRead|store.ScopePost {
		t.Errorf("the key is known as %v, %v", p, err)
	}
	code, out, _ = command(t, "keys", "create", "boss", "--scope", "admin,approve", "--json", "--database-url", url)
	var made struct {
		ID, Name, Key string
		Scopes        []string
	}
	if err := json.Unmarshal([]byte(out), &made); err != nil || code != exitFine || made.Name != "boss" ||
		strings.Join(made.Scopes, " ") != "approve admin" || checkKey(made.Key) != nil {
		t.Fatalf("exit code %d, %s: %v", code, out, err)
	}

	keys := listKeys(t, url)
	if k := keys["till-7"]; k.ID != p.ID.String() || strings.Join(k.Scopes, " ") != "read post" || k.CreatedAt == "" || k.RevokedAt != nil {
		t.Errorf("listed as %+v", k)
	}
	if code, out, told = command(t, "keys", "revoke", "till-7", "--database-url", url); code != exitFine || out != "" || !strings.Contains(told, p.ID.String()) {
		t.Errorf("exit code %d, %s%s", code, out, told)
	}
	if _, err := db.KeyByHash(t.Context(), sha256.Sum256([]byte(key))); err == nil {
		t.Error("the revoked key is still good")
	}
	if k := listKeys(t, url)["till-7"]; k.RevokedAt == nil {
		t.Errorf("listed as %+v", k)
	}
	code, out, _ = command(t, "keys", "list", "--database-url", url)
	lines := strings.Split(out, "\n")
	if code != exitFine || len(lines) != 4 || !strings.HasPrefix(lines[0], "ID ") || !strings.Contains(lines[1], "read,post") || !strings.HasSuffix(lines[2], " -") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if strings.Contains(out, key) || strings.Contains(out, made.Key) {
		t.Error("a list shows keys")
	}
}

func TestRevokingSaysWhatItRefuses(t *testing.T) {
	url, dataDir := storetest.Database(t), t.TempDir()
	db, err := store.Open(t.Context(), url, store.RoleApp, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	first, err := loadAdminKey(t.Context(), db, dataDir)
	if err != nil {
		t.Fatal(err)
	}
	revoke := func(which string) (int, string) {
		code, _, told := command(t, "keys", "revoke", which, "--database-url", url, "--data-dir", dataDir)
		return code, told
	}
	if code, told := revoke("admin"); code != exitUsage || !strings.Contains(told, "last API key") || !strings.Contains(told, "hint: ") {
		t.Errorf("the last admin key: exit code %d, %s", code, told)
	}
	if code, told := revoke("nobody"); code != exitUsage || !strings.Contains(told, `"nobody"`) || !strings.Contains(told, "keys list") {
		t.Errorf("an unknown key: exit code %d, %s", code, told)
	}

	// The key is replaced: both are called admin until the old one is revoked by its id.
	if err := os.Remove(filepath.Join(dataDir, adminKeyFile)); err != nil {
		t.Fatal(err)
	}
	second, err := loadAdminKey(t.Context(), db, dataDir)
	if err != nil || second.id == first.id {
		t.Fatalf("the replaced key: %v", err)
	}
	if code, told := revoke("admin"); code != exitUsage || !strings.Contains(told, first.id.String()) || !strings.Contains(told, second.id.String()) {
		t.Errorf("an ambiguous name: exit code %d, %s", code, told)
	}
	if code, told := revoke(strings.ToUpper(first.id.String())); code != exitFine || strings.Contains(told, adminKeyFile) {
		t.Errorf("exit code %d, %s", code, told)
	}
	if code, told := revoke(first.id.String()); code != exitUsage || !strings.Contains(told, "no key in force") {
		t.Errorf("revoked twice: exit code %d, %s", code, told)
	}

	// The key in the file may go when there is another; the server then asks for a new one.
	if code, _, told := command(t, "keys", "create", "boss", "--scope", "admin", "--database-url", url); code != exitFine {
		t.Fatal(told)
	}
	if code, told := revoke("admin"); code != exitFine || !strings.Contains(told, filepath.Join(dataDir, adminKeyFile)) {
		t.Errorf("the key in the file: exit code %d, %s", code, told)
	}
	if _, err := loadAdminKey(t.Context(), db, dataDir); err == nil || !strings.Contains(err.Error(), "revoked\nhint: delete "+filepath.Join(dataDir, adminKeyFile)) {
		t.Errorf("a start with a revoked key: %v", err)
	}
}

func TestAKeyWithoutAdminIsNoAdminKey(t *testing.T) {
	url := storetest.Database(t)
	db, err := store.Open(t.Context(), url, store.RoleApp, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, out, _ := command(t, "keys", "create", "till", "--scope", "post", "--database-url", url)
	t.Setenv(adminKeyVariable, strings.TrimSpace(out))
	if _, err := loadAdminKey(t.Context(), db, t.TempDir()); err == nil || !strings.Contains(err.Error(), "without admin\nhint: put another key into "+adminKeyVariable) {
		t.Errorf("taken as admin key: %v", err)
	}
}

func TestKeysNeedASchema(t *testing.T) {
	url := storetest.Database(t)
	tamper(t, url, "drop table ops.api_keys")
	for _, args := range [][]string{{"keys", "list"}, {"keys", "create", "till", "--scope", "read"}, {"keys", "revoke", "till"}} {
		code, out, told := command(t, append(args, "--database-url", url)...)
		if code != exitUsage || out != "" || !strings.Contains(told, "hint: bring the database to the newest schema first: tallystick migrate") {
			t.Errorf("%v: exit code %d, %s%s", args, code, out, told)
		}
	}
}

func TestKeysThatCannotBeMade(t *testing.T) {
	url := storetest.Database(t)
	if code, _, told := command(t, "keys", "create", "till", "--scope", "read", "--database-url", url); code != exitFine {
		t.Fatal(told)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"the name is taken":     {[]string{"till", "--scope", "read"}, "hint: choose another name"},
		"an empty name":         {[]string{"", "--scope", "read"}, `reading the name ""`},
		"a name with a space":   {[]string{"the till", "--scope", "read"}, `reading the name "the till"`},
		"a name with a newline": {[]string{"till\n", "--scope", "read"}, "reading the name"},
		"a long name":           {[]string{strings.Repeat("a", 65), "--scope", "read"}, "1 to 64"},
		"a UUID as name":        {[]string{uuid.NewString(), "--scope", "read"}, "no UUID"},
		"a folder without store": {[]string{"x", "--scope", "read", "--database-url", "", "--data-dir", t.TempDir()},
			"there is no database"},
	} {
		code, out, told := command(t, append([]string{"keys", "create", "--database-url", url}, c.args...)...)
		if code != exitUsage || out != "" || !strings.Contains(told, c.want) {
			t.Errorf("%s: exit code %d, %s%s", name, code, out, told)
		}
	}
	if keys := listKeys(t, url); len(keys) != 1 {
		t.Errorf("a refusal left keys: %v", keys)
	}
}

func TestScopesAreOnesThatExist(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"missing flags: --scope":            {"keys", "create", "till"},
		`"approve","admin" but got "write"`: {"keys", "create", "till", "--scope", "write"},
		`but got "Post"`:                    {"keys", "create", "till", "--scope", "read,Post"},
		`"<name>"`:                          {"keys", "create", "--scope", "read"},
		`"<id|name>"`:                       {"keys", "revoke"},
	} {
		parser, err := kong.New(&commands{}, kong.Vars{"version": ""})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", args, err, want)
		}
	}
}
