# SPDX-License-Identifier: Apache-2.0
"""The one module on the network: a request in, a response out, everything else an error with one line.

The environment and files of the user do not steer it (proxies, .netrc, certificate bundles come from the configuration alone).
"""

import base64
import contextlib
import os
import random
import re
import threading
import time
import traceback
from email.utils import parsedate_to_datetime
from typing import Callable, Dict, NamedTuple, Optional, Tuple, Type, Union
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import requests

from tuxcare_lib import __version__
from tuxcare_lib.errors import ServiceError, TransportError
from tuxcare_lib.model import Request, Response

_BENEATH: Type[Exception] = requests.packages.urllib3.exceptions.HTTPError  # type: ignore[attr-defined]
# What is read at once of what may be packed, a thousandfold; older urllib3 unpack all of it.
_CHUNK = 8192
# Bytes beside the body: chunks have sizes, and a trailer.
_FRAMES = 1 << 20
_MOST_REDIRECTS = 3
# Neither key nor token is shorter, in characters.
_SECRET = 8
_AGAIN = (429, 502, 503, 504)
# "Not now": the service says that it did nothing, so that even a registration may be sent again.
_PUT_OFF = (429, 503)
_LONGEST_WAIT = 120
# Seconds within which a request that was put off is sent again; the last window goes for all further ones. They grow fast, so
# that a fleet fits into one of them; they do not overlap, so that who was put off again comes when that crowd is through.
_WINDOWS = ((0, 5), (5, 20), (20, 80))
_PATIENCE = 2


class Network(NamedTuple):
    """How the network is reached. Times in seconds; `timeout` limits a silence, `exchange` a whole request with its answer.

    Without `verify` any certificate is accepted where there is no `ca_file`.
    """

    ca_file: str = ''
    verify: bool = True
    proxy: str = ''
    timeout: int = 30
    retries: int = 3
    exchange: int = 300


_LINK_LOCAL = Network(timeout=1, retries=0, exchange=2)


class _Session(requests.Session):
    """Looks for no redirect by itself: else it would read the whole body of one, whatever its size, to know where it leads."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: `Transport` decides."""


class _Adapter(requests.adapters.HTTPAdapter):
    """requests sends a proxy's password in Latin-1, and fails at other letters; here it is what the address says, as of curl."""

    def proxy_headers(self, proxy: str) -> Dict[str, str]:
        """The user and password of an address."""
        words = unquote_to_bytes(urlsplit(proxy).netloc.rpartition('@')[0])
        if not words:
            return {}
        return {'Proxy-Authorization': 'Basic ' + base64.b64encode(words if b':' in words else words + b':').decode('ascii')}


