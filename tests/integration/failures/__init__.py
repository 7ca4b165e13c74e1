# SPDX-License-Identifier: Apache-2.0
"""The ways in which `dnf tuxcare register` can fail: rows of data, the ground they run on, their table.

`python3 -m tests.integration.failures` runs them all and writes docs/errors.md.
"""
