# SPDX-License-Identifier: Apache-2.0
"""Who an AWS instance is: the dialogue with its metadata service driven by hand, and by which signs a machine is one."""

import json
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from tests.unit.samples import almalinux, catalogue, gather, settings
from tests.unit.test_enrolment import TOKEN, Answer, Course, Service, drive, enquiry
from tuxcare_lib import enrolment, instance, messages, sealing
from tuxcare_lib.errors import HostError, ServiceError, StateError, TransportError
from tuxcare_lib.model import InstanceIdentity, Response
from tuxcare_lib.sealing import Seal

URL = 'http://169.254.169.254/latest/'
AWS = settings(aws_register_url='https://vendor.example.com/aws')
DOCUMENT = json.dumps({'instanceId': 'i-0a1b2c3d4e5f60718', 'region': 'eu-central-1'}, indent=2)
SIGNATURE = 'MIAGCSqGSIb3DQEHAqCAMIACAQExDzAN\nBglghkgBZQMEAgEFADCABgkqhkiG9w0=\n'


class Metadata(Service):
    """Answers by the last part of the path."""

    def answer(self, step: Any) -> Answer:
        known: Dict[str, Answer] = {'token': Response(200, b'AQAEAJx=='), 'document': Response(200, DOCUMENT.encode('ascii')),
                                    'rsa2048': Response(200, SIGNATURE.encode('ascii'))}
        name = step.url.rpartition('/')[2]
        return self.answers.get(name) or known[name]


def identify(**answers: Answer) -> Course:
    return drive(instance.identify(AWS), Metadata(**answers))


def test_what_is_asked_and_how() -> None:
    course = identify()
    assert [(request.method, request.url) for request in course.requests] == [
        ('PUT', URL + 'api/token'), ('GET', URL + 'dynamic/instance-identity/document'),
        ('GET', URL + 'dynamic/instance-identity/rsa2048')]
    assert [request.headers for request in course.requests] == [
        {'X-aws-ec2-metadata-token-ttl-seconds': '60'}] + [{'X-aws-ec2-metadata-token': 'AQAEAJx=='}] * 2
    assert all(request.link_local and request.limit <= 16384 and request.json is None for request in course.requests)
    assert (course.result.document, course.result.signature) == (DOCUMENT, SIGNATURE)
    assert 'i-0a' not in repr(course.result) and 'MIAG' not in str(course.result)


def test_a_dry_run_tells_the_same_requests() -> None:
    told = ['{} {}'.format(request.method, request.url) for request in identify().requests]
    assert list(instance.requests(AWS)) == told + ['POST https://vendor.example.com/aws']


@pytest.mark.parametrize('name, body, words', [
    ('token', b'', 'token'), ('token', b'a b', 'token'), ('token', b'abc\r\nX-Evil: 1', 'token'), ('token', b'abc\n', 'token'),
    ('token', b'x' * 1025, 'token'), ('token', '\u0430bc'.encode('utf-8'), 'token'), ('token', b'\xff', 'no text'),
    ('document', b'', 'names no instance'), ('document', b'<html>log in</html>', 'names no instance'),
    ('document', b'["i-0a1b2c3d4e5f60718"]', 'names no instance'), ('document', b'{}', 'names no instance'),
    ('document', b'{"instanceId": null}', 'names no instance'), ('document', b'{"instanceId": 5}', 'names no instance'),
    ('document', b'{"instanceId": "i-0a1b2c3d4e5f60718\\n"}', 'names no instance'),
    ('document', b'{"instanceId": "i-0a1b2c3d4e5f60718/../x"}', 'names no instance'),
    ('document', b'{"instanceId": "mi-0a1b2c3d4e5f60718"}', 'names no instance'),
    ('document', b'{"instanceId": "i-0a1b2c3d4e5f6071"}', 'names no instance'),
    ('document', b'[' * 16000, 'names no instance'), ('document', b'{"a":' * 3000, 'names no instance'),
    ('document', b'\xff\xfe{', 'no text'),
    ('rsa2048', b'', 'signature'), ('rsa2048', b'\n', 'signature'), ('rsa2048', b'<html>', 'signature'),
    ('rsa2048', b'MIA', 'signature'), ('rsa2048', b'MIAG*MIAG', 'signature'),
    ('rsa2048', 'MIAG\u2003MIAG'.encode('utf-8'), 'signature'), ('rsa2048', b'\xff', 'no text'),
])
def test_an_answer_that_cannot_be_one(name: str, body: bytes, words: str) -> None:
    course = identify(**{name: Response(200, body)})
    assert type(course.error) is ServiceError and words in course.error.message and 'aws_metadata_url' in course.error.remedy
    assert course.requests[-1].url.endswith(name) and '\n' not in str(course.error)


@pytest.mark.parametrize('name', ['token', 'document', 'rsa2048'])
@pytest.mark.parametrize('status', [204, 401, 403, 404, 405, 503])
def test_a_refusal(name: str, status: int) -> None:
    course = identify(**{name: Response(status, b'')})
    assert isinstance(course.error, ServiceError) and 'HTTP {}.'.format(status) in course.error.message
    assert 'IMDSv2' in course.error.remedy and course.error.http_status == status


