/*
 * options.h
 *		Arguments that are JSON objects: typed access, unknown keys refused.
 */
#ifndef BEHAVPRED_OPTIONS_H
#define BEHAVPRED_OPTIONS_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"

typedef enum OptionType
{
	OPTION_INT,					/* int * */
	OPTION_FLOAT,				/* float * */
	OPTION_BOOL,				/* bool * */
	OPTION_CHOICE				/* int *: index into choices */
} OptionType;

typedef struct Option
{
	const char *name;
	OptionType	type;
	void	   *value;			/* where to store it; untouched when the key is absent */
	double		minimum;		/* numbers: inclusive range */
	double		maximum;
	const char *const *choices;	/* OPTION_CHOICE: NULL-terminated */
} Option;

/*
 * Read `json` (may be NULL) into the given options (ended by a NULL name).  Errors, all
 * ERRCODE_INVALID_PARAMETER_VALUE: not an object; unrecognized option "x" (hint: Did you
 * mean "y"?, or the list, or that it is an argument of the function that `fcinfo` calls, which
 * may be NULL); wrong type; out of range (detail with the range).
 */
extern void options_read(FunctionCallInfo fcinfo, Jsonb *json, const Option *options);

/* The same for an argument of another name, whose members have another noun in messages. */
extern void options_read_as(Jsonb *json, const char *name, const char *noun, const Option *options);

/* What to type instead of `word`: Did you mean "..."?, or the list of names. */
extern char *options_hint(const char *word, const char *const *names);

/* Index of `word` in `choices`; else error: unrecognized <what> "word", with hint. */
extern int	options_choice(const char *what, const char *word, const char *const *choices);

#endif