class Transport:
    """Sends requests. `sleep` and `jitter` are arguments so that time and chance can be the test's; `say` is told of waiting."""

    def __init__(self, network: Network, sleep: Callable[[float], None] = time.sleep,
                 say: Callable[[str], None] = lambda line: None,
                 jitter: Callable[[float, float], float] = random.uniform) -> None:
        self._network = network
        self._sleep = sleep
        self._say = say
        self._jitter = jitter
        self._session = _Session()
        for scheme in list(self._session.adapters):
            self._session.mount(scheme, _Adapter())
        self._session.trust_env = False  # no proxy, no password, no certificates from the environment
        os.environ.pop('SSLKEYLOGFILE', None)  # urllib3 would write down there what our sessions are encrypted with
        if not network.verify:  # who chose that was told by the caller; once for each request is noise
            requests.packages.urllib3.disable_warnings()  # type: ignore[attr-defined]
        self._session.headers['Accept-Encoding'] = 'gzip, deflate'
        self._session.headers['User-Agent'] = 'dnf-plugin-tuxcare/' + __version__

    def send(self, request: Request) -> Response:
        """The answer, its body limited to `request.limit` bytes. Raises TransportError or ServiceError.

        A GET is sent again after a lost connection or a server's error, but not where a certificate stands in the way; a POST
        only where it cannot have been received, or was put off. A Retry-After is obeyed up to two minutes; where the server asks
        for more, that is told. For what is link-local nothing of the network's settings counts.
        """
        if request.link_local and self._network != _LINK_LOCAL:
            return Transport(_LINK_LOCAL, self._sleep, self._say).send(request)
        for attempt in range(self._network.retries + 1):
            last = attempt == self._network.retries
            pause = self._jitter(0, min(8.0, 0.5 * 2 ** attempt))  # full jitter: a fleet must not come back as one
            try:
                answer = self._once(request)
            except _NotSent as error:
                if last:
                    raise error.reason
            except TransportError as error:
                if last or request.method != 'GET' or not error.maybe_received or isinstance(error, _Unfit):
                    raise
            else:
                if last or answer.status not in (_AGAIN if request.method == 'GET' else _PUT_OFF):
                    return Response(answer.status, answer.body)
                if answer.status in _PUT_OFF or answer.retry_after:
                    pause = self._put_off(answer, request, attempt)
            self._sleep(pause)
        raise AssertionError('unreachable')

    def _put_off(self, answer: '_Answer', request: Request, attempt: int) -> float:
        """The seconds until it is sent again: those of a Retry-After, which a whole fleet may have got, and some of the window.

        Raises ServiceError where the server asks for more than anybody waits at a terminal.
        """
        asked = _seconds(answer.retry_after, answer.date)
        if asked > _LONGEST_WAIT:
            raise ServiceError('{} is busy and asks to come back in {} s: HTTP {}.'.format(
                _host(request.url), asked, answer.status), 'Try again then.', answer.status)
        pause = asked + self._jitter(*_WINDOWS[min(attempt, len(_WINDOWS) - 1)])
        if pause > _PATIENCE:
            self._say('{} is busy: HTTP {}. Trying again in {:.0f} s ({} of {}).'.format(
                _host(request.url), answer.status, pause, attempt + 1, self._network.retries))
        return pause

    def _once(self, request: Request) -> '_Answer':
        url = request.url
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._within(request, url)
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            url = _redirect(request, url, answer.location)
        raise ServiceError('{} redirects in a circle.'.format(_host(request.url)), 'Check the address in the configuration.')

    def _within(self, request: Request, url: str) -> '_Answer':
        """One exchange, ended by the clock whatever it hangs in: names, a handshake, an answer that drips.

        It runs in a thread, since no timeout of a socket limits the whole of it; one that does not end is left behind, and goes
        with the process.
        """
        outcome = _Outcome(lambda: self._exchange(request, url))
        thread = threading.Thread(target=outcome.settle, daemon=True)
        thread.start()
        thread.join(_PATIENCE)
        if thread.is_alive():
            self._say('Waiting for {} to {}.'.format(_host(url), request.purpose))
            thread.join(max(0, self._network.exchange - _PATIENCE))
        if outcome.error is not None:
            raise outcome.error
        if outcome.answer is None:
            raise _Unfit('{} took longer than {} s to {}.'.format(
                _host(url), self._network.exchange, request.purpose), 'Try again later.')
        return outcome.answer

    def _exchange(self, request: Request, url: str) -> '_Answer':
        proxies = {'http': self._network.proxy, 'https': self._network.proxy} if self._network.proxy else {}
        verify: Union[str, bool] = self._network.ca_file or self._network.verify
        failure: Optional[TransportError] = None
        if self._network.ca_file and not (os.path.isfile(self._network.ca_file) or os.path.isdir(self._network.ca_file)):
            raise _unreadable(self._network.ca_file)  # of a pipe it would be read for ever
        try:
            with self._session.request(
                    request.method, url, json=request.json, headers=request.headers, allow_redirects=False, stream=True,
                    timeout=(self._network.timeout, self._network.timeout), verify=verify, proxies=proxies) as response:
                return _Answer(response.status_code, _body(response, request), response.headers.get('Location', ''),
                               response.headers.get('Retry-After', ''), response.headers.get('Date', ''))
        # ValueError: headers that are none; and of urllib3's own requests hands on what it does not know.
        except (requests.exceptions.RequestException, _BENEATH, OSError, ValueError) as error:
            failure = _translated(error, url, self._network.ca_file)
            if failure.maybe_received and _in_handshake(error):
                failure = _NotSent(failure)
        # Out here, so that it carries no exception of the library's: a log with tracebacks would show the URL, token and all.
        assert failure is not None
        raise failure


def _body(response: requests.Response, request: Request) -> bytes:
    # What is packed twice, or by something denser than gzip, is unfolded at once, whatever the limit is.
    if response.headers.get('Content-Encoding', '').strip().lower() not in ('', 'identity', 'gzip', 'x-gzip', 'deflate'):
        raise _Unfit('{} packed its answer in a way that nobody asked for.'.format(_host(request.url)),
                     'Check the address in the configuration.')
    _measure(response, request)
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > request.limit:
            raise _too_much(request)
    promised = response.headers.get('Content-Length', '')
    if promised.isdigit() and response.raw.tell() < int(promised):  # requests takes what came for the whole
        raise _broken_off(request.url)
    return bytes(body)


