# SPDX-License-Identifier: Apache-2.0
"""What a host boots and in which mode: read without changing anything, and set by the system's own programs."""

import os
import re
from typing import Callable, List, Optional, Sequence, Tuple

from tuxcare_lib import executor, fips, rootfs
from tuxcare_lib.errors import CommandError, TuxcareError
from tuxcare_lib.model import Boot, Work
from tuxcare_lib.proof import Entry
from tuxcare_lib.rootfs import Root

# Seconds: fips-mode-setup makes the initial file system of each kernel anew.
_LIMIT = 1800


def read(root: Root) -> Boot:
    """The boot state. What cannot be read is empty: no boot loader in a container, no /proc below an image.

    Who is not root cannot read grubenv, and grubby names the first entry as the default then: so it is not asked.
    """
    default = _said(root, 'grubby', '--default-kernel') if os.geteuid() == 0 else ''
    if not default.startswith('/') or '\n' in default:
        default = ''  # no path, so nothing that could be set again
    # By its path grubby tells the first entry of the kernel, and another one of the same kernel may be the default.
    entry = _said(root, 'grubby', '--info=DEFAULT') if default else ''
    arguments = next((line[5:].strip('"') for line in entry.split('\n') if line.startswith('args=')), '')
    return Boot(_first_line(root, '/proc/sys/kernel/osrelease'), is_in_fips_mode(root),
                default, arguments, _first_line(root, '/etc/crypto-policies/config'))


def is_in_fips_mode(root: Root) -> bool:
    """Whether the running kernel is."""
    return _first_line(root, '/proc/sys/crypto/fips_enabled') == '1'


def entries(root: Root, default: str) -> Tuple[Entry, ...]:
    """The boot loader's entries, and which of their files are not there; none where they cannot be read."""
    found = parsed(_said(root, 'grubby', '--info=ALL'), default)
    if len([entry for entry in found if entry.is_default]) > 1:
        chosen = parsed(_said(root, 'grubby', '--info=DEFAULT'), default)
        found = tuple(entry._replace(is_default=entry in chosen) for entry in found)
    return tuple(entry._replace(missing=_missing(root, entry)) for entry in found)


def parsed(text: str, default: str) -> Tuple[Entry, ...]:
    """What `grubby --info=ALL` says. Of several initial file systems (`… $tuned_initrd`) the first."""
    found = []
    for block in re.split(r'^index=', text, flags=re.M):
        values = dict(re.findall(r'^(kernel|args|initrd)="?(.*?)"?$', block, re.M))
        if values.get('kernel'):
            found.append(Entry(values['kernel'], values.get('args', ''), values.get('initrd', '').split(' ')[0],
                               values['kernel'] == default))
    return tuple(found)


def _missing(root: Root, entry: Entry) -> Tuple[str, ...]:
    """grubby tells full paths, also with a /boot of its own."""
    return tuple(path for path in (entry.kernel, entry.initramfs) if path and not _is_there(root, path))


def _is_there(root: Root, path: str) -> bool:
    """An empty file is none: so a program leaves it that ran out of room. What cannot be looked at is not called missing."""
    try:
        return root.kind(path) == 'file' and bool(root.beginning(path, 1))
    except TuxcareError:
        return True


def entry_for_once(root: Root) -> str:
    """The entry that grub2-reboot has chosen for one boot, which grubby does not look at; empty where there is none."""
    try:
        found = re.search(r'^next_entry=(.+)$', root.text('/boot/grub2/grubenv') or '', re.M)
    except TuxcareError:
        return ''
    return found.group(1) if found else ''


def applied_policy(root: Root) -> str:
    """The crypto policy that is in effect; empty where it cannot be read."""
    return _first_line(root, '/etc/crypto-policies/state/current')


def run(root: Root, commands: Sequence[Tuple[str, ...]], say: Callable[[str], None]) -> List[Tuple[str, ...]]:
    """Run the programs in order, saying each. Returns them, once what they wrote is on disk.

    Raises CommandError at the first that fails.
    """
    for command in commands:
        say('Running: ' + ' '.join(command))
        executor.run(root, command, _LIMIT)
    if commands:
        rootfs.sync()
    return list(commands)


