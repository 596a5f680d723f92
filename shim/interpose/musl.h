/*
 * What this libc's headers do not declare though it, or the shim, has it: musl names the 64-bit
 * twins by macros, where a program from elsewhere may call them as functions. And the types in
 * which the two libcs' prototypes differ.
 */
#ifndef LOCKSHIM_MUSL_H
#define LOCKSHIM_MUSL_H

#ifdef __GLIBC__
typedef unsigned long ioctl_request;
typedef int recvmmsg_flags;
typedef struct aiocb *const aiocb_listed;
#else
typedef int ioctl_request;
typedef unsigned recvmmsg_flags;
typedef struct aiocb *restrict const aiocb_listed;

#include <link.h>
#include <linux/close_range.h>
#ifndef STATX_TYPE
#include <linux/stat.h>
#endif

extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));
#define RTLD_DEEPBIND 0

#undef fcntl64
#undef open64
#undef openat64
#undef creat64
#undef fopen64
#undef freopen64
#undef tmpfile64
#undef mkstemp64
#undef mkostemp64
#undef mkstemps64
#undef mkostemps64
#undef truncate64
#undef ftruncate64
#undef fallocate64
#undef posix_fallocate64
#undef pwrite64
#undef pwritev64
#undef sendfile64
#undef aio_write64
#undef lio_listio64
#undef mmap64
#undef scandir64
#undef ftw64
#undef nftw64
#undef glob64
#undef stat64
#undef lstat64
#undef fstatat64
#undef aiocb64
#undef dirent64

/* The same as their namesakes; an unnamed member makes their members its own. */
struct stat64 {
    struct stat;
};
struct aiocb64 {
    struct aiocb;
};
struct dirent64;
typedef FTS FTS64;
typedef FTSENT FTSENT64;
typedef int (*__ftw_func_t)(const char *path, const struct stat *status, int kind);
typedef int (*__ftw64_func_t)(const char *path, const struct stat64 *status, int kind);
typedef int (*__nftw_func_t)(const char *path, const struct stat *status, int kind,
                             struct FTW *level);
typedef int (*__nftw64_func_t)(const char *path, const struct stat64 *status, int kind,
                               struct FTW *level);

extern __typeof__(open) open64;
extern __typeof__(openat) openat64;
extern __typeof__(creat) creat64;
extern __typeof__(fopen) fopen64;
extern __typeof__(freopen) freopen64;
extern __typeof__(tmpfile) tmpfile64;
extern __typeof__(mkstemp) mkstemp64;
extern __typeof__(mkostemp) mkostemp64;
extern __typeof__(mkstemps) mkstemps64;
extern __typeof__(mkostemps) mkostemps64;
extern __typeof__(truncate) truncate64;
extern __typeof__(ftruncate) ftruncate64;
extern __typeof__(fallocate) fallocate64;
extern __typeof__(posix_fallocate) posix_fallocate64;
extern __typeof__(pwrite) pwrite64;
extern __typeof__(sendfile) sendfile64;
extern __typeof__(mmap) mmap64;
int ftw64(const char *path, __ftw64_func_t each, int descriptors_at_most);
int nftw64(const char *path, __nftw64_func_t each, int descriptors_at_most, int flags);
extern __typeof__(glob) glob64;
extern __typeof__(fcntl) fcntl64;
extern __typeof__(fts_open) fts64_open;
extern __typeof__(pwritev) pwritev64;
int stat64(const char *path, struct stat64 *status);
int lstat64(const char *path, struct stat64 *status);
int fstatat64(int directory, const char *path, struct stat64 *status, int flags);
int aio_write64(struct aiocb64 *request);
int lio_listio64(int mode, struct aiocb64 *const list[], int count, struct sigevent *event);
int scandir64(const char *path, struct dirent64 ***names, int (*filter)(const struct dirent64 *),
              int (*compare)(const struct dirent64 **, const struct dirent64 **));
int scandirat(int directory, const char *path, struct dirent ***names,
              int (*filter)(const struct dirent *),
              int (*compare)(const struct dirent **, const struct dirent **));
int scandirat64(int directory, const char *path, struct dirent64 ***names,
                int (*filter)(const struct dirent64 *),
                int (*compare)(const struct dirent64 **, const struct dirent64 **));
int close_range(unsigned first, unsigned last, int flags);
void closefrom(int first);
int fcloseall(void);
int renameat2(int old_directory, const char *old_path, int new_directory, const char *new_path,
              unsigned flags);
int execveat(int directory, const char *path, char *const *arguments, char *const *environment,
             int flags);
ssize_t pwritev2(int descriptor, const struct iovec *vector, int count, off_t offset, int flags);
ssize_t pwritev64v2(int descriptor, const struct iovec *vector, int count, off_t offset, int flags);
char *canonicalize_file_name(const char *path);
typedef long Lmid_t;
void *dlmopen(Lmid_t list, const char *path, int flags);
int statx(int directory, const char *path, int flags, unsigned mask, struct statx *status);

#endif
#endif
