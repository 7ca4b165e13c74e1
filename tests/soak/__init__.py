# SPDX-License-Identifier: Apache-2.0
"""`make soak`: random sequences of verbs, other dnf commands, edits, kills and server faults; invariants after each step."""
