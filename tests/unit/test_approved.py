# SPDX-License-Identifier: Apache-2.0
"""Nothing of the product uses what FIPS 140-3 forbids: it runs on the hosts that it puts into FIPS mode."""

import ast
from typing import Iterator, Tuple

from tests.unit.test_imports import TREES

APPROVED = {'sha224', 'sha256', 'sha384', 'sha512', 'sha3_256', 'sha3_384', 'sha3_512', 'pbkdf2_hmac', 'new'}
FORBIDDEN = {'md4', 'md5', 'sha1', 'ripemd160', 'blake2b', 'blake2s', 'rc4', 'des', '3des', 'blowfish'}


def uses(tree: ast.AST) -> Iterator[str]:
    """What is taken out of hashlib and hmac, and every name of an algorithm in a text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ('hashlib', 'hmac'):
            yield node.attr
        elif isinstance(node, ast.ImportFrom) and node.module in ('hashlib', 'hmac'):
            yield 'from ' + node.module
        else:
            text = getattr(node, 'value', getattr(node, 's', None))  # Constant; Str before Python 3.8
            if isinstance(text, str) and text.lower().replace('-', '') in FORBIDDEN:
                yield text


def found(source: str) -> Tuple[str, ...]:
    return tuple(name for name in uses(ast.parse(source)) if name not in APPROVED)


def test_no_forbidden_algorithm() -> None:
    assert [(name, use) for name, tree in TREES for use in uses(tree) if use not in APPROVED] == []
    assert any(use == 'sha256' for _, tree in TREES for use in uses(tree))


def test_the_walk_sees_what_it_should() -> None:
    for source in ('import hashlib\nhashlib.md5()', 'from hashlib import md5', 'f("md5")', 'hashlib.new("MD5")', 'f(a="SHA-1")'):
        assert found(source), source
    assert found('hashlib.sha256(b"")') == ()
