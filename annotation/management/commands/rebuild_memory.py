"""The former name of rebuild_translation_memory, which it calls."""

from typing import Any

from annotation.management.commands import rebuild_translation_memory


class Command(rebuild_translation_memory.Command):
    help = "The former name of rebuild_translation_memory."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stderr.write("rebuild_memory is now called rebuild_translation_memory; this name will be removed.")
        super().handle(*args, **options)
