# SPDX-License-Identifier: Apache-2.0
"""The token has one home: whatever fails, however much is said, it is neither printed nor logged."""
from typing import List, Set

import pytest

from tests.integration.conftest import Hosts
from tests.integration.outcome import is_done, places_of, refused, register, untouched
from tests.sandbox import template
from tests.sandbox.faults import CutBefore, Fault, Status
from tests.sandbox.host import Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service

TOKEN = "etc/dnf/vars/tuxcare_token"


@pytest.mark.registered
@pytest.mark.parametrize("path", ["*repomd.xml", "*primary*", "*.rpm"])
@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_repository_that_fails(any_host: Host, service: Service, status: int, path: str) -> None:
    """dnf prints and logs the address of what failed, librepo logs every address (FACTS 7); the token is in them."""
    token = (any_host.root / TOKEN).read_text().strip()
    service.order(Fault(Status(status), path=path))
    for options in (["-d", "10"], []):
        done = any_host.dnf("-y", "--setopt=retries=1", *options, "upgrade")
        assert done.returncode == 1 and str(status) in done.stdout + done.stderr
        assert token not in done.stdout + done.stderr
    assert places_of(any_host, token, folders=("etc", "var", "root", "tmp", "run")) == [TOKEN]


API = """
import logging, sys, dnf
if sys.argv[1:]:
    logging.basicConfig(level=1)
base = dnf.Base()
base.init_plugins()
base.pre_configure_plugins()
base.read_all_repos()
base.configure_plugins()
base.fill_sack()
"""


@pytest.mark.registered
@pytest.mark.parametrize("logs", [[], ["logs"]])
def test_a_program_without_dnfs_own_logs(hosts: Hosts, service: Service, logs: List[str]) -> None:
    """Ansible's module has none: Python writes what is said to standard error. Others have handlers of their own."""
    host = hosts.slash()
    token = (host.root / TOKEN).read_text().strip()
    service.order(Fault(Status(500), path="*repomd.xml"))
    done = host.run(["/usr/bin/python3", "-", *logs], stdin=API)
    assert done.returncode == 1 and "500 for https" in done.stderr and token not in done.stdout + done.stderr


@pytest.mark.registered
@pytest.mark.parametrize("damage", ["etc/tuxcare-release", "etc/dnf/vars/tuxcare_releasever",
                                    "var/lib/tuxcare/registration.json"])
def test_a_damaged_host(host: Host, service: Service, damage: str) -> None:
    """Its repositories may be asked all the same, and the token is hidden whatever else is not whole."""
    token = (host.root / TOKEN).read_text().strip()
    (host.root / damage).unlink()
    for status in (None, 404):
        if status:
            service.order(Fault(Status(status), path="*repomd.xml"))
        done = host.dnf("-y", "-d", "10", "--setopt=retries=1", "--refresh", "upgrade")
        assert done.returncode == 1 and token not in done.stdout + done.stderr
    assert places_of(host, token, folders=("etc", "var", "root", "tmp", "run")) == [TOKEN]


@pytest.mark.registered
@pytest.mark.parametrize("damage", ["a blank", "a second line", "a link", "everybody's", "another in the environment"])
def test_a_damaged_token(host: Host, service: Service, damage: str) -> None:
    """It is refused, and dnf asks with what there is of it all the same."""
    path = host.root / TOKEN
    token = path.read_text().strip()
    path.write_text(token + {"a blank": " \n", "a second line": "\nmore\n"}.get(damage, "\n"))
    path.chmod(0o666 if damage == "everybody's" else 0o600)
    if damage == "a link":
        path.rename(host.root / "root/token")
        path.symlink_to(host.root / "root/token")
    env = {"DNF_VAR_tuxcare_token": "another-" + token} if "environment" in damage else {}
    service.order(Fault(Status(404), path="*repomd.xml"))
    done = host.dnf("-y", "-d", "10", "--setopt=retries=1", "--refresh", "upgrade", env=env)
    assert done.returncode == 1 and "404" in done.stdout and token not in done.stdout + done.stderr
    found = places_of(host, token, folders=("etc", "var", "root", "tmp", "run"))
    assert found == ["root/token" if damage == "a link" else TOKEN]


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


# --- where it is not put ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["etc/dnf", "etc/dnf/vars", "var/lib", "var/lib/tuxcare"])
def test_a_folder_that_others_can_write_gets_no_token(host: Host, service: Service, place: str) -> None:
    """Nor do the journal and the seat file get one there: who can replace them says what root is to write."""
    (host.root / place).mkdir(exist_ok=True)
    (host.root / place).chmod(0o777)
    with untouched(host, service):
        refused(host.dnf("tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ESU_KEY}), "/" + place, "chmod go-w")
    assert service.requests == []


def test_a_folder_that_others_can_write_gets_no_key(host: Host) -> None:
    (host.root / "var/lib/tuxcare").mkdir()
    (host.root / "var/lib/tuxcare").chmod(0o777)
    with untouched(host):
        done = host.dnf("tuxcare", "register", "--seal", env={"TUXCARE_LICENSE_KEY": ESU_KEY})
        refused(done, "/var/lib/tuxcare", "licence key")


def test_a_folder_that_is_somebody_elses_gets_no_token(slash_host: Host, service: Service) -> None:
    is_done(slash_host.run(["chown", template.USER, "/etc/dnf/vars"]))
    with untouched(slash_host, service):
        refused(slash_host.dnf("tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ESU_KEY}), "/etc/dnf/vars", "chown root")
    assert service.requests == []


@pytest.mark.parametrize("target", ["../../../tmp/elsewhere", "/home/user/there"])
def test_the_token_is_written_through_no_link(host: Host, service: Service, target: str) -> None:
    (host.root / TOKEN).symlink_to(target)
    with untouched(host, service):
        refused(host.dnf("tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ESU_KEY}), "/" + TOKEN, "symbolic link")
    assert service.requests == []


# --- dnf's caches -------------------------------------------------------------------------------------------------


def caches(host: Host) -> Set[str]:
    """The folders of repositories in dnf's cache."""
    return {path.name for path in (host.root / "var/cache/dnf").iterdir() if path.is_dir()}


def test_caches_go_with_the_token(slash_host: Host, service: Service) -> None:
    """Those of other repositories stay, of the community's of the same name, too."""
    host = slash_host
    (host.root / "etc/yum.repos.d/site.repo").write_text(
        "[example]\nname=Example\nbaseurl=%s/thirdparty/9/x86_64/\ngpgcheck=0\n" % service.url)
    is_done(host.dnf("makecache"))
    others = caches(host)
    assert {name.rpartition("-")[0] for name in others} >= {"baseos", "appstream", "example"}

    register(host)
    is_done(host.dnf("makecache"))
    old = caches(host) - others
    ours = {name for name in old if name.startswith("tuxcare-base-")}  # its address holds no token
    assert {name.rpartition("-")[0] for name in old} >= {"baseos", "appstream", "tuxcare-esu"}
    service.order(Fault(Status(403), path="*repomd.xml"))
    assert host.dnf("tuxcare", "register", "--replace", env={"TUXCARE_LICENSE_KEY": ESU_KEY}).returncode == 1
    service.cancel_faults()
    assert caches(host) >= old
    register(host, "--replace")
    assert caches(host) == others | ours

    is_done(host.dnf("makecache"))
    assert len(caches(host) - others) == len(old)
    is_done(host.dnf("-y", "tuxcare", "uninstall"))
    assert caches(host) == others | ours
