# SPDX-License-Identifier: Apache-2.0
"""The command line as data: verbs, their options, their help. Pure; docs/commands.md is compared with it by a test."""

import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from tuxcare_lib.errors import UsageError


class Option(NamedTuple):
    """An option. `metavar` is None for one that takes no value, `words` the verb's words that have it (empty: all)."""

    flags: Tuple[str, ...]
    dest: str
    help: str
    metavar: Optional[str] = None
    words: Tuple[str, ...] = ()


class Verb(NamedTuple):
    """What may follow `dnf tuxcare`. `words` are what has to follow the verb, `argument` what may (one word of any kind).

    `last` is a word of the verb's that `argument` may follow; where it is empty, it may follow the verb itself.
    """

    name: str
    summary: str
    options: Tuple[Option, ...]
    words: Tuple[str, ...] = ()
    argument: str = ''
    last: str = ''
    changes: bool = False
    needs_root: bool = False


JSON = Option(('--json',), 'json', 'print one JSON document on standard output and nothing else there')
DRY_RUN = Option(('--dry-run',), 'dry_run', 'print what would be done, as a diff of each file; change nothing')

_SIDES = (Option(('--ours',), 'ours', 'an edited section of ours: as it was before the host was registered'),
          Option(('--theirs',), 'theirs', 'an edited section of ours: as it is now'))

VERBS: Tuple[Verb, ...] = (
    Verb('register', 'register this host and put it on the vetted repositories', (
        Option(('-l', '--license-key'), 'license_key', 'the licence key (visible to every user while the command runs)', 'KEY'),
        Option(('--license-key-file',), 'license_key_file', 'read the licence key from FILE, or from standard input (-)', 'FILE'),
        Option(('--aws',), 'aws', 'by the identity of this AWS instance, instead of a licence key; has to be configured'),
        Option(('--product',), 'product', 'the product that the key is for: esu or essential', 'PRODUCT'),
        Option(('--pin',), 'pin', 'the release to hold the host on, where the product leaves a choice', 'X.Y'),
        Option(('--fips',), 'fips', 'install the FIPS 140-3 validated packages and turn FIPS mode on as well'),
        Option(('--replace',), 'replace', 'register again with this key; the old seat is given back afterwards'),
        Option(('--seal',), 'seal', 'take no seat now: seal this image, so that it registers at its first boot'),
        DRY_RUN, JSON), changes=True, needs_root=True),
    Verb('unregister', 'give the seat back and restore everything that registering changed', (
        Option(('--local',), 'local', 'do not tell the service: for one that is gone, or a key that expired'),
        *_SIDES, DRY_RUN, JSON), changes=True, needs_root=True),
    Verb('status', 'show registration, release and pin, repositories and FIPS mode', (
        Option(('--check',), 'check', 'audit the pin and the files; exit 4 where something needs attention'), JSON)),
    Verb('release', 'show or move the release that this host is held on', (
        Option(('--list',), 'list', 'list the releases that the catalogue knows, and for which product'),
        DRY_RUN, JSON), argument='X.Y', changes=True, needs_root=True),
    Verb('fips', 'enter FIPS 140-3 mode with the validated packages, leave it, prove it', (
        Option(('--strict',), 'strict', 'enable: hold exactly the validated builds, without the vendor\'s later FIPS builds',
               words=('enable',)),
        Option(('--packages',), 'packages', 'disable: put the community\'s builds back as well', words=('disable',)),
        Option(('--sign',), 'sign', 'report: sign FILE with this key of your own keyring, as FILE.asc', 'KEYID', ('report',)),
        DRY_RUN._replace(help='enable, disable: ' + DRY_RUN.help, words=('enable', 'disable', 'report')), JSON),
         ('enable', 'disable', 'status', 'report'), argument='FILE', last='report', changes=True, needs_root=True),
    Verb('repos', 'show or change which mirrors the operating system\'s repositories use', (
        *(option._replace(help=option.help + also, words=('switch', 'revert')) for option, also in zip(
            _SIDES, ('; switch: our lines again', ''))),
        DRY_RUN._replace(help='switch, revert: ' + DRY_RUN.help, words=('switch', 'revert')), JSON),
         ('diff', 'switch', 'revert'), changes=True, needs_root=True),
    Verb('uninstall', 'leave FIPS mode, put the community\'s packages back, unregister', (
        Option(('--local',), 'local', 'do not tell the service: for one that is gone, or a key that expired'),
        *_SIDES, DRY_RUN, JSON), changes=True, needs_root=True),
    Verb('recover', 'undo a change that was cut off, put back what is missing of a registration', (
        Option(('--local',), 'local', 'leave a seat taken that cannot be given back'), DRY_RUN, JSON),
         changes=True, needs_root=True),
)

