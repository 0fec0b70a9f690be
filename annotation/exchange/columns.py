"""Every column of an export of answers, declared once: the writers, docs/exports.md and the tests read this table."""

from dataclasses import dataclass

from annotation.exchange.types import INTEGER, JSON, NUMBER, TEXT, TIME, TRUTH, Type, parts, several


@dataclass(frozen=True)
class Column:
    """`meaning` is a sentence of the guide. `kinds`: the kinds that fill it; empty for all."""

    name: str
    type: Type
    meaning: str
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    title: str
    columns: tuple[Column, ...]


TEXTS, WRITING, POSTEDITING = ("writing", "postediting"), ("writing",), ("postediting",)
SCORING, CHOOSING, JUDGING = ("scoring",), ("choosing",), ("scoring", "choosing")

# What is the same for all answers to a task.
TASK_GROUPS = (
    Group(
        "The task",
        (
            Column("project", TEXT, "The project's short name, as in its address."),
            Column("batch_id", INTEGER, "The batch."),
            Column("batch", TEXT, "The batch's name."),
            Column("task_id", INTEGER, "The task: a prompt with its candidates, in this batch."),
            Column("task", INTEGER, "The task's number in its batch, as the batch's page shows it."),
        ),
    ),
    Group(
        "The prompt",
        (
            Column("prompt_id", INTEGER, "The prompt."),
            Column("prompt", TEXT, "Its text; of a chat, the last message."),
            Column(
                "messages",
                several(parts(role=TEXT, content=TEXT)),
                "The chat, for prompts of several turns; else empty. The project's persona is not in it.",
            ),
            Column("external_id", TEXT, "Its id in the file that it came from."),
            Column("source_document", TEXT, "The document that it belongs to."),
            Column("reference", TEXT, "A text known to be good, where the file had one."),
            Column("metadata", JSON, "What else the file had about it."),
            Column("held_out", TRUTH, "Whether it is kept for evaluation and never trained on."),
            Column("source_language", TEXT, "Language tag of the project's prompts."),
            Column("target_language", TEXT, "Language tag of the project's answers."),
        ),
    ),
    Group(
        "The texts it is about",
        (
            Column(
                "candidates",
                several(parts(id=INTEGER, text=TEXT, origin=TEXT, position=INTEGER, generation=JSON)),
                "The task's candidates in the order of their import. `origin` is `checkpoint:<id>`, `import:<name>` or "
                "`human:<id>`, which annotators never see. `position` is the place on the page, 1 for the first; empty "
                "where the text was not shown because it reads like another one, and in recorded judgements. "
                "`generation` says how a model made it.",
            ),
        ),
    ),
)

