# SPDX-License-Identifier: Apache-2.0
"""The one module on the network: a request in, a response out, everything else an error with one line.

The environment and files of the user do not steer it (proxies, .netrc, certificate bundles come from the configuration alone).
"""

import random
import time
from typing import Callable, Dict, NamedTuple, Union
from urllib.parse import urljoin, urlsplit

import requests

from tuxcare_lib import __version__
from tuxcare_lib.errors import ServiceError, TransportError
from tuxcare_lib.model import Request, Response

_CHUNK = 65536
_MOST_REDIRECTS = 3
_AGAIN = (429, 502, 503, 504)


class Network(NamedTuple):
    """How the network is reached. Times in seconds; `exchange` limits a whole request with its answer."""

    ca_file: str = ''
    proxy: str = ''
    timeout: int = 30
    retries: int = 3
    exchange: int = 300


class Transport:
    """Sends requests. `sleep` and `clock` are arguments so that time can be the test's own."""

    def __init__(self, network: Network, sleep: Callable[[float], None] = time.sleep,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._network = network
        self._sleep = sleep
        self._clock = clock
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no password, no certificates from the environment
        self._session.headers['User-Agent'] = 'dnf-plugin-tuxcare/' + __version__

    def send(self, request: Request) -> Response:
        """The answer, its body limited to `request.limit` bytes. Raises TransportError or ServiceError.

        A GET is sent again after a lost connection or a server's "not now"; a POST only where it cannot have been received.
        """
        for attempt in range(self._network.retries + 1):
            last = attempt == self._network.retries
            try:
                response = self._once(request)
            except _NotSent as error:
                if last:
                    raise error.reason
            except TransportError:
                if last or request.method != 'GET':
                    raise
            else:
                if last or response.status not in _AGAIN or (request.method != 'GET' and response.status != 429):
                    return response
            self._sleep(random.uniform(0, min(8.0, 0.5 * 2 ** attempt)))
        raise AssertionError('unreachable')

    def _once(self, request: Request) -> Response:
        url = request.url
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._exchange(request, url)
            if answer.status not in (301, 302, 303, 307, 308):
                return Response(answer.status, answer.body)
            url = _redirect(request, url, answer.location)
        raise ServiceError('{} redirects in a circle.'.format(_host(request.url)), 'Check the address in the configuration.')

    def _exchange(self, request: Request, url: str) -> '_Answer':
        deadline = self._clock() + self._network.exchange
        proxies = {'http': self._network.proxy, 'https': self._network.proxy} if self._network.proxy else {}
        verify: Union[str, bool] = self._network.ca_file or True
        try:
            with self._session.request(
                    request.method, url, json=request.json, timeout=(self._network.timeout, self._network.timeout),
                    allow_redirects=False, stream=True, verify=verify, proxies=proxies) as response:
                body = self._body(response, request, deadline)
                return _Answer(response.status_code, body, response.headers.get('Location', ''))
        except (requests.exceptions.RequestException, OSError) as error:
            raise _translated(error, url, self._network.ca_file)

    def _body(self, response: requests.Response, request: Request, deadline: float) -> bytes:
        body = b''
        for chunk in response.iter_content(_CHUNK):
            body += chunk
            if len(body) > request.limit:
                raise TransportError('{} sent more than {} bytes when asked to {}.'.format(
                    _host(request.url), request.limit, request.purpose), 'Check the address in the configuration.')
            if self._clock() > deadline:
                raise TransportError('{} took longer than {} s to {}.'.format(
                    _host(request.url), self._network.exchange, request.purpose), 'Try again later.')
        return body


class _Answer(NamedTuple):
    status: int
    body: bytes
    location: str


class _NotSent(TransportError):
    """The request cannot have reached the server."""

    def __init__(self, reason: TransportError) -> None:
        super().__init__(reason.message, reason.remedy)
        self.reason = reason
        reason.maybe_received = False


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _redirect(request: Request, url: str, location: str) -> str:
    target = urljoin(url, location)
    old, new = urlsplit(url), urlsplit(target)
    if request.method != 'GET' or (old.scheme, old.netloc) != (new.scheme, new.netloc):
        raise ServiceError('{} redirects to {}://{}, which is refused.'.format(old.netloc, new.scheme, new.netloc),
                           'If that is the right address, put it into the configuration.')
    return target


def _translated(error: Exception, url: str, ca_file: str) -> TransportError:
    """One line for what went wrong; the library's own words would show the whole URL, which may hold the token."""
    host = _host(url)
    text = repr(error)
    if isinstance(error, requests.exceptions.SSLError):
        return TransportError('The certificate of {} is not accepted: {}.'.format(host, _certificate(text)),
                              'For a private authority set ca_file in the configuration.')
    # Some urllib3 call every broken connection behind a proxy a ProxyError, also one that the request had gone through.
    if isinstance(error, requests.exceptions.ProxyError) and any(words in text for words in _NO_PROXY):
        return _NotSent(TransportError('The proxy for {} refuses or does not answer.'.format(host),
                                       'Check proxy in the configuration, or dnf.conf.'))
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return _NotSent(TransportError('{} does not answer.'.format(host), 'Check the network and the firewall.'))
    if isinstance(error, requests.exceptions.Timeout):
        return TransportError('{} did not answer in time.'.format(host), 'Try again later.')
    for words, message, remedy in _CAUSES:
        if words in text:
            return _NotSent(TransportError(message.format(host), remedy))
    if isinstance(error, OSError) and not isinstance(error, requests.exceptions.RequestException) or 'CA cert' in text:
        return TransportError('The certificates in {} cannot be read.'.format(ca_file or 'the system store'),
                              'Check ca_file in the configuration.')
    return TransportError('The connection to {} broke off.'.format(host), 'Try again later.')


_NO_PROXY = ('NewConnectionError', 'Tunnel connection failed', 'ConnectTimeout', 'NameResolutionError')
_CAUSES = (
    ('Name or service not known', 'The name of {} is not known.', 'Check the address and the DNS of this host.'),
    ('name resolution', 'The name of {} cannot be looked up.', 'Check the DNS of this host.'),
    ('Connection refused', '{} refuses the connection.', 'Check the address in the configuration.'),
    ('unreachable', '{} is unreachable.', 'Check the network of this host.'),
    ('NewConnectionError', 'No connection to {} can be made.', 'Check the network of this host.'),
)

_CERTIFICATE_CAUSES: Dict[str, str] = {
    'has expired': 'it has expired', 'not yet valid': 'it is not valid yet (is the clock of this host right?)',
    "doesn't match": 'it is for another name', 'Hostname mismatch': 'it is for another name',
    'unable to get local issuer': 'its issuer is unknown', 'self signed': 'its issuer is unknown',
    'self-signed': 'its issuer is unknown',
}


def _certificate(text: str) -> str:
    return next((cause for words, cause in _CERTIFICATE_CAUSES.items() if words in text), 'the TLS handshake failed')
