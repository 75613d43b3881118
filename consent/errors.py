"""The errors of `consent`. Free of Django, so that the pure parts may raise them."""

from __future__ import annotations

from media.errors import CountersignError


class ConsentError(CountersignError):
    """Root of the errors of `consent`."""

    code = "consent_error"


class FaceEngineError(ConsentError):
    """A face engine cannot be used. Every gate that meets this error stops."""

    code = "face_engine"


class UnusablePhoto(ConsentError):
    """An enrolment photo does not show exactly one usable face."""

    code = "bad_input"


class TooManyFaces(ConsentError):
    """A clip or picture shows more faces than the limit."""

    code = "bad_input"


class EnrolmentRefused(ConsentError):
    """A rule forbids this enrolment."""

    code = "enrolment_refused"


class InvalidScope(ConsentError):
    """The scope of a consent is malformed: an unknown purpose, role, territory or a period that ends before it begins."""

    code = "bad_input"


class TransitionRefused(ConsentError):
    """The consent is not in a state that allows this change."""

    code = "consent_state"


class UnknownConsent(ConsentError):
    """No consent has this id."""

    code = "consent_not_found"


class TemplateUnreadable(ConsentError):
    """A stored face template does not open: wrong master key, another person's row, or changed bytes."""

    code = "template_unreadable"


class TemplateDestroyed(ConsentError):
    """The person's data key is gone, and every template with it."""

    code = "template_destroyed"
