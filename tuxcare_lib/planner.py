# SPDX-License-Identifier: Apache-2.0
"""From facts to what has to change. Pure: no file, no network, no clock."""

import difflib
import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from tuxcare_lib import host as places
from tuxcare_lib import cli, inifile, registration, repofile
from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.enrolment import Enquiry, Enrolment
from tuxcare_lib.errors import (ConfigurationError, EntitlementError, HostError, Problem,
                                RepositoryFileError, UsageError)
from tuxcare_lib.host import Facts, Kept, Registration
from tuxcare_lib.inifile import Document
from tuxcare_lib.model import Change, Family, Image, PackageSet, Product, Release, ReleaseEntry
from tuxcare_lib.pin import marker_line
from tuxcare_lib.registration import Backup
from tuxcare_lib.repofile import Switch, Tree
from tuxcare_lib.settings import Settings


class Wish(NamedTuple):
    """What the user asked of `register`."""

    product: Optional[str] = None
    pin: Optional[str] = None


class Supported(NamedTuple):
    """A host that may register: its family and release in the catalogue, the products offered, the pin."""

    family: Family
    entry: ReleaseEntry
    products: Tuple[Product, ...]
    pin: Release


def check_host(facts: Facts, catalogue: Catalogue, wish: Wish) -> Supported:
    """The guide's checks in its order: operating system, release, architecture. Raises HostError or UsageError."""
    family = catalogue.family_of(facts.os_id)
    if family is None or family not in catalogue.supported_families():
        raise HostError('This host runs {}, which is not supported.'.format(facts.os_title),
                        'Supported: {}.'.format(supported(catalogue)))
    if wish.product is not None and wish.product not in catalogue.products:
        raise UsageError('There is no product {!r}.'.format(cli.plain(wish.product)),
                         'Known products: {}.'.format(', '.join(sorted(catalogue.products))))
    entry = catalogue.entry(family.id, facts.release) if facts.release else None
    offered = [] if entry is None else [name for name in entry.products if wish.product in (None, name)]
    if entry is None or not offered:
        product = ' for ' + catalogue.products[wish.product].title if wish.product else ''
        raise HostError('Release {} of {} is not available{}.'.format(facts.version_id, family.title, product),
                        'Available: {}.'.format(supported(catalogue, wish.product)))
    if facts.architecture not in entry.architectures:
        raise HostError('The architecture {} is not supported.'.format(facts.architecture),
                        'Supported on {} {}: {}.'.format(family.title, entry.release, ', '.join(entry.architectures)))
    products = tuple(catalogue.products[name] for name in offered)
    pin = _pin(entry, wish, products)
    return Supported(family, entry, tuple(product for product in products if product.moves or pin == entry.release), pin)


def _pin(entry: ReleaseEntry, wish: Wish, products: Sequence[Product]) -> Release:
    if wish.pin is None:
        return entry.release
    pin = Release.parse(wish.pin)
    allowed = (entry.release,) + (entry.moves if any(product.moves for product in products) else ())
    if pin is None or pin not in allowed:
        raise UsageError('The pin cannot be {!r}.'.format(cli.plain(wish.pin)), 'This host may be held on: {}.'.format(
            ', '.join(str(release) for release in allowed)))
    return pin


def _check_pin(host: Supported, product: Product) -> None:
    """Raises UsageError where a product that never moves would be held on another release than the installed one (rule 2)."""
    if host.pin != host.entry.release and not product.moves:
        raise UsageError('{} holds a host on its own release, {}, and not on {}.'.format(
            product.title, host.entry.release, host.pin), 'Leave --pin out.')


def supported(catalogue: Catalogue, product: Optional[str] = None) -> str:
    """The releases that can register, for an error's remedy: `AlmaLinux 9.2 (ESU)`."""
    texts = []
    for name, entry_product in sorted(catalogue.products.items()):
        if product in (None, name):
            entries = catalogue.releases_of(name)
            texts.append('{} {} ({})'.format('/'.join(sorted({catalogue.families[entry.family].title for entry in entries})),
                                             ', '.join(str(entry.release) for entry in entries), entry_product.title))
    return '; '.join(texts)


