# SPDX-License-Identifier: Apache-2.0
"""The command line and the licence key, looked at before anybody is asked."""
from typing import Optional, Tuple

from tests.integration.failures.circumstances import file, nothing
from tests.integration.failures.row import Row
from tests.sandbox.licences import ESU_KEY

__all__ = ["ROWS"]

_FILE = "the licence key's file"
_LINE = "the command line"
_PATH = "root/licence.key"


def _file(name: str, words: str, content: Optional[str], *says: str) -> Row:
    args = ("--license-key-file", "{root}/" + _PATH)
    return Row("key-file-" + name, _FILE, words, file(_PATH, content, then=ESU_KEY + "\n"), (*says, "/" + _PATH), tries=0,
               args=args, key=None)


def _line(name: str, words: str, args: Tuple[str, ...], *says: str, group: str = _LINE, key: Optional[str] = ESU_KEY) -> Row:
    return Row(name, group, words, nothing, says, tries=0, args=args, key=key, mends=False)


ROWS: Tuple[Row, ...] = (
    _line("product-unknown", "`--product banana`", ("--product", "banana"), "'banana'", "esu", "essential"),
    _line("product-empty", "`--product ''`", ("--product", ""), "product"),
    _line("pin-not-allowed", "`--pin 9.4 --product esu`", ("--pin", "9.4", "--product", "esu"), "'9.4'", "9.2"),
    _line("pin-of-a-key", "`--pin 9.4` with a key that begins with ESU-", ("--pin", "9.4"), "9.2", "--pin"),
    _line("pin-malformed", "`--pin ../9.2`", ("--pin", "../9.2"), "cannot be", "9.2"),
    _line("word-too-many", "`register now`", ("now",), "no further word", "--license-key-file"),
    _line("fips-json", "`--fips --json` without `-y`", ("--fips",), "--json", "-y"),
    _line("key-twice", "`-l` and `--license-key-file` together", ("-l", "ESU-AAAAAAAA", "--license-key-file", "-"),
          "exclude each other", key=None),
    _line("no-key", "no key, and no terminal to ask on", (), "No licence key was given", "--license-key-file",
          "TUXCARE_LICENSE_KEY", key=None),
    _file("missing", "missing", None, "No such file"),
    _file("empty", "empty", "", "is empty"),
    _file("large", "10 MB", "A" * 10_000_000, "4096"),
    _file("two-lines", "two keys in it", "ESU-AAAAAAAA\nESU-BBBBBBBB\n", "more than one line"),
    _file("blank", "a blank within", "ESU-AAAA BBBB\n", "blank"),
    _line("key-file-folder", "a folder", ("--license-key-file", "{root}/root"), "Is a directory", group=_FILE, key=None),
    _line("key-file-below-a-file", "below a file", ("--license-key-file", "{root}/etc/passwd/key"), "Not a directory",
          group=_FILE, key=None),
    _line("key-file-endless", "without end", ("--license-key-file", "/dev/zero"), "/dev/zero", "4096", group=_FILE, key=None),
)  # fmt: skip
