# SPDX-License-Identifier: Apache-2.0
"""Many hosts in one process, a thread each, that register with the library's own calls at the same moment.

    python3 -m tests.load.clients

The first line of standard input is a plan (a `Plan` as JSON). When all hosts are there "ready" is said, and the next line lets
them go. At the end a line of JSON: the name of each host with its error, or an empty text.
"""

import functools
import json
import random
import sys
import threading
import time
from pathlib import Path
from typing import Callable, List, NamedTuple

from tests.unit import samples
from tuxcare_lib import enrolment, executor, licence, planner, seat
from tuxcare_lib.console import Console
from tuxcare_lib.enrolment import Enquiry, Enrolment
from tuxcare_lib.errors import TuxcareError
from tuxcare_lib.model import LicenceKey
from tuxcare_lib.rootfs import Root
from tuxcare_lib.seat import Owed
from tuxcare_lib.settings import Settings
from tuxcare_lib.transport import Network, Transport


class Plan(NamedTuple):
    """`second` is how long a second of the hosts' pauses lasts; without `chance` each pause is the shortest of its window."""

    names: List[str]
    url: str
    ca_file: str
    key: str
    seed: str
    second: float
    chance: bool
    folder: str


class Host:
    """A root of its own with an operating system's files, and its own way to the service."""

    def __init__(self, plan: Plan, settings: Settings, name: str) -> None:
        self._key = licence.parse(plan.key)
        self._console = Console(_nobody, _nobody)
        self._root = samples.almalinux(Path(plan.folder) / name, files={"/etc/hostname": name + "\n"})
        self._enquiry = _enquiry(self._root, settings, self._key)
        network = Network(ca_file=plan.ca_file, timeout=settings.timeout, retries=settings.retries)
        self._transport = Transport(network, sleep=lambda seconds: time.sleep(seconds * plan.second), jitter=_jitter(plan, name))

    def register(self) -> str:
        """As `dnf tuxcare register` does it, up to the files that it changes then; the error in words, or nothing."""
        owed = seat.keep(self._root, Owed(self._enquiry.host_name, None))
        try:
            outcome: Enrolment = executor.converse(
                enrolment.enrol(self._enquiry, self._key), self._transport.send, self._console.ask_person,
                lambda token: None if seat.keep(self._root, owed._replace(token=token)) else None)
        except TuxcareError as error:
            return str(error)
        kept = seat.read(self._root)
        return "" if kept and kept.token and kept.token.secret == outcome.token.secret else "the token is not kept"


_catalogue = functools.lru_cache()(samples.catalogue)


def _enquiry(root: Root, settings: Settings, key: LicenceKey) -> Enquiry:
    facts, catalogue = samples.gather(root), _catalogue()
    host = planner.check_host(facts, catalogue, samples.NO_WISH)
    trees = planner.check_repositories(facts, catalogue, host.family)
    hinted = licence.hinted_product(key, catalogue.products.values())
    return planner.enquiry(facts, catalogue, settings, host, trees, samples.NO_WISH, hinted)


def _settings(plan: Plan) -> Settings:
    """The defaults, but for where the service is."""
    verbs = {verb + "_url": "%s/cln/api/els/token/%s" % (plan.url, verb) for verb in ("register", "check", "unregister")}
    return samples.settings(**verbs, repo_url=plan.url, gpg_key_url=plan.url + "/tuxcare/RPM-GPG-KEY-TuxCare")


def _jitter(plan: Plan, name: str) -> Callable[[float, float], float]:
    return random.Random(plan.seed + name).uniform if plan.chance else lambda least, most: least


def _nobody(line: str) -> None:
    pass


def main() -> None:
    plan = Plan(**json.loads(sys.stdin.readline()))
    settings = _settings(plan)
    hosts = {name: Host(plan, settings, name) for name in plan.names}
    errors = dict.fromkeys(hosts, "it ended without a word")
    go = threading.Event()

    def run(name: str) -> None:
        go.wait()
        errors[name] = hosts[name].register()

    threads = [threading.Thread(target=run, args=[name]) for name in hosts]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    sys.stdin.readline()
    go.set()
    for thread in threads:
        thread.join()
    print(json.dumps(errors))


if __name__ == "__main__":
    main()
