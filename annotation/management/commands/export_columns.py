"""`manage.py export_columns [--write]`: the columns of an export of answers as Markdown tables."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.exchange.column_table import GUIDE, guide, tables, written


class Command(BaseCommand):
    help = (
        "Print the columns of an export of answers as the tables of docs/exports.md; --write puts them into the guide."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--write", action="store_true", help=f"write them into {GUIDE}")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["write"]:
            self.stdout.write(tables())
            return
        try:
            text = written(guide().read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        guide().write_text(text, encoding="utf-8")
        self.stdout.write(f"{GUIDE}: tables written")
