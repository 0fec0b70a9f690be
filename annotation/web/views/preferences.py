"""A person's own settings of the annotation pages: their keys."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation.core.errors import InvalidInput
from annotation.members.shortcuts import GROUPS, actions, key_of, label_of, move_keys, reset_keys
from annotation.web.http import BY_SCRIPT, SignedInRequest, signed_in
from annotation.web.script_messages import page_person


@never_cache
@signed_in
@require_GET
def preferences(request: SignedInRequest) -> HttpResponse:
    return page(request, request.user.keys, request.user.single_keys)


@signed_in
@require_POST
def keys(request: SignedInRequest) -> HttpResponse:
    """Move keys (`key-<action>`), switch single keys (`single` on or off), or `reset` all. 204 to a script."""
    if "reset" in request.POST:
        reset_keys(user=request.user)
        messages.success(request, _("All keys are reset to their defaults."))
        return redirect("preferences")
    fields = {action.name: f"key-{action.name}" for action in actions()}
    wanted = {name: request.POST[field] for name, field in fields.items() if field in request.POST}
    # An unticked box sends nothing: a hidden field "off" precedes it.
    single = request.POST["single"] == "on" if "single" in request.POST else None
    try:
        move_keys(user=request.user, wanted=wanted, single_keys=single)
    except InvalidInput as error:
        shown = request.user.keys | wanted
        return page(request, shown, request.user.single_keys if single is None else single, error)
    if request.headers.get(BY_SCRIPT) is not None:
        return HttpResponse(status=204)
    messages.success(request, _("Saved. Pages that you open from now on have these keys, on every device."))
    return redirect("preferences")


def page(
    request: SignedInRequest, moved: dict[str, Any], single: bool, error: InvalidInput | None = None
) -> HttpResponse:
    problems = dict(error.problems) if error else {}
    groups = [
        (
            title,
            [
                {
                    "action": action,
                    "label": label_of(action),
                    "key": key_of(action, moved).upper(),
                    "problem": problems.get(action.name, ""),
                    "moved": key_of(action, moved) != action.key,
                }
                for action in members
            ],
        )
        for title, members in GROUPS
    ]
    context = {"groups": groups, "single": single, "problems": problems, "person": page_person(request.user)}
    return render(request, "annotation/preferences/preferences.html", context, status=422 if error else 200)