@pytest.mark.parametrize('name', ['token', 'document', 'rsa2048'])
def test_silence(name: str) -> None:
    course = identify(**{name: TransportError('169.254.169.254 does not answer.', 'Check the firewall.')})
    assert isinstance(course.error, TransportError) and not course.error.seat_unknown
    assert course.error.message == 'The metadata service of this instance cannot be asked: 169.254.169.254 does not answer.'
    assert 'IMDSv2' in str(course.error) and 'firewall' not in str(course.error)


# --- the registration with it -------------------------------------------------------------------------------------


class Vendor(Service):
    """The vendor's end for instances, beside the rest of it."""

    def answer(self, step: Any) -> Answer:
        return self.answers['register'] if getattr(step, 'url', '') == AWS.aws_register_url else super().answer(step)


def enrol(**answers: Answer) -> Course:
    identity = InstanceIdentity(DOCUMENT, SIGNATURE)
    return drive(enrolment.enrol(enquiry(settings=AWS), identity), Vendor(**answers))


def test_the_identity_is_passed_on_as_it_came() -> None:
    course = enrol()
    assert course.requests[0].url == 'https://vendor.example.com/aws' and not course.requests[0].link_local
    assert course.requests[0].json == {'document': DOCUMENT, 'signature': SIGNATURE, 'host_name': 'web1'}
    assert course.result.token.secret == TOKEN and all(request.url != AWS.register_url for request in course.requests)


@pytest.mark.parametrize('answer, words, unknown', [
    (Response(403, b'{"error": "no"}'), 'Check the AWS Marketplace subscription', False),
    (Response(400, b'{"error": "key-limit-reached"}'), 'All seats of this AWS Marketplace subscription are taken', False),
    (Response(503, b''), 'busy', False),
    (Response(204, b''), 'check aws_register_url', True),
    (Response(200, b'<html>'), 'check aws_register_url', True),
    (Response(200, b'{"token": 5}'), 'Look at aws_register_url', True),
    (TransportError('broke off.', 'Try again later.'), 'broke off', True),
])
def test_a_registration_that_fails(answer: Answer, words: str, unknown: bool) -> None:
    course = enrol(register=answer)
    assert isinstance(course.error, ServiceError) and words in str(course.error) and 'licence' not in str(course.error)
    assert course.error.seat_unknown == unknown == str(course.error).endswith(messages.SEAT_UNKNOWN_AWS)


# --- who may ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('url, marketplaces, words', [
    ('', 'aws', 'is not configured'), ('https://x', '', 'by the catalogue'), ('https://x', 'azure', 'by the catalogue'),
    ('https://x', 'azure aws', None)])
def test_both_have_to_say_so(url: str, marketplaces: str, words: Optional[str]) -> None:
    found = catalogue('[product esu]\ntitle = X\nmoves = no\nmarketplaces = {}\n'.format(marketplaces))
    products: List[Any] = [found.products['esu'], found.products['essential']]
    if words is None:
        instance.check_offered(settings(aws_register_url=url), products)
        return
    with pytest.raises(HostError, match=words):
        instance.check_offered(settings(aws_register_url=url), products)


def test_nothing_is_offered_by_default() -> None:
    assert settings().aws_register_url == '' and [found.marketplaces for found in catalogue().products.values()] == [(), ()]


@pytest.mark.parametrize('files, is_one', [
    ({}, False), ({'/sys/class/dmi/id/sys_vendor': 'Amazon EC2\n'}, True), ({'/sys/class/dmi/id/sys_vendor': 'QEMU\n'}, False),
    ({'/sys/class/dmi/id/sys_vendor': 'Not Amazon EC2\n'}, False),
    ({'/sys/devices/dmi/id/sys_vendor': 'Amazon EC2\n', '/sys/class/dmi/id': '->/sys/devices/dmi/id'}, True),
    ({'/sys/class/dmi/id/sys_vendor': 'Xen\n', '/sys/hypervisor/uuid': 'EC2E1916-9099-7CAF-FD21-012345ABCDEF\n'}, True),
    ({'/sys/hypervisor/uuid': '0000ec2e-9099-7caf-fd21-012345abcdef\n'}, False),
    ({'/sys/hypervisor/uuid/file': 'ec2'}, False),
])
def test_the_signs_of_an_instance(tmp_path: Path, files: Dict[str, str], is_one: bool) -> None:
    facts = gather(almalinux(tmp_path, files=files))
    assert facts.is_on_aws == is_one
    if not is_one:
        with pytest.raises(HostError, match='is no AWS instance: {}'.format(tmp_path)):
            instance.check_instance(facts)


@pytest.mark.parametrize('text, aws', [
    ('{"schema": 1, "product": null, "pin": null, "made_folder": false}', False),
    (sealing.render(Seal(None, None, aws=True)).decode('ascii'), True)], ids=['before there was --aws', 'with it'])
def test_a_seal(tmp_path: Path, text: str, aws: bool) -> None:
    found = sealing.parse(gather(almalinux(tmp_path, files={'/var/lib/tuxcare/sealed.json': text})))
    assert found is not None and found.aws is aws


@pytest.mark.parametrize('text, told', [
    ('{"schema": 2, "product": null}', 'Install the version'), ('{"schema": 1, "product": 5, "pin": null}', 'is damaged'),
    ('[]', 'is damaged')], ids=['a later version', 'another type', 'no object'])
def test_a_seal_that_cannot_be_read(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(StateError) as caught:
        sealing.parse(gather(almalinux(tmp_path, files={'/var/lib/tuxcare/sealed.json': text})))
    assert told in str(caught.value) + caught.value.remedy
