/*
 * privileges.c
 *		Who may do what with a graph or a target.
 *
 * Grants stand in behavpred.granted_privilege since version 0.2 of the SQL objects; before
 * an upgrade there is none, and nothing but ownership counts.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/privileges.h"
#include "pg/writer.h"

static const char *const privilege_words[] = {"none", "predict", "read", "train"};

/* See privileges.h. */
const char *
privilege_word(Privilege privilege)
{
	return privilege_words[privilege];
}

/* See privileges.h. */
bool
is_current_role(const char *role)
{
	return strcmp(role, GetUserNameFromId(GetUserId(), false)) == 0;
}

/* False for the SQL objects of version 0.1. */
static bool
grants_exist(void)
{
	Oid			schema = get_namespace_oid("behavpred", true);

	return OidIsValid(schema) && OidIsValid(get_relname_relid("granted_privilege", schema));
}

/* See privileges.h. */
Privilege
granted_privilege(const ProtectedObject *object)
{
	Datum		owner = DirectFunctionCall1(namein, CStringGetDatum(object->owner));
	Datum		target = object->target == NULL ? (Datum) 0 : CStringGetTextDatum(object->target);

	if (superuser() || !grants_exist())
		return PRIVILEGE_NONE;
	return granted_level(owner, CStringGetTextDatum(object->graph), target, object->target != NULL, false);
}

/* Complain that only the owner may. */
static void
refuse_others(const ProtectedObject *object, const char *kind, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("%s \"%s\" is owned by \"%s\"", kind, name, object->owner),
			 errdetail("Its sources are read as its owner only."),
			 errhint("SET ROLE %s;", quote_identifier(object->owner))));
}

/* See privileges.h. */
void
require_privilege(const ProtectedObject *object, Privilege needed)
{
	const char *kind = object->target == NULL ? "graph" : "target";
	const char *name = object->target == NULL ? object->graph : object->target;
	Privilege	held;

	if (is_current_role(object->owner))
		return;
	held = granted_privilege(object);
	if (held >= needed)
		return;
	if (needed == PRIVILEGE_OWN || held == PRIVILEGE_NONE)
		refuse_others(object, kind, name);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for %s \"%s\"", kind, name),
			 errdetail("Its owner \"%s\" has granted you %s, this needs %s.", object->owner, privilege_words[held],
					   privilege_words[needed]),
			 errhint("The owner can type: SELECT behavpred.grant_on('%s', %s, '%s', %s);", kind,
					 quote_literal_cstr(name), privilege_words[needed],
					 quote_literal_cstr(GetUserNameFromId(GetUserId(), false)))));
}

/* See privileges.h. */
void
require_writable(const char *function)
{
	if (!XactReadOnly)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
			 errmsg("cannot execute %s in a read-only transaction", function),
			 RecoveryInProgress() ?
			 errhint("This server is a standby: run it on the primary, what it writes will arrive here.") :
			 errhint("Begin a transaction that is READ WRITE; default_transaction_read_only may be on.")));
}

/* See privileges.h. */
void
renew_embedding_grants(const char *graph, const char *owner)
{
	Oid			type = TEXTOID;
	Datum		name = CStringGetTextDatum(graph);

	if (is_current_role(owner) && grants_exist())
		write_rows("SELECT behavpred.renew_grants($1)", 1, &type, &name, NULL);
}
