# SPDX-License-Identifier: Apache-2.0
"""What a sequence is made of, and how one is drawn: nothing but a seed and a number decide, no host is looked at."""

import random
import shlex
import signal
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

from tests.soak.edits import EDITS, REPO_FILES

__all__ = ["FAULTS", "Harm", "Step", "draw"]

# About how many changing calls a verb makes; a kill beyond its last one does not happen.
_CALLS = {"register": 165, "--replace": 53, "unregister": 131, "release": 50, "repos": 120, "recover": 29, "fips": 57}
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL)
REGISTER, UNREGISTER, PROBE, SIGNING_KEY = "*/token/register", "*/token/unregister", "*/repomd.xml", "*/RPM-GPG-KEY-TuxCare"
# What a verb asks the service for, in the order in which it asks.
_ASKS = {"register": (REGISTER, PROBE, SIGNING_KEY), "unregister": (UNREGISTER,), "release": (PROBE,), "fips": (PROBE,),
         "recover": (UNREGISTER,), "dnf": (PROBE, "*.rpm")}
# By name; `site.BEHAVIOURS` has what they do.
FAULTS = ("500", "429", "cut before", "cut within", "hold", "no token", "token a path", "a list", "html", "truncated",
          "key limit")


class Harm(NamedTuple):
    """`kind` is "kill" (SIGKILL at the `at`-th changing call), "signal" (`at`, while the answer to `path` is held back) or
    "fault" (`name`, for `at` requests of `path`)."""

    kind: str
    at: int
    path: str = ""
    name: str = ""

    def __str__(self) -> str:
        if self.kind == "kill":
            return "killed at call %d" % self.at
        if self.kind == "signal":
            return "%s while %s is answered" % (signal.Signals(self.at).name, self.path)
        return "%s, %d times, for %s" % (self.name, self.at, self.path)


class Step(NamedTuple):
    """`kind` is "verb" (`dnf … tuxcare …`), "dnf" or "edit"; `key` names a licence key, `key_by` the way it is given."""

    kind: str
    words: Tuple[str, ...]
    key: str = ""
    key_by: str = "environment"
    harm: Optional[Harm] = None

    @property
    def verb(self) -> str:
        """Of ours, without dnf's own options; "" for the other kinds."""
        return self.words[self.words.index("tuxcare") + 1] if self.kind == "verb" else ""

    @property
    def reads(self) -> bool:
        """A verb of ours that promises to change nothing."""
        rest = self.words[self.words.index("tuxcare") + 1:] if self.kind == "verb" else ()
        return self.kind == "verb" and ("--dry-run" in rest or rest[0] == "status" or rest[:2] == ("repos", "diff")
                                        or [word for word in rest if word != "--json"] == ["release"])

    def __str__(self) -> str:
        words = shlex.join(self.words) if self.kind == "edit" else "dnf " + shlex.join(self.words)
        key = " (key: %s, by %s)" % (self.key, self.key_by) if self.key else ""
        return words + key + (" [%s]" % str(self.harm) if self.harm else "")


class _Draw:
    """One sequence being drawn. `registered` and `product` are what the host would be if all went well."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.registered = False
        self.product = "esu"

    def pick(self, table: Sequence[Tuple[float, float, Callable[["_Draw"], Step]]]) -> Step:
        weights = [row[1 if self.registered else 0] for row in table]
        return self.chance.choices([row[2] for row in table], weights)[0](self)


def draw(seed: int, number: int) -> List[Step]:
    """The steps of a sequence; the same for the same seed and number."""
    state = _Draw(random.Random("%d %d" % (seed, number)))
    steps = []
    for _ in range(state.chance.randint(5, 10)):
        step = _harmed(state, state.pick(_TABLE))
        _assume(state, step)
        steps.append(step)
    return steps


def _assume(state: _Draw, step: Step) -> None:
    if step.kind != "verb" or step.reads or step.harm or "--assumeno" in step.words:
        return
    if step.verb == "register" and step.key.split()[-1] in ("esu", "essential"):
        state.registered = True
        state.product = step.key.split()[-1] if "--replace" not in step.words else state.product
    elif step.verb == "unregister":
        state.registered = False


# --- verbs ------------------------------------------------------------------------------------------------------------


def _verb(state: _Draw, *words: str, key: str = "") -> Step:
    """With dnf's `-y` mostly, with --dry-run or --json sometimes."""
    chance = state.chance
    answer = chance.choices(["-y", "--assumeno", ""], [0.93, 0.03, 0.04])[0]
    only_reads = words[0] == "status" or words[:2] == ("repos", "diff") or words == ("release",)
    more = [] if only_reads else ["--dry-run"] * (chance.random() < 0.06)
    more += ["--json"] * (chance.random() < 0.1)
    ways = ["environment", "option", "standard input", "file"]
    return Step("verb", (*([answer] if answer else []), "tuxcare", *words, *more), key,
                chance.choices(ways, [0.55, 0.15, 0.15, 0.15])[0] if key else "environment")