def check_readable(facts: Facts) -> None:
    """Raises RepositoryFileError where a repository file cannot be changed safely; one line for all of them."""
    if facts.problems:
        raise RepositoryFileError('; '.join(str(problem) for problem in facts.problems) + '.',
                                  'Mend or move the file, then run the command again.')


def check_repositories(facts: Facts, catalogue: Catalogue, family: Family) -> Tuple[Tree, ...]:
    """The operating system's repositories. Raises RepositoryFileError where a file cannot be changed safely, or none is there."""
    check_readable(facts)
    families = tuple(catalogue.families.values())
    loose = [Problem(file.path, line, 'the URL {} names no release, so nothing could hold it on one'.format(url))
             for file in facts.repository_files for line, url in repofile.unpinnable(file.document, families)]
    if loose:
        raise ConfigurationError(loose, 'Name the release in it ($releasever), or remove the section.')
    found = tuple(tree for file in facts.repository_files for tree in repofile.trees(file.document, families))
    if not any(tree.family == family.id for tree in found):
        raise HostError('There is no repository file of {} below {}.'.format(
            family.title, facts.root.rstrip('/') + places.REPOSITORY_FOLDERS[0]),
            'Reinstall {}, or name a folder that holds an installed system.'.format(
                'almalinux-repos' if family.id == 'almalinux' else 'the release package'))
    return found


def enquiry(facts: Facts, catalogue: Catalogue, settings: Settings, host: Supported,
            trees: Iterable[Tree], wish: Wish, hinted: Optional[str]) -> Enquiry:
    """What the enrolment needs to know."""
    vetted = sorted({tree.name for tree in trees if tree.name and tree.enabled and tree.family == host.family.id})
    for name in (wish.product, hinted):
        if name is not None:
            _check_pin(host, catalogue.products[name])
    if hinted == 'esu' and wish.product not in (None, 'esu') and 'esu' in host.entry.products:
        raise EntitlementError('The key is for {} by its prefix, and --product says {}.'.format(
            catalogue.products['esu'].title, wish.product), 'Leave --product out, or give the other key.')
    if hinted == 'esu' and 'esu' not in {product.id for product in host.products}:
        raise EntitlementError('The key is for ESU, which is not available for {} {}.'.format(
            host.family.title, host.entry.release), 'Available: {}.'.format(supported(catalogue, 'esu')))
    return Enquiry(settings, host.family, host.pin, facts.architecture, facts.host_name, host.products,
                   wish.product, hinted, catalogue.repositories, tuple(vetted))


def switch_changes(facts: Facts, catalogue: Catalogue, settings: Settings,
                   served: Optional[Tuple[str, ...]] = None) -> List[Change]:
    """The operating system's repository files on the vetted trees; what is switched already does not change."""
    switch = Switch(settings.repo_url, tuple(catalogue.families.values()), served, settings.ca_file)
    changes = []
    wanted = held_set(facts, catalogue)
    for file in facts.repository_files:
        text = repofile.switched(file.document, switch).render()
        if text != file.document.render():
            text = _with_hold(file.path, inifile.parse(text), catalogue, settings, wanted) if wanted else text
            changes.append(Change(file.path, file.image, file.image._replace(
                data=inifile.encode(text), mtime_ns=None)))
    return changes


def held_set(facts: Facts, catalogue: Catalogue) -> Optional[PackageSet]:
    """The validated set that this host holds since `fips enable`; None where it holds none."""
    record = facts.registration
    if record is None or facts.images[places.FIPS_STATE] is None:
        return None
    return catalogue.package_set(record.family, record.pin, record.architecture)


def hold_changes(facts: Facts, catalogue: Catalogue, settings: Settings, wanted: Optional[PackageSet]) -> List[Change]:
    """The repository files with other builds of the validated set excluded and the FIPS repository enabled, and our record.

    Without a set: neither of that. So clients that load no plugin are held, too.
    """
    record = facts.registration
    if record is None:
        return []
    kept = {entry.path: entry for entry in facts.kept}
    changes = []
    for file in facts.repository_files:
        change = _edited(file.path, file.image, catalogue, settings, wanted)
        entry = kept.get(file.path)
        if entry is not None and entry.after is not None and not entry.secret:
            after = _edited(file.path, entry.after, catalogue, settings, wanted).after
            kept[file.path] = entry._replace(after=after)
        if change.before != change.after:
            changes.append(change)
    return changes + recorded(facts, record, tuple(kept.values()))


