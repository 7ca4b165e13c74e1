# SPDX-License-Identifier: Apache-2.0
"""What a boot does to a root: GRUB picks an entry, and the kernel shows in /proc what it was started with."""
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

__all__ = ["Boot", "BootError", "choose"]

_ENTRIES = "boot/loader/entries"
_ENVIRONMENT = "boot/grub2/grubenv"


class BootError(Exception):
    """Nothing to boot: the host stays in the boot loader."""


class Boot(NamedTuple):
    """A running kernel, as programs see it in /proc."""

    osrelease: str
    cmdline: str = ""
    fips_enabled: bool = False

    def write(self, folder: Path) -> None:
        """Lays down osrelease, cmdline and fips_enabled in a folder, which is made if it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self._texts():
            (folder / name.split("/")[-1]).write_text(text)

    def write_proc(self, proc: Path) -> None:
        """The same at their places below a folder that stands in for /proc."""
        for name, text in self._texts():
            (proc / name).parent.mkdir(parents=True, exist_ok=True)
            (proc / name).write_text(text)

    def _texts(self) -> Tuple[Tuple[str, str], ...]:
        return (
            ("sys/kernel/osrelease", self.osrelease + "\n"),
            ("cmdline", self.cmdline + "\n"),
            ("sys/crypto/fips_enabled", "%d\n" % self.fips_enabled),
        )


def choose(root: Path, kernel: Optional[str] = None) -> Boot:
    """What boots below `root`: the entry of `kernel`, or as GRUB of EL does, the saved entry, else the newest one.

    Raises BootError without such an entry, or when the entry's kernel or initramfs is not in /boot.
    """
    # Newest first, as in the boot loader's menu.
    paths = sorted((root / _ENTRIES).glob("*.conf"), key=_age, reverse=True)
    entries = [dict(_fields(path), id=path.stem, index=str(place)) for place, path in enumerate(paths)]
    environment = _environment(root / _ENVIRONMENT)
    if kernel is None:
        saved = environment.get("saved_entry")
        found = [entry for entry in entries if saved in (entry["id"], entry.get("title"), entry["index"])] or entries
    else:
        found = [entry for entry in entries if entry.get("version") == kernel]
    if not found:
        raise BootError("the boot loader has no entry for %s" % (kernel or "any kernel"))
    return _start(root, found[0], environment)


def _start(root: Path, entry: Dict[str, str], environment: Dict[str, str]) -> Boot:
    for part in ("linux", "initrd"):
        if part in entry and not (root / "boot" / Path(entry[part]).name).is_file():
            raise BootError("file '%s' not found" % entry[part])
    options = re.sub(r"\$(\w+)", lambda match: environment.get(match.group(1), ""), entry.get("options", ""))
    cmdline = "BOOT_IMAGE=(hd0,gpt2)%s %s" % (entry["linux"], options.strip())
    return Boot(Path(entry["linux"]).name[len("vmlinuz-"):], cmdline, "fips=1" in options.split())


def _fields(path: Path) -> Dict[str, str]:
    """An entry of the Boot Loader Specification: a key and its value in each line."""
    pairs = [line.split(None, 1) for line in path.read_text().splitlines() if not line.startswith("#")]
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}


def _age(path: Path) -> List[Tuple[int, str]]:
    """Orders file names as versions are: 9 before 10."""
    return [(int(word), "") if word.isdigit() else (-1, word) for word in re.split(r"(\d+)", path.stem)]


def _environment(path: Path) -> Dict[str, str]:
    if not path.is_file():
        return {}
    pairs = [line.partition("=") for line in path.read_text().splitlines() if not line.startswith("#")]
    return {name: value for name, separator, value in pairs if separator}
