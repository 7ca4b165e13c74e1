# SPDX-License-Identifier: Apache-2.0
"""The dialogue with the vendor's service, without I/O: a generator yields requests and is sent the responses.

    register -> token -> what does the token open? -> signing key -> Enrolment

Every field of an answer is checked before it can reach a file or another address (DESIGN 4, rule 7). Whatever fails once a
token is there gives its seat back before the error goes on (rule 6). An error of the transport is thrown into the generator.
"""

import json
import re
from typing import Any, Dict, Generator, Iterable, NamedTuple, Optional, Tuple, Union

from tuxcare_lib import messages
from tuxcare_lib.errors import EntitlementError, ServiceError, SigningKeyError, TransportError, TuxcareError
from tuxcare_lib.model import Credential, Family, LicenceKey, Product, Release, RepositoryEntry, Request, Response, Token
from tuxcare_lib.settings import Settings

_REPOMD = 'repodata/repomd.xml'
_REPOMD_LIMIT = 4 * 1024 * 1024
_KEY_LIMIT = 128 * 1024
# Server errors that say that nothing was done: not implemented, not now, a portal wants a login first.
_DID_NOTHING = (501, 503, 511)
# In place of a status: 200, and a page that is no index, for a portal answers so to everything.
_NO_INDEX = -1


class Question(NamedTuple):
    """Asked of a person; the answer sent back is a bool. Where nobody can be asked the caller throws DeclinedError."""

    text: str


class Received(NamedTuple):
    """A token came: it has to be kept, so that its seat can be given back whatever happens. The answer sent back is None."""

    token: Token


Dialogue = Generator[Union[Request, Question, Received], Any, Any]
Seen = Dict[str, int]


class Enquiry(NamedTuple):
    """Who registers, and for what. `asked` is the product that the user named, `hinted` the one of the key's prefix.

    `held` is the token that the host has already: a service that answers with it again has given no new seat.
    """

    settings: Settings
    family: Family
    release: Release
    architecture: str
    host_name: str
    offered: Tuple[Product, ...]
    asked: Optional[str]
    hinted: Optional[str]
    repositories: Tuple[RepositoryEntry, ...]
    trees: Tuple[str, ...]
    held: Optional[Token] = None


class Enrolment(NamedTuple):
    """What came of it: the token, the product it is proved for, and which repositories and trees answered 200."""

    token: Token
    product: str
    repositories: Tuple[str, ...]
    trees: Tuple[str, ...]
    signing_key: bytes


def enrol(enquiry: Enquiry, credential: Credential) -> Dialogue:
    """Register and prove the token. Returns an Enrolment; raises ServiceError and its kin.

    Whatever ends it after a new token came, Ctrl-C and our own faults too, the seat is given back first.
    """
    token = yield from _register(enquiry, credential)
    failure: Optional[TuxcareError] = None
    settled = token == enquiry.held
    try:
        if not settled:
            yield Received(token)
        proved = yield from _prove(enquiry, token)
        settled = True
    except TuxcareError as error:
        failure = error
        raise
    except GeneratorExit:
        settled = True  # nobody is there to send anything
        raise
    finally:
        if not settled:
            returned = yield from give_back(enquiry.settings, token, enquiry.host_name)
            if failure is not None:
                failure.remedy = '{} {}'.format(
                    failure.remedy, messages.SEAT_RETURNED if returned else messages.SEAT_TAKEN).strip()
    return proved


def _prove(enquiry: Enquiry, token: Token) -> Dialogue:
    seen: Seen = {}
    product = yield from _prove_product(enquiry, token, seen)
    trees = yield from _served_trees(enquiry, token, seen)
    repositories = yield from _served_repositories(enquiry, token, product, seen)
    signing_key = yield from _signing_key(enquiry.settings)
    return Enrolment(token, product, repositories, trees, signing_key)


def give_back(settings: Settings, token: Token, host_name: str) -> Dialogue:
    """De-register a token. Returns whether the service took the seat back; never raises for its refusal."""
    try:
        response = yield Request('POST', settings.unregister_url, 'give the seat back',
                                 {'token': token.secret, 'host_name': host_name})
        return _is_confirmed(response)
    except ServiceError:
        return False


def de_register(settings: Settings, token: Token, host_name: str) -> Dialogue:
    """De-register a token; False for one that the service does not know. Raises ServiceError where it confirms neither."""
    response = yield Request('POST', settings.unregister_url, 'give the seat back',
                             {'token': token.secret, 'host_name': host_name})
    if response.status not in (200, 404):
        raise refusal(response, 'the de-registration', secrets=(token.secret,))
    return _is_confirmed(response)


