"""What a deployment on AWS is made of, by name: the environment of a function, or one parameter that says the same.

`SETTINGS` is the whole list. Each has a name, which an environment has in capitals behind `PLAYERSTATE_`, and a
parameter of Systems Manager as it is; what it is for; and its default, None where it must be given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from playerstate.errors import StartRefused

PREFIX = "PLAYERSTATE_"
PARAMETER = PREFIX + "PARAMETER"
"""In a function's environment, instead of all others: the parameter that has the settings."""


class Setting(NamedTuple):
    """One setting. `default` is None where it must be given."""

    name: str
    meaning: str
    default: str | None = None

    @property
    def variable(self) -> str:
        """Its name in an environment."""
        return PREFIX + self.name.upper()


REGION = Setting("region", "the id of this region, with its incarnation, as in `us-east-1.2`")
REGIONS = Setting("regions", "the ids of all regions whose rows may exist, this one's among them, with commas")
PREDECESSORS = Setting("predecessors", "the ids that this region had before it was restored, with commas", "")
REPLICAS = Setting(
    "replicas",
    "the other regions whose copies are compared, each with its region of AWS: `eu-west-1.2=eu-west-1`, with commas",
    "",
)
RETIRED = Setting("retired", "regions that are gone, each with its heir: `eu-west-1=us-east-1`, with commas", "")
SCHEMA = Setting("schema", "the file with the game's schema", "game.toml")
TABLE = Setting("table", "the DynamoDB table of rows")
CONTROL_TABLE = Setting("control_table", "the DynamoDB table of letters, findings and leases")
STREAM = Setting("stream", "the Kinesis stream of accepted updates")
TOPIC_ARN = Setting("topic_arn", "the SNS topic of notices")
AUDIT_QUEUE_URL = Setting("audit_queue_url", "the SQS queue of the audit")
LINK_QUEUE_URL = Setting("link_queue_url", "the SQS queue of link")
RESOLVE_QUEUE_URL = Setting(
    "resolve_queue_url", "the SQS queue of the resolver; empty in a deployment of one region", ""
)
RECHECK_QUEUE_URL = Setting(
    "recheck_queue_url", "the SQS queue of rechecks; empty where nothing is looked up later", ""
)
OVERFLOW_BUCKET = Setting("overflow_bucket", "the S3 bucket for bodies that no message holds; empty for none", "")
CACHE_URL = Setting("cache_url", "the hot cache, as `rediss+cluster://HOST:6379`")
CACHE_USER = Setting("cache_user", "the user's name for the cache", "")
CACHE_SECRET = Setting("cache_secret", "the secret with the cache's password; empty for an IAM token, or none", "")
CACHE_IAM = Setting("cache_iam", "the cache's name, where its user logs in with an IAM token", "")
GRAPH_URL = Setting("graph_url", "Neptune's endpoint, as `https://HOST:8182`")
AUDIT_STORE = Setting("audit_store", "where the audit lies: `influxdb` or `timestream`", "influxdb")
AUDIT_URL = Setting("audit_url", "InfluxDB's endpoint, as `https://HOST:8086`", "")
AUDIT_DATABASE = Setting("audit_database", "the bucket, or database, of the audit", "playerstate")
AUDIT_TABLE = Setting("audit_table", "the table of the audit, in Timestream", "state_transitions")
AUDIT_KEEPS_ERASED = Setting(
    "audit_keeps_erased", "`yes` if records of erased players may stay in Timestream until it lets go of them", "no"
)
AUDIT_SECRET = Setting("audit_secret", "the secret with InfluxDB's token", "")
SAMPLE_SIZE = Setting("verification_sample_size", "how many keys each check compares", "100")
CHECKS = Setting("verification_checks", "how many checks a run of verification makes", "10")
PROJECT_FUNCTION = Setting(
    "project_function", "the function of project, whose lag explains what is late; empty where workers project", ""
)
DEPLOYMENT = Setting("deployment", "the name of the deployment, as metrics have it", "playerstate")
LOG_LEVEL = Setting("log_level", "from which severity on to log", "info")

SETTINGS = tuple(value for value in list(globals().values()) if isinstance(value, Setting))


class Environment:
    """Settings that were given, and which of them were asked for."""

    def __init__(self, given: Mapping[str, str], *, where: str) -> None:
        """Take settings by their names; `where` says in an error how to give what is missing."""
        self._given = given
        self._where = where
        self.asked: set[Setting] = set()

    @classmethod
    def of_process(cls, environment: Mapping[str, str]) -> Environment:
        """The settings in a process's environment."""
        by_variable = {setting.variable: setting.name for setting in SETTINGS}
        given = {by_variable[name]: value for name, value in environment.items() if name in by_variable}
        return cls(given, where="the environment variable {variable}")

    @staticmethod
    def check(environment: Mapping[str, str]) -> None:
        """Raise `StartRefused` for a variable that looks like a setting and is none."""
        known = {PARAMETER, *[setting.variable for setting in SETTINGS]}
        if unknown := sorted(name for name in environment if name.startswith(PREFIX) and name not in known):
            raise StartRefused(f"No such setting: {', '.join(unknown)}")

    @classmethod
    def of_parameter(cls, text: str, name: str) -> Environment:
        """The settings that a parameter has, as a JSON object of texts. Raises `StartRefused` if it is none."""
        try:
            given = json.loads(text)
        except ValueError:
            given = None
        if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
            raise StartRefused(f"The parameter {name} is no JSON object of texts")
        known = {setting.name for setting in SETTINGS}
        if unknown := sorted(set(given) - known):
            raise StartRefused(f"The parameter {name} has what is no setting: {', '.join(unknown)}")
        return cls(given, where=f"{{name}} in the parameter {name}")

    def gives(self, setting: Setting) -> bool:
        """Whether a setting was given."""
        return bool(self._given.get(setting.name, "").strip())

    def text(self, setting: Setting) -> str:
        """A setting. Raises `StartRefused`, which says how to give it, where it is missing."""
        self.asked.add(setting)
        value = self._given.get(setting.name, "").strip() or setting.default
        if value is None:
            how = self._where.format(name=setting.name, variable=setting.variable)
            raise StartRefused(f"Missing: {setting.meaning} ({how})")
        return value

    def number(self, setting: Setting) -> int:
        """A setting that is a whole number, 1 at least."""
        text = self.text(setting)
        if not (text.isascii() and text.isdigit() and int(text) >= 1):
            raise StartRefused(f"Not a whole number of 1 or more: {setting.meaning} ({text!r})")
        return int(text)

    def names(self, setting: Setting) -> list[str]:
        """A setting that is a list, with commas."""
        return [name.strip() for name in self.text(setting).split(",") if name.strip()]

    def pairs(self, setting: Setting) -> dict[str, str]:
        """A setting that is a list of `name=value`, with commas."""
        pairs = {}
        for item in self.names(setting):
            name, equals, value = item.partition("=")
            if not equals or not name or not value:
                raise StartRefused(f"Not of the form name=value: {setting.meaning} ({item!r})")
            pairs[name] = value
        return pairs
