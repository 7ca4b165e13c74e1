/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts the system calls by which a program changes files of a host, and at the N-th of them kills the program or lets
 * the call fail. Loaded by LD_PRELOAD; what is not below one of the given places is not counted and not touched.
 *
 *   CRASH_PLACES   absolute path prefixes, separated by ':'; one that ends with '$' is that path alone. Paths are told as
 *                  they are outside, also while the program has changed its root (rpm does for a whole transaction)
 *   CRASH_LOG      a file: one line for each counted call, fields separated by tabs, the last one its result
 *   CRASH_AT       N, from 1; without it calls are only counted
 *   CRASH_MODE     "kill" (before the call) | "once" (the call fails) | "dead" (it and all later ones fail)
 *                  | "full" (it and all later ones that need room on the disk fail)
 *   CRASH_ERRNO    what a call fails with
 *   CRASH_PID      set by the first program: those that it starts are left alone
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define WANTS_ROOM 1
#define ROOM_FIELD (2 * PATH_MAX + 64)

static int counted;
/* Of the program as it was started; in another root neither can be opened. */
static int proc_self = -1, log_file = -1;
static int is_first;
/* The root that was changed to; empty outside of any. */
static char other_root[PATH_MAX];

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("CRASH_LOG");
    char number[32];

    snprintf(number, sizeof number, "%d", (int)getpid());
    setenv("CRASH_PID", number, 0);
    is_first = strcmp(getenv("CRASH_PID"), number) == 0;
    proc_self = syscall(SYS_openat, AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (path)
        log_file = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* --- which calls are counted ---------------------------------------------------------------------------------------- */

static void absolute(int folder, const char *path, char *out)
{
    char link[64], base[PATH_MAX];
    ssize_t length;

    if (path[0] == '/') {
        snprintf(out, PATH_MAX, "%.*s%s", PATH_MAX / 4, other_root, path);
        return;
    }
    if (folder == AT_FDCWD)
        strcpy(link, "cwd");
    else
        snprintf(link, sizeof link, "fd/%d", folder);
    length = readlinkat(proc_self, link, base, sizeof base - 1);
    base[length > 0 ? length : 0] = '\0';
    snprintf(out, PATH_MAX, "%.*s%.*s%s%s", PATH_MAX / 4, other_root, PATH_MAX / 4, base, path[0] ? "/" : "", path);
}

/* rpm goes into a root by its path, and out by chroot(".") with its old folder at hand. */
int chroot(const char *path)
{
    char root[PATH_MAX] = "";
    size_t length;
    int result;

    if (strcmp(path, ".") != 0)
        absolute(AT_FDCWD, path, root);
    for (length = strlen(root); length && root[length - 1] == '/'; length--)
        root[length - 1] = '\0';
    result = syscall(SYS_chroot, path);
    if (result == 0)
        strcpy(other_root, root);
    return result;
}

static int is_ours(const char *path)
{
    const char *place = getenv("CRASH_PLACES");

    while (is_first && place && *place) {
        size_t length = strcspn(place, ":");
        if (length && place[length - 1] == '$' ? strlen(path) == length - 1 && strncmp(path, place, length - 1) == 0
                                               : length && strncmp(path, place, length) == 0)
            return 1;
        place += length + (place[length] == ':');
    }
    return 0;
}

/* --- the log -------------------------------------------------------------------------------------------------------- */

static void put(const char *data, size_t length)
{
    while (log_file >= 0 && length) {
        ssize_t done = syscall(SYS_write, log_file, data, length);
        if (done <= 0)
            break;
        data += done;
        length -= done;
    }
}

static void note(const char *name, const char *fields, long result, int error)
{
    size_t size = strlen(name) + strlen(fields) + 64;
    char *line = malloc(size);

    if (!line)
        abort();
    put(line, snprintf(line, size, "%s\t%s\t%s%ld\n", name, fields, result < 0 ? "errno " : "", result < 0 ? error : result));
    free(line);
}

static void note_death(const char *name, const char *fields)
{
    size_t size = strlen(name) + strlen(fields) + 64;
    char *line = malloc(size);

    if (!line)
        abort();
    put(line, snprintf(line, size, "%s\t%s\tkilled\n", name, fields));
    free(line);
}

/* What is done with the call that is just now to be made: 0, or the errno with which it fails. */
static int verdict(const char *name, const char *fields, int wants_room)
{
    const char *at = getenv("CRASH_AT"), *mode = getenv("CRASH_MODE"), *error = getenv("CRASH_ERRNO");
    int mine = __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST), number = at ? atoi(at) : 0;

    if (!number || !mode || mine < number)
        return 0;
    if (mine == number && strcmp(mode, "kill") == 0) {
        note_death(name, fields);
        kill(getpid(), SIGKILL);
        for (;;)
            pause();
    }
    if ((mine == number && strcmp(mode, "once") == 0) || strcmp(mode, "dead") == 0 || (strcmp(mode, "full") == 0 && wants_room))
        return error ? atoi(error) : EIO;
    return 0;
}

