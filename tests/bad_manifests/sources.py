"""The repository, Secrets for pulls, and where and when a job runs."""

from __future__ import annotations

from typing import Any

from cijob import limits as say
from tests.bad_manifests.table import Bad, both

_SHA = "0123456789abcdef0123456789abcdef01234567"

GOOD_URLS = [
    "https://git.example.com/group/project.git",
    "https://git.example.com/group/project",
    "https://git.example.com:8443/a/b/c.git",
    "https://git.example.com/a%20b/c.git?service=x&y=z",
    "https://192.0.2.1/~user/project.git",
    "https://[2001:db8::1]/a.git",
    "https://[2001:db8::1]:8443/a.git",
    "https://git.example.com/with@sign/a:b.git",
    "https://xn--bcher-kva.example/é/漢字.git",
    "https://git.example.com/a\u00a0b.git",
    "http://git.build.svc.cluster.local:8080/a.git",
    "http://git/a",
    "ssh://git@git.example.com/group/project.git",
    "ssh://git@git.example.com:2222/group/project.git",
    "ssh://git.example.com/~user/project.git",
    "ssh://git@[2001:db8::1]:22/srv/git/a.git",
    "git@git.example.com:group/project.git",
    "git@git.example.com:/srv/git/project.git",
    "org-1234_x.y@192.0.2.1:a-b",
    "git@host:x",
]
BAD_URLS = [
    "git.example.com/a.git",
    "git.example.com:a.git",
    "/srv/git/a.git",
    "../a.git",
    "file:///srv/git/a.git",
    "git://git.example.com/a.git",
    "ext::sh -c id",
    "HTTPS://git.example.com/a.git",
    "https://git.example.com",
    "https://git.example.com/",
    "https:///a.git",
    "https://someone@git.example.com/a.git",
    "https://someone:password@git.example.com/a.git",
    "https://:password@git.example.com/a.git",
    "http://someone:password@git.example.com/a.git",
    "ssh://git:password@git.example.com/a.git",
    "ssh://-oProxyCommand=id/a.git",
    "ssh://git@-oProxyCommand=id/a.git",
    "-oProxyCommand=id@host:a.git",
    "git@-oProxyCommand=id:a.git",
    "git@git.example.com:-a.git",
    "git@git.example.com:",
    "--upload-pack=id",
    "https://git.example.com/a b.git",
    "https://git.example.com/a.git\n",
    "https://git.example.com/a\x7f.git",
]
GOOD_REFS = [
    "main",
    "v1.0",
    "feature/a-b",
    "refs/heads/x",
    "refs/tags/v1.0",
    "refs/pull/42/head",
    "refs/merge-requests/7/head",
    "release_1.x",
    "#42",
    "ünïcode",
    "0123abcd",
    _SHA,
]
BAD_REFS = [
    "-f",
    "--upload-pack=id",
    ".hidden",
    "a b",
    "a\tb",
    "a\n",
    "main~1",
    "main^",
    "main:other",
    "^main",
    "v*",
    "v?",
    "v[1]",
    "a\\b",
    "a\x7f",
]


def git(url: str = GOOD_URLS[0], **more: object) -> dict[str, Any]:
    """The change that gives a job a repository."""
    return {"source": {"git": {"url": url, **more}}}