def _edited(path: str, image: Image, catalogue: Catalogue, settings: Settings, wanted: Optional[PackageSet]) -> Change:
    text = _with_hold(path, inifile.parse(inifile.decode(image.data)), catalogue, settings, wanted)
    data = inifile.encode(text)
    return Change(path, image, image if data == image.data else image._replace(data=data, mtime_ns=None))


def _with_hold(path: str, document: Document, catalogue: Catalogue, settings: Settings, wanted: Optional[PackageSet]) -> str:
    names = repofile.holding(document)  # also one whose address somebody has changed since
    document = repofile.unheld(document)
    if path == places.TUXCARE_REPO:
        document = _fips_repository(document, catalogue, wanted is not None)
        prefix, packages = '{}/tuxcare/'.format(settings.repo_url), [
            '{}-*-*.tuxcare.els*'.format(name) for name in (wanted.holds if wanted else ())]
    else:
        family = catalogue.families[wanted.family] if wanted else None
        prefix = '{}/{}/'.format(settings.repo_url, family.vetted_path if family else '')
        packages = list(wanted.holds) if wanted else []
    return repofile.held(document, prefix, packages, names).render() if packages else document.render()


def _fips_repository(document: Document, catalogue: Catalogue, enabled: bool) -> Document:
    """tuxcare.repo with the FIPS repository enabled or disabled; the service may have none."""
    names = {entry.id for entry in catalogue.repositories if entry.fips}
    value = '{:d}'.format(enabled)
    options = [section.option('enabled') for section in document.sections if section.name in names]
    return document.edited({option.start: ['enabled={}\n'.format(value)] for option in options
                            if option and option.value != value})


def switched_again(facts: Facts, catalogue: Catalogue, settings: Settings, record: Registration) -> List[Change]:
    """`repos switch` on a registered host: its files on the vetted trees again, and our record of them."""
    kept, changes = healed(facts, catalogue, settings)
    there = {file.path for file in facts.repository_files}.union(places.OWN_FILES)
    kept = tuple(entry for entry in kept if entry.path in there)  # what somebody removed since is not ours to bring back
    return changes + recorded(facts, record._replace(reverted=False), kept + _renamed(facts, catalogue, settings, kept))


def _renamed(facts: Facts, catalogue: Catalogue, settings: Settings, kept: Tuple[Kept, ...]) -> Tuple[Kept, ...]:
    """What is on the vetted trees under a name that is not in our record, in lines that we would write: it is kept, too."""
    known = {entry.path for entry in kept}
    files = {file.path: file for file in facts.repository_files if file.path not in known
             and repofile.is_ours(file.document) and not repofile.is_own_file(file.document)}
    community = tuple(file._replace(document=repofile.reverted(file.document)) for file in files.values())
    found = []
    for change in switch_changes(facts._replace(repository_files=community), catalogue, settings):
        document = files[change.path].document
        ours = inifile.parse(inifile.decode(change.after.data)) if change.after else document
        if change.before and repofile.added(document) <= repofile.added(ours):
            before = change.before._replace(data=inifile.encode(repofile.reverted(document).render()), mtime_ns=None)
            found.append(Kept(change.path, before, change.before, False))
    return tuple(found)


