package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tallystick/ledger/store"
)

// Who may do what, on PostgreSQL from the tables' access lists, which every
// role may read, and on CockroachDB from the information schema, which there
// shows all grants.
const (
	aclSQL = `
select n.nspname::text, c.relname::text, coalesce(g.rolname::text, 'public'), x.privilege_type::text, ''::text
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    cross join lateral pg_catalog.aclexplode(c.relacl) as x
    left join pg_catalog.pg_roles g on g.oid = x.grantee
where n.nspname in ('book', 'ops') and x.grantee <> c.relowner
union all
select n.nspname::text, c.relname::text, coalesce(g.rolname::text, 'public'), x.privilege_type::text, ' (' || a.attname::text || ')'
from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    cross join lateral pg_catalog.aclexplode(a.attacl) as x
    left join pg_catalog.pg_roles g on g.oid = x.grantee
where n.nspname in ('book', 'ops') and x.grantee <> c.relowner and not a.attisdropped
order by 1, 2, 3, 4, 5`

	// Who may put things beside the tables, or drop them with what they stand in; and
	// what lends somebody the rights of the owner. On PostgreSQL only.
	aroundSQL = `
select coalesce(g.rolname::text, 'public'), 'creates in schema ' || n.nspname::text
from pg_catalog.pg_namespace n cross join lateral pg_catalog.aclexplode(n.nspacl) as x
    left join pg_catalog.pg_roles g on g.oid = x.grantee
where n.nspname in ('book', 'ops') and x.grantee <> n.nspowner and x.privilege_type = 'CREATE'
union all
select r.rolname::text, 'owns schema ' || n.nspname::text
from pg_catalog.pg_namespace n join pg_catalog.pg_roles r on r.oid = n.nspowner
where n.nspname in ('book', 'ops') and r.rolname <> 'tallystick_owner'
union all
select r.rolname::text, 'owns the database'
from pg_catalog.pg_database d join pg_catalog.pg_roles r on r.oid = d.datdba
where d.datname = pg_catalog.current_database() and r.rolname in ('tallystick_app', 'tallystick_signer', 'tallystick_auditor', 'tallystick_eraser')
union all
select coalesce(g.rolname::text, 'public'), 'creates schemas in the database'
from pg_catalog.pg_database d cross join lateral pg_catalog.aclexplode(d.datacl) as x
    left join pg_catalog.pg_roles g on g.oid = x.grantee
where d.datname = pg_catalog.current_database() and x.privilege_type = 'CREATE'
    and coalesce(g.rolname, 'public') in ('public', 'tallystick_app', 'tallystick_signer', 'tallystick_auditor', 'tallystick_eraser')
union all
select r.rolname::text, 'lends its rights to whoever calls the function ' || p.proname::text
from pg_catalog.pg_proc p join pg_catalog.pg_roles r on r.oid = p.proowner
where p.prosecdef and p.oid >= 16384::oid
    and (r.rolsuper or exists (select 1 from pg_catalog.pg_roles w where w.rolname = 'tallystick_owner' and pg_catalog.pg_has_role(r.oid, w.oid, 'MEMBER')))
    and p.prorettype not in ('pg_catalog.trigger'::regtype, 'pg_catalog.event_trigger'::regtype)
    and not exists (select 1 from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    and exists (select 1 from pg_catalog.pg_roles m where m.rolname in ('tallystick_app', 'tallystick_signer', 'tallystick_auditor', 'tallystick_eraser')
        and pg_catalog.has_function_privilege(m.oid, p.oid, 'EXECUTE'))
order by 1, 2`

	grantsSQL = `
select table_schema::text, table_name::text, grantee::text, privilege_type::text, ''::text
from information_schema.table_privileges
where table_schema in ('book', 'ops') and grantee not in ('admin', 'root', 'tallystick_owner')
order by 1, 2, 3, 4`

	// What makes a role more than what it is granted.
	attributesSQL = `
select rolname::text, case when rolsuper then 'superuser' when rolbypassrls then 'bypasses row-level security' else 'creates roles' end
from pg_catalog.pg_roles
where rolname in ('tallystick_app', 'tallystick_signer', 'tallystick_auditor', 'tallystick_eraser')
    and (rolsuper or rolbypassrls or rolcreaterole)`

	membershipsSQL = `
select m.rolname::text, 'member of ' || g.rolname::text
from pg_catalog.pg_auth_members a join pg_catalog.pg_roles g on g.oid = a.roleid join pg_catalog.pg_roles m on m.oid = a.member
where m.rolname in ('tallystick_app', 'tallystick_signer', 'tallystick_auditor', 'tallystick_eraser')
    and (g.rolname like 'tallystick_%' or g.rolsuper)`
)

