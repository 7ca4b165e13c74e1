/* SPDX-License-Identifier: Apache-2.0
 *
 * What of the machine the programs of a host must not see, and no namespace or option hides. Loaded by
 * /etc/ld.so.preload, or by LD_PRELOAD for a program that works on the host from outside.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The kernel that the host has booted, not the machine's: libdnf protects the running kernel by what uname says. */
int uname(struct utsname *name)
{
    char release[sizeof name->release];
    const char *path = getenv("SANDBOX_OSRELEASE");
    int file;
    ssize_t length;

    if (syscall(SYS_uname, name) != 0)
        return -1;
    file = open(path ? path : "/proc/sys/kernel/osrelease", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    length = read(file, release, sizeof release - 1);
    close(file);
    if (length > 0) {
        release[length] = '\0';
        release[strcspn(release, "\n")] = '\0';
        strcpy(name->release, release);
    }
    return 0;
}

/* The authorities that the machine trusts, whatever dnf's sslcacert says: Debian's libcurl reads that whole folder for each
 * connection, which takes longer than all else that dnf does. SANDBOX_OSRELEASE is set for programs outside alone. */
DIR *opendir(const char *path)
{
    int file;
    DIR *folder;

    if (getenv("SANDBOX_OSRELEASE") && strcmp(path, "/etc/ssl/certs") == 0) {
        errno = ENOENT;
        return NULL;
    }
    file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_DIRECTORY | O_CLOEXEC);
    if (file < 0)
        return NULL;
    folder = fdopendir(file);
    if (!folder)
        close(file);
    return folder;
}
