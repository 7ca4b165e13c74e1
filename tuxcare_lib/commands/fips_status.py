# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare fips status`: what runs and what is installed, against what is validated."""

from tuxcare_lib import boot, evidence, facts as gathering, messages, proof, report
from tuxcare_lib.commands import Context
from tuxcare_lib.model import Report


def run(context: Context) -> Report:
    """Exit status 0 where all is as it should be, 3 off and not registered, 4 where something is to be attended to."""
    facts = gathering.gather(context.root, context.architecture)
    found = evidence.find(context.root, context.catalogue, context.settings.gpg_key_fingerprint, facts, boot.read(context.root))
    judged = proof.judge(found)
    status = judged.status(facts.is_registered)
    rows = proof.rows(found, judged) + ([] if facts.is_registered else [('Registered', 'no. ' + messages.REGISTER_HINT)])
    document = dict(proof.document(found, judged), command='fips status', exit_status=status, registered=facts.is_registered)
    return Report(report.table([row for row in rows if row[1]]), document, status)
