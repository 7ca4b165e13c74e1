# SPDX-License-Identifier: Apache-2.0
"""Reads what `preflight` looks at, below a root. Nothing here raises: what cannot be read stays unknown.

Below an image there may be no /proc, no /sys and no /dev: then nothing is known of devices and mounts.
"""

import os
import re
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple, TypeVar

from tuxcare_lib import fips, luks, rpmdb, ssh
from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.errors import TuxcareError
from tuxcare_lib.model import Boot, PackageSet
from tuxcare_lib.preflight import Circumstances, Room, Volume
from tuxcare_lib.rootfs import Root
from tuxcare_lib.ssh import Key, Login

# As container engines and systemd (container interface) leave them.
_CONTAINER_MARKS = ('/run/systemd/container', '/run/.containerenv', '/.dockerenv', '/run/host/container-manager')
# Four bytes of attributes, then the variable: one byte (UEFI specification; the GUID is its global one).
_SECURE_BOOT = '/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c'
_SHIMS = ('shim-x64', 'shim-aa64')
# Accounts and keys that are not this host's own: of a directory, of Kerberos.
_OTHER_LOGINS = ('/etc/sssd/sssd.conf', '/etc/krb5.keytab')
_NO_SHELLS = ('nologin', 'false', 'sync', 'halt', 'shutdown')
_DEVICES = {'UUID': 'by-uuid', 'LABEL': 'by-label', 'PARTUUID': 'by-partuuid', 'PARTLABEL': 'by-partlabel'}
# The libraries of each validated module, as packages require them.
_LIBRARIES = {'openssl': ('libcrypto.so.', 'libssl.so.'), 'gnutls': ('libgnutls.so.',), 'libgcrypt': ('libgcrypt.so.',),
              'nettle': ('libnettle.so.', 'libhogweed.so.'), 'nss': ('libnss3.so', 'libssl3.so', 'libsmime3.so')}
_MODULE = re.compile(r'(?:/usr)?/lib/modules/([^/]+)/.|/usr/src/[^/]+/dkms\.conf\Z')
# A kernel, its initramfs, and another one beside it while dracut makes that anew: as EL 9 hosts have them.
BOOT_SIZE = 150 << 20
_DEEPEST = 8
_Value = TypeVar('_Value')


class _Mount(NamedTuple):
    source: str
    point: str
    kind: str


def read(root: Root, boot: Boot, wanted: PackageSet, catalogue: Catalogue) -> Circumstances:
    """The circumstances, as far as they are known before dnf resolves."""
    mounts = _mounts(root)
    source, uuid = boot_device(root)
    users = _users(root)
    settings = _sshd(root)
    libraries, modules = _foreign(root, wanted, catalogue)
    return Circumstances(
        boot=boot, image=fips.kernel_image(wanted), container=_container(root), boot_source=source,
        boot_uuid=uuid, secure_boot=_secure_boot(root),
        shims=tuple(package.nevra for package in rpmdb.installed(root, _SHIMS)),
        host_keys=_host_keys(root), authorized_keys=tuple(key for user in users for key in user.keys),
        logins=tuple(ssh.login(user.user, settings, user.keys, user.by_password) for user in users) if settings else (),
        has_other_logins=ssh.has_other_ways(settings) or any(_or('', root.kind, path) for path in _OTHER_LOGINS),
        volumes=tuple(_volumes(root, boot, mounts)), libraries=libraries, modules=modules)


def boot_device(root: Root) -> Tuple[Optional[str], str]:
    """The device of a /boot of its own ('' where it has none, None where that is not known), and its UUID."""
    mounts = _mounts(root)
    own = [mount.source for mount in mounts if mount.point == '/boot' and mount.kind != 'autofs']
    source = own[-1] if own else '' if mounts else None
    return source, _uuid(root, source) if source else ''


