/*
 * audience.c
 *		Does distillation earn its place?  Finds hidden users of targets by biased seed lists.
 *
 *		audience make interactions.csv scene.bin [name=value ...]
 *		audience measure scene.bin seeds [first [end]]
 *
 * `make` trains the graph once, without the hidden halves (audience_scene.h).  `measure`
 * draws `seeds` users of each target's visible half, with bias: for targets of even number
 * those most like one of them in the plain embedding, for the others the least active; all
 * users when seeds is 0; at random for new objects.  It fits a model of each kind as
 * train_target() does, and ranks all users whom the graph does not link to the target.  For
 * new objects one half of the users teaches and the other is ranked, and a rival shows what
 * logistic regression makes of iALS vectors.  Targets before number `first` and from `end` on
 * are left out, so that defaults can be chosen on others.
 * "Far" counts only those hidden users, the half of them, that are least like the seeds'
 * mean in the plain embedding.  Prints means over targets and half of the 95 % interval.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audience_scene.h"
#include "core/metrics.h"
#include "core/random.h"
#include "core/sorting.h"
#include "core/target_model.h"
#include "core/teacher.h"
#include "core/vectors.h"

#define MOST_TARGETS 1000
#define FACTORS 4				/* the encoder's default */
#define LEAST_NEGATIVES 5000	/* train_target()'s defaults */
#define NEGATIVE_RATIO 4
#define RIVAL_RIDGE 0.1f
#define CALIBRATION_BINS 10

enum
{
	AUC, PR_AUC, LIFT_1, LIFT_5, RECALL, METRICS
};

enum
{
	ACTIVITY, TEACHER_BARE, TEACHER, CENTROID, HARD, HARD_WEIGHTS, SOFT, SOFT_WEIGHTS, ANCHORED, FULL, ENSEMBLE, RIVAL, KINDS
};

static const char *const kind_names[KINDS] = {
	"activity", "teacher, activity taken out", "teacher", "seed centroid", "hard", "hard + weights", "hard + soft",
	"hard + soft + weights", "anchored, no weights", "full (anchored)", "teacher + centroid + hard", "rival: logistic regression on iALS"
};

typedef struct Measures
{
	int			n;
	double		calibration[MOST_TARGETS][CALIBRATION_ISOTONIC + 1];	/* new objects: error of the full model */
	double		values[MOST_TARGETS][KINDS][2][METRICS];
} Measures;

/* One target while it is measured. */
typedef struct Bench
{
	Core	   *core;
	Arena	   *arena;
	const Scene *scene;
	const SceneTarget *target;
	int			number;
	Users		seeds;
	uint8_t    *state;			/* of each user: what he counts as */
	double	   *scores[KINDS];
} Bench;

enum
{
	OTHER = 0, NEAR, FAR, LEFT_OUT
};

static void
check(const Core *core, const char *task)
{
	if (core->status == CORE_OK)
		return;
	fprintf(stderr, "%s failed with status %d: %s\n", task, core->status, core->detail);
	exit(1);
}

static const float *
vector_of(const Scene *scene, int32_t node)
{
	return scene->vectors + (size_t) node * scene->width;
}

static const float *
plain_of(const Scene *scene, int32_t user)
{
	return scene->plain + (size_t) user * scene->plain_width;
}

static const float *
rival_of(const Scene *scene, int32_t user)
{
	return scene->rival + (size_t) user * scene->rival_width;
}

/* Users in the order of a number. */
static int32_t *
sorted_users(Bench *b, const Users *users, const double *numbers)
{
	SortItem   *items = arena_allocate(b->arena, users->n, sizeof(SortItem));
	int32_t    *sorted = arena_allocate(b->arena, users->n, sizeof(int32_t));

	check(b->core, "sorting");
	for (int32_t i = 0; i < users->n; i++)
		items[i] = (SortItem) {sort_key_of_double(numbers[i]), users->users[i]};
	sort_items(b->core, b->arena, items, users->n, NULL, NULL);
	check(b->core, "sorting");
	for (int32_t i = 0; i < users->n; i++)
		sorted[i] = (int32_t) items[i].index;
	return sorted;
}

