# SPDX-License-Identifier: Apache-2.0
"""Which builds keep a host in FIPS mode: every line of docs/fips.md's table, over values."""
from typing import Any, Dict, List, Optional, Tuple

import pytest

from tests.unit.samples import catalogue, settings
from tuxcare_lib import policy
from tuxcare_lib.hold import KERNELS, Hold
from tuxcare_lib.pin import Package

DOCUMENT: Dict[str, Any] = policy.make(catalogue(), settings())['fips']['almalinux 9.2 x86_64']
KERNEL = KERNELS[0]
VALIDATED = ('3.7.6', '23.el9_2.tuxcare.3')
COMMUNITY, FIX, LATER = ('3.7.6', '21.el9_2.2'), ('3.7.6', '21.el9_2.tuxcare.els1'), ('3.7.6', '23.el9_2.tuxcare.4')
STOCK, FIPS_KERNEL, LATER_KERNEL = (
    ('5.14.0', '284.30.1.el9_2'), ('5.14.0', '284.11.1.el9_2.tuxcare.6'), ('5.14.0', '284.11.1.el9_2.tuxcare.7'))


def package(name: str, build: Tuple[str, str], *provides: str) -> Package:
    return Package(name, build[0], build[1], 'any', provides=provides)


@pytest.mark.parametrize('build, usual, strict', [
    (VALIDATED, True, True), (LATER, True, False), (FIX, False, False), (COMMUNITY, False, False)])
def test_what_keeps_to_fips(build: Tuple[str, str], usual: bool, strict: bool) -> None:
    found = package('gnutls', build)
    assert [Hold(DOCUMENT, flag).accepts(found) for flag in (False, True)] == [usual, strict]


@pytest.mark.parametrize('coming, replaced, word', [
    (package('gnutls', COMMUNITY), [package('gnutls', VALIDATED)], 'place of'),
    (package('gnutls', FIX), [package('gnutls', VALIDATED)], 'place of'),
    (package('gnutls', LATER), [package('gnutls', VALIDATED)], None),
    (package('gnutls', COMMUNITY), [package('gnutls', COMMUNITY)], None),
    (package('gnutls-ng', ('9', '1.tuxcare.1')), [package('gnutls', VALIDATED)], 'place of'),
    (package('gnutls', LATER), [package('gnutls', VALIDATED), package('nettle', ('3.8', '3.el9_2.tuxcare.1'))], 'place of'),
    (package('less', COMMUNITY), [package('less', COMMUNITY)], None),
    (package('kernel-core', STOCK, KERNEL), [], 'a kernel'), (package('kernel-rt-core', STOCK, KERNEL), [], 'a kernel'),
    (package('kernel-uek-core', LATER, KERNEL + ' = 1'), [], 'a kernel'),
    (package('kernel-ml-core', LATER, 'installonlypkg(kernel-ml)'), [], 'a kernel'),
    (package('driver', LATER, 'installonlypkg(kernel-module)'), [], None),
    (package('kernel-lt', LATER, 'kernel = 6.1.1-1'), [], 'a kernel'),
    (package('kernel-tools', LATER, 'kernel-tools = 6'), [], None),
    (package('kernel-core', LATER_KERNEL, KERNEL), [], None),
])
def test_what_may_come_in(coming: Package, replaced: List[Package], word: Optional[str]) -> None:
    reason = Hold(DOCUMENT, False).coming(coming, replaced)
    assert (word in (reason or '')) if word else reason is None


V, S, LATE = (package('kernel-core', build) for build in (FIPS_KERNEL, STOCK, LATER_KERNEL))


@pytest.mark.parametrize('going, left, word', [
    (package('gnutls', VALIDATED), [V, S], 'nothing'), (package('gnutls', COMMUNITY), [V, S], None),
    (package('gnutls-devel', VALIDATED), [V, S], None), (package('nss-tools', VALIDATED), [V, S], None),
    (package('less', VALIDATED), [V, S], None),
    (V, [S], 'validated kernel'), (V, [S, LATE], 'validated kernel'), (S, [V], 'no second'), (S, [V, LATE], None),
    (LATE, [V, S], None), (package('kernel-modules', FIPS_KERNEL), [V, S], 'validated kernel'),
    (package('grubby', COMMUNITY), [V, S], 'left'),
])
def test_what_may_go(going: Package, left: List[Package], word: Optional[str]) -> None:
    reason = Hold(DOCUMENT, False).going(going, left)
    assert (word in (reason or '')) if word else reason is None


def test_another_epoch_is_another_build() -> None:
    other = package('gnutls', VALIDATED)
    other.epoch = 9
    assert Hold(DOCUMENT, True).accepts(package('gnutls', VALIDATED)) and not Hold(DOCUMENT, True).accepts(other)
