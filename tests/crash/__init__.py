# SPDX-License-Identifier: Apache-2.0
"""`make crash`: every changing verb dies, or is refused, at each of its changing system calls; then the host is looked at."""
