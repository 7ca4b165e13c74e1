# SPDX-License-Identifier: Apache-2.0
"""tuxcare.conf over the catalogue's defaults."""

from typing import Any, List

import pytest

from tests.unit.samples import PROJECT, catalogue, settings
from tuxcare_lib import settings as configuration
from tuxcare_lib.errors import ConfigurationError
from tuxcare_lib.settings import Settings


def read(text: str) -> Settings:
    return configuration.read(text, catalogue().service, '/etc/x.conf')


def test_without_a_file_the_defaults_count() -> None:
    found = settings()
    assert found.repo_url == 'https://repo.tuxcare.com'
    assert (found.timeout, found.retries, found.ca_file, found.proxy, found.trusted_url, found.allow) == (30, 3, '', '', (), ())


def test_the_shipped_file_changes_nothing() -> None:
    assert read((PROJECT / 'conf' / 'tuxcare.conf').read_text(encoding='utf-8')) == settings()


def test_the_shipped_file_shows_every_key_and_its_default() -> None:
    text = (PROJECT / 'conf' / 'tuxcare.conf').read_text(encoding='utf-8')
    lines = [line[1:] if line.startswith('#') and not line.startswith('# ') else line for line in text.split('\n')]
    live = [line for line in lines if not line.endswith('=')]
    assert read('\n'.join(live)) == settings()
    for kind, keys in configuration.SCHEMA.items():
        assert all(any(line.startswith((key + '=', key + ' =')) for line in lines) for key in keys), kind


