/*
 * student_format.c
 *		A student as bytes and back; the layout stands in student_format.h.
 *
 * Numbers are written byte by byte, so the bytes are the same on every machine, and no
 * alignment is asked of them.  The reader never looks past the length it was given, and
 * allocates only what the bytes that are there can fill.
 */
#include "core/student_format.h"

#include "core/byte_format.h"

#include <math.h>
#include <string.h>

#define MAGIC "BPM1"
#define FORMAT_VERSION 1

static bool
has_points(CalibrationKind calibration)
{
	return calibration == CALIBRATION_ISOTONIC || calibration == CALIBRATION_PLATT_LEVEL;
}

static uint32_t
curve_points(const Student *student)
{
	return has_points(student->calibration) ? (uint32_t) student->curve.n_points : 0;
}

/* Bytes of a student with this shape; all counts are within their limits. */
static size_t
encoded_size(int n_layers, uint32_t points, int64_t n_parameters)
{
	return HEAD_LENGTH + 2 + 2 + 4 * ((size_t) n_layers + 1) + 4 * 8 + 4 +
		8 * (size_t) points + 4 * (size_t) n_parameters;
}

size_t
student_encoded_size(const Student *student)
{
	return encoded_size(student->n_layers, curve_points(student),
						student_parameter_count(student->n_layers, student->widths));
}

void
student_encode(const Student *student, void *bytes)
{
	size_t		length = student_encoded_size(student);
	uint32_t	points = curve_points(student);
	ByteWriter	writer = {(unsigned char *) bytes + HEAD_LENGTH};

	bytes_write_number(&writer, (uint64_t) student->n_layers, 2);
	bytes_write_number(&writer, student->calibration, 2);
	for (int layer = 0; layer <= student->n_layers; layer++)
		bytes_write_number(&writer, (uint64_t) student->widths[layer], 4);
	bytes_write_double(&writer, student->scale);
	bytes_write_double(&writer, student->offset);
	bytes_write_double(&writer, student->prior_shift);
	bytes_write_double(&writer, student->base_rate);
	bytes_write_number(&writer, points, 4);
	bytes_write_floats(&writer, student->curve.thresholds, points);
	bytes_write_floats(&writer, student->curve.values, points);
	bytes_write_floats(&writer, student->parameters, student_parameter_count(student->n_layers, student->widths));

	bytes_write_head(bytes, MAGIC, FORMAT_VERSION, length);
}

/* Read `n` numbers, which are known to be there; a refusal when one is not finite. */
static CoreStatus
read_floats(ByteReader *reader, Arena *arena, int64_t n, const char *what, float **values)
{
	*values = arena_floats(arena, (size_t) n);
	if (*values == NULL)
		return reader->core->status;
	for (int64_t i = 0; i < n; i++)
	{
		uint32_t	bits = (uint32_t) bytes_read_number(reader, 4);

		memcpy(&(*values)[i], &bits, sizeof(bits));
		if (!isfinite((*values)[i]))
			return core_fail(reader->core, CORE_CORRUPT, "%s %lld is not finite", what, (long long) (i + 1));
	}
	return CORE_OK;
}

/* Layers and widths. */
static CoreStatus
read_shape(ByteReader *reader, Student *student)
{
	Core	   *core = reader->core;
	uint64_t	layers = bytes_read_number(reader, 2);
	uint64_t	calibration = bytes_read_number(reader, 2);

	if (layers < 1 || layers > STUDENT_MAX_HIDDEN + 1)
		return core_fail(core, CORE_CORRUPT, "the model has %llu layers, there may be 1 .. %d",
						 (unsigned long long) layers, STUDENT_MAX_HIDDEN + 1);
	if (calibration > CALIBRATION_PLATT_LEVEL)
		return core_fail(core, CORE_CORRUPT, "calibration %llu is not known", (unsigned long long) calibration);
	student->n_layers = (int) layers;
	student->calibration = (CalibrationKind) calibration;
	for (int layer = 0; layer <= student->n_layers; layer++)
	{
		uint64_t	width = bytes_read_number(reader, 4);
		uint64_t	most = layer == 0 ? STUDENT_MAX_WIDTH :
			layer == student->n_layers ? 1 : STUDENT_MAX_HIDDEN_WIDTH;

		if (width < 1 || width > most)
			return core_fail(core, CORE_CORRUPT, "width %d is %llu, it may be 1 .. %llu", layer,
							 (unsigned long long) width, (unsigned long long) most);
		student->widths[layer] = (int) width;
	}
	return CORE_OK;
}

/* The four doubles and the number of curve points; then the length is fully known. */
static CoreStatus
read_calibration(ByteReader *reader, size_t length, Student *student)
{
	Core	   *core = reader->core;
	int64_t		n_parameters = student_parameter_count(student->n_layers, student->widths);
	uint32_t	points;

	student->scale = bytes_read_double(reader);
	student->offset = bytes_read_double(reader);
	student->prior_shift = bytes_read_double(reader);
	student->base_rate = bytes_read_double(reader);
	points = (uint32_t) bytes_read_number(reader, 4);
	if (!isfinite(student->scale) || !isfinite(student->offset) || !isfinite(student->prior_shift) ||
		!(student->base_rate >= 0.0 && student->base_rate <= 1.0))
		return core_fail(core, CORE_CORRUPT, "scale %g, offset %g, prior shift %g or base rate %g is out of range",
						 student->scale, student->offset, student->prior_shift, student->base_rate);
	if ((points > 0) != has_points(student->calibration) || points > INT32_MAX ||
		(student->calibration == CALIBRATION_PLATT_LEVEL && points != 1))
		return core_fail(core, CORE_CORRUPT, "calibration %d has %u curve points",
						 (int) student->calibration, points);
	if (reader->short_of_bytes || length != encoded_size(student->n_layers, points, n_parameters))
		return core_fail(core, CORE_CORRUPT, "%zu bytes are not the length of a model with %lld parameters"
						 " and %u curve points", length, (long long) n_parameters, points);
	student->curve.n_points = (int) points;
	return CORE_OK;
}

/* A curve must rise, and stay inside (0, 1). */
static CoreStatus
check_curve(Core *core, const IsotonicCurve *curve)
{
	for (int i = 0; i < curve->n_points; i++)
	{
		if (!(curve->values[i] > 0.0f && curve->values[i] < 1.0f))
			return core_fail(core, CORE_CORRUPT, "value %d of the curve is %g", i + 1, curve->values[i]);
		if (i > 0 && (curve->thresholds[i] <= curve->thresholds[i - 1] || curve->values[i] < curve->values[i - 1]))
			return core_fail(core, CORE_CORRUPT, "point %d of the curve does not rise", i + 1);
	}
	return CORE_OK;
}

/* See student_format.h. */
CoreStatus
student_decode(Core *core, Arena *arena, const void *bytes, size_t length, Student *student)
{
	ByteReader	reader = {core, bytes, length, false};

	*student = (Student) {0};
	if (bytes_read_head(&reader, bytes, length, MAGIC, FORMAT_VERSION, "model") != CORE_OK ||
		read_shape(&reader, student) != CORE_OK ||
		read_calibration(&reader, length, student) != CORE_OK ||
		read_floats(&reader, arena, student->curve.n_points, "curve threshold", &student->curve.thresholds) != CORE_OK ||
		read_floats(&reader, arena, student->curve.n_points, "curve value", &student->curve.values) != CORE_OK)
		return core->status;
	if (check_curve(core, &student->curve) != CORE_OK)
		return core->status;
	return read_floats(&reader, arena, student_parameter_count(student->n_layers, student->widths),
					   "parameter", &student->parameters);
}
