# SPDX-License-Identifier: Apache-2.0
"""What has to hold after every step, whatever was done before."""

import json
import re
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

from tests.crash.state import Entry, Taker
from tests.integration.outcome import places_of, trusted_keys
from tests.sandbox.host import Host
from tests.soak import probe
from tests.soak.edits import EDITS
from tests.soak.probe import PAST
from tests.soak.shadow import Shadow, kept_of
from tests.soak.site import KEYS, Done, Patient
from tests.soak.steps import UNREGISTER, Step

__all__ = ["Checker", "View"]

_STATUSES: Dict[str, Tuple[int, ...]] = {
    "register": (0, 1, 5), "unregister": (0, 1, 5), "release": (0, 1, 3, 5), "repos": (0, 1, 3, 5), "recover": (0, 1, 5),
    "fips": (0, 1, 3, 5), "status": (0, 1, 3, 4),
}
_MAY = re.compile(r"seat may (still )?be taken|leave the seat taken|\"seat_returned\": false")
TOKEN = "etc/dnf/vars/tuxcare_token"
_WHILE_OPEN = re.compile(r"var/lib/tuxcare/(journal(\.new|\.done)?/.*|seat\.json)$|.*/\.tuxcare-new-[^/]*$")
_NEW = ".tuxcare-new-"
_VARIABLES = {"tuxcare_token", "tuxcare_releasever"}
_FAR = 2**63


class View(NamedTuple):
    """What must not change where a verb of ours fails or only reads."""

    files: Dict[str, Entry]
    keys: Tuple[str, ...]
    seats: Tuple[str, ...]
    packages: Set[str]
    was_open: bool
    pin: str


