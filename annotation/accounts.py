"""Accounts by invitation only."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class InvitationOnlyAdapter(DefaultAccountAdapter):
    """allauth's sign-up page stays closed; a person joins through an invitation's link."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