@pytest.mark.parametrize(
    'section, key, value, expected',
    [
        ('service', 'repo_url', 'https://eportal.example.com/', 'https://eportal.example.com'),
        ('service', 'register_url', 'http://eportal.example.com:8080/r', 'http://eportal.example.com:8080/r'),
        (
            'service',
            'gpg_key_fingerprint',
            'fad7 8590 81d0 738b 7a82 8496 d07b f2a0 8d50 eb66',
            'FAD7859081D0738B7A828496D07BF2A08D50EB66',
        ),
        ('service', 'ca_file', '/etc/pki/ca.pem', '/etc/pki/ca.pem'),
        ('service', 'proxy', 'http://proxy.example.com:3128', 'http://proxy.example.com:3128'),
        ('service', 'proxy', 'socks5h://u:p@[::1]:1080/', 'socks5h://u:p@[::1]:1080/'),
        ('service', 'proxy', 'socks4a://a', 'socks4a://a'),
        ('service', 'aws_register_url', 'https://vendor.example.com/aws/', 'https://vendor.example.com/aws'),
        ('service', 'aws_register_url', '', ''),
        ('service', 'aws_metadata_url', 'http://127.0.0.1:1338', 'http://127.0.0.1:1338'),
        ('service', 'aws_metadata_url', 'http://[fd00:ec2::254]/', 'http://[fd00:ec2::254]'),
        ('service', 'timeout', '600', 600),
        ('service', 'retries', '0', 0),
        ('pin', 'trusted_url', 'https://m/$tuxcare_releasever file:///srv', ('https://m/$tuxcare_releasever', 'file:///srv')),
        ('pin', 'allow', 'nginx@site foo@bar', ('nginx@site', 'foo@bar')),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_value_of_the_administrator(section: str, key: str, value: str, expected: Any) -> None:
    found = read('[{}]\n{} = {}\n'.format(section, key, value))
    assert getattr(found, key) == expected
    assert found._replace(**{key: getattr(settings(), key)}) == settings()


@pytest.mark.parametrize(
    'section, key, value',
    [
        ('service', 'repo_url', 'banana'),
        ('service', 'repo_url', 'ftp://x/'),
        ('service', 'repo_url', 'https://'),
        ('service', 'repo_url', 'https://user:secret@x/'),
        ('service', 'repo_url', 'https://x/?a=b'),
        ('service', 'repo_url', 'https://x/#a'),
        ('service', 'repo_url', 'https://x/?'),
        ('service', 'repo_url', 'https://x/#'),
        ('service', 'repo_url', 'https://x/a\x1b[31m'),
        ('service', 'register_url', 'https://x/a\x00'),
        ('service', 'repo_url', 'https://x/$releasever'),
        ('service', 'repo_url', 'https://x/a b'),
        ('service', 'repo_url', ''),
        ('service', 'check_url', 'https://x:99999/'),
        ('service', 'check_url', 'https://[::1'),
        ('service', 'check_url', 'https://x:0/'),
        ('service', 'gpg_key_fingerprint', '8D50EB66'),
        ('service', 'gpg_key_fingerprint', 'Z' * 40),
        ('service', 'aws_register_url', 'http://vendor.example.com/aws'),
        ('service', 'aws_metadata_url', ''),
        ('service', 'aws_metadata_url', 'http://metadata.example.com'),
        ('service', 'aws_metadata_url', 'http://192.0.2.1'),
        ('service', 'aws_metadata_url', 'http://[fd00:ec2::255]'),
        ('service', 'aws_metadata_url', 'https://169.254.169.254'),
        ('service', 'timeout', '0'),
        ('service', 'timeout', '601'),
        ('service', 'timeout', 'soon'),
        ('service', 'retries', '-1'),
        ('service', 'retries', '11'),
        ('main', 'enabled', 'banana'),
        ('service', 'ca_file', '/etc/a\n  sslverify=0'),
        ('service', 'ca_file', 'ca.pem'),
        ('service', 'proxy', 'banana'),
        ('service', 'proxy', 'socks4h://a'),
        ('service', 'proxy', 'http://a b'),
        ('service', 'proxy', 'http://[::1'),
        ('service', 'proxy', 'http://a:99999'),
        ('service', 'proxy', 'http://:3128'),
        ('service', 'proxy', 'http://@'),
        ('service', 'proxy', 'http://.'),
        ('service', 'proxy', 'http://a..b:80'),
        ('service', 'proxy', 'http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'),
        ('service', 'repo_url', 'https://a..b/'),
        ('pin', 'allow', 'nginx'),
        ('pin', 'allow', '@site'),
        ('pin', 'allow', 'nginx@'),
        ('pin', 'trusted_url', 'mirror.example.com/9.2'),
        ('pin', 'trusted_url', 'https:///'),
        ('pin', 'trusted_url', 'file:///'),
        ('pin', 'colour', 'red'),
        ('service', 'Repo_URL', 'https://x'),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_bad_value_is_named_with_file_and_line(section: str, key: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read('# top\n[{}]\n{} = {}\n'.format(section, key, value))
    assert [(problem.path, problem.line) for problem in caught.value.problems] == [('/etc/x.conf', 3)]
    assert key in caught.value.problems[0].text
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'text, lines',
    [
        pytest.param('[servce]\ntimeout = 5\n', [1], id='unknown-section'),
        pytest.param('[service two]\ntimeout = 5\n', [1], id='a-section-with-a-word-too-many'),
        pytest.param('[pin]\n[pin]\n', [0], id='a-section-twice'),
        pytest.param('rubbish\n[main]\nenabled = x\n[service]\ntimeout = y\nfoo = 1\n', [1, 3, 5, 6], id='all-together'),
    ],
)
def test_what_is_no_key_is_named_with_file_and_line(text: str, lines: List[int]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    assert [problem.line for problem in caught.value.problems] == lines


def test_a_password_in_a_bad_address_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read('[service]\nrepo_url = https://user:pass-word@x/\n')
    assert 'pass-word' not in str(caught.value)


@pytest.mark.parametrize('value', ['user:S3CRET@proxy:3128', 'http:/user:S3CRET@proxy', 'htp://S3CRET:x@proxy',
                                   'http://u:S3C\n RET@proxy', 'u:S3CRET@'])
def test_a_password_is_not_shown_without_a_scheme_either(value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read('[service]\nproxy = {}\n'.format(value))
    assert 'S3C' not in str(caught.value) and 'RET' not in str(caught.value) and "(hidden)@" in str(caught.value)


@pytest.mark.parametrize(
    'changed, hosts',
    [
        ({}, []),
        ({'repo_url': 'http://a.example.com'}, ['a.example.com']),
        ({'check_url': 'http://b/', 'unregister_url': 'http://a:80/'}, ['a', 'b']),
        ({'gpg_key_url': 'http://a/'}, []),
    ],
)
def test_hosts_that_get_the_token_readable(changed: 'dict[str, str]', hosts: List[str]) -> None:
    assert configuration.hosts_without_tls(settings(**changed)) == hosts
