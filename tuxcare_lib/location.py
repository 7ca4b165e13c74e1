# SPDX-License-Identifier: Apache-2.0
"""Where our data files are: beside the library in the source tree, below /usr/share where the package is installed."""

import os

_TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# A folder `conf` beside an installed library would be somebody else's: the plugin's folder beside it tells the source tree.
_IN_TREE = os.path.isfile(os.path.join(_TREE, 'setup.py')) and os.path.isdir(os.path.join(_TREE, 'conf'))

DATA = os.path.join(_TREE, 'conf') if _IN_TREE else '/usr/share/dnf-plugin-tuxcare'
CATALOGUE = os.path.join(DATA, 'catalogue.conf')
