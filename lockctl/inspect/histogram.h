/*
 * What a registry's histogram tells: mean, quantiles, how many took no longer than a time, and a
 * picture in characters.
 */
#ifndef LOCKCTL_HISTOGRAM_H
#define LOCKCTL_HISTOGRAM_H

#include "lockctl/inspect/registry_view.h"

#include <stdint.h>

/* Nanoseconds; 0 when nothing was counted. */
uint64_t histogram_mean(const struct view_histogram *histogram);

/* The time that `part` (0 to 1) of all did not exceed; at most 1/16 off. 0 when there are none. */
uint64_t histogram_quantile(const struct view_histogram *histogram, double part);

/*
 * How many took less than `bound` nanoseconds. A bucket that the bound cuts is counted by its
 * share; for a bound where a bucket begins the count is exact.
 */
uint64_t histogram_below(const struct view_histogram *histogram, uint64_t bound);

/*
 * Prints it to stdout: a line for each power of two, `width` characters at most; blocks where the
 * locale has them, else plain characters. Each line begins with `indent` blanks.
 */
void histogram_draw(const struct view_histogram *histogram, unsigned indent, unsigned width);

#endif
