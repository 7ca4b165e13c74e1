# SPDX-License-Identifier: Apache-2.0
"""The dialogue with the service, driven by hand: every branch of the proof, every way to give a seat back."""

import json
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import TOKEN, catalogue, release, settings
from tuxcare_lib import enrolment, messages
from tuxcare_lib.enrolment import Dialogue, Enquiry, Enrolment, Question, Received
from tuxcare_lib.errors import DeclinedError, EntitlementError, ServiceError, SigningKeyError, TransportError, TuxcareError
from tuxcare_lib.model import LicenceKey, Request, Response

REPOMD = b'<?xml version="1.0"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo">'
REGISTERED = Response(200, json.dumps({'token': TOKEN}).encode('ascii'))
Answer = Union[Response, TuxcareError, bool]


class Course(NamedTuple):
    """How a dialogue went: what it asked for, and its end."""

    requests: List[Request]
    questions: List[str]
    kept: List[str]
    result: Any
    error: Optional[TuxcareError]

    def seats_given_back(self) -> List[Any]:
        return [request.json for request in self.requests if request.url == settings().unregister_url]


class Service:
    """Answers by what is asked: tree or repository names → status; everything can be replaced."""

    def __init__(self, statuses: Optional[Dict[str, int]] = None, **answers: Answer) -> None:
        self.statuses = dict(
            {'BaseOS': 200, 'esu': 200, 'base': 200, 'fips': 200, 'AppStream': 200, 'CRB': 404}, **statuses or {}
        )
        self.answers = dict(
            {
                'register': REGISTERED,
                'key': Response(200, b'the key'),
                'back': Response(200, b'{}'),
                'question': DeclinedError('no terminal'),
            },
            **answers,
        )  # type: Dict[str, Answer]

    def answer(self, step: Any) -> Answer:
        if isinstance(step, Question):
            return self.answers['question']
        known = {settings().register_url: 'register', settings().unregister_url: 'back', settings().gpg_key_url: 'key'}
        if step.url in known:
            return self.answers[known[step.url]]
        name = next(word for word in reversed(step.url.split('/')) if word in self.statuses)
        return self.answers.get(name) or Response(self.statuses[name], REPOMD if self.statuses[name] == 200 else b'')


def enquiry(**changed: Any) -> Enquiry:
    products = catalogue().products
    return Enquiry(
        settings(),
        catalogue().families['almalinux'],
        release('9.2'),
        'x86_64',
        'web1',
        tuple(products.values()),
        None,
        None,
        catalogue().repositories,
        ('AppStream', 'BaseOS', 'CRB'),
    )._replace(**changed)


def drive(dialogue: Dialogue, service: Service) -> Course:
    """Step by step, as the executor does it."""
    course = Course([], [], [], None, None)
    try:
        step = next(dialogue)
        while True:
            if isinstance(step, Received):
                course.kept.append(step.token.secret)
                step = dialogue.send(None)
                continue
            if isinstance(step, Question):
                course.questions.append(step.text)
            else:
                course.requests.append(step)
            answer = service.answer(step)
            step = dialogue.throw(answer) if isinstance(answer, TuxcareError) else dialogue.send(answer)
    except StopIteration as end:
        return course._replace(result=end.value)
    except TuxcareError as error:
        return course._replace(error=error)


def enrol(service: Service, **changed: Any) -> Course:
    return drive(enrolment.enrol(enquiry(**changed), LicenceKey('ESU-1')), service)


SEAT = {'token': TOKEN, 'host_name': 'web1'}
ESU, BOTH = ('esu',), ('esu', 'essential')

