# SPDX-License-Identifier: Apache-2.0
"""Help, as real dnf prints it: ours, verbatim as in the documents, and none of dnf's forty options; no option collides."""
import re
import subprocess
from typing import List

import pytest

from tests.integration.outcome import is_done, refused, untouched
from tests.sandbox.host import PROJECT, Host
from tests.sandbox.service import Service
from tuxcare_lib import cli

VERBS = [verb.name for verb in cli.VERBS]
OURS = sorted({flag for option in cli.all_options() for flag in option.flags})
# Asked of dnf itself, by the Python that runs it.
_DNFS_OPTIONS = """
import dnf.cli.option_parser
parser = dnf.cli.option_parser.OptionParser()
print(*(flag for action in parser._actions for flag in action.option_strings), sep="\\n")
"""
_GIVEN_BACK = """
import sys, dnf.cli.option_parser
for flag in sys.argv[1:]:
    given_back = dnf.cli.option_parser.OptionParser().parse_known_args(["tuxcare", flag, "x"])[1]
    print(*(word for word in given_back if word == flag))
"""


@pytest.fixture(scope="module")
def dnfs_options() -> List[str]:
    ran = subprocess.run(["/usr/bin/python3", "-c", _DNFS_OPTIONS], stdout=subprocess.PIPE, text=True)
    options = ran.stdout.split()
    assert ran.returncode == 0 and len(options) > 40
    return options


def in_documents(text: str) -> bool:
    return "```\n" + text + "```\n" in (PROJECT / "docs/commands.md").read_text(encoding="utf-8")


def options_in(text: str) -> List[str]:
    """The options that a help text explains: those that begin a line."""
    return [flag for line in text.splitlines() if re.match(r"\s+-", line) for flag in re.findall(r"(?<!\S)--?[a-z-]+", line)]


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(host: Host, verb: str, flag: str) -> None:
    done = host.dnf("tuxcare", verb, flag)
    shown = is_done(done)
    assert shown == cli.help_text(verb) and in_documents(shown)
    assert "Traceback" not in done.stderr and "Error" not in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_has_its_options_and_none_of_dnfs(dnfs_options: List[str], verb: str) -> None:
    """Of the text that the test above has seen dnf print."""
    shown = set(options_in(cli.help_text(verb)))
    entry = cli.find(verb)
    assert entry is not None
    assert shown == {flag for option in entry.options for flag in option.flags}
    assert not shown & set(dnfs_options)


def test_help_of_a_word(host: Host) -> None:
    assert is_done(host.dnf("tuxcare", "fips", "enable", "--help")) == cli.help_text("fips")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]], ids=["alone", "--help", "-h"])
def test_overview(host: Host, service: Service, arguments: List[str]) -> None:
    with untouched(host, service):
        shown = is_done(host.dnf("tuxcare", *arguments))
    assert shown.rstrip("\n") == cli.overview().rstrip("\n")
    assert in_documents(cli.help_text(None))
    for verb in VERBS:
        assert len(re.findall(r"^  %s\b.*[a-z]$" % verb, shown, re.M)) == 1, verb
    assert not options_in(shown)
    assert service.requests == []


def test_help_of_dnf_names_the_command_once(host: Host) -> None:
    assert len(re.findall(r"^tuxcare +\S", is_done(host.dnf("--help")), re.M)) == 1


def test_help_of_another_command_is_dnfs(host: Host) -> None:
    shown = is_done(host.dnf("install", "--help"))
    assert "--allowerasing" in shown
    assert not [flag for flag in OURS if len(flag) > 2 and re.search(r"%s\b" % flag, shown)]


@pytest.mark.parametrize("flag", [flag for flag in OURS if flag.startswith("--")])
def test_no_option_begins_one_of_dnfs(dnfs_options: List[str], flag: str) -> None:
    """dnf's first parser expands abbreviations of its own and knows none of ours (FACTS 7)."""
    assert not [name for name in dnfs_options if name.startswith(flag)]


@pytest.mark.parametrize("flag", [flag for flag in OURS if not flag.startswith("--")])
def test_no_short_option_is_one_of_dnfs(dnfs_options: List[str], flag: str) -> None:
    assert flag not in dnfs_options


def test_dnfs_first_parser_leaves_our_options_alone() -> None:
    """The same, asked of the parser: what it takes for itself it does not give back."""
    asked = ["/usr/bin/python3", "-c", _GIVEN_BACK, *OURS]
    ran = subprocess.run(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert ran.stdout.split() == OURS, ran.stderr


@pytest.mark.parametrize("arguments, words", [
    (["nonsense"], ["register", "unregister", "status", "fips", "repos", "recover"]),
    (["fips"], ["enable"]),
    (["fips", "sideways"], ["enable"]),
    (["repos"], ["diff, switch, revert"]),
    (["status", "now"], ["no further word", "--help"]),
    (["status", "--fips"], ["--fips", "status"]),
    (["recover", "--replace"], ["--replace", "recover"]),
], ids=" ".join)
def test_what_does_not_exist_is_refused_by_us(host: Host, service: Service, arguments: List[str], words: List[str]) -> None:
    with untouched(host, service):
        refused(host.dnf("tuxcare", *arguments), *words)


def test_what_nobody_knows_is_refused_by_dnf(host: Host) -> None:
    done = host.dnf("tuxcare", "status", "--nonsense")
    assert done.returncode == 2 and "--nonsense" in done.stderr and "Traceback" not in done.stderr
