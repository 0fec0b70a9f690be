"""Check the signature of a receipt."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.consent import keys
from annotation.core.errors import InvalidInput

MOST_BYTES = 64 << 20


class Command(BaseCommand):
    help = (
        "Check that a receipt of a withdrawal was signed by this site, and that not a byte of it was changed; exits "
        "with 1 where it was not. Without this site: openssl pkeyutl -verify -pubin -inkey public-key.pem -rawin -in "
        "receipt.json -sigfile receipt.sig"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("receipt", type=Path, metavar="FILE", help="the receipt (….json)")
        parser.add_argument(
            "--signature", type=Path, metavar="FILE", help="its signature; by default the .sig beside it"
        )
        parser.add_argument(
            "--key", type=Path, metavar="FILE", help="another public key, in PEM; by default this site's"
        )

    def handle(self, *args: Any, receipt: Path, signature: Path | None, key: Path | None, **options: Any) -> None:
        content = read(receipt)
        try:
            pem = read(key).decode("ascii", "replace") if key else keys.public_pem()
            valid = keys.is_signed(content, read(signature or receipt.with_suffix(".sig")), pem)
            fingerprint = keys.fingerprint(pem)
        except InvalidInput as error:
            raise CommandError(str(error)) from error
        if not valid:
            raise CommandError(
                f"{receipt} is not what the key {fingerprint[:16]}… signed: it, or its signature, was changed"
            )
        values = json.loads(content)
        self.stdout.write(f"{receipt}: signed by the key {fingerprint}, unchanged")
        about = f"withdrawal {values['withdrawal']} in {values['project']['slug']}"
        self.stdout.write(f"{about}, {values['mode']}, given {values['given_at']}")
        self.stdout.write(f"datasets that contained the answers: {len(values['datasets']):,}")
        for row in values["promoted"]:
            self.stdout.write(f"promoted: checkpoint {row['checkpoint']}, sha256 {row['sha256']}")


def read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