# BaseOS, ESU repository, offered, asked, hinted → product or error (issue 3, FACTS 1).
PROOF = [
    ('esu', 200, 200, BOTH, None, None, 'esu'),
    ('esu-asked', 200, 200, BOTH, 'esu', None, 'esu'),
    ('esu-hinted', 200, 200, BOTH, None, 'esu', 'esu'),
    ('esu-in-spite-of-an-essential-prefix', 200, 200, BOTH, None, 'essential', 'esu'),
    ('essential', 200, 403, BOTH, None, None, 'essential'),
    ('essential-asked', 200, 403, ('essential',), 'essential', None, 'essential'),
    ('essential-asked-with-an-esu-prefix', 200, 403, ('essential',), 'essential', 'esu', 'essential'),
    ('essential-where-there-is-no-esu', 200, 403, ('essential',), None, None, 'essential'),
    ('entitlement-missing-by-prefix', 200, 403, BOTH, None, 'esu', EntitlementError),
    ('entitlement-missing-by-option', 200, 403, ESU, 'esu', None, EntitlementError),
    ('esu-alone-offered', 200, 403, ESU, None, None, EntitlementError),
    ('esu-asked-and-not-there', 200, 404, ESU, 'esu', None, EntitlementError),
    ('esu-asked-and-broken', 200, 500, ESU, 'esu', None, EntitlementError),
    ('essential-asked-for-an-esu-key', 200, 200, BOTH, 'essential', None, EntitlementError),
    ('essential-asked-for-an-esu-key-and-offered-alone', 200, 200, ('essential',), 'essential', None, EntitlementError),
    ('both-403', 403, 403, BOTH, None, None, ServiceError),
    ('both-403-with-an-esu-prefix', 403, 403, BOTH, None, 'esu', ServiceError),
    ('base-403-alone', 403, 200, BOTH, None, None, ServiceError),
    ('base-not-there', 404, 403, BOTH, None, None, ServiceError),
    ('base-broken', 500, 403, BOTH, None, None, ServiceError),
    ('undecided-without-a-terminal', 200, 500, BOTH, None, None, DeclinedError),
    ('undecided-404', 200, 404, BOTH, None, None, DeclinedError),
    ('undecided-404-where-there-is-no-esu', 200, 404, ('essential',), None, None, DeclinedError),
    ('undecided-407', 200, 407, BOTH, None, 'essential', DeclinedError),
]


@pytest.mark.parametrize('base, esu, offered, asked, hinted, expected', [row[1:] for row in PROOF], ids=[row[0] for row in PROOF])
def test_the_proof(
    base: int, esu: int, offered: Tuple[str, ...], asked: Optional[str], hinted: Optional[str], expected: Any
) -> None:
    products = tuple(catalogue().products[name] for name in offered)
    course = enrol(Service({'BaseOS': base, 'esu': esu}), offered=products, asked=asked, hinted=hinted)
    if isinstance(expected, str):
        assert course.error is None
        assert course.result.product == expected
        assert course.seats_given_back() == []
    else:
        assert isinstance(course.error, expected)
        assert course.seats_given_back() == [SEAT]
        assert messages.SEAT_RETURNED in str(course.error)


@pytest.mark.parametrize('answer, product', [(True, 'essential'), (False, None)])
def test_an_undecided_product_is_asked_about(answer: bool, product: Optional[str]) -> None:
    course = enrol(Service({'esu': 502}, question=answer))
    assert len(course.questions) == 1 and '502' in course.questions[0]
    assert (course.result.product if course.result else None) == product
    assert course.seats_given_back() == ([] if product else [SEAT])


def test_the_words_for_a_missing_entitlement() -> None:
    course = enrol(Service({'esu': 403}), hinted='esu')
    assert str(course.error).startswith('Entitlement missing: ') and '403' in str(course.error)


def test_the_whole_way_of_an_esu_key() -> None:
    course = enrol(Service())
    token = 'https://repo.tuxcare.com/{}/9.2/' + TOKEN
    vetted, own = token.format('almalinux'), token.format('tuxcare')
    index = '/repodata/repomd.xml'
    assert [(request.method, request.url) for request in course.requests] == [
        ('POST', settings().register_url),
        ('GET', vetted + '/BaseOS/x86_64/os' + index),
        ('GET', own + '/esu/x86_64' + index),
        ('GET', vetted + '/AppStream/x86_64/os' + index),
        ('GET', vetted + '/CRB/x86_64/os' + index),
        ('GET', 'https://repo.tuxcare.com/tuxcare/9.2/base/x86_64' + index),
        ('GET', own + '/fips/x86_64' + index),
        ('GET', settings().gpg_key_url),
    ]
    assert course.requests[0].json == {'key': 'ESU-1', 'host_name': 'web1'}
    assert all(request.json is None for request in course.requests[1:])
    assert course.result == Enrolment(
        course.result.token, 'esu', ('tuxcare-base', 'tuxcare-esu', 'tuxcare-fips'), ('AppStream', 'BaseOS'), b'the key'
    )
    assert course.result.token.secret == TOKEN