static void
draw_seeds(Bench *b, int n)
{
	const Scene *scene = b->scene;
	const Users *visible = &b->target->visible;
	double	   *order = arena_doubles(b->arena, visible->n);
	int32_t		like = visible->users[random_below(b->number, RANDOM_TEST, 0, visible->n)];

	check(b->core, "drawing seeds");
	for (int32_t i = 0; i < visible->n; i++)
	{
		int32_t		user = visible->users[i];

		if (scene->new_objects)
			order[i] = random_uniform(b->number, RANDOM_SAMPLE, user);
		else if (b->number % 2 == 0)
			order[i] = -vectors_cosine(plain_of(scene, user), plain_of(scene, like), scene->plain_width - 2);
		else
			order[i] = scene->degrees[user];
	}
	b->seeds = (Users) {n > 0 && n < visible->n ? n : visible->n, sorted_users(b, visible, order)};
}

/* Who is to be found, near to the seeds or far, and who is not ranked. */
static void
mark_users(Bench *b)
{
	const Scene *scene = b->scene;
	const Users *hidden = &b->target->hidden;
	int			width = scene->plain_width - 2;
	float	   *mean = arena_allocate_zeroed(b->arena, width, sizeof(float));
	double	   *likeness = arena_doubles(b->arena, hidden->n);
	int32_t    *sorted;

	b->state = arena_allocate_zeroed(b->arena, scene->n_users, 1);
	check(b->core, "marking users");
	for (int32_t i = 0; i < b->seeds.n; i++)
		for (int d = 0; d < width; d++)
			mean[d] += plain_of(scene, b->seeds.users[i])[d];
	for (int32_t i = 0; i < hidden->n; i++)
		likeness[i] = vectors_cosine(plain_of(scene, hidden->users[i]), mean, width);
	sorted = sorted_users(b, hidden, likeness);
	for (int32_t i = 0; i < hidden->n; i++)
		b->state[sorted[i]] = i < hidden->n / 2 ? FAR : NEAR;
	for (int32_t i = 0; i < b->target->linked.n; i++)
		b->state[b->target->linked.users[i]] = LEFT_OUT;
}

/* Users who may be negatives: all whom the graph does not link to the target, hidden users among
 * them, as in life; for new objects those of the half that teaches. */
static bool
may_be_negative(const Bench *b, int32_t user)
{
	return b->state[user] != LEFT_OUT && !b->scene->in_hidden_half[user];
}

static bool
is_ranked(const Bench *b, int32_t user)
{
	return b->state[user] != LEFT_OUT && (!b->scene->new_objects || b->scene->in_hidden_half[user]);
}

static TargetSample
make_sample(Bench *b)
{
	const Scene *scene = b->scene;
	Users		all = {0, arena_allocate(b->arena, scene->n_users, sizeof(int32_t))};
	double	   *order = arena_doubles(b->arena, scene->n_users);
	TargetSample sample = {.width = scene->width, .n_positive = b->seeds.n};
	int32_t    *negatives;

	check(b->core, "sampling");
	for (int32_t user = 0; user < scene->n_users; user++)
		if (may_be_negative(b, user))
		{
			order[all.n] = random_uniform(b->number, RANDOM_SPLIT, user);
			all.users[all.n++] = user;
		}
	negatives = sorted_users(b, &all, order);
	sample.n_negative = fmin(all.n, fmax(LEAST_NEGATIVES, NEGATIVE_RATIO * b->seeds.n));
	sample.population_positives = b->target->visible.n;
	sample.candidates = all.n + b->target->visible.n;
	sample.vectors = arena_floats(b->arena, (sample.n_positive + sample.n_negative) * scene->width);
	sample.degrees = arena_doubles(b->arena, sample.n_positive + sample.n_negative);
	sample.hashes = arena_allocate(b->arena, sample.n_positive + sample.n_negative, sizeof(uint64_t));
	sample.unseen = arena_allocate_zeroed(b->arena, sample.n_positive + sample.n_negative, 1);
	check(b->core, "sampling");
	for (int64_t i = 0; i < sample.n_positive + sample.n_negative; i++)
	{
		int32_t		user = i < sample.n_positive ? b->seeds.users[i] : negatives[i - sample.n_positive];

		memcpy(sample.vectors + i * scene->width, vector_of(scene, user), scene->width * sizeof(float));
		sample.degrees[i] = scene->degrees[user];
		sample.hashes[i] = scene->hashes[user];
		sample.unseen[i] = i < sample.n_positive && scene->shielded[user];
	}
	return sample;
}