def rooms(needs: Sequence[Tuple[str, str, int]]) -> Tuple[Room, ...]:
    """What file systems have and need. `needs`: the folder as the host names it, the machine's path of it, bytes."""
    found: Dict[int, Room] = {}
    for name, place, needed in needs:
        while not os.path.exists(place):
            place = os.path.dirname(place)
        state, device = os.statvfs(place), os.stat(place).st_dev
        room = found.get(device, Room(name, state.f_bavail * state.f_frsize, 0))
        found[device] = room._replace(needed=room.needed + needed)
    return tuple(found.values())


def _or(unknown: _Value, reader: Callable[..., _Value], *arguments: Any) -> _Value:
    try:
        return reader(*arguments)
    except TuxcareError:
        return unknown


def _text(root: Root, path: str) -> str:
    return _or(None, root.text, path) or ''


def _names(root: Root, path: str) -> List[str]:
    return _or([], root.names, path)


def _resolved(root: Root, path: str) -> str:
    return _or(path, root.resolve, path)


# --- machine and boot ---------------------------------------------------------------------------------------------


def _container(root: Root) -> str:
    return next((path for path in _CONTAINER_MARKS if _or('', root.kind, path)), '')


def _secure_boot(root: Root) -> Optional[bool]:
    data = _or(None, root.read, _SECURE_BOOT)
    return data[4] == 1 if data is not None and len(data) == 5 else None


def _mounts(root: Root) -> List[_Mount]:
    """The mounts inside the root. A /proc that is mounted below it tells the machine's own paths."""
    lines = [line.split(' ') for line in _text(root, '/proc/mounts').split('\n')]
    every = [_Mount(_plain(words[0]), _plain(words[1]), words[2]) for words in lines if len(words) > 3]
    inside = [mount for mount in every if not root.is_host and (mount.point + '/').startswith(root.path + '/')]
    return [mount._replace(point=mount.point[len(root.path):] or '/') for mount in inside] or every


def _plain(field: str) -> str:
    """A field of fstab(5), in which blanks are octal."""
    return re.sub(r'\\([0-7]{3})', lambda match: chr(int(match.group(1), 8)), field)


def _uuid(root: Root, source: str) -> str:
    """The UUID of a file system that is mounted at /boot."""
    folder = '/dev/disk/by-uuid'
    for name in _names(root, folder):
        if _resolved(root, '{}/{}'.format(folder, name)) == _resolved(root, source):
            return name
    lines = [line.split() for line in _text(root, '/etc/fstab').split('\n')]
    specs = [words[0] for words in lines if len(words) > 1 and words[1].rstrip('/') == '/boot']
    return next((spec[5:].strip('"') for spec in specs if spec.startswith('UUID=')), '')


# --- SSH ----------------------------------------------------------------------------------------------------------


def _host_keys(root: Root) -> Tuple[Key, ...]:
    names = [name for name in _names(root, '/etc/ssh') if name.startswith('ssh_host_') and name.endswith('_key.pub')]
    return tuple(key for name in names for key in ssh.keys('/etc/ssh/' + name, _text(root, '/etc/ssh/' + name)))


def _users(root: Root) -> Tuple[Login, ...]:
    """Who has a shell, with all their keys, and whether they have a password."""
    shadow = [line.split(':') for line in _text(root, '/etc/shadow').split('\n')]
    locked = {fields[0] for fields in shadow if len(fields) > 1 and (not fields[1] or fields[1][0] in '!*')}
    known = {fields[0] for fields in shadow}
    found = []
    for fields in (line.split(':') for line in _text(root, '/etc/passwd').split('\n')):
        if len(fields) == 7 and fields[6].rpartition('/')[2] not in _NO_SHELLS:
            path = fields[5].rstrip('/') + '/.ssh/authorized_keys'
            found.append(Login(fields[0], ssh.keys(path, _text(root, path)), fields[0] in known - locked))
    return tuple(found)


def _sshd(root: Root) -> Dict[str, str]:
    """sshd's settings, of the folder first, as EL 9 and later include it; empty where there is no sshd."""
    folder = '/etc/ssh/sshd_config.d'
    texts = [_text(root, '{}/{}'.format(folder, name)) for name in _names(root, folder) if name.endswith('.conf')]
    return ssh.settings(texts + [_text(root, '/etc/ssh/sshd_config')])


