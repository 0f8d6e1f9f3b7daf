/*
 * test_fuzz_corpus.c
 *		The decoders, on the bytes by which a fuzzer has reached each of their branches.
 *
 * See test/fuzz/fuzz.h; a fuzzer ends the program when something does not hold.
 */
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define LLVMFuzzerTestOneInput fuzz_student_format
#include "../fuzz/student_format.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_portable_model
#include "../fuzz/portable_model.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_network_format
#include "../fuzz/network_format.c"
#include "../fuzz/fuzz.c"

#define CORPUS "../fuzz/corpus/"
#define MOST_BYTES 65536
#define LEAST_FILES 20

typedef int (*Fuzzer) (const unsigned char *data, size_t length);

static void
feed_file(Fuzzer fuzzer, const char *directory, const char *name)
{
	static unsigned char bytes[MOST_BYTES];
	char		path[512];
	size_t		length;
	FILE	   *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rb");
	assert_non_null(file);
	length = fread(bytes, 1, MOST_BYTES, file);
	fclose(file);
	assert_int_equal(fuzzer(bytes, length), 0);
}

/* Every file of a corpus, which must be there. */
static void
feed_corpus(Fuzzer fuzzer, const char *directory)
{
	DIR		   *listing = opendir(directory);
	struct dirent *entry;
	int			files = 0;

	assert_non_null(listing);
	while ((entry = readdir(listing)) != NULL)
		if (entry->d_name[0] != '.')
		{
			feed_file(fuzzer, directory, entry->d_name);
			files++;
		}
	closedir(listing);
	assert_in_range(files, LEAST_FILES, 1000);
}

static void
student_corpus_is_survived(void **state)
{
	(void) state;
	feed_corpus(fuzz_student_format, CORPUS "student_format");
}

static void
portable_corpus_is_survived(void **state)
{
	(void) state;
	feed_corpus(fuzz_portable_model, CORPUS "portable_model");
}

static void
network_corpus_is_survived(void **state)
{
	(void) state;
	feed_corpus(fuzz_network_format, CORPUS "network_format");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(student_corpus_is_survived),
		cmocka_unit_test(portable_corpus_is_survived),
		cmocka_unit_test(network_corpus_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
