"""Withdraw a person's consent in a project, and sign the receipt."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.consent import registry
from annotation.consent.receipts import give_receipt, obstacles, signature_bytes
from annotation.consent.withdrawals import finish_all, withdraw
from annotation.core.errors import DomainError
from annotation.core.withdrawals import successors, withdrawal_of
from annotation.models import Project, User, Withdrawal


class Command(BaseCommand):
    help = (
        "Withdraw a person's consent in a project: they leave it, and their answers are excluded, or erased with the "
        "files of datasets that contain them. Lists what contains the answers. With --receipt, sign and write the "
        "receipt of a withdrawal; exits with 1 while a promoted checkpoint contains the answers."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", metavar="SLUG", help="the project's slug")
        parser.add_argument("--person", metavar="EMAIL", help="the person's e-mail address")
        parser.add_argument("--erase", action="store_true", help="erase the answers; they cannot be restored")
        parser.add_argument("--note", default="", help="how the person asked for it, for the record")
        parser.add_argument("--named", action="store_true", help="write the person's name into the receipt")
        parser.add_argument(
            "--receipt", type=Path, metavar="FILE", help="write the receipt, and beside it FILE's .sig and .pem"
        )
        parser.add_argument(
            "--finish",
            action="store_true",
            help="finish erasures that were interrupted, as the worker does every minute",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["finish"]:
            self.stdout.write(f"withdrawals that had something left to erase: {finish_all():,}")
            return
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"there is no project {options['project']!r}: name one with --project")
        person = User.objects.filter(email__iexact=options["person"] or "").first()
        if person is None:
            raise CommandError(f"there is no account {options['person']!r}: name one with --person")
        try:
            if options["receipt"]:
                self.write_receipt(project, person, options["receipt"])
                return
            mode = Withdrawal.Mode.ERASE if options["erase"] else Withdrawal.Mode.EXCLUDE
            withdrawal = withdraw(
                project=project,
                person=person,
                mode=mode,
                actor=None,
                confirmation=person.email,
                note=options["note"],
                named=options["named"],
            )
        except DomainError as error:
            raise CommandError(str(error)) from error
        done = "erased" if withdrawal.is_erasing else "excluded"
        self.stdout.write(f"withdrawal {withdrawal.pk}: {withdrawal.answers:,} answers {done}")
        for name, count in withdrawal.erased.items():
            self.stdout.write(f"erased: {name}: {count:,}")
        self.report(withdrawal)

    def report(self, withdrawal: Withdrawal) -> None:
        newest = successors(withdrawal.dataset_ids)
        for row in withdrawal.reached:
            instead = f", superseded by dataset {newest[row['dataset']]}" if row["dataset"] in newest else ""
            self.stdout.write(f"contains them: dataset {row['dataset']} ({row['sha256'][:16]}…){instead}")
        for trained in registry.trained_on(withdrawal.project, withdrawal.dataset_ids):
            instead = f", superseded by {trained.superseded}" if trained.superseded else ""
            self.stdout.write(f"contains them: {trained.name} ({trained.state}){instead}")
        if withdrawal.is_erasing:
            for sentence in registry.remaining(withdrawal.project, withdrawal.dataset_ids):
                self.stdout.write(f"remains: {sentence}")
        for obstacle in obstacles(withdrawal):
            self.stdout.write(f"no receipt yet: {obstacle.contains}")

    def write_receipt(self, project: Project, person: User, path: Path) -> None:
        withdrawal = withdrawal_of(project, person)
        if withdrawal is None:
            raise CommandError(f"{person.email} has not withdrawn consent in {project.slug}")
        withdrawal = give_receipt(withdrawal=withdrawal, actor=None)
        contents = {
            path: withdrawal.receipt.encode(),
            path.with_suffix(".sig"): signature_bytes(withdrawal),
            path.with_suffix(".pem"): withdrawal.public_key.encode(),
        }
        if len(contents) < 3:
            raise CommandError(f"{path} would be overwritten by its signature or key: name it such as receipt.json")
        for file, content in contents.items():
            file.write_bytes(content)
            self.stdout.write(str(file))