static TargetTeacher
make_teacher(Bench *b)
{
	const Scene *scene = b->scene;
	TargetTeacher teacher = {.scale = scene->scale, .offset = scene->offset, .factors = FACTORS};
	float	   *objects = arena_floats(b->arena, (size_t) b->target->n_objects * scene->width);

	check(b->core, "teacher");
	for (int32_t o = 0; o < b->target->n_objects; o++)
		memcpy(objects + (size_t) o * scene->width, vector_of(scene, scene->n_users + b->target->objects[o]),
			   scene->width * sizeof(float));
	teacher.objects = objects;
	teacher.n_objects = scene->new_objects ? 0 : b->target->n_objects;
	return teacher;
}

/* What needs no fit. */
static void
score_plainly(Bench *b, const TargetSample *sample, const TargetTeacher *teacher)
{
	const Scene *scene = b->scene;
	int			width = scene->width;
	Vectors		users = {scene->n_users, width, scene->vectors};
	Vectors		seeds = {sample->n_positive, width, sample->vectors};
	float	   *centroid = arena_floats(b->arena, width);
	Vectors		objects = {teacher->n_objects, width, teacher->objects};

	check(b->core, "scoring");
	teacher_from_seeds(&seeds, NULL, 0, FACTORS, centroid);
	if (teacher->n_objects == 0)
		objects = (Vectors) {1, width, centroid};
	teacher_best_scores(b->core, b->arena, &users, &objects, b->scores[TEACHER]);
	check(b->core, "scoring");
	for (int32_t user = 0; user < scene->n_users; user++)
	{
		b->scores[ACTIVITY][user] = scene->degrees[user];
		b->scores[TEACHER_BARE][user] = b->scores[TEACHER][user] - vector_of(scene, user)[width - 1];
		b->scores[CENTROID][user] = vectors_cosine(vector_of(scene, user), centroid, width - 2);
	}
}

static void
fit_and_score(Bench *b, int kind, const TargetSample *sample, const TargetTeacher *teacher)
{
	TargetOptions options = {.calibration = CALIBRATION_NONE, .seed_weight_scale = SEED_WEIGHT_MEAN_1, .seed = 42};
	Student		student;
	TargetQuality quality;

	student_defaults(&options.student);
	options.weigh_seeds = kind == HARD_WEIGHTS || kind == SOFT_WEIGHTS || kind == FULL;
	options.student.anchored = kind == ANCHORED || kind == FULL;
	if (kind == HARD || kind == HARD_WEIGHTS)
		options.student.soft_weight = 0;
	target_fit(b->core, b->arena, sample, teacher, &options, &student, &quality);
	student_logits(b->core, &student, b->scene->vectors, b->scene->n_users, b->scores[kind]);
	check(b->core, kind_names[kind]);
}

