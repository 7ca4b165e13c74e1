# SPDX-License-Identifier: Apache-2.0
"""The catalogue: what the shipped data say, what an addition can say, and every mistake in one go."""

import re
from typing import List, Optional, Tuple

import pytest

from tests.unit.samples import PROJECT, catalogue, release, shipped_text
from tuxcare_lib import catalogue as catalogues
from tuxcare_lib import inifile
from tuxcare_lib import settings as configuration
from tuxcare_lib.errors import ConfigurationError, Problem


def problems(additions: str, shipped: Optional[str] = None) -> List[Problem]:
    with pytest.raises(ConfigurationError) as caught:
        catalogues.read([('catalogue.conf', shipped or shipped_text()), ('site.conf', additions)])
    return caught.value.problems


# FACTS 3 and 4, as the guide has them.
@pytest.mark.parametrize('product, releases', [('esu', ['9.2']), ('essential', ['8.8', '8.10', '9.2', '9.4'])])
def test_the_releases_of_a_product_in_numerical_order(product: str, releases: List[str]) -> None:
    assert [str(entry.release) for entry in catalogue().releases_of(product)] == releases


def test_planned_releases_are_not_available() -> None:
    for text in ('9.6', '9.10'):
        entry = catalogue().entry('almalinux', release(text))
        assert entry is not None and entry.planned == ('esu',) and entry.products == ()


@pytest.mark.parametrize('architecture, modules', [
    ('x86_64', ('openssl-1:3.0.7-20.el9_2.tuxcare.1', 'gnutls-3.7.6-23.el9_2.tuxcare.3', 'nettle-3.8-3.el9_2.tuxcare.1',
                'libgcrypt-1.10.0-10.el9_2.tuxcare.3', 'nss-3.90.0-6.el9_2.tuxcare.1')),
    ('aarch64', ('openssl-1:3.0.7-20.el9_2.tuxcare.1',))])
def test_the_validated_sets(architecture: str, modules: Tuple[str, ...]) -> None:
    found = catalogue().package_set('almalinux', release('9.2'), architecture)
    assert found is not None
    assert found.kernel == 'kernel-5.14.0-284.11.1.el9_2.tuxcare.6'
    assert found.modules == modules


@pytest.mark.parametrize('family, text, architecture', [
    ('almalinux', '9.4', 'x86_64'), ('almalinux', '9.2', 's390x'), ('rocky', '9.2', 'x86_64')])
def test_there_is_no_other_validated_set(family: str, text: str, architecture: str) -> None:
    assert catalogue().package_set(family, release(text), architecture) is None


@pytest.mark.parametrize('os_id, family', [('almalinux', 'almalinux'), ('ol', 'oracle'), ('fedora', None), ('', None)])
def test_a_family_by_its_os_release_id(os_id: str, family: Optional[str]) -> None:
    found = catalogue().family_of(os_id)
    assert (found.id if found else None) == family


def test_only_families_with_a_release_are_supported() -> None:
    assert [family.id for family in catalogue().supported_families()] == ['almalinux']


@pytest.mark.parametrize('vendor', ['AlmaLinux', 'Red Hat, Inc.', 'CentOS', 'Rocky Enterprise Software Foundation'])
def test_the_vendor_tags_of_operating_systems_are_known_as_packages_carry_them(vendor: str) -> None:
    assert vendor in {tag for family in catalogue().families.values() for tag in family.vendors}


def test_the_signing_key_and_the_addresses_are_those_of_the_guide() -> None:
    service = catalogue().service
    assert service['gpg_key_fingerprint'] == 'FAD7859081D0738B7A828496D07BF2A08D50EB66'
    assert service['register_url'] == 'https://cln.cloudlinux.com/cln/api/els/token/register'
    assert service['repo_url'] == 'https://repo.tuxcare.com'


def test_adding_a_release_is_data_alone() -> None:
    added = catalogue('[release almalinux 9.6]\narchitectures = x86_64\navailable = esu essential\n')
    assert [str(entry.release) for entry in added.releases_of('esu')] == ['9.2', '9.6']
    assert [str(entry.release) for entry in added.releases_of('essential')] == ['8.8', '8.10', '9.2', '9.4', '9.6']


