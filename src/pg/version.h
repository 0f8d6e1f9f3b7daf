/*
 * version.h
 *		The version of the library.
 */
#ifndef BEHAVPRED_VERSION_H
#define BEHAVPRED_VERSION_H

#define BEHAVPRED_VERSION "0.2"

#endif