def test_an_essential_host_gets_no_repository_that_would_fail() -> None:
    course = enrol(Service({'esu': 403, 'fips': 403}))
    assert course.result.repositories == tuple(entry.id for entry in catalogue().repositories if 'essential' in entry.products)
    assert not [request for request in course.requests if '/fips/' in request.url]


@pytest.mark.parametrize('gone', ['fips', 'base'])
def test_only_what_answers_is_served(gone: str) -> None:
    assert 'tuxcare-' + gone not in enrol(Service({gone: 404})).result.repositories


def test_a_page_that_is_no_index_is_no_tree() -> None:
    portal = Response(200, b'<html>Please log in</html>')
    assert isinstance(enrol(Service(BaseOS=portal)).error, ServiceError)
    assert enrol(Service(AppStream=portal)).result.trees == ('BaseOS',)
    assert isinstance(enrol(Service(esu=portal)).error, DeclinedError)


# --- seats ----------------------------------------------------------------------------------------------------------

LOST = TransportError('The connection broke off.', 'Try again later.')


@pytest.mark.parametrize(
    'answers, kind',
    [
        ({'BaseOS': LOST}, TransportError),
        ({'esu': LOST}, TransportError),
        ({'AppStream': LOST}, TransportError),
        ({'fips': LOST}, TransportError),
        ({'key': LOST}, TransportError),
        ({'key': Response(404, b'')}, SigningKeyError),
        ({'key': Response(500, b'')}, SigningKeyError),
    ],
    ids=['base', 'esu', 'tree', 'repository', 'key-lost', 'key-gone', 'key-broken'],
)
def test_whatever_fails_after_the_token_gives_the_seat_back(answers: Dict[str, Answer], kind: type) -> None:
    for answer in answers.values():
        if isinstance(answer, TransportError):
            answer.remedy = 'Try again later.'
    course = enrol(Service(**answers))
    assert type(course.error) is kind
    assert course.seats_given_back() == [SEAT]
    assert course.requests[-1].url == settings().unregister_url
    assert str(course.error).endswith(messages.SEAT_RETURNED) and 'Try again' in str(course.error) or kind is SigningKeyError


@pytest.mark.parametrize(
    'back', [LOST, ServiceError('redirected'), Response(500, b''), Response(403, b'')], ids=['lost', 'refused', '500', '403']
)
def test_a_seat_that_could_not_be_given_back_is_told(back: Answer) -> None:
    course = enrol(Service({'BaseOS': 403}, back=back))
    assert type(course.error) is ServiceError and '403' in str(course.error)
    assert messages.SEAT_TAKEN in str(course.error) and messages.SEAT_RETURNED not in str(course.error)
    assert len(course.seats_given_back()) == 1


@pytest.mark.parametrize(
    'register',
    [
        TransportError('cln.example.com did not answer in time.', 'Try again later.'),
        TransportError('The connection to cln.example.com broke off.', 'Try again later.'),
        Response(200, b''),
        Response(200, b'{"tok'),
        Response(200, b'<html>'),
        Response(200, b'{}'),
        Response(200, b'{"token": null}'),
        Response(502, b''),
        Response(504, b''),
    ],
    ids=['time', 'broke-off', 'empty', 'truncated', 'html', 'no-token', 'null', '502', '504'],
)
def test_a_lost_answer_to_the_registration_says_that_a_seat_may_be_taken(register: Answer) -> None:
    """DESIGN 4, rule 6."""
    course = enrol(Service(register=register))
    assert isinstance(course.error, ServiceError)
    assert 'seat may' in str(course.error)
    assert len(course.requests) == 1


