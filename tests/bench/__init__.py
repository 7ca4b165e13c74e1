# SPDX-License-Identifier: Apache-2.0
"""What the plugin costs other dnf commands: `python3 -m tests.bench`, or `make bench`."""
