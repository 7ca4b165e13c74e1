# SPDX-License-Identifier: Apache-2.0
"""/usr/libexec/tuxcare-recover: what `dnf tuxcare recover` does, for a host on which dnf itself cannot start. Imports no dnf."""

import argparse
import datetime
import platform
import sys
from typing import Dict, List, Optional, Sequence

from tuxcare_lib import cli, configuration, messages
from tuxcare_lib.commands import Context, recover
from tuxcare_lib.console import Console
from tuxcare_lib.errors import TransportError, TuxcareError
from tuxcare_lib.host import VARIABLES
from tuxcare_lib.model import Request, Response
from tuxcare_lib.rootfs import Root


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Returns the exit status: 0 done or nothing to do, else that of the error, which is one line on standard error."""
    parser = argparse.ArgumentParser(prog='tuxcare-recover', description=__doc__.partition('\n')[0])
    parser.add_argument('--root', default='/', metavar='DIR', help='the root to work on (default: /)')
    parser.add_argument('--dry-run', action='store_true', help='print what would be changed; change nothing')
    parser.add_argument('--local', action='store_true', help='leave a seat taken that cannot be given back')
    given = parser.parse_args(arguments)
    try:
        report = recover.run(_context(Root(given.root), {'dry_run': given.dry_run, 'local': given.local}))
    except TuxcareError as error:
        _say(sys.stderr, 'Error: {}'.format(error))
        return error.status
    except KeyboardInterrupt:
        _say(sys.stderr, 'Error: Interrupted. Run tuxcare-recover again.')
        return 1
    for line in report.lines:
        _say(sys.stdout, line)
    others = [] if given.dry_run else _unreadable(Root(given.root))
    for path in others:
        _say(sys.stderr, 'Error: {} is not UTF-8, which ends every dnf command. Mend or remove it.'.format(path))
    return 1 if others else report.status


def _unreadable(root: Root) -> List[str]:
    """Variables of somebody else's that dnf does not start with."""
    found = []
    for path in ('{}/{}'.format(VARIABLES, name) for name in sorted(root.names(VARIABLES))):
        try:
            (root.read(path) or b'').decode('utf-8')
        except UnicodeDecodeError:
            found.append(path)
        except TuxcareError:
            pass
    return found


def _context(root: Root, flags: Dict[str, bool]) -> Context:
    catalogue, settings = configuration.read(root.path)
    options = cli.check(['recover'], {option.dest: flags.get(option.dest, False) for option in cli.all_options()})
    return Context(
        root=root, catalogue=catalogue, settings=settings, options=options, architecture=platform.machine(), licence_key=None,
        console=Console(lambda line: _say(sys.stdout, line), lambda line: _say(sys.stderr, line), None), send=_no_network,
        now=lambda: datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ'))


def _no_network(request: Request) -> Response:
    raise TransportError('tuxcare-recover does not use the network.')


def _say(stream: 'object', line: str) -> None:
    stream.write(messages.clean(line) + '\n')  # type: ignore[attr-defined]
