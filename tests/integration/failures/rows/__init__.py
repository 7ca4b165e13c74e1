# SPDX-License-Identifier: Apache-2.0
"""The rows, a module for each place where a registration fails."""
