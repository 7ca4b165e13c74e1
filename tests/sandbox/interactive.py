# SPDX-License-Identifier: Apache-2.0
"""`make sandbox`: the service and a host to try commands on by hand, until Ctrl-C.

    python3 -m tests.sandbox.interactive [--release X.Y] [--host-name NAME] [--rpm FILE]
"""
import argparse
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import List, Optional

from tests.sandbox.host import HOST_NAME, PROJECT, Host, slash_available
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Record, Service
from tests.sandbox.universe import Universe


def main(argv: Optional[List[str]] = None) -> int:
    """Returns when it is interrupted or asked to end; everything that it made is gone then."""
    options = _parse(argv)
    ended = threading.Event()
    # Also for SIGTERM and a terminal that is closed, so that no folder is left behind.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    with tempfile.TemporaryDirectory(prefix="tuxcare-sandbox-") as name:
        # An ordinary user of the host has to be able to look into its root.
        Path(name).chmod(0o755)
        _run(Path(name), options, ended)
    return 0


def _parse(argv: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sandbox", description="A make-believe host and its servers, to try by hand.")
    parser.add_argument("--release", default="9.2", help="the host's release, default: %(default)s")
    parser.add_argument("--host-name", default=HOST_NAME, help="default: %(default)s")
    parser.add_argument("--rpm", type=Path, help="the product's package, default: that of the working tree")
    parser.add_argument("--quiet", action="store_true", help="do not show the requests that the servers get")
    return parser.parse_args(argv)


def _run(directory: Path, options: argparse.Namespace, ended: threading.Event) -> None:
    universe = Universe.build()
    reason = slash_available(directory)
    rpm = None if reason else options.rpm or _build_rpm()
    with Service(universe, directory / "service", None if options.quiet else _show_request) as service:
        with Host.create(
            universe, service, directory / "host", release=options.release, slash=not reason, rpm=rpm,
            host_name=options.host_name,
        ) as host:
            wrapper, shell = _write_scripts(host)
            print(_instructions(service, host, wrapper, shell, reason), flush=True)
            ended.wait()
            print("\nsandbox: cleaning up", flush=True)


def _build_rpm() -> Path:
    built = subprocess.run([str(PROJECT / "scripts" / "build-rpm")], stdout=subprocess.PIPE, text=True, check=True)
    return Path(built.stdout.strip())


def _show_request(record: Record) -> None:
    print("  %s %s %s -> %s" % (record.method, record.host, record.path, record.status), flush=True)


def _write_scripts(host: Host) -> List[Path]:
    """One script that runs its arguments as a command in the host, one that opens a shell there.

    By --installroot the first runs dnf on the host instead: there is no `/` to be in.
    """
    wrapper, shell = host.directory / "in-host", host.directory / "shell-in-host"
    if host.slash:
        host.write_wrapper(wrapper, [])
        host.write_wrapper(shell, ["bash", "--norc", "-i"], PS1="[root@\\h \\W]\\$ ")
    else:
        host.write_wrapper(wrapper, host.dnf_command())
        host.write_wrapper(shell, ["chroot", str(host.root), "/bin/bash", "--norc", "-i"], PS1="[chroot \\W]\\$ ")
    return [wrapper, shell]


def _instructions(service: Service, host: Host, wrapper: Path, shell: Path, reason: Optional[str]) -> str:
    dnf = shlex.quote(str(wrapper)) + (" dnf" if host.slash else "")
    lines = [
        "",
        "The host's files     %s" % host.root,
        "The servers          %s, trusted by %s" % (service.url, service.ca_file),
        "Licence keys         " + _keys(service),
        *(["Not as /, because    " + reason] if reason else []),
        "",
        "In another terminal, as root:",
        "  %s tuxcare register -l %s" % (dnf, ESU_KEY),
        "  %s upgrade" % dnf,
        "  %s tuxcare status" % dnf,
        "  %s     # a shell" % shlex.quote(str(shell)),
        "",
        "Ctrl-C ends it and removes everything.",
    ]
    return "\n".join(lines)


def _keys(service: Service) -> str:
    """Each with its product and the number of its seats."""
    return ", ".join("%s (%s, %d)" % (name, key.product, key.seats) for name, key in sorted(service.keys.items()))


if __name__ == "__main__":
    sys.exit(main())
