# SPDX-License-Identifier: Apache-2.0
"""Sentences that scripts match or that several verbs say. What only one place can say is said there."""

import re
import shlex
import unicodedata

# FACTS 5: the words of the vendor's own tool [guide]; scripts match them.
INSTALLED = 'TuxCare installed successfully'
ALREADY_REGISTERED = 'This server already has a TuxCare token installed'
DEREGISTERED = 'De-registration successful'
NOT_REGISTERED = 'Server is not registered'

REPLACE_HINT = 'To register it anew, run `dnf tuxcare register --replace`.'
PLAN_OF_FIPS = 'What --fips would do here, `dnf tuxcare fips enable --dry-run` shows.'
REGISTER_HINT = 'Register it with `dnf tuxcare register`.'
ANEW = 'Run `dnf tuxcare unregister --local`, and register again.'
RECOVER_HINT = 'Run `dnf tuxcare recover`.'
ENABLE_HINT = 'Run `dnf tuxcare fips enable`.'
REGISTER_FIPS_HINT = 'Register it with `dnf tuxcare register --fips`.'
KEPT = 'The next boot, of {kernel}, is in FIPS mode again.'
NOT_KEPT = 'The next boot, of {kernel}, is not in FIPS mode. ' + ENABLE_HINT
NOTHING_TO_DO = 'Nothing to do.'
DRY_RUN = 'Dry run: nothing was changed.'
REBOOT = 'A reboot is due: the host enters FIPS mode when it starts {kernel}.'
KEY_ON_COMMAND_LINE = ('A licence key on the command line can be seen by every user of this host while the command runs; '
                       '--license-key-file FILE (or -) or TUXCARE_LICENSE_KEY hide it.')
GO_ON = '{} Go on?'
LEAVES = 'This host leaves {}: the next `dnf upgrade` takes it to the newest minor release, which cannot be undone.'
CLOSES = ('A host that has left {} cannot come to {} any more without a reinstallation; '
          'once `dnf upgrade` has run, a move to {} cannot be undone.')
FIPS_LOOSE = ('FIPS mode stays on, and nothing holds the validated packages any more; '
              '`dnf tuxcare uninstall` is the clean way out.')
FIPS_WARNED = 'FIPS mode may not go well with what is told above. Go on?'
SEAT_RETURNED = 'The seat was given back.'
SEAT_OWED = 'The seat could not be given back; `dnf tuxcare recover` does it when the service answers.'
SEAT_TAKEN = 'The seat may still be taken at the service; the vendor can free it.'
SEAT_NOT_KNOWN = ('The service does not know the token (HTTP 404): the seat is free already, or unregister_url is not its '
                  'address and the seat may still be taken; the vendor can free it.')
SAME_TOKEN = 'The service answered with the token that this host had already, so its seat stays.'
SEAT_OPEN = 'The seat of a registration that was cut off may be taken.'
FORGETS = '`dnf tuxcare recover` forgets it.'
SEAT_UNKNOWN = 'A seat may be taken; `dnf tuxcare register` with the same key asks for it again, under the same name.'
SEAT_UNKNOWN_AWS = 'A seat may be taken; `dnf tuxcare register --aws` asks for it again, under the same name.'
ASKED_AGAIN = ('An earlier registration was not answered and is asked for again under the same name, {}. Where the service '
               'counts that twice, one seat may be taken in vain; the vendor can free it.')
OTHER_KEY = ('An earlier registration, of {}, was not answered and had another key, or none: '
             'its seat may be taken; the vendor can free it.')
ANOTHERS = 'A registration of {}, of which this host is a copy (its machine-id is another one), was cut off. '
COPY = 'This host is a copy of {0} (its machine-id is another one): this would give the seat of {0} back. Go on?'
COPY_REMEDY = 'With --local (`dnf tuxcare unregister --local`) that seat is left alone.'
COPIED = 'This host is a copy: it bears the registration of {}.'
COPIED_REMEDY = ('Run `dnf tuxcare unregister --local`, and register it by its own; where it is no copy, run '
                 '`dnf tuxcare register --replace` at a terminal.')
