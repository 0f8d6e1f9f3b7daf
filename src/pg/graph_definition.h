/*
 * graph_definition.h
 *		What registered_graph holds of one graph, and the SQL that reads its sources.
 */
#ifndef BEHAVPRED_GRAPH_DEFINITION_H
#define BEHAVPRED_GRAPH_DEFINITION_H

#include "postgres.h"

#include "utils/array.h"

#include "pg/privileges.h"
#include "pg/source.h"

/* One row of registered_graph. Strings are in the memory context of the caller of
 * graph_definition_read(); NULL where the catalog has NULL. */
typedef struct GraphDefinition
{
	char	   *name;
	char	   *owner;
	char	   *interactions;	/* quoted and schema-qualified, as all relations here */
	char	   *user_column;	/* names are unquoted */
	char	   *object_column;
	Oid			user_key_type;
	Oid			object_key_type;
	char	   *behavior_column;
	ArrayType  *behaviors;		/* text[] */
	char	   *value_column;
	bool		has_min_value;
	double		min_value;
	char	   *weight_column;
	char	   *time_column;
	char	   *since;			/* interval as text */
	char	   *half_life;		/* interval as text: weights fade */
	bool		has_until;
	double		until;			/* interactions from this second since 1970 on are left out */
	char	   *users;			/* feature table of users */
	ArrayType  *user_features;	/* name[] */
	char	   *objects;
	ArrayType  *object_features;
	int			max_degree;		/* 0 = none */
	bool		apply_row_security;
	char	   *user_embeddings;	/* NULL before the first training */
	char	   *object_embeddings;
	int64		trained_run;	/* 0 before the first training */

	/* By set_behaviors(); NULL and false when it has said nothing. */
	ArrayType  *behavior_weights;	/* float8[], one for each of behaviors */
	ArrayType  *predicted;		/* text[], the behaviors to be predicted */
	bool		typed;			/* the network tells them apart */
} GraphDefinition;

/* The graph of this name; ERRCODE_UNDEFINED_OBJECT with a hint when it is not there or
 * not visible to the caller. */
extern GraphDefinition *graph_definition_read(const char *name);

/* The same, and ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, hint train_graph(), when it has
 * no embeddings or their tables are gone. */
extern GraphDefinition *graph_definition_trained(const char *name);

/*
 * The same, and ERRCODE_INSUFFICIENT_PRIVILEGE unless the caller owns it or has been
 * granted the privilege: for whatever reads the sources, see privileges.h.
 */
extern GraphDefinition *graph_definition_for(const char *name, Privilege privilege);

/* The same for what its owner alone may do. */
extern GraphDefinition *graph_definition_owned(const char *name);

/*
 * OID of the table that a graph's embeddings were written to, InvalidOid when the name
 * leads to nothing or to what embedding_columns_fit() refuses.  Locks the table as reading
 * it does, so that the name keeps its meaning until the end of the transaction.
 */
extern Oid	embedding_table_find(const char *table, const char *key_column, Oid key_type);

/* True when its interactions have weights. */
extern bool graph_is_weighted(const GraphDefinition *definition);

/* The same graph without its cut and its window: for what happens after the cut. */
extern GraphDefinition graph_definition_after(const GraphDefinition *definition);

/* The cut as an expression in SQL, that moment or now. */
extern char *graph_cut(const GraphDefinition *definition);

/*
 * SELECT user, object [, weight] FROM interactions WHERE behaviour, value, time filters; of several
 * behaviours those to be predicted.
 * Filters stand as parameters: *n, *types, *values receive them, in arrays with room for
 * GRAPH_QUERY_SPARE more.  `extra` (may be NULL) is one more condition, which may use
 * parameters from $(*n + 1) on.  Checks that relation and columns are still there and
 * that the keys still have the type of the graph.
 */
#define GRAPH_QUERY_SPARE 4
extern char *graph_interactions_query(const GraphDefinition *definition, const char *extra,
									  int *n, Oid **types, Datum **values);

/*
 * SELECT user, object, weight, number of the behaviour FROM interactions of all behaviours, after
 * set_behaviors() has said what they count: in the weight unless the network tells them apart.  `extra` as in
 * graph_interactions_query().
 */
extern char *graph_behaviors_query(const GraphDefinition *definition, const char *extra,
								   int *n, Oid **types, Datum **values);

/*
 * SELECT user, object, number of the behaviour FROM interactions of all behaviours.  `extra` as in
 * graph_interactions_query().
 */
extern char *graph_links_query(const GraphDefinition *definition, const char *extra,
							   int *n, Oid **types, Datum **values);

/* Words of a text[] without NULL; the list ends with a NULL, *n (may be NULL) does not count it. */
extern char **text_array_words(ArrayType *array, int *n);

/* The behaviours to be predicted as a set of bits, the first for behaviors[0]; at most 8 of them. */
extern int	graph_predicted_set(const GraphDefinition *definition);

/* SELECT <select> FROM interactions WHERE, with the same filters, parameters and checks. */
extern char *graph_filtered_query(const GraphDefinition *definition, const char *select, const char *extra,
								  int *n, Oid **types, Datum **values);

/*
 * The column that holds keys in a feature table: `column`, else the only column of the
 * primary key.  Checks that its type matches key_type; `argument` names the relation's
 * argument.
 */
extern char *feature_key_column(Oid relation, const char *column, Oid key_type, const char *argument);

/* The column that holds user keys in a relation of users (seeds, candidates): the one
 * named like the graph's user column, else the only one; error otherwise, with the
 * columns in DETAIL.  Checks that its type is a key type that casts to the graph's. */
extern char *user_key_column(const GraphDefinition *definition, Oid relation, const char *what);

#endif
