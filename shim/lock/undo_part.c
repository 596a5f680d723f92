/*
 * Files that are written in place, bit by bit: only what is about to be overwritten or cut off is
 * saved, in blocks, each once in a session. It must never leave out a byte of the old file that the
 * change can reach: what is not known to be recorded is recorded.
 */
#include "shim/lock/undo_memory.h"
#include "shim/lock/undo_step.h"

#include <errno.h>

/* Below this a file is saved as a whole: later writes then cost nothing. */
#define WHOLE 16384
#define BLOCK 4096u
#define SIZE_KEY 0x73697a652d6b6579u

static uint64_t block_key(uint64_t inode_key, uint64_t block)
{
    return (inode_key ^ (block + 1) * 0xd6e8feb86659fd93u) | 1;
}

bool undo_part_is_recorded(uint32_t session, uint64_t inode_key, uint64_t offset, uint64_t size)
{
    if (inode_key == 0 || !undo_is_recorded(session, inode_key ^ SIZE_KEY))
        return false;
    if (offset == UNDO_AT_END || size == 0)
        return true;
    if (size > UNDO_INLINE || offset > INT64_MAX - size)
        return false;
    for (uint64_t block = offset / BLOCK; block <= (offset + size - 1) / BLOCK; block++) {
        if (!undo_is_recorded(session, block_key(inode_key, block)))
            return false;
    }
    return true;
}

static int add_run(struct undo_step *step, const struct undo_file *file, uint64_t begin,
                   uint64_t end)
{
    struct undo_source source = {.offset = begin, .size = end - begin};
    uint64_t allowed = undo_step_allowance(step);
    if (end - begin > allowed)
        return -UNDO_OVER_LIMIT;
    bool own = !file->readable || end - begin > UNDO_INLINE;
    source.file = own ? undo_file_open(file) : file->descriptor;
    if (source.file < 0)
        return source.file;
    int result = end - begin > UNDO_INLINE ? undo_step_save_part(step, &source) : 0;
    if (result == 0)
        result = undo_file_add(step, file, step->record.number == 0 ? &source : NULL, begin,
                               end - begin);
    if (own)
        (void)kernel_close(source.file);
    return result;
}

static void remember_blocks(const struct undo *undo, uint64_t key, uint64_t begin, uint64_t end)
{
    for (uint64_t block = begin / BLOCK; block * BLOCK < end; block++)
        undo_remember(undo->session, block_key(key, block));
}

/* Saves the blocks from `begin` to `end` that are not recorded yet, run by run. */
static int save_runs(struct undo_step *step, const struct undo_file *file, uint64_t key,
                     uint64_t begin, uint64_t end, bool *added)
{
    uint32_t session = step->undo->session;
    uint64_t size = (uint64_t)file->status.st_size;
    for (uint64_t block = begin / BLOCK; block * BLOCK < end;) {
        if (undo_is_recorded(session, block_key(key, block))) {
            block++;
            continue;
        }
        uint64_t first = block;
        while (block * BLOCK < end && !undo_is_recorded(session, block_key(key, block)))
            block++;
        uint64_t to = block * BLOCK < size ? block * BLOCK : size;
        step->record = (struct undo_record){.kind = 0};
        int result = add_run(step, file, first * BLOCK, to);
        if (result != 0)
            return result;
        *added = true;
        remember_blocks(step->undo, key, first * BLOCK, to);
    }
    return 0;
}

static int save_part(const struct undo *undo, const struct undo_file *file, uint64_t offset,
                     uint64_t size)
{
    struct undo_step step;
    uint64_t key = undo_inode_key(&file->status), length = (uint64_t)file->status.st_size;
    uint64_t begin = offset == UNDO_AT_END || offset > length ? length : offset;
    uint64_t end = size > length - begin ? length : begin + size;
    bool added = false;
    int result = undo_step_begin(&step, undo);
    if (result != 0)
        return result;
    if (begin < end)
        result = save_runs(&step, file, key, begin, end, &added);
    if (result == 0 && !added && !undo_is_recorded(undo->session, key ^ SIZE_KEY)) {
        step.record = (struct undo_record){.kind = 0};
        result = undo_file_add(&step, file, NULL, 0, 0);
    }
    result = undo_step_end(&step, result);
    if (result != 0)
        return result;
    undo_remember(undo->session, key ^ SIZE_KEY);
    /* What comes to lie behind the old end goes with the size. */
    if (offset != UNDO_AT_END && size <= UNDO_INLINE && offset <= INT64_MAX - size &&
        offset + size > length)
        remember_blocks(undo, key,
                        (length + BLOCK - 1) / BLOCK * BLOCK > offset
                            ? (length + BLOCK - 1) / BLOCK * BLOCK
                            : offset / BLOCK * BLOCK,
                        offset + size);
    return 0;
}

/* Cheaper as a whole, or with rights that a write takes away. */
static bool is_for_whole(const struct undo_file *file, uint64_t offset, uint64_t size)
{
    uint64_t length = (uint64_t)file->status.st_size;
    bool cuts_most = size == UNDO_TO_END && offset != UNDO_AT_END && offset <= length / 2;
    return length <= WHOLE || cuts_most || (file->status.st_mode & 06111) != 0;
}

int undo_save_part(const struct undo *undo, const struct undo_open_file *opened, uint64_t offset,
                   uint64_t size, uint64_t *inode_key)
{
    struct undo_file file = {
        .descriptor = opened->descriptor, .path = opened->path, .readable = opened->readable};
    *inode_key = 0;
    if (undo_look_at(undo->kept, opened->descriptor, &file.status) != 0 ||
        !S_ISREG(file.status.st_mode) || file.status.st_nlink == 0)
        return 0;
    if (undo_file_is_recorded(undo, &file))
        return UNDO_IS_WHOLE;
    if (is_for_whole(&file, offset, size)) {
        int result = undo_file_save(undo, &file, -1);
        return result == 0 ? UNDO_IS_WHOLE : result;
    }
    *inode_key = undo_inode_key(&file.status);
    return save_part(undo, &file, offset, size);
}

int undo_save_cut(const struct undo *undo, const char *path, uint64_t length)
{
    struct stat status;
    uint64_t key;
    int result = kernel_fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW);
    if (result == 0 && S_ISLNK(status.st_mode))
        return -ELOOP;
    if (result != 0 || !S_ISREG(status.st_mode))
        return 0;
    int file = undo_open_to_read(AT_FDCWD, path, O_NOFOLLOW);
    if (file < 0)
        return file;
    struct undo_open_file opened = {.descriptor = file, .path = path, .readable = true};
    result = undo_save_part(undo, &opened, length, UNDO_TO_END, &key);
    (void)kernel_close(file);
    return result < 0 ? result : 0;
}