ANSWER_GROUPS = (
    Group(
        "Which answer",
        (
            Column("assignment_id", INTEGER, "The slot of the task that the person had."),
            Column("slot", INTEGER, "The slot's number in its task."),
            Column("annotation_id", INTEGER, "This version of the answer; empty for a skipped task."),
            Column("version", INTEGER, "1 for the first answer, 2 for its first change …; empty for a skipped task."),
            Column(
                "state",
                TEXT,
                "`current`; `reopened` (current, while its author changes it); `replaced` by a later version; "
                "`withdrawn` (its author skipped the task afterwards); `skipped` (no answer).",
            ),
            Column(
                "is_label",
                TRUTH,
                "Whether datasets are made of it: the current answer of a finished assignment, unless it is excluded, "
                "waits for review or was sent back.",
            ),
            Column(
                "excluded",
                TRUTH,
                "Whether an exclusion of the answer, the person or the prompt leaves it out of datasets.",
            ),
            Column("kind", TEXT, "`writing`, `postediting`, `scoring` or `choosing`."),
        ),
    ),
    Group(
        "The answer",
        (
            Column("text", TEXT, "What the person wrote, or the text as edited.", TEXTS),
            Column("edited_candidate_id", INTEGER, "The candidate that was edited.", POSTEDITING),
            Column("unchanged", TRUTH, "Whether it was accepted as it is.", POSTEDITING),
            Column("edit_count", INTEGER, "Edits from the candidate to the text.", POSTEDITING),
            Column(
                "edit_rate", NUMBER, "Edits per word of the text; per character in Japanese and the like.", POSTEDITING
            ),
            Column(
                "hter",
                NUMBER,
                "The same rate where moved blocks count as one edit; empty for texts of more than 1,000 words.",
                POSTEDITING,
            ),
            Column(
                "scores",
                several(parts(candidate_id=INTEGER, aspect=TEXT, name=TEXT, points=INTEGER, most=INTEGER)),
                "Points from 1 to `most` for each candidate and aspect; `aspect` is the key, which stays, `name` the "
                "name that it has now.",
                SCORING,
            ),
            Column(
                "weighted_scores",
                several(parts(candidate_id=INTEGER, score=NUMBER)),
                "0 to 1 for each candidate: the weighted mean of its scores, each as a share of its scale.",
                SCORING,
            ),
            Column(
                "shown_candidate_ids",
                several(INTEGER),
                "The candidates that could be chosen, in the order of their places on the page.",
                CHOOSING,
            ),
            Column(
                "choice",
                TEXT,
                "`one` is better than each of the others, `tie`, `both_bad` (all bad), or `ranking`.",
                CHOOSING,
            ),
            Column("chosen_candidate_id", INTEGER, "The better one, where the choice is `one`.", CHOOSING),
            Column("strength", INTEGER, "1 slightly, 2 clearly better; empty where nobody said.", CHOOSING),
            Column(
                "ranking",
                several(several(INTEGER)),
                "Groups of equally good candidates, best first, where the choice is `ranking`.",
                CHOOSING,
            ),
            Column("reasons", several(TEXT), "Reason tags for the whole choice.", CHOOSING),
            Column(
                "reasons_by_candidate",
                several(parts(candidate_id=INTEGER, reasons=several(TEXT))),
                "Reason tags for each text, where the project asks for them by side.",
                CHOOSING,
            ),
            Column(
                "fixes",
                several(
                    parts(candidate_id=INTEGER, text=TEXT, edit_count=INTEGER, edit_rate=NUMBER, hter=NUMBER),
                ),
                "Texts that were edited along with the choice, with their edits as above.",
                CHOOSING,
            ),
            Column(
                "marks",
                several(
                    parts(
                        candidate_id=INTEGER,
                        start=INTEGER,
                        end=INTEGER,
                        quote=TEXT,
                        category=TEXT,
                        severity=TEXT,
                        quality=TEXT,
                    )
                ),
                "Marked passages: the first character, the one after the last (Unicode code points), and the passage. "
                "Scoring gives an error category and MQM severity (`neutral`, `minor`, `major`, `critical`), choosing "
                "the quality (`good`, `bad`).",
                JUDGING,
            ),
            Column("comment", TEXT, "What the person wrote below the scores.", SCORING),
            Column(
                "remarks",
                several(
                    parts(
                        id=INTEGER,
                        kind=TEXT,
                        text=TEXT,
                        created_at=TIME,
                        answer=TEXT,
                        answered_by=TEXT,
                        answered_at=TIME,
                    )
                ),
                "The person's messages to the reviewers about this task, with the answers. `kind` is `comment`, "
                "`question` or `flag`.",
            ),
            Column(
                "skip_reason",
                TEXT,
                "Why it was skipped: `unclear`, `not_my_field`, `offensive`, `broken` or `other`.",
            ),
            Column("skip_reason_text", TEXT, "The reason as the page words it, in English."),
            Column("skip_comment", TEXT, "What the person wrote about skipping."),
        ),
    ),
    Group(
        "Its review",
        (
            Column(
                "review",
                TEXT,
                "`accepted`, `corrected`, `left_out` or `sent_back`; `waiting` where the batch requires review and "
                "nobody has reviewed it; empty where nobody did and nobody has to.",
            ),
            Column("review_note", TEXT, "The reviewer's reason or note."),
            Column(
                "correction",
                TEXT,
                "The answer as the reviewer corrected it, as JSON text: datasets are made of it. The "
                "columns above are the person's own answer.",
            ),
            Column("review_reply", TEXT, "What the person replied to the reviewer."),
            Column("reviewer", TEXT, "The reviewer's name, or pseudonym."),
            Column("reviewed_at", TIME, "When it was reviewed."),
        ),
    ),
    Group(
        "When",
        (
            Column(
                "claimed_at",
                TIME,
                "When the person got the task; for an answer that was opened again, when they last did so.",
            ),
            Column("submitted_at", TIME, "When this version was submitted, or the task skipped."),
            Column("active_seconds", NUMBER, "Working time on the task up to this version."),
            Column("idle_seconds", NUMBER, "Time without activity up to this version."),
        ),
    ),
    Group(
        "Who",
        (
            Column("person_id", INTEGER, "The account; empty with pseudonyms."),
            Column("person", TEXT, "The name, or the pseudonym."),
            Column("person_email", TEXT, "The e-mail address; empty with pseudonyms."),
            Column("is_simulated", TRUTH, "Whether a program answered in a person's place."),
        ),
    ),
    Group(
        "By which rules",
        (
            Column("guideline_version", INTEGER, "The version of the guideline that was current."),
            Column("weights_version", INTEGER, "The version of the weights of the aspects.", SCORING),
            Column(
                "weights",
                several(parts(aspect=TEXT, weight=NUMBER)),
                "The weights of that version.",
                SCORING,
            ),
        ),
    ),
)

GROUPS = (*TASK_GROUPS, *ANSWER_GROUPS)
TASK_COLUMNS: tuple[Column, ...] = tuple(column for group in TASK_GROUPS for column in group.columns)
ANSWER_COLUMNS: tuple[Column, ...] = tuple(column for group in ANSWER_GROUPS for column in group.columns)
COLUMNS: tuple[Column, ...] = TASK_COLUMNS + ANSWER_COLUMNS
