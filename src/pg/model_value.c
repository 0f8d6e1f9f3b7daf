/*
 * model_value.c
 *		A trained student as a value of the SQL type behavpred.model, and back.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "core/student_format.h"
#include "pg/bridge.h"
#include "pg/model_value.h"
#include "pg/server_versions.h"

/* Looked up by name: the type's OID differs between databases. */
Oid
model_type_oid(void)
{
	Oid			schema = get_namespace_oid("behavpred", false);

	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("model"), ObjectIdGetDatum(schema));
}

/* Encode. */
bytea *
model_from_student(const Student *student)
{
	size_t		size = student_encoded_size(student);
	bytea	   *value;

	if (size > MaxAllocSize - VARHDRSZ)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the model is too large to be stored"),
				 errdetail("It has %zu bytes, a value may have %zu.", size, (size_t) MaxAllocSize - VARHDRSZ),
				 errhint("Use fewer or narrower hidden layers.")));
	value = palloc0(size + VARHDRSZ);
	SET_VARSIZE(value, size + VARHDRSZ);
	student_encode(student, VARDATA(value));
	return value;
}

/* Decode. */
void
student_from_model(Arena *arena, const char *bytes, size_t length, Student *student)
{
	student_decode(arena->core, arena, bytes, length, student);
	bridge_check(arena->core, "reading a model");
}
