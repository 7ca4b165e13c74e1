# SPDX-License-Identifier: Apache-2.0
"""The figures of a run: for the terminal, and as docs/crash.md."""

from typing import Iterable, List, NamedTuple, Tuple

from tests.crash.injector import FAULTS, KILL
from tests.crash.points import BETWEEN, KILLED_TWICE, Trial

__all__ = ["Row", "complaint", "markdown", "row", "text"]


class Row(NamedTuple):
    """`calls` changing calls the verb makes, `points` of them were tried; the others count trials."""

    verb: str
    calls: int
    points: int
    kills: int
    doubles: int
    faults: int
    ended_after: int
    stay: int
    seats: int
    leftovers: int
    folders: int
    half: int
    disks: int = 0


_HEADS = ("verb", "changing calls", "points", "kills", "kills twice", "faults", "ended after", "packages stay", "seat said",
          "tidied up", "empty folder", "half states", "disks after a power cut")


def row(verb: str, calls: int, points: int, trials: Iterable[Trial]) -> Row:
    found = list(trials)
    names = [trial.injection for trial in found]
    verdicts = [trial.verdict for trial in found]
    return Row(verb, calls, points, names.count(KILL.name), names.count(KILLED_TWICE),
               sum(names.count(fault.name) for fault in FAULTS), sum(verdict.end == "after" for verdict in verdicts),
               sum(verdict.end == BETWEEN and not verdict.wrong for verdict in verdicts),
               sum(verdict.seat for verdict in verdicts), sum(verdict.left for verdict in verdicts),
               sum(verdict.folder for verdict in verdicts),
               sum(bool(verdict.wrong) for verdict in verdicts))


def complaint(trial: Trial) -> str:
    """A half state, with all that is known of it."""
    head = "HALF STATE: %s, %s at %d: %s" % (trial.scenario, trial.injection, trial.number, trial.call)
    return "\n    ".join([head, *(line.replace("\n", "\n    ") for line in trial.verdict.wrong)])


def _cells(rows: List[Row]) -> List[Tuple[str, ...]]:
    total = Row("all", *(sum(column) for column in zip(*(tuple(row)[1:] for row in rows))))
    return [tuple(map(str, line)) for line in [*rows, total]]