/* Runs CALL, an expression with the result of the real call, unless the verdict is against it. */
#define GUARDED(ours, name, fields, room, call)                                                                              \
    do {                                                                                                                     \
        long result;                                                                                                         \
        int error;                                                                                                           \
        if (!(ours))                                                                                                         \
            return (call);                                                                                                   \
        error = verdict(name, fields, room);                                                                                 \
        if (error) {                                                                                                         \
            note(name, fields, -1, error);                                                                                   \
            errno = error;                                                                                                   \
            return -1;                                                                                                       \
        }                                                                                                                    \
        result = (call);                                                                                                     \
        error = errno;                                                                                                       \
        note(name, fields, result, error);                                                                                   \
        errno = error;                                                                                                       \
        return result;                                                                                                       \
    } while (0)

/* --- descriptors ---------------------------------------------------------------------------------------------------- */

#define ON_DESCRIPTOR(fd, name, room, call, ...)                                                                             \
    do {                                                                                                                     \
        char path[PATH_MAX], fields[ROOM_FIELD];                                                                             \
        absolute(fd, "", path);                                                                                              \
        snprintf(fields, sizeof fields, __VA_ARGS__);                                                                        \
        GUARDED(is_ours(path), name, fields, room, call);                                                                    \
    } while (0)

static ssize_t written(int fd, const struct iovec *parts, int count, long offset)
{
    char path[PATH_MAX], *fields, *end;
    size_t length = 0, place = 0;
    int part;

    absolute(fd, "", path);
    if (!is_ours(path))
        return offset < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, offset, 0L);
    for (part = 0; part < count; part++)
        length += parts[part].iov_len;
    fields = malloc(strlen(path) + 2 * length + 64);
    if (!fields)
        abort();
    end = fields + sprintf(fields, "%s\t%ld\t", path, offset);
    for (part = 0; part < count; part++)
        for (place = 0; place < parts[part].iov_len; place++)
            end += sprintf(end, "%02x", ((unsigned char *)parts[part].iov_base)[place]);
    /* The few bytes of `fields` are left to the end of the process: GUARDED returns. */
    GUARDED(1, "write", fields, WANTS_ROOM,
            offset < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, offset, 0L));
}

ssize_t write(int fd, const void *data, size_t length)
{
    struct iovec part = {(void *)data, length};
    return written(fd, &part, 1, -1);
}

ssize_t writev(int fd, const struct iovec *parts, int count) { return written(fd, parts, count, -1); }

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
    struct iovec part = {(void *)data, length};
    return written(fd, &part, 1, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return pwrite(fd, data, length, offset); }

int fsync(int fd) { ON_DESCRIPTOR(fd, "fsync", WANTS_ROOM, syscall(SYS_fsync, fd), "%s", path); }

int fdatasync(int fd) { ON_DESCRIPTOR(fd, "fsync", WANTS_ROOM, syscall(SYS_fdatasync, fd), "%s", path); }

int ftruncate(int fd, off_t length)
{
    ON_DESCRIPTOR(fd, "ftruncate", WANTS_ROOM, syscall(SYS_ftruncate, fd, length), "%s\t%ld", path, (long)length);
}

int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

int fchmod(int fd, mode_t mode) { ON_DESCRIPTOR(fd, "chmod", 0, syscall(SYS_fchmod, fd, mode), "%s\t%o", path, mode); }

int fchown(int fd, uid_t uid, gid_t gid)
{
    ON_DESCRIPTOR(fd, "chown", 0, syscall(SYS_fchown, fd, uid, gid), "%s\t%d\t%d", path, (int)uid, (int)gid);
}

