# SPDX-License-Identifier: Apache-2.0
"""Refuses transactions on a registered host on which the plugin `tuxcare` is there and cannot be loaded: dnf itself logs that
and goes on. Where it was switched off on purpose (--disableplugin, its configuration) this one says nothing.
"""

import os
import sys

import dnf
import dnf.exceptions

_PLUGIN = 'dnf.plugin.dynamic.tuxcare'
_STATE = 'var/lib/tuxcare/registration.json'


class TuxcareSentinel(dnf.Plugin):
    """Two hooks, the last ones before anything is changed."""

    name = 'tuxcare-sentinel'

    def resolved(self) -> None:
        """The plan is made."""
        self._look()

    def pre_transaction(self) -> None:
        """rpm is about to run."""
        self._look()

    def _look(self) -> None:
        if getattr(sys.modules.get(_PLUGIN), 'IS_WHOLE', False):
            return
        if any(os.path.lexists(os.path.join(root, _STATE)) for root in (self.base.conf.installroot, '/')) and _is_damaged():
            raise dnf.exceptions.Error('tuxcare: the plugin cannot be loaded, and this host is registered. Run: '
                                       'dnf --disableplugin=tuxcare* reinstall dnf-plugin-tuxcare')


def _is_damaged() -> bool:
    """Whether the plugin's file is there and does not run to its end; one that does was switched off on purpose."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'tuxcare.py')
    if _PLUGIN in sys.modules or not os.path.exists(path):
        return _PLUGIN in sys.modules
    from importlib import util
    spec = util.spec_from_file_location('tuxcare_looked_at', path)
    try:
        module = util.module_from_spec(spec)  # as dnf does, the compiled file beside it included
        spec.loader.exec_module(module)
    except Exception:
        return True
    return not getattr(module, 'IS_WHOLE', False)
