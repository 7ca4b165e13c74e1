# SPDX-License-Identifier: Apache-2.0
"""FIPS 140-3: which packages make a host's validated set, and what has to be done beside installing them. Pure.

FACTS 4: enable the repository, install the set, make its kernel the default, turn the mode on, reboot.
"""

import json
import re
from typing import AbstractSet, Any, Dict, List, Optional, Sequence, Tuple

from tuxcare_lib import host as places
from tuxcare_lib import messages
from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.errors import HostError, NotRegisteredError, StateError
from tuxcare_lib.hold import is_fips_build
from tuxcare_lib.host import Facts
from tuxcare_lib.model import Boot, Image, PackageSet, Release

_SCHEMA = 1


def package_set(facts: Facts, catalogue: Catalogue) -> PackageSet:
    """The registered host's validated set. Raises NotRegisteredError or HostError."""
    record = facts.registration
    if record is None:
        raise NotRegisteredError('This host is not registered.', messages.REGISTER_HINT)
    return set_for(catalogue, record.product, record.family, record.pin, facts.architecture)


def set_for(catalogue: Catalogue, product: str, family: str, release: Release, architecture: str) -> PackageSet:
    """The validated set of a product on a release. Raises HostError, naming those that there are."""
    found = catalogue.package_set(family, release, architecture)
    if product == 'esu' and found is not None:
        return found
    sets = ['{} {} {}'.format(catalogue.families[entry.family].title, entry.release, entry.architecture)
            for entry in catalogue.package_sets]
    raise HostError('There is no FIPS-validated set for {} {} on {} with {}.'.format(
        catalogue.families[family].title, release, architecture, catalogue.products[product].title),
        'There is one with {} for: {}.'.format(catalogue.products['esu'].title, ', '.join(sets)))


def name_of(nevr: str) -> str:
    """The name in NAME-[EPOCH:]VERSION-RELEASE."""
    return nevr.rsplit('-', 2)[0]


def evr(nevr: str) -> Tuple[str, str, str]:
    """Epoch, version and release in NAME-[EPOCH:]VERSION-RELEASE; the epoch is '0' where none is named."""
    _, version, release = nevr.rsplit('-', 2)
    epoch, colon, rest = version.partition(':')
    return (epoch, rest, release) if colon else ('0', version, release)


def is_vendors_build(vendor: Optional[str], release: str) -> bool:
    """Whether a build is TuxCare's, FIPS or fix, by its vendor or its release (FACTS 3 and 4)."""
    return 'tuxcare' in (vendor or '').lower() or '.tuxcare.' in release


def specs(wanted: PackageSet, have: AbstractSet[Tuple[str, str]]) -> Tuple[str, ...]:
    """The packages to install, as NEVRA. `have` are the names and architectures that are installed.

    i686 companions only of what is installed as i686: the package, or its libraries alone (`openssl-libs`).
    """
    chosen = ['{}.{}'.format(nevr, wanted.architecture) for nevr in (wanted.kernel,) + wanted.modules]
    for architecture in wanted.multilib:
        for nevr in wanted.modules:
            name = name_of(nevr)
            chosen += ['{}{}.{}'.format(companion, nevr[len(name):], architecture) for companion in (name, name + '-libs')
                       if (companion, architecture) in have]
    return tuple(chosen)


def kernel_image(wanted: PackageSet) -> str:
    """The path of the validated kernel, as the boot loader names it (FACTS 4)."""
    _, version, release = evr(wanted.kernel)
    return '/boot/vmlinuz-{}-{}.{}'.format(version, release, wanted.architecture)


def image_to_start(wanted: PackageSet, default: str, strict: bool) -> str:
    """The validated kernel's image; the default one, where that is a later FIPS build of the vendor's and may be."""
    later = is_fips_image(default) and not strict
    return default if later else kernel_image(wanted)


def is_fips_image(path: str) -> bool:
    """Whether a kernel image is of a FIPS build, by its name."""
    return is_fips_build(path.rpartition('.')[0])


def is_kept(boot: Boot) -> bool:
    """Whether the next boot is of a FIPS kernel in FIPS mode."""
    return will_be_on(boot) and is_fips_image(boot.default_kernel)


def kept(now: Boot, others: Sequence[Boot]) -> Tuple[Tuple[str, ...], ...]:
    """The program that makes the next boot one in FIPS mode again; none where it is, or none of `others` is one.

    It is a single program, so a kill leaves the boot loader as before or after it.
    """
    model = next((other for other in others if is_kept(other)), None)
    if is_kept(now) or model is None:
        return ()
    if not is_fips_image(now.default_kernel):
        return (('grubby', '--set-default=' + model.default_kernel),)
    words = ' '.join(word for word in model.arguments.split() if word.startswith(('fips=', 'boot=')))
    return (('grubby', '--update-kernel=' + now.default_kernel, '--args=' + words),)


def by_arguments(image: str) -> bool:
    """Whether a kernel's system has no fips-mode-setup: kernel arguments alone turn the mode on (FACTS 4: EL 10)."""
    major = re.search(r'\.el([0-9]+)', image, re.A)
    return major is not None and int(major.group(1)) >= 10


