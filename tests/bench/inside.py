# SPDX-License-Identifier: Apache-2.0
"""Runs dnf in this process with a clock around the plugin's import and each of its hooks; started inside the measured host.

    python3 inside.py RESULT plain|primed ARGUMENT…

`primed` makes a query of one name before the clock of the sack hook starts: the first query of a sack makes libdnf's indexes,
and a hook that asks first is charged with them by a clock, though dnf itself would make them a moment later.

RESULT gets JSON: cpu and wall ({what: milliseconds}; a hook that runs twice has its sum), total (milliseconds of CPU time of
the whole process, the interpreter's start included), modules (the names in sys.modules at the end) and status.
"""

import importlib
import json
import os
import resource
import sys
import time
from typing import Any, Callable, Dict

import dnf
import dnf.cli.main
import dnf.plugin

_HOOKS = ("pre_config", "config", "sack", "resolved", "pre_transaction", "transaction")
_cpu: Dict[str, float] = {}
_wall: Dict[str, float] = {}


def main() -> None:
    result, mode = sys.argv[1:3]
    sys.argv = ["dnf"] + sys.argv[3:]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    _watch_import(mode == "primed")
    try:
        status = dnf.cli.main.user_main(sys.argv[1:], exit_code=False)
    except SystemExit as end:
        status = end.code
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open(result, "w", encoding="utf-8") as stream:
        json.dump({"cpu": _cpu, "wall": _wall, "total": 1000 * (used.ru_utime + used.ru_stime), "modules": sorted(sys.modules),
                   "status": status}, stream)


def _clocked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            _cpu[name] = _cpu.get(name, 0.0) + 1000 * (time.process_time() - cpu)
            _wall[name] = _wall.get(name, 0.0) + 1000 * (time.perf_counter() - wall)
    return timed


def _watch_import(is_primed: bool) -> None:
    """dnf imports all plugins in one call; what it finds there is clocked from then on."""
    import_modules = _clocked("import", dnf.plugin._import_modules)

    def watched(*args: Any) -> None:
        import_modules(*args)
        for plugin in dnf.Plugin.__subclasses__():
            if plugin.name == "tuxcare":
                _watch_hooks(plugin, is_primed)
            elif plugin.name == "tuxcare-sentinel":
                plugin.resolved = _clocked("resolved", plugin.resolved)
    dnf.plugin._import_modules = watched


def _watch_hooks(plugin: Any, is_primed: bool) -> None:
    for name in ("__init__",) + _HOOKS:
        setattr(plugin, name, _clocked(name, getattr(plugin, name)))
    plugin.pre_config = _imported(plugin.pre_config)
    plugin.read_config = classmethod(_clocked("read_config", plugin.read_config.__func__))
    if is_primed:
        plugin.sack = _primed(plugin.sack)


def _imported(hook: Callable[..., Any]) -> Callable[..., Any]:
    """The first hook imports the guard on a registered host: that is import, and not the hook's own work."""
    load = _clocked("import", importlib.import_module)

    def pre_config(plugin: Any) -> None:
        load("tuxcare_lib.adapter.guard")
        hook(plugin)
    return pre_config


def _primed(hook: Callable[..., Any]) -> Callable[..., Any]:
    def sack(plugin: Any) -> None:
        len(plugin.base.sack.query().filter(name="bash"))
        hook(plugin)
    return sack


if __name__ == "__main__":
    main()
