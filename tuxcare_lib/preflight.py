# SPDX-License-Identifier: Apache-2.0
"""What could go wrong with FIPS mode on a host, told before anything changes. Pure; docs/fips.md has the table.

Each check is a small function over the host's circumstances. What could not be read is no finding.
"""

from typing import Callable, Iterable, NamedTuple, Optional, Sequence, Tuple

from tuxcare_lib.errors import Check, PreflightError
from tuxcare_lib.model import Boot
from tuxcare_lib.ssh import Key, Login

BLOCKS, WARNS = 'blocks', 'warns'
_MOST_NAMES = 5
_Found = Optional[Tuple[str, str]]


class Volume(NamedTuple):
    """A LUKS2 volume: its device, whether it is opened at boot, and the key derivation of each of its key slots."""

    device: str
    at_boot: bool
    derivations: Tuple[str, ...]

    @property
    def argon2(self) -> int:
        """How many key slots FIPS mode cannot open."""
        return len([name for name in self.derivations if name.startswith('argon2')])


class Room(NamedTuple):
    """A file system, named by a folder in it: bytes that are free, and that are needed."""

    path: str
    free: int
    needed: int


class Circumstances(NamedTuple):
    """A host as FIPS mode would find it. Empty, or None, is what could not be read.

    `image` is the validated kernel, `container` the file that tells one, `boot_source` the device of a /boot of its own with
    its UUID ('' where it has none). `shims` are installed packages as NEVRA, `planned` those of the resolved transaction (None
    before that); `libraries` and `modules` are packages of other vendors, by name. `logins` is empty without sshd.
    """

    boot: Boot
    image: str
    container: str = ''
    boot_source: Optional[str] = None
    boot_uuid: str = ''
    secure_boot: Optional[bool] = None
    shims: Tuple[str, ...] = ()
    host_keys: Tuple[Key, ...] = ()
    authorized_keys: Tuple[Key, ...] = ()
    logins: Tuple[Login, ...] = ()
    has_other_logins: bool = False
    volumes: Tuple[Volume, ...] = ()
    libraries: Tuple[str, ...] = ()
    modules: Tuple[str, ...] = ()
    planned: Optional[Tuple[str, ...]] = None
    rooms: Tuple[Room, ...] = ()


def checks(here: Circumstances) -> Tuple[Check, ...]:
    """What was found, what blocks first."""
    results = [(code, level, check(here)) for code, level, check in CHECKS]
    return tuple(Check(code, level, *found) for code, level, found in results if found)


def stop(found: Sequence[Check]) -> None:
    """Raises PreflightError where something blocks."""
    blocking = [check for check in found if check.level == BLOCKS]
    if not blocking:
        return
    error = PreflightError(blocking[0].text, blocking[0].remedy)
    if len(blocking) > 1:
        error = PreflightError('{} things keep this host out of FIPS mode: {}.'.format(
            len(blocking), ', '.join(check.code for check in blocking)), 'Each is told with its remedy.')
    error.checks = found
    raise error


# --- what blocks --------------------------------------------------------------------------------------------------


def _container(here: Circumstances) -> _Found:
    if not here.container:
        return None
    return ('This is a container ({} is there): it boots no kernel of its own.'.format(here.container),
            'Enable FIPS mode on the machine that runs it.')


def _boot_loader(here: Circumstances) -> _Found:
    if here.boot.default_kernel:
        return None
    return ('The boot loader cannot be read: grubby names no default kernel.',
            'FIPS mode needs a host that boots by itself; install grubby, or look at `grubby --default-kernel`.')


def _boot_device(here: Circumstances) -> _Found:
    if not here.boot_source or here.boot_uuid:
        return None
    return ('/boot is a file system of its own ({}), and the `boot=UUID=` that the kernel needs then is not known.'.format(
        here.boot_source), 'Name it by its UUID in /etc/fstab (blkid shows it).')


def _luks_at_boot(here: Circumstances) -> _Found:
    lost = [volume.device for volume in here.volumes if volume.at_boot and 0 < volume.argon2 == len(volume.derivations)]
    if not lost:
        return None
    return ('The host would not boot: all key slots of the LUKS volume {} use argon2, which FIPS mode refuses.'.format(
        _names(lost)), 'Convert a key slot: cryptsetup luksConvertKey --pbkdf pbkdf2 {}'.format(lost[0]))


def _secure_boot(here: Circumstances) -> _Found:
    shims = here.shims + tuple(nevra for nevra in here.planned or () if nevra.startswith('shim-'))
    if not here.secure_boot or here.planned is None or any('.tuxcare.' in nevra for nevra in shims):
        return None
    return ('Secure Boot is on, and without TuxCare\'s shim it does not start the validated kernel (installed: {}).'.format(
        _names(here.shims) or 'none'), 'Install it first: dnf install shim-x64')


def _space(here: Circumstances) -> _Found:
    full = [room for room in here.rooms if room.free < room.needed]
    if not full:
        return None
    return ('Not enough room: {}.'.format('; '.join('{} has {} MiB free and needs {} MiB'.format(
        room.path, room.free >> 20, -(-room.needed >> 20)) for room in full)),
        'Make room: old kernels (dnf remove --oldinstallonly), dnf\'s cache (dnf clean packages), or a greater file system.')