// The same on PostgreSQL, through other roles, and with the roles that the engine
// brings and that may write anything.
const allMembershipsSQL = `
with recursive m(role, of) as (
    select a.member, a.roleid from pg_catalog.pg_auth_members a
    union select m.role, a.roleid from m join pg_catalog.pg_auth_members a on a.member = m.of)
select r.rolname::text, 'member of ' || g.rolname::text
from m join pg_catalog.pg_roles r on r.oid = m.role join pg_catalog.pg_roles g on g.oid = m.of
where r.rolname in ('tallystick_app', 'tallystick_signer', 'tallystick_auditor', 'tallystick_eraser')
    and (g.rolname in ('tallystick_owner', 'tallystick_app', 'tallystick_signer', 'tallystick_auditor', 'tallystick_eraser') or g.rolsuper
        or g.rolname in ('pg_write_all_data', 'pg_write_server_files', 'pg_execute_server_program'))`

// cockroach begins the name of that engine.
const cockroach = "CockroachDB"

// checkRights reports rights beyond those that the migrations give.
func (v *verification) checkRights(ctx context.Context, db *store.DB, a *actual) error {
	sql, ofRoles := aclSQL, []string{attributesSQL, allMembershipsSQL, aroundSQL}
	if strings.HasPrefix(db.EngineName(), cockroach) {
		sql, ofRoles = grantsSQL, []string{attributesSQL, membershipsSQL}
	}
	more := make(map[string][]string) // by table and role
	err := db.Scan(ctx, sql, nil, func(r *store.Row) error {
		table, role, right := string(r.Text(0))+"."+string(r.Text(1)), string(r.Text(2)), strings.ToLower(string(r.Text(3)))
		if listed(table) && role != a.relations[table].owner && !mayBe(table, role, right) {
			more[table+" to "+role] = append(more[table+" to "+role], right+string(r.Text(4)))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading who may do what: %w", err)
	}
	for _, at := range slices.Sorted(maps.Keys(more)) {
		v.findings.add(finding{code: ControlWeakened, seq: noSeq, stored: strings.Join(more[at], ", ") + " on " + at, recomputed: "not granted"})
	}
	for _, sql := range ofRoles {
		err := db.Scan(ctx, sql, nil, func(r *store.Row) error {
			v.findings.add(finding{code: ControlWeakened, seq: noSeq, stored: fmt.Sprintf("%s: %s", r.Text(0), r.Text(1)), recomputed: "a role without more than its grants"})
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading the attributes of roles: %w", err)
		}
	}
	return nil
}

// mayBe reports whether a role has a right on a table by the migrations.
func mayBe(name, role, right string) bool {
	t := tableNamed(name)
	if t == nil {
		return false
	}
	letter, ok := map[string]string{"select": "s", "insert": "i", "update": "u", "delete": "d"}[right]
	if !ok {
		return false
	}
	granted := map[store.Role]string{
		store.RoleApp: t.app, store.RoleSigner: t.signer, store.RoleAuditor: "s", store.RoleEraser: t.eraser,
	}
	return strings.Contains(granted[store.Role(role)], letter)
}
