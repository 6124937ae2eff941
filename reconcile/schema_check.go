package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tallystick/ledger/store"
)

// The schema is part of what is verified: a view, a rule or a policy can hide
// rows from whoever reads the book, this verifier included; a constraint that
// is gone lets in what it kept out; and a right that was given away lets
// somebody change rows. The catalogue of either engine is read with the same
// statements, but for rights.

// actual is the schema as the catalogue has it, for the tables that are listed.
type actual struct {
	relations   map[string]relation
	columns     map[string][]string // as in table.columns
	constraints map[string][]string // names, those that are enforced
	rules       map[string]string   // what each demands
}

// relation is what stands under a table's name.
type relation struct {
	kind        string // r is a base table
	rowSecurity bool
	owner       string
}

// The catalogue.
const (
	relationsSQL = `
select n.nspname::text, c.relname::text, c.relkind::text, c.relrowsecurity, pg_catalog.pg_get_userbyid(c.relowner)::text
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('book', 'ops') and c.relkind in ('r', 'v', 'm', 'f', 'p')`

	columnsSQL = `
select n.nspname::text, c.relname::text, a.attname::text, t.typname::text, a.attnotnull, coalesce(a.attcollation <> t.typcollation, false)
from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace join pg_catalog.pg_type t on t.oid = a.atttypid
where n.nspname in ('book', 'ops') and c.relkind in ('r', 'v', 'm', 'f', 'p') and a.attnum > 0 and not a.attisdropped
order by n.nspname, c.relname, a.attnum`

	constraintsSQL = `
select n.nspname::text, c.relname::text, o.conname::text, pg_catalog.pg_get_constraintdef(o.oid)::text
from pg_catalog.pg_constraint o join pg_catalog.pg_class c on c.oid = o.conrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('book', 'ops') and o.contype in ('p', 'u', 'c') and o.convalidated`

	// Those behind constraints are among them.
	uniqueIndexesSQL = `
select schemaname::text, tablename::text, indexname::text, indexdef::text
from pg_catalog.pg_indexes
where schemaname in ('book', 'ops') and indexdef like 'CREATE UNIQUE%'`

	triggersSQL = `
select n.nspname::text, c.relname::text, 'trigger ' || g.tgname::text
from pg_catalog.pg_trigger g join pg_catalog.pg_class c on c.oid = g.tgrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('book', 'ops') and not g.tgisinternal`

	heirsSQL = `
select n.nspname::text, c.relname::text, 'a table that inherits from it'::text
from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhparent
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('book', 'ops') and c.relkind <> 'i'`

	rewritesSQL = `
select n.nspname::text, c.relname::text, 'rule ' || w.rulename::text
from pg_catalog.pg_rewrite w join pg_catalog.pg_class c on c.oid = w.ev_class
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('book', 'ops')`

	policiesSQL = `
select n.nspname::text, c.relname::text, 'row-level policy ' || p.polname::text
from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid = p.polrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('book', 'ops')`
)

// checkSchema holds the schema against the one that the migrations make, and
// the rights against those that they give.
func (v *verification) checkSchema(ctx context.Context, db *store.DB) error {
	a, err := readSchema(ctx, db)
	if err != nil {
		return err
	}
	v.evidence.namesOnly = strings.HasPrefix(db.EngineName(), cockroach)
	for i := range schema {
		v.checkTable(&schema[i], a)
	}
	for _, scan := range []struct{ sql, code string }{
		{triggersSQL, SchemaTampered}, {heirsSQL, SchemaTampered}, {rewritesSQL, RowsFiltered}, {policiesSQL, RowsFiltered},
	} {
		err := db.Scan(ctx, scan.sql, nil, func(r *store.Row) error {
			if name := string(r.Text(0)) + "." + string(r.Text(1)); listed(name) {
				v.findings.add(finding{code: scan.code, seq: noSeq, stored: fmt.Sprintf("%s on %s", r.Text(2), name), recomputed: "none"})
			}
			return nil
		})
		if v.evidence.namesOnly && store.Lacking(err) {
			continue // where the catalogue has no place for them there are none
		}
		if err != nil {
			return fmt.Errorf("reading the catalogue: %w", err)
		}
	}
	v.evidence.compared = true
	return v.checkRights(ctx, db, a)
}

