# SPDX-License-Identifier: Apache-2.0
"""The product's package, as scripts/build-rpm builds it here."""
import os
import re
import subprocess
from pathlib import Path
from typing import Dict, List

import pytest

from tests.sandbox.host import PROJECT

SPEC = (PROJECT / "rpm" / "dnf-plugin-tuxcare.spec").read_text()


def build(output: Path) -> Path:
    command = [str(PROJECT / "scripts" / "build-rpm"), "--output", str(output)]
    return Path(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("rpm"))


def query(package: Path, *words: str) -> List[str]:
    # A database of its own: on Debian rpm would make one in the home folder.
    command = ["rpm", "--dbpath", str(package.parent / "database"), "-qp", *words, str(package)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


def files(package: Path) -> Dict[str, str]:
    """Path → mode, owner and what rpm knows of it, such as `drwx------ root root g`."""
    lines = query(package, "--qf", "[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILEFLAGS:fflags}\n]")
    return dict(line.partition(" ")[::2] for line in lines)


def test_all_parts_tell_the_same_version() -> None:
    told = re.search("__version__ = ['\"](.+)['\"]", (PROJECT / "tuxcare_lib/__init__.py").read_text())
    assert told is not None
    assert re.search(r"^Version:\s+(\S+)$", SPEC, re.M).group(1) == told.group(1)  # type: ignore[union-attr]


def test_each_module_and_data_file_is_in_the_package(package: Path) -> None:
    names = set(files(package))
    plugin, = (name for name in names if name.endswith("/dnf-plugins/tuxcare.py"))
    library = Path(plugin).parent.parent / "tuxcare_lib"
    sources = (PROJECT / "tuxcare_lib").rglob("*.py")
    assert {str(library / path.relative_to(PROJECT / "tuxcare_lib")) for path in sources} <= names
    data = {path.name for path in (PROJECT / "conf").glob("*.conf")} - {"tuxcare.conf"}
    units = {path.name for path in (PROJECT / "conf").glob("tuxcare-first-boot.*")}
    assert {os.path.basename(name) for name in names if name.startswith("/usr/lib/systemd/system/tuxcare")} == units
    assert "/usr/lib/systemd/system/multi-user.target.wants/tuxcare-first-boot.service" in names
    assert {os.path.basename(name) for name in names if name.startswith("/usr/share/dnf-plugin-tuxcare/")} == data
    assert not [name for name in names if "test" in name]


def test_what_the_administrator_owns_survives_an_update(package: Path) -> None:
    found = files(package)
    assert found["/etc/dnf/plugins/tuxcare.conf"] == "-rw-r--r-- root root cn"
    assert found["/etc/dnf/plugins/tuxcare.d"] == "drwxr-xr-x root root "
    # Readable: an ordinary user's dnf has to see that the host is registered; what is secret in it is 0600.
    assert found["/var/lib/tuxcare"] == "drwxr-xr-x root root "


def test_its_modules_are_compiled(package: Path) -> None:
    """Else the first command of root would leave files behind that no package owns."""
    names = [name for name in files(package) if name.endswith(".py")]
    compiled = {re.sub(r"__pycache__/(\w+)\..*", r"\1.py", name) for name in files(package) if name.endswith(".pyc")}
    assert set(names) == compiled


def test_nothing_is_built_twice(package: Path) -> None:
    before = package.stat().st_mtime_ns
    assert build(package.parent.parent) == package and package.stat().st_mtime_ns == before
