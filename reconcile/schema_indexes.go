package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tallystick/ledger/store"
)

// What a reader is told comes through indexes. One that is built over a condition
// which later means something else has lost rows and is taken for whole: so what
// every index says is held against what it should say, and there are no functions
// beside the tables for conditions to mean. On PostgreSQL only: other engines write
// indexes otherwise.

const (
	allIndexesSQL = `
select n.nspname::text, c.relname::text, i.relname::text, pg_catalog.pg_get_indexdef(x.indexrelid)::text,
    x.indpred is not null or x.indexprs is not null
from pg_catalog.pg_index x join pg_catalog.pg_class c on c.oid = x.indrelid join pg_catalog.pg_class i on i.oid = x.indexrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('book', 'ops')
order by 1, 2, 3`

	// What else may make rows mean something, or be passed over, and is not ours.
	strangersSQL = `
select n.nspname::text, c.relname::text, o.conname::text, 'constraint ' || o.conname::text || ' ' || pg_catalog.pg_get_constraintdef(o.oid)::text
from pg_catalog.pg_constraint o join pg_catalog.pg_class c on c.oid = o.conrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('book', 'ops') and o.contype in ('p', 'u', 'c', 'x')
union all
select n.nspname::text, c.relname::text, ''::text, 'column ' || a.attname::text || ' with values of its own'
from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('book', 'ops') and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped and (a.attgenerated <> '' or a.attidentity <> '')
union all
select n.nspname::text, c.relname::text, ''::text, 'constraints or indexes that the engine is told not to look at'
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('book', 'ops') and c.relkind = 'r'
    and (c.relchecks <> (select pg_catalog.count(*) from pg_catalog.pg_constraint o where o.conrelid = c.oid and o.contype = 'c')
        or not c.relhasindex and exists (select 1 from pg_catalog.pg_index x where x.indrelid = c.oid))
order by 1, 2, 4`

	// Functions where the tables are; and views from elsewhere through which rows of
	// them can be changed by roles that may not.
	besideSQL = `
select 'function ' || p.proname::text || ' in schema ' || n.nspname::text
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname in ('book', 'ops')
order by 1`

	lentViewsSQL = `
select distinct vn.nspname::text || '.' || v.relname::text || ', a view of ' || n.nspname::text || '.' || c.relname::text || ', to ' || coalesce(g.rolname::text, 'public')
from pg_catalog.pg_rewrite w join pg_catalog.pg_class v on v.oid = w.ev_class join pg_catalog.pg_namespace vn on vn.oid = v.relnamespace
    join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_catalog.pg_class'::regclass
    join pg_catalog.pg_class c on c.oid = d.refobjid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    cross join lateral pg_catalog.aclexplode(v.relacl) as x left join pg_catalog.pg_roles g on g.oid = x.grantee
where n.nspname in ('book', 'ops') and v.oid <> c.oid and lower(x.privilege_type) in ('insert', 'update', 'delete', 'truncate')
    and coalesce(g.rolname, 'public') in ('public', 'tallystick_app', 'tallystick_signer', 'tallystick_auditor', 'tallystick_eraser')
order by 1`
)

// checkIndexes holds all indexes against those of the migrations, and looks for what
// else there is. The index behind a constraint that is another one is told with it.
func (v *verification) checkIndexes(ctx context.Context, db *store.DB, a *actual) error {
	if v.evidence.namesOnly {
		return nil
	}
	defs := make(map[string]string) // by name
	err := db.Scan(ctx, allIndexesSQL, nil, func(r *store.Row) error {
		t := tableNamed(string(r.Text(0)) + "." + string(r.Text(1)))
		if t == nil || t.aside {
			return nil
		}
		name, def := string(r.Text(2)), oneLine(string(r.Text(3)))
		defs[name] = def
		want := t.definition(name)
		switch {
		case want == def, want != "" && behind(name) && a.rules[name] != rules[name]:
		case want != "":
			v.strange(SchemaTampered, t.name+": "+def, want)
		case r.Bool(4): // it may leave rows out
			v.strange(SchemaTampered, t.name+": "+def, "no such index")
		default:
			v.strange(ControlWeakened, t.name+": "+def, "no such index")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the indexes: %w", err)
	}
	for i := range schema {
		t := &schema[i]
		for _, name := range append(split(t.indexes), split(t.constraints)...) {
			want := t.definition(name)
			switch {
			case want == "" || defs[name] != "", behind(name) && a.rules[name] != rules[name]:
			case slices.Contains(split(t.indexes), name):
				v.strange(ControlWeakened, t.name+": without "+name, want)
			default:
				v.strange(SchemaTampered, t.name+": without "+name, want)
			}
		}
	}
	return v.checkStrangers(ctx, db)
}

func (v *verification) checkStrangers(ctx context.Context, db *store.DB) error {
	err := db.Scan(ctx, strangersSQL, nil, func(r *store.Row) error {
		t := tableNamed(string(r.Text(0)) + "." + string(r.Text(1)))
		if t == nil || t.aside || slices.Contains(split(t.constraints), string(r.Text(2))) {
			return nil
		}
		v.strange(SchemaTampered, t.name+": "+oneLine(string(r.Text(3))), "none")
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the catalogue: %w", err)
	}
	for _, scan := range []struct{ sql, code string }{{besideSQL, SchemaTampered}, {lentViewsSQL, ControlWeakened}} {
		err := db.Scan(ctx, scan.sql, nil, func(r *store.Row) error {
			v.strange(scan.code, string(r.Text(0)), "none")
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading the catalogue: %w", err)
		}
	}
	return nil
}

// behind reports whether an index of that name stands behind a constraint.
func behind(name string) bool { return !strings.HasPrefix(rules[name], "CREATE ") }

// strange reports something about the schema.
func (v *verification) strange(code, stored, recomputed string) {
	v.findings.add(finding{code: code, seq: noSeq, stored: stored, recomputed: recomputed})
}

// definition returns what an index of the table should be, "" where the table has
// none of that name.
func (t *table) definition(name string) string {
	rule := rules[name]
	switch {
	case !slices.Contains(split(t.indexes), name) && !slices.Contains(split(t.constraints), name):
		return ""
	case !behind(name):
		return rule
	}
	for _, kind := range []string{"PRIMARY KEY ", "UNIQUE "} {
		if columns, ok := strings.CutPrefix(rule, kind); ok {
			return "CREATE UNIQUE INDEX " + name + " ON " + t.name + " USING btree " + columns
		}
	}
	return "" // a condition, which has no index
}

// tableNamed returns a table of the schema, nil where there is none.
func tableNamed(name string) *table {
	if i := slices.IndexFunc(schema, func(t table) bool { return t.name == name }); i >= 0 {
		return &schema[i]
	}
	return nil
}

// split returns the names of a list, none for an empty one.
func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ", ")
}

// oneLine writes each white space as one space.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