int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
    ON_DESCRIPTOR(fd, "setxattr", WANTS_ROOM, syscall(SYS_fsetxattr, fd, name, value, size, flags), "%s\t%s\t%.*s", path, name,
                  (int)size, (const char *)value);
}

int futimens(int fd, const struct timespec times[2])
{
    ON_DESCRIPTOR(fd, "utime", 0, syscall(SYS_utimensat, fd, NULL, times, 0), "%s\t%ld.%09ld", path,
                  times ? (long)times[1].tv_sec : -1L, times ? times[1].tv_nsec : 0L);
}

/* --- paths ---------------------------------------------------------------------------------------------------------- */

#define ON_PATH(folder, name_of_file, name, room, call, ...)                                                                 \
    do {                                                                                                                     \
        char path[PATH_MAX], fields[ROOM_FIELD];                                                                             \
        absolute(folder, name_of_file, path);                                                                                \
        snprintf(fields, sizeof fields, __VA_ARGS__);                                                                        \
        GUARDED(is_ours(path), name, fields, room, call);                                                                    \
    } while (0)

#define CHANGES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))

static int opened(int folder, const char *file, int flags, mode_t mode)
{
    if (!CHANGES(flags))
        return syscall(SYS_openat, folder, file, flags, mode);
    ON_PATH(folder, file, "open", WANTS_ROOM, syscall(SYS_openat, folder, file, flags, mode), "%s\t%o\t%o", path, flags, mode);
}

static mode_t mode_of(int flags, va_list rest)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, mode_t) : 0;
}

#define OPENER(head, folder)                                                                                                 \
    head                                                                                                                     \
    {                                                                                                                        \
        va_list rest;                                                                                                        \
        mode_t mode;                                                                                                         \
        va_start(rest, flags);                                                                                               \
        mode = mode_of(flags, rest);                                                                                         \
        va_end(rest);                                                                                                        \
        return opened(folder, file, flags, mode);                                                                            \
    }

OPENER(int open(const char *file, int flags, ...), AT_FDCWD)
OPENER(int open64(const char *file, int flags, ...), AT_FDCWD)
OPENER(int openat(int folder, const char *file, int flags, ...), folder)
OPENER(int openat64(int folder, const char *file, int flags, ...), folder)