def arguments_for(image: str, boot_source: Optional[str], boot_uuid: str) -> str:
    """The kernel arguments to be set; empty where fips-mode-setup sets them. A /boot of its own has to be named in them."""
    if not by_arguments(image):
        return ''
    return 'fips=1' + (' boot=UUID=' + boot_uuid if boot_source else '')


def commands(image: str, boot: Boot, arguments: str = '') -> Tuple[Tuple[str, ...], ...]:
    """What still has to be run so that a kernel image boots in FIPS mode, in order; nothing where it does already."""
    steps: List[Tuple[str, ...]] = []
    if boot.default_kernel != image:
        steps.append(('grubby', '--set-default=' + image))
    if arguments and not (turns_on(boot.arguments) and set(arguments.split()) <= set(boot.arguments.split())):
        steps.append(('grubby', '--update-kernel=ALL', '--args=' + arguments))
    elif not arguments and not will_be_on(boot):
        steps.append(('fips-mode-setup', '--enable'))
    return tuple(steps)


def way_back(now: Boot, before: Boot) -> Tuple[Tuple[str, ...], ...]:
    """What has to be run so that the next boot is as `before`; nothing where it is.

    `fips-mode-setup --disable` leaves `fips=0` (and a `boot=` of its own) behind and knows no policy but DEFAULT (FACTS 4).
    """
    steps: List[Tuple[str, ...]] = []
    if before.default_kernel and now.default_kernel != before.default_kernel:
        steps.append(('grubby', '--set-default=' + before.default_kernel))
    words, old = now.arguments.split(), before.arguments.split()
    if by_arguments(now.default_kernel):
        added = sorted(word for word in words if word.startswith(('fips=', 'boot=')) and word not in old)
        return tuple(steps + ([('grubby', '--update-kernel=ALL', '--remove-args=' + ' '.join(added))] if added else []))
    policy = before.policy or 'DEFAULT'
    # A policy of the mode without the mode is what some sites have: then that policy alone is no sign of it.
    leaves = not will_be_on(before) and ('fips=1' in words or (
        now.policy.startswith('FIPS') and now.policy != before.policy))
    enters = will_be_on(before) and not will_be_on(now)
    if leaves or enters:
        steps.append(('fips-mode-setup', '--disable' if leaves else '--enable'))
    left = now.policy or 'DEFAULT'
    if leaves or enters:
        left = 'DEFAULT' if leaves else now.policy if now.policy.startswith('FIPS') else 'FIPS'
    if policy != left:
        steps.append(('update-crypto-policies', '--no-reload', '--set', policy))
    added = [word for word in words if word.startswith(('fips=', 'boot=')) and word not in old]
    if leaves:
        added = [word for word in added if not word.startswith('fips=')] + ([] if 'fips=0' in old else ['fips=0'])
    if added and not will_be_on(before):
        steps.append(('grubby', '--update-kernel=ALL', '--remove-args=' + ' '.join(sorted(added))))
    return tuple(steps)


def turns_on(arguments: str) -> bool:
    """Whether kernel arguments turn the mode on: of several `fips=` the kernel takes the last."""
    return [word for word in arguments.split() if word.startswith('fips=')][-1:] == ['fips=1']


def will_be_on(boot: Boot) -> bool:
    """Whether the next boot of the default kernel is in FIPS mode."""
    return turns_on(boot.arguments) and (boot.policy.startswith('FIPS') or by_arguments(boot.default_kernel))


def remembered(data: Optional[bytes]) -> Optional[Boot]:
    """What booted before FIPS mode was entered, as `render` wrote it; None where nothing is kept. Raises StateError."""
    if data is None:
        return None
    try:
        document: Dict[str, Any] = json.loads(data.decode('utf-8'))
        StateError.check_schema(places.FIPS_STATE, document['schema'], _SCHEMA)
        return boot_of(document['before'])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StateError('{} is damaged, so it is not known how this host booted before FIPS mode.'.format(places.FIPS_STATE),
                         'Remove it; then the mode is left with the policy DEFAULT.')


def boot_of(document: Dict[str, Any]) -> Boot:
    """The boot state of a document. Raises ValueError or TypeError."""
    found = Boot(**document)
    if not all(isinstance(value, kind) for value, kind in zip(found, (str, bool, str, str, str))):
        raise ValueError('no boot state')
    return found


def leaving(data: Optional[bytes]) -> str:
    """The command that is taking the host out of FIPS mode and waits for a reboot; empty where there is none."""
    try:
        value = json.loads((data or b'{}').decode('utf-8')).get('leaving')
    except (ValueError, AttributeError, RecursionError):
        value = None
    return value if isinstance(value, str) else ''


def has(data: Optional[bytes], flag: str) -> bool:
    """Whether the file has a flag: `strict` (the validated builds alone), or `told` (that a reboot is due)."""
    try:
        return json.loads((data or b'{}').decode('utf-8')).get(flag) is True
    except (ValueError, AttributeError, RecursionError):
        return False


def render(before: Boot, strict: bool = False, told: bool = False, leaving: str = '') -> Image:
    """The image of the file that says that FIPS mode is held, how strictly, and how the host booted before it."""
    document = {'schema': _SCHEMA, 'before': before._asdict(), 'strict': strict, 'told': told, 'leaving': leaving}
    return Image((json.dumps(document, indent=1, sort_keys=True) + '\n').encode('ascii'), 0o644)