def _register(state: _Draw) -> Step:
    keys = ["esu", "essential", "plain esu", "plain essential", "unknown", "exhausted"]
    key = state.chance.choices(keys, [5, 4, 1, 1, 1, 0.7])[0]
    more = state.chance.choices([(), ("--product", "esu"), ("--product", "essential"), ("--pin", "9.4"), ("--fips",)],
                                [10, 1.2, 1.2, 1, 0.8])[0]
    return _verb(state, "register", *more, key=key)


def _replace(state: _Draw) -> Step:
    other = "essential" if state.product == "esu" else "esu"
    keys = ["plain " + state.product, state.product, other, "unknown", "exhausted"]
    return _verb(state, "register", "--replace", key=state.chance.choices(keys, [4, 2, 1.5, 1, 0.7])[0])


def _side(state: _Draw) -> Tuple[str, ...]:
    return state.chance.choices([(), ("--ours",), ("--theirs",)], [6, 1.3, 1.3])[0]


def _unregister(state: _Draw) -> Step:
    return _verb(state, "unregister", *_side(state))


def _unregister_local(state: _Draw) -> Step:
    return _verb(state, "unregister", "--local", *_side(state))


def _release(state: _Draw) -> Step:
    return _verb(state, "release", state.chance.choices(["9.4", "9.2", "9.6", "8.10"], [6, 2, 1, 1])[0])


def _repos(state: _Draw) -> Step:
    return _verb(state, "repos", state.chance.choice(["switch", "revert"]), *_side(state))


def _recover(state: _Draw) -> Step:
    return _verb(state, "recover", *state.chance.choices([(), ("--local",)], [4, 1])[0])


def _reading(state: _Draw) -> Step:
    return _verb(state, *state.chance.choice([("status",), ("status", "--check"), ("repos", "diff"), ("release",)]))


def _fips(state: _Draw) -> Step:
    return _verb(state, "fips", "enable")


# --- other commands, and edits ----------------------------------------------------------------------------------------


def _dnf(*choices: Tuple[str, ...]) -> Callable[[_Draw], Step]:
    return lambda state: Step("dnf", ("-y", *state.chance.choice(choices)))


def _edit(state: _Draw) -> Step:
    names = list(EDITS)
    name = state.chance.choices(names, [EDITS[one].weight for one in names])[0]
    return Step("edit", (name, state.chance.choice(REPO_FILES)) if EDITS[name].per_file else (name,))


# (weight while not registered, weight while registered, what makes the step)
_TABLE: Tuple[Tuple[float, float, Callable[[_Draw], Step]], ...] = (
    (20, 1, _register), (0.4, 4, _replace), (0.6, 2.5, _unregister), (0.8, 1.8, _unregister_local), (0.5, 2.5, _release),
    (0.5, 5, _repos), (1, 2, _recover), (0.8, 2, _reading), (0.3, 2, _fips),
    (0.7, 3, _dnf(("upgrade",), ("upgrade",), ("upgrade", "less"), ("upgrade", "openssl"), ("update", "kernel"))),
    (0.7, 2, _dnf(("install", "httpd"), ("install", "squid"), ("install", "nginx"), ("install", "example-agent"),
                  ("install", "amazon-efs-utils"))),
    (0.5, 1.5, _dnf(("remove", "rsync"), ("remove", "less"), ("remove", "httpd"), ("autoremove",))),
    (0.7, 2.5, _dnf(("update", "almalinux-repos"), ("upgrade", "almalinux-repos", "almalinux-release"))),
    (0.7, 2, _dnf(("reinstall", "almalinux-repos"))),
    (4, 12, _edit),
)  # fmt: skip


# --- harm -------------------------------------------------------------------------------------------------------------


def _harmed(state: _Draw, step: Step) -> Step:
    chance = state.chance
    if step.kind == "edit" or step.reads:
        return step
    name = step.verb or "dnf"
    if chance.random() >= (0.45 if step.kind == "verb" else 0.1):
        return step
    kind = chance.choices(["kill", "signal", "fault"], [6, 2, 3] if step.kind == "verb" else [0, 0, 1])[0]
    if kind == "kill":
        return step._replace(harm=Harm("kill", chance.randint(1, _CALLS["--replace" if "--replace" in step.words else name])))
    if name not in _ASKS:
        return step
    paths = _ASKS[name] + ((UNREGISTER,) if "--replace" in step.words else ())
    path = chance.choice(paths)
    if kind == "signal":
        by = step._replace(key_by="environment") if step.key_by == "standard input" else step
        return by._replace(harm=Harm("signal", int(chance.choice(_SIGNALS)), path))
    return step._replace(harm=Harm("fault", chance.choice([1, 1, 2, 99]), path, _fault(chance, path)))


def _fault(chance: random.Random, path: str) -> str:
    """One that makes sense there: a held or endless answer costs dnf minutes, and a token is in one answer only."""
    names = [name for name in FAULTS if path == REGISTER or name not in ("no token", "token a path", "key limit")]
    return chance.choice([name for name in names if "/token/" in path or name != "hold"])
