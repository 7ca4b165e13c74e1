# SPDX-License-Identifier: Apache-2.0
"""Registration by the identity of an AWS instance, for what was bought in AWS Marketplace: who may, and the dialogue for it.

    PUT token -> GET document -> GET its signature -> InstanceIdentity

Instance metadata service, version 2 (AWS, "Use the Instance Metadata Service"). Its token lives for a minute and is a secret.
"""

import base64
import json
import re
from typing import Dict, Sequence, Tuple

from tuxcare_lib.enrolment import Dialogue
from tuxcare_lib.errors import HostError, ServiceError
from tuxcare_lib.host import Facts
from tuxcare_lib.model import InstanceIdentity, Product, Request
from tuxcare_lib.settings import Settings

MARKETPLACE = 'aws'

_TOKEN = '/latest/api/token'
_DOCUMENT = '/latest/dynamic/instance-identity/document'
_SIGNATURE = '/latest/dynamic/instance-identity/rsa2048'
# A real document has some 500 bytes, its signature some 1,800.
_LIMIT = 16 * 1024
_INSTANCE_ID = re.compile(r'i-([0-9a-f]{8}|[0-9a-f]{17})\Z', re.A)
_REMEDY = ('Look whether the metadata service of this instance is switched on, with IMDSv2 (for a container with a hop limit of '
           '2), or register with a licence key.')


def check_offered(settings: Settings, products: Sequence[Product]) -> None:
    """Raises HostError where configuration and catalogue do not both say that instances may register by their identity."""
    if not settings.aws_register_url:
        raise HostError('Registration by the identity of an AWS instance is not configured.',
                        'Set aws_register_url in tuxcare.conf, or register with a licence key.')
    if not any(MARKETPLACE in product.marketplaces for product in products):
        raise HostError('{} cannot be registered by the identity of an AWS instance, by the catalogue.'.format(
            ' or '.join(product.title for product in products)),
            'Add `marketplaces = {}` to the product in tuxcare.d, or register with a licence key.'.format(MARKETPLACE))


def check_instance(facts: Facts) -> None:
    """Raises HostError where the machine does not say that it is one of EC2: nobody else is asked for an identity."""
    if not facts.is_on_aws:
        raise HostError('This host is no AWS instance: {} does not name Amazon EC2.'.format(
            facts.root.rstrip('/') + '/sys/class/dmi/id/sys_vendor'), 'Register it with a licence key.')


def requests(settings: Settings) -> Tuple[str, ...]:
    """What is asked for a token, as a dry run tells it."""
    places = (('PUT', _TOKEN), ('GET', _DOCUMENT), ('GET', _SIGNATURE))
    asked = tuple('{} {}{}'.format(method, settings.aws_metadata_url, path) for method, path in places)
    return asked + ('POST ' + settings.aws_register_url,)


def identify(settings: Settings) -> Dialogue:
    """Ask the metadata service who this instance is. Returns an InstanceIdentity; raises ServiceError."""
    token = yield from _asked(settings, 'PUT', _TOKEN, {'X-aws-ec2-metadata-token-ttl-seconds': '60'})
    if not re.match('[!-~]{1,1024}\\Z', token, re.A):
        raise _nonsense('a token that cannot be one')
    headers = {'X-aws-ec2-metadata-token': token}
    document = yield from _asked(settings, 'GET', _DOCUMENT, headers)
    if not _names_an_instance(document):
        raise _nonsense('a document that names no instance')
    signature = yield from _asked(settings, 'GET', _SIGNATURE, headers)
    if not _is_base64(signature):
        raise _nonsense('a signature that cannot be one')
    return InstanceIdentity(document, signature)


def _asked(settings: Settings, method: str, path: str, headers: Dict[str, str]) -> Dialogue:
    """The text that the metadata service answers, in UTF-8."""
    try:
        response = yield Request(method, settings.aws_metadata_url + path, 'identify this instance', limit=_LIMIT,
                                 headers=headers, link_local=True)
    except ServiceError as error:
        error.message, error.remedy = 'The metadata service of this instance cannot be asked: ' + error.message, _REMEDY
        raise
    if response.status != 200:
        raise ServiceError('The metadata service of this instance answered {} {} with HTTP {}.'.format(
            method, path, response.status), _REMEDY, response.status)
    try:
        return response.body.decode('utf-8')
    except ValueError:
        raise _nonsense('bytes that are no text')


def _nonsense(what: str) -> ServiceError:
    return ServiceError('The metadata service of this instance answered with {}.'.format(what),
                        'Look at aws_metadata_url in the configuration, or register with a licence key.')


def _names_an_instance(text: str) -> bool:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return False
    name = document.get('instanceId') if isinstance(document, dict) else None
    return isinstance(name, str) and _INSTANCE_ID.match(name) is not None


def _is_base64(text: str) -> bool:
    """Whether this is base64, in lines of any length."""
    try:
        return bool(base64.b64decode(b''.join(text.encode('ascii').split()), validate=True))
    except ValueError:
        return False