SEAT_OF_ORIGINAL = 'The seat stays with {}.'
RENAMED = 'This host is registered as {}, and its name is {}.'
RENAMED_REMEDY = 'Run `dnf tuxcare register --replace`; where it is a copy, `dnf tuxcare unregister --local`, and register it.'
SEALED = 'This image is sealed: it registers at its first boot, and installs nothing before.'
UNSEALED = 'The seal is removed: this host does not register by itself any more.'
IS_SEALED = 'This host is a sealed image, which registers at its first boot.'
SEALED_NEXT = 'Now shut it down, or unmount it, and copy it: each copy registers by itself when it boots.'
SEALED_FOR = 'Each copy registers for {}.'
SEALED_HINT = ('Copy it: each copy registers at its first boot. `dnf tuxcare register` does it here and now, '
               '`dnf tuxcare unregister` removes the seal.')
SEALED_WITHOUT_KEY = 'The licence key is to come into {file} (0600) or, by systemd, as the credential {credential}.'
SEALED_WITH_IDENTITY = ('The image has a machine-id, which all of its copies would share. Run: truncate -s 0 /etc/machine-id; '
                        'what else is to be one host\'s alone (ssh host keys) is for cloud-init or virt-sysprep.')
FIPS_LEAVE = ('FIPS mode is left, and nothing holds the validated packages any more: the next `dnf upgrade` replaces them by '
              'newer builds. Go on?')
FIPS_LEFT = 'FIPS mode is off from the next boot; boot loader and crypto policy are as before it. A reboot is due.'
FIPS_IS_OFF = 'FIPS mode is off; boot loader and crypto policy are as before it.'
FIPS_AS_BEFORE = ('Boot loader and crypto policy are as before `dnf tuxcare fips enable`, which was in FIPS mode, too; '
                  '`dnf tuxcare fips disable` once more leaves that.')
FIPS_PACKAGES_STAY = 'The validated packages stay; `dnf tuxcare fips disable --packages` puts the community\'s in their place.'
FIPS_PACKAGES_BACK = '{number} packages of the validated set were put back to the community\'s builds, or removed.'
FIPS_PACKAGES = '{number} packages of the validated set are replaced by the operating system\'s newest. Go on?'
FIPS_LEFT_FIRST = ('A kernel of TuxCare\'s is running, or is the only one, and cannot be removed. First {kernel} becomes the '
                   'default and FIPS mode is left; after a reboot `dnf tuxcare fips disable --packages` puts {number} packages '
                   'back. Go on?')
FIPS_LEFT_AGAIN = 'A reboot is due. Then run `dnf tuxcare fips disable --packages` again: it puts the packages back.'
DRIFT = ('This host is not held on {} any more: the next `dnf upgrade` takes it to the newest minor release, '
         'which cannot be undone.')
UNINSTALL_FIRST = ('A kernel of TuxCare\'s is running, or is the only one, and cannot be removed. First {kernel} becomes the '
                   'default and FIPS mode is left; after a reboot `dnf tuxcare uninstall` puts {number} packages back.')
UNINSTALL_THEN = 'It unregisters then, too.'
UNINSTALL_AGAIN = 'A reboot is due. Then run `dnf tuxcare uninstall{options}` again: it puts the packages back and unregisters.'
UNINSTALL_PACKAGES = '{number} packages of TuxCare\'s are replaced by the operating system\'s newest. Go on?'
UNINSTALL_SEAL = 'This image does not register at its first boot any more. Go on?'
UNINSTALLED = 'Of TuxCare\'s packages none is left; {number} were put back to the community\'s builds, or removed.'
TOKEN_LOST = '{} is missing or damaged, and the service alone has a token. ' + REPLACE_HINT
DROPPED = '{} was edited since; it is put right, and the edit is dropped.'
UNINSTALL_PLUGIN = 'The plugin itself goes with: dnf remove dnf-plugin-tuxcare'

_OF_DNF = re.compile(r'\bdnf (?=(?:-y )?(?:tuxcare|install|reinstall|distro-sync)\b)')
_OF_A_FILE = re.compile(r'\b(?:truncate -s 0|mv|chown \S+|chmod \S+) (?=/)')


def clean(text: str) -> str:
    """A text without what a terminal acts upon: control, format and lone surrogate characters. An image is anybody's work."""
    return text if text.isprintable() else ''.join(
        '\ufffd' if unicodedata.category(letter) in ('Cc', 'Cf', 'Cs') and letter not in '\n\t' else letter for letter in text)


def aimed(text: str, root: str) -> str:
    """A text whose commands are for the host below `root`: typed as they stand they would be for this machine."""
    if root == '/':
        return text
    there = shlex.quote(root)
    text = _OF_DNF.sub(lambda found: 'dnf --installroot={} '.format(there), text)
    return _OF_A_FILE.sub(lambda found: found.group() + ('' if text.startswith(there + '/', found.end()) else there), text)
