"""Images, scripts, commands and names."""

from __future__ import annotations

from cijob import limits as say
from tests.bad_manifests.table import NO_SCRIPT, Bad, both

PRESENCE: list[Bad] = [
    Bad(what="no spec", spec=None, server="spec: Required value", operator="must be a map of fields"),
    Bad(what="spec is text", spec="run it", server="must be of type object", operator="must be a map of fields"),
    Bad(
        what="unknown field",
        spec={"retries": 3},
        server='unknown field "spec.retries"',
        operator=None,
        at="spec",
    ),
    Bad(
        what="host path",
        spec={"hostNetwork": True},
        server='unknown field "spec.hostNetwork"',
        operator=None,
    ),
    both("neither script nor command", "spec", say.SAY_ONE_OF, {"script": None}),
    both("script and command", "spec", say.SAY_ONE_OF, {"command": ["/app/test"]}),
    both("args beside script", "spec.args", say.SAY_ARGS, {"args": ["--fast"]}),
    both(
        "beforeScript beside command",
        "spec.beforeScript",
        "beforeScript belongs to script",
        {**NO_SCRIPT, "beforeScript": ["date"]},
    ),
    both(
        "afterScript beside command",
        "spec.afterScript",
        "afterScript belongs to script",
        {**NO_SCRIPT, "afterScript": ["date"]},
    ),
    both("shell beside command", "spec.shell", "shell belongs to script", {**NO_SCRIPT, "shell": "bash"}),
]

TEXT: list[Bad] = [
    Bad(what="no image", spec={"image": None}, at="spec.image", server="Required value", operator="is missing"),
    Bad(
        what="empty image",
        spec={"image": ""},
        at="spec.image",
        server="should be at least 1 chars long",
        operator="must not be empty",
    ),
    Bad(
        what="image is a number",
        spec={"image": 25},
        at="spec.image",
        server="must be of type string",
        operator="must be text",
    ),
    Bad(
        what="endless image",
        spec={"image": "x" * 1025},
        at="spec.image",
        server="may not be more than 1024",
        operator="is longer than 1024 characters",
    ),
    both("image with a space", "spec.image", say.SAY_IMAGE, {"image": "ubuntu: 25.10"}),
    both("image with a line break", "spec.image", say.SAY_IMAGE, {"image": "ubuntu\n"}),
    Bad(
        what="pull policy in small letters",
        spec={"imagePullPolicy": "always"},
        at="spec.imagePullPolicy",
        server='supported values: "Always", "IfNotPresent", "Never"',
        operator="must be one of: 'Always', 'IfNotPresent' or 'Never'",
    ),
    Bad(
        what="an unknown shell",
        spec={"shell": "zsh"},
        at="spec.shell",
        server='supported values: "Auto", "bash", "sh"',
        operator="must be one of: 'Auto', 'bash' or 'sh'",
    ),
    Bad(
        what="script is text",
        spec={"script": "make test"},
        at="spec.script",
        server="must be of type array",
        operator="must be a list",
    ),
    Bad(
        what="empty script",
        spec={"script": []},
        at="spec.script",
        server="should have at least 1 items",
        operator="is empty",
    ),
    Bad(
        what="empty entry of a script",
        spec={"script": ["date", ""]},
        at="spec.script[1]",
        server="should be at least 1 chars long",
        operator="must not be empty",
    ),
    Bad(
        what="entry of a script is a list",
        spec={"script": ["date", ["make", "test"]]},
        at="spec.script[1]",
        server="must be of type string",
        operator="must be text",
    ),
    Bad(
        what="entry of a script is true",
        spec={"script": [True]},
        at="spec.script[0]",
        server="must be of type string",
        operator="must be text",
    ),
    Bad(
        what="201 entries of a script",
        spec={"script": ["true"] * 201},
        at="spec.script",
        server="must have at most 200 items",
        operator="has more than 200 entries",
    ),
    Bad(
        what="an entry over 100 KiB",
        spec={"script": ["x" * 102401]},
        at="spec.script[0]",
        server="may not be more than 102400",
        operator="is longer than 102400 characters",
    ),
    both(
        "scripts over 100 KiB together",
        "spec.script",
        say.SAY_SCRIPT_BYTES,
        {"beforeScript": ["x" * 60000], "script": ["x" * 60000]},
    ),
    both("NUL in a script", "spec.script[1]", say.SAY_NUL, {"script": ["date", "echo \0"]}),
    both("NUL in beforeScript", "spec.beforeScript[0]", say.SAY_NUL, {"beforeScript": ["echo \0"]}),
    both("NUL in afterScript", "spec.afterScript[0]", say.SAY_NUL, {"afterScript": ["echo \0"]}),
    Bad(
        what="empty command",
        spec={**NO_SCRIPT, "command": []},
        at="spec.command",
        server="should have at least 1 items",
        operator="is empty",
    ),
    both("command without a program", "spec.command", say.SAY_COMMAND, {**NO_SCRIPT, "command": ["", "x"]}),
    both("NUL in command", "spec.command[0]", say.SAY_NUL, {**NO_SCRIPT, "command": ["a\0"]}),
    both("NUL in args", "spec.args[0]", say.SAY_NUL, {**NO_SCRIPT, "args": ["a\0"]}),
    both("a pool's name with capitals", "spec.poolName", say.SAY_POOL, {"poolName": "GPU"}),
    both("a pool's name with a dot", "spec.poolName", say.SAY_POOL, {"poolName": "gpu.large"}),
]

NAMES: list[Bad] = [
    Bad(what="a name of 64 characters", metadata={"name": "a" * 64}, at="", server=say.SAY_NAME),
    Bad(what="a name with a dot", metadata={"name": "build.42"}, at="", server=say.SAY_NAME),
]