def _measure(response: requests.Response, request: Request) -> None:
    """Limit what is read of the connection: a chunk of the size -1, or a line without end, is in memory before any is counted."""
    connection = getattr(getattr(response.raw._fp, 'fp', None), 'raw', None)
    if connection is None:  # nothing is left to be read
        return
    read, left = connection.readinto, [request.limit + _FRAMES]

    def readinto(buffer: bytearray) -> Optional[int]:
        size: Optional[int] = read(buffer)
        left[0] -= size or 0
        if left[0] < 0:
            raise _too_much(request)
        return size

    connection.readinto = readinto


def _too_much(request: Request) -> '_Unfit':
    return _Unfit('{} sent more than {} bytes when asked to {}.'.format(_host(request.url), request.limit, request.purpose),
                  'Check the address in the configuration.')


def _broken_off(url: str) -> TransportError:
    return TransportError('The connection to {} broke off.'.format(_host(url)), 'Try again later.')


def _seconds(retry_after: str, date: str) -> int:
    """A Retry-After (RFC 9110, 10.2.3) in seconds from now; 0 for none, or one that cannot be read.

    A date counts from the one of the answer, where it has one: this host's clock may be wrong.
    """
    if re.match(r'[0-9]{1,9}\Z', retry_after, re.A):
        return int(retry_after)
    moment, now = _moment(retry_after), _moment(date)
    return 0 if moment is None else max(0, int(moment - (time.time() if now is None else now)))


def _moment(date: str) -> Optional[float]:
    with contextlib.suppress(ValueError, TypeError, IndexError, OverflowError):
        return parsedate_to_datetime(date).timestamp()
    return None


class _Answer(NamedTuple):
    status: int
    body: bytes
    location: str
    retry_after: str
    date: str


class _Outcome:
    """What an exchange came to in its thread; an exception is kept for who waits."""

    def __init__(self, exchange: Callable[[], _Answer]) -> None:
        self._exchange = exchange
        self.answer: Optional[_Answer] = None
        self.error: Optional[BaseException] = None

    def settle(self) -> None:
        """Run it. Raises nothing."""
        with self:
            self.answer = self._exchange()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: Optional[BaseException], trace: object) -> bool:
        self.error = error
        return True


class _NotSent(TransportError):
    """The request cannot have reached the server."""

    def __init__(self, reason: TransportError) -> None:
        super().__init__(reason.message, reason.remedy)
        self.reason = reason
        reason.maybe_received = False


