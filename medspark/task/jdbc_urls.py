"""What a JDBC URL may say. A task names a database and how to reach it; it holds no secret and runs no statement.

Drivers take parameters that are passwords and tokens, that name files to write and classes to load, and that run SQL
on connecting (INIT, initSQL, sessionVariables). So only parameters listed here pass, a list for each kind of database.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from medspark.errors import did_you_mean


def _words(text: str) -> frozenset[str]:
    return frozenset(text.casefold().split())


_MYSQL: Final = _words(
    "useSSL requireSSL sslMode useUnicode characterEncoding serverTimezone connectionTimeZone forceConnectionTimeZone "
    "connectTimeout socketTimeout tcpKeepAlive useCursorFetch tinyInt1isBit zeroDateTimeBehavior"
)

PARAMETERS: Final[Mapping[str, frozenset[str]]] = {
    "jdbc:postgresql:": _words(
        "ssl sslmode sslrootcert sslcert channelBinding gssEncMode connectTimeout socketTimeout loginTimeout "
        "tcpKeepAlive targetServerType loadBalanceHosts hostRecheckSeconds currentSchema readOnly prepareThreshold "
        "binaryTransfer"
    ),
    "jdbc:sqlserver:": _words(
        "databaseName database instanceName portNumber encrypt trustServerCertificate hostNameInCertificate "
        "applicationIntent applicationName multiSubnetFailover integratedSecurity loginTimeout socketTimeout "
        "lockTimeout queryTimeout"
    ),
    "jdbc:mysql:": _MYSQL,
    "jdbc:mariadb:": _MYSQL,
    "jdbc:oracle:": _words(
        "oracle.net.CONNECT_TIMEOUT oracle.jdbc.ReadTimeout DESCRIPTION ADDRESS_LIST ADDRESS PROTOCOL HOST PORT "
        "CONNECT_DATA SERVICE_NAME SID INSTANCE_NAME SERVER LOAD_BALANCE FAILOVER CONNECT_TIMEOUT RETRY_COUNT "
        "RETRY_DELAY"
    ),
    "jdbc:db2:": _words("sslConnection currentSchema loginTimeout blockingReadConnectionTimeout"),
    "jdbc:snowflake:": _words("db schema warehouse role loginTimeout networkTimeout"),
    "jdbc:redshift:": _words("ssl sslmode loginTimeout socketTimeout tcpKeepAlive currentSchema"),
}
"""Those that pass, in small letters, by how the URLs begin; of any other database none."""

_NAMING: Final = _words(
    "databaseName database instanceName portNumber db schema currentSchema HOST PORT SERVICE_NAME SID INSTANCE_NAME"
)
"""Those that say which database it is, without which two of one server would be shown as one."""

_SECRET: Final = re.compile(r"(?i)pass|pwd|secret|token|key|credential|user|uid|login(?!timeout)|auth|jaas|cert.*store")


def url_problems(url: str) -> Iterator[str]:
    """What is wrong with a URL, without a word of it but the names of parameters.

    >>> list(url_problems("jdbc:postgresql://host/hospital?ssl=true&sslmode=verify-full"))
    []
    >>> list(url_problems("jdbc:postgresql://host/hospital?sslpassword=word"))
    ['url: expected no secret in it, received the parameter sslpassword. Name environment variables, or a file']
    """
    hint = "Name environment variables, or a file"
    if _shown_base(url) != _base(url):
        yield f"url: expected neither user nor password in it, received some before the host. {hint}"
    elif "@" in _parameters(url):
        yield f"url: expected neither user nor password in it, received an @ as stands behind them. {hint}"
    if "@" in _parameters(url):  # what looks like a parameter may be half a password
        return
    known = next((names for start, names in PARAMETERS.items() if url.casefold().startswith(start)), frozenset())
    for name in _names(url):
        if name.casefold() in known:
            continue
        if _SECRET.search(name):
            word = "neither user nor password" if re.fullmatch(r"(?i)(user|password|pwd|uid|username)", name) else None
            yield f"url: expected {word or 'no secret'} in it, received the parameter {name}. {hint}"
        elif re.fullmatch(r"[A-Za-z][\w.]{0,40}", name):
            allowed = ", ".join(sorted(known)) or "none"
            yield (f"url: expected of the parameters {allowed}, received {name}.{did_you_mean(name.casefold(), known)}")
        else:
            yield "url: expected parameters as name=value, received something else"


def shown_url(url: str) -> str:
    """A JDBC URL for messages, receipts, ledgers and logs: without what stands before its host, and of its parameters
    with those alone that say which database it is, where all is as it should be.

    >>> shown_url("jdbc:postgresql://host:5432/hospital?ssl=true")
    'jdbc:postgresql://host:5432/hospital'
    >>> shown_url("jdbc:sqlserver://host;encrypt=true;databaseName=hospital")
    'jdbc:sqlserver://host;databaseName=hospital'
    >>> shown_url("jdbc:mysql://user:word@host/hospital")
    'jdbc:mysql://host/hospital'
    >>> shown_url("jdbc:oracle:thin:@//host:1521/hospital")
    'jdbc:oracle:thin:@//host:1521/hospital'
    """
    names_it = [] if any(url_problems(url)) else re.findall(r"([\w.]+)\s*=\s*([\w.$-]+)", _parameters(url))
    parts = [f"{name}={value}" for name, value in names_it if name.casefold() in _NAMING]
    return ";".join([_shown_base(url), *parts])


def _shown_base(url: str) -> str:
    """The URL up to its parameters, without user and password; where these are cut by such a letter, its kind alone."""
    base = _base(url)
    before, at, after = base.rpartition("@")
    start = re.match(r"jdbc:[\w-]+:(?:thin:|oci8?:)?(?://)?", base)
    kept = start[0] if start else "jdbc:"
    if "@" in _parameters(url):
        return kept
    if not at or before == kept:
        return base
    return f"{kept}{'@' if ':thin:' in kept or ':oci' in kept else ''}{after}"


def _base(url: str) -> str:
    """The URL up to its parameters, which begin with ? ; & # or a bracket, or with a name=value, as behind a colon in
    DB2's and Informix's, a comma in Teradata's, and for a host in MySQL's.
    """
    return re.split(r"[?;&#(]|:?[^/:,@?;&#(]*=", url, maxsplit=1)[0]


def _parameters(url: str) -> str:
    return url[len(_base(url)) :]


def _names(url: str) -> list[str]:
    """The names of a URL's parameters, whatever stands between them."""
    parts = [part for part in re.split(r"[?;&#]|^:", _parameters(url)) if part.strip()]
    within = [re.findall(r"[(,]\s*([\w.]+)\s*=", part.lstrip("( ")) for part in parts]
    return [name for part, inner in zip(parts, within, strict=True) for name in (_first(part), *inner)]


def _first(part: str) -> str:
    return part.partition("=")[0].strip("( ")
