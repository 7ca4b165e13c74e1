# SPDX-License-Identifier: Apache-2.0
"""Installs the plugin, the library under it and their data. The RPM (rpm/dnf-plugin-tuxcare.spec) builds on it.

Runs with setuptools from 39 (EL 8) on, so the metadata is here and not in a pyproject.toml.
"""
import re
from pathlib import Path
from typing import List

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
# Read, not imported: a build has none of the dependencies.
VERSION = re.search("__version__ = ['\"](.+?)['\"]", (HERE / 'tuxcare_lib' / '__init__.py').read_text(encoding='utf-8'))
DESCRIPTION = HERE / 'README.md'


def data(*suffixes: str) -> List[str]:
    """The files of conf/ but the configuration, as paths relative to this folder: setuptools takes no other."""
    return sorted('conf/' + path.name for path in (HERE / 'conf').iterdir()
                  if path.suffix in suffixes and path.name != 'tuxcare.conf')


setup(
    name='dnf-plugin-tuxcare',
    version=VERSION.group(1),
    description='DNF plugin for TuxCare Enterprise Support for AlmaLinux',
    long_description=DESCRIPTION.read_text(encoding='utf-8') if DESCRIPTION.exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    platforms=['Linux'],
    keywords='dnf almalinux tuxcare fips extended-support',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Environment :: Console',
        'Intended Audience :: System Administrators',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3 :: Only',
        'Programming Language :: Python :: 3.6',
        'Programming Language :: Python :: 3.9',
        'Programming Language :: Python :: 3.12',
        'Topic :: System :: Installation/Setup',
        'Topic :: System :: Software Distribution',
    ],
    python_requires='>=3.6',
    # dnf itself is not on the package index: it comes with the operating system.
    install_requires=['requests', 'python-gnupg'],
    extras_require={
        'test': ['pytest', 'hypothesis'],
        'lint': ['ruff', 'mypy', 'types-requests', 'vermin'],
    },
    # dnf looks for plugins in <site-packages>/dnf-plugins: a folder of modules, though its name is no package's.
    packages=find_packages(include=['tuxcare_lib', 'tuxcare_lib.*']) + ['dnf-plugins'],
    # `install --root`, which the RPM uses, takes an absolute path as it is; a wheel cannot hold one outside its prefix.
    data_files=[
        ('/etc/dnf/plugins', ['conf/tuxcare.conf']),
        ('share/dnf-plugin-tuxcare', data('.conf')),
        ('/usr/lib/systemd/system', data('.service', '.timer')),
    ],
    zip_safe=False,
)
