from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.core.exclusions import usable_prompts
from annotation.models import Prompt
from training.cli.progress import chosen_options, get_checkpoint, get_project, plain_errors, report, wait_for
from training.contract.config import ALLOW_OTHER_BASE
from training.contract.wording import counted
from training.models import Checkpoint
from training.results.checkpoints import promoted_checkpoint
from training.results.margins import MOST_PROMPTS, create_margin_scoring

OPTIONS = ("max_length", "threads")


class Command(BaseCommand):
    help = (
        "Compute how much a checkpoint prefers each candidate of a prompt to the others (its implicit reward margin), "
        "and store that in place of the project's earlier margins. Batches select uncertain tasks by it, and the page "
        "Second look lists the labels that contradict it. Exit code 0: succeeded, 1: failed, 3: cancelled."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument(
            "--checkpoint", metavar="ID", type=int, help="default: the promoted one, or the newest where none is"
        )
        parser.add_argument("--only", choices=["train", "held-out"], help="only prompts of this side of the split")
        parser.add_argument("--fresh", action="store_true", help="only prompts without a task in any batch")
        parser.add_argument(
            "--limit", type=int, help=f"maximum number of prompts, newest first; at most {MOST_PROMPTS:,}"
        )
        parser.add_argument("--max-length", type=int, help="tokens of prompt and text; default as in training")
        parser.add_argument(ALLOW_OTHER_BASE.flag, action="store_true", help=ALLOW_OTHER_BASE.help)
        parser.add_argument("--threads", type=int, help="CPU threads of the engine; default as in training")

    def handle(self, *args: Any, **options: Any) -> None:
        project = get_project(options["project"])
        if options["checkpoint"]:
            checkpoint: Checkpoint | None = get_checkpoint(options["checkpoint"])
        else:
            checkpoint = (
                promoted_checkpoint(project) or Checkpoint.objects.filter(project=project).order_by("pk").last()
            )
        if checkpoint is None:
            raise CommandError(f"project {project.slug} has no checkpoint: train one first")
        if checkpoint.project_id != project.pk:
            raise CommandError(f"checkpoint {checkpoint.pk} does not belong to project {project.slug}")
        prompts = usable_prompts(project)
        if options["only"]:
            prompts = prompts.filter(held_out=options["only"] == "held-out")
        if options["fresh"]:
            prompts = prompts.filter(tasks=None)
        if options["limit"]:
            newest = prompts.order_by("-pk").values_list("pk", flat=True)[: options["limit"]]
            prompts = Prompt.objects.filter(pk__in=list(newest))
        with plain_errors():
            scoring = create_margin_scoring(
                checkpoint=checkpoint,
                prompts=prompts,
                actor=None,
                options=chosen_options(options, OPTIONS),
                allow_other_base=options["allow_other_base"],
            )
        wait_for(scoring, self.stdout)
        made = f"{counted(scoring.margins_count, 'margin')} of {checkpoint.origin}"
        summary = f"{made}, {counted(scoring.prompts_count, 'prompt')}"
        if cut := ((scoring.result or {}).get("rows") or {}).get("truncated"):
            summary += f", {counted(cut, 'pair')} cut at {scoring.config['max_length']} tokens"
        report(scoring, self.stdout, self.stderr, summary=summary)
