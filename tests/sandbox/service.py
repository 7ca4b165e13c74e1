# SPDX-License-Identifier: Apache-2.0
"""The stand-in for the vendor's, the community's and a third party's servers, over HTTPS on loopback.

It registers hosts and counts seats, serves the universe's trees to those who may have them, keeps a record of each
request, and misbehaves on order (`faults`). Nothing of it leaves the machine.

    with Service(Universe.build(), directory) as service:
        requests.get(service.url + "/almalinux/9/BaseOS/x86_64/os/repodata/repomd.xml", verify=str(service.ca_file))
"""
import random
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Dict, List, Optional, Protocol

from tests.sandbox.answers import Answer
from tests.sandbox.authority import Authority, Identity
from tests.sandbox.faults import Fault, Faults
from tests.sandbox.licences import Key, Licences, Seat
from tests.sandbox.listener import Call, Listener
from tests.sandbox.proxy import Proxy
from tests.sandbox.records import Record, Records
from tests.sandbox.routes import Request, Routes

__all__ = ["HOST_NAMES", "Fault", "Key", "Record", "Seat", "Service"]

HOST_NAMES = (
    "cln.cloudlinux.com",
    "repo.tuxcare.com",
    "repo.almalinux.org",
    "mirrors.almalinux.org",
    "vault.almalinux.org",
    "packages.example.com",
    "localhost",
)


class Content(Protocol):
    """What the service needs of a universe: a folder of trees, a folder of public keys."""

    @property
    def trees(self) -> Path: ...

    @property
    def keys(self) -> Path: ...


