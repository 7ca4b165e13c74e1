# SPDX-License-Identifier: Apache-2.0
"""A make-believe AlmaLinux world: real signed RPMs, the vendor's services on loopback, hosts on which real dnf runs."""
