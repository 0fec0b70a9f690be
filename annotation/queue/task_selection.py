"""Which tasks a batch has: the queries that pick candidates for its prompts."""

from collections.abc import Sequence

from annotation.models import Batch, Kind

# Each reads the chosen prompts as `chosen(id)` and yields (prompt_id, candidate_ids), one row per task. The selection
# depends on the seed and the ids alone. Candidate ids come in import order.
TASKS_OF = {
    Kind.WRITING: "SELECT id AS prompt_id, '{}'::bigint[] AS candidate_ids FROM chosen",
    Kind.POSTEDITING: """
        SELECT DISTINCT ON (prompt_id) prompt_id, ARRAY[id] AS candidate_ids FROM usable
        ORDER BY prompt_id, md5(%(seed)s::text || ':' || id)""",
    # The same words from two origins are one text; with origins given, one candidate of each. A prompt's texts are
    # dealt out evenly over as many tasks as it takes.
    Kind.SCORING: """
        SELECT prompt_id, array_agg(id ORDER BY id) AS candidate_ids FROM (
            SELECT prompt_id, id, (row_number() OVER (PARTITION BY prompt_id ORDER BY md5(%(seed)s::text || ':' || id))
                - 1) %% ceil(count(*) OVER (PARTITION BY prompt_id) / %(alternatives)s::numeric) AS part
            FROM (SELECT DISTINCT ON (prompt_id, words) prompt_id, id, words FROM (
                SELECT DISTINCT ON (prompt_id, CASE WHEN %(origins)s::text[] IS NULL THEN id::text ELSE origin END)
                    prompt_id, id, words FROM usable
                ORDER BY prompt_id, CASE WHEN %(origins)s::text[] IS NULL THEN id::text ELSE origin END,
                    md5(%(seed)s::text || ':' || id)
            ) AS one_an_origin ORDER BY prompt_id, words, id) AS texts
        ) AS dealt GROUP BY prompt_id, part""",
    Kind.CHOOSING: """
        SELECT DISTINCT ON (a.prompt_id) a.prompt_id, ARRAY[least(a.id, b.id), greatest(a.id, b.id)] AS candidate_ids
        FROM usable a JOIN usable b ON b.prompt_id = a.prompt_id AND b.words <> a.words AND CASE
            WHEN %(origins)s::text[] IS NULL THEN a.id < b.id
            ELSE a.origin = (%(origins)s::text[])[1] AND b.origin = (%(origins)s::text[])[2] END
        ORDER BY a.prompt_id, md5(%(seed)s::text || ':' || a.id || ':' || b.id)""",
}
# Ranking of more than two: the candidates of a prompt whose texts differ, as many as a task takes.
SEVERAL = """
    SELECT prompt_id, array_agg(id ORDER BY id) AS candidate_ids FROM (
        SELECT prompt_id, id, row_number() OVER (
            PARTITION BY prompt_id ORDER BY md5(%(seed)s::text || ':' || id)) AS place
        FROM (SELECT DISTINCT ON (prompt_id, words) prompt_id, id FROM usable
            ORDER BY prompt_id, words, md5(%(seed)s::text || ':' || id)) AS texts
    ) AS placed WHERE place <= %(alternatives)s GROUP BY prompt_id HAVING count(*) > 1"""
# Two candidates of a prompt that read the same are one text: `words` is equal (see `queue.same_reading`). One without
# a text was erased after a withdrawal of consent.
USABLE = """
    SELECT c.id, c.prompt_id, c.origin, coalesce(r.words, md5(c.text)) AS words
    FROM annotation_candidate c JOIN chosen ON chosen.id = c.prompt_id LEFT JOIN reads_like r ON r.id = c.id
    WHERE (%(origins)s::text[] IS NULL OR c.origin = ANY(%(origins)s::text[])) AND c.text <> ''"""


def tasks_query(batch: Batch, origins: list[str] | None) -> str:
    """Of the usable candidates, (prompt_id, candidate_ids): one row per task."""
    if batch.kind == Kind.CHOOSING and batch.alternatives > 2:
        return one_of_each(origins) if origins else SEVERAL
    return TASKS_OF[Kind(batch.kind)]


def one_of_each(origins: Sequence[str]) -> str:
    """The query that picks one candidate of each origin, all texts different. Origin by origin, texts that no other
    origin has come first, so that one origin does not take from another the only text it has."""
    steps = [
        """rare AS (SELECT usable.*, count(*) OVER (PARTITION BY prompt_id, words) AS shared FROM usable),
        picked_0 AS (SELECT DISTINCT prompt_id, '{}'::bigint[] AS ids, '{}'::text[] AS seen FROM rare)"""
    ]
    steps += [
        f"""picked_{at + 1} AS (
            SELECT DISTINCT ON (p.prompt_id) p.prompt_id,
                CASE WHEN r.id IS NULL THEN p.ids ELSE p.ids || r.id END AS ids,
                CASE WHEN r.id IS NULL THEN p.seen ELSE p.seen || r.words END AS seen
            FROM picked_{at} p LEFT JOIN rare r ON r.prompt_id = p.prompt_id
                AND r.origin = (%(origins)s::text[])[{at + 1}] AND r.words <> ALL (p.seen)
            ORDER BY p.prompt_id, r.shared, md5(%(seed)s::text || ':' || r.id))"""  # noqa: S608 - numbers only
        for at in range(len(origins))
    ]
    return f"""WITH {", ".join(steps)}
        SELECT prompt_id, ARRAY(SELECT id FROM unnest(ids) AS id ORDER BY id) AS candidate_ids
        FROM picked_{len(origins)} WHERE cardinality(ids) > 1"""  # noqa: S608 - numbers only
