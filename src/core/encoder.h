/*
 * encoder.h
 *		The disentangled graph network: options, training, and the vectors it gives.
 *
 * A node vector of D = factors * (D / factors) numbers is seen as `factors`
 * sub-vectors, one for each subspace.  Each layer routes: a neighbour's sub-vector is
 * weighted by how well this subspace, among all, explains the link ("first weight",
 * CN111681059 claim 5) and by an attention score normalised over the neighbours
 * ("second weight", claim 6, first clause), summed, added to the node's own, and
 * brought to unit length.  The formulas as built stand in doc/encoder.md.
 */
#ifndef BEHAVPRED_ENCODER_H
#define BEHAVPRED_ENCODER_H

#include "core.h"
#include "direct_term.h"
#include "features.h"
#include "graph.h"

typedef enum RoutingRule
{
	ROUTING_OWN_CENTRE,			/* claim 5: all subspaces of the neighbour against the same centre */
	ROUTING_EACH_CENTRE,		/* DisenGCN: each subspace against its own centre */
	ROUTING_OFF,				/* plain propagation, no subspaces */
	ROUTING_RULES				/* how many there are */
} RoutingRule;

typedef enum AttentionRule
{
	ATTENTION_SYMMETRIC,		/* 1 / sqrt(degree * degree), nothing to learn */
	ATTENTION_ADDITIVE,			/* GeniePath: nu . tanh(W_s h_v + W_d h_u), softmax over neighbours */
	ATTENTION_OFF,				/* 1 / degree: first weights alone, averaged */
	ATTENTION_RULES				/* how many there are */
} AttentionRule;

typedef enum MappingRule
{
	MAPPING_AUTOMATIC,			/* linear with features, else identity */
	MAPPING_IDENTITY,			/* a subspace is a slice of the vector */
	MAPPING_LINEAR,				/* leaky ReLU of a matrix for each subspace and layer */
	MAPPING_RULES				/* how many there are */
} MappingRule;

typedef enum LossRule
{
	LOSS_SOFTMAX,				/* sampled softmax, negatives shared by a chunk of positives */
	LOSS_LOGISTIC,				/* logistic loss on the same positives and negatives */
	LOSS_RULES					/* how many there are */
} LossRule;

typedef struct EncoderOptions
{
	/* the network */
	int			dimension;		/* D: 1 .. 1024, a multiple of factors */
	int			factors;		/* K: 1 .. 32 */
	int			layers;			/* L: 1 .. 8 */
	int			routing_iterations; /* T: 1 .. 8 */
	RoutingRule routing;
	float		routing_temperature;	/* tau of the routing softmax, > 0 */
	AttentionRule attention;
	int			attention_width;	/* rows of W_s and W_d, 1 .. 256 */
	float		neighbour_scale;	/* how much neighbours count beside the node itself, > 0; 1 = as in
									 * plain propagation when routing is even */
	bool		keep_lengths;	/* a layer gives its sums as they are, not sub-vectors of unit length */
	MappingRule mapping;
	bool		layer_mean;		/* read out the mean of all layers instead of the last */
	bool		full_gradient;	/* false: routing weights are constants in the backward pass */
	bool		id_embeddings;	/* a trainable vector for each node, added to its features */

	/* training */
	LossRule	loss;
	int			epochs;			/* upper bound; 0 = only initialise and propagate */
	int			batch_size;		/* positive edges for each propagation */
	bool		hide_positives; /* a step's positive edges take no part in its propagation */
	int			negatives;		/* objects drawn for each chunk of positives */
	int			sampled_neighbours; /* drawn for each node of a step: it propagates these alone; 0 = all of
									 * the graph */
	int			epoch_steps;	/* an epoch has no more steps than these; 0 = as many as there are edges for */
	float		learning_rate;
	float		temperature;	/* tau: score = cosine / tau + object bias */
	bool		choose_temperature; /* begin with short trainings that look for a better one (temperature.h);
									 * never in a warm start, on samples, or without epochs */
	float		initial_deviation;	/* standard deviation of the first ID embeddings */
	bool		warm_start;		/* the host puts in an earlier network before the first step */
	bool		spectral_start; /* ID embeddings start from the graph's singular vectors */
	float		spectral_power; /* each singular vector is scaled by its value to this power */
	float		spectral_noise; /* share of the random start that is left in */
	float		adam_beta2;		/* decay of Adam's second moment: a training has few steps */
	float		initial_bias;	/* the bias starts at this times log(1 + degree), centred */
	float		weight_decay;	/* on ID embeddings, mapping and attention; 0 = none */
	int			patience;		/* epochs without a higher validation NDCG; 0 = no early stop */
	float		validation_fraction;	/* of the edges, held out for early stopping and calibration */
	float		target_fraction;	/* of the users, shielded from their edges to target objects */
	uint64_t	seed;

	bool		keep_network;	/* for the host: the parameters are wanted when the training has ended */
} EncoderOptions;

/* Defaults for a graph of this size; see doc/encoder.md for the reasons. */
extern void encoder_defaults(EncoderOptions *options, const Graph *graph);

/* Change them for a training that begins where an earlier one ended: fewer and smaller steps. */
extern void encoder_warm_defaults(EncoderOptions *options);

/* Change them for a training on samples. */
extern void encoder_sampled_defaults(EncoderOptions *options);

