/*
 * options.c
 *		Arguments that are JSON objects, and the help for a mistyped word.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_proc.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "pg/options.h"

#define MOST_LETTERS_WRONG 4
#define LONGEST_WORD 255		/* longer ones are not compared */

/* The nearest name, when at most 4 letters and about half of the word differ. */
static const char *
options_nearest(const char *word, const char *const *names)
{
	int			length = (int) strlen(word);
	int			nearest = Min(MOST_LETTERS_WRONG, (length + 1) / 2);
	const char *result = NULL;

	if (length > LONGEST_WORD)
		return NULL;
	for (; *names != NULL; names++)
	{
		int			distance;

		if (strlen(*names) > LONGEST_WORD)
			continue;
		distance = varstr_levenshtein_less_equal(word, length, *names, (int) strlen(*names),
												 1, 1, 1, nearest, false);
		if (distance > nearest || (result != NULL && distance == nearest))
			continue;
		nearest = distance;
		result = *names;
	}
	return result;
}

/* What to type instead of `word`. */
char *
options_hint(const char *word, const char *const *names)
{
	const char *nearest = options_nearest(word, names);
	StringInfoData list;

	if (nearest != NULL)
		return psprintf("Did you mean \"%s\"?", nearest);

	initStringInfo(&list);
	for (const char *const *name = names; *name != NULL; name++)
		appendStringInfo(&list, "%s%s", name == names ? "" : ", ", *name);
	return psprintf("Choose one of: %s.", list.data);
}

/* Index of `word` in `choices`. */
int
options_choice(const char *what, const char *word, const char *const *choices)
{
	for (int i = 0; choices[i] != NULL; i++)
		if (strcmp(choices[i], word) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized %s \"%s\"", what, word),
			 errhint("%s", options_hint(word, choices))));
}

/* What is being read: the argument, and what its members are called. */
typedef struct ObjectArgument
{
	const char *name;
	const char *noun;
	const Option *options;
	FunctionCallInfo fcinfo;	/* the call that it is an argument of, or NULL */
} ObjectArgument;

/* Has the called function an argument of this name? */
static bool
is_argument(FunctionCallInfo fcinfo, const char *name)
{
	HeapTuple	function = SearchSysCache1(PROCOID, ObjectIdGetDatum(fcinfo->flinfo->fn_oid));
	bool		found = false;
	Oid		   *types;
	char	  **names;
	char	   *modes;
	int			n;

	if (!HeapTupleIsValid(function))
		elog(ERROR, "cache lookup failed for function %u", fcinfo->flinfo->fn_oid);
	n = get_func_arg_info(function, &types, &names, &modes);
	for (int i = 0; i < n && names != NULL && !found; i++)
		found = (modes == NULL || modes[i] == PROARGMODE_IN) && strcmp(names[i], name) == 0;
	ReleaseSysCache(function);
	return found;
}

/* Is there an option of this name? */
static bool
is_option(const Option *options, const char *name)
{
	while (options->name != NULL && strcmp(options->name, name) != 0)
		options++;
	return options->name != NULL;
}

/* The option of this name. */
static const Option *
find_option(const ObjectArgument *argument, const char *name)
{
	const Option *options = argument->options;
	int			n = 0;
	const char **names;

	while (options[n].name != NULL)
		n++;
	names = palloc0((n + 1) * sizeof(char *));
	for (int i = 0; i < n; i++)
		names[i] = options[i].name;
	if (argument->fcinfo != NULL && !is_option(options, name) && is_argument(argument->fcinfo, name))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is an argument, not an option", name),
				 errhint("Write it beside %s, as in: %s => ...", argument->name, name)));
	return &options[options_choice(argument->noun, name, names)];
}

/* Complain that a value is not what the option takes. */
static void
wrong_type(const ObjectArgument *argument, const Option *option, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s \"%s\" must be %s", argument->noun, option->name, expected),
			 errhint("Write it as in: %s => '{\"%s\": ...}'.", argument->name, option->name)));
}

/* A number in the option's range, whole when it has to be. */
static double
number_in_range(const ObjectArgument *argument, const Option *option, const JsonbValue *value)
{
	double		number;

	if (value->type != jbvNumeric)
		wrong_type(argument, option, "a number");
	number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
												NumericGetDatum(value->val.numeric)));
	if (option->type == OPTION_INT && number != floor(number))
		wrong_type(argument, option, "a whole number");
	if (!(number >= option->minimum && number <= option->maximum))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s \"%s\" is out of range: %.10g", argument->noun, option->name, number),
				 errdetail("The range is %.10g to %.10g.", option->minimum, option->maximum),
				 errhint("Give a value in this range, or leave the %s out for its default.", argument->noun)));
	return number;
}

/* Keep the value of one option. */
static void
store_option(const ObjectArgument *argument, const Option *option, const JsonbValue *value)
{
	switch (option->type)
	{
		case OPTION_INT:
			*(int *) option->value = (int) number_in_range(argument, option, value);
			break;
		case OPTION_FLOAT:
			*(float *) option->value = (float) number_in_range(argument, option, value);
			break;
		case OPTION_BOOL:
			if (value->type != jbvBool)
				wrong_type(argument, option, "true or false");
			*(bool *) option->value = value->val.boolean;
			break;
		case OPTION_CHOICE:
			if (value->type != jbvString)
				wrong_type(argument, option, "a word");
			*(int *) option->value = options_choice(option->name,
													pnstrdup(value->val.string.val, value->val.string.len),
													option->choices);
			break;
	}
}

/* Read the members of an argument. */
static void
read_members(Jsonb *json, ObjectArgument argument)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	const Option *option = NULL;

	if (json == NULL)
		return;
	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a JSON object", argument.name),
				 errhint("Write them as in: %s => '{\"%s\": ...}'.", argument.name, argument.options[0].name)));

	iterator = JsonbIteratorInit(&json->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			option = find_option(&argument, pnstrdup(value.val.string.val, value.val.string.len));
		else if (token == WJB_VALUE)
			store_option(&argument, option, &value);
	}
}

/* See options.h. */
void
options_read_as(Jsonb *json, const char *name, const char *noun, const Option *options)
{
	read_members(json, (ObjectArgument) {.name = name, .noun = noun, .options = options});
}

/* See options.h. */
void
options_read(FunctionCallInfo fcinfo, Jsonb *json, const Option *options)
{
	read_members(json, (ObjectArgument) {.name = "options", .noun = "option", .options = options, .fcinfo = fcinfo});
}
