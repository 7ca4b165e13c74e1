# SPDX-License-Identifier: Apache-2.0
"""From facts to what has to change. Pure: no file, no network, no clock."""

import difflib
import re
from typing import Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from tuxcare_lib import host as places
from tuxcare_lib import inifile, messages, policy, registration, repofile
from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.enrolment import Enquiry, Enrolment
from tuxcare_lib.errors import (ConfigurationError, ConflictError, EntitlementError, HostError, Problem,
                                RepositoryFileError, StateError, UsageError)
from tuxcare_lib.host import Facts, Kept, Registration
from tuxcare_lib.model import Change, Family, Image, Product, Release, ReleaseEntry
from tuxcare_lib.pin import impossible, marker_line, pinned_release
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
        raise UsageError('There is no product {!r}.'.format(wish.product),
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
        raise UsageError('The pin cannot be {!r}.'.format(wish.pin), 'This host may be held on: {}.'.format(
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
    for file in facts.repository_files:
        text = repofile.switched(file.document, switch).render()
        if text != file.document.render():
            changes.append(Change(file.path, file.image, file.image._replace(
                data=inifile.encode(text), mtime_ns=None)))
    return changes


def switched_again(facts: Facts, catalogue: Catalogue, settings: Settings, record: Registration) -> List[Change]:
    """`repos switch` on a registered host: its files on the vetted trees again, and our record of them."""
    kept, changes = healed(facts, catalogue, settings)
    return changes + recorded(facts, record._replace(reverted=False), kept)


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
            kept[change.path] = Kept(change.path, change.before._replace(data=inifile.encode(community)), change.after, False)
        changes.append(change)
    return tuple(kept.values()), changes


def reverted_changes(facts: Facts, record: Registration) -> List[Change]:
    """`repos revert` on a registered host: the community's mirrors again, the registration stays and says so."""
    current = {file.path: file.image for file in facts.repository_files}
    changes = [Change(kept.path, current[kept.path], _restored(kept, current[kept.path]))
               for kept in facts.kept if kept.path in current and kept.path != places.TUXCARE_REPO]
    changes = [change for change in changes if change.before != change.after]
    return changes + (recorded(facts, record._replace(reverted=True), facts.kept) if changes else [])


def drift(facts: Facts) -> List[Change]:
    """Files in which our own lines were edited since: from as we left them to as they are (`after` None: gone)."""
    current = {file.path: file for file in facts.repository_files}
    found = []
    for kept in facts.kept:
        if kept.after is not None and kept.path.endswith('.repo') and kept.after != (
                current[kept.path].image if kept.path in current else None):
            ours = inifile.parse(inifile.decode(kept.after.data))
            if kept.path not in current or repofile.changed_marks(ours, current[kept.path].document):
                found.append(Change(kept.path, kept.after, current[kept.path].image if kept.path in current else None))
    return found


def recorded(facts: Facts, record: Registration, kept: Tuple[Kept, ...]) -> List[Change]:
    """Our own record, where it changes: the backup first, since the registration holds its digest."""
    backup = registration.render_backup(Backup(record, kept))
    changes = [_new(facts, places.BEFORE, backup, 0o600, secret=True),
               _new(facts, places.REGISTRATION, registration.render(record, backup))]
    return [change for change in changes if change.before != change.after]


def mended(facts: Facts, catalogue: Catalogue, settings: Settings) -> List[Change]:
    """What of a registration is missing or damaged, put back from what is whole: `recover` on a registered host.

    The record comes back from its backup or the backup from the record; variable, marker and tuxcare.repo from the record.
    Raises StateError where neither record nor backup can be read, or where they contradict the catalogue.
    """
    record = facts.registration or facts.survivor
    if record is None:
        raise StateError(facts.damage, messages.ANEW)
    document = policy.make(catalogue, settings)
    plain = {'product': record.product, 'family': record.family, 'release': str(record.release), 'pin': str(record.pin),
             'repositories': record.repositories}
    installed = (facts.release.major, facts.release.minor) if facts.release else None
    value = _whole_line(facts.images[places.RELEASEVER])
    found = impossible(plain, document)
    held = None if found else (pinned_release(plain, value, document, installed)
                               or pinned_release(plain, str(record.pin), document, installed))
    if held is None:
        raise StateError('The registration cannot be right: {}.'.format(
            found or 'this host is past {}'.format(record.pin)), messages.ANEW)
    changes = [_new(facts, places.RELEASEVER, '{}.{}\n'.format(*held).encode('ascii'))]
    family = catalogue.families[record.family]
    line = _whole_line(facts.images[places.MARKER]).partition('\n')[0]
    if line not in (marker_line(family.title, record.pin), marker_line(family.title, '{}.{}'.format(*held))):
        changes.append(_new(facts, places.MARKER, marker(family, record.pin)))
    changes += _own_repositories(facts, catalogue, settings, record)
    kept = facts.kept if facts.registration or facts.kept else _reconstructed(facts)
    return [change for change in changes if change.before != change.after] + recorded(facts, record, kept)


def _whole_line(image: Optional[Image]) -> str:
    """A variable as the guard reads it: anything behind its one line counts."""
    text = '' if image is None else inifile.decode(image.data)
    return text[:-1] if text.endswith('\n') else text


def _own_repositories(facts: Facts, catalogue: Catalogue, settings: Settings, record: Registration) -> List[Change]:
    """tuxcare.repo where it is gone, or is another product's; such a one is kept beside."""
    now = facts.images[places.TUXCARE_REPO]
    foreign = [entry.id for entry in catalogue.repositories if entry.proves not in ('', record.product)
               and now is not None and '[{}]'.format(entry.id) in inifile.decode(now.data)]
    if not foreign and (now is not None and now.data or not record.repositories):
        return []
    saved = [Change(places.TUXCARE_REPO + '.rpmsave', None, now)] if foreign else []
    if not record.repositories:
        return saved + [Change(places.TUXCARE_REPO, now, None)]
    return saved + [_new(facts, places.TUXCARE_REPO, tuxcare_repo(catalogue, settings, record.repositories))]


def _reconstructed(facts: Facts) -> Tuple[Kept, ...]:
    """The before-images where they are lost: our marked lines inverted; files that are ours alone had not been there."""
    found = [Kept(path, None, facts.images[path], path == places.TOKEN)
             for path in (places.TUXCARE_REPO, places.RELEASEVER, places.TOKEN, places.MARKER) if facts.images[path] is not None]
    for file in facts.repository_files:
        if repofile.is_ours(file.document) and file.path != places.TUXCARE_REPO:
            text = repofile.reverted(file.document).render()
            found.append(Kept(file.path, file.image._replace(data=inifile.encode(text), mtime_ns=None), file.image, False))
    return tuple(found)


def release_changes(facts: Facts, catalogue: Catalogue, record: Registration, target: Release) -> List[Change]:
    """The pin moved: the variable, the marker, our record."""
    family = catalogue.families[record.family]
    changes = [_new(facts, places.RELEASEVER, '{}\n'.format(target).encode('ascii')),
               _new(facts, places.MARKER, marker(family, target))]
    changes = [change for change in changes if change.before != change.after]
    return changes + recorded(facts, record._replace(pin=target), facts.kept)


def closes_esu(catalogue: Catalogue, record: Registration, target: Release) -> bool:
    """Whether a move leaves a release that ESU is available for, to one that it is not (FACTS 3: there is no way back)."""
    here, there = (catalogue.entry(record.family, release) for release in (record.release, target))
    return bool(here and 'esu' in here.products and not (there and 'esu' in there.products))


def registration_changes(facts: Facts, catalogue: Catalogue, settings: Settings, host: Supported,
                         outcome: Enrolment, when: str, key_imported: bool) -> List[Change]:
    """Every file that registering changes, our own record among them."""
    _check_pin(host, catalogue.products[outcome.product])
    changes = [_new(facts, places.SIGNING_KEY, outcome.signing_key)]
    changes += switch_changes(facts, catalogue, settings, outcome.trees)
    if outcome.repositories:
        changes.append(_new(facts, places.TUXCARE_REPO, tuxcare_repo(catalogue, settings, outcome.repositories)))
    changes += [
        _new(facts, places.RELEASEVER, '{}\n'.format(host.pin).encode('ascii')),
        _new(facts, places.TOKEN, (outcome.token.secret + '\n').encode('ascii'), 0o600, secret=True),
        _new(facts, places.MARKER, marker(host.family, host.pin)),
    ]
    changes = [change for change in changes if change.before != change.after]
    kept = tuple(Kept(change.path, None if change.secret else change.before, change.after, change.secret)
                 for change in changes)
    record = Registration(
        product=outcome.product, family=host.family.id, release=host.entry.release, pin=host.pin,
        architecture=facts.architecture, host_name=facts.host_name, registered_at=when,
        repositories=outcome.repositories, signing_key=settings.gpg_key_fingerprint, key_imported=key_imported,
        made_folder=not facts.has_state_folder)
    return changes + recorded(facts, record, kept)


def _new(facts: Facts, path: str, data: bytes, mode: int = 0o644, secret: bool = False) -> Change:
    before = facts.images[path]
    if before is not None and (before.data, before.mode, before.uid) == (data, mode, 0):
        return Change(path, before, before, secret)
    return Change(path, before, Image(data, mode), secret)


def marker(family: Family, release: Release) -> bytes:
    """/etc/tuxcare-release."""
    return (marker_line(family.title, release) + '\n').encode('ascii')


def tuxcare_repo(catalogue: Catalogue, settings: Settings, repositories: Sequence[str]) -> bytes:
    """The vendor's own repositories: those of the product that answered. The FIPS one waits for `fips enable`."""
    blocks = ['# Written by `dnf tuxcare register`; `dnf tuxcare unregister` removes it.\n']
    for entry in catalogue.repositories:
        if entry.id in repositories:
            blocks.append('\n'.join([
                '[{}]'.format(entry.id), 'name={}'.format(entry.title),
                'baseurl={}/{}'.format(settings.repo_url, entry.path),
                'enabled={:d}'.format(not entry.fips), 'gpgcheck=1', 'gpgkey=file://{}'.format(places.SIGNING_KEY)]
                + (['sslcacert={}'.format(settings.ca_file)] if settings.ca_file else [])) + '\n')
    return inifile.encode('\n'.join(blocks))


def unregistration_changes(facts: Facts) -> Tuple[List[Change], List[str]]:
    """The way back, three-way: (changes, notes). Raises ConflictError where a line of ours was edited."""
    changes: List[Change] = []
    notes: List[str] = []
    current = dict(facts.images)
    current.update({file.path: file.image for file in facts.repository_files})
    for kept in reversed(facts.kept):
        now = current.pop(kept.path, None)
        target = _restored(kept, now)
        if _is_edited(kept, now):
            changes.append(Change(kept.path + '.rpmsave', None, now))
            notes.append('{0} had been edited; the edited file is kept as {0}.rpmsave.'.format(kept.path))
        if target != now:
            changes.append(Change(kept.path, now, target, kept.secret))
    return changes + _without_before_image(facts, current, notes), notes


def _is_edited(kept: Kept, now: Optional[Image]) -> bool:
    """Whether a file that is ours alone, and goes, holds something of the administrator's."""
    if now is None or kept.before is not None or kept.after is None or now.data == kept.after.data:
        return False
    if kept.path == places.MARKER:
        return not re.match(br'TuxCare Enterprise Support for [\w ]+ release [0-9.]+\n\Z', now.data)
    return kept.path == places.TUXCARE_REPO


def _without_before_image(facts: Facts, current: Mapping[str, Optional[Image]], notes: List[str]) -> List[Change]:
    """What bears our signs and has no before-image: our marked lines are inverted, our own files removed, and it is said."""
    changes = []
    for file in facts.repository_files:
        if file.path in current and repofile.is_ours(file.document):
            text = repofile.reverted(file.document).render()
            changes.append(Change(file.path, file.image, file.image._replace(data=inifile.encode(text), mtime_ns=None)))
            notes.append('{}: there is no before-image; the lines marked by dnf tuxcare were inverted.'.format(file.path))
    for path in places.OWN_FILES:
        if current.get(path) is None:
            continue
        if path == places.SIGNING_KEY and facts.registration is None:
            notes.append('{} and the key in the rpm database stay: it is not known who put them there.'.format(path))
        elif path != places.SIGNING_KEY:
            changes.append(Change(path, current[path], None, path in (places.TOKEN, places.BEFORE)))
    return changes


def _restored(kept: Kept, now: Optional[Image]) -> Optional[Image]:
    """What a file becomes: its before-image where it is as we left it, else the administrator's file without our lines."""
    if now is None or kept.secret or kept.before is None or kept.after is None:
        return kept.before if now is not None else None
    metadata = now if (now.mode, now.uid, now.gid, now.xattrs) != (
        kept.after.mode, kept.after.uid, kept.after.gid, kept.after.xattrs) else kept.before
    if now.data == kept.after.data:
        return metadata._replace(data=kept.before.data, mtime_ns=kept.before.mtime_ns)
    if now.data == kept.before.data or not kept.path.endswith('.repo'):
        return now
    return metadata._replace(data=_inverted(kept, now), mtime_ns=None)


def _inverted(kept: Kept, now: Image) -> bytes:
    assert kept.after is not None
    document, ours = (inifile.parse(inifile.decode(image.data)) for image in (now, kept.after))
    changed = repofile.changed_marks(ours, document)
    if changed:
        raise ConflictError('{}: the lines of dnf tuxcare in [{}] were edited since.'.format(kept.path, changed[0]),
                            'Put them back as the diff shows, then run the command again.',
                            diff(kept.path, kept.after.data, now.data))
    return inifile.encode(repofile.reverted(document).render())


def diff(path: str, before: bytes, after: bytes) -> str:
    """A unified diff of a file."""
    old, new = (inifile.split_lines(inifile.decode(data).encode('utf-8', 'replace').decode('utf-8'))
                for data in (before, after))
    lines = list(difflib.unified_diff(old, new, path, path))
    return ''.join(line if line.endswith('\n') else line + '\n\\ No newline at end of file\n' for line in lines)


