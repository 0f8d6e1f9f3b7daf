/*
 * fuzz.h
 *		What the fuzzers share.
 *
 * Each fuzzer is a function that libFuzzer calls with bytes of its own making, and that
 * the unit test test_fuzz_corpus.c calls with those of corpus/.  To search for more:
 *		make -C test/fuzz && nice test/fuzz/build/student_format -max_total_time=600 test/fuzz/corpus/student_format
 */
#ifndef BEHAVPRED_FUZZ_H
#define BEHAVPRED_FUZZ_H

#include "core/core.h"

/* A block of exactly this length, so that a sanitizer sees any step beyond; free() it. */
extern unsigned char *fuzz_copy(const unsigned char *data, size_t length);

/* End the program when this does not hold. */
extern void fuzz_require(bool condition);

/*
 * Make the length and the checksum that stand in a head of 16 bytes right: no fuzzer
 * would find them, and what lies behind them is to be reached.
 */
extern void fuzz_repair_head(unsigned char *bytes, size_t length);

#endif
