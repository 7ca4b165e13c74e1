# SPDX-License-Identifier: Apache-2.0
"""Finds what `proof` judges: packages and their files, this boot and the next, the provider of OpenSSL, the crypto policy.

Reads and changes nothing. Who is not root gets what he can see; the rest is told as not checked.
"""

import re
from typing import TYPE_CHECKING, Container, Dict, List, Optional, Tuple

from tuxcare_lib import boot, executor, fips
from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.errors import CommandError, HostError, TuxcareError
from tuxcare_lib.host import FIPS_STATE, Facts
from tuxcare_lib.model import Boot, PackageSet
from tuxcare_lib.proof import NEITHER, Evidence, Part, Provider
from tuxcare_lib.rootfs import Root

if TYPE_CHECKING:
    from tuxcare_lib import rpmdb

_MADE_HERE = 'Kernel image and initramfs in /boot: they are made on this host, so the package database has no digests of them.'
_I686 = '{} is installed: {} builds of the modules are not validated.'


def wanted_set(catalogue: Catalogue, facts: Facts) -> Optional[PackageSet]:
    """The set that this host has or could have; None where there is none. What is not registered is looked at as ESU."""
    record = facts.registration
    family = catalogue.family_of(facts.os_id)
    try:
        if record is not None:
            return fips.set_for(catalogue, record.product, record.family, record.pin, facts.architecture)
        if family is None or facts.release is None:
            return None
        return fips.set_for(catalogue, 'esu', family.id, facts.release, facts.architecture)
    except HostError:
        return None


def find(root: Root, catalogue: Catalogue, signing_key: str, facts: Facts, state: Boot, briefly: bool = False) -> Evidence:
    """All that there is to judge. `briefly`: nothing but the mode where it is off and will be, which costs nothing."""
    found = Evidence(wanted_set(catalogue, facts), state, entered=_entered(root), signing_key=signing_key,
                     registered=facts.is_registered)
    found = found._replace(leaving=_leaving(facts, found))
    if briefly and found.is_off:
        return found
    notes: List[str] = []
    parts = {} if found.wanted is None else _parts(root, found.wanted, not found.is_off, notes)
    if not state.default_kernel:
        notes.append('What boots next: grubby names no default kernel, or you are not root.')
    once = boot.entry_for_once(root)
    if once:
        notes.append('What boots next: grub2-reboot has chosen the entry {} for one boot.'.format(once))
    asked = _providers(root, notes) if state.mode_on else None
    return found._replace(
        parts=parts, applied=boot.applied_policy(root), entries=boot.entries(root, state.default_kernel), providers=asked,
        not_checked=tuple(notes + ([] if found.is_off or found.wanted is None else [_MADE_HERE])))


def _entered(root: Root) -> bool:
    try:
        return root.kind(FIPS_STATE) != ''
    except TuxcareError:
        return False


def _leaving(facts: Facts, found: Evidence) -> str:
    """The command that waits for a reboot; `fips disable` is over by then."""
    image = facts.images[FIPS_STATE]
    if image is None and not found.entered:
        was_on = found.boot.mode_on and found.boot.default_kernel and not fips.turns_on(found.boot.arguments)
        return 'dnf tuxcare fips disable' if was_on else ''
    return fips.leaving(image.data if image else None)


def _providers(root: Root, notes: List[str]) -> Optional[Tuple[Provider, ...]]:
    """None where openssl is not there (126 and 127 are chroot's words for that). One that fails has none to show."""
    argv = ('openssl', 'list', '-providers')
    try:
        done = executor.ended(root, argv)
        reason = '`{}` cannot be run.'.format(' '.join(argv)) if done.status in (126, 127) else ''
    except CommandError as error:
        reason = error.message
    if not reason:
        return () if done.status else parsed(done.stdout)
    notes.append('OpenSSL\'s providers: {}'.format(reason))
    return None


def parsed(text: str) -> Tuple[Provider, ...]:
    """What `openssl list -providers` says: an id on a line of its own, its properties below it."""
    found: List[Provider] = []
    for line in text.split('\n'):
        name, colon, value = line.strip().partition(':')
        if re.match(r'  \S+\Z', line):
            found.append(Provider(line.strip()))
        elif found and colon and name in ('name', 'version', 'status'):
            found[-1] = found[-1]._replace(**{name: value.strip()})
    return tuple(found)


def _parts(root: Root, wanted: PackageSet, with_files: bool, notes: List[str]) -> Dict[str, Tuple[Part, ...]]:
    """The installed packages of each module, by the module's name, its own package first."""
    from tuxcare_lib import rpmdb  # rpm: not for a host on which FIPS mode is off
    validated = {fips.name_of(nevr): fips.evr(nevr) for nevr in (wanted.kernel,) + wanted.modules}
    found: Dict[str, List[Part]] = {name: [] for name in validated}
    for package in sorted(rpmdb.everything(root), key=lambda package: package.name):
        name = _module_of(package, validated)
        if name and package.architecture in wanted.multilib:
            notes.append(_I686.format(package.nevra, package.architecture))
        elif name and package.architecture == wanted.architecture:
            found[name].append(_part(root, package, validated[name], with_files))
    notes += ['{} ({}).'.format(text, part.nevra) for parts in found.values() for part in parts for text in part.unread]
    return {name: tuple(sorted(parts, key=lambda part: fips.name_of(part.nevra) != name)) for name, parts in found.items()}


def _module_of(package: 'rpmdb.Package', names: Container[str]) -> str:
    """The module that a package belongs to: its own, or another one of its source (`openssl-libs`, `nss-softokn`); else empty.

    A source's package with a version of its own (nspr of nss) is another project's, and no part of the module.
    """
    if package.name in names:
        return package.name
    tail = '-{}-{}.src.rpm'.format(package.version, package.release)
    source = package.source[:-len(tail)] if package.source.endswith(tail) else ''
    return source if source in names else ''


def _part(root: Root, package: 'rpmdb.Package', validated: Tuple[str, str, str], with_files: bool) -> Part:
    """A package against the validated build. All packages of a source have its epoch."""
    from tuxcare_lib import rpmdb
    order = rpmdb.compare((str(package.epoch), package.version, package.release), validated)
    part = Part(package.nevra, package.release, order)
    if not with_files or part.state == NEITHER:
        return part
    return part._replace(**rpmdb.verify(root, package)._asdict())
