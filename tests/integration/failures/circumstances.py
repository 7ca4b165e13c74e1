# SPDX-License-Identifier: Apache-2.0
"""What can be wrong around a registration; each is mended where its `with` ends."""
import contextlib
import fcntl
import os
import socket
import struct
import threading
from pathlib import Path
from typing import Callable, ContextManager, Iterator, List, Optional, Tuple, Union

from tests.integration.failures.row import REGISTER, SIGNING_KEY, Circumstance
from tests.integration.failures.site import Site
from tests.sandbox.faults import Body, Fault, Misbehaviour
from tests.sandbox.licences import Key

__all__ = [
    "all_of", "answers", "configured", "file", "full_queue", "licence", "locked", "mounted", "moved", "nothing", "read_only",
    "served_key", "speaking",
]  # fmt: skip

_PATHS = {"register_url": REGISTER, "repo_url": "", "gpg_key_url": SIGNING_KEY, "proxy": ""}
Text = Union[str, bytes]


@contextlib.contextmanager
def nothing(site: Site) -> Iterator[None]:
    """For a command that is wrong by itself."""
    yield


def all_of(*circumstances: Circumstance) -> Circumstance:
    @contextlib.contextmanager
    def all_at_once(site: Site) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for circumstance in circumstances:
                stack.enter_context(circumstance(site))
            yield

    return all_at_once


# --- the service --------------------------------------------------------------------------------------------------


def answers(behaviour: Misbehaviour, path: str = REGISTER, times: Optional[int] = None) -> Circumstance:
    """The service misbehaves at a path."""

    @contextlib.contextmanager
    def answering(site: Site) -> Iterator[None]:
        fault = site.service.order(Fault(behaviour, path=path, times=times))
        yield
        site.service.cancel_fault(fault)

    return answering


def licence(key: str, now: Optional[Key], then: Key) -> Circumstance:
    """What the service knows of a key (None: nothing), and what it will know."""

    @contextlib.contextmanager
    def known(site: Site) -> Iterator[None]:
        site.service.keys.pop(key, None)
        if now is not None:
            site.service.keys[key] = now
        yield
        site.service.keys[key] = then

    return known


def served_key(kind: str) -> Circumstance:
    """Another signing key is served, and the configuration names its fingerprint."""

    @contextlib.contextmanager
    def serving(site: Site) -> Iterator[None]:
        key = site.forged.made(kind)
        with all_of(answers(Body(key.text), SIGNING_KEY), configured("gpg_key_fingerprint = " + key.fingerprint))(site):
            yield

    return serving


# --- the configuration --------------------------------------------------------------------------------------------


def configured(*lines: str) -> Circumstance:
    """Lines of [service] of the host's tuxcare.conf, which ends with that section."""

    def configuring(site: Site) -> "ContextManager[None]":
        names = {line.partition("=")[0].strip() for line in lines}
        kept = [line for line in site.conf.read_text().splitlines() if line.partition("=")[0].strip() not in names]
        return file("etc/dnf/plugins/tuxcare.conf", site.fill("\n".join([*kept, *lines]) + "\n"))(site)

    return configuring


def moved(setting: str, url: Callable[[Site], str]) -> Circumstance:
    """A server, or the proxy, is to be found elsewhere."""
    return lambda site: configured("%s = %s%s" % (setting, url(site), _PATHS[setting]))(site)


# --- sockets ------------------------------------------------------------------------------------------------------


def speaking(setting: str, scheme: str, said: bytes) -> Circumstance:
    """In place of a server somebody who says these bytes whatever he is asked, and resets the connection."""

    @contextlib.contextmanager
    def listening(site: Site) -> Iterator[None]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=_speak, args=(server, said), daemon=True).start()
            url = "%s://127.0.0.1:%d" % (scheme, server.getsockname()[1])
            with moved(setting, lambda _: url)(site):
                yield

    return listening


def _speak(server: socket.socket, said: bytes) -> None:
    with contextlib.suppress(OSError):  # the end of the row
        while True:
            connection = server.accept()[0]
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(said)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0 if said else 1, 0))


@contextlib.contextmanager
def full_queue(site: Site) -> Iterator[None]:
    """A server that accepts nobody, with its queue full: the kernel drops who comes next, as a firewall does."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        url = "https://127.0.0.1:%d" % server.getsockname()[1]
        stack.enter_context(configured("register_url = " + url + REGISTER, "timeout = 1")(site))
        yield


# --- the host -----------------------------------------------------------------------------------------------------


def file(name: str, now: Optional[Text], then: Optional[Text] = None) -> Circumstance:
    """What a file below the root holds (None: there is none), and what later; `then` None puts back what was there."""

    @contextlib.contextmanager
    def holding(site: Site) -> Iterator[None]:
        path = site.host.root / name
        before = path.read_bytes() if path.is_file() else None
        _put(path, now)
        yield
        _put(path, before if then is None else then)

    return holding


def _put(path: Path, content: Optional[Text]) -> None:
    if content is None:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        return
    is_new = not path.exists()
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    if is_new:
        path.chmod(0o600)


def mounted(*commands: str, make: Tuple[str, ...] = ()) -> Circumstance:
    """File systems of its own for the command; folders to mount at are made, and stay."""

    @contextlib.contextmanager
    def mounting(site: Site) -> Iterator[None]:
        for name in make:
            (site.host.root / name).mkdir()
        site.mounts += [site.fill(command) for command in commands]
        yield
        site.mounts.clear()

    return mounting


@contextlib.contextmanager
def locked(site: Site) -> Iterator[None]:
    """Another command holds the lock, which is flock(2) on a folder."""
    descriptor = os.open(str(site.host.root / "etc/dnf"), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


def read_only(folder: str) -> List[str]:
    """Commands that make a folder below the root read-only."""
    return ["mount --bind {root}%s {root}%s" % (folder, folder), "mount -o remount,bind,ro {root}%s" % folder]