class _Unfit(TransportError):
    """An answer that came and was refused for what it is: it is not fetched again."""


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _redirect(request: Request, url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
        old, new = urlsplit(url), urlsplit(target)
    except ValueError:
        raise ServiceError('{} redirects to what is no address.'.format(_host(url)), 'Check the address in the configuration.')
    if request.method != 'GET' or (old.scheme, old.netloc) != (new.scheme, new.netloc):
        sent = [word.lower() for word in list((request.json or {}).values()) + old.path.split('/') if len(word) >= _SECRET]
        place = re.sub('[^!-~]', '?', '{}://{}'.format(new.scheme, new.netloc))
        # The key, or the token, can come back as a host's name.
        place = 'what it was sent' if any(word in place.lower() for word in sent) else place[:80]
        raise ServiceError('{} redirects to {}, which is refused.'.format(old.netloc, place),
                           'If that is the right address, put it into the configuration.')
    return target


def _translated(error: Exception, url: str, ca_file: str) -> TransportError:
    """One line for what went wrong; the library's own words would show the whole URL, which may hold the token."""
    host = _host(url)
    text = repr(error).replace('\\', '')  # an apostrophe in it is escaped, once for each exception around it
    if isinstance(error, requests.exceptions.SSLError):
        return _tls_failure(text, host, ca_file, _in_handshake(error))
    # Some urllib3 call every broken connection behind a proxy a ProxyError, also one that the request had gone through.
    if isinstance(error, requests.exceptions.ProxyError) and any(words in text for words in _NO_PROXY):
        does = 'wants a user name and password' if 'failed: 407' in text else 'refuses or does not answer'
        return _NotSent(TransportError('The proxy for {} {}.'.format(host, does),
                                       'Check proxy in the configuration, or dnf.conf.'))
    if isinstance(error, requests.exceptions.InvalidSchema):
        return _unsent('The proxy for {} needs the Python module socks.'.format(host),
                       'Install python3-pysocks, or change proxy in the configuration, or dnf.conf.')
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return _NotSent(TransportError('{} does not answer.'.format(host), 'Check the network and the firewall.'))
    if isinstance(error, requests.exceptions.Timeout) or 'Read timed out' in text:  # the latter within a body
        return TransportError('{} did not answer in time.'.format(host), 'Try again later.')
    for words, message, remedy in _CAUSES if _is_unconnected(error) else ():
        if words in text:
            return _NotSent(TransportError(message.format(host), remedy))
    if isinstance(error, OSError) and not isinstance(error, requests.exceptions.RequestException):
        return _unreadable(ca_file)
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return TransportError('{} sent an answer that cannot be unpacked.'.format(host), 'Try again later.')
    return _broken_off(url)


def _is_unconnected(error: Exception) -> bool:
    """Whether no connection came about, by the kind of the error: its words may be the server's own."""
    reason = getattr(error.args[0] if error.args else None, 'reason', None)
    return type(reason).__name__ in ('NewConnectionError', 'NameResolutionError', 'ConnectTimeoutError')


def _in_handshake(error: Optional[BaseException]) -> bool:
    """Whether TLS ended before anything was sent, by where that was found: the words are the same later."""
    found = False
    while error is not None and not found:
        found = any(frame.f_code.co_name == 'do_handshake' for frame, _ in traceback.walk_tb(error.__traceback__))
        error = error.__context__
    return found


def _tls_failure(text: str, host: str, ca_file: str, in_handshake: bool) -> TransportError:
    """A certificate is looked at before anything is sent; what else ends TLS may come later."""
    for words, cause, remedy in _CERTIFICATE_CAUSES:
        if words in text:
            return _unsent('The certificate of {} is not accepted: {}.'.format(host, cause), remedy)
    if _NO_CERTIFICATES.search(text):
        return _unreadable(ca_file)
    if 'wrong version number' in text and in_handshake:
        return _unsent('{} does not speak TLS.'.format(host), 'Check the address in the configuration, and its port.')
    return TransportError('TLS with {} failed.'.format(host), 'Try again later; a firewall or proxy may stand in between.')


def _unreadable(ca_file: str) -> TransportError:
    return _unsent('The certificates in {} cannot be read.'.format(ca_file or 'the system store'),
                   'Check ca_file in the configuration, or sslcacert in dnf.conf.')


def _unsent(message: str, remedy: str) -> TransportError:
    """Nothing was sent, and the next attempt would end the same way."""
    failure = TransportError(message, remedy)
    failure.maybe_received = False
    return failure


_NO_CERTIFICATES = re.compile('no certificate or crl found|PEM lib')
_NO_PROXY = ('NewConnectionError', 'Tunnel connection failed', 'ConnectTimeout', 'NameResolutionError')
_CAUSES = (
    ('Name or service not known', 'The name of {} is not known.', 'Check the address and the DNS of this host.'),
    ('name resolution', 'The name of {} cannot be looked up.', 'Check the DNS of this host.'),
    ('Connection refused', '{} refuses the connection.', 'Check the address in the configuration.'),
    ('unreachable', '{} is unreachable.', 'Check the network of this host.'),
    ('NewConnectionError', 'No connection to {} can be made.', 'Check the network of this host.'),
)

_OTHER_NAME = ('it is for another name', 'Check the address in the configuration.')
_UNKNOWN_ISSUER = ('its issuer is unknown', 'For a private authority set ca_file in the configuration.')
_CERTIFICATE_CAUSES: Tuple[Tuple[str, str, str], ...] = (
    ('has expired', 'it has expired', 'Check the clock of this host; if it is right, who runs that server has to renew it.'),
    ('not yet valid', 'it is not valid yet', 'Check the clock of this host.'),
    ("doesn't match", *_OTHER_NAME), ('Hostname mismatch', *_OTHER_NAME),
    ('unable to get local issuer', *_UNKNOWN_ISSUER), ('self signed', *_UNKNOWN_ISSUER), ('self-signed', *_UNKNOWN_ISSUER),
)
