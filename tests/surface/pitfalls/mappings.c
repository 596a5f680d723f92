/* Pitfalls of mappings and streams, which live on behind the calls that are seen. */
#include "tests/surface/pitfalls/pitfall.h"

#include "shim/lock/kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)4096)

static char *map_pages(int pages, int protection, int flags)
{
    int file = open_file(O_RDWR);
    CHECK(ftruncate(file, (off_t)(16 * PAGE)) == 0, "ftruncate: %s", strerror(errno));
    char *mapped = mmap(NULL, (size_t)pages * PAGE, protection, flags, file, 0);
    CHECK(mapped != MAP_FAILED, "mmap: %s", strerror(errno));
    close_file(file);
    return mapped;
}

PITFALL(mapping_outlives_the_descriptor, "session", "5")
{
    char *mapped = map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED);
    must_be_held(true, "while the file is mapped");
    CHECK(munmap(mapped, PAGE) == 0, "munmap: %s", strerror(errno));
    must_be_held(false, "after munmap");
}

PITFALL(mapping_gone_in_parts, "session", "5")
{
    char *mapped = map_pages(4, PROT_READ, MAP_PRIVATE);
    CHECK(munmap(mapped + PAGE, PAGE) == 0, "munmap: %s", strerror(errno));
    must_be_held(true, "with a hole in the mapping");
    CHECK(munmap(mapped + 2 * PAGE, 2 * PAGE) == 0, "munmap: %s", strerror(errno));
    must_be_held(true, "while a page is left");
    CHECK(munmap(mapped, 4 * PAGE) == 0, "munmap: %s", strerror(errno));
    must_be_held(false, "after the last page");
}

PITFALL(mapping_moved_in_parts, "session", "5")
{
    char *mapped = map_pages(4, PROT_READ, MAP_SHARED);
    char *moved = mremap(mapped, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED && moved != mapped, "mremap: %s", strerror(errno));
    CHECK(munmap(moved, 2 * PAGE) == 0, "munmap: %s", strerror(errno));
    must_be_held(true, "while the part that did not move is mapped");
    CHECK(munmap(mapped, 4 * PAGE) == 0, "munmap: %s", strerror(errno));
    must_be_held(false, "after munmap");
}

PITFALL(mapping_doubled, "session", "5")
{
    char *mapped = map_pages(1, PROT_READ, MAP_SHARED);
    char *again = mremap(mapped, 0, PAGE, MREMAP_MAYMOVE);
    CHECK(again != MAP_FAILED, "mremap: %s", strerror(errno));
    CHECK(munmap(mapped, PAGE) == 0, "munmap: %s", strerror(errno));
    must_be_held(true, "while the second mapping of the same pages is there");
    CHECK(munmap(again, PAGE) == 0, "munmap: %s", strerror(errno));
    must_be_held(false, "after both are gone");
}

PITFALL(mapping_overmapped, "session", "5")
{
    char *mapped = map_pages(1, PROT_READ, MAP_SHARED);
    CHECK(mmap(mapped, PAGE, PROT_READ, MAP_FIXED | MAP_SHARED, 999, 0) == MAP_FAILED,
          "mmap of a closed descriptor succeeds");
    must_be_held(true, "after a mapping over it that failed");
    CHECK(mmap(mapped, PAGE, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == mapped,
          "mmap: %s", strerror(errno));
    must_be_held(false, "after another mapping has taken its place");
}

/* Under `call` reading is not locked: not through a mapping either. */
PITFALL(mapping_to_read_under_call, "call", "5")
{
    int file = open_file(O_RDONLY);
    char *mapped = mmap(NULL, 8, PROT_READ, MAP_PRIVATE, file, 0);
    CHECK(mapped != MAP_FAILED, "mmap: %s", strerror(errno));
    must_be_held(false, "while a file is mapped for reading");
    char *shared = mmap(NULL, 8, PROT_READ, MAP_SHARED, file, 0);
    CHECK(shared != MAP_FAILED, "mmap: %s", strerror(errno));
    must_be_held(false, "while a file is mapped shared for reading");
}

PITFALL(mapping_to_write_under_call, "call", "5")
{
    char *mapped = map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED);
    must_be_held(true, "while a file is mapped for writing");
    CHECK(munmap(mapped, PAGE) == 0, "munmap: %s", strerror(errno));
    must_be_held(false, "after munmap");
}

