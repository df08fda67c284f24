"""Users and passwords: from variables or a private file, and in no message."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.errors import told
from support.sound import EVENT_TASK, IN_DATABASE, TABLE_TASK

from medspark.errors import TaskError
from medspark.privacy.secrets import credentials
from medspark.task.connection import Connection
from medspark.task.load import load_frozen_task

SECRET = "s3cret=word"


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        (f"user=u\npassword={SECRET}", 0o640, "for its owner only, received mode 640. Run chmod 600"),
        (f"user=u\npassword={SECRET}", 0o604, "received mode 604"),
        (f"password={SECRET}", 0o600, "expected the two lines user=... and password=..."),
        (f"user=u\npassword={SECRET}\n{SECRET}", 0o600, "expected the two lines"),
        (f"user=u\n{SECRET}", 0o600, "expected the two lines"),
        (None, 0o600, "expected a file at"),
    ],
)
def test_a_bad_file_of_credentials_is_refused(text: str | None, mode: int, says: str, tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    found = told(TaskError, lambda: credentials(Connection(url="jdbc:x:y", credentials=str(path))))
    assert says in found
    assert SECRET not in found


def test_a_password_may_have_an_equals_sign(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text(f"user=u\npassword={SECRET}")
    path.chmod(0o600)
    assert credentials(Connection(url="jdbc:x:y", credentials=str(path))) == {"user": "u", "password": SECRET}


URL = "jdbc:postgresql://h:5432/d"
EVENTS = {**EVENT_TASK, "source": {"kind": "events", "mapping": "ward", "format": "jdbc"}}
TABLE = {**TABLE_TASK, "source": IN_DATABASE}


@pytest.mark.parametrize("task", [EVENTS, TABLE])
@pytest.mark.parametrize(
    ("named", "passes"),
    [
        (None, False),
        ("", False),
        ("jdbc:postgresql://other:5432/d", False),
        ("jdbc:postgresql://h:5432/d2", False),
        (URL, True),
        (f"jdbc:postgresql://other/d {URL}?ssl=true", True),
    ],
)
def test_a_secret_goes_to_a_host_of_a_bundles_choice_only_where_the_user_names_it(
    task: dict[str, Any], named: str | None, passes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.delenv("MEDSPARK_DATABASES", raising=False)
    if named is not None:
        monkeypatch.setenv("MEDSPARK_DATABASES", named)
    database = {"url": f"{URL}?ssl=true", "password_variable": "AWS_SECRET_ACCESS_KEY"}
    (tmp_path / "task.yaml").write_text(yaml.safe_dump({**task, "source": {**task["source"], "database": database}}))
    asked = load_frozen_task(tmp_path / "task.yaml").source.database
    assert isinstance(asked, Connection)
    assert credentials(Connection(**database)) == {"password": SECRET}, "that of a user's own task"
    if passes:
        assert credentials(asked) == {"password": SECRET}
    else:
        says = told(TaskError, lambda: credentials(asked))
        assert f"the bundle reads {URL} with AWS_SECRET_ACCESS_KEY: expected that address" in says
        assert f"set MEDSPARK_DATABASES='{URL}'" in says


def test_unset_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH", raising=False)
    database = Connection(url="jdbc:x:y", user_variable="PATH", password_variable="NO_SUCH")
    says = told(TaskError, lambda: credentials(database))
    assert "password_variable: expected the password in the environment as NO_SUCH, found none" in says


def test_variables_and_a_file_are_too_many() -> None:
    database = Connection(url="jdbc:x:y", user_variable="PATH", credentials="f")
    assert "received both" in told(TaskError, lambda: credentials(database))


def test_a_password_in_the_url_is_refused_without_repeating_it() -> None:
    says = told(TaskError, lambda: credentials(Connection(url="jdbc:postgresql://h/d?ssl=true&password=w0rd")))
    assert "url: expected neither user nor password in it" in says
    assert "w0rd" not in says


def test_a_url_without_one_is_taken() -> None:
    assert credentials(Connection(url="jdbc:postgresql://h:5432/d?ssl=true")) == {}
    assert credentials(Connection(url="jdbc:oracle:thin:@//h:1521/d")) == {}
