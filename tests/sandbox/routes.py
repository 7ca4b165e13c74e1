# SPDX-License-Identifier: Apache-2.0
"""Which path of the vendor's, the community's and a third party's servers answers what; no sockets in here."""
import json
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import unquote

from tests.sandbox.answers import Answer, file_answer, json_answer, text_answer
from tests.sandbox.instances import Instances
from tests.sandbox.licences import Licences, Refusal

__all__ = ["Request", "Routes"]

_REGISTRATION = "/cln/api/els/token/"
_KEY_FILES = {
    "/tuxcare/RPM-GPG-KEY-TuxCare": "RPM-GPG-KEY-TuxCare",
    "/almalinux/RPM-GPG-KEY-AlmaLinux-9": "RPM-GPG-KEY-AlmaLinux-9",
    "/thirdparty/RPM-GPG-KEY-ThirdParty": "RPM-GPG-KEY-ThirdParty",
}
# The last part of a mirror list's path, without -debug, -debuginfo or -source: the tree.
_MIRROR_TREES = {
    "appstream": "AppStream",
    "baseos": "BaseOS",
    "crb": "CRB",
    "extras": "extras",
    "ha": "HighAvailability",
    "highavailability": "HighAvailability",
    "nfv": "NFV",
    "plus": "plus",
    "powertools": "PowerTools",
    "resilientstorage": "ResilientStorage",
    "rt": "RT",
    "sap": "SAP",
    "saphana": "SAPHANA",
}
_TREES = frozenset(_MIRROR_TREES.values())
# The addresses that the mirror list gives out below a release's folder; dnf expands $basearch.
_MIRROR_PATHS = {
    "": "/almalinux/%s/%s/$basearch/os/",
    "debug": "/vault/%s/%s/debug/$basearch/",
    "debuginfo": "/vault/%s/%s/debug/$basearch/",
    "source": "/vault/%s/%s/Source/",
}


class Request(NamedTuple):
    """`host` is the Host header with its port; `path` has no query; names of `headers` are in lower case."""

    method: str
    host: str
    path: str
    body: bytes = b""
    content_type: str = ""
    headers: Mapping[str, str] = {}


