# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""What a JDBC URL may say: how to reach a database, no secret, and nothing that runs, writes or loads."""

from copy import deepcopy

import pytest
from support.sound import EVENT_TASK

from medspark.task.jdbc_urls import shown_url, url_problems
from medspark.task.load import check_task

WORD = "w0rd-4711"

# fmt: off
REFUSED = [
    # url                                                             where it is shown                    words
    (f"jdbc:sqlserver://;serverName=h;user=sa;password=p@{WORD}",     None,                                "received an @"),
    (f"jdbc:postgresql://?user=a&password=p@{WORD}",                  None,                                "received an @"),
    (f"jdbc:mysql://(host=h,port=3306,user=a,password=p@{WORD})/db",  None,                                "received an @"),
    (f"jdbc:mysql://address=(host=h)(user=a)(password=p@{WORD})/db",  None,                                "received an @"),
    (f"jdbc:snowflake://?password=a@{WORD}",                          None,                                "received an @"),
    (f"jdbc:postgresql://us=er:{WORD}@h/d",                           None,                                "received an @"),
    (f"jdbc:postgresql://h/d?user={WORD}",                            "jdbc:postgresql://h/d",             "neither user nor password in it, received the parameter user"),
    (f"jdbc:postgresql://h/d?ssl=true&password={WORD}",               "jdbc:postgresql://h/d",             "neither user nor password in it, received the parameter password"),
    (f"jdbc:postgresql://h/d?sslpassword={WORD}",                     "jdbc:postgresql://h/d",             "no secret in it, received the parameter sslpassword"),
    (f"jdbc:postgresql://{WORD}@h/d",                                 "jdbc:postgresql://h/d",             "received some before the host"),
    (f"jdbc:postgresql://h/d?loggerFile=/{WORD}",                     "jdbc:postgresql://h/d",             "received loggerFile."),
    (f"jdbc:postgresql://h/d?socketFactory={WORD}",                   "jdbc:postgresql://h/d",             "received socketFactory."),
    (f"jdbc:postgresql://h/d?options=-c%20{WORD}",                    "jdbc:postgresql://h/d",             "received options."),
    (f"jdbc:postgresql://h/d?sslmod={WORD}",                          "jdbc:postgresql://h/d",             "received sslmod. Did you mean 'sslmode'?"),
    (f"jdbc:sqlserver://h;databaseName=d;Password={WORD}",            "jdbc:sqlserver://h",                "received the parameter Password"),
    (f"jdbc:sqlserver://h;accessToken={WORD}",                        "jdbc:sqlserver://h",                "no secret in it, received the parameter accessToken"),
    (f"jdbc:sqlserver://h;keyStoreSecret={WORD}",                     "jdbc:sqlserver://h",                "no secret in it, received the parameter keyStoreSecret"),
    (f"jdbc:mysql://u:{WORD}@h/d",                                    "jdbc:mysql://h/d",                  "received some before the host"),
    (f"jdbc:mysql://h/d?sessionVariables={WORD}",                     "jdbc:mysql://h/d",                  "received sessionVariables."),
    ("jdbc:mysql://h/d?allowLoadLocalInfile=true",                    "jdbc:mysql://h/d",                  "received allowLoadLocalInfile."),
    (f"jdbc:oracle:thin:u/{WORD}@h:1521/d",                           "jdbc:oracle:thin:@h:1521/d",        "received some before the host"),
    (f"jdbc:h2:mem:d;INIT=RUNSCRIPT FROM '{WORD}'",                   "jdbc:h2:mem:d",                     "of the parameters none, received INIT."),
    (f"jdbc:derby:memory:d;create=true;x={WORD}",                     "jdbc:derby:memory:d",               "received create."),
    (f"jdbc:db2://h:50000/d:user=u;password={WORD};",                 "jdbc:db2://h:50000/d",              "received the parameter password"),
    (f"jdbc:snowflake://h/?private_key_file_pwd={WORD}",              "jdbc:snowflake://h/",               "no secret in it, received the parameter private_key_file_pwd"),
    (f"jdbc:redshift:iam://{WORD}:x@h/d",                             None,                                "received some before the host"),
    (f"jdbc:mysql://address=(host=h)(user=u)(password={WORD})/d",     "jdbc:mysql://",                     "received the parameter password"),
    (f"jdbc:mysql://(host=h,password={WORD},autoDeserialize=true)/d", "jdbc:mysql://",                     "received autoDeserialize."),
    (f"jdbc:mariadb:loadbalance://(host=h,password={WORD})/d",        "jdbc:mariadb:loadbalance://",       "received the parameter password"),
    (f"jdbc:teradata://h/DATABASE=d,USER=u,PASSWORD={WORD}",          "jdbc:teradata://h/",                "received the parameter PASSWORD"),
    (f"jdbc:informix-sqli://h:1533/d:password={WORD}",                "jdbc:informix-sqli://h:1533/d",     "received the parameter password"),
    (f"jdbc:oracle:thin:@(DESCRIPTION=(HOST=h)(PASSWORD={WORD}))",    "jdbc:oracle:thin:@",                "received the parameter PASSWORD"),
    (f"jdbc:oracle:thin:u/{WORD}@(DESCRIPTION=(HOST=h))",             "jdbc:oracle:thin:@",                "received some before the host"),
    (f"jdbc:mysql://u:{WORD}#x@h/d",                                  "jdbc:mysql://",                     "received some before the host"),
    (f"jdbc:mysql://u:{WORD}=x@h/d",                                  "jdbc:mysql://",                     "received some before the host"),
    (f"jdbc:postgresql://u:{WORD}?x=1@h/d",                           "jdbc:postgresql://",                "received some before the host"),
    (f"jdbc:x://h/d?{WORD}",                                          "jdbc:x://h/d",                      "expected parameters as name=value, received something else"),
]
# fmt: on


