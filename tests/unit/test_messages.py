# SPDX-License-Identifier: Apache-2.0
"""What a line tells to run, for the host below a root."""
import pytest

from tuxcare_lib import messages


@pytest.mark.parametrize('text, there', [
    (messages.SEALED_WITH_IDENTITY, 'Run: truncate -s 0 /mnt/image/etc/machine-id;'),
    ('Run: mv /var/lib/tuxcare/journal /root/tuxcare-journal; dnf tuxcare recover',
     'Run: mv /mnt/image/var/lib/tuxcare/journal /root/tuxcare-journal; dnf --installroot=/mnt/image tuxcare recover'),
    ('Run: chown 0:0 /etc/dnf/x; chmod 600 /etc/dnf/x', 'Run: chown 0:0 /mnt/image/etc/dnf/x; chmod 600 /mnt/image/etc/dnf/x'),
    ('Run: chmod go-w /mnt/image/etc', 'Run: chmod go-w /mnt/image/etc'),
    ('Run `dnf reinstall nettle-3.8`.', 'Run `dnf --installroot=/mnt/image reinstall nettle-3.8`.'),
    ('`dnf -y tuxcare recover`', '`dnf --installroot=/mnt/image -y tuxcare recover`')])
def test_a_command_is_for_the_host_that_it_is_about(text: str, there: str) -> None:
    assert there in messages.aimed(text, '/mnt/image') and messages.aimed(text, '/') == text