def unedited(facts: Facts, catalogue: Catalogue, settings: Settings) -> Set[str]:
    """Repository files in which each line of ours is as we would write it, whether the tree is served or not, held or not.

    For where our record is lost; of a file that is ours alone, by whatever name, every line counts.
    """
    files = {file.path: file._replace(document=repofile.unheld(file.document)) for file in facts.repository_files
             if repofile.is_ours(file.document)}
    community = facts._replace(repository_files=tuple(
        file._replace(document=repofile.reverted(file.document)) for file in files.values()))
    lines: Dict[str, Set[str]] = {}
    for served in (None, ()):
        for change in switch_changes(community, catalogue, settings, served):
            assert change.after is not None
            document = inifile.parse(inifile.decode(change.after.data))
            lines.setdefault(change.path, set()).update(repofile.added(document))
    return {path for path, file in files.items() if (
        _is_own_as_written(file.document, catalogue, settings) if repofile.is_own_file(file.document)
        else repofile.added(file.document) <= lines.get(path, set()))}


def _is_own_as_written(document: Document, catalogue: Catalogue, settings: Settings) -> bool:
    names = [section.name for section in document.sections]
    plain = _with_hold(places.TUXCARE_REPO, document, catalogue, settings, None)
    return inifile.encode(plain) == tuxcare_repo(catalogue, settings, names)


def healed(facts: Facts, catalogue: Catalogue, settings: Settings) -> Tuple[Tuple[Kept, ...], List[Change]]:
    """What has to be switched anew among the repository files of `facts`: (our record of all files, the changes)."""
    kept = {entry.path: entry for entry in facts.kept}
    changes = []
    for change in switch_changes(facts, catalogue, settings):
        known = kept.get(change.path)
        if known and known.after and change.before and known.before and known.before.data == change.before.data:
            change = change._replace(after=known.after)
        elif change.before:
            community = repofile.reverted(inifile.parse(inifile.decode(change.before.data))).render()
            kept[change.path] = Kept(change.path, change.before._replace(data=inifile.encode(community)),
                                     _as_left(known and known.after, change), False)
        changes.append(change)
    return tuple(kept.values()), changes


def _as_left(known: Optional[Image], change: Change) -> Optional[Image]:
    """A switched file for our record: a line of ours that somebody has edited is in it as we had left it, so it stays an edit."""
    if known is None or change.before is None or change.after is None:
        return change.after
    ours, before, after = (inifile.parse(inifile.decode(image.data)) for image in (known, change.before, change.after))
    names = set(repofile.changed_marks(ours, after)).difference(repofile.changed_marks(before, after))
    return change.after._replace(data=inifile.encode(repofile.with_sections_of(after, ours, sorted(names)).render()))


def recorded(facts: Facts, record: Registration, kept: Tuple[Kept, ...]) -> List[Change]:
    """Our own record, where it changes: the backup first, since the registration holds its digest."""
    backup = registration.render_backup(Backup(record, kept))
    changes = [file_change(facts, places.BEFORE, backup, 0o600, secret=True),
               file_change(facts, places.REGISTRATION, registration.render(record, backup))]
    return [change for change in changes if change.before != change.after]


def release_changes(facts: Facts, catalogue: Catalogue, record: Registration,
                    target: Release) -> Tuple[List[Change], List[str]]:
    """The pin moved: the variable, the marker, our record; and notes. What is not ours in the marker is kept beside it."""
    notes: List[str] = []
    now = facts.images[places.MARKER]
    changes = [_rewritten(facts, places.RELEASEVER, '{}\n'.format(target).encode('ascii'))]
    if now is not None and is_edited_marker(now):
        changes.append(kept_beside(facts, places.MARKER, now, notes))
    changes.append(_rewritten(facts, places.MARKER, marker(catalogue.families[record.family], target)))
    changes = [change for change in changes if change.before != change.after]
    return changes + recorded(facts, record._replace(pin=target), facts.kept), notes


def _rewritten(facts: Facts, path: str, data: bytes) -> Change:
    """A file of ours with other bytes; a mode and an owner that somebody has set stay."""
    before = facts.images[path]
    if before is None:
        return Change(path, None, Image(data, 0o644))
    return Change(path, before, before if before.data == data else before._replace(data=data, mtime_ns=None))


def is_edited_marker(image: Image) -> bool:
    """Whether /etc/tuxcare-release holds anything but a line of ours, of whatever release."""
    return not re.match(br'TuxCare Enterprise Support for [\w ]+ release [0-9.]+\n\Z', image.data)


