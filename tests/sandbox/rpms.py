# SPDX-License-Identifier: Apache-2.0
"""One RPM from one value: a Package is rendered as a spec file and built by the real rpmbuild."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

__all__ = ["File", "Package", "build", "run", "split_evr"]

# Build times are fixed, so that two builds of one table differ by their keys alone.
BUILD_TIME = 1700000000

_MACROS = {
    "debug_package": "%{nil}",
    "__os_install_post": "%{nil}",
    "_build_id_links": "none",
    "_buildhost": "localhost",
    "_binary_payload": "w1.gzdio",
    "use_source_date_epoch_as_buildtime": "1",
    "clamp_mtime_to_source_date_epoch": "1",
    "_build_name_fmt": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
}

_ISA = {"x86_64": "(x86-64)", "i686": "(x86-32)", "aarch64": "(aarch-64)", "noarch": ""}


class File(NamedTuple):
    """One entry of %files.

    `directive` is what stands before the path (`%config(noreplace)`, `%ghost`, `%dir`); `link` makes a symbolic
    link; `origin` is a file of this machine to copy; `public_key` names a key of the universe whose armored text
    is the content.
    """

    path: str
    text: str = ""
    directive: str = ""
    mode: int = 0o644
    link: str = ""
    origin: Optional[Path] = None
    public_key: str = ""


class Package(NamedTuple):
    """A binary package. Dependencies may hold {evr}, {vr}, {arch}, {isa} and {uname}; files and scriptlets {uname}.

    `source` is the name of the source that it says it was built from; without it, its own.
    """

    name: str
    evr: str
    arch: str = "noarch"
    vendor: str = ""
    requires: Sequence[str] = ()
    provides: Sequence[str] = ()
    obsoletes: Sequence[str] = ()
    conflicts: Sequence[str] = ()
    files: Sequence[File] = ()
    scriptlets: Mapping[str, str] = {}
    module: str = ""
    source: str = ""

    @property
    def nevra(self) -> str:
        return "%s-%s.%s" % (self.name, self.evr, self.arch)

    @property
    def file_name(self) -> str:
        return "%s-%s-%s.%s.rpm" % ((self.name,) + split_evr(self.evr)[1:] + (self.arch,))


def split_evr(evr: str) -> Tuple[str, str, str]:
    """`1:3.0.7-6.el9_2` → ("1", "3.0.7", "6.el9_2"); the epoch may be missing and is "0" then."""
    epoch, _, version_release = evr.rpartition(":")
    version, _, release = version_release.rpartition("-")
    return epoch or "0", version, release


def run(argv: Sequence[object], **options: object) -> str:
    """Runs a program, returns its standard output; RuntimeError with its standard error when it fails."""
    words = [str(word) for word in argv]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
        raise RuntimeError("%s: exit %d\n%s" % (" ".join(words[:8]), done.returncode, said))
    return str(done.stdout)


def build(package: Package, folder: Path, public_keys: Mapping[str, str]) -> Path:
    """Builds one package, unsigned, into `folder` (made if it is not there); the path of the rpm file."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rpm-") as name:
        work = Path(name)
        _stage(package, work / "stage", public_keys)
        spec = work / "package.spec"
        spec.write_text(_spec(package, work / "stage"))
        macros = dict(_MACROS, _topdir=str(work), _rpmdir=str(folder))
        defines = [word for key, value in macros.items() for word in ("--define", "%s %s" % (key, value))]
        environment = dict(os.environ, SOURCE_DATE_EPOCH=str(BUILD_TIME), LC_ALL="C.UTF-8")
        run(["rpmbuild", "-bb", "--quiet", "--target", package.arch + "-linux", *defines, spec], env=environment)
    return folder / package.file_name


def _stage(package: Package, stage: Path, public_keys: Mapping[str, str]) -> None:
    stage.mkdir()
    for file in package.files:
        target = stage / _filled(file.path, package).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.link:
            target.symlink_to(file.link)
        elif file.directive == "%dir":
            target.mkdir(exist_ok=True)
        elif file.origin is not None:
            shutil.copyfile(str(file.origin), str(target))
        else:
            text = public_keys[file.public_key] if file.public_key else file.text
            target.write_text(text)


def _spec(package: Package, stage: Path) -> str:
    epoch, version, release = split_evr(package.evr)
    source = package.source or package.name
    lines = ["Name: " + source, "Epoch: " + epoch, "Version: " + version, "Release: " + release]
    if epoch == "0":
        del lines[1]
    lines += ["Summary: Stand-in of " + package.name, "License: Apache-2.0"]
    lines += ["Vendor: " + package.vendor] if package.vendor else []
    lines += ["BuildArch: noarch"] if package.arch == "noarch" else []
    lines += ["ModularityLabel: " + package.module] if package.module else []
    # A package of a source of another name; the source's own has no %files, so it is not built.
    of = " -n " + package.name if source != package.name else ""
    lines += ["%package" + of, "Summary: Stand-in of " + package.name] if of else []
    lines += ["AutoReqProv: no", *_dependency_lines(package)]
    lines += ["%description" + of, "A package of the test sandbox, without the software it is named after."]
    lines += ["%description", "Not built."] if of else []
    lines += ["%install", "cp -a %s/. %%{buildroot}/" % stage]
    for section, body in package.scriptlets.items():
        name, _, options = section.partition(" ")
        lines += [("%" + name + of + " " + options).rstrip(), _escaped(_filled(body, package))]
    lines += ["%files" + of, *(_file_line(file, package) for file in package.files)]
    return "\n".join(lines) + "\n"


def _dependency_lines(package: Package) -> List[str]:
    tags: Dict[str, Sequence[str]] = {
        "Requires": package.requires,
        "Provides": package.provides,
        "Obsoletes": package.obsoletes,
        "Conflicts": package.conflicts,
    }
    own = ["%s{isa} = {evr}" % package.name] if package.arch != "noarch" else []
    lines = ["Provides: " + _filled(text, package) for text in own]
    return lines + ["%s: %s" % (tag, _filled(text, package)) for tag, texts in tags.items() for text in texts]


def _file_line(file: File, package: Package) -> str:
    # A folder that was given no mode of its own has the files' default here.
    mode = 0o755 if file.directive == "%dir" and file.mode == 0o644 else file.mode
    attributes = "" if file.link else "%%attr(%04o,root,root) " % mode
    directive = file.directive + " " if file.directive else ""
    return directive + attributes + _filled(file.path, package)


def _filled(text: str, package: Package) -> str:
    """Puts the package's own values into {evr} and its kin; other braces stay."""
    _, version, release = split_evr(package.evr)
    values = {
        "evr": package.evr,
        "vr": version + "-" + release,
        "arch": package.arch,
        "isa": _ISA[package.arch],
        "uname": "%s-%s.%s" % (version, release, package.arch),
    }
    return re.sub(r"\{(%s)\}" % "|".join(values), lambda found: values[found.group(1)], text)


def _escaped(scriptlet: str) -> str:
    return scriptlet.replace("%", "%%")