def _is_confirmed(response: Response) -> bool:
    """Whether a de-registration is confirmed. Raises ServiceError for a page of a portal, which is no answer of the service.

    A 404 says that it does not know the token where it is an object; any other is of a server that does not know the address.
    """
    if response.status == 404 or response.status == 200 and response.body.strip():
        _json_object(response, 'unregister_url')
    return response.status == 200


def probe_url(settings: Settings, family: Family, release: Release, architecture: str, token: Token) -> str:
    """The index of the vetted BaseOS of a release."""
    return '{}/{}{}'.format(settings.repo_url, expand(tree_path(family, 'BaseOS'), release, architecture, token), _REPOMD)


def prove_release(url: str) -> Dialogue:
    """Whether the index of another release answers to the token. Returns the HTTP status."""
    response = yield Request('GET', url, 'prove the vetted repositories', limit=_REPOMD_LIMIT)
    return 404 if response.status == 200 and b'<repomd' not in response.body else response.status


def expand(path: str, release: Release, architecture: str, token: Token) -> str:
    """A repository's path with dnf's variables filled in."""
    values = {'tuxcare_releasever': str(release), 'tuxcare_token': token.secret, 'basearch': architecture}
    return re.sub(r'\$(\w+)', lambda match: values[match.group(1)], path)


def tree_path(family: Family, tree: str) -> str:
    """A vetted tree's path below the service's repository URL (FACTS 2)."""
    return '{}/$tuxcare_releasever/$tuxcare_token/{}/$basearch/os/'.format(family.vetted_path, tree)


class _Way(NamedTuple):
    """How a host asks for its token: at which key of the configuration, with which fields; `proof` is what may be refused."""

    setting: str
    url: str
    fields: Dict[str, str]
    proof: str


def _way(settings: Settings, credential: Credential) -> _Way:
    if isinstance(credential, LicenceKey):
        return _Way('register_url', settings.register_url, {'key': credential.secret}, 'licence key')
    return _Way('aws_register_url', settings.aws_register_url,
                {'document': credential.document, 'signature': credential.signature},
                'AWS Marketplace subscription')


def seat_unknown(credential: Credential) -> str:
    """What is said where nobody knows whether the service gave a seat."""
    return messages.SEAT_UNKNOWN if isinstance(credential, LicenceKey) else messages.SEAT_UNKNOWN_AWS


def _register(enquiry: Enquiry, credential: Credential) -> Dialogue:
    way = _way(enquiry.settings, credential)
    try:
        response = yield Request('POST', way.url, 'register this host', dict(way.fields, host_name=enquiry.host_name))
    except TransportError as error:
        raise _perhaps_taken(error, error.maybe_received, credential)
    if response.status != 200:
        acted = response.status < 300 or response.status >= 500 and response.status not in _DID_NOTHING
        raise _perhaps_taken(refusal(response, 'the registration', way.setting, way.proof, way.fields.values()), acted,
                             credential)
    try:
        value = _json_object(response, way.setting).get('token')
    except ServiceError as error:
        raise _perhaps_taken(error, True, credential)
    if not isinstance(value, str) or not Token.PATTERN.match(value):
        raise _perhaps_taken(ServiceError('The service answered the registration with a token that cannot be one.',
                                          'Look at {} in the configuration.'.format(way.setting), response.status),
                             True, credential)
    return Token(value)


def _perhaps_taken(error: ServiceError, perhaps: bool, credential: Credential) -> ServiceError:
    """Say that a seat may be taken where the service may have acted and its answer was lost (rule 6)."""
    if perhaps:
        error.seat_unknown = True
        error.remedy = '{} {}'.format(error.remedy, seat_unknown(credential))
    return error


def refusal(response: Response, what: str, setting: str = 'register_url', proof: str = 'licence key',
            secrets: Iterable[str] = ()) -> ServiceError:
    """An error for an answer that is not 200; the service's own words are cleaned, cut and marked as such.

    `secrets` are what it was sent: many a service says it back, and errors are logged.
    """
    said = _error_word(response, secrets)
    if said == 'invalid-key':
        return ServiceError('The service does not know this {}.'.format(proof), 'Compare it with the one the vendor sent you.',
                            response.status)
    if said == 'key-limit-reached':
        return ServiceError('All seats of this {} are taken.'.format(proof),
                            'Unregister another host, or ask the vendor for more seats.', response.status)
    words = ' (the server said: {})'.format(said) if said else ''
    if response.status < 300:
        return ServiceError('The service answered {} with HTTP {}{}, and not with 200.'.format(what, response.status, words),
                            'A proxy or a login page may stand in between; check {}.'.format(setting), response.status)
    if response.status in (429, 503):
        return ServiceError('The service is busy and put off {}: HTTP {}{}.'.format(what, response.status, words),
                            'Try again in a few minutes.', response.status)
    if response.status >= 500:
        return ServiceError('The service failed at {}: HTTP {}{}.'.format(what, response.status, words),
                            'Try again later.', response.status)
    return ServiceError('The service refused {}: HTTP {}{}.'.format(what, response.status, words),
                        'Check the {} and the addresses in the configuration.'.format(proof), response.status)


