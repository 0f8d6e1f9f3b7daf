/*
 * job_checkpoint.c
 *		The state of an unfinished training in the catalog.
 *
 * The state goes out and in by pieces, so that it takes no second copy in memory and an
 * interrupt is served between any two.  Every piece has a fingerprint of its own.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"

#include "core/encoder_checkpoint.h"
#include "pg/job_checkpoint.h"
#include "pg/progress.h"
#include "pg/reader.h"
#include "pg/writer.h"

#define PART_BYTES ((size_t) 1024 * 1024)

/* The row that the parts belong to. */
static void
write_header(int64 run_id, EncoderTraining *training, size_t size)
{
	int			epochs;
	int64_t		steps;
	Oid			types[] = {INT8OID, INT4OID, INT8OID, INT8OID};
	Datum		values[4];

	encoder_position(training, &epochs, &steps);
	values[0] = Int64GetDatum(run_id);
	values[1] = Int32GetDatum(epochs);
	values[2] = Int64GetDatum(steps);
	values[3] = Int64GetDatum((int64) size);
	write_rows("DELETE FROM behavpred.training_checkpoint WHERE run_id OPERATOR(pg_catalog.=) $1",
			   1, types, values, NULL);
	write_rows("INSERT INTO behavpred.training_checkpoint (run_id, owner, epochs, steps, bytes) "
			   "SELECT run_id, owner, $2, $3, $4 FROM behavpred.training_run WHERE run_id OPERATOR(pg_catalog.=) $1",
			   lengthof(types), types, values, NULL);
}

/* One piece as a row. */
static void
write_part(int64 run_id, int part, bytea *data)
{
	int64		fingerprint = (int64) fingerprint_bytes(part, VARDATA(data), VARSIZE(data) - VARHDRSZ);
	Oid			types[] = {INT8OID, INT4OID, INT8OID, BYTEAOID};
	Datum		values[] = {
		Int64GetDatum(run_id), Int32GetDatum(part), Int64GetDatum(fingerprint), PointerGetDatum(data)
	};

	write_rows("INSERT INTO behavpred.training_checkpoint_part (run_id, owner, part, fingerprint, data) "
			   "SELECT run_id, owner, $2, $3, $4 FROM behavpred.training_checkpoint "
			   "WHERE run_id OPERATOR(pg_catalog.=) $1", lengthof(types), types, values, NULL);
}

/* See job_checkpoint.h. */
uint64
job_checkpoint_write(int64 run_id, EncoderTraining *training)
{
	size_t		size = encoder_state_size(training);
	bytea	   *data = palloc(VARHDRSZ + PART_BYTES);
	int			part = 0;

	write_header(run_id, training, size);
	for (size_t first = 0; first < size; first += PART_BYTES)
	{
		size_t		count = Min(PART_BYTES, size - first);

		progress_phase("writing a checkpoint", first, size);
		CHECK_FOR_INTERRUPTS();
		SET_VARSIZE(data, VARHDRSZ + count);
		encoder_state_take(training, first, count, VARDATA(data));
		write_part(run_id, part++, data);
	}
	pfree(data);
	return size;
}

typedef struct Reading
{
	int64		run_id;
	EncoderTraining *training;
	size_t		size;
	size_t		first;			/* bytes that are there */
	int			part;			/* the next */
} Reading;

/* The rows are not those that a checkpoint of this training has. */
static void
refuse(const Reading *reading)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the checkpoint of run " INT64_FORMAT " is damaged", reading->run_id),
			 errdetail("Part %d is missing or not as it was written.", reading->part),
			 errhint("It has been dropped: run the statement again to start afresh.")));
}

/* Row function: one piece. */
static void
take_part(void *argument, Datum *values, bool *nulls)
{
	Reading    *reading = argument;
	bytea	   *data = DatumGetByteaPP(values[2]);
	size_t		count = VARSIZE_ANY_EXHDR(data);

	progress_phase("reading the checkpoint", reading->first, reading->size);
	if (DatumGetInt32(values[0]) != reading->part || count > reading->size - reading->first ||
		(int64) fingerprint_bytes(reading->part, VARDATA_ANY(data), count) != DatumGetInt64(values[1]))
		refuse(reading);
	encoder_state_put(reading->training, reading->first, count, VARDATA_ANY(data));
	reading->first += count;
	reading->part++;
}

/* See job_checkpoint.h. */
void
job_checkpoint_read(int64 run_id, EncoderTraining *training)
{
	Reading		reading = {run_id, training, encoder_state_size(training), 0, 0};
	Oid			type = INT8OID;
	Datum		value = Int64GetDatum(run_id);

	read_rows("SELECT part, fingerprint, data FROM behavpred.training_checkpoint_part "
			  "WHERE run_id OPERATOR(pg_catalog.=) $1 ORDER BY part", 1, &type, &value, NULL, take_part, &reading);
	if (reading.first != reading.size)
		refuse(&reading);
	encoder_state_accept(training);
}
