# SPDX-License-Identifier: Apache-2.0
"""The rows, a module for each kind of way."""
