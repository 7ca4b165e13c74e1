# SPDX-License-Identifier: Apache-2.0
"""What a host boots and in which mode, read without changing anything."""

from tuxcare_lib import executor
from tuxcare_lib.errors import CommandError, TuxcareError
from tuxcare_lib.fips import Boot
from tuxcare_lib.rootfs import Root


def read(root: Root) -> Boot:
    """The boot state. What cannot be read is empty: no boot loader in a container, no /proc below an image."""
    default = _said(root, 'grubby', '--default-kernel')
    entry = _said(root, 'grubby', '--info=' + default) if default else ''
    arguments = next((line[5:].strip('"') for line in entry.split('\n') if line.startswith('args=')), '')
    return Boot(_first_line(root, '/proc/sys/kernel/osrelease'),
                _first_line(root, '/proc/sys/crypto/fips_enabled') == '1',
                default, arguments, _first_line(root, '/etc/crypto-policies/config'))


def _said(root: Root, *argv: str) -> str:
    try:
        return executor.run(root, argv).strip()
    except CommandError:
        return ''


def _first_line(root: Root, path: str) -> str:
    try:
        lines = [line for line in (root.text(path) or '').split('\n') if line and not line.startswith('#')]
    except TuxcareError:
        return ''
    return lines[0].strip() if lines else ''
