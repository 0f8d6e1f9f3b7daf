/*
 * portable_model.c
 *		A model with all that another server needs; the layout stands in portable_model.h.
 */
#include "core/portable_model.h"

#include "core/byte_format.h"

#include <string.h>

#define MAGIC "BPX1"
#define FORMAT_VERSION 1
#define FIXED_LENGTH (HEAD_LENGTH + GRAPH_IDENTITY_LENGTH + 8 + 4 + 4)

/* See portable_model.h. */
size_t
portable_model_size(const PortableModel *model)
{
	size_t		size = FIXED_LENGTH;

	for (int i = 0; i < PORTABLE_PARTS; i++)
	{
		if (model->parts[i].length > INT32_MAX - 4 - size)
			return 0;
		size += 4 + model->parts[i].length;
	}
	return size;
}

/* See portable_model.h. */
void
portable_model_write(const PortableModel *model, void *bytes)
{
	ByteWriter	writer = {(unsigned char *) bytes + HEAD_LENGTH};

	bytes_write_block(&writer, model->graph_identity, GRAPH_IDENTITY_LENGTH);
	bytes_write_number(&writer, (uint64_t) model->graph_run, 8);
	bytes_write_number(&writer, (uint64_t) model->version, 4);
	bytes_write_number(&writer, (uint64_t) model->width, 4);
	for (int i = 0; i < PORTABLE_PARTS; i++)
	{
		bytes_write_number(&writer, model->parts[i].length, 4);
		bytes_write_block(&writer, model->parts[i].bytes, model->parts[i].length);
	}
	bytes_write_head(bytes, MAGIC, FORMAT_VERSION, portable_model_size(model));
}

/* Every part, and nothing behind the last. */
static CoreStatus
read_parts(ByteReader *reader, PortableModel *model)
{
	for (int i = 0; i < PORTABLE_PARTS; i++)
	{
		model->parts[i].length = (size_t) bytes_read_number(reader, 4);
		model->parts[i].bytes = bytes_read_block(reader, model->parts[i].length);
	}
	if (reader->short_of_bytes)
		return core_fail(reader->core, CORE_CORRUPT, "its parts are longer than its bytes");
	if (reader->left > 0)
		return core_fail(reader->core, CORE_CORRUPT, "%zu bytes stand behind its last part", reader->left);
	for (int i = 0; i < PORTABLE_MODEL; i++)
		if (memchr(model->parts[i].bytes, '\0', model->parts[i].length) != NULL)
			return core_fail(reader->core, CORE_CORRUPT, "part %d has a zero byte in its text", i + 1);
	return CORE_OK;
}

/* See portable_model.h. */
CoreStatus
portable_model_read(Core *core, const void *bytes, size_t length, PortableModel *model)
{
	ByteReader	reader = {core, bytes, length, false};
	const void *identity;

	*model = (PortableModel) {0};
	if (bytes_read_head(&reader, bytes, length, MAGIC, FORMAT_VERSION, "portable model") != CORE_OK)
		return core->status;
	identity = bytes_read_block(&reader, GRAPH_IDENTITY_LENGTH);
	if (identity != NULL)
		memcpy(model->graph_identity, identity, GRAPH_IDENTITY_LENGTH);
	model->graph_run = (int64_t) bytes_read_number(&reader, 8);
	model->version = (int) (int32_t) bytes_read_number(&reader, 4);
	model->width = (int) (int32_t) bytes_read_number(&reader, 4);
	if (read_parts(&reader, model) != CORE_OK)
		return core->status;
	if (model->version < 1 || model->width < 1)
		return core_fail(core, CORE_CORRUPT, "version %d or width %d is below 1", model->version, model->width);
	return CORE_OK;
}