class Routes:
    """Answers by path alone, whatever the host; `mounts` are folders that a test publishes below a prefix."""

    def __init__(self, trees: Path, keys: Path, licences: Licences) -> None:
        self._trees = trees
        self._keys = keys
        self._licences = licences
        self._instances = Instances()
        self.mounts: Dict[str, Path] = {}

    def answer(self, request: Request) -> Answer:
        """Never raises for what a client sends."""
        if request.path.startswith(_REGISTRATION):
            return self._registration(request)
        if request.path.startswith("/latest/"):
            return self._instances.answer(request.method, request.path, request.headers)
        if request.method not in ("GET", "HEAD"):
            return text_answer("method not allowed\n", 405)
        # Empty segments stay: an empty token is a wrong token, not a path of the community's.
        return self._content(request, [unquote(segment) for segment in request.path.split("/")[1:]])

    # --- registration -------------------------------------------------------------------------------------------

    def _registration(self, request: Request) -> Answer:
        verbs: Dict[str, Callable[[Dict[str, Any]], Answer]] = {
            "register": self._register,
            "aws": self._register_instance,
            "check": self._check,
            "unregister": self._unregister,
        }
        verb = verbs.get(request.path[len(_REGISTRATION) :])
        if verb is None:
            return text_answer("not found\n", 404)
        if request.method != "POST":
            return text_answer("method not allowed\n", 405)
        if request.content_type.partition(";")[0].strip() != "application/json":
            return json_answer({"error": "unsupported-media-type"}, 415)
        try:
            return verb(_fields(request.body))
        except (KeyError, TypeError, ValueError):
            return json_answer({"error": "bad-request"}, 400)

    def _register(self, fields: Dict[str, Any]) -> Answer:
        try:
            return json_answer({"token": self._licences.register(fields["key"], fields["host_name"])})
        except Refusal as refusal:
            return json_answer({"error": str(refusal)}, 400)

    def _register_instance(self, fields: Dict[str, Any]) -> Answer:
        """What the vendor's end may do, whose real address and answers are not public."""
        document, host_name = fields["document"], fields["host_name"]
        if not self._instances.has_signed(document, fields["signature"]):
            return json_answer({"error": "invalid-identity"}, 403)
        try:
            return json_answer({"token": self._licences.register("aws:" + json.loads(document)["accountId"], host_name)})
        except Refusal as refusal:
            return json_answer({"error": "no-subscription" if str(refusal) == "invalid-key" else str(refusal)}, 403)

    def _check(self, fields: Dict[str, Any]) -> Answer:
        product = self._licences.product(fields["token"])
        if product is None:
            return json_answer({"error": "unknown-token"}, 404)
        return json_answer({"valid": True, "product": product})

    def _unregister(self, fields: Dict[str, Any]) -> Answer:
        # The host may have got another name since: the token alone decides.
        try:
            self._licences.unregister(fields["token"])
        except Refusal as refusal:
            return json_answer({"error": str(refusal)}, 404)
        return json_answer({})

    # --- content ------------------------------------------------------------------------------------------------

    def _content(self, request: Request, segments: List[str]) -> Answer:
        path = "/" + "/".join(segments)
        if path in _KEY_FILES:
            return _served(self._keys, [_KEY_FILES[path]])
        for prefix, folder in self.mounts.items():
            if path.startswith(prefix):
                return _served(folder, path[len(prefix) :].split("/"))
        sites: Dict[str, Callable[[List[str]], Answer]] = {
            "almalinux": self._almalinux,
            "vault": self._community,
            "tuxcare": self._tuxcare,
            "thirdparty": lambda rest: _served(self._trees / "thirdparty", rest),
            "mirrorlist": lambda rest: self._mirror_list(request.host, rest),
        }
        site = sites.get(segments[0])
        return site(segments[1:]) if site and segments[1:] else _not_found()

    def _almalinux(self, segments: List[str]) -> Answer:
        """RELEASE/TREE/… is the community's, RELEASE/TOKEN/TREE/… the vetted tree, which asks for a token."""
        if len(segments) < 3 or segments[1] in _TREES:
            return self._community(segments)
        if self._licences.product(segments[1]) is None:
            return _forbidden()
        return _served(self._trees / "almalinux", segments[:1] + segments[2:])

    def _community(self, segments: List[str]) -> Answer:
        release = self._release(segments[0])
        return _served(self._trees / "almalinux", [release] + segments[1:]) if release else _not_found()

    def _tuxcare(self, segments: List[str]) -> Answer:
        """RELEASE/base/… is open, RELEASE/TOKEN/esu|fips/… is for ESU's tokens."""
        if len(segments) < 3:
            return _not_found()
        if segments[1] == "base":
            return _served(self._trees / "tuxcare", segments)
        if self._licences.product(segments[1]) != "esu":
            return _forbidden()
        return _served(self._trees / "tuxcare", segments[:1] + segments[2:])

    def _mirror_list(self, host: str, segments: List[str]) -> Answer:
        """One mirror. It is on the host that was asked, unless that is the real name of the mirror list."""
        name, kind = _mirror_name(segments[-1])
        release = self._release(segments[0]) if len(segments) == 2 else None
        if release is None or name not in _MIRROR_TREES or kind not in _MIRROR_PATHS:
            return _not_found()
        mirror = "repo.almalinux.org" if host.partition(":")[0] == "mirrors.almalinux.org" else host
        return text_answer("https://%s%s\n" % (mirror, _MIRROR_PATHS[kind] % (release, _MIRROR_TREES[name])))

    def _release(self, text: str) -> Optional[str]:
        """A major is its newest minor; None for a release without trees."""
        there = [path.name for path in (self._trees / "almalinux").iterdir()]
        if "." in text:
            return text if text in there else None
        minors = [name for name in there if re.fullmatch(re.escape(text) + r"\.\d+", name)]
        return max(minors, key=lambda name: int(name.partition(".")[2]), default=None)


def _fields(body: bytes) -> Dict[str, Any]:
    """A JSON object of texts; ValueError, TypeError."""
    document = json.loads(body.decode())
    if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
        raise TypeError("not an object of texts")
    return document


def _mirror_name(text: str) -> Tuple[str, str]:
    name, _, kind = text.partition("-")
    return name, kind


def _served(folder: Path, segments: List[str]) -> Answer:
    """A plain file beneath the folder; folders have no listing."""
    if any(segment in ("", ".", "..") or "\0" in segment or "/" in segment for segment in segments):
        return _not_found()
    path = folder.joinpath(*segments)
    try:
        return file_answer(path) if path.is_file() else _not_found()
    except OSError:  # a name that is too long, a file that went away
        return _not_found()


def _not_found() -> Answer:
    return text_answer("not found\n", 404)


def _forbidden() -> Answer:
    return text_answer("forbidden\n", 403)
