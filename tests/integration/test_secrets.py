# SPDX-License-Identifier: Apache-2.0
"""The token has one home: whatever fails, however much is said, it is neither printed nor logged."""
import pytest

from tests.integration.outcome import places_of, register
from tests.sandbox.faults import CutBefore, Fault, Status
from tests.sandbox.host import Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service

TOKEN = "etc/dnf/vars/tuxcare_token"


@pytest.mark.parametrize("path", ["*repomd.xml", "*primary*", "*.rpm"])
@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_repository_that_fails(any_host: Host, service: Service, status: int, path: str) -> None:
    """dnf prints and logs the address of what failed, librepo logs every address (FACTS 7); the token is in them."""
    register(any_host)
    token = (any_host.root / TOKEN).read_text().strip()
    service.order(Fault(Status(status), path=path))
    for options in (["-d", "10"], []):
        done = any_host.dnf("-y", "--setopt=retries=1", *options, "upgrade")
        assert done.returncode == 1 and str(status) in done.stdout + done.stderr
        assert token not in done.stdout + done.stderr
    assert places_of(any_host, token, folders=("etc", "var", "root", "tmp", "run")) == [TOKEN]


@pytest.mark.parametrize("damage", ["etc/tuxcare-release", "etc/dnf/vars/tuxcare_releasever",
                                    "var/lib/tuxcare/registration.json"])
def test_a_damaged_host(host: Host, service: Service, damage: str) -> None:
    """Its repositories may be asked all the same, and the token is hidden whatever else is not whole."""
    register(host)
    token = (host.root / TOKEN).read_text().strip()
    (host.root / damage).unlink()
    for status in (None, 404):
        if status:
            service.order(Fault(Status(status), path="*repomd.xml"))
        done = host.dnf("-y", "-d", "10", "--setopt=retries=1", "--refresh", "upgrade")
        assert done.returncode == 1 and token not in done.stdout + done.stderr
    assert places_of(host, token, folders=("etc", "var", "root", "tmp", "run")) == [TOKEN]


@pytest.mark.parametrize("path", ["*/BaseOS/*repomd.xml", "*/esu/*repomd.xml"])
def test_a_registration_whose_probe_is_cut(host: Host, service: Service, path: str) -> None:
    """The token is in no file yet, and in the address; dnf logs an error with all that it carries."""
    service.order(Fault(CutBefore(), path=path))
    options = ["-d", "10", "--setopt=proxy=" + service.proxy.url]
    done = host.dnf(*options, "tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ESU_KEY})
    assert done.returncode == 1 and "broke off" in done.stderr
    (record,) = [record for record in service.requests if record.path.endswith("/token/unregister")]
    token = record.json()["token"]
    assert token not in done.stdout + done.stderr
    for secret in (token, ESU_KEY):
        assert places_of(host, secret, folders=("etc", "var", "root", "tmp", "run")) == []
