/*
 * wording.c
 *		Numbers as messages print them.
 */
#include "postgres.h"

#include "pg/wording.h"

/* Commas after each three digits, whatever the locale: messages are English. */
char *
format_count(int64 count)
{
	char		digits[32];
	char	   *result = palloc(sizeof(digits) * 2);
	char	   *out = result;
	int			length = snprintf(digits, sizeof(digits), INT64_FORMAT, count);
	int			first = digits[0] == '-' ? 1 : 0;

	for (int i = 0; i < length; i++)
	{
		if (i > first && (length - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
	return result;
}

/* Two significant places from 1 MB on are enough to choose a setting by. */
char *
format_bytes(uint64 bytes)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
	double		size = bytes / 1024.0;
	int			unit = 0;

	while (size >= 1024.0 && unit < (int) lengthof(units) - 1)
	{
		size /= 1024.0;
		unit++;
	}
	if (size < 10.0 && unit > 0 && size != (int) size)
		return psprintf("%.1f %s", size, units[unit]);
	return psprintf("%.0f %s", size, units[unit]);
}

/* A count and its noun; all our nouns form their plural with "s". */
char *
format_counted(int64 count, const char *noun)
{
	return psprintf("%s %s%s", format_count(count), noun, count == 1 ? "" : "s");
}
