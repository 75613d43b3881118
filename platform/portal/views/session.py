"""Signing in and out by e-mail address and password, and finding one's studio."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from portal.throttles import SignInThrottle, require_quota
from users.selectors import studios_of


class SignInForm(AuthenticationForm):
    """Django's form, worded for e-mail addresses."""

    error_messages = {  # noqa: RUF012 (Django's own attribute)
        **AuthenticationForm.error_messages,
        "invalid_login": "This e-mail address and password do not belong together. Check both and try again.",
    }

    def __init__(self, request: HttpRequest | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **{"label_suffix": "", **kwargs})
        self.fields["username"].label = "E-mail"
        self.fields["username"].widget.attrs.update({"autocomplete": "email", "type": "email"})


class SignIn(LoginView):
    """The sign-in page. A wrong pair says neither which half is wrong nor whether the address is known."""

    template_name = "portal/sign_in.html"
    form_class = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Count the attempt, then check it."""
        require_quota(SignInThrottle(), request)
        return super().post(request, *args, **kwargs)

    def get_default_redirect_url(self) -> str:
        """To the studio."""
        return reverse("my_studio")


@login_required
@require_safe
def my_studio(request: HttpRequest) -> HttpResponse:
    """To the only studio, or the choice between several."""
    studios = list(studios_of(request.user))  # type: ignore[arg-type]  # login_required leaves no anonymous user
    if len(studios) == 1:
        return redirect("studio", slug=studios[0].slug)
    return render(request, "portal/studios.html", {"studios": studios})
