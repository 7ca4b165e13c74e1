# SPDX-License-Identifier: Apache-2.0
"""Files as JSON, for the journal and the before-images; and what of a file somebody has set since."""

import base64
from typing import Any, Dict, Optional

from tuxcare_lib.model import Image

_SET = ('mode', 'uid', 'gid', 'xattrs')
_LABEL = 'security.selinux'


def to_json(image: Optional[Image]) -> Optional[Dict[str, Any]]:
    """An image as JSON; bytes are base64."""
    if image is None:
        return None
    return {'data': base64.b64encode(image.data).decode('ascii'), 'mode': image.mode, 'uid': image.uid,
            'gid': image.gid, 'mtime_ns': image.mtime_ns,
            'xattrs': {name: base64.b64encode(value).decode('ascii') for name, value in image.xattrs}}


def from_json(document: Optional[Dict[str, Any]]) -> Optional[Image]:
    """The inverse of `to_json`. Raises KeyError, TypeError or ValueError where the document is not one."""
    if document is None:
        return None
    numbers = [document[name] for name in ('mode', 'uid', 'gid')]
    mtime = document['mtime_ns']
    if any(type(number) is not int or number < 0 for number in numbers) or numbers[0] > 0o7777 \
            or (mtime is not None and type(mtime) is not int):
        raise ValueError('a mode, an owner or a time is no number')
    xattrs = tuple((name, base64.b64decode(value, validate=True)) for name, value in sorted(document['xattrs'].items()))
    return Image(base64.b64decode(document['data'], validate=True), numbers[0], numbers[1], numbers[2], xattrs, mtime)


def as_set_since(before: Image, after: Image, now: Image) -> Image:
    """The before-image with what of mode, owner and attributes is neither `before`'s nor `after`'s now: somebody has set it.

    A file of ours that says nothing of an SELinux label has got its folder's.
    """
    label = tuple(attribute for attribute in now.xattrs if attribute[0] == _LABEL)
    known = (before, after, after._replace(xattrs=tuple(sorted(after.xattrs + label))))
    return before._replace(**{name: getattr(now, name) for name in _SET
                              if getattr(now, name) not in [getattr(image, name) for image in known]})