# Beside numbers (of releases, of dnf's options), the only words that follow `tuxcare`.
_PLAIN = r'({}|[0-9]{{1,2}}(\.[0-9]{{1,2}})?)\Z'.format('|'.join({name for verb in VERBS for name in (verb.name,) + verb.words}))
_KEY_FLAGS = ('-l', '--license-key')
# What the value of an option of ours looks like; of others there is nothing to tell it from a key.
_NAME = r'([a-z]{0,16}|[0-9]{1,2}(\.[0-9]{1,2})?)\Z'
_VALUES = {'FILE': '.*/', 'X.Y': _NAME, 'PRODUCT': _NAME}
# dnf's short options, and those of them that take a value; any of its long ones may.
_BUNDLE = re.compile('(-[46CRbcdehqvxy]*)(.?)(.*)', re.S)
_TAKES_VALUE = re.compile('-([46Cbhqvy]*[Rcdex]|-)')
# --setopt has the name behind it.
_JOINED = re.compile('(--(?:setopt=[^=]*|[^=]*))(?:=(.*))?\\Z', re.S)
_KEY_NAME = re.compile('key|licen[cs]', re.I)
HIDDEN = '(hidden)'
# Words of changing verbs that only read.
_READING = (('diff',), ('status',), ('report',))

_COMMON = '''dnf's own options (-y, --assumeno, -q, --installroot DIR, --setopt) keep their meaning; man dnf has them all.'''


class Options(NamedTuple):
    """A parsed command line. `given` has every option of ours, None or False where it was not given."""

    verb: Optional[Verb]
    words: Tuple[str, ...]
    given: Dict[str, object]

    @property
    def command(self) -> str:
        """The verb with its word, as in reports: `fips enable`; empty for `dnf tuxcare` alone."""
        return command_of(((self.verb.name,) if self.verb else ()) + self.words)

    def flag(self, dest: str) -> bool:
        """Whether an option without value was given."""
        return bool(self.given.get(dest))

    def value(self, dest: str) -> Optional[str]:
        """An option's value; None where it was not given."""
        value = self.given.get(dest)
        return None if value is None else str(value)


def all_options() -> List[Option]:
    """Every option once, in the order of the verbs."""
    seen: Dict[str, Option] = {}
    for verb in VERBS:
        for option in verb.options:
            seen.setdefault(option.dest, option)
    return list(seen.values())


def find(name: str) -> Optional[Verb]:
    """The verb of that name."""
    return next((verb for verb in VERBS if verb.name == name), None)


def check(words: Sequence[str], given: Dict[str, object]) -> Options:
    """What was asked for, if it exists. Raises UsageError."""
    if not words:
        _refuse_options(given, (JSON,), 'dnf tuxcare')
        return Options(None, (), given)
    verb = find(words[0])
    if verb is None:
        # Without the word: a licence key is put here by mistake, and this line is logged.
        raise UsageError('There is no such verb.', 'Verbs: {}; see `dnf tuxcare`.'.format(
            ', '.join(known.name for known in VERBS)))
    rest = tuple(words[1:])
    known = [option for option in verb.options if not option.words or set(option.words).intersection(rest[:1])]
    _refuse_options(given, known, 'dnf tuxcare ' + command_of(words))
    if verb.words and rest[:1] and rest[0] in verb.words and len(rest) > (2 if rest[0] == verb.last else 1):
        raise UsageError('There is a word too many after `dnf tuxcare {} {}`.'.format(verb.name, rest[0]),
                         'See `dnf tuxcare {} --help`.'.format(verb.name))
    if verb.words and (rest[:1] == () or rest[0] not in verb.words):
        raise UsageError('`dnf tuxcare {}` needs one of: {}.'.format(verb.name, ', '.join(verb.words)),
                         'See `dnf tuxcare {} --help`.'.format(verb.name))
    if len(rest) > (1 if verb.argument else 0) and not verb.words:
        remedy = 'A licence key goes into --license-key-file FILE (or -).' if verb.name == 'register' else ''
        raise UsageError('`dnf tuxcare {}` takes no {} word.'.format(verb.name, 'second' if verb.argument else 'further'),
                         remedy or 'See `dnf tuxcare {} --help`.'.format(verb.name))
    if verb.name == 'release' and rest and given.get('list'):
        raise UsageError('`dnf tuxcare release` either lists (--list) or moves (X.Y).', 'See `dnf tuxcare release --help`.')
    return Options(verb, rest, given)


def command_of(words: Sequence[str]) -> str:
    """What reports call a command line: the verb, with its word where it has to have one."""
    verb = find(words[0]) if words else None
    return ' '.join([verb.name] + [word for word in words[1:2] if word in verb.words]) if verb else ''


def needs_root(options: Options) -> bool:
    """Whether only root can do what was asked for; what only reads is for everybody, but for the audit."""
    verb = options.verb
    if verb is None or options.words[:1] in _READING or (verb.argument and not options.words):
        return False
    return verb.needs_root or options.flag('check')