def text(rows: List[Row]) -> str:
    lines = [_HEADS, *_cells(rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(cell.rjust(width) if place else cell.ljust(width)
                               for place, (cell, width) in enumerate(zip(line, widths))) for line in lines)


def markdown(rows: List[Row], seconds: float, where: List[Tuple[str, str]]) -> str:
    """docs/crash.md. `where` is what it was run on, names and values."""
    cells = [_HEADS, tuple("---" if place == 0 else "---:" for place in range(len(_HEADS))), *_cells(rows)]
    table = ["| %s |" % " | ".join(line) for line in cells]
    facts = ["| %s | %s |" % pair for pair in [*where, ("time of the last run", "%d minutes" % round(seconds / 60))]]
    return _PAGE.format(table="\n".join(table), facts="\n".join(facts), half=sum(row.half for row in rows))


def merged(page: str, rows: List[Row]) -> List[Row]:
    """The rows of a page, in their order, those of `rows` in the place of their earlier ones."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.split("\n")]
    earlier = [Row(line[0], *map(int, line[1:])) for line in lines if len(line) == len(_HEADS) and line[1].isdigit()]
    new = {found.verb: found for found in rows}
    kept = [new.pop(found.verb, found) for found in earlier if found.verb != "all"]
    return kept + list(new.values())


_PAGE = """\
# Crash points

Written by `make crash`, which takes all verbs, or with `--verb` writes the row of one anew. **Half states: {half}.**
The journal is described in [journal.md](journal.md).

{table}

| run on | |
|---|---|
{facts}

## What is done

Each verb runs as a real `dnf` process on a host of its own. A small library (`tests/crash/inject.c`, by `LD_PRELOAD`; the
product has no hook for it) counts the system calls that change something below the product's places: opening for writing,
writing, syncing, renaming, removing, making a folder, mode, owner, extended attributes, times, links, cutting. dnf's own logs
and caches and the files of the rpm database are not the product's and not counted. "Points" tells at how many of the calls
something was tried; where it is fewer than all, they were chosen by chance (seeded).

| column | at each point |
|---|---|
| kills | the process is killed (SIGKILL) before the call; then `dnf tuxcare recover` |
| kills twice | at each second point: the same, a second kill at a call of `recover` by chance (seeded), and `recover` once more |
| faults | the call fails: EIO once; ENOSPC once; at each fourth ENOSPC (calls that need room) and EIO (all) from there on |
| ended after | how many of these trials ended as after the verb; the others ended as before it, but for the next column |
| packages stay | of them, the packages alone were as after the verb, which was said; the same command did the rest then |
| seat said | of them, a seat may be taken at the service (killed between its answer and the token on disk), and that was said |
| tidied up | of them, the disk refused the cleaning at the end; the next `recover` did it |
| empty folder | of them, an empty /var/lib/tuxcare was left where none was before ([files.md](files.md)); nothing reads it |
| half states | what was neither before nor after |
| disks after a power cut | lost writes, below |

## When a state is whole

Everything of /etc and /var/lib/tuxcare is as before the verb or as after it: bytes, mode, owner, extended attributes, links, and
the time of files that the verb does not make anew. So are the keys that rpm trusts and the seats at the service, and all three
are on the same side. The token, `registration.json` and `before.json` differ from run to run: they are compared by what they
say. After a kill that is so once `recover` has run. After a fault it is so without it: exit status 1 means before, 0 means
after; only after exit status 5 may `recover` be needed. There is never a traceback.

## Packages

Verbs with packages have two rows. One is as above: dies, or is refused, at the product's own calls. For the one "inside rpm" the
calls below the rpm database, /usr and /boot are counted, those of scriptlets in Lua too; there are some 1,400, and it is killed
at a sample of them (seeded), half of it outside of the database. Faults there are rpm's affair and not tried. A state has three
parts more: the installed packages (each once), what boots by default and the arguments of all boot entries, and that no file of
a package is missing or has other bytes than the package's (`rpm -Va`). Files that the system's programs write when FIPS mode is
entered or left (/etc/crypto-policies, /etc/system-fips) are compared without their times, boot entries by their arguments.

Before `recover` runs, the host is looked at, too: its default kernel boots; `dnf upgrade` plans nothing of a later minor release;
and where the packages are neither as before nor as after, `dnf tuxcare unregister` ends with exit status 5 and names `recover`.

Not tried: a death within grubby, fips-mode-setup and update-crypto-policies, which are programs of their own (they run to their
end when dnf dies); lost writes below rpm's database, /usr and /boot (what is there is synced before the journal
counts on it, which a test of its own sees); temporary files of rpm's own (NAME;12345678) may stay.

`uninstall` is two operations, and its own documentation says so ([journal.md](journal.md)): the packages, the boot loader and the
mode; then the registration. A death between them leaves the first one done and the host registered, whole and held. That counts
as "packages stay" where recover says so, or finds nothing open; then `uninstall` is run again, and has to end as after the verb.

## Lost writes

A killed process leaves everything that it has written; a power cut does not. So the logged calls of each verb are replayed in
memory, the power goes after each of them, and what was not synced is gone: bytes and attributes of a file that no fsync of the
file followed (all, none or the first half of the bytes are there), names that no fsync of the folder followed (every choice of
them, by chance where there are more than five). That is stricter than any file system in use. Each different disk is
written and recovered by what `/usr/libexec/tuxcare-recover --local` runs, and its files are compared as above.
Of a verb with packages the power goes before the journal says that they are done, on a host on which rpm has not begun; what the
system's programs write (grubby and its like) is not replayed and not compared.
"""
