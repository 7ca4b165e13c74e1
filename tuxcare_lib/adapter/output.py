# SPDX-License-Identifier: Apache-2.0
"""What `dnf tuxcare` prints: lines through dnf's logger, or exactly one JSON document on standard output."""

import atexit
import logging
import os
import sys
from typing import Any, Dict, Optional

from tuxcare_lib import messages, report
from tuxcare_lib.errors import TuxcareError
from tuxcare_lib.model import Report

logger = logging.getLogger('dnf')

# Python's own, where it cannot write at its end.
_UNWRITTEN = 120
_OF_A_DIFF = ('+', '-', '@')


class Output:
    """One command's output. With `json`, whatever else is printed, by dnf too, goes to standard error."""

    def __init__(self, json: bool, command: str, root: str) -> None:
        self._root = root
        self.json = json
        self._command = command
        self._document: Dict[str, Any] = {}
        if json:
            sys.stdout.flush()
            self._descriptor = os.dup(1)
            os.dup2(2, 1)
            self._last = _LastError()
            logger.addHandler(self._last)
            atexit.register(self._write)

    def report(self, result: Report) -> None:
        """A result. Of two (registering, then FIPS) one document is made: the later one stands in it by its name."""
        for warning in result.warnings:
            logger.warning(messages.clean(warning))
        if self.json:
            self._take(result.document)
            return
        changes = result.document.get('changed') is not None
        for line in map(messages.clean, result.lines):
            if changes:
                logger.info(line)  # dnf's -q silences it, and dnf's log has it
            else:
                sys.stdout.write((line if line[:1] in _OF_A_DIFF else messages.aimed(line, self._root)) + '\n')

    def error(self, error: TuxcareError) -> None:
        """An error's document; the line itself is said by whoever ends the command."""
        sys.stderr.write(messages.clean(getattr(error, 'diff', '')))
        if self.json:
            self._take(report.error_document(error, self._command))

    def _take(self, document: Dict[str, Any]) -> None:
        first = self._document
        if first and 'error' not in document:
            changed = bool(first.get('changed') or document.get('changed'))
            document = dict(first, fips=document, changed=changed, exit_status=document['exit_status'])
        elif first:
            document = dict(first, **document)
        self._document = document

    def _write(self) -> None:
        """At the very end, since dnf itself may have ended the command: then its last error is the document's."""
        document = self._document
        if self._last.text is not None and 'error' not in document:
            failure = report.error_document(TuxcareError(self._last.text), self._command)
            document = dict(document, **failure)
        try:
            with os.fdopen(self._descriptor, 'w', encoding='ascii') as stream:
                stream.write(report.to_json(report.aimed(document, self._root)))
        except OSError as error:
            sys.stderr.write('Error: The JSON document cannot be written: {}.\n'.format(os.strerror(error.errno or 0)))
            sys.stderr.flush()
            os._exit(_UNWRITTEN)  # no exception of an atexit function changes the status


class _LastError(logging.Handler):
    """Remembers the last error that dnf said."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text: Optional[str] = None

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self.text = text[len('Error: '):] if text.startswith('Error: ') else text
