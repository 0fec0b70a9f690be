"""The receipt of a withdrawal: what contained the person's answers, and that no promoted checkpoint does any more.

A receipt is the text that was signed, byte by byte (`Withdrawal.receipt`), and an Ed25519 signature of its UTF-8 bytes.
Anybody can check it with the site's public key: `manage.py verify_receipt`, or openssl (docs/operators.md).
"""

import base64
import hashlib
import json
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.consent import keys, registry
from annotation.core import journal
from annotation.core.errors import Conflict
from annotation.core.events import record
from annotation.core.locks import Lock, lock_until_commit
from annotation.core.withdrawals import successors
from annotation.models import DatasetRemoval, DatasetVersion, Project, User, Withdrawal

FORMAT = 1


def obstacles(withdrawal: Withdrawal) -> list[registry.Promoted]:
    """The promoted checkpoints that contain the person's answers: why no receipt can be given yet."""
    return [row for row in registry.promoted(withdrawal.project, withdrawal.dataset_ids) if row.contains]


def give_receipt(*, withdrawal: Withdrawal, actor: User | None) -> Withdrawal:
    """Sign and keep the receipt; the one that was given before where there is one. Raises Conflict, with what
    prevents it: a promoted checkpoint contains the answers, an erasure is not finished, consent was given again.
    """
    journal.seal(withdrawal.project_id)
    with transaction.atomic():
        # A promotion waits for the lock, and then finds what it may not promote.
        lock_until_commit(Lock.CONSENT, withdrawal.project_id)
        locked = Withdrawal.objects.select_for_update(of=("self",)).select_related("project", "person")
        withdrawal = locked.get(pk=withdrawal.pk)
        if withdrawal.receipt:
            return withdrawal
        if withdrawal.ended_at is not None:
            raise Conflict(_("Consent was given again: there is nothing to certify."))
        if withdrawal.is_erasing and withdrawal.files_removed_at is None:
            raise Conflict(_("Files are still being removed. Try again in a minute."))
        if found := obstacles(withdrawal):
            raise Conflict(" ".join(row.contains for row in found))
        withdrawal.receipted_at = timezone.now()
        withdrawal.public_key = keys.public_pem()
        content = json.dumps(content_of(withdrawal), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        withdrawal.receipt, withdrawal.signature = content, keys.sign(content.encode())
        withdrawal.save(update_fields=["receipt", "signature", "public_key", "receipted_at"])
        after = {"sha256": hashlib.sha256(content.encode()).hexdigest(), "key": keys.fingerprint(withdrawal.public_key)}
        record(verb="consent.receipt_given", target=withdrawal, actor=actor, project=withdrawal.project, after=after)
    return withdrawal


def content_of(withdrawal: Withdrawal) -> dict[str, Any]:
    """What the receipt says."""
    project, datasets = withdrawal.project, withdrawal.dataset_ids
    return {
        "konomi_receipt": FORMAT,
        "withdrawal": withdrawal.pk,
        "project": {"id": project.pk, "slug": project.slug, "name": project.name},
        "person": person_facts(withdrawal),
        "mode": withdrawal.mode,
        "withdrawn_at": moment(withdrawal.at),
        "erased_at": moment(withdrawal.erased_at),
        "answers": withdrawal.answers,
        "erased": withdrawal.erased,
        "datasets": dataset_facts(withdrawal),
        "trained": [{"kind": row.kind, **row.facts} for row in registry.trained_on(project, datasets)],
        "promoted": [row.facts for row in registry.promoted(project, datasets)],
        "statement": "no promoted checkpoint was trained, directly or by what it started from, on the datasets above",
        "events": head_of(project),
        "given_at": moment(withdrawal.receipted_at),
        "key_sha256": keys.fingerprint(withdrawal.public_key),
    }


def person_facts(withdrawal: Withdrawal) -> dict[str, Any]:
    """The person's id; with it their name, or a hash that they can show to be of their e-mail address."""
    person = withdrawal.person
    if withdrawal.named:
        return {"id": person.pk, "name": person.name, "email": person.email}
    return {"id": person.pk, "email_sha256": salted_hash(withdrawal)}


def salted_hash(withdrawal: Withdrawal) -> str:
    """sha256 of `<salt>:<e-mail address>`. The salt is shown to the person alone."""
    return hashlib.sha256(f"{withdrawal.salt}:{withdrawal.person.email}".encode()).hexdigest()


def dataset_facts(withdrawal: Withdrawal) -> list[dict[str, Any]]:
    newest = successors(withdrawal.dataset_ids)
    hashes = dict(DatasetVersion.objects.filter(pk__in=newest.values()).values_list("pk", "sha256"))
    removed = set(DatasetRemoval.objects.filter(dataset__in=withdrawal.dataset_ids).values_list("dataset", flat=True))
    return [
        {
            **row,
            "files_removed": row["dataset"] in removed,
            "superseded_by": {"dataset": newest[row["dataset"]], "sha256": hashes[newest[row["dataset"]]]}
            if row["dataset"] in newest
            else None,
        }
        for row in withdrawal.reached
    ]


def head_of(project: Project) -> dict[str, Any]:
    """The newest seal of the project's events: what `verify_events --heads` writes."""
    last = journal.seals_of(project.pk).order_by("-number").first()
    return {"seals": last.number, "sha256": last.sha256} if last else {"seals": 0, "sha256": ""}


def moment(at: Any) -> str | None:
    return at.isoformat(timespec="seconds") if at else None


def signature_bytes(withdrawal: Withdrawal) -> bytes:
    """The 64 bytes of the signature, as openssl reads them."""
    return base64.b64decode(withdrawal.signature)
