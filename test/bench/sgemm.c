/*
 * sgemm.c
 *		Billions of multiplications and additions a second that one thread of OpenBLAS does, on
 *		matrices of the shapes that models meet: the floor that the benchmarks compare with.
 */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MODELS 256				/* with 256 users the fastest of shapes from 64 to 1,024 */
#define USERS 256
#define WIDTH 65
#define TIMES 2000

extern void openblas_set_num_threads(int threads);

int
main(void)
{
	float	   *models = calloc(MODELS * WIDTH, sizeof(float));
	float	   *users = calloc(USERS * WIDTH, sizeof(float));
	float	   *scores = calloc(MODELS * USERS, sizeof(float));
	clock_t		start;

	openblas_set_num_threads(1);
	start = clock();
	for (int i = 0; i < TIMES; i++)
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, MODELS, USERS, WIDTH, 1, models, WIDTH, users, WIDTH,
					0, scores, USERS);
	printf("%.1f\n", 2.0 * MODELS * USERS * WIDTH * TIMES / ((double) (clock() - start) / CLOCKS_PER_SEC) * 1e-9);
	return 0;
}