/*
 * Complain about an option that is out of its range, or about a combination that
 * cannot work: CORE_INVALID with the option and its range in core->detail.
 */
extern CoreStatus encoder_check(Core *core, const EncoderOptions *options);

/* True when a training with these options begins by choosing its temperature. */
extern bool encoder_chooses_temperature(const EncoderOptions *options);

/*
 * Bytes that encoder_train() will need at its peak, the graph itself included; n_predicted counts the
 * edges to be predicted, -1 in a graph without types.
 */
extern size_t encoder_memory(const EncoderOptions *options, int64_t n_users, int64_t n_objects, int64_t n_edges,
							 int64_t n_predicted, bool weighted, int n_user_features, int n_object_features, int threads);

typedef struct EncoderEpoch
{
	int			epoch;			/* from 1 */
	double		loss;			/* mean over the epoch's positives */
	double		recall_at_20;	/* on held-out edges; NaN when none are held out */
	double		ndcg_at_20;
	double		ndcg_error;		/* its standard error over users */
	double		seconds;		/* of this epoch, validation included */
} EncoderEpoch;

/* Called after each epoch, from the calling thread; must not jump. */
typedef void (*EncoderListener) (void *data, const EncoderEpoch *epoch);

/* Numbers of a stored vector after those of the unit vector. */
#define ENCODER_EXTRA_NUMBERS 2

typedef struct EncoderResult
{
	int			width;			/* numbers in a vector: dimension + ENCODER_EXTRA_NUMBERS */

	/*
	 * n_nodes x width, users first.  The score of a user and an object is the plain dot
	 * product of their vectors: cosine / tau + object bias + user activity, because the
	 * first `dimension` numbers are the unit vector / sqrt(tau) and the last two are 1 and
	 * the activity (activity.h) for a user, the bias and 1 for an object.
	 */
	float	   *vectors;
	int			epochs_run;
	int			best_epoch;		/* the last that no earlier one beats by more than chance */
	EncoderEpoch best;			/* its figures; its parameters were kept */
	int64_t		n_validation;	/* edges held out for validation */
	int64_t		n_shielded;		/* edges to target objects that took no part either */
	float		target_fraction;	/* as used: lowered when targets own a large part of the edges */
	float		temperature;	/* as used */

	/*
	 * Platt: probability = 1 / (1 + exp(-(scale * score + offset))) where held-out
	 * edges and as many sampled non-edges are the two classes (balanced prior).
	 */
	double		scale;
	double		offset;

	/*
	 * In a graph with types: what links add to the score, fitted on the held-out edges, and the numbers of
	 * each object for it; without held-out edges the term is empty and the numbers are NULL.
	 */
	DirectTerm	direct;
	float	   *direct_objects;
} EncoderResult;

/*
 * Train and propagate once more with the kept parameters.  `users` and `objects` may
 * be NULL (no features).  The vectors live in `arena`.
 */
extern CoreStatus encoder_train(Core *core, Arena *arena, const Graph *graph,
								const Features *users, const Features *objects,
								const EncoderOptions *options,
								EncoderListener listener, void *listener_data,
								EncoderResult *result);

/*
 * The same in pieces, for a host that writes checkpoints in between.  Worker threads live
 * only inside these calls, so that the host may do as it likes between them.
 *
 * encoder_open() reserves everything in `arena`; NULL when core->status says why not.
 * With `resume` the state is then put in by encoder_checkpoint.h before the first run.
 * encoder_run() trains until there is nothing left to learn (*finished), or the observer
 * wants a pause: it then stops between two steps, after one at least.  encoder_finish() leaves the
 * vectors in an arena of the caller's choice.
 */
typedef struct EncoderTraining EncoderTraining;

typedef struct EncoderObserver
{
	EncoderListener epoch;		/* may be NULL, as may be the next */
	bool		(*pause) (void *data);	/* asked after each step, from the calling thread; must not jump */
	void	   *data;
} EncoderObserver;

extern EncoderTraining *encoder_open(Core *core, Arena *arena, const Graph *graph,
									 const Features *users, const Features *objects,
									 const EncoderOptions *options, bool resume);
extern CoreStatus encoder_run(EncoderTraining *training, const EncoderObserver *observer, bool *finished);
extern CoreStatus encoder_finish(EncoderTraining *training, Arena *arena, EncoderResult *result);

/*
 * True when edge (user, object) is one of those that a training with this seed and
 * fraction holds out.  Depends on the two keys' hashes and the user's degree in the
 * graph alone, so that whoever sees these can tell, without the graph, which edges the
 * vectors have not seen.  Users with fewer than ENCODER_HOLD_OUT_DEGREE edges keep all.
 */
#define ENCODER_HOLD_OUT_DEGREE 5
extern bool encoder_holds_out(uint64_t seed, float fraction, int64_t user_degree,
							  uint64_t user_hash, uint64_t object_hash);


/*
 * True when a training shields this user from the target objects: his edges to them take
 * part in nothing.  A vector that was trained on the very edge to be predicted gives that
 * edge away, so a student fitted on such users looks for the trace of the edge instead of
 * for what makes users do it; shielded users are as those it will be asked about.
 */
extern bool encoder_shields(uint64_t seed, float fraction, int64_t user_degree, uint64_t user_hash);

#endif