def _refuse_options(given: Dict[str, object], allowed: Iterable[Option], command: str) -> None:
    known = {option.dest for option in allowed}
    for option in all_options():
        if given.get(option.dest) not in (None, False) and option.dest not in known:
            raise UsageError('`{}` has no option {}.'.format(command, option.flags[-1]), 'See `{} --help`.'.format(command))


def form(verb: Verb) -> str:
    """A verb as its usage says it: `repos diff|switch|revert`, `release [X.Y]`."""
    argument = '[{}]'.format(verb.argument) if verb.argument else ''
    return ' '.join(part for part in (verb.name, '|'.join(verb.words), argument) if part)


def overview() -> str:
    """What `dnf tuxcare` alone prints."""
    lines = ['TuxCare Enterprise Support for AlmaLinux', '', 'usage: dnf tuxcare VERB [options]', '']
    for verb in VERBS:
        lines.append('  {:<41} {}'.format(form(verb), verb.summary))
    return '\n'.join(lines + ['', '`dnf tuxcare VERB --help` tells the options of a verb.'])


def help_text(name: Optional[str]) -> str:
    """A verb's help; the overview where there is no such verb."""
    verb = find(name or '')
    if verb is None:
        return overview() + '\n'
    summary = verb.summary[0].upper() + verb.summary[1:] + '.'
    lines = ['usage: dnf tuxcare {} [options]'.format(form(verb)), '', summary, '', 'options:']
    for option in verb.options:
        flags = ', '.join(option.flags) + (' ' + option.metavar if option.metavar else '')
        lines.append('  {:<28} {}'.format(flags, option.help))
    return '\n'.join(lines + ['', _COMMON]) + '\n'


def verb_in(arguments: Sequence[str]) -> Optional[str]:
    """The verb in a raw command line, for its help: the first word after `tuxcare` that is one."""
    words = list(arguments)
    after = words[words.index('tuxcare') + 1:] if 'tuxcare' in words else []
    return next((word for word in after if find(word)), None)


def masked(arguments: Sequence[str]) -> List[str]:
    """A raw command line, without the name of the program, that shows no licence key.

    The values of -l and --license-key are hidden, however they are joined, bundled (-yl KEY), abbreviated or misspelt, and every
    word beside `tuxcare` that is none of ours, nor the value of an option: a key is put there by mistake.
    """
    found: List[str] = []
    is_ours, behind, option = 'tuxcare' in arguments, False, ''
    for word in arguments:
        if option in _KEY_FLAGS:
            shown, option = HIDDEN, ''
        elif word.startswith('--'):
            shown, option = _long(word)
        elif word.startswith('-'):
            shown, option = _short(word)
        else:
            known = _is_value(word, option) or re.match(_PLAIN, word, re.A) if behind else (
                not is_ours or word == 'tuxcare' or _TAKES_VALUE.match(option))
            shown, option = word if known else HIDDEN, ''
        behind = behind or word == 'tuxcare'
        found.append(shown)
    return found


def _long(word: str) -> Tuple[str, str]:
    """A long option as it is shown, and the option that the next word may be a value of."""
    name, value = _JOINED.match(word).groups()  # type: ignore[union-attr]
    ours = any(known.flags[-1].startswith(name) for known in all_options())
    is_key = len(name) > 2 and _KEY_FLAGS[1].startswith(name) or not ours and _KEY_NAME.search(name)
    if value is None:
        return word, _KEY_FLAGS[1] if is_key else word
    return word if not is_key and (not ours or _is_value(value, name)) else name + '=' + HIDDEN, ''


def _short(word: str) -> Tuple[str, str]:
    """The same of a short one, or of several in one word."""
    flags, flag, value = _BUNDLE.match(word).groups()  # type: ignore[union-attr]
    if flag != 'l' and _TAKES_VALUE.match(flags):
        return word, '' if flag else word
    return flags + flag + (HIDDEN if value else ''), '' if value else '-' + flag if flag else word


def _is_value(word: str, option: str) -> bool:
    """Whether an option of ours takes the word. A file of the key that is in no folder is rather the key itself."""
    metavar = next((known.metavar for known in all_options() if len(option) > 2 and known.flags[-1].startswith(option)), None)
    return bool(metavar and re.match(_VALUES.get(metavar, '.'), word, re.A))


def plain(word: str) -> str:
    """What may be said of a product or release that there is not: a key is typed there by mistake, too."""
    return word if re.match(_NAME, word, re.A) else HIDDEN


def hidden(text: str, arguments: Sequence[str]) -> str:
    """A text with the arguments of a raw command line in it, as `masked` shows them: whole words, and as Python writes a list."""
    for word, shown in sorted(zip(arguments, masked(arguments)), key=lambda pair: -len(pair[0])):
        if word and word != shown:
            written = '|'.join(re.escape(way) for way in (repr(word)[1:-1], word))
            text = re.sub(r'(?<![\w-])({})(?![\w-])'.format(written), shown.replace('\\', r'\\'), text)
    return text
