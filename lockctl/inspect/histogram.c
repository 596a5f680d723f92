/*
 * Arithmetic on histograms. The counts are another process's word: sums may be larger than 64 bits,
 * and no count is too large to be drawn.
 */
#include "lockctl/inspect/histogram.h"

#include "lockctl/format.h"

#include <stdio.h>
#include <string.h>

uint64_t histogram_mean(const struct view_histogram *histogram)
{
    return histogram->count == 0 ? 0 : histogram->sum / histogram->count;
}

static uint64_t bucket_end(unsigned bucket)
{
    return bucket + 1 < REGISTRY_BUCKETS ? registry_bucket_start(bucket + 1) : UINT64_MAX;
}

uint64_t histogram_quantile(const struct view_histogram *histogram, double part)
{
    unsigned __int128 seen = 0;
    double wanted = part * (double)histogram->count;
    for (unsigned i = 0; i < REGISTRY_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (histogram->buckets[i] == 0 || (double)seen < wanted)
            continue;
        uint64_t start = registry_bucket_start(i);
        uint64_t middle = start + (bucket_end(i) - 1 - start) / 2;
        return middle < histogram->maximum ? middle : histogram->maximum;
    }
    return histogram->maximum;
}

uint64_t histogram_below(const struct view_histogram *histogram, uint64_t bound)
{
    unsigned __int128 below = 0;
    for (unsigned i = 0; i < REGISTRY_BUCKETS && registry_bucket_start(i) < bound; i++) {
        uint64_t start = registry_bucket_start(i);
        uint64_t end = bucket_end(i);
        if (end <= bound)
            below += histogram->buckets[i];
        else
            below += (unsigned __int128)histogram->buckets[i] * (bound - start) / (end - start);
    }
    return below < UINT64_MAX ? (uint64_t)below : UINT64_MAX;
}

/* --- the picture --- */

/* A line stands for the times from one of these to the next, the last one for all that is longer.
 */
#define SECOND UINT64_C(1000000000)
#define STEPS(unit)                                                                                \
    (unit), (unit)*2, (unit)*5, (unit)*10, (unit)*20, (unit)*50, (unit)*100, (unit)*200, (unit)*500
static const uint64_t BOUNDS[] = {0,
                                  STEPS(UINT64_C(1)),
                                  STEPS(UINT64_C(1000)),
                                  STEPS(UINT64_C(1000000)),
                                  SECOND,
                                  SECOND * 2,
                                  SECOND * 5,
                                  SECOND * 10,
                                  SECOND * 20,
                                  SECOND * 60,
                                  SECOND * 120,
                                  SECOND * 300,
                                  SECOND * 600,
                                  SECOND * 1200,
                                  SECOND * 3600,
                                  SECOND * 7200,
                                  SECOND * 18000,
                                  SECOND * 36000,
                                  SECOND * 86400};
enum { LINES = sizeof BOUNDS / sizeof *BOUNDS };

struct picture {
    uint64_t lines[LINES];
    size_t first, last; /* the lines that are not empty, and all between them */
    uint64_t most;
};

static void sum_up(const struct view_histogram *histogram, struct picture *picture)
{
    uint64_t before = 0;
    memset(picture, 0, sizeof *picture);
    for (size_t i = 0; i < LINES; i++) {
        uint64_t below =
            i + 1 < LINES ? histogram_below(histogram, BOUNDS[i + 1]) : histogram->count;
        uint64_t count = below - before;
        before = below;
        if (count == 0)
            continue;
        if (picture->most == 0)
            picture->first = i;
        picture->last = i;
        picture->lines[i] = count;
        if (count > picture->most)
            picture->most = count;
    }
}

/* A bar of eighths of a character; what was counted at all is seen. */
static void draw_bar(uint64_t count, uint64_t most, unsigned width)
{
    static const char *const eighths[] = {"",
                                          "\342\226\217",
                                          "\342\226\216",
                                          "\342\226\215",
                                          "\342\226\214",
                                          "\342\226\213",
                                          "\342\226\212",
                                          "\342\226\211"};
    bool blocks = format_is_utf8();
    double share = (double)count / (double)most;
    unsigned length = (unsigned)(share * 8 * width + 0.5);
    if (!blocks)
        length = (length + 4) / 8 * 8;
    if (count > 0 && length == 0)
        length = blocks ? 1 : 8;
    for (unsigned i = 0; i < length / 8; i++)
        (void)fputs(blocks ? "\342\226\210" : "#", stdout);
    (void)fputs(eighths[length % 8], stdout);
}

static unsigned digits(uint64_t number)
{
    unsigned count = 1;
    for (; number >= 10; number /= 10)
        count++;
    return count;
}

/* Right-aligned; a byte is not a column where there is a µ. */
static void print_bound(uint64_t bound)
{
    enum { BOUND_WIDTH = 6 };
    char text[FORMAT_TEXT];
    size_t width = strlen(format_duration(text, bound)) - (strstr(text, "\302\265") != NULL);
    printf("%*s%s", width < BOUND_WIDTH ? (int)(BOUND_WIDTH - width) : 0, "", text);
}

void histogram_draw(const struct view_histogram *histogram, unsigned indent, unsigned width)
{
    enum { LEFT_WIDTH = 6 + 4 + 6 + 2 };
    struct picture picture;
    sum_up(histogram, &picture);
    if (picture.most == 0)
        return;
    unsigned count_width = digits(picture.most);
    unsigned taken = indent + LEFT_WIDTH + count_width + 1;
    unsigned bar = width > taken + 10 ? width - taken : 10;
    for (size_t i = picture.first; i <= picture.last && i < LINES; i++) {
        printf("%*s", (int)indent, "");
        print_bound(BOUNDS[i]);
        if (i + 1 < LINES) {
            printf(" to ");
            print_bound(BOUNDS[i + 1]);
        } else {
            printf(" or longer");
        }
        printf("  %*llu", (int)count_width, (unsigned long long)picture.lines[i]);
        if (picture.lines[i] > 0) {
            (void)putchar(' ');
            draw_bar(picture.lines[i], picture.most, bar);
        }
        (void)putchar('\n');
    }
}