/* Expected calibration error of the full model's probabilities among those who are ranked. */
static double
calibration_error(Bench *b, CalibrationKind calibration, const TargetSample *sample, const TargetTeacher *teacher)
{
	TargetOptions options = {
		.calibration = calibration, .weigh_seeds = true, .seed_weight_scale = SEED_WEIGHT_MEAN_1, .seed = 42
	};
	int32_t		n = b->scene->n_users;
	float	   *labels = arena_floats(b->arena, n);
	double	   *probabilities = arena_doubles(b->arena, n);
	double	   *logits = arena_doubles(b->arena, n);
	Cases		cases = {0, labels, probabilities, NULL};
	Student		student;
	TargetQuality quality;
	double		error;

	student_defaults(&options.student);
	target_fit(b->core, b->arena, sample, teacher, &options, &student, &quality);
	student_logits(b->core, &student, b->scene->vectors, n, logits);
	check(b->core, "calibrating");
	for (int32_t user = 0; user < n; user++)
		if (is_ranked(b, user))
		{
			labels[cases.n] = b->state[user] != OTHER;
			probabilities[cases.n++] = student_probability(&student, logits[user]);
		}
	metric_ece(b->core, &cases, CALIBRATION_BINS, &error);
	check(b->core, "calibrating");
	return error;
}

/* Logistic regression on the rival's vectors: the same seeds, everybody else of their half as
 * negatives, and of several ridges the one that suited it best. */
static void
fit_rival(Bench *b)
{
	const Scene *scene = b->scene;
	int			width = scene->rival_width;
	float	   *vectors = arena_floats(b->arena, (size_t) scene->n_users * width);
	float	   *labels = arena_floats(b->arena, scene->n_users);
	StudentSamples samples = {.width = width, .vectors = vectors, .labels = labels};
	StudentOptions options;
	Student		student;

	check(b->core, "the rival");
	for (int32_t i = 0; i < b->seeds.n; i++)
	{
		memcpy(vectors + samples.n * width, rival_of(scene, b->seeds.users[i]), width * sizeof(float));
		labels[samples.n++] = 1;
	}
	for (int32_t user = 0; user < scene->n_users; user++)
		if (may_be_negative(b, user))
		{
			memcpy(vectors + samples.n * width, rival_of(scene, user), width * sizeof(float));
			labels[samples.n++] = 0;
		}
	student_defaults(&options);
	options.ridge = RIVAL_RIDGE;
	student_train(b->core, b->arena, &samples, &options, &student);
	student_logits(b->core, &student, scene->rival, scene->n_users, b->scores[RIVAL]);
	check(b->core, "the rival");
}

/* Add the scores of a kind in standard deviations. */
static void
add_standardised(Bench *b, int kind, double *sum)
{
	int32_t		n = b->scene->n_users;
	double		mean = 0;
	double		square = 0;

	for (int32_t i = 0; i < n; i++)
		mean += b->scores[kind][i] / n;
	for (int32_t i = 0; i < n; i++)
		square += pow(b->scores[kind][i] - mean, 2) / n;
	for (int32_t i = 0; i < n; i++)
		sum[i] += (b->scores[kind][i] - mean) / sqrt(square);
}

/* Share of the positives among as many of the best as twice their number. */
static double
recall_at_twice(Bench *b, const Cases *cases)
{
	SortItem   *items = arena_allocate(b->arena, cases->n, sizeof(SortItem));
	int64_t		positives = 0;
	int64_t		found = 0;

	check(b->core, "recall");
	for (int64_t i = 0; i < cases->n; i++)
	{
		items[i] = (SortItem) {~sort_key_of_double(cases->scores[i]), i};
		positives += cases->labels[i] > 0;
	}
	sort_items(b->core, b->arena, items, cases->n, NULL, NULL);
	for (int64_t i = 0; i < 2 * positives && i < cases->n; i++)
		found += cases->labels[items[i].index] > 0;
	return (double) found / positives;
}