class Service:
    """Runs in threads of this process between `start()` and `stop()`; also a context manager."""

    def __init__(self, universe: Content, directory: Path, log: Optional[Callable[[Record], None]] = None) -> None:
        self.directory = directory
        self.host_names = HOST_NAMES
        self.licences = Licences()
        self._routes = Routes(universe.trees, universe.keys, self.licences)
        self._records = Records(log)
        self._faults = Faults()
        self._stack = ExitStack()
        self._extra: Dict[str, str] = {}
        self._lock = threading.Lock()

    # --- life ---------------------------------------------------------------------------------------------------

    def start(self) -> "Service":
        self.address = _free_address()
        self._authority = Authority(self.directory)
        self.ca_file = self._authority.certificate_file
        names = [*self.host_names, "127.0.0.1", self.address]
        self._identity = self._authority.issue("server", names)
        self.port = self._listen("127.0.0.1", 0, self._identity).port
        self._listen(self.address, self.port, self._identity)
        self.url = "https://localhost:%d" % self.port
        self.default_port = self._listen_on_default_port()
        return self

    def stop(self) -> None:
        """Cuts what is under way; afterwards all ports are free."""
        self._stack.close()

    def __enter__(self) -> "Service":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- licences -----------------------------------------------------------------------------------------------

    @property
    def keys(self) -> Dict[str, Key]:
        """Licence keys by their text; a test may change them."""
        return self.licences.keys

    @property
    def seats(self) -> Dict[str, Dict[str, str]]:
        """What is taken: {key: {host name: token}}; a host name's second seat stands under `NAME (2)`."""
        taken: Dict[str, Dict[str, str]] = {}
        for seat in self.licences.seats():
            hosts = taken.setdefault(seat.key, {})
            twins = sum(1 for name in hosts if name.partition(" ")[0] == seat.host_name)
            hosts[seat.host_name + (" (%d)" % (twins + 1) if twins else "")] = seat.token
        return taken

    # --- what was asked, and how to be answered -----------------------------------------------------------------

    @property
    def requests(self) -> List[Record]:
        """All requests since the start or `clear_requests()`, in the order they came in."""
        return self._records.all()

    def clear_requests(self) -> None:
        self._records.clear()

    def order(self, fault: Fault) -> Fault:
        """The misbehaviour acts from the next request on; the fault is handed back for `cancel_fault`."""
        return self._faults.order(fault)

    def cancel_fault(self, fault: Fault) -> None:
        self._faults.cancel(fault)

    def cancel_faults(self) -> None:
        self._faults.cancel()

    @property
    def mounts(self) -> Dict[str, Path]:
        """What `mount` has published, by prefix; a test may change it."""
        return self._routes.mounts

    def mount(self, prefix: str, folder: Path) -> str:
        """Publishes a folder below a path such as `/mirror/`, without a token; its address."""
        assert prefix.startswith("/") and prefix.endswith("/"), prefix
        self._routes.mounts[prefix] = folder
        return self.url + prefix

    # --- listeners of their own ---------------------------------------------------------------------------------

    def impostor_url(self, flaw: str) -> str:
        """The same service with another certificate: "expired", "not-yet-valid", for a "wrong-name", of an "unknown-issuer"."""
        return self._extra_url(flaw, lambda: "https://localhost:%d" % self._impostor(flaw).port)

    @property
    def plain_url(self) -> str:
        """The same service over plain HTTP, as in a closed network."""
        return self._extra_url("plain", lambda: "http://localhost:%d" % self._listen("127.0.0.1", 0, None).port)

    @property
    def metadata_url(self) -> str:
        """The metadata service of an AWS instance (`instances`), as on its link-local address."""
        return self.plain_url.replace("localhost", "127.0.0.1")

    @property
    def proxy(self) -> Proxy:
        """An HTTP proxy whose CONNECT to any host name ends at this service: `proxy.url`, `proxy.targets`."""
        with self._lock:
            if not hasattr(self, "_proxy"):
                self._proxy = Proxy(("127.0.0.1", self.port))
                self._proxy.start()
                self._stack.callback(self._proxy.stop)
            return self._proxy

    def _extra_url(self, name: str, begin: Callable[[], str]) -> str:
        with self._lock:
            if name not in self._extra:
                self._extra[name] = begin()
            return self._extra[name]

    def _impostor(self, flaw: str) -> Listener:
        issuers: Dict[str, Callable[[], Identity]] = {
            "expired": lambda: self._authority.issue(flaw, ["localhost"], days=(-60, -1)),
            "not-yet-valid": lambda: self._authority.issue(flaw, ["localhost"], days=(1, 30)),
            "wrong-name": lambda: self._authority.issue(flaw, ["elsewhere.example.com"]),
            "unknown-issuer": lambda: Authority(self.directory / flaw, "Nobody").issue(flaw, ["localhost"]),
        }
        return self._listen("127.0.0.1", 0, issuers[flaw]())

    def _listen(self, address: str, port: int, identity: Optional[Identity]) -> Listener:
        listener = Listener((address, port), self._answer, identity.context() if identity else None)
        listener.start()
        self._stack.callback(listener.stop)
        return listener

    def _listen_on_default_port(self) -> Optional[int]:
        """443 on the service's own address, or None where an ordinary user may not have it."""
        try:
            return self._listen(self.address, 443, self._identity).port
        except OSError:
            return None

    # --- a request ----------------------------------------------------------------------------------------------

    def _answer(self, call: Call) -> Answer:
        behaviours = self._faults.claim(call.method, call.host, call.path)
        replaced = [answer for answer in (behaviour.instead() for behaviour in behaviours) if answer]
        answer = replaced[-1] if replaced else self._routes.answer(_request(call))
        for behaviour in behaviours:
            answer = behaviour.alter(answer)
        self._records.add(call, answer)
        return answer


def _request(call: Call) -> Request:
    headers = call.headers
    return Request(call.method, headers.get("host", ""), call.path, call.body, headers.get("content-type", ""), headers)


def _free_address() -> str:
    """An address of 127.0.0.0/8 that is likely nobody else's; the caller's bind tells."""
    pick = random.SystemRandom().randrange
    return "127.%d.%d.%d" % (pick(1, 255), pick(256), pick(1, 255))


# --- by hand ----------------------------------------------------------------------------------------------------


def main() -> int:
    """Serves the universe until Ctrl-C; a line on standard output for each request."""
    from tests.sandbox.universe import Universe

    with tempfile.TemporaryDirectory(prefix="tuxcare-service-") as directory:
        with Service(Universe.build(), Path(directory), log=_print_record) as service:
            print("%s  (certificates: --cacert %s)" % (service.url, service.ca_file))
            for text, key in service.keys.items():
                print("key %-16s %-9s %d seats" % (text, key.product, key.seats))
            _wait_for_interrupt()
    return 0


def _print_record(record: Record) -> None:
    print("%d %s %s %s" % (record.status, record.method, record.host, record.path), flush=True)


def _wait_for_interrupt() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    sys.exit(main())
