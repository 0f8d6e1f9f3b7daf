/*
 * student_format.h
 *		A student as bytes: what the SQL type behavpred.model stores.
 *
 * Layout, little-endian, no padding:
 *		magic "BPM1" | uint32 format version (1) | uint32 total length | uint32 CRC-32C of
 *		all that follows | uint16 layers | uint16 calibration | int32 widths[layers + 1] |
 *		double scale, offset, prior_shift, base_rate | uint32 curve points |
 *		float thresholds[], values[] | float parameters[]
 * Calibration 3 (Platt with a level), which version 0.1 does not know, has one point: its value.
 * A decoder must survive any input: every length is checked before it is used.
 */
#ifndef BEHAVPRED_STUDENT_FORMAT_H
#define BEHAVPRED_STUDENT_FORMAT_H

#include "student.h"

extern size_t student_encoded_size(const Student *student);
extern void student_encode(const Student *student, void *bytes);

/*
 * Decode into arrays of `arena`.  CORE_CORRUPT with the reason in core->detail for a
 * wrong magic, version, length, checksum, width, or a number that is not finite.
 */
extern CoreStatus student_decode(Core *core, Arena *arena, const void *bytes, size_t length,
								 Student *student);

#endif