class Checker:
    """Follows one host from before its first step. `told` counts seats of which a line said that they may still be taken."""

    def __init__(self, patient: Patient) -> None:
        self._patient = patient
        self._root = patient.host.root
        self.shadow = Shadow(self._root)
        self.told = 0
        self._token_harmed = False
        self._refused: Set[str] = set()
        self._probed: Optional[Tuple[object, ...]] = None
        self.start = self.view()

    @property
    def host(self) -> Host:
        return self._patient.host

    def view(self) -> View:
        self._taker = Taker(self.host)
        return self._view()

    def _view(self) -> View:
        found = probe.record(self._root)
        files = self._taker.files(self._root, _FAR, lambda text: text)
        return View(files, tuple(trusted_keys(self.host)), tuple(self._patient.seats()), self.host.installed(),
                    probe.open_operation(self._root), probe.pin_of(self._root, found) if found else "")

    # --- after a step -----------------------------------------------------------------------------------------------

    def after(self, step: Step, done: Done, before: View, decides: bool = False) -> List[str]:
        """Everything that is wrong, a line each."""
        now = self._view()
        self._note(step, done)
        wrong = [*self._ended(step, done, before), *self._unchanged(step, done, before, now), *self._past(before, now),
                 *self._secrets(step), *self._strays(), *self._seats(now),
                 *self.shadow.check(step, done, before.was_open, decides or "--theirs" in step.words or "--ours" in step.words)]
        state = (now.files, now.keys, now.packages)
        if not wrong and state != self._probed:
            self._probed = state
            wrong = self._next()
        return wrong

    def _note(self, step: Step, done: Done) -> None:
        if step.verb and not step.reads:
            self.told += len(_MAY.findall(done.said))
        if step.kind == "edit" and EDITS[step.words[0]].harms_token and not done.skipped:
            self.told += 1  # whoever damages a token knows that its seat cannot be given back
            self._token_harmed = True
        if step.harm and done.hurt and step.harm.path == UNREGISTER:
            self._token_harmed = True  # the seat is given back, and the answer that says so was lost

    # --- how it ended -----------------------------------------------------------------------------------------------

    def _ended(self, step: Step, done: Done, before: View) -> List[str]:
        if step.kind == "edit":
            return []
        wrong = ["a traceback: " + done.said[-3000:]] if "Traceback" in done.said and not self.cannot_start() else []
        allowed = _STATUSES.get(step.verb, (0, 1))
        if step.harm and step.harm.kind in ("kill", "signal") and done.hurt:
            allowed = (*allowed, -9, -step.harm.at, 128 + step.harm.at, 130)
        if done.status not in allowed and not self.cannot_start():
            wrong.append("exit status %d: %s" % (done.status, done.said[-1500:]))
        # Packages that were cut off are for `recover` alone, and it asks.
        waits = before.was_open and (step.verb != "recover" or "-y" not in step.words)
        if done.status == 5 and not (step.harm and done.hurt) and not waits:
            wrong.append("exit status 5, and nothing was in the way: " + done.said[-1500:])
        return wrong + self._json(step, done)

    def _json(self, step: Step, done: Done) -> List[str]:
        if "--json" not in step.words or (step.harm and step.harm.kind in ("kill", "signal")) or self.cannot_start():
            return []
        try:
            document = json.loads(done.out)
            return [] if document["exit_status"] == done.status else ["the document has another exit status: " + done.out[-500:]]
        except (ValueError, KeyError, TypeError) as error:
            return ["no JSON document (%s): %s" % (error, done.said[-1500:])]

    def cannot_start(self) -> bool:
        """A variable that is not text ends every dnf command before a plugin is there."""
        path = self._root / "etc/dnf/vars/tuxcare_releasever"
        return path.is_file() and b"\xff" in path.read_bytes()

    # --- what may not have changed ----------------------------------------------------------------------------------

    def _unchanged(self, step: Step, done: Done, before: View, now: View) -> List[str]:
        if step.kind != "verb" or not (step.reads or done.status in (1, 3, 200)):
            return []
        if before.was_open and not step.reads:
            return []  # the verb has recovered first
        if "--fips" in step.words or (step.verb == "fips" and before.packages != now.packages):
            return []  # docs/exit-status.md says what stays
        wrong = ["exit status %d, and %s is changed" % (done.status, path) for path in sorted(set(before.files) | set(now.files))
                 if before.files.get(path) != now.files.get(path) and not self._empty_folder(path, before, now)
                 and not (_NEW in path and path not in now.files)  # what a kill left is tidied up
                 and not (path in (probe.SEAT, probe.STATE) and _MAY.search(done.said))]  # the intent of a register stays
        wrong += ["exit status %d, and the trusted keys are changed" % done.status] if before.keys != now.keys else []
        wrong += ["exit status %d, and packages are changed" % done.status] if before.packages != now.packages else []
        if before.seats != now.seats and not (step.harm and done.hurt) and not _MAY.search(done.said):
            wrong.append("exit status %d, and seats are changed" % done.status)
        return [line + ": " + done.said[-600:] for line in wrong]

    @staticmethod
    def _empty_folder(path: str, before: View, now: View) -> bool:
        """docs/files.md says when a kill leaves one, and any verb may take it away."""
        below = [name for name in {**before.files, **now.files} if name.startswith(probe.STATE)]
        return path == probe.STATE and below == [probe.STATE]

    def _past(self, before: View, now: View) -> List[str]:
        if before.pin != "9.2" or before.was_open:
            return []
        return ["past the pin is installed: " + name for name in sorted((now.packages - before.packages) & PAST)]

    # --- secrets and strays -----------------------------------------------------------------------------------------

    def _secrets(self, step: Step) -> List[str]:
        wrong = ["a licence key is in " + place for text in KEYS.values() for place in places_of(self.host, text)]
        current = (self._root / TOKEN).read_bytes() if (self._root / TOKEN).is_file() else b""
        is_open = probe.open_operation(self._root) or (step.harm is not None and step.harm.kind != "fault")
        for token in self._patient.tokens():
            for place in places_of(self.host, token):
                home = place == TOKEN and current.strip() == token.encode()
                if not (home or (is_open and _WHILE_OPEN.match(place))):
                    wrong.append("a token is in %s" % place)
        return wrong

    def _strays(self) -> List[str]:
        names = {path.name for path in (self._root / "etc/dnf/vars").iterdir()} - _VARIABLES
        known = {path.split("/")[-1] for path in self.shadow.now}
        found = {path.name for path in (self._root / "etc/yum.repos.d").iterdir()} - known
        found = {name for name in found if "tuxcare" in name and kept_of(name) != "tuxcare.repo"}
        return ["a stray file: %s" % name for name in sorted(names | found)]

    # --- seats ------------------------------------------------------------------------------------------------------

    def _seats(self, now: View) -> List[str]:
        if now.was_open:
            return []
        text = (self._root / TOKEN).read_text(errors="replace").strip() if (self._root / TOKEN).is_file() else ""
        mine = [seat for seat in now.seats if seat == text]
        wrong = []
        if text and not mine and not self._token_harmed:
            wrong.append("the host has a token of which the service does not know")
        if len(now.seats) - len(mine) > self.told:
            wrong.append("%d seats are taken, %d of them the host's, and %d were told" % (len(now.seats), len(mine), self.told))
        return wrong

    # --- the next transaction ---------------------------------------------------------------------------------------

    def _next(self) -> List[str]:
        """Held, or refused with a remedy that works; and a client without plugins is held, too, where the files say so."""
        if not probe.witnessed(self._root) or self.cannot_start():
            return []
        found = probe.record(self._root)
        told, said = probe.next_transaction(self.host)
        held = found is not None and probe.pin_of(self._root, found) == "9.2"
        wrong = ["the next transaction would install " + name for name in (probe.past_in(said) if held or found is None else ())]
        wrong += ["a traceback: " + said[-3000:]] if "Traceback" in said else []
        if told.line and told.line not in self._refused:
            self._refused.add(told.line)
            with self._patient.copy() as copy:
                wrong += probe.remedied(copy, told, self._key(found))
        loose = probe.unpinned(self._root)
        if not told.line and held and loose and "tuxcare: disabled" not in said:
            wrong.append("not refused and not told, and these follow no pin: %s; it said: %s" % (", ".join(loose), said[-800:]))
        if not told.line and held and found is not None and not loose and not found.reverted:
            with self._patient.copy() as copy:  # a dnf without plugins may log the token (docs/security.md)
                _, said = probe.next_transaction(copy, "--noplugins")
            wrong += ["without plugins the next transaction would install " + name for name in probe.past_in(said)]
        return wrong

    @staticmethod
    def _key(found: object) -> str:
        return KEYS[getattr(found, "product", "esu")]

    # --- at the end -------------------------------------------------------------------------------------------------

    def clean(self, vendor_edited: bool, fips: bool) -> List[str]:
        """What is left of us on a host that was unregistered; `fips` says that FIPS mode was turned on, which stays."""
        now = self._view()
        ours = [path for path in now.files
                if "tuxcare" in path and not path.startswith("etc/dnf/plugins") and path != probe.STATE]
        if vendor_edited:
            ours = [path for path in ours if kept_of(path) == path]
        if fips:
            ours = [path for path in ours if path != probe.STATE + "/fips.json"]
        wrong = ["left behind: " + path for path in ours if path not in self.start.files]
        wrong += ["left behind in %s: our marks" % path.name for path in sorted((self._root / "etc/yum.repos.d").glob("*.repo"))
                  if path.is_file() and b"#tuxcare" in path.read_bytes()]
        wrong += ["the configuration is changed"] if self._plugins(now) != self._plugins(self.start) else []
        wrong += ["the trusted keys are changed"] if now.keys != self.start.keys else []
        return wrong

    @staticmethod
    def _plugins(view: View) -> Dict[str, Entry]:
        return {path: entry for path, entry in view.files.items() if path.startswith("etc/dnf/plugins/")}

    def temporary(self) -> List[str]:
        """Temporary files and half journals, of which none is left after a recover."""
        names = [str(path.relative_to(self._root)) for folder in ("etc", "var/lib") for path in (self._root / folder).rglob("*")]
        return ["left after recover: " + name for name in names
                if _NEW in name or name in (probe.JOURNAL, probe.SEAT, probe.JOURNAL + ".new", probe.JOURNAL + ".done")]
