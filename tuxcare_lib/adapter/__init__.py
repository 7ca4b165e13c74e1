# SPDX-License-Identifier: Apache-2.0
"""Everything that we know of dnf: the only part of the library that imports it."""
