# SPDX-License-Identifier: Apache-2.0
"""What a row of the table is made of: the steps of an attempt, and how it has to end."""

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, NamedTuple, Optional, Tuple

if TYPE_CHECKING:
    from tests.integration.bypass.site import Site

__all__ = [
    "HELD",
    "PASSES",
    "UNSEEN",
    "Done",
    "End",
    "Row",
    "Step",
    "act",
    "dnf",
    "pin",
    "python",
    "refused",
    "repo",
    "run",
    "told",
    "write",
]

Done = "subprocess.CompletedProcess[str]"
# A step acts on the site. What the last command did is what the row is judged by; a step that is none returns None.
Step = Callable[["Site"], "Optional[subprocess.CompletedProcess[str]]"]


class End(NamedTuple):
    """How a row has to end. `words` are to be found in the one line of ours."""

    kind: str
    words: Tuple[str, ...] = ()


def refused(*words: str) -> End:
    """Exit status 1 and one line `Error: tuxcare: …` with all of `words`, and a remedy."""
    return End("refused", words)


def told(*words: str) -> End:
    """One warning `tuxcare: disabled …` that names the repositories `words`; the command goes on without them."""
    return End("told", words)


# dnf finds nothing to install, or what it finds is vetted. No line of ours is due.
UNSEEN = End("unseen")
# Nothing from past the pin comes in. What is said is dnf's own, or depends on its version.
HELD = End("held")
# Not an attempt: it has to work.
PASSES = End("passes")


class Row(NamedTuple):
    """An attempt. `may` are names of packages that may come in, `comes` names that have to, `goes` names that may go away.

    `proof` says that the same steps, where nothing of ours is at work, do get a package in; a test shows it.
    """

    name: str
    group: str
    words: str
    steps: Tuple[Step, ...]
    end: End
    slash: bool = False
    proof: bool = True
    may: Tuple[str, ...] = ()
    comes: Tuple[str, ...] = ()
    goes: Tuple[str, ...] = ()


# --- steps --------------------------------------------------------------------------------------------------------


def dnf(*args: str, env: Optional[Dict[str, str]] = None, stdin: Optional[str] = None) -> Step:
    """`dnf -y ARGS`; {names} in them are the site's places."""
    return lambda site: site.dnf(*args, env=env, stdin=stdin)


def run(*argv: str) -> Step:
    """A program inside of a slash host."""
    return lambda site: site.run(*argv)


def python(code: str) -> Step:
    """A program on dnf's Python API, in a slash host. It finds `base`, with plugins, made but not yet filled."""
    return lambda site: site.python(code)


def write(path: str, text: str) -> Step:
    """A file below the host's root; {names} in the text are the site's places."""

    def step(site: "Site") -> None:
        target = site.host.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(site.fill(text))

    return step


def repo(name: str, url: str, *lines: str, path: Optional[str] = None) -> Step:
    """A repository file with one section."""
    head = "[%s]\nname=%s\nbaseurl=%s\nenabled=1\ngpgcheck=0\n" % (name, name, url)
    return write(path or "etc/yum.repos.d/%s.repo" % name, head + "".join(line + "\n" for line in lines))


def act(change: Callable[[Path], object]) -> Step:
    """Anything else that is done to the host's root."""

    def step(site: "Site") -> None:
        change(site.host.root)

    return step


def pin(*lines: str) -> Step:
    """Lines of the section [pin] of the host's own tuxcare.conf, which has none yet."""

    def step(site: "Site") -> None:
        path = site.host.root / "etc/dnf/plugins/tuxcare.conf"
        path.write_text(path.read_text() + site.fill("[pin]\n" + "".join(line + "\n" for line in lines)))

    return step
