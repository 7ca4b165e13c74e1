# SPDX-License-Identifier: Apache-2.0
"""The product on real dnf, rpm, gpg and HTTPS: whole commands on make-believe hosts."""