int creat(const char *file, mode_t mode) { return opened(AT_FDCWD, file, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int creat64(const char *file, mode_t mode) { return creat(file, mode); }

int truncate(const char *file, off_t length)
{
    ON_PATH(AT_FDCWD, file, "ftruncate", WANTS_ROOM, syscall(SYS_truncate, file, length), "%s\t%ld", path, (long)length);
}

int mkdirat(int folder, const char *file, mode_t mode)
{
    ON_PATH(folder, file, "mkdir", WANTS_ROOM, syscall(SYS_mkdirat, folder, file, mode), "%s\t%o", path, mode);
}

int mkdir(const char *file, mode_t mode) { return mkdirat(AT_FDCWD, file, mode); }

int unlinkat(int folder, const char *file, int flags)
{
    ON_PATH(folder, file, flags & AT_REMOVEDIR ? "rmdir" : "unlink", 0, syscall(SYS_unlinkat, folder, file, flags), "%s", path);
}

int unlink(const char *file) { return unlinkat(AT_FDCWD, file, 0); }

int rmdir(const char *file) { return unlinkat(AT_FDCWD, file, AT_REMOVEDIR); }

int fchmodat(int folder, const char *file, mode_t mode, int flags)
{
    (void)flags; /* The system call has none. */
    ON_PATH(folder, file, "chmod", 0, syscall(SYS_fchmodat, folder, file, mode), "%s\t%o", path, mode);
}

int chmod(const char *file, mode_t mode) { return fchmodat(AT_FDCWD, file, mode, 0); }

int fchownat(int folder, const char *file, uid_t uid, gid_t gid, int flags)
{
    ON_PATH(folder, file, "chown", 0, syscall(SYS_fchownat, folder, file, uid, gid, flags), "%s\t%d\t%d", path, (int)uid,
            (int)gid);
}

int chown(const char *file, uid_t uid, gid_t gid) { return fchownat(AT_FDCWD, file, uid, gid, 0); }

int lchown(const char *file, uid_t uid, gid_t gid) { return fchownat(AT_FDCWD, file, uid, gid, AT_SYMLINK_NOFOLLOW); }

int setxattr(const char *file, const char *name, const void *value, size_t size, int flags)
{
    ON_PATH(AT_FDCWD, file, "setxattr", WANTS_ROOM, syscall(SYS_setxattr, file, name, value, size, flags), "%s\t%s\t%.*s", path,
            name, (int)size, (const char *)value);
}

int utimensat(int folder, const char *file, const struct timespec times[2], int flags)
{
    ON_PATH(folder, file, "utime", 0, syscall(SYS_utimensat, folder, file, times, flags), "%s\t%ld.%09ld", path,
            times ? (long)times[1].tv_sec : -1L, times ? times[1].tv_nsec : 0L);
}

/* Two paths: counted where either is ours, and told with both. */
#define ON_TWO(old_folder, old, new_folder, new, name, call)                                                                 \
    do {                                                                                                                     \
        char path[PATH_MAX], target[PATH_MAX], fields[ROOM_FIELD];                                                           \
        absolute(old_folder, old, path);                                                                                     \
        absolute(new_folder, new, target);                                                                                   \
        snprintf(fields, sizeof fields, "%s\t%s", path, target);                                                             \
        GUARDED(is_ours(path) || is_ours(target), name, fields, WANTS_ROOM, call);                                           \
    } while (0)

int renameat2(int old_folder, const char *old, int new_folder, const char *new, unsigned int flags)
{
    ON_TWO(old_folder, old, new_folder, new, "rename", syscall(SYS_renameat2, old_folder, old, new_folder, new, flags));
}

int renameat(int old_folder, const char *old, int new_folder, const char *new)
{
    return renameat2(old_folder, old, new_folder, new, 0);
}

int rename(const char *old, const char *new) { return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0); }

int linkat(int old_folder, const char *old, int new_folder, const char *new, int flags)
{
    ON_TWO(old_folder, old, new_folder, new, "link", syscall(SYS_linkat, old_folder, old, new_folder, new, flags));
}

int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

int symlinkat(const char *text, int folder, const char *file)
{
    ON_PATH(folder, file, "symlink", WANTS_ROOM, syscall(SYS_symlinkat, text, folder, file), "%s\t%s", path, text);
}

int symlink(const char *text, const char *file) { return symlinkat(text, AT_FDCWD, file); }

/* --- stdio, by which Lua scriptlets write: the C library's own calls below it cannot be seen ------------------------ */

static FILE *real_fopen(const char *file, const char *mode)
{
    FILE *(*next)(const char *, const char *) = (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "fopen64");
    return next(file, mode);
}

FILE *fopen64(const char *file, const char *mode)
{
    char path[PATH_MAX], fields[ROOM_FIELD];
    FILE *found;
    int error;

    absolute(AT_FDCWD, file, path);
    if (!(strpbrk(mode, "wa+") && is_ours(path)))
        return real_fopen(file, mode);
    snprintf(fields, sizeof fields, "%s\t%s", path, mode);
    error = verdict("fopen", fields, WANTS_ROOM);
    found = error ? NULL : real_fopen(file, mode);
    error = error ? error : errno;
    note("fopen", fields, found ? 0 : -1, error);
    errno = error;
    return found;
}

FILE *fopen(const char *file, const char *mode) { return fopen64(file, mode); }

static int real_fclose(FILE *stream)
{
    int (*next)(FILE *) = (int (*)(FILE *))dlsym(RTLD_NEXT, "fclose");
    return next(stream);
}

/* What was written is in the file only now, where it is little. */
int fclose(FILE *stream)
{
    char path[PATH_MAX];
    int fd = fileno(stream), flags = fd < 0 ? 0 : fcntl(fd, F_GETFL);

    if (fd < 0 || (flags & O_ACCMODE) == O_RDONLY)
        return real_fclose(stream);
    absolute(fd, "", path);
    GUARDED(is_ours(path), "fclose", path, 0, real_fclose(stream));
}

int remove(const char *file)
{
    int result = unlink(file);

    return result && errno == EISDIR ? rmdir(file) : result;
}
