"""Messages between the managers of a project and one of its members."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from annotation.core.access import conversation_for
from annotation.core.errors import DomainError
from annotation.members.messages import MAX_MESSAGE, mark_read, send_message
from annotation.members.messages import conversation as conversation_of
from annotation.models import Membership, Project, User
from annotation.web.http import SignedInRequest, redirect_back, signed_in

SHOWN = 200  # the newest


@never_cache
@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def conversation(request: SignedInRequest, slug: str, member_id: int) -> HttpResponse:
    """What managers and this member wrote to each other; posting adds a message."""
    project, member = conversation_for(request.user, slug, member_id)
    if request.method != "POST":
        return conversation_page(request, project, member)
    text = request.POST.get("text", "")
    try:
        send_message(project=project, member=member, text=text, author=request.user)
    except DomainError as error:
        return conversation_page(request, project, member, text=text, problem=str(error))
    if request.user == member:
        messages.success(request, _("Your message is with the managers."))
    else:
        messages.success(
            request, _("Sent: %(person)s sees it on the home page and beside the next task.") % {"person": member}
        )
    return redirect_back(request, reverse("conversation", args=[project.slug, member.pk]))


@signed_in
@require_POST
def read(request: SignedInRequest, slug: str, member_id: int) -> HttpResponse:
    """Mark what is for this reader as read."""
    project, member = conversation_for(request.user, slug, member_id)
    mark_read(project=project, member=member, reader=request.user)
    return redirect("home")


def conversation_page(
    request: SignedInRequest, project: Project, member: User, *, text: str = "", problem: str = ""
) -> HttpResponse:
    rows = conversation_of(project, member)
    newest = list(rows.order_by("-created_at", "-id")[: SHOWN + 1])
    is_own = request.user == member
    context = {
        "project": project,
        "section": "progress",
        "member": member,
        "membership": Membership.objects.filter(project=project, user=member).first(),
        "manages": not is_own,
        "rows": newest[:SHOWN][::-1],
        "has_more": len(newest) > SHOWN,
        "shown": SHOWN,
        "unread": sum(row.read_at is None and (row.author_id == member.pk) != is_own for row in newest),
        "text": text,
        "problem": problem,
        "limit": MAX_MESSAGE,
    }
    return render(request, "annotation/people/conversation.html", context, status=422 if problem else 200)
