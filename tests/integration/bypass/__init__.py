# SPDX-License-Identifier: Apache-2.0
"""Attempts to get a package from past 9.2 onto a host that is held there: rows of data, the ground they run on, their table.

`python3 -m tests.integration.bypass` runs them all and writes docs/bypasses.md.
"""
