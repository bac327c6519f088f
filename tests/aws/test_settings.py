"""Settings of a deployment on AWS: the same from an environment and a parameter, and errors that say what to do."""

from __future__ import annotations

import json

import pytest

from docs.markdown import read
from playerstate.aws import settings as s
from playerstate.aws.settings import SETTINGS, Environment
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.clients import Clients
from playerstate.errors import StartRefused


def test_the_environment_and_the_parameter_say_the_same() -> None:
    """A setting has one name and one form, wherever it comes from."""
    given = {setting.name: f"value of {setting.name}" for setting in SETTINGS}
    process = Environment.of_process({setting.variable: given[setting.name] for setting in SETTINGS} | {"PATH": "/"})
    parameter = Environment.of_parameter(json.dumps(given), "/game/settings")
    for setting in SETTINGS:
        assert process.text(setting) == parameter.text(setting) == given[setting.name]


def test_what_is_missing_is_named() -> None:
    """The error says what the setting is for, and how to give it there."""
    with pytest.raises(StartRefused, match="PLAYERSTATE_TABLE"):
        Environment.of_process({}).text(s.TABLE)
    with pytest.raises(StartRefused, match="table in the parameter /game/settings"):
        Environment.of_parameter("{}", "/game/settings").text(s.TABLE)
    with pytest.raises(StartRefused, match="PLAYERSTATE_TABLE"):
        Environment.of_process({"PLAYERSTATE_TABLE": " "}).text(s.TABLE)


def test_defaults() -> None:
    """What has a default need not be given."""
    nothing = Environment.of_process({})
    assert {setting.name: nothing.text(setting) for setting in SETTINGS if setting.default is not None}
    assert nothing.number(s.SAMPLE_SIZE) == 100
    assert nothing.names(s.PREDECESSORS) == []
    assert nothing.pairs(s.RETIRED) == {}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"table": 1}', '{"tabel": "x"}'])
def test_a_parameter_that_is_wrong_is_refused(text: str) -> None:
    """No guessing: a wrong form and a name that nobody knows are refused."""
    with pytest.raises(StartRefused):
        Environment.of_parameter(text, "/game/settings")


def test_forms() -> None:
    """Lists, pairs and numbers, and what is none of them."""
    environment = Environment.of_process(
        {
            "PLAYERSTATE_REGIONS": "us-east-1, eu-west-1.2,",
            "PLAYERSTATE_RETIRED": "eu-west-1=us-east-1",
            "PLAYERSTATE_VERIFICATION_CHECKS": "ten",
            "PLAYERSTATE_VERIFICATION_SAMPLE_SIZE": "0",
        }
    )
    assert environment.names(s.REGIONS) == ["us-east-1", "eu-west-1.2"]
    assert environment.pairs(s.RETIRED) == {"eu-west-1": "us-east-1"}
    for setting in (s.CHECKS, s.SAMPLE_SIZE):
        with pytest.raises(StartRefused):
            environment.number(setting)
    with pytest.raises(StartRefused):
        Environment.of_process({"PLAYERSTATE_RETIRED": "eu-west-1"}).pairs(s.RETIRED)


def test_the_documentation_lists_them() -> None:
    """The table of docs/aws.md is the list in the code: names, meanings, defaults."""
    table = read("docs/aws.md").partition("<!-- settings -->")[2].partition("<!-- /settings -->")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.strip().splitlines()[2:]]
    defaults = {None: "-", "": "empty"}
    assert rows == [
        [f"`{one.variable}`", f"`{one.name}`", one.meaning, defaults.get(one.default, f"`{one.default}`")]
        for one in SETTINGS
    ]


def test_a_history_that_cannot_erase_has_to_be_accepted() -> None:
    """Timestream for LiveAnalytics deletes nothing: whoever uses it says that this is known."""
    given = {"PLAYERSTATE_AUDIT_STORE": "timestream", "PLAYERSTATE_AUDIT_DATABASE": "d"}
    with pytest.raises(StartRefused, match="AUDIT_KEEPS_ERASED"):
        _ = Wiring(Environment.of_process(given), Clients("us-east-1")).audit
    given["PLAYERSTATE_AUDIT_KEEPS_ERASED"] = "yes"
    assert Wiring(Environment.of_process(given), Clients("us-east-1")).audit
    given["PLAYERSTATE_AUDIT_STORE"] = "elsewhere"
    with pytest.raises(StartRefused, match="elsewhere"):
        _ = Wiring(Environment.of_process(given), Clients("us-east-1")).audit


def test_a_variable_that_is_no_setting_is_refused() -> None:
    """One that is misspelt would otherwise be the same as one that is not given."""
    Environment.check({"PLAYERSTATE_TABLE": "rows", "PLAYERSTATE_PARAMETER": "/game/settings", "PATH": "/"})
    with pytest.raises(StartRefused, match="PLAYERSTATE_TABEL"):
        Environment.check({"PLAYERSTATE_TABEL": "rows"})
