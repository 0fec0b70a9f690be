from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Exists, OuterRef, QuerySet

from annotation.core.exclusions import usable_prompts
from annotation.models import Candidate, Project, Prompt
from training.cli.progress import (
    SAMPLING,
    add_sampling_arguments,
    chosen_options,
    get,
    get_checkpoint,
    get_project,
    plain_errors,
    refuse_beside_resume,
    report,
    wait_for,
)
from training.contract.config import ALLOW_OTHER_BASE
from training.contract.wording import counted
from training.engine_jobs.queue import resume
from training.models import Generation
from training.results.generations import create_generation


class Command(BaseCommand):
    help = (
        "Generate candidates with a model: texts that answer a project's prompts. Any Hugging Face causal LM folder or "
        "adapter under an allowed root, or a checkpoint; its chat template is used. Batched by length, resumable; "
        "Ctrl-C keeps finished texts. Exit code 0: succeeded, 1: failed, 3: cancelled."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        model = parser.add_argument_group("model")
        model.add_argument("--checkpoint", metavar="ID", type=int, help="a checkpoint of this project")
        model.add_argument("--model", metavar="FOLDER", help="a model or adapter under an allowed root")
        model.add_argument(ALLOW_OTHER_BASE.flag, action="store_true", help=ALLOW_OTHER_BASE.help)
        model.add_argument("--resume", metavar="ID", type=int, help="continue this failed or cancelled generation")
        which = parser.add_argument_group("which prompts (default: all)")
        which.add_argument("--only", choices=["train", "held-out"], help="only this side of the split")
        which.add_argument("--only-without", metavar="ORIGIN", help="only prompts without a candidate of this origin")
        which.add_argument("--fresh", action="store_true", help="only prompts without a task in any batch")
        which.add_argument("--limit", type=int, help="maximum number, oldest first")
        add_sampling_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        project = get_project(options["project"])
        with plain_errors():
            if options["resume"]:
                generation: Generation = get(Generation, options["resume"], "generation")
                if generation.project_id != project.pk:
                    raise CommandError(f"generation {generation.pk} does not belong to project {project.slug}")
                refuse_beside_resume(self, options)
                resume(generation, None)
            else:
                checkpoint = get_checkpoint(options["checkpoint"]) if options["checkpoint"] else None
                generation = create_generation(
                    project=project,
                    prompts=self._prompts(project, options),
                    actor=None,
                    checkpoint=checkpoint,
                    base_model=options["model"] or "",
                    options=chosen_options(options, SAMPLING),
                    allow_other_base=options["allow_other_base"],
                )
        wait_for(generation, self.stdout)
        added = counted(generation.candidates_added, "new candidate")
        summary = f"{added} for {counted(generation.prompts_count, 'prompt')}"
        report(generation, self.stdout, self.stderr, summary=summary)

    def _prompts(self, project: Project, options: dict[str, Any]) -> QuerySet[Prompt]:
        prompts = usable_prompts(project)
        if options["only"]:
            prompts = prompts.filter(held_out=options["only"] == "held-out")
        if options["only_without"]:
            answered = Candidate.objects.filter(prompt=OuterRef("pk"), origin=options["only_without"])
            prompts = prompts.filter(~Exists(answered))
        if options["fresh"]:
            prompts = prompts.filter(tasks=None)
        if options["limit"]:
            oldest = prompts.order_by("id").values_list("pk", flat=True)[: options["limit"]]
            prompts = Prompt.objects.filter(pk__in=list(oldest))
        return prompts
