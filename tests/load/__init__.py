# SPDX-License-Identifier: Apache-2.0
"""A fleet registers at once with a service that lets only so many through: `python3 -m tests.load`, or `make load`."""