/* --- streams --- */

PITFALL(stream_is_a_session, "session", "5")
{
    FILE *stream = fopen(at("T/file"), "r+");
    CHECK(stream != NULL, "fopen: %s", strerror(errno));
    must_be_held(true, "while a stream is open");
    // cppcheck-suppress [leakReturnValNotUsed, nullPointerRedundantCheck]
    CHECK(freopen("/dev/null", "r", stream) != NULL, "freopen: %s", strerror(errno));
    must_be_held(false, "after freopen to another file");
    // cppcheck-suppress [leakReturnValNotUsed, nullPointerRedundantCheck]
    CHECK(freopen(at("T/file"), "a", stream) != NULL, "freopen: %s", strerror(errno));
    must_be_held(true, "after freopen to the table");
    // cppcheck-suppress nullPointerRedundantCheck
    CHECK(fputs("more", stream) >= 0 && fclose(stream) == 0, "fclose: %s", strerror(errno));
    must_be_held(false, "after fclose");
    CHECK(size_of(at("T/file")) == 12, "the text is not in the file");
    stream = fdopen(open_file(O_WRONLY), "w");
    CHECK(stream != NULL, "fdopen: %s", strerror(errno));
    must_be_held(true, "while a stream on a descriptor is open");
    // cppcheck-suppress nullPointerRedundantCheck
    CHECK(fclose(stream) == 0, "fclose: %s", strerror(errno));
    must_be_held(false, "after fclose of a stream on a descriptor");
}

PITFALL(stream_on_descriptor_under_call, "call", "5")
{
    FILE *stream = fdopen(open_file(O_WRONLY | O_APPEND), "a");
    CHECK(stream != NULL, "fdopen: %s", strerror(errno));
    must_be_held(true, "while a stream may write behind our back");
    // cppcheck-suppress nullPointerRedundantCheck
    CHECK(fputs("more", stream) >= 0 && fclose(stream) == 0, "fclose: %s", strerror(errno));
    must_be_held(false, "after fclose");
}

/* A child that may not have the lock must not flush what it inherited in a buffer. */
PITFALL(child_closes_inherited_stream, "session", "0.2")
{
    FILE *stream = fopen(at("T/file"), "a");
    CHECK(stream != NULL && fputs("buffered", stream) >= 0, "fopen: %s", strerror(errno));
    pid_t child = fork();
    if (child == 0) {
        int result = fclose(stream);
        _exit(result == EOF && errno == EAGAIN ? 0 : 1);
    }
    (void)kernel_poll(NULL, 0, 600000000); /* not waiting for the child: it can't join */
    CHECK(status_of(child) == 0, "the child's fclose does not fail with EAGAIN");
    CHECK(size_of(at("T/file")) == 8, "the child has flushed without the lock");
    CHECK(fclose(stream) == 0, "fclose: %s", strerror(errno));
    CHECK(size_of(at("T/file")) == 16, "the text is not in the file once");
}

/* The lock goes after stdio's flush: whoever gets it next sees the text. */
PITFALL(flush_at_exit, "session", "5")
{
    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        if (child == 0) {
            FILE *stream = fopen(at("T/file"), "w");
            if (stream == NULL || fputs("written by exit", stream) < 0)
                _exit(1);
            (void)close(open(at("O/ready"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
            exit(0);
        }
        while (size_of(at("O/ready")) < 0)
            (void)kernel_poll(NULL, 0, 100000);
        int lock = kernel_openat(AT_FDCWD, at("T.lock"), O_RDWR | O_CLOEXEC, 0);
        (void)kernel_flock(lock, LOCK_EX);
        long size = size_of(at("T/file"));
        (void)kernel_close(lock);
        CHECK(status_of(child) == 0, "the child fails");
        CHECK(size == 15, "the lock was free before exit had flushed: %ld bytes", size);
        CHECK(unlink(at("O/ready")) == 0, "unlink: %s", strerror(errno));
    }
}
