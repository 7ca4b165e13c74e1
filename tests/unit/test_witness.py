# SPDX-License-Identifier: Apache-2.0
"""What the guard spells by itself, so that no dnf command pays for more modules, is what the rest of the library says."""

from tuxcare_lib import host, journal, messages, witness


def test_paths_and_remedies_are_those_of_the_library() -> None:
    assert (witness._STATE, witness._BACKUP, witness._JOURNAL) == (host.REGISTRATION, host.BEFORE, journal._OPEN)
    assert (witness._TOKEN, witness._RELEASEVER, witness._MARKER, witness._OWN_REPOSITORIES) == (
        host.TOKEN, host.RELEASEVER, host.MARKER, host.TUXCARE_REPO)
    assert (witness._SEALED, witness._FIPS) == (host.SEALED, host.FIPS_STATE)
    assert (witness._RECOVER, witness._ANEW) == (messages.RECOVER_HINT, messages.ANEW)
    assert '`dnf tuxcare register --replace`' in witness._REPLACE and '`dnf tuxcare register --replace`' in messages.REPLACE_HINT
