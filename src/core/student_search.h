/*
 * student_search.h
 *		Fitting a student to samples that are elsewhere: the search says what it wants summed
 *		over them, the host has it summed, and so on until the search is done.
 *
 * The loss is that of student.h, and so is the result, up to rounding, for a logistic student.
 * An MLP is fitted to all samples at once by L-BFGS, where student_train() takes batches.
 */
#ifndef BEHAVPRED_STUDENT_SEARCH_H
#define BEHAVPRED_STUDENT_SEARCH_H

#include "descent.h"
#include "student_sums.h"

typedef struct StudentSearch
{
	Core	   *core;
	Arena	   *arena;
	StudentFit	fit;
	Student		student;
	SumsPlan	plan;			/* what is wanted next; its parameters are those tried */
	bool		done;
	bool		anchoring;		/* the fit to soft labels alone, which the other starts from */
	Descent		descent;
	double	   *parameters;		/* the best so far */
	double		loss;			/* there */
	double		slope;			/* along the direction */
	double		length;			/* tried along it, 0 = the start itself */
	int			halvings;
	int			steps;			/* accepted */
} StudentSearch;

/* From the statistics of the samples; all memory is the arena's.  CORE_INVALID as student_train(). */
extern CoreStatus student_search_open(Core *core, Arena *arena, const StudentOptions *options,
									  const StudentSums *statistics, bool has_soft, StudentSearch *search);

/* The sums of search->plan over all samples; then search->plan is the next, or search->done. */
extern CoreStatus student_search_step(StudentSearch *search, const StudentSums *sums);

/* The result, in search->student. */
extern CoreStatus student_search_finish(StudentSearch *search);

#endif
