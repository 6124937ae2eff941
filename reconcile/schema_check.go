package reconcile

import (
	"context"
	"fmt"
	"maps"
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
	unknown     map[string]string   // the kinds of relations that are not listed
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
select n.nspname::text, c.relname::text, a.attname::text,
    case when coalesce(tn.nspname, 'pg_catalog') = 'pg_catalog' then t.typname::text else tn.nspname::text || '.' || t.typname::text end,
    a.attnotnull, coalesce(a.attcollation <> t.typcollation, false)
from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace join pg_catalog.pg_type t on t.oid = a.atttypid
    left join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace
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
where n.nspname in ('book', 'ops')`

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

// What a table can have on PostgreSQL that makes it another one to whoever reads or
// writes it. What is made after the database is has an oid from 16384 on
// (access/transam.h).
const (
	indexesSQL = `
select n.nspname::text, c.relname::text, 'index ' || i.relname::text || case
    when not (x.indisvalid and x.indisready and x.indislive) then ' that is not in force'
    when exists (select 1 from pg_catalog.unnest(x.indclass::oid[]) as o(oid) where o.oid >= 16384::oid) then ' that sorts in another way'
    when not x.indimmediate then ' that lets duplicates in'
    else ' that does not keep its key unique' end
from pg_catalog.pg_index x join pg_catalog.pg_class c on c.oid = x.indrelid join pg_catalog.pg_class i on i.oid = x.indexrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('book', 'ops') and (not (x.indisvalid and x.indisready and x.indislive)
    or exists (select 1 from pg_catalog.unnest(x.indclass::oid[]) as o(oid) where o.oid >= 16384::oid) or not x.indimmediate
    or not x.indisunique and exists (select 1 from pg_catalog.pg_constraint o where o.conindid = x.indexrelid and o.contype in ('p', 'u')))`

	foreignKeysSQL = `
select n.nspname::text, c.relname::text, 'foreign key ' || o.conname::text
from pg_catalog.pg_constraint o join pg_catalog.pg_class c on c.oid = o.conrelid or c.oid = o.confrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('book', 'ops') and o.contype = 'f'`

	unloggedSQL = `
select n.nspname::text, c.relname::text, 'no log, which a crash empties,'
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('book', 'ops') and c.relkind = 'r' and c.relpersistence <> 'p'`
)

// What stands among the engine's own operators and types and is not of the engine:
// where it fits better, a statement means what it says. Functions count that are called
// like one of the engine's, or in the place of one that is asked here: whoever hosts an
// engine may have added others.
const catalogueSQL = `
select 'operator ' || o.oprname::text from pg_catalog.pg_operator o
where o.oprnamespace = 'pg_catalog'::regnamespace and o.oid >= 16384::oid
union all select 'type ' || t.typname::text from pg_catalog.pg_type t
where t.typnamespace = 'pg_catalog'::regnamespace and t.oid >= 16384::oid
union all select 'operator class ' || c.opcname::text from pg_catalog.pg_opclass c
where c.opcnamespace = 'pg_catalog'::regnamespace and c.oid >= 16384::oid
union all select 'cast from ' || c.castsource::regtype::text || ' to ' || c.casttarget::regtype::text from pg_catalog.pg_cast c
where c.oid >= 16384::oid and c.castsource < 16384::oid and c.casttarget < 16384::oid
union all select 'function ' || p.proname::text from pg_catalog.pg_proc p
where p.pronamespace = 'pg_catalog'::regnamespace and p.oid >= 16384::oid
    and (p.proname in ('aclexplode', 'count', 'current_database', 'left', 'length', 'lower', 'pg_get_constraintdef', 'pg_get_indexdef', 'pg_get_userbyid', 'pg_has_role', 'unnest')
        or exists (select 1 from pg_catalog.pg_proc q where q.proname = p.proname and q.pronamespace = 'pg_catalog'::regnamespace and q.oid < 16384::oid))
    and not exists (select 1 from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
union all select 'another function behind operator ' || o.oprname::text from pg_catalog.pg_operator o
where o.oid < 16384::oid and o.oprcode::oid >= 16384::oid
union all select 'another function behind type ' || t.typname::text from pg_catalog.pg_type t
where t.oid < 16384::oid and greatest(t.typinput::oid, t.typoutput::oid, t.typreceive::oid, t.typsend::oid) >= 16384::oid
union all select 'another function behind an operator class of ' || f.opfname::text from pg_catalog.pg_amproc a join pg_catalog.pg_opfamily f on f.oid = a.amprocfamily
where f.oid < 16384::oid and a.amproc::oid >= 16384::oid
union all select 'another operator in an operator class of ' || f.opfname::text from pg_catalog.pg_amop a join pg_catalog.pg_opfamily f on f.oid = a.amopfamily
where f.oid < 16384::oid and f.opfnamespace = 'pg_catalog'::regnamespace and a.amopopr >= 16384::oid and a.amoplefttype < 16384::oid and a.amoprighttype < 16384::oid
union all select 'another function behind cast from ' || c.castsource::regtype::text || ' to ' || c.casttarget::regtype::text from pg_catalog.pg_cast c
where c.oid < 16384::oid and c.castfunc >= 16384::oid`

// checkCatalogue looks for what only somebody with every right can put there.
func (v *verification) checkCatalogue(ctx context.Context, db *store.DB) error {
	if v.evidence.namesOnly {
		return nil
	}
	err := db.Scan(ctx, catalogueSQL, nil, func(r *store.Row) error {
		v.findings.add(finding{code: SchemaTampered, seq: noSeq, stored: fmt.Sprintf("%s in pg_catalog", r.Text(0)), recomputed: "none that the engine does not bring"})
		return nil
	})
	return wrap("reading the engine's own catalogue", err)
}

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
	for _, name := range slices.Sorted(maps.Keys(a.unknown)) {
		v.strange(ControlWeakened, name+": "+orKind(a.unknown[name]), "no such relation")
	}
	for _, scan := range []struct {
		sql, code string
		postgres  bool // on that engine only
	}{
		{triggersSQL, SchemaTampered, false}, {heirsSQL, SchemaTampered, false}, {rewritesSQL, RowsFiltered, false}, {policiesSQL, RowsFiltered, false},
		{indexesSQL, SchemaTampered, true}, {foreignKeysSQL, SchemaTampered, true}, {unloggedSQL, ControlWeakened, true},
	} {
		if scan.postgres && v.evidence.namesOnly {
			continue
		}
		err := db.Scan(ctx, scan.sql, nil, func(r *store.Row) error {
			if t := tableNamed(string(r.Text(0)) + "." + string(r.Text(1))); t != nil {
				v.strange(t.weighs(scan.code), fmt.Sprintf("%s on %s", r.Text(2), t.name), "none")
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
	if err := v.checkIndexes(ctx, db, a); err != nil {
		return err
	}
	if err := v.checkCatalogue(ctx, db); err != nil {
		return err
	}
	return v.checkRights(ctx, db, a)
}

// listed reports whether a table is one of the migrations.
func listed(name string) bool { return tableNamed(name) != nil }

// weighs returns the code of what makes the table another one: where nothing is
// verified against its rows it weakens a control.
func (t *table) weighs(code string) string {
	if t.aside {
		return ControlWeakened
	}
	return code
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
	a := &actual{relations: make(map[string]relation), columns: make(map[string][]string), constraints: make(map[string][]string), rules: make(map[string]string), unknown: make(map[string]string)}
	constraint := func(r *store.Row, name string) {
		rule := string(r.Text(2))
		a.constraints[name] = append(a.constraints[name], rule)
		if _, there := a.rules[rule]; !there { // a constraint says more than the index behind it
			a.rules[rule] = oneLine(string(r.Text(3)))
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
			switch name := string(r.Text(0)) + "." + string(r.Text(1)); {
			case listed(name):
				scan.row(r, name)
			case scan.sql == relationsSQL:
				a.unknown[name] = string(r.Text(2))
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
var kinds = map[string]string{"r": "a base table", "v": "a view", "m": "a materialized view", "f": "a foreign table", "p": "a partitioned table"}

// checkTable holds one table against what it should be.
func (v *verification) checkTable(t *table, a *actual) {
	r, there := a.relations[t.name]
	report := func(code, stored, recomputed string) { v.strange(t.weighs(code), t.name+": "+stored, recomputed) }
	if !there {
		report(SchemaTampered, "missing", "a base table")
		return
	}
	if r.kind != "r" {
		if !t.aside {
			report(RowsFiltered, orKind(r.kind), "a base table")
		}
		report(SchemaTampered, orKind(r.kind), "a base table")
		return
	}
	if r.rowSecurity {
		report(RowsFiltered, "row-level security is on", "off")
	}
	if r.owner != string(store.RoleOwner) {
		report(ControlWeakened, "owned by "+r.owner, "owned by "+string(store.RoleOwner))
	}
	if t.aside {
		return
	}
	want := split(t.columns)
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
	for _, constraint := range split(t.constraints) {
		switch {
		case !v.evidence.namesOnly && !behind(constraint):
			// an index: checkIndexes holds all of them
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
