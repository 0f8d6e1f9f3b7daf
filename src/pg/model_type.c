/*
 * model_type.c
 *		The SQL type behavpred.model, score() and logit().
 *
 * A model is the encoded student with a varlena header; as text it is the same bytes in
 * hex.  Whatever comes in from outside is decoded once, so that no value of the type can
 * hold bytes that do not decode.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "pg/bridge.h"
#include "pg/embedding_storage.h"
#include "pg/model_cache.h"
#include "pg/model_value.h"

PG_FUNCTION_INFO_V1(behavpred_model_in);
PG_FUNCTION_INFO_V1(behavpred_model_out);
PG_FUNCTION_INFO_V1(behavpred_model_recv);
PG_FUNCTION_INFO_V1(behavpred_model_send);
PG_FUNCTION_INFO_V1(behavpred_score);
PG_FUNCTION_INFO_V1(behavpred_logit);

/* Refuse bytes that do not decode. */
static void
check_model(bytea *value)
{
	Core	   *core = bridge_open(1);
	Student		student;
	Arena		arena;

	arena_open(&arena, core);
	student_from_model(&arena, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), &student);
	bridge_close(core);
}

/* "\x" and pairs of digits, nothing else. */
static bool
is_hexadecimal(const char *text, size_t length)
{
	return length % 2 == 0 && strncmp(text, "\\x", 2) == 0 &&
		strspn(text + 2, "0123456789abcdefABCDEF") == length - 2;
}

/* '\x...' */
Datum
behavpred_model_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	size_t		length = strlen(text);
	bytea	   *value;

	if (!is_hexadecimal(text, length))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type behavpred.model"),
				 errdetail("The text of a model is \\x and an even number of hexadecimal digits; this has %zu characters.",
						   length),
				 errhint("Models are made by behavpred.train_target(); copy the whole text of one.")));
	value = palloc(length / 2 + VARHDRSZ);
	SET_VARSIZE(value, hex_decode(text + 2, length - 2, VARDATA(value)) + VARHDRSZ);
	check_model(value);
	PG_RETURN_BYTEA_P(value);
}

Datum
behavpred_model_out(PG_FUNCTION_ARGS)
{
	bytea	   *value = PG_GETARG_BYTEA_PP(0);
	size_t		length = VARSIZE_ANY_EXHDR(value);
	char	   *text = palloc(2 * length + 3);

	text[0] = '\\';
	text[1] = 'x';
	text[2 + hex_encode(VARDATA_ANY(value), length, text + 2)] = '\0';
	PG_RETURN_CSTRING(text);
}

Datum
behavpred_model_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			length = message->len - message->cursor;
	bytea	   *value = palloc(length + VARHDRSZ);

	SET_VARSIZE(value, length + VARHDRSZ);
	pq_copymsgbytes(message, VARDATA(value), length);
	check_model(value);
	PG_RETURN_BYTEA_P(value);
}

Datum
behavpred_model_send(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(PG_GETARG_BYTEA_P_COPY(0));
}

/* score(model, embedding): the probability; the model is decoded once for many rows. */
Datum
behavpred_score(PG_FUNCTION_ARGS)
{
	const Student *student = model_cache_student(fcinfo->flinfo, PG_GETARG_DATUM(0));
	int			width;
	const float *vector = embedding_from_datum(PG_GETARG_DATUM(1), &width);

	PG_RETURN_FLOAT8(model_probability(student, vector, width));
}

/* logit(model, embedding): what the probability is made of, before calibration. */
Datum
behavpred_logit(PG_FUNCTION_ARGS)
{
	const Student *student = model_cache_student(fcinfo->flinfo, PG_GETARG_DATUM(0));
	int			width;
	const float *vector = embedding_from_datum(PG_GETARG_DATUM(1), &width);

	PG_RETURN_FLOAT8(model_logit(student, vector, width));
}
