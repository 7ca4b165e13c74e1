# SPDX-License-Identifier: Apache-2.0
"""Throw-away signing keys, and signatures made with them by the real gpg and rpmsign."""

import concurrent.futures
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Dict, Optional, Sequence, Type

from tests.sandbox.rpms import run

__all__ = ["KEY_UIDS", "KeyRing", "make_keys"]

KEY_UIDS: Dict[str, str] = {
    "AlmaLinux-9": "AlmaLinux OS 9 <packager@almalinux.org>",
    "TuxCare": "TuxCare (Software Signing Key) <packager@tuxcare.com>",
    "ThirdParty": "Example Packages (Third Party) <packages@example.com>",
}

# A signature takes a child process each; more at once than this gains nothing.
_WORKERS = max(2, os.cpu_count() or 2)


class KeyRing:
    """A gpg home for as long as the `with` block lasts, filled from a folder of armored private keys.

    It lies in a short path of its own: the agent's socket has to fit into 108 bytes.
    """

    def __init__(self, private: Optional[Path] = None) -> None:
        self.private = private

    def __enter__(self) -> "KeyRing":
        self.home = Path(tempfile.mkdtemp(prefix="gpg-"))
        try:
            if self.private is not None:
                self.gpg("--import", *sorted(self.private.glob("RPM-GPG-KEY-*")))
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._close()

    def _close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False)
        shutil.rmtree(str(self.home), ignore_errors=True)

    def gpg(self, *words: object) -> str:
        return run(["gpg", "--homedir", self.home, "--batch", "--no-tty", "--quiet", "--yes", *words])

    def fingerprint(self, uid: str) -> str:
        listing = self.gpg("--with-colons", "--list-keys", "=" + uid)
        return next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))

    def sign(self, packages: Sequence[Path], fingerprint: str) -> None:
        """Signs rpm files in place, several at once."""
        self._sign_some(packages[:1], fingerprint)  # alone: of two at once that are the agent's first, one may fail
        chunks = [list(packages[1 + start::_WORKERS]) for start in range(_WORKERS)]
        with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
            list(pool.map(lambda chunk: self._sign_some(chunk, fingerprint), chunks))

    def _sign_some(self, packages: Sequence[Path], fingerprint: str) -> None:
        if packages:
            macros = {"_gpg_name": fingerprint, "_gpg_path": self.home, "__gpg": shutil.which("gpg")}
            defines = [word for name, value in macros.items() for word in ("--define", "%s %s" % (name, value))]
            run(["rpmsign", *defines, "--addsign", *packages])


def make_keys(folder: Path) -> None:
    """Makes the keys of KEY_UIDS: public ones as folder/RPM-GPG-KEY-NAME, private ones below folder/private."""
    (folder / "private").mkdir(parents=True)
    with KeyRing() as ring:
        for name, uid in KEY_UIDS.items():
            ring.gpg("--passphrase", "", "--quick-generate-key", uid, "rsa2048", "sign", "never")
            fingerprint = ring.fingerprint(uid)
            (folder / ("RPM-GPG-KEY-" + name)).write_text(ring.gpg("--armor", "--export", fingerprint))
            secret = ring.gpg("--armor", "--passphrase", "", "--export-secret-keys", fingerprint)
            (folder / "private" / ("RPM-GPG-KEY-" + name)).write_text(secret)
            (folder / "private").chmod(0o700)