// listed reports whether a table is one that the verification rests on.
func listed(name string) bool {
	return slices.ContainsFunc(schema, func(t table) bool { return t.name == name })
}

// columnOf returns a row of columnsSQL as schema has it.
func columnOf(r *store.Row) string {
	column := string(r.Text(2)) + " " + string(r.Text(3))
	if r.Bool(5) {
		column += " in a collation of its own"
	}
	if r.Bool(4) {
		column += notNull
	}
	return column
}

func readSchema(ctx context.Context, db *store.DB) (*actual, error) {
	a := &actual{relations: make(map[string]relation), columns: make(map[string][]string), constraints: make(map[string][]string), rules: make(map[string]string)}
	constraint := func(r *store.Row, name string) {
		rule := string(r.Text(2))
		a.constraints[name] = append(a.constraints[name], rule)
		if _, there := a.rules[rule]; !there { // a constraint says more than the index behind it
			a.rules[rule] = strings.Join(strings.Fields(string(r.Text(3))), " ")
		}
	}
	for _, scan := range []struct {
		sql string
		row func(r *store.Row, name string)
	}{
		{relationsSQL, func(r *store.Row, name string) {
			a.relations[name] = relation{string(r.Text(2)), r.Bool(3), string(r.Text(4))}
		}},
		{columnsSQL, func(r *store.Row, name string) { a.columns[name] = append(a.columns[name], columnOf(r)) }},
		{constraintsSQL, constraint},
		{uniqueIndexesSQL, constraint},
	} {
		err := db.Scan(ctx, scan.sql, nil, func(r *store.Row) error {
			if name := string(r.Text(0)) + "." + string(r.Text(1)); listed(name) {
				scan.row(r, name)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading the catalogue: %w", err)
		}
	}
	return a, nil
}

// kinds are what else can stand under a table's name.
var kinds = map[string]string{"v": "a view", "m": "a materialized view", "f": "a foreign table", "p": "a partitioned table"}

// checkTable holds one table against what it should be.
func (v *verification) checkTable(t *table, a *actual) {
	r, there := a.relations[t.name]
	report := func(code, stored, recomputed string) {
		v.findings.add(finding{code: code, seq: noSeq, stored: t.name + ": " + stored, recomputed: recomputed})
	}
	if !there {
		report(SchemaTampered, "missing", "a base table")
		return
	}
	if r.kind != "r" {
		report(RowsFiltered, orKind(r.kind), "a base table")
		report(SchemaTampered, orKind(r.kind), "a base table")
		return
	}
	if r.rowSecurity {
		report(RowsFiltered, "row-level security is on", "off")
	}
	if r.owner != string(store.RoleOwner) {
		report(ControlWeakened, "owned by "+r.owner, "owned by "+string(store.RoleOwner))
	}
	want := strings.Split(t.columns, ", ")
	for _, column := range want {
		if !slices.Contains(a.columns[t.name], column) {
			report(SchemaTampered, "no column "+column, column)
		}
	}
	for _, column := range a.columns[t.name] {
		if !slices.Contains(want, column) {
			report(SchemaTampered, "column "+column, "not part of it")
		}
	}
	for _, constraint := range strings.Split(t.constraints, ", ") {
		switch {
		case !slices.Contains(a.constraints[t.name], constraint):
			report(SchemaTampered, "without "+constraint, constraint)
		case !v.evidence.namesOnly && a.rules[constraint] != rules[constraint]:
			report(SchemaTampered, constraint+" "+a.rules[constraint], rules[constraint])
		}
	}
}

func orKind(kind string) string {
	if name, ok := kinds[kind]; ok {
		return name
	}
	return "relation of kind " + kind
}