@pytest.mark.parametrize(("url", "shown", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_a_secret_or_an_unknown_parameter_is_refused_and_never_shown(url: str, shown: str | None, words: str) -> None:
    says = "\n".join(url_problems(url))
    assert words in says
    assert WORD not in says
    assert WORD not in shown_url(url)
    assert shown in (None, shown_url(url))


@pytest.mark.parametrize(
    "url",
    [
        "jdbc:postgresql://h:5432/d?ssl=true&sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "jdbc:postgresql://h1,h2:5433/d?targetServerType=preferSecondary",
        "jdbc:sqlserver://h:1433;databaseName=d;encrypt=true;trustServerCertificate=false;",
        "jdbc:mysql://h/d?useSSL=true&serverTimezone=UTC",
        "jdbc:oracle:thin:@//h:1521/d",
        "jdbc:oracle:thin:@h:1521:d",
        "jdbc:oracle:thin:@(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=h)(PORT=1521))(CONNECT_DATA=(SERVICE_NAME=d)))",
        "jdbc:db2://h:50000/d:sslConnection=true;",
        "jdbc:postgresql://h/d?currentSchema=a,b",
        "jdbc:derby:memory:hospital",
    ],
)
def test_a_url_that_says_how_to_reach_a_database_is_taken(url: str) -> None:
    assert list(url_problems(url)) == []


def with_database(database: object) -> str:
    task = deepcopy(EVENT_TASK)
    task["source"] = {"kind": "events", "mapping": task["source"]["mapping"], "format": "jdbc", "database": database}
    return "\n".join(check_task(task)[1])


def test_check_refuses_it_too_and_repeats_no_word_of_it() -> None:
    says = with_database({"url": f"jdbc:postgresql://h/d?password={WORD}"})
    assert "source.database.url: expected neither user nor password in it" in says
    for database in (f"jdbc:x?password={WORD}", {"url": [WORD]}, {"url": "jdbc:x:y", "password": WORD}):
        says = with_database(database)
        assert ("source" in says, WORD in says) == (True, False), says
