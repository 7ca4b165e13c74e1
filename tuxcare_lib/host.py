# SPDX-License-Identifier: Apache-2.0
"""A host as a value: where things are on it, and what was read there. `facts` fills it in."""

from typing import Dict, Mapping, NamedTuple, Optional, Tuple

from tuxcare_lib import inifile
from tuxcare_lib.errors import Problem
from tuxcare_lib.inifile import Document
from tuxcare_lib.model import Image, Release

STATE_FOLDER = '/var/lib/tuxcare'
REGISTRATION = STATE_FOLDER + '/registration.json'
BEFORE = STATE_FOLDER + '/before.json'
# A token whose seat is to be given back; there only while a registration is open, or after one that was cut off.
SEAT = STATE_FOLDER + '/seat.json'
# How the host booted before FIPS mode; there from `fips enable` until the mode is left, `unregister` lets it be.
FIPS_STATE = STATE_FOLDER + '/fips.json'
# An image that registers at its first boot, and the licence key for that.
SEALED = STATE_FOLDER + '/sealed.json'
FIRST_BOOT_KEY = STATE_FOLDER + '/first-boot.key'
# dnf's own default of `reposdir`.
REPOSITORY_FOLDERS = ('/etc/yum.repos.d', '/etc/yum/repos.d', '/etc/distro.repos.d')
VARIABLES = '/etc/dnf/vars'
TOKEN = VARIABLES + '/tuxcare_token'
RELEASEVER = VARIABLES + '/tuxcare_releasever'
MARKER = '/etc/tuxcare-release'
TUXCARE_REPO = '/etc/yum.repos.d/tuxcare.repo'
SIGNING_KEY = '/etc/pki/rpm-gpg/RPM-GPG-KEY-TuxCare'
# In the order of their removal: what names the token goes before the record of it.
OWN_FILES = (TUXCARE_REPO, RELEASEVER, TOKEN, MARKER, SIGNING_KEY, BEFORE, REGISTRATION)


class Registration(NamedTuple):
    """The registration. `release` is what was installed when it was made, `pin` what the host is held on.

    `key_imported`: the signing key was not trusted before. `reverted`: the administrator ran `repos revert`.
    `made_folder`: the folder of our state was not there before (the package has it, an image without the package has not).
    `machine` is the machine-id, hashed; empty where the host had none.
    """

    product: str
    family: str
    release: Release
    pin: Release
    architecture: str
    host_name: str
    registered_at: str
    repositories: Tuple[str, ...]
    signing_key: str
    key_imported: bool
    reverted: bool = False
    made_folder: bool = False
    machine: str = ''


class Kept(NamedTuple):
    """One file that we changed: as it was, and as we left it. `secret` ones keep no after-image."""

    path: str
    before: Optional[Image]
    after: Optional[Image]
    secret: bool


class RepositoryFile(NamedTuple):
    """A .repo file: `path` as dnf finds it, its image, its document."""

    path: str
    image: Image
    document: Document


class Facts(NamedTuple):
    """A host as it is now. `problems` tell why repository files cannot be changed; images are of the files that we own.

    `damage` tells what is wrong with our own record on a host that bears our signs; empty where nothing is. `registration`
    is None then, and `survivor` the one that could still be read, if any. `machine` is the machine-id, hashed; empty where there
    is none. `is_on_aws`: the machine says that it is an instance of EC2. `free_names`: where an edited file would be kept beside.
    `links`: symbolic links to files in the places of our own, and what they lead to.
    """

    root: str
    os_id: str
    os_title: str
    release: Optional[Release]
    version_id: str
    architecture: str
    host_name: str
    repository_files: Tuple[RepositoryFile, ...]
    problems: Tuple[Problem, ...]
    images: Dict[str, Optional[Image]]
    registration: Optional[Registration]
    kept: Tuple[Kept, ...]
    has_state_folder: bool
    damage: str = ''
    survivor: Optional[Registration] = None
    machine: str = ''
    is_on_aws: bool = False
    free_names: Mapping[str, str] = {}
    links: Mapping[str, str] = {}

    @property
    def is_sealed(self) -> bool:
        """Whether this is an image that registers at its first boot."""
        return self.images[SEALED] is not None and not self.is_registered

    @property
    def has_seal(self) -> bool:
        """Whether anything of a seal is here that no registration has followed: the key alone, too."""
        return self.is_sealed or self.images[FIRST_BOOT_KEY] is not None and not self.is_registered

    @property
    def is_a_copy(self) -> bool:
        """Whether the registration was made on another machine: this one was cloned from it."""
        made_on = self.registration.machine if self.registration else ''
        return bool(made_on) and made_on != self.machine  # none: a template made of a registered host

    @property
    def is_registered(self) -> bool:
        """Whether the host has our registration, what is left of it, or the vendor's tool's token."""
        return self.registration is not None or bool(self.damage) or self.images[TOKEN] is not None

    @property
    def by_vendors_tool(self) -> bool:
        """Whether the vendor's own tool set this host up: its signs are there and none of ours."""
        return self.registration is None and not self.damage and self.images[TOKEN] is not None

    def variable(self, path: str) -> str:
        """A dnf variable's value as dnf reads it: the first line; empty where there is none."""
        image = self.images[path]
        return '' if image is None else inifile.decode(image.data).split('\n', 1)[0]
