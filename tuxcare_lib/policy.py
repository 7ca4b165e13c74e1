# SPDX-License-Identifier: Apache-2.0
"""The policy: what the catalogue and the configuration say of the pin, as one plain document.

The guard of every dnf command needs it, and reading the catalogue costs more than all its hooks together. So the document is
kept in dnf's cache, together with the identity of every file it was made from, and made anew when one changes.
"""

from typing import Any, Dict

from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.model import Release
from tuxcare_lib.settings import Settings


def make(catalogue: Catalogue, settings: Settings) -> Dict[str, Any]:
    """The document. `pin.Rules` and `pin.pinned_release` read it."""
    families = catalogue.families.values()
    return {
        'repo_url': settings.repo_url,
        'vetted_paths': {family.id: family.vetted_path for family in families},
        'os_hosts': sorted(host for family in families for host in family.hosts),
        'trees': sorted({tree.lower() for family in families for tree in family.trees}),
        'os_vendors': sorted(vendor for family in families for vendor in family.vendors),
        'release_packages': sorted(name for family in families for name in family.release_packages),
        'titles': {family.id: family.title for family in families},
        'os_ids': {family.id: family.os_release_id for family in families},
        'available': {'{} {}'.format(entry.family, entry.release): list(entry.products) for entry in catalogue.releases},
        'proves': {entry.id: entry.proves for entry in catalogue.repositories if entry.proves},
        'moves_of_products': {product.id: product.moves for product in catalogue.products.values()},
        'moves': {'{} {}'.format(entry.family, entry.release): [str(release) for release in entry.moves]
                  for entry in catalogue.releases},
        'closes_esu': {'{} {}'.format(entry.family, entry.release): [
            str(release) for release in entry.moves if not _has_esu(catalogue, entry.family, release)]
            for entry in catalogue.releases if 'esu' in entry.products},
        'fips': {'{} {} {}'.format(found.family, found.release, found.architecture): {
            'names': list(found.holds), 'companions': list(found.multilib),
            'validated': [_evr(nevr) for nevr in (found.kernel,) + found.modules]}
            for found in catalogue.package_sets},
        'trusted_url': list(settings.trusted_url),
        'allow': list(settings.allow),
    }


def _evr(nevr: str) -> str:
    """EPOCH:VERSION-RELEASE of NAME-[EPOCH:]VERSION-RELEASE."""
    _, version, release = nevr.rsplit('-', 2)
    epoch, _, version = version.rpartition(':')
    return '{}:{}-{}'.format(epoch or 0, version, release)


def _has_esu(catalogue: Catalogue, family: str, release: Release) -> bool:
    entry = catalogue.entry(family, release)
    return entry is not None and 'esu' in entry.products
