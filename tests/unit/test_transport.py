# SPDX-License-Identifier: Apache-2.0
"""Time and repetition on the network, against a real server on this machine: what ends, what is sent again, and when."""

import base64
import contextlib
import http.server
import random
import socket
import struct
import threading
import time
import traceback
from email.utils import formatdate
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest

from tests.sandbox.authority import Authority
from tuxcare_lib import transport
from tuxcare_lib.errors import ServiceError, TransportError
from tuxcare_lib.model import Request, Response
from tuxcare_lib.transport import Network, Transport

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def serving(*answers: Answer) -> Iterator[Tuple[str, List[str]]]:
    """The address of a server that gives these answers in turn, the last one for ever; and the methods it was asked with."""
    asked: List[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append(self.command)
            self.rfile.read(int(self.headers.get('Content-Length', 0)))
            with contextlib.suppress(OSError):
                answers[min(len(asked), len(answers)) - 1](self)

        def __getattr__(self, name: str) -> Any:  # do_GET, do_POST
            return self.answer if name.startswith('do_') else super().__getattribute__(name)

        def log_message(self, *unused: Any) -> None:
            pass

    server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield 'http://127.0.0.1:{}/x'.format(server.server_address[1]), asked
    finally:
        threading.Thread(target=server.shutdown, daemon=True).start()


def status(code: int, **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace('_', '-'), value)
        handler.send_header('Content-Length', '2')
        handler.end_headers()
        handler.wfile.write(b'{}')
    return answer


def dripping(head: bool) -> Answer:
    """Bytes without end, each in time: of the header, or of the body."""
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        if not head:
            handler.send_response(200)
            handler.end_headers()
        handler.wfile.write(b'HTTP/1.1 200 OK\r\nX-Slow: ' if head else b'')
        for _ in range(200):
            handler.wfile.write(b'x')
            handler.wfile.flush()
            time.sleep(0.05)
    return answer


def send(url: str, method: str = 'GET', retries: int = 3, chance: Optional[float] = None,
         **more: Any) -> Tuple[Response, Dict[str, List[Any]]]:
    """`chance` is where in its window each pause lies, 0 to 1; None leaves it to chance."""
    seen: Dict[str, List[Any]] = {'slept': [], 'said': []}
    jitter = random.uniform if chance is None else lambda least, most: least + chance * (most - least)
    sender = Transport(Network(retries=retries, timeout=5, **more), sleep=seen['slept'].append, say=seen['said'].append,
                       jitter=jitter)
    return sender.send(Request(method, url, 'try', {} if method == 'POST' else None)), seen


@pytest.mark.parametrize('head', [False, True], ids=['body', 'header'])
def test_an_answer_that_drips_ends(head: bool) -> None:
    with serving(dripping(head)) as (url, asked):
        began = time.monotonic()
        with pytest.raises(TransportError, match='took longer than 1 s to try') as caught:
            send(url, method='POST' if head else 'GET', exchange=1)
        assert time.monotonic() - began < 4 and asked == ['POST' if head else 'GET'] and caught.value.maybe_received


@pytest.mark.parametrize('method, asked', [('GET', 2), ('POST', 1)])
def test_half_an_answer_is_none(method: str, asked: int) -> None:
    """What came of a body is not taken for the whole: a GET asks again, a POST may have been taken."""
    def half(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header('Content-Length', '4')
        handler.end_headers()
        handler.wfile.write(b'{}')

    with serving(half) as (url, methods):
        with pytest.raises(TransportError, match='broke off') as caught:
            send(url, method, retries=1)
    assert methods == [method] * asked and caught.value.maybe_received


def test_what_is_link_local_is_asked_once_without_a_proxy_and_with_its_headers() -> None:
    seen: List[str] = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers.get('X-Asked', ''))
        status(503, Retry_After='1')(handler)

    with serving(answer) as (url, asked):
        sender = Transport(Network(proxy='http://127.0.0.1:9', timeout=5), sleep=lambda seconds: None)
        for method in ('PUT', 'GET'):
            assert sender.send(Request(method, url, 'try', headers={'X-Asked': method}, link_local=True)).status == 503
    assert asked == seen == ['PUT', 'GET']


def test_what_is_link_local_gets_a_second() -> None:
    with serving(dripping(head=True)) as (url, asked):
        began = time.monotonic()
        with pytest.raises(TransportError):
            Transport(Network(timeout=5)).send(Request('GET', url, 'try', link_local=True))
        assert time.monotonic() - began < 4 and asked == ['GET']


@pytest.mark.parametrize('method, code, again', [
    ('GET', 429, True), ('GET', 502, True), ('GET', 503, True), ('GET', 504, True), ('GET', 500, False), ('GET', 403, False),
    ('POST', 429, True), ('POST', 503, True), ('POST', 500, False), ('POST', 502, False), ('POST', 504, False),
    ('POST', 400, False),
])
def test_what_is_sent_again(method: str, code: int, again: bool) -> None:
    with serving(status(code), status(200)) as (url, asked):
        response, seen = send(url, method)
    assert response.status == (200 if again else code)
    assert asked == [method] * (2 if again else 1) and len(seen['slept']) == len(asked) - 1


def test_it_gives_up() -> None:
    with serving(status(503)) as (url, asked):
        response, seen = send(url, retries=2)
    assert response.status == 503 and len(asked) == 3 and len(seen['slept']) == 2


@pytest.mark.parametrize('value, least', [
    ('7', 7), ('0', 0), ('', 0), ('soon', 0), ('-5', 0), ('Wed, 21 Oct 2015 07:28:00 GMT', 0), ('99999999999999999999', 0),
])
@pytest.mark.parametrize('chance', [0.0, 0.5, 1.0])
def test_retry_after_is_obeyed(value: str, least: float, chance: float) -> None:
    """Never earlier; and within five seconds, not all at once."""
    with serving(status(429, Retry_After=value), status(200)) as (url, _):
        response, seen = send(url, 'POST', chance=chance)
    assert response.status == 200 and seen['slept'] == [least + 5 * chance]
    host = url.split('/')[2]
    told = '{} is busy: HTTP 429. Trying again in {:.0f} s (1 of 3).'.format(host, least + 5 * chance)
    assert seen['said'] == ([told] if least + 5 * chance > 2 else [])


@pytest.mark.parametrize('method, code, headers, windows', [
    ('POST', 429, {}, [(0, 5), (5, 20), (20, 80), (20, 80)]),
    ('GET', 503, {}, [(0, 5), (5, 20), (20, 80), (20, 80)]),
    ('GET', 502, {'Retry_After': '0'}, [(0, 5), (5, 20), (20, 80), (20, 80)]),
    ('GET', 502, {}, [(0, 0.5), (0, 1), (0, 2), (0, 4)]),
])
def test_who_is_put_off_waits_longer_than_who_met_a_failure(
        method: str, code: int, headers: Dict[str, str], windows: List[Tuple[float, float]]) -> None:
    for end, chance in enumerate((0.0, 1.0)):
        with serving(status(code, **headers)) as (url, _):
            response, seen = send(url, method, retries=4, chance=chance)
        assert response.status == code and seen['slept'] == [window[end] for window in windows]


def test_chance_is_not_always_the_same() -> None:
    with serving(status(429)) as (url, _):
        waits = [send(url, 'POST', retries=2)[1]['slept'] for _ in range(2)]
    assert waits[0] != waits[1]


def test_retry_after_as_a_date() -> None:
    with serving(status(503, Retry_After=formatdate(time.time() + 60, usegmt=True)), status(200)) as (url, _):
        _, seen = send(url)
    assert 57 <= seen['slept'][0] <= 65


@pytest.mark.parametrize('years', [-30, -1, 1, 10])
@pytest.mark.parametrize('date', [True, False], ids=['with-date', 'without'])
def test_a_clock_that_is_wrong_by_years_makes_nobody_wait(years: int, date: bool) -> None:
    """A Retry-After as a date counts from the date of the answer; where that has none a wait is bounded all the same."""
    servers_time = time.time() - years * 365 * 86400

    def busy(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.date_time_string = lambda *_: formatdate(servers_time, usegmt=True) if date else ''  # type: ignore[assignment]
        status(503, Retry_After=formatdate(servers_time + 60, usegmt=True))(handler)

    with serving(busy, status(200)) as (url, asked):
        if years < 0 and not date:
            with pytest.raises(ServiceError, match='asks to come back'):
                send(url)
            assert asked == ['GET']
        else:
            assert send(url, chance=1.0)[1]['slept'] == [65 if date else 5]


def test_nobody_waits_for_an_hour() -> None:
    with serving(status(429, Retry_After='3600')) as (url, asked):
        with pytest.raises(ServiceError, match='asks to come back in 3600 s') as caught:
            send(url)
    assert asked == ['GET'] and caught.value.http_status == 429


def test_a_slow_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, '_PATIENCE', 0.1)

    def slow(handler: http.server.BaseHTTPRequestHandler) -> None:
        time.sleep(0.5)
        status(200)(handler)

    with serving(slow) as (url, _):
        response, seen = send(url)
    assert response.status == 200 and seen['said'] == ['Waiting for {} to try.'.format(url.split('/')[2])]


def test_an_error_does_not_carry_the_address() -> None:
    """The token may be in it, and dnf logs an error with every exception behind it. No server is at the address."""
    secret = '{:x}'.format(0xc0ffee)  # in no line of source that a traceback shows
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        with pytest.raises(TransportError) as caught:
            send('http://127.0.0.1:{}/{}'.format(unused.getsockname()[1], secret), retries=0)
    shown = ''.join(traceback.format_exception(type(caught.value), caught.value, caught.value.__traceback__))
    assert 'TransportError' in shown and secret not in shown


def test_what_nobody_foresaw_reaches_who_asked() -> None:
    """An exception in the thread is neither lost nor taken for a slow answer."""
    with serving(status(200)) as (url, _):
        with pytest.raises(TypeError):
            Transport(Network()).send(Request('GET', url, 'try', limit=None))  # type: ignore[arg-type]


# --- what a hostile server sends ------------------------------------------------------------------------------------


def raw(data: bytes, endless: bool = False) -> Answer:
    """Bytes as they are, and, where the body is endless, blanks until the client goes."""
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.wfile.write(data)
        for _ in range(2000 if endless else 0):
            handler.wfile.write(b' ' * 65536)
        handler.close_connection = True
    return answer


@pytest.mark.parametrize('answer, words', [
    (raw(b'HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example.com/\r\n\r\n', endless=True), 'sent more than'),
    (raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n', endless=True), 'sent more than'),
    # urllib3 2.8 breaks off by itself
    (raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', endless=True), 'sent more than|broke off'),
    (raw(b'HTTP/1.1 302 Found\r\nLocation: https://[::1\r\nContent-Length: 0\r\n\r\n'), 'no address'),
    (raw(b'HTTP/1.1 302 Found\r\nLocation: //a\x1bc\x80.example.com\r\nContent-Length: 0\r\n\r\n'), '//a?c?.example'),
    (raw(b'HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n{}'), 'broke off'),
    (raw(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}'), 'broke off'),
    (raw(b'HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: 2\r\n\r\n{}'), 'packed'),
    (raw(b'HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}'), 'packed'),
    (raw(b'upstream unreachable: Connection refused\r\n\r\n'), 'broke off'),
], ids=['a redirect without end', 'a chunk without end', 'a line without end', 'no address', 'an escape', 'no length',
        'two lengths', 'packed twice', 'packed too well', 'words of another error'])
def test_an_answer_that_means_harm(answer: Answer, words: str) -> None:
    """Told as what it is, soon, and a registration is not sent again: the server has had it."""
    with serving(answer) as (url, asked):
        began = time.monotonic()
        with pytest.raises(ServiceError) as caught:
            Transport(Network(timeout=5), lambda seconds: None).send(Request('POST', url, 'register', {'key': 'x'}))
        assert any(word in str(caught.value) for word in words.split('|')) and asked == ['POST'] and time.monotonic() - began < 4
        assert getattr(caught.value, 'maybe_received', True)


def test_a_redirect_to_a_host_by_the_name_of_the_key() -> None:
    key = 'ESU-0123456789'
    for method, json, path in (('POST', {'key': key}, ''), ('GET', None, '/' + key + '/x')):
        location = 'https://{}.example.com/'.format(key.lower()).encode('ascii')
        with serving(raw(b'HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ' + location + b'\r\n\r\n')) as (url, _):
            with pytest.raises(ServiceError, match='redirects to what it was sent') as caught:
                Transport(Network()).send(Request(method, url + path, 'try', json))
            assert key not in str(caught.value).upper()


# --- TLS ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def breaking(folder: Path) -> Iterator[Tuple[str, str]]:
    """A TLS server that reads a request and answers it outside of TLS; its address, and the certificate to trust."""
    authority = Authority(folder)
    context = authority.issue('server', ['localhost']).context()
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        listener.listen(1)

        def serve() -> None:
            plain = listener.accept()[0]
            with contextlib.suppress(OSError), plain.dup() as below, context.wrap_socket(plain, server_side=True) as connection:
                while b'"x"' not in connection.recv(65536):
                    pass
                below.sendall(b'HTTP/1.1 502 Bad Gateway\r\n\r\n')
                connection.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        yield 'https://localhost:{}/x'.format(listener.getsockname()[1]), str(authority.certificate_file)


def test_tls_that_breaks_once_the_request_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the same error as of a server that speaks no TLS; and no file gets the secrets of the session."""
    monkeypatch.setenv('SSLKEYLOGFILE', str(tmp_path / 'secrets'))
    with breaking(tmp_path / 'tls') as (url, certificate), pytest.raises(TransportError) as caught:
        Transport(Network(ca_file=certificate)).send(Request('POST', url, 'register', {'key': 'x'}))
    assert 'TLS with' in str(caught.value) and caught.value.maybe_received
    assert not (tmp_path / 'secrets').exists()


@contextlib.contextmanager
def handshakes(folder: Path, harm: Callable[[socket.socket], None]) -> Iterator[Tuple[str, str, List[str]]]:
    """A TLS server that does harm to its first client's handshake and takes the next one's request; which it notes."""
    authority = Authority(folder)
    context = authority.issue('server', ['localhost']).context()
    seen: List[str] = []
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        listener.listen(2)

        def serve() -> None:
            with listener.accept()[0] as first:
                seen.append('handshake')
                first.recv(65536)
                harm(first)
            with contextlib.suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True) as second:
                while b'"x"' not in second.recv(65536):
                    pass
                seen.append('request')
                second.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}')

        threading.Thread(target=serve, daemon=True).start()
        yield 'https://localhost:{}/x'.format(listener.getsockname()[1]), str(authority.certificate_file), seen


@pytest.mark.parametrize('harm', [
    lambda client: client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)),
    lambda client: None, lambda client: client.sendall(b'\x15\x03\x03\x00\x02\x02\x46'), lambda client: time.sleep(1.5),
], ids=['reset', 'end', 'alert', 'silence'])
def test_what_ends_before_tls_began_was_not_sent(tmp_path: Path, harm: Callable[[socket.socket], None]) -> None:
    """So that it is sent again, and no seat is feared for."""
    with handshakes(tmp_path, harm) as (url, certificate, seen):
        network = Network(ca_file=certificate, timeout=1, retries=0)
        with pytest.raises(TransportError) as caught:
            Transport(network).send(Request('POST', url, 'register', {'key': 'x'}))
        assert not caught.value.maybe_received and seen == ['handshake']
    with handshakes(tmp_path, harm) as (url, certificate, seen):
        answer = Transport(network._replace(ca_file=certificate, retries=1), lambda seconds: None).send(
            Request('POST', url, 'register', {'key': 'x'}))
        assert answer.status == 200 and seen == ['handshake', 'request']


# --- a proxy --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('words, sent', [
    ('', None), ('user', b'user:'), ('user:', b'user:'), ('a%3Ab:p%40%2F%25', b'a:b:p@/%'), ('%C5%82:%FC', b'\xc5\x82:\xfc'),
])
def test_what_stands_in_the_address_of_a_proxy_is_sent_to_it(words: str, sent: Optional[bytes]) -> None:
    seen: List[Optional[str]] = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers.get('Proxy-Authorization'))
        status(200)(handler)

    with serving(answer) as (url, _):
        proxy = url.replace('//', '//' + words + '@') if words else url
        send('http://elsewhere.example.com/', proxy=proxy)
    assert seen == [None if sent is None else 'Basic ' + base64.b64encode(sent).decode('ascii')]
