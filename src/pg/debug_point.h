/*
 * debug_point.h
 *		Places where a test can make a call fail; nothing of it in an ordinary build.
 *
 * Built with -DBEHAVPRED_DEBUG_POINTS, or against a server with assertions, the setting
 * behavpred.debug_point names a phase (as the view progress shows them), and whatever
 * comes to that phase raises an error.
 */
#ifndef BEHAVPRED_DEBUG_POINT_H
#define BEHAVPRED_DEBUG_POINT_H

#include "postgres.h"

#if defined(USE_ASSERT_CHECKING) && !defined(BEHAVPRED_DEBUG_POINTS)
#define BEHAVPRED_DEBUG_POINTS
#endif

#ifdef BEHAVPRED_DEBUG_POINTS
/* Define the setting; called from settings_define(). */
extern void debug_point_define(void);

/* True when this is the phase that shall fail. */
extern bool debug_point_is(const char *phase);

/* Raise when it is. */
extern void debug_point(const char *phase);
#else
#define debug_point_define() ((void) 0)
#define debug_point_is(phase) false
#define debug_point(phase) ((void) 0)
#endif

#endif