@pytest.mark.parametrize(
    'status, body, said',
    [
        (400, b'{"error": "invalid-key"}', 'does not know this licence key'),
        (400, b'{"error": "key-limit-reached"}', 'seats'),
        (400, b'{"error": "odd"}', 'odd'),
        (400, b'{"error": "no esu-1 here, nor ESU-1"}', 'no (hidden) here, nor (hidden)'),
        (403, b'', '403'),
        (404, b'<html>', '404'),
        (429, b'', 'busy'),
        (503, b'', 'busy'),
    ],
)
def test_a_service_that_says_no(status: int, body: bytes, said: str) -> None:
    course = enrol(Service(register=Response(status, body)))
    assert type(course.error) is ServiceError and course.error.http_status == status
    assert said in str(course.error) and course.error.remedy
    assert 'seat may' not in str(course.error) and 'ESU-1' not in str(course.error)
    assert len(course.requests) == 1


# --- hostile answers ------------------------------------------------------------------------------------------------

HOSTILE = [
    '',
    'abc',
    'a' * 257,
    'tok\nen',
    'token\n',
    '../../etc',
    'to/ken',
    'tok?en',
    'tok#en',
    'tok%2Fen',
    'tok en',
    '$basearch',
    'tok\u0435n',
    5,
    True,
    None,
    ['token'],
    {'token': 'x'},
]


@pytest.mark.parametrize('token', HOSTILE, ids=repr)
def test_a_token_that_cannot_be_one_reaches_no_address(token: Any) -> None:
    course = enrol(Service(register=Response(200, json.dumps({'token': token}).encode('utf-8'))))
    assert isinstance(course.error, ServiceError)
    assert len(course.requests) == 1
    assert '\n' not in str(course.error)


@pytest.mark.parametrize(
    'body',
    [
        b'',
        b'null',
        b'[]',
        b'"x"',
        b'5',
        b'\xff\xfe',
        b'{"a":' * 50000,
        b'[' * 100000,
        b'NaN',
        b'<html>',
        '{"token": "\u0430bcd"}'.encode('utf-16'),
    ],
    ids=lambda body: repr(body[:10]),
)
@pytest.mark.parametrize('status', [200, 400, 500])
def test_a_body_that_is_no_object_is_an_error_of_ours(body: bytes, status: int) -> None:
    course = enrol(Service(register=Response(status, body)))
    assert isinstance(course.error, ServiceError) and '\n' not in str(course.error)
    assert len(course.requests) == 1


@pytest.mark.parametrize('word', ['a\nb', '\x1b[31mred', 'x' * 5000, '\u202eevil', '\r\nLocation: x'], ids=repr)
def test_the_services_own_words_are_cleaned_and_cut(word: str) -> None:
    said = str(enrol(Service(register=Response(418, json.dumps({'error': word}).encode('utf-8')))).error)
    assert all(' ' <= letter <= '~' for letter in said)
    assert len(said) < 300


@given(st.binary(max_size=60), st.sampled_from([200, 201, 301, 400, 404, 500]))
def test_no_answer_ends_in_another_error(body: bytes, status: int) -> None:
    course = enrol(Service(register=Response(status, body)))
    assert isinstance(course.error, ServiceError) or course.result


def test_what_may_be_read_is_limited() -> None:
    limits = {request.purpose: request.limit for request in enrol(Service()).requests}
    assert limits['register this host'] <= 65536
    assert limits['fetch the signing key'] <= 1 << 20
    assert max(limits.values()) <= 16 << 20


# --- giving a seat back ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'answer, returned', [(Response(200, b'{}'), True), (Response(404, b'{"error": "unknown-token"}'), False)]
)
def test_de_registration_that_ends(answer: Response, returned: bool) -> None:
    token = enrol(Service()).result.token
    course = drive(enrolment.de_register(settings(), token, 'web1'), Service(back=answer))
    assert course.error is None and course.result is returned
    assert course.seats_given_back() == [SEAT]


@pytest.mark.parametrize(
    'answer', [Response(500, b''), Response(403, b''), Response(302, b''), Response(404, b'<html>'), Response(404, b''), LOST],
    ids=['500', '403', '302', 'a page', '404', 'lost'],
)
def test_de_registration_that_is_not_confirmed_is_an_error(answer: Answer) -> None:
    token = enrol(Service()).result.token
    course = drive(enrolment.de_register(settings(), token, 'web1'), Service(back=answer))
    assert isinstance(course.error, ServiceError)
    assert TOKEN not in str(course.error)