/* The metrics of one kind, for all hidden users or only those far from the seeds. */
static void
measure_kind(Bench *b, int kind, bool far_only, double *metrics)
{
	int32_t		n = b->scene->n_users;
	float	   *labels = arena_floats(b->arena, n);
	double	   *scores = arena_doubles(b->arena, n);
	Cases		cases = {0, labels, scores, NULL};

	check(b->core, "measuring");
	for (int32_t user = 0; user < n; user++)
		if (is_ranked(b, user) && !(far_only && b->state[user] == NEAR))
		{
			labels[cases.n] = b->state[user] != OTHER;
			scores[cases.n++] = b->scores[kind][user];
		}
	metric_auc(b->core, &cases, &metrics[AUC]);
	metric_pr_auc(b->core, &cases, &metrics[PR_AUC]);
	metric_lift(b->core, &cases, 0.01, &metrics[LIFT_1]);
	metric_lift(b->core, &cases, 0.05, &metrics[LIFT_5]);
	metrics[RECALL] = recall_at_twice(b, &cases);
	check(b->core, "measuring");
}

static void
measure_target(Core *core, const Scene *scene, int number, int seeds, Measures *measures)
{
	Arena		arena;
	Bench		b = {.core = core, .arena = &arena, .scene = scene, .target = &scene->targets[number], .number = number};
	TargetSample sample;
	TargetTeacher teacher;

	arena_open(&arena, core);
	for (int kind = 0; kind < KINDS; kind++)
		b.scores[kind] = arena_allocate_zeroed(&arena, scene->n_users, sizeof(double));
	draw_seeds(&b, seeds);
	mark_users(&b);
	sample = make_sample(&b);
	teacher = make_teacher(&b);
	score_plainly(&b, &sample, &teacher);
	for (int kind = HARD; kind <= FULL; kind++)
		fit_and_score(&b, kind, &sample, &teacher);
	add_standardised(&b, TEACHER, b.scores[ENSEMBLE]);
	add_standardised(&b, CENTROID, b.scores[ENSEMBLE]);
	add_standardised(&b, HARD, b.scores[ENSEMBLE]);
	if (scene->new_objects)
	{
		fit_rival(&b);
		for (int kind = CALIBRATION_PLATT; kind <= CALIBRATION_ISOTONIC; kind++)
			measures->calibration[measures->n][kind] = calibration_error(&b, kind, &sample, &teacher);
	}
	for (int kind = 0; kind < KINDS; kind++)
		for (int group = 0; group < 2; group++)
			measure_kind(&b, kind, group == 1, measures->values[measures->n][kind][group]);
	measures->n++;
	arena_close(&arena);
}

/* Mean over targets of a kind less another (KINDS = nothing), and half of its 95 % interval. */
static void
print_row(const Measures *measures, const char *name, int kind, int less)
{
	printf("| %s |", name);
	for (int group = 0; group < 2; group++)
		for (int metric = 0; metric < METRICS; metric++)
		{
			int			digits = metric == LIFT_1 || metric == LIFT_5 ? 1 : 3;
			double		sum = 0;
			double		square = 0;

			for (int t = 0; t < measures->n; t++)
			{
				double		value = measures->values[t][kind][group][metric] -
					(less < KINDS ? measures->values[t][less][group][metric] : 0);

				sum += value;
				square += value * value;
			}
			printf(" %.*f ± %.*f |", digits, sum / measures->n, digits,
				   1.96 * sqrt(fmax(square / measures->n - pow(sum / measures->n, 2), 0) / (measures->n - 1)));
		}
	printf("\n");
}

/* Means over targets. */
static void
print_calibration(const Measures *measures)
{
	double		sums[CALIBRATION_ISOTONIC + 1] = {0};

	for (int t = 0; t < measures->n; t++)
		for (int kind = CALIBRATION_PLATT; kind <= CALIBRATION_ISOTONIC; kind++)
			sums[kind] += measures->calibration[t][kind];
	printf("\ncalibration error of full: platt %.4f, isotonic %.4f\n", sums[CALIBRATION_PLATT] / measures->n,
		   sums[CALIBRATION_ISOTONIC] / measures->n);
}

