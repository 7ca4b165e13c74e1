# SPDX-License-Identifier: Apache-2.0
"""A sealed image: it holds no token and no seat, and knows how to register at its first boot. Pure.

/var/lib/tuxcare/sealed.json     what was asked for; readable by all, no secret in it
/var/lib/tuxcare/first-boot.key  the licence key, 0600, where it does not come by a credential; gone once the host is registered
"""

import json
from typing import List, NamedTuple, Optional

from tuxcare_lib import host as places
from tuxcare_lib.errors import StateError
from tuxcare_lib.host import Facts
from tuxcare_lib.model import Change, Image, LicenceKey

SCHEMA = 1


class Seal(NamedTuple):
    """What `register` is to do at the first boot; None where the service decides. `made_folder` as in a registration.

    `aws`: by the identity of the instance that boots, without a key.
    """

    product: Optional[str]
    pin: Optional[str]
    made_folder: bool = False
    aws: bool = False


def render(seal: Seal) -> bytes:
    """sealed.json's bytes."""
    return (json.dumps(dict(seal._asdict(), schema=SCHEMA), indent=1, sort_keys=True) + '\n').encode('ascii')


def parse(facts: Facts) -> Optional[Seal]:
    """The seal; None where there is none. Raises StateError for a damaged one."""
    image = facts.images[places.SEALED]
    if image is None:
        return None
    try:
        document = json.loads(image.data.decode('utf-8'))
        StateError.check_schema(places.SEALED, document.pop('schema'), SCHEMA)
        found = Seal(**document)
        if not all(value is None or isinstance(value, str) for value in found[:2]) or not all(
                isinstance(value, bool) for value in found[2:]):
            raise ValueError('another type')
        return found
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StateError('{} is damaged.'.format(places.SEALED), 'Run `dnf tuxcare unregister`, and seal the image again.')


def changes(facts: Facts, seal: Seal, key: Optional[LicenceKey]) -> List[Change]:
    """The files of a seal; where no key is given, one that is there stays, but not beside the identity of an instance."""
    found = [Change(places.SEALED, facts.images[places.SEALED], Image(render(seal), 0o644))]
    if key is not None or seal.aws:
        image = Image((key.secret + '\n').encode('ascii'), 0o600) if key else None
        found.append(Change(places.FIRST_BOOT_KEY, facts.images[places.FIRST_BOOT_KEY], image, True))
    return [change for change in found if (change.before or ())[:2] != (change.after or ())[:2]]


def broken(facts: Facts) -> List[Change]:
    """The files of a seal removed, the key first; nothing where there is none."""
    return [Change(path, facts.images[path], None, path == places.FIRST_BOOT_KEY)
            for path in (places.FIRST_BOOT_KEY, places.SEALED) if facts.images[path] is not None]
