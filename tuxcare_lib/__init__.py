# SPDX-License-Identifier: Apache-2.0
"""TuxCare Enterprise Support for AlmaLinux: the library under `dnf tuxcare`.

    facts -> plan (pure) -> apply (journaled) -> report

Importing this package costs nothing: every module is imported where it is needed.
"""

__version__ = '0.1.0'
