# SPDX-License-Identifier: Apache-2.0
"""Runs commands with a folder as their `/`: private namespaces, the machine's /usr under the folder's own.

One process per host holds the namespaces, and commands enter them. So two commands of a host share one overlay
(two mounts of the same upper layer would be undefined), one pid namespace (dnf's lock files hold pids) and its
lock files. The holder ends with the process that made it, even if that one is killed, and takes with it everything
that still runs inside and every mount: nothing is ever mounted in the machine's own namespace.
"""
import functools
import os
import shlex
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from tests.sandbox.boot import Boot

__all__ = ["Namespace", "NamespaceError", "as_root", "check", "run", "slash_available", "start"]

_SCRIPT = Path(__file__).with_name("become_root.sh")
_KINDS = ("--mount", "--pid", "--ipc", "--uts")
# What has to be in the folder: mount points and the links that lead into /usr.
_MOUNT_POINTS = ("proc", "sys", "dev", "usr")
_MERGED = ("bin", "sbin", "lib", "lib64")


class NamespaceError(Exception):
    """The namespaces could not be made; the text is what the kernel or mount(8) said."""


# --- processes --------------------------------------------------------------------------------------------------


def start(argv: Sequence[str], env: Dict[str, str], stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[str]":
    """A process in a session of its own: it has no terminal, and `os.killpg` of its pid reaches its children too."""
    return subprocess.Popen(
        list(argv), env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
        encoding="utf-8", errors="surrogateescape", start_new_session=True,
    )


def run(
    argv: Sequence[str], env: Dict[str, str], stdin: Optional[str] = None, timeout: float = 120
) -> "subprocess.CompletedProcess[str]":
    """Like subprocess.run, but a timeout kills the children as well. Raises subprocess.TimeoutExpired."""
    process = start(argv, env, subprocess.DEVNULL if stdin is None else subprocess.PIPE)
    try:
        stdout, stderr = process.communicate(stdin, timeout)
    except BaseException:
        _kill_group(process)
        raise
    return subprocess.CompletedProcess(list(argv), process.returncode, stdout, stderr)


def check(argv: Sequence[str], env: Dict[str, str]) -> str:
    """Standard output of a command that has to succeed. Raises RuntimeError with all that it said."""
    done = run(argv, env, timeout=600)
    if done.returncode:
        raise RuntimeError("%s ended with %d:\n%s%s" % (shlex.join(argv), done.returncode, done.stdout, done.stderr))
    return done.stdout


def _kill_group(process: "subprocess.Popen[str]") -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.communicate()


def as_root() -> List[str]:
    """What to put before a command that has to be root: nothing for root, a user namespace for others."""
    return [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--"]


# --- the namespaces ---------------------------------------------------------------------------------------------


class Namespace:
    """The namespaces of one folder: `directory`/root is `/` in them, `directory`/boot what /proc shows.

    They come to be with the first command and end with `close`.
    """

    def __init__(self, directory: Path, host_name: str) -> None:
        self._directory = directory
        self._host_name = host_name
        self._holder: Optional["subprocess.Popen[str]"] = None
        self._pid = 0
        self._lock = threading.Lock()

    def enter(self, argv: Sequence[str], uid: int = 0, gid: int = 0) -> List[str]:
        """The argument vector that runs `argv` inside. It ends with the namespaces. Raises NamespaceError."""
        with self._lock:
            if self._holder is None or self._holder.poll() is not None:
                self._open()
        command = list(argv)
        if uid:
            command = ["setpriv", "--reuid=%d" % uid, "--regid=%d" % gid, "--clear-groups", "--", *command]
        return ["nsenter", "--target", str(self._pid), *_KINDS, "--", *command]

    def close(self) -> None:
        """Ends every process inside and every mount. Entering afterwards begins anew, as a boot does."""
        holder, self._holder = self._holder, None
        if holder is None:
            return
        assert holder.stdin is not None and holder.stdout is not None and holder.stderr is not None
        holder.stdin.close()
        try:
            holder.wait(5)
        except subprocess.TimeoutExpired:
            holder.kill()  # and, by --kill-child, what it holds
            holder.wait()
        holder.stdout.close()
        holder.stderr.close()

    def _open(self) -> None:
        self.close()
        (self._directory / "work").mkdir(exist_ok=True)
        holder = start(
            ["unshare", *_KINDS, "--fork", "--kill-child", "--propagation", "private", "--",
             "sh", str(_SCRIPT), str(self._directory), self._host_name],
            {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, subprocess.PIPE,
        )
        self._holder = holder
        assert holder.stdout is not None
        word, _, pid = holder.stdout.readline().partition(" ")
        if word != "ready":
            raise NamespaceError(self._failure())
        self._pid = int(pid)

    def _failure(self) -> str:
        assert self._holder is not None
        _, stderr = self._holder.communicate()
        self._holder = None
        return stderr.strip() or "the namespaces ended without a word"


@functools.lru_cache(maxsize=None)
def slash_available(directory: Optional[Path] = None) -> Optional[str]:
    """None where a host below `directory` (default: the folder for temporary files) can be `/`, else the reason why not.

    It is found out by trying, once per process and folder.
    """
    if os.geteuid() != 0:
        return "private namespaces with an overlay of /usr need root"
    try:
        with tempfile.TemporaryDirectory(prefix="slash-", dir=directory) as folder:
            return _try_slash(Path(folder))
    except (OSError, NamespaceError) as error:
        return "the kernel refuses private namespaces with an overlay of /usr: %s" % error


def _try_slash(directory: Path) -> Optional[str]:
    for name in _MOUNT_POINTS:
        (directory / "root" / name).mkdir(parents=True)
    for name in _MERGED:
        (directory / "root" / name).symlink_to("usr/" + name)
    Boot("5.14.0").write(directory / "boot")
    namespace = Namespace(directory, "probe.example.com")
    try:
        tried = run(namespace.enter(["sh", "-c", "cat /proc/sys/kernel/osrelease"]), {"PATH": "/usr/bin"})
    finally:
        namespace.close()
    return None if tried.stdout == "5.14.0\n" else "a trial host did not run: %s" % (tried.stderr.strip() or tried.stdout)