def kept_beside(facts: Facts, path: str, edited: Optional[Image], notes: List[str]) -> Change:
    """An edited file that gives way, under a name beside it; the note says which."""
    name = facts.free_names.get(path, path + '.rpmsave')
    notes.append('{} had been edited; the edited file is kept as {}.'.format(path, name))
    return Change(name, None, edited)


def closes_esu(catalogue: Catalogue, family: str, release: Release, target: Release) -> bool:
    """Whether a move leaves a release that ESU is available for, to one that it is not (FACTS 3: there is no way back)."""
    here, there = (catalogue.entry(family, end) for end in (release, target))
    return bool(here and 'esu' in here.products and not (there and 'esu' in there.products))


def registration_changes(facts: Facts, catalogue: Catalogue, settings: Settings, host: Supported,
                         outcome: Enrolment, when: str, key_imported: bool) -> List[Change]:
    """Every file that registering changes, our own record among them."""
    _check_pin(host, catalogue.products[outcome.product])
    changes = [file_change(facts, places.SIGNING_KEY, outcome.signing_key)]
    changes += switch_changes(facts, catalogue, settings, outcome.trees)
    if outcome.repositories:
        changes.append(file_change(facts, places.TUXCARE_REPO, tuxcare_repo(catalogue, settings, outcome.repositories)))
    changes += [
        file_change(facts, places.RELEASEVER, '{}\n'.format(host.pin).encode('ascii')),
        file_change(facts, places.TOKEN, (outcome.token.secret + '\n').encode('ascii'), 0o600, secret=True),
        file_change(facts, places.MARKER, marker(host.family, host.pin)),
    ]
    # One that is so already is kept as well: it was there before, and stays.
    kept = tuple(Kept(change.path, None if change.secret else change.before, change.after, change.secret)
                 for change in changes)
    changes = [change for change in changes if change.before != change.after]
    record = Registration(
        product=outcome.product, family=host.family.id, release=host.entry.release, pin=host.pin,
        architecture=facts.architecture, host_name=facts.host_name, registered_at=when,
        repositories=outcome.repositories, signing_key=settings.gpg_key_fingerprint, key_imported=key_imported,
        made_folder=not facts.has_state_folder, machine=facts.machine)
    return changes + recorded(facts, record, kept)


def file_change(facts: Facts, path: str, data: bytes, mode: int = 0o644, secret: bool = False) -> Change:
    """A file of ours as it is to be; before and after are the same where it is so already."""
    before = facts.images[path]
    if before is not None and (before.data, before.mode, before.uid) == (data, mode, 0):
        return Change(path, before, before, secret)
    return Change(path, before, Image(data, mode), secret)


def marker(family: Family, release: Release) -> bytes:
    """/etc/tuxcare-release."""
    return (marker_line(family.title, release) + '\n').encode('ascii')


def tuxcare_repo(catalogue: Catalogue, settings: Settings, repositories: Sequence[str]) -> bytes:
    """The vendor's own repositories: those of the product that answered. The FIPS one waits for `fips enable`."""
    blocks = [repofile.OWN_HEAD + '; `dnf tuxcare unregister` removes it.\n']
    for entry in catalogue.repositories:
        if entry.id in repositories:
            blocks.append('\n'.join([
                '[{}]'.format(entry.id), 'name={}'.format(entry.title),
                'baseurl={}/{}'.format(settings.repo_url, entry.path),
                'enabled={:d}'.format(not entry.fips), 'gpgcheck=1', 'gpgkey=file://{}'.format(places.SIGNING_KEY)]
                + (['sslcacert={}'.format(settings.ca_file)] if settings.ca_file else [])) + '\n')
    return inifile.encode('\n'.join(blocks))


def diff(path: str, before: bytes, after: bytes) -> str:
    """A unified diff of a file."""
    old, new = (inifile.split_lines(inifile.decode(data).encode('utf-8', 'replace').decode('utf-8'))
                for data in (before, after))
    lines = list(difflib.unified_diff(old, new, path, path))
    return ''.join(line if line.endswith('\n') else line + '\n\\ No newline at end of file\n' for line in lines)


