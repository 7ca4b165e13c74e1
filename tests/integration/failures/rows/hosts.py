# SPDX-License-Identifier: Apache-2.0
"""The host: its system, its files, its disk, its configuration, another command."""
from typing import Tuple

from tests.integration.failures.circumstances import file, locked, mounted, nothing, read_only
from tests.integration.failures.row import RETURNED, Row
from tests.sandbox import osfiles, template

__all__ = ["ROWS"]

_SYSTEM = "the system"
_REPO_FILES = "the repository files"
_CONFIGURATION = "the configuration"
_DISK = "the disk"
_OTHERS = "who runs it, and when"
_OS_RELEASE = "usr/lib/os-release"
_FEDORA = 'NAME="Fedora Linux"\nID=fedora\nVERSION_ID=38\nPRETTY_NAME="Fedora Linux 38 (Server Edition)"\n'
_OTHER = "[other]\nname=Other\nbaseurl=https://packages.example.com/el9/\nenabled=0\n"
_UNPINNED = "[extra]\nname=Extra\nbaseurl=https://repo.almalinux.org/almalinux/extra/\n"
_BAD_CONFIGURATION = "[main]\nenabled = banana\n[service]\nbanana = 1\ntimeout = soon\n"
_STATE = "/var/lib/tuxcare"


def _row(name: str, group: str, words: str, path: str, content: str, *says: str) -> Row:
    return Row(name, group, words, file(path, content), says, tries=0)


def _system(name: str, words: str, content: str, *says: str) -> Row:
    return _row("system-" + name, _SYSTEM, words, _OS_RELEASE, content, *says)


def _disk(name: str, words: str, folder: str, commands: Tuple[str, ...], says: Tuple[str, ...], asked: bool) -> Row:
    make = (folder.lstrip("/"),) if folder == _STATE else ()
    seat = RETURNED if asked else "none"
    return Row("disk-" + name, _DISK, words, mounted(*commands, make=make), says, seat, int(asked), mounts=True)


_TMPFS = "mount -t tmpfs -o mode=755,%s none {root}" + _STATE

ROWS: Tuple[Row, ...] = (
    _system("other", "another distribution", _FEDORA, "Fedora Linux 38", "not supported"),
    _system("release", "AlmaLinux 9.6", osfiles.os_release("9.6"), "9.6", "is not available"),
    _system("product", "AlmaLinux 9.4, with a key that begins with ESU-", osfiles.os_release("9.4"), "ESU", "9.4"),
    _system("unknown", "no os-release", "", "not supported"),
    Row("system-architecture", _SYSTEM, "another architecture", nothing, ("s390x", "x86_64", "aarch64"), tries=0,
        args=("--forcearch=s390x",), mends=False),
    _row("repo-file-ambiguous", _REPO_FILES, "a section twice", "etc/yum.repos.d/other.repo", _OTHER * 2,
         "/etc/yum.repos.d/other.repo"),
    _row("repo-file-unpinned", _REPO_FILES, "an address of the operating system's that names no release",
         "etc/yum.repos.d/extra.repo", _UNPINNED, "/etc/yum.repos.d/extra.repo", "names no release"),
    _row("configuration", _CONFIGURATION, "an unknown key and two bad values", "etc/dnf/plugins/tuxcare.conf",
         _BAD_CONFIGURATION, "tuxcare.conf:2", "tuxcare.conf:4", "tuxcare.conf:5"),
    _row("configuration-address", _CONFIGURATION, "a password in an address", "etc/dnf/plugins/tuxcare.conf",
         "[service]\nrepo_url = https://me:secret@repo.example.com\n", "tuxcare.conf:2", "repo_url"),
    _disk("full", "full from the beginning", _STATE, (_TMPFS % "nr_inodes=1",), ("No space left",), asked=False),
    _disk("full-then", "full once the token has come", _STATE, (_TMPFS % "size=4k",), ("No space left",), asked=True),
    _disk("read-only", "/etc is read-only", "/etc", tuple(read_only("/etc")), ("read-only",), asked=True),
    _disk("read-only-state", "/var/lib is read-only", "/var/lib", tuple(read_only("/var/lib")), ("read-only",), asked=False),
    Row("locked", _OTHERS, "another `dnf tuxcare` is running, and `exit_on_lock` is set", locked,
        ("Another `dnf tuxcare` is running (process ",), tries=0, args=("--setopt=exit_on_lock=1",), status=200),
    Row("not-root", _OTHERS, "an ordinary user", nothing, ("superuser",), tries=0, user=template.USER),
)  # fmt: skip