def kept(root: Root, now: Boot, before: Optional[Boot] = None) -> Tuple[Tuple[str, ...], ...]:
    """What makes the next boot one in FIPS mode as that of another FIPS kernel is, the running one's first.

    Nothing where no other one is in FIPS mode: then somebody has left it for all of them. `before` is what a transaction
    found, for a kernel that it has installed again.
    """
    found = [entry for entry in entries(root, now.default_kernel) if not entry.missing]
    found.sort(key=lambda entry: not entry.kernel.endswith('-' + now.running_kernel))
    others = [now._replace(default_kernel=entry.kernel, arguments=entry.arguments) for entry in found]
    same = [before] if before is not None and before.default_kernel == now.default_kernel else []
    return fips.kept(now, others + same)


def restore(root: Root, before: Boot, say: Callable[[str], None]) -> None:
    """The next boot is as `before`, of another kernel where that one is gone since.

    Raises CommandError, also where the boot loader does not show it then.
    """
    if root.kind(before.default_kernel) != 'file':
        before = before._replace(default_kernel=read(root).default_kernel)
    for _ in range(2):  # the arguments are the default kernel's, so what another one has is seen once it is the default
        if not run(root, fips.way_back(read(root), before), say):
            return
    left = fips.way_back(read(root), before)
    if left:
        raise CommandError('The boot loader did not take `{}`.'.format(' '.join(left[0])), 'Look at `grubby --info=DEFAULT`.')


def leave(root: Root, target: Boot, say: Callable[[str], None]) -> None:
    """As `restore`; and no other kernel's entry keeps the mode where somebody has left it by hand, for the default alone.

    Raises CommandError, too, where the default kernel would not boot: fips-mode-setup makes initial file systems anew.
    """
    restore(root, target, say)
    if not fips.will_be_on(target) and any('fips=1' in entry.arguments.split() for entry in entries(root, '')):
        run(root, [('grubby', '--update-kernel=ALL', '--remove-args=fips=1')], say)
    default = read(root).default_kernel
    entry = _default(root, default)
    if entry is not None:
        _check_files(entry, default)


def enter(root: Root, work: Work, say: Callable[[str], None]) -> List[Tuple[str, ...]]:
    """The next boot is of the kernel image of a work in FIPS mode. Returns what was run. Raises CommandError.

    What the programs say they did is looked for in the boot loader's own entry: a silent failure would show at boot.
    """
    done = run(root, fips.commands(work.kernel, read(root), work.arguments), say)
    state = read(root)
    if fips.commands(work.kernel, state, work.arguments):
        raise CommandError('The boot loader did not take the change: default kernel {}, arguments {!r}, policy {}.'.format(
            state.default_kernel or 'unknown', state.arguments, state.policy or 'unknown'),
            'Look at `grubby --info=DEFAULT` and `fips-mode-setup --check`.')
    _check_initramfs(root, work.kernel)
    return done


def _check_initramfs(root: Root, image: str) -> None:
    """The kernel has an initial file system, in FIPS mode: dracut that ran out of room may leave none, and nobody says so.

    Raises CommandError. Without lsinitrd only that it is there is known.
    """
    entry = _default(root, image)
    if entry is None:
        raise CommandError('{} would not boot: its entry is missing.'.format(image), 'Look at `grubby --info=ALL`.')
    _check_files(entry, image)
    said = _said(root, 'lsinitrd', '--mod', entry.initramfs).split('\n') if entry.initramfs else []
    if 'dracut modules:' in said and 'fips' not in said:
        raise CommandError('{} has no dracut module fips.'.format(entry.initramfs), _dracut(entry, image))


def _default(root: Root, image: str) -> Optional[Entry]:
    return next((entry for entry in entries(root, image) if entry.is_default), None)


def _check_files(entry: Entry, image: str) -> None:
    if entry.missing:
        raise CommandError('{} would not boot: {} is missing.'.format(image, ', '.join(entry.missing)), _dracut(entry, image))


def _dracut(entry: Entry, image: str) -> str:
    if not entry.initramfs:
        return 'Look at `grubby --info=ALL`.'
    return 'Look at the room on /boot; `dracut -f {} {}` makes it anew.'.format(
        entry.initramfs, image.partition('/vmlinuz-')[2])


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
