# SPDX-License-Identifier: Apache-2.0
"""FIPS 140-3: which packages make a host's validated set, and what has to be done beside installing them. Pure.

FACTS 4: enable the repository, install the set, make its kernel the default, turn the mode on, reboot.
"""

import re
from typing import AbstractSet, List, NamedTuple, Optional, Tuple

from tuxcare_lib import host as places
from tuxcare_lib import inifile, messages
from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.errors import HostError, NotRegisteredError
from tuxcare_lib.host import Facts
from tuxcare_lib.model import Change, PackageSet, Release


class Boot(NamedTuple):
    """What boots, and in which mode: read from the running system and its boot loader."""

    running_kernel: str
    mode_on: bool
    default_kernel: str
    arguments: str
    policy: str


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


def is_fips_build(release: str) -> bool:
    """`.tuxcare.3` is a FIPS build, `.tuxcare.els1` a fix that is none (FACTS 4)."""
    return bool(re.search(r'\.tuxcare\.[0-9]+\Z', release, re.A))


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


def commands(wanted: PackageSet, boot: Boot) -> Tuple[Tuple[str, ...], ...]:
    """What still has to be run, in order; nothing where the host boots into FIPS mode already."""
    steps: List[Tuple[str, ...]] = []
    image = kernel_image(wanted)
    if boot.default_kernel != image:
        steps.append(('grubby', '--set-default=' + image))
    if not will_be_on(boot):
        steps.append(('fips-mode-setup', '--enable'))
    return tuple(steps)


def will_be_on(boot: Boot) -> bool:
    """Whether the next boot of the default kernel is in FIPS mode."""
    return 'fips=1' in boot.arguments.split() and boot.policy.startswith('FIPS')


def repository_change(facts: Facts) -> Optional[Change]:
    """tuxcare.repo with the FIPS repository enabled; None where it is already, or the service has none."""
    image = facts.images[places.TUXCARE_REPO]
    if image is None:
        return None
    document = inifile.parse(inifile.decode(image.data))
    for section in document.sections:
        option = section.option('enabled')
        if section.name == 'tuxcare-fips' and option and option.value != '1':
            text = document.edited({option.start: ['enabled=1\n']}).render()
            return Change(places.TUXCARE_REPO, image, image._replace(data=inifile.encode(text), mtime_ns=None))
    return None