static void
print_table(const Measures *measures, const char *path, int seeds, bool new_objects)
{
	printf("%s, %d seeds, %d targets\n\n| | AUC | PR-AUC | lift 1 %% | lift 5 %% | recall | far: AUC | PR-AUC | "
		   "lift 1 %% | lift 5 %% | recall |\n|---|---|---|---|---|---|---|---|---|---|---|\n", path, seeds, measures->n);
	for (int kind = 0; kind < KINDS; kind++)
		if (kind != RIVAL || new_objects)
			print_row(measures, kind_names[kind], kind, KINDS);
	print_row(measures, "full less hard", FULL, HARD);
	print_row(measures, "full less teacher", FULL, TEACHER);
	print_row(measures, "seed weights: full less anchored", FULL, ANCHORED);
	print_row(measures, "soft less hard", SOFT, HARD);
	if (new_objects)
	{
		print_row(measures, "full less rival", FULL, RIVAL);
		print_calibration(measures);
	}
	printf("\n");
}

static int
measure(Core *core, Arena *arena, const char *path, int seeds, int first, int end)
{
	Scene		scene;
	Measures   *measures = arena_allocate_zeroed(arena, 1, sizeof(Measures));

	scene_read(core, arena, path, &scene);
	check(core, path);
	for (int t = first; t < scene.n_targets && t < end && measures->n < MOST_TARGETS; t++)
	{
		int32_t		visible = scene.targets[t].visible.n;

		if (visible >= TARGET_LEAST_POSITIVES && (scene.new_objects || visible >= seeds * (seeds > 20 ? 1.25 : 1)))
			measure_target(core, &scene, t, seeds, measures);
	}
	if (measures->n > 1)
		print_table(measures, path, seeds, scene.new_objects);
	return measures->n > 1 ? 0 : 1;
}

static void
set_option(SceneOptions *options, char *argument)
{
	char	   *value = strchr(argument, '=');

	if (value == NULL)
		exit(1);
	*value++ = 0;
#define OPTION(field) if (strcmp(argument, #field) == 0) { options->field = atoi(value); return; }
	OPTION(least_users) OPTION(least_positives) OPTION(most_positives) OPTION(many_positives) OPTION(targets)
	OPTION(group_users) OPTION(new_objects) OPTION(draw) OPTION(epochs) OPTION(threads)
	if (strcmp(argument, "behaviour") == 0)
		options->behaviour = value;
	else
	{
		fprintf(stderr, "unknown option %s\n", argument);
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	Core		core;
	Arena		arena;
	Scene		scene;
	SceneOptions options = {
		.least_users = 100, .least_positives = 100, .most_positives = 1000000, .many_positives = 310,
		.targets = 120, .draw = 1, .threads = 2
	};

	if (argc < 4 || (strcmp(argv[1], "make") != 0 && strcmp(argv[1], "measure") != 0))
	{
		fprintf(stderr, "usage: audience make interactions.csv scene.bin [name=value ...]\n"
				"       audience measure scene.bin seeds [first [end]]\n");
		return 1;
	}
	for (int i = 4; i < argc && strcmp(argv[1], "make") == 0; i++)
		set_option(&options, argv[i]);
	core_open_standalone(&core, strcmp(argv[1], "make") == 0 ? options.threads : 1);
	arena_open(&arena, &core);
	if (strcmp(argv[1], "measure") == 0)
		return measure(&core, &arena, argv[2], atoi(argv[3]), argc > 4 ? atoi(argv[4]) : 0,
					   argc > 5 ? atoi(argv[5]) : MOST_TARGETS);
	scene_make(&core, &arena, argv[2], &options, &scene);
	check(&core, "making the scene");
	scene_write(&core, &scene, argv[3]);
	check(&core, argv[3]);
	arena_close(&arena);
	return 0;
}
