"""botocore's errors, sorted by what the caller may do about them.

What the service itself has answered is definite, but for its own faults (5xx): those, and answers that never came, may
have had their effect. A call that only reads has none, so that nothing is ever unknown about it.
"""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
)

from playerstate.errors import OutcomeUnknown, PlayerStateError, SlowDown, Unavailable

THROTTLES = frozenset(
    {
        "EC2ThrottledException",
        "KMSThrottlingException",
        "LimitExceededException",
        "OverLimit",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)

NOT_ALLOWED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "UnrecognizedClientException",
    }
)


class AuthenticationFailed(Unavailable):
    """Who calls is not known, or may not do this. What is known of credentials should be read again."""


def code_of(error: ClientError) -> str:
    """The code that a service has answered with, such as `ThrottlingException`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def translated(error: Exception, what: str, *, changes: bool) -> PlayerStateError:
    """An error of botocore's, in our terms. `what` names the call, `changes` says whether it may have an effect.

    Nothing of what the service says is repeated but its code: it may quote what players have.
    """
    if isinstance(error, ClientError):
        code = code_of(error)
        if code in THROTTLES:
            return SlowDown(f"{what}: {code}")
        if code in NOT_ALLOWED:
            return AuthenticationFailed(f"{what}: {code}")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if changes and status >= 500:
            return OutcomeUnknown(f"{what}: {code or status}")
        return Unavailable(f"{what}: {code or status}")
    if isinstance(error, NoCredentialsError):
        return AuthenticationFailed(f"{what}: there are no credentials")
    never_sent = isinstance(error, (ConnectTimeoutError, EndpointConnectionError))
    if changes and not never_sent and isinstance(error, (BotoCoreError, OSError)):
        return OutcomeUnknown(f"{what}: {type(error).__name__}")
    return Unavailable(f"{what}: {type(error).__name__}")