SOURCES: list[Bad] = [
    *(both(f"git url {url!r}", "spec.source.git.url", say.SAY_GIT_URL, git(url)) for url in BAD_URLS),
    *(both(f"git ref {ref!r}", "spec.source.git.ref", say.SAY_GIT_REF, git(ref=ref)) for ref in BAD_REFS),
    both(
        "git credentials over http",
        "spec.source.git",
        say.SAY_GIT_PLAIN,
        git("http://git.example.com/a.git", credentialsSecretRef={"name": "git"}),
    ),
    both(
        "git credentials in a Secret of a bad name",
        "spec.source.git.credentialsSecretRef.name",
        say.SAY_OBJECT_NAME,
        git(credentialsSecretRef={"name": "Git"}),
    ),
    Bad(
        what="git credentials in a Secret without a name",
        spec=git(credentialsSecretRef={}),
        at="spec.source.git.credentialsSecretRef.name",
        server="Required value",
        operator="is missing",
    ),
    Bad(
        what="git credentials in the spec",
        spec=git(password="hunter2"),  # noqa: S106  that is the point
        server='unknown field "spec.source.git.password"',
        operator=None,
    ),
    Bad(
        what="a source of nothing",
        spec={"source": {}},
        at="spec.source.git",
        server="Required value",
        operator="is missing",
    ),
    Bad(
        what="git without a url",
        spec={"source": {"git": {"ref": "main"}}},
        at="spec.source.git.url",
        server="Required value",
        operator="is missing",
    ),
    Bad(
        what="git is a url",
        spec={"source": {"git": GOOD_URLS[0]}},
        at="spec.source.git",
        server="must be of type object",
        operator="must be a map of fields",
    ),
    Bad(
        what="an endless git url",
        spec=git(f"https://git.example.com/{'x' * 2048}"),
        at="spec.source.git.url",
        server="may not be more than 2048",
        operator="is longer than 2048 characters",
    ),
    Bad(
        what="an endless git ref",
        spec=git(ref="x" * 256),
        at="spec.source.git.ref",
        server="may not be more than 255",
        operator="is longer than 255 characters",
    ),
    Bad(
        what="an empty git ref",
        spec=git(ref=""),
        at="spec.source.git.ref",
        server="should be at least 1 chars long",
        operator="must not be empty",
    ),
    Bad(
        what="a git ref of digits without quotes",
        spec=git(ref=20261125),
        at="spec.source.git.ref",
        server="must be of type string",
        operator="must be text",
    ),
    Bad(
        what="a negative git depth",
        spec=git(depth=-1),
        at="spec.source.git.depth",
        server="should be greater than or equal to 0",
        operator="must be 0 or more",
    ),
    Bad(
        what="a git depth of 100001",
        spec=git(depth=100_001),
        at="spec.source.git.depth",
        server="should be less than or equal to 100000",
        operator="must be 100000 or less",
    ),
    Bad(
        what="submodules as in GitLab CI",
        spec=git(submodules="recursive"),
        at="spec.source.git.submodules",
        server='supported values: "Normal", "Recursive"',
        operator="must be one of: 'Normal' or 'Recursive'",
    ),
    Bad(
        what="submodules are true",
        spec=git(submodules=True),
        at="spec.source.git.submodules",
        server="must be of type string",
        operator="must be one of: 'Normal' or 'Recursive'",
    ),
]

PULL_SECRETS: list[Bad] = [
    Bad(
        what="a Secret for pulls as text",
        spec={"imagePullSecrets": ["registry"]},
        at="spec.imagePullSecrets[0]",
        server="must be of type object",
        operator="must be a map of fields",
    ),
    Bad(
        what="a Secret for pulls without a name",
        spec={"imagePullSecrets": [{}]},
        at="spec.imagePullSecrets[0].name",
        server="Required value",
        operator="is missing",
    ),
    both(
        "a Secret for pulls of a bad name",
        "spec.imagePullSecrets[0].name",
        say.SAY_OBJECT_NAME,
        {"imagePullSecrets": [{"name": "a/b"}]},
    ),
    Bad(
        what="a Secret for pulls twice",
        spec={"imagePullSecrets": [{"name": "a"}, {"name": "a"}]},
        at="spec.imagePullSecrets",
        server='spec.imagePullSecrets[1]: Duplicate value: {"name":"a"}',
        operator=None,
    ),
    Bad(
        what="17 Secrets for pulls",
        spec={"imagePullSecrets": [{"name": f"a{index}"} for index in range(17)]},
        at="spec.imagePullSecrets",
        server="must have at most 16 items",
        operator="has more than 16 entries",
    ),
]

ADMISSION: list[Bad] = [
    *(
        Bad(
            what=f"platform {platform!r}",
            spec={"platform": platform},
            at="spec.platform",
            server='supported values: "linux/amd64", "linux/arm64"',
            operator="must be one of: 'linux/amd64' or 'linux/arm64'",
        )
        for platform in ("amd64", "linux/arm/v7", "windows/amd64", "")
    ),
    Bad(
        what="suspend is text",
        spec={"suspend": "yes"},
        at="spec.suspend",
        server="must be of type boolean",
        operator="must be true or false",
    ),
    Bad(
        what="a priority of 1001",
        spec={"priority": 1001},
        at="spec.priority",
        server="should be less than or equal to 1000",
        operator="must be 1000 or less",
    ),
    Bad(
        what="a priority of -1001",
        spec={"priority": -1001},
        at="spec.priority",
        server="should be greater than or equal to -1000",
        operator="must be -1000 or more",
    ),
    Bad(
        what="a priority in words",
        spec={"priority": "high"},
        at="spec.priority",
        server="must be of type integer",
        operator="must be a whole number",
    ),
]