# --- what warns ---------------------------------------------------------------------------------------------------


def _kernel_arguments(here: Circumstances) -> _Found:
    right = ('boot=UUID=' + here.boot_uuid, 'boot={}'.format(here.boot_source)) if here.boot_source else ()
    wrong = [word for word in here.boot.arguments.split() if word == 'fips=0' or word.startswith('nofips')
             or (word.startswith('boot=') and here.boot_source is not None and word not in right)]
    if not wrong:
        return None
    words = ' '.join(wrong)
    return ('The kernel command line has {}, which contradicts FIPS mode.'.format(words),
            'Take it out: grubby --update-kernel=ALL --remove-args="{}"; look at /etc/kernel/cmdline, too.'.format(words))


def _crypto_policy(here: Circumstances) -> _Found:
    policy = here.boot.policy
    if policy in ('', 'DEFAULT') or policy.startswith('FIPS'):
        return None
    return ('The crypto policy {} gives way to FIPS.'.format(policy),
            'It is kept, and comes back when FIPS mode is left; what it allows beyond FIPS does not work until then.')


def _ssh_host_keys(here: Circumstances) -> _Found:
    refused = [key for key in here.host_keys if key.refused]
    if not refused:
        return None
    if len(refused) == len(here.host_keys):
        return ('FIPS mode refuses every SSH host key of this host ({}): sshd has none left.'.format(_kinds(refused)),
                'Make one: ssh-keygen -q -N "" -t ecdsa -f /etc/ssh/ssh_host_ecdsa_key')
    return ('FIPS mode refuses SSH host keys of this host ({}): clients that know no other take it for a stranger.'.format(
        _kinds(refused)), 'Let them learn the others first: ssh-keyscan -t ecdsa,rsa HOST >> known_hosts')


def _ssh_authorized_keys(here: Circumstances) -> _Found:
    refused = [key for key in here.authorized_keys if key.refused]
    if not refused:
        return None
    return ('FIPS mode refuses authorized SSH keys ({}) in {}.'.format(_kinds(refused), _names(key.path for key in refused)),
            'Add keys of another kind for their owners first: ssh-keygen -t ecdsa, or -t rsa -b 3072')


def _ssh_logins(here: Circumstances) -> _Found:
    if here.has_other_logins or not any(key.refused for login in here.logins for key in login.keys):
        return None
    if any(login.by_password or any(not key.refused for key in login.keys) for login in here.logins):
        return None
    return ('Nobody could log in over SSH any more: all keys that sshd takes are refused in FIPS mode, and passwords are not '
            'taken.', 'Add a key that is not refused for somebody who may become root, or make sure of a console.')


def _luks(here: Circumstances) -> _Found:
    lost = [volume.device for volume in here.volumes
            if volume.argon2 and not (volume.at_boot and volume.argon2 == len(volume.derivations))]
    if not lost:
        return None
    return ('FIPS mode cannot open those key slots of the LUKS volume {} that use argon2.'.format(_names(lost)),
            'Convert them: cryptsetup luksConvertKey --pbkdf pbkdf2 {}'.format(lost[0]))


def _libraries(here: Circumstances) -> _Found:
    if not here.libraries:
        return None
    return ('Packages of other vendors use a library that is replaced, and may ask it for what FIPS mode refuses: {}.'.format(
        _names(here.libraries)), 'Try them in FIPS mode on a test host, or ask their vendors.')


def _kernel_modules(here: Circumstances) -> _Found:
    if not here.modules:
        return None
    return ('Packages of other vendors have kernel modules, and none for {}: {}.'.format(
        here.image.replace('/boot/vmlinuz-', ''), _names(here.modules)),
        'Install their builds for that kernel; for dkms, kernel-devel of it. Without them their devices and agents do not work.')


# In the order in which they are told.
CHECKS: Tuple[Tuple[str, str, Callable[[Circumstances], _Found]], ...] = (
    ('container', BLOCKS, _container),
    ('boot-loader', BLOCKS, _boot_loader),
    ('boot-device', BLOCKS, _boot_device),
    ('luks-at-boot', BLOCKS, _luks_at_boot),
    ('secure-boot', BLOCKS, _secure_boot),
    ('space', BLOCKS, _space),
    ('kernel-arguments', WARNS, _kernel_arguments),
    ('crypto-policy', WARNS, _crypto_policy),
    ('ssh-host-keys', WARNS, _ssh_host_keys),
    ('ssh-authorized-keys', WARNS, _ssh_authorized_keys),
    ('ssh-logins', WARNS, _ssh_logins),
    ('luks', WARNS, _luks),
    ('libraries', WARNS, _libraries),
    ('kernel-modules', WARNS, _kernel_modules),
)


def _names(names: Iterable[str]) -> str:
    """Some of them by name, in order and each once, the others by number."""
    every = list(dict.fromkeys(names))
    more = len(every) - _MOST_NAMES
    return ', '.join(every[:_MOST_NAMES]) + (' and {} more'.format(more) if more > 0 else '')


def _kinds(refused: Sequence[Key]) -> str:
    return ', '.join(sorted({key.refused for key in refused}))