# --- LUKS ---------------------------------------------------------------------------------------------------------


def _volumes(root: Root, boot: Boot, mounts: Sequence[_Mount]) -> Iterator[Volume]:
    """Each LUKS2 volume once: those of crypttab(5), of the kernel command line and under / are opened at boot."""
    at_boot = {device: header for device, header, automatic in _crypttab(root) if automatic}
    at_boot.update({'/dev/disk/by-uuid/' + uuid: '' for uuid in _on_command_line(boot.arguments)})
    at_boot.update({device: '' for mount in mounts if mount.point == '/' for device in _beneath(root, mount.source)})
    others = {device: header for device, header, automatic in _crypttab(root) if not automatic}
    others.update({device: '' for mount in mounts for device in _beneath(root, mount.source)})
    seen: Set[str] = set()
    for devices, automatic in ((at_boot, True), (others, False)):
        for device, header in devices.items():
            place = _resolved(root, device)
            if place not in seen:
                seen.add(place)
                found = _or(None, _derivations, root, header or place)
                if found:
                    yield Volume(device, automatic, found)


def _crypttab(root: Root) -> List[Tuple[str, str, bool]]:
    """Device, header where it lies elsewhere, and whether it is opened at boot."""
    found = []
    for words in (line.split() for line in _text(root, '/etc/crypttab').split('\n')):
        if len(words) > 1 and not words[0].startswith('#'):
            options = words[3].split(',') if len(words) > 3 else []
            header = next((option[7:] for option in options if option.startswith('header=/')), '')
            found.append((_device(words[1]), header, 'noauto' not in options))
    return found


def _device(spec: str) -> str:
    kind, _, value = spec.partition('=')
    return '/dev/disk/{}/{}'.format(_DEVICES[kind], value.strip('"')) if kind in _DEVICES else spec


def _on_command_line(arguments: str) -> List[str]:
    """UUIDs of dracut's rd.luks.uuid=luks-UUID and of systemd's rd.luks.name=UUID=NAME."""
    return re.findall(r'(?:^|\s)rd\.luks\.(?:uuid|name)=(?:luks-)?([0-9A-Fa-f-]{36})', arguments)


def _beneath(root: Root, source: str, depth: int = 0) -> List[str]:
    """The encrypted devices under a mounted one, through LVM and the like."""
    node = '/sys/class/block/' + _resolved(root, source).rpartition('/')[2]
    if not source.startswith('/dev/') or depth > _DEEPEST:
        return []
    slaves = ['/dev/' + name for name in _names(root, node + '/slaves')]
    if _text(root, node + '/dm/uuid').startswith('CRYPT-LUKS2-'):
        return slaves
    return [device for slave in slaves for device in _beneath(root, slave, depth + 1)]


def _derivations(root: Root, place: str) -> Optional[Tuple[str, ...]]:
    size = luks.header_size(root.beginning(place, luks.BINARY_SIZE))
    return luks.derivations(root.beginning(place, size)) if size else None


# --- packages of other vendors ------------------------------------------------------------------------------------


def _foreign(root: Root, wanted: PackageSet, catalogue: Catalogue) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
    """Names of packages that use a library of the set, and of those that have kernel modules but none for its kernel."""
    vendors = {vendor.lower() for family in catalogue.families.values() for vendor in family.vendors}
    replaced = tuple(name for module in wanted.modules for name in _LIBRARIES.get(fips.name_of(module), ()))
    kernel = fips.kernel_image(wanted).replace('/boot/vmlinuz-', '')
    libraries, modules = set(), set()
    for found in rpmdb.contents(root, lambda package: ' '.join(package.vendor.lower().split()) not in vendors
                                and not fips.is_vendors_build(package.vendor, package.release)):
        if replaced and any(name.startswith(replaced) for name in found.requires):
            libraries.add(found.package.name)
        matches = [match for match in map(_MODULE.match, found.files) if match]
        if matches and kernel not in {match.group(1) for match in matches}:
            modules.add(found.package.name)
    return tuple(sorted(libraries)), tuple(sorted(modules))
