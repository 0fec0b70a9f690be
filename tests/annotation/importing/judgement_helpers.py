"""What recorded judgements became, in texts."""

from annotation.models import Annotation, Aspect, Candidate


def recorded():
    """(person, texts, answer) of all annotations: a text with its strength, “tie”, “both_bad”, groups of texts, or
    {text: {aspect: "point's anchor of worst..best"}}."""
    texts = dict(Candidate.objects.values_list("pk", "text"))
    aspects = {aspect.key: aspect for aspect in Aspect.objects.all()}
    found = []
    for answer in Annotation.objects.select_related("annotator", "task").order_by("pk"):
        payload = answer.payload
        shown = [texts[key] for key in payload.get("shown", answer.task.candidate_ids)]
        if answer.kind == "scoring":
            said = {
                texts[int(key)]: {aspects[name].name: in_words(aspects[name], point) for name, point in points.items()}
                for key, points in payload["scores"].items()
            }
        elif payload["choice"] == "one":
            said = texts[payload["chosen"]] + (f" ({payload['strength']})" if payload["strength"] else "")
        elif payload["choice"] == "ranking":
            said = [sorted(texts[key] for key in group) for group in payload["ranking"]]
        else:
            said = payload["choice"]
        found.append([answer.annotator.name, shown, said])
    return found


def in_words(aspect, point):
    return f"{aspect.anchors[point - 1]} of {aspect.anchors[0]}..{aspect.anchors[-1]}"