def test_nothing_of_it_is_repeated_in_code() -> None:
    words = ['tuxcare.6', 'FAD78590', 'cln.cloudlinux.com', 'repo.tuxcare.com/tuxcare', 'mirrors.almalinux.org', 'ESU-', "'9.2'"]
    for path in sorted((PROJECT / 'tuxcare_lib').rglob('*.py')):
        code = re.sub(r'"""[\s\S]*?"""|#.*', '', path.read_text(encoding='utf-8'))
        assert [word for word in words if word in code] == [], path.name


@pytest.mark.parametrize('additions, line, words', [
    pytest.param('[release almalinux 9.x]\narchitectures = x86_64\n', 1, "'9.x' is not a release", id='no-release'),
    pytest.param('[release debian 9.2]\narchitectures = x86_64\n', 1, 'no such family', id='no-family'),
    pytest.param('[release almalinux 9.5]\narchitectures = x86_64\navailable = gold\n', 1, "no product 'gold'", id='no-product'),
    pytest.param('[release almalinux 9.5]\narchitectures = x86_64\nplanned = gold\n', 1, "no product 'gold'", id='none-planned'),
    pytest.param('[release almalinux 9.5]\narchitectures = x86_64\nmoves = 9.7\n', 1, 'moves to 9.7', id='no-such-move'),
    pytest.param('[release almalinux]\narchitectures = x86_64\n', 1, '2 word(s)', id='too-few-words'),
    pytest.param('[product a b]\ntitle = x\nmoves = no\n', 1, '1 word(s)', id='too-many-words'),
    pytest.param('[release almalinux 9.5]\navailable = esu\n', 1, "lacks the key 'architectures'", id='missing-key'),
    pytest.param('[product p]\ntitle = x\nmoves = maybe\n', 3, 'yes or no', id='bad-value'),
    pytest.param('[product p]\ntitle = x\nmoves = no\ncolour = red\n', 4, "unknown key 'colour'", id='unknown-key'),
    pytest.param('[fips almalinux 9.2 s390x]\nkernel = kernel\nmodules =\n', 2, 'a package such as', id='no-package'),
    pytest.param('[fips almalinux 9.3 x86_64]\nkernel = kernel-1-1\nmodules =\n', 1, '9.3', id='set-of-no-release'),
    pytest.param('[fips almalinux 9.2 s390x]\nkernel = k-1-1\nmodules =\ncertificates = openssl\n', 4, 'openssl=1234',
                 id='no-pair'),
    pytest.param('[catalogue]\nschema = 2\n', 2, 'schema 1 only', id='later-schema'),
    pytest.param('[repository r]\ntitle = x\nproducts = esu\npath = a/$releasever/\n', 4, '$releasever', id='unknown-variable'),
])
def test_a_mistake_and_its_place(additions: str, line: int, words: str) -> None:
    found = problems(additions)
    assert [(problem.path, problem.line) for problem in found] == [('site.conf', line)]
    assert words in found[0].text


def test_all_mistakes_of_all_files_are_told_together() -> None:
    found = problems('[product p]\ncolour = red\n', shipped_text().replace('[family rocky]', '[folk rocky]'))
    assert {problem.path for problem in found} == {'catalogue.conf', 'site.conf'}
    assert len(found) == 4
    assert all(problem.line for problem in found)


@pytest.mark.parametrize('section', ['catalogue', 'service'])
def test_a_section_that_has_to_be_there(section: str) -> None:
    document = inifile.parse(shipped_text())
    gone = next(known for known in document.sections if known.name == section)
    text = document.edited({number: [] for number in range(gone.start, gone.end)}).render()
    with pytest.raises(ConfigurationError) as caught:
        catalogues.read([('catalogue.conf', text)])
    assert 'section [{}] is missing'.format(section) in str(caught.value)


@pytest.mark.parametrize('key, value', [('repo_url', 'banana'), ('gpg_key_fingerprint', 'FAD7'), ('register_url', 'ftp://x/')])
def test_a_bad_default_is_a_problem_with_a_place_and_no_crash(key: str, value: str) -> None:
    text = re.sub('(?m)^{} = .*'.format(key), '{} = {}'.format(key, value), shipped_text())
    with pytest.raises(ConfigurationError) as caught:
        configuration.read(None, catalogues.read([('catalogue.conf', text)]).service)
    assert 'catalogue.conf' in str(caught.value) and key in str(caught.value)
