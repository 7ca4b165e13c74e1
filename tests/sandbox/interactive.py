# SPDX-License-Identifier: Apache-2.0
"""`make sandbox`: the service and a host to try commands on by hand, until Ctrl-C.

    python3 -m tests.sandbox.interactive [--release X.Y] [--host-name NAME] [--rpm FILE]
"""
import argparse
import os
import queue
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

from tests.sandbox.host import HOST_NAME, PROJECT, BootError, Host, slash_available
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Record, Service
from tests.sandbox.universe import Universe


if TYPE_CHECKING:
    Signals = queue.SimpleQueue[int]


def main(argv: Optional[List[str]] = None) -> int:
    """Returns when it is interrupted or asked to end; everything that it made is gone then."""
    options = _parse(argv)
    heard: "Signals" = queue.SimpleQueue()
    # Also for SIGTERM and a terminal that is closed, so that no folder is left behind. SIGUSR1 reboots the host.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, lambda number, _: heard.put(number))
    with tempfile.TemporaryDirectory(prefix="tuxcare-sandbox-") as name:
        # An ordinary user of the host has to be able to look into its root.
        Path(name).chmod(0o755)
        _run(Path(name), options, heard)
    return 0


def _parse(argv: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sandbox", description="A make-believe host and its servers, to try by hand.")
    parser.add_argument("--release", default="9.2", help="the host's release, default: %(default)s")
    parser.add_argument("--host-name", default=HOST_NAME, help="default: %(default)s")
    parser.add_argument("--rpm", type=Path, help="the product's package, default: that of the working tree")
    parser.add_argument("--quiet", action="store_true", help="do not show the requests that the servers get")
    return parser.parse_args(argv)


def _run(directory: Path, options: argparse.Namespace, heard: "Signals") -> None:
    universe = Universe.build()
    reason = slash_available(directory)
    rpm = None if reason else options.rpm or _build_rpm()
    with Service(universe, directory / "service", None if options.quiet else _show_request) as service:
        with Host.create(
            universe, service, directory / "host", release=options.release, slash=not reason, rpm=rpm,
            host_name=options.host_name,
        ) as host:
            print(_instructions(service, host, _write_scripts(host), reason), flush=True)
            while heard.get() == signal.SIGUSR1:
                print(_rebooted(host), flush=True)
            print("\nsandbox: cleaning up", flush=True)


def _build_rpm() -> Path:
    built = subprocess.run([str(PROJECT / "scripts" / "build-rpm")], stdout=subprocess.PIPE, text=True, check=True)
    return Path(built.stdout.strip())


def _show_request(record: Record) -> None:
    print("  %s %s %s -> %s" % (record.method, record.host, record.path, record.status), flush=True)


def _write_scripts(host: Host) -> List[Path]:
    """One script that runs its arguments as a command in the host, one that opens a shell there, one that reboots it.

    By --installroot the first runs dnf on the host instead: there is no `/` to be in.
    """
    wrapper, shell, reboot = (host.directory / name for name in ("in-host", "shell-in-host", "reboot-host"))
    # It ends when the host is up: then the wrapper is there again.
    there = shlex.quote(str(wrapper))
    reboot.write_text("#!/bin/sh\nrm -f %s\nkill -USR1 %d\nfor _ in $(seq 300); do [ -x %s ] && exit; sleep 0.1; done\nexit 1\n"
                      % (there, os.getpid(), there))
    reboot.chmod(0o755)
    if host.slash:
        host.write_wrapper(wrapper, [])
        host.write_wrapper(shell, ["bash", "--norc", "-i"], PS1="[root@\\h \\W]\\$ ")
    else:
        host.write_wrapper(wrapper, host.dnf_command())
        host.write_wrapper(shell, ["chroot", str(host.root), "/bin/bash", "--norc", "-i"], PS1="[chroot \\W]\\$ ")
    return [wrapper, shell, reboot]


def _rebooted(host: Host) -> str:
    """Reboots it; the scripts lead into the host that it is then."""
    try:
        booted = host.reboot()
    except BootError as error:
        return "sandbox: the host does not boot: %s" % error
    _write_scripts(host)
    return "sandbox: the host has booted %s, FIPS mode %s" % (booted.osrelease, "on" if booted.fips_enabled else "off")


def _instructions(service: Service, host: Host, scripts: List[Path], reason: Optional[str]) -> str:
    wrapper, shell, reboot = scripts
    dnf = shlex.quote(str(wrapper)) + (" dnf" if host.slash else "")
    lines = [
        "",
        "The host's files     %s" % host.root,
        "The servers          %s, trusted by %s" % (service.url, service.ca_file),
        "Licence keys         " + _keys(service, False),
        "AWS accounts         " + _keys(service, True),
        *(["Not as /, because    " + reason] if reason else []),
        "",
        "In another terminal, as root:",
        "  %s tuxcare register -l %s" % (dnf, ESU_KEY),
        "  %s upgrade" % dnf,
        "  %s tuxcare status" % dnf,
        "  %s     # a shell" % shlex.quote(str(shell)),
        "  %s       # boots the default kernel anew; shells in the host end" % shlex.quote(str(reboot)),
        "",
        "Ctrl-C ends it and removes everything.",
    ]
    return "\n".join(lines)


def _keys(service: Service, accounts: bool) -> str:
    """Each key, or account of AWS, with its product and the number of its seats."""
    return ", ".join("%s (%s, %d)" % (name, key.product, key.seats) for name, key in sorted(service.keys.items())
                     if name.startswith("aws:") == accounts)


if __name__ == "__main__":
    sys.exit(main())
