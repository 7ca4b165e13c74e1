/* SPDX-License-Identifier: Apache-2.0
 *
 * uname(2) that tells the kernel that a host has booted, for the programs of the host: libdnf protects the running
 * kernel by what uname says, and no namespace can change that. Loaded by /etc/ld.so.preload, or by LD_PRELOAD for a
 * program that works on the host from outside.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

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