def _error_word(response: Response, secrets: Iterable[str]) -> str:
    try:
        word = _json_object(response).get('error', '')
    except ServiceError:
        return ''
    if not isinstance(word, str):
        return ''
    for secret in secrets:
        word = re.sub(re.escape(secret), '(hidden)', word, flags=re.I)
    return re.sub(r'[^ -~]+', ' ', word)[:80].strip()


def _json_object(response: Response, setting: str = 'register_url') -> Dict[str, Any]:
    try:
        document = json.loads(response.body.decode('utf-8'))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ServiceError('The service did not answer with a JSON object.',
                           'A proxy or a login page may stand in between; check {}.'.format(setting), response.status)
    return document


def _probe(enquiry: Enquiry, token: Token, path: str, what: str, seen: Seen) -> Dialogue:
    """The HTTP status of a repository's index, or _NO_INDEX."""
    if path in seen:
        return seen[path]
    url = '{}/{}{}'.format(enquiry.settings.repo_url, expand(path, enquiry.release, enquiry.architecture, token), _REPOMD)
    response = yield Request('GET', url, what, limit=_REPOMD_LIMIT)
    seen[path] = _NO_INDEX if response.status == 200 and b'<repomd' not in response.body else response.status
    return seen[path]


def _answered(status: int) -> str:
    return 'a page that is no index' if status == _NO_INDEX else 'HTTP {}'.format(status)


def _prove_product(enquiry: Enquiry, token: Token, seen: Seen) -> Dialogue:
    """FACTS 1: ESU is 200 on the ESU repository; Essential is 403 there AND 200 on the vetted BaseOS."""
    products = {product.id for product in enquiry.offered}
    base = yield from _probe(enquiry, token, tree_path(enquiry.family, 'BaseOS'), 'prove the vetted BaseOS', seen)
    if base != 200:
        raise ServiceError('The token does not open the vetted BaseOS of {} {}: {}.'.format(
            enquiry.family.title, enquiry.release, _answered(base)), 'Try again in a few minutes, then ask the vendor.', base)
    esu_entry = next(entry for entry in enquiry.repositories if entry.proves == 'esu')
    esu = yield from _probe(enquiry, token, esu_entry.path, 'prove the ESU repository', seen)
    if esu == 200 and ('esu' in products or enquiry.asked == 'essential'):
        return _agreed(enquiry, 'esu')
    if (enquiry.asked or enquiry.hinted) == 'esu':
        raise EntitlementError(
            'Entitlement missing: the token does not open the ESU repository ({}).'.format(_answered(esu)),
            'If this key is for Essential Support, say --product essential; otherwise ask the vendor.', esu)
    if 'essential' not in products:
        raise EntitlementError('Entitlement missing: release {} is available for ESU alone.'.format(enquiry.release),
                               'Ask the vendor for an ESU key.', esu)
    if esu != 403 and enquiry.asked != 'essential':
        sure = yield Question('The ESU repository answered {}, so the product is undecided. Register this host for '
                              'Essential Support (as --product essential does)?'.format(_answered(esu)))
        if not sure:
            raise EntitlementError('The product is undecided and was not confirmed.', 'Try again later.', esu)
    return _agreed(enquiry, 'essential')


def _agreed(enquiry: Enquiry, proved: str) -> str:
    if enquiry.asked == 'essential' and proved == 'esu':
        # What it opens is the proof; a host of that key would be held on its release.
        raise EntitlementError('The key is for ESU, not for Essential Support.', 'Say --product esu.')
    return proved


def _served_trees(enquiry: Enquiry, token: Token, seen: Seen) -> Dialogue:
    served = []
    for tree in enquiry.trees:
        status = yield from _probe(enquiry, token, tree_path(enquiry.family, tree), 'look for the vetted ' + tree, seen)
        if status == 200:
            served.append(tree)
    return tuple(served)


def _served_repositories(enquiry: Enquiry, token: Token, product: str, seen: Seen) -> Dialogue:
    served = []
    for entry in enquiry.repositories:
        if product in entry.products:
            status = yield from _probe(enquiry, token, entry.path, 'look for ' + entry.id, seen)
            if status == 200:
                served.append(entry.id)
    return tuple(served)


def _signing_key(settings: Settings) -> Dialogue:
    response = yield Request('GET', settings.gpg_key_url, 'fetch the signing key', limit=_KEY_LIMIT)
    if response.status != 200:
        raise SigningKeyError('The signing key could not be fetched: HTTP {} from {}.'.format(
            response.status, settings.gpg_key_url),
            'Try again later.' if response.status >= 500 else 'Check gpg_key_url in the configuration.')
    return response.body
